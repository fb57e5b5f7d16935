"""The options: their declaration, where they come from, and how they are checked."""
