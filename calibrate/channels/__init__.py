"""The array's channels: alive, noisy, permuted, and the statistics that a model keeps of them; NumPy only."""
