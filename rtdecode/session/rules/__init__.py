"""The rules of a session file, a module for each sort of content."""
