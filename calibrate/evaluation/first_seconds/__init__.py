"""Makin's split: learn from the first seconds of a day, and score all the rest."""
