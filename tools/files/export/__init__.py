"""Write sessions as files of other programs."""
