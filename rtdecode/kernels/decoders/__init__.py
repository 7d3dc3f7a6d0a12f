"""Kernels that step decoders bin by bin."""
