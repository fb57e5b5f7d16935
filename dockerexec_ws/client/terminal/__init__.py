"""The client's command line: a terminal, or pipes, at this end of a session."""
