"""What is reported of a run: status maps, spikes, losses, lines."""
