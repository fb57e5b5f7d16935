"""A session: one client, one exec, and the bytes between them."""
