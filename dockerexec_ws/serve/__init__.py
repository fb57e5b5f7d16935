"""The server on its own: listener, TLS, shutdown."""
