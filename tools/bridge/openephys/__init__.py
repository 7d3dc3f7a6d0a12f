"""Open Ephys GUI, by its ZMQ Interface plugin."""
