"""Clocks of sources: judged, compared with ours, and how late their samples arrive."""
