"""The WSGI application."""
