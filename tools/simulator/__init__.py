"""A simulated array, subject and task, without streams and clock."""
