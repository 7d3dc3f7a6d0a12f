"""Intan RHX, by its TCP servers."""
