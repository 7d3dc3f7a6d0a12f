"""Streams as pylsl finds them, without liblsl."""

from __future__ import annotations

from functools import partial
from types import SimpleNamespace
from typing import Any

import pylsl


class Nothing:
    """An XML description without content; unit tests do not use liblsl itself."""

    def child(self, name: str) -> Nothing:
        return self

    def child_value(self, name: str) -> str:
        return ""

    def empty(self) -> bool:
        return True


def announced(
    source: str = "rig-a",
    *,
    unique: str = "uid",
    made_at: float = 1.0,
    columns: int = 3,
    rate: float = 0.0,
    of: str = "Spikes",
    dtype: int = pylsl.cf_int32,
) -> Any:
    """The methods of pylsl.StreamInfo that are used."""
    returned = {"name": "M1", "type": of, "channel_format": int(dtype), "hostname": "lab"}
    returned |= {"source_id": source, "uid": unique, "created_at": made_at, "desc": Nothing()}
    returned |= {"channel_count": columns, "nominal_srate": rate}
    return SimpleNamespace(**{name: partial(lambda value: value, value) for name, value in returned.items()})
