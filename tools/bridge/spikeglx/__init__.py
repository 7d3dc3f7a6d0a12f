"""SpikeGLX, by its remote command server."""
