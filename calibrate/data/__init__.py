"""Sessions as learning sees them: bins, labels, splits and metrics; NumPy only."""
