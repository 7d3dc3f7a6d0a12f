"""Which column of a stream of single spikes is what: by option, by its labels, or by its layout."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

NAMES = ("channel", "unit", "seq")


@dataclass(frozen=True)
class RowColumns:
    """Numbers of the columns, from 0; None for what the rows do not have.

    Attributes:
        channel: number of the channel.
        unit: sorted unit.
        seq: running number of the event.
    """

    channel: int = 0
    unit: int | None = None
    seq: int | None = None

    @property
    def last(self) -> int:
        """The highest number."""
        return max(self.channel, *(column for column in (self.unit, self.seq) if column is not None), 0)

    def __str__(self) -> str:
        found = (self.channel, self.unit, self.seq)
        pairs = zip(NAMES, found, strict=True)
        return ",".join(f"{name}={'-' if column is None else column}" for name, column in pairs)


def read_columns(text: str) -> RowColumns:
    """`--columns`, such as channel=0,unit=1,seq=-.

    Raises:
        ValueError: it is written in another way, or two of them are one column.
    """
    found: dict[str, int | None] = {}
    for part in text.split(","):
        name, _, number = (piece.strip() for piece in part.partition("="))
        if name not in NAMES or name in found or not (number == "-" or number.isdecimal()):
            raise ValueError(f"must be columns from 0, such as channel=0,unit=1,seq=-, not {text}")
        found[name] = None if number == "-" else int(number)
    used = [number for number in found.values() if number is not None]
    if found.get("channel") is None:
        raise ValueError(f"must name the column of the channel, such as channel=0, not {text}")
    if len(used) != len(set(used)):
        raise ValueError(f"must name another column for each, not {text}")
    return RowColumns(found["channel"], found.get("unit"), found.get("seq"))  # type: ignore[arg-type]


def labelled_columns(labels: Sequence[str]) -> RowColumns | None:
    """The columns that a stream describes by the labels channel, and unit or seq or both; else None."""
    named = [label.strip().lower() for label in labels]
    at = {name: named.index(name) for name in NAMES if named.count(name) == 1}
    if "channel" not in at or len(at) < 2:
        return None
    return RowColumns(at["channel"], at.get("unit"), at.get("seq"))
