"""Numba kernels: plain arrays in, plain arrays out, no classes; each tested against NumPy."""
