"""`rtdecode demo`: the whole product in closed loop on this machine."""
