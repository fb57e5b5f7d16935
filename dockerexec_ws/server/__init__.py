"""The server floor: WebSocket, session, application, and the ways to run it."""
