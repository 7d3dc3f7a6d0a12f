"""A simulated array, subject and task; no streams, no clock."""
