"""rtdecode: real-time, closed-loop decoding of movement from spikes."""

__version__ = "0.1.0"
