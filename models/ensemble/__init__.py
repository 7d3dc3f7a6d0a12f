"""Models of several networks."""
