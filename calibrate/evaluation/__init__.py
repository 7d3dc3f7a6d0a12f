"""Jobs that score models, kept on disk as soon as they are done."""
