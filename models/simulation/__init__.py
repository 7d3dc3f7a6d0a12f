"""From behaviour to spikes."""
