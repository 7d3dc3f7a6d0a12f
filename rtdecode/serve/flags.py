"""What a flag of `rtdecode serve` is, and how its text is read.

A declaration of our own, because a library would have to take over the command line: cyclopts would be a
second parser beside Typer's, msgspec reads a file but no flags. Neither reports which of flag, variable, file
and default a value came from in the way that Typer's context does.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from rtdecode.ingest.signals.layouts import Layout


@dataclass(frozen=True)
class Flag:
    """How a setting is given: `--grace 5`, `RTDECODE_GRACE=5`, or `grace = 5` in rig.toml.

    Attributes:
        help: starts with what is set.
        name: with underscores; "" for that of the field.
        default: as it is typed, where that is not the default of the field; None where the setting is off.
        metavar: of the value in the help, None for its type.
        read: turns what is typed into the value of the field, or raises ValueError.
        field: name of the field.
        several: whether it may be given several times; its value is a list of texts then.
    """

    help: str
    name: str = ""
    default: bool | float | str | None = None
    metavar: str | None = None
    read: Callable[[Any], Any] | None = None
    field: str = ""
    several: bool = False

    @property
    def typed(self) -> type[bool] | type[float] | type[str] | type[list[str]]:
        """Type of what is typed: bool, float, str for anything that is written as text, or texts."""
        if self.several:
            return list
        return bool if isinstance(self.default, bool) else float if isinstance(self.default, float) else str


def joined(streams: Sequence[str]) -> str:
    """One name for the streams of several arrays, M1+PMd."""
    return "+".join(streams)


def read_streams(names: Sequence[str]) -> tuple[str, ...]:
    """`--stream`, once for each array."""
    twice = sorted(name for name, n in Counter(names).items() if n > 1)
    if twice:
        raise ValueError(f"is given twice with the name {twice[0]!r}; name each array once")
    if not all(names):
        raise ValueError("is empty; name a stream")
    return tuple(names)


def read_layout(text: str) -> Layout:
    """`--layout` as a Layout."""
    if text not in tuple(Layout):
        raise ValueError(f"must be one of {', '.join(Layout)}, not {text}")
    return Layout(text)


def read_units(text: str) -> frozenset[int]:
    """`--drop-units`, such as 0,255, as a set."""
    units = [part.strip() for part in text.split(",")]
    if not all(unit.isdecimal() and int(unit) <= 255 for unit in units):
        raise ValueError(f"must be units from 0 to 255 with commas, such as 0,255, not {text}")
    return frozenset(int(unit) for unit in units)


def read_first_channel(text: str) -> int:
    """`--first-channel`."""
    if not text.isdecimal():
        raise ValueError(f"must be the number of the first channel, such as 1, not {text}")
    return int(text)


def read_grace(text: str) -> float | None:
    """`--grace` in seconds, None for auto."""
    if text == "auto":
        return None
    try:
        return float(text) / 1e3
    except ValueError:
        raise ValueError(f"must be auto or milliseconds, not {text}") from None


def read_late(text: str) -> bool:
    """`--late` as whether to carry late events."""
    if text not in ("carry", "drop"):
        raise ValueError(f"must be carry or drop, not {text}")
    return text == "carry"
