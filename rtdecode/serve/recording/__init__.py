"""From the loop to the session file, on a thread of its own."""
