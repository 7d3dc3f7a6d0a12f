"""Recording systems that are read through neo (extra `neo`)."""
