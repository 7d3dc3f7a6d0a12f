"""`rtdecode monitor`: a running daemon on a terminal or in a browser (docs/monitor.md)."""
