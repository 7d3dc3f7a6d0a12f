"""Commands for the daemon and its files."""
