"""Ending the processes of sessions, because the engine has no way to end an exec."""
