"""Decoders behind one interface: reset / step / run / state."""
