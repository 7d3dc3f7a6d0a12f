"""`rtdecode record`: spikes and behaviour into a session file, without a decoder."""
