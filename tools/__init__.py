"""Tools for use with the daemon: replay, simulated subject, demo, doctor, benchmarks."""
