"""The engine floor: everything that knows Docker."""
