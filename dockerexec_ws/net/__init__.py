"""Bytes: buffers, pacing, deadlines and the WebSocket. This floor knows neither Docker nor sessions."""
