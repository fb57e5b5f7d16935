"""The options: how they are declared, read and checked."""
