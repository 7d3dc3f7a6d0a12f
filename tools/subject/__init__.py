"""`rtdecode subject`: the simulator in closed loop with a daemon."""
