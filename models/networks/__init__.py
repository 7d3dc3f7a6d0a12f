"""Complete networks, in torch."""
