"""Ending processes that the engine has no way to end."""
