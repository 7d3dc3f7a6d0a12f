"""Layers and parts of networks, in torch."""
