"""Models of other days on a new one, by minutes of labels."""
