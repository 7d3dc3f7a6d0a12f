"""Commands that learn from sessions."""
