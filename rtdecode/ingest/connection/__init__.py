"""LSL streams: find, choose, open, and find again."""
