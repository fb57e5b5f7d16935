"""Observers of sessions, such as the audit log."""
