"""Rows of text on a terminal, shortened to the width of a line."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from rich.cells import cell_len, set_cell_size

LABEL_WIDTH = 11

#: A narrower terminal has no labels, so that their width is available for the rest.
LABELS_FROM = 32

#: Room for the ^C that a terminal echoes after the last line, which must not wrap.
ECHO_WIDTH = 2

#: A text shortened further is not readable.
CUT_TO_AT_LEAST = 12


class Part(NamedTuple):
    """A piece of a row.

    Attributes:
        text, style: the style is a key of `rtdecode.console.drawing.STYLES`.
        rank: on a narrow terminal the part of the highest rank is dropped first.
        cut: whether it may be shortened instead.
    """

    text: str
    style: str = ""
    rank: int = 0
    cut: bool = False


class Row(NamedTuple):
    """One line.

    Attributes:
        rank: on a low terminal the row of the highest rank is dropped first.
        label: before the parts; a row with None is not indented either.
        parts: from left to right.
        gap: between two parts.
    """

    rank: int
    label: str | None
    parts: Sequence[Part]
    gap: str = "  "


#: A line as it is drawn.
Line = list[Part]


def body_width(width: int) -> int:
    """Width of a line without the label, cells."""
    return width - LABEL_WIDTH if width >= LABELS_FROM else width


def most_important(rows: Sequence[Row], n: int) -> list[Row]:
    """At most `n` of the rows, those of the lowest ranks."""
    kept = list(rows)
    while len(kept) > max(n, 0):
        del kept[max(range(len(kept)), key=lambda i: (kept[i].rank, i))]
    return kept


def line_of(row: Row, width: int) -> Line:
    """A row with its label, in `width` cells."""
    indent = 0 if row.label is None else width - body_width(width)
    line = [Part((row.label or "").ljust(indent), "label")] if indent else []
    for n, part in enumerate(fitted(row.parts, row.gap, width - indent)):
        line += [Part(row.gap)] * bool(n) + [part]
    return line


def fitted(parts: Sequence[Part], gap: str, width: int) -> list[Part]:
    """The parts, dropped or shortened to fit into `width` cells with `gap` between them."""
    kept = [part for part in parts if part.text]
    while kept:
        excess = sum(cell_len(part.text) for part in kept) + len(gap) * (len(kept) - 1) - max(width, 0)
        if excess <= 0:
            break
        worst = max(range(len(kept)), key=lambda i: (kept[i].rank, i))
        part = kept[worst]
        left = cell_len(part.text) - excess
        if len(kept) == 1 or (part.cut and left >= CUT_TO_AT_LEAST):
            kept[worst] = part._replace(text=shortened(part.text, left))
        else:
            del kept[worst]
    return kept


def shortened(text: str, width: int) -> str:
    """`text` cut to `width` cells, with dots at the end if there is room for them."""
    return set_cell_size(text, width - 3) + "..." if width > 6 else set_cell_size(text, max(width, 0))


def clean(text: str, encoding: str) -> str:
    """`text` in as many cells and in characters that the terminal can show: names may hold anything."""
    if text.isascii() and text.isprintable():
        return text
    return "".join(c if c.isprintable() and c.encode(encoding, "ignore") else "?" * cell_len(c) for c in text)
