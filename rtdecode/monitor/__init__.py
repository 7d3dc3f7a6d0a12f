"""What `rtdecode monitor` shows of a running daemon, on a terminal or in a browser (docs/monitor.md)."""
