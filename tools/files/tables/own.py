"""Tables that rtdecode wrote: what their first line states, a comment in JSON."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from rtdecode.errors import RtdecodeError
from rtdecode.session.schema import MAX_CHANNELS
from rtdecode.tools.files.tables.text import TextTable, read_header

#: The comment by which a file that rtdecode wrote states what it is.
OWN = "rtdecode "


@dataclass(frozen=True)
class Stated:
    """What a file that rtdecode wrote states of itself; `kind` is its name then, without the ending."""

    kind: str | None = None
    n_channels: int = 0
    bin_width_s: float | None = None
    kinds: tuple[str, ...] = ()
    attrs: Mapping[str, str] = field(default_factory=dict)


def electrodes_of(path: Path) -> dict[str, tuple[str, ...]]:
    """The columns of an exported table of electrodes, none of any other table."""
    table = read_header(path)
    if stated_of(table, path).kind != "electrodes":
        return {}
    columns = zip(*(cells for _, cells in table.rows()), strict=True)
    return dict(zip(table.names, columns, strict=False))


def stated_of(table: TextTable, path: Path) -> Stated:
    """What a table states of itself; nothing, where another program wrote it.

    Raises:
        RtdecodeError: its first line is damaged.
    """
    for comment in table.comments:
        if comment.startswith(OWN + "{"):
            try:
                said = json.loads(comment.removeprefix(OWN))
                width = said.get("bin_width_s")
                return Stated(
                    str(said["kind"]),
                    min(int(said.get("n_channels", 0)), MAX_CHANNELS),
                    None if width is None else float(width),
                    tuple(map(str, said.get("kinds", ()))),
                    {str(key): str(text) for key, text in dict(said.get("attrs", {})).items()},
                )
            except (ValueError, TypeError, KeyError, AttributeError, OverflowError, RecursionError) as error:
                what = f"has a damaged first line: {error}"
                raise RtdecodeError(what, where=str(path), fix="export it again") from error
    return Stated()
