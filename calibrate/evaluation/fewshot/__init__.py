"""Models of other days on a new one, by the number of labelled minutes."""
