"""`rtdecode bridge`: an acquisition system's own protocol in, LSL streams out."""
