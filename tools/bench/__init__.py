"""`rtdecode bench`: latency and decoding time, with their lower bounds."""
