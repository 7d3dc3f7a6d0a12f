"""Training networks in torch."""
