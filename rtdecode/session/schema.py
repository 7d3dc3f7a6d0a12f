"""The names inside a session file, for the reader, the writer, the recorder and repair."""

from __future__ import annotations

import shlex

FORMAT = "rtdecode-session"
FORMAT_VERSION = 2
"""The newest that is read; a file is written as version 1 unless it holds what that does not know."""

VERSION_2_GROUPS = frozenset({"features", "observed", "electrodes"})

OWN_BEFORE_2 = frozenset({"observed", "electrodes"})
"""Groups that are a lab's own, so not read, in a file of version 1."""

MAX_CHANNELS = 65_535
"""Channels are u2; 65,535 stays free so that no channel number equals the recorder's fill value."""

MAX_MODELS = 256
"""`/decoded/model` is u1."""

MODELS_SO_FAR = "models_so_far"
"""Attribute of /decoded beside `models`: the same while a recording grows, with room for more models."""

ANNOUNCED = "announced_width_s"
"""Attribute of /counts: the bin width that the source announced."""

ANNOUNCED_PERIOD = "announced_period_s"
"""The same of /features."""

OWN_ATTRS = frozenset({"format", "format_version", "n_channels", "complete"})
"""Root attributes of the format; every other one belongs to the session."""

DECODED = {"bin": "i8", "t_bin": "f8", "values": "f4", "flags": "u4"}
DECODED |= {"model": "u1", "late": "u2", "lost": "u4", "counts": "u1"}
"""The datasets of /decoded and the dtype of each."""

GROUPS: dict[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "events": (("time", "channel"), ("unit",)),
    "counts": (("values",), ("end",)),
    "features": (("time", "values"), ()),
    "behavior": (("time", "values"), ()),
    "trials": (("start", "stop"), ()),
    "markers": (("time", "text"), ()),
    "decoded": (tuple(DECODED), ("out", "codes")),
    "log": (("time", "bin", "kind", "data"), ()),
    "detection": (("noise",), ("weights",)),
    "observed": (("start", "stop"), ()),
    "electrodes": (("label",), ("unit_id", "x", "y", "array")),
}
"""The datasets that each group has, and those that it may have; /trials may have any others."""

SAMPLED = ("features", "behavior")
"""Groups of samples: `time`, strictly increasing, and a table of `values`."""

DOCS = "docs/session-files.md"


def repair_hint(path: object) -> str:
    """The fix for what `rtdecode info --repair` can correct."""
    return f"rtdecode info {shlex.quote(str(path))} --repair"
