"""From an LSL stream to checked spike events: layouts, sequence numbers, clock and reconnect."""
