"""What stands around the daemon: replay, demo, benchmarks."""
