"""The array's channels: alive, noisy, permuted, and what a model remembers of them; NumPy only."""
