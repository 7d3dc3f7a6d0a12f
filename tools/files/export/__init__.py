"""Sessions written in other programs' formats."""
