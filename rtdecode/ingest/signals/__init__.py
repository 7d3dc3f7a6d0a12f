"""What a stream carries: its layout, and its rows as events or counts."""
