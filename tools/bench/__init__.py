"""`rtdecode bench`: how fast, beside what is possible."""
