"""Kernels over whole sequences, with their gradients, for training."""
