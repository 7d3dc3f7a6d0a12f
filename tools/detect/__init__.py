"""Files of raw voltage to session files."""
