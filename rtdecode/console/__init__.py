"""What `serve` and `monitor` draw on a terminal."""
