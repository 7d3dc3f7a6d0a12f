"""Whole networks, in torch."""
