"""The names inside a session file: one place, for the reader, the writer, the recorder and repair."""

from __future__ import annotations

FORMAT = "rtdecode-session"
FORMAT_VERSION = 1

MAX_CHANNELS = 65_535
"""Channels are u2; 65,535 stays free so that no channel number equals the recorder's fill value."""

MAX_MODELS = 256

#: Attribute of /decoded beside `models`: the same while a recording grows, with room for models to come.
MODELS_SO_FAR = "models_so_far"
"""`/decoded/model` is u1."""

OWN_ATTRS = frozenset({"format", "format_version", "n_channels", "complete"})
"""Root attributes the format itself needs; every other one belongs to the session."""

EVENTS = ("time", "channel")
EVENTS_OPTIONAL = ("unit",)
COUNTS = ("values",)
BEHAVIOR = ("time", "values")
TRIALS = ("start", "stop")
DECODED = ("bin", "t_bin", "values", "flags", "model", "late", "lost", "counts")
DECODED_OPTIONAL = ("out",)
LOG = ("time", "bin", "kind", "data")

DOCS = "docs/session-files.md"


def repair_hint(path: object) -> str:
    """The fix for what `rtdecode info --repair` can put right."""
    return f"rtdecode info {path} --repair"
