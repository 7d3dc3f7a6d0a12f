"""Commands around the running daemon and its files."""
