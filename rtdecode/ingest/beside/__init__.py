"""Streams that are recorded beside the spikes: behaviour, and markers of the task."""
