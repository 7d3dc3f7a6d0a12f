"""A model file decoded with torch: the reference for the runtime's kernels."""
