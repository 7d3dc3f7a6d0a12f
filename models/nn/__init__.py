"""Parts of networks, in torch."""
