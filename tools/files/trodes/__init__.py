"""Files of Trodes."""
