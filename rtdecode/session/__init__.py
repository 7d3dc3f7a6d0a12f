"""Session files: the data model, reading, writing, repair and binning of recorded sessions."""
