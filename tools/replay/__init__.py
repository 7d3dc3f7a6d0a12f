"""`rtdecode replay`: a recorded session as a live stream."""
