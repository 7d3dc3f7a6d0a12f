"""Status on a terminal, drawn by `serve` and by `monitor`."""
