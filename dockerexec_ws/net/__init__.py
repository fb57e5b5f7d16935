"""Bytes: buffers, pacing, keepalive and the WebSocket. These modules know neither Docker nor sessions."""
