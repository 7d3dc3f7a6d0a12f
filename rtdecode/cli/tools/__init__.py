"""Commands around the daemon: replay, simulated subject, demo, doctor, benchmarks."""
