"""Rows of text for the terminal view, and what of them fits on a line."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from rich.cells import cell_len, set_cell_size

LABEL_WIDTH = 11

#: A narrower terminal needs the labels' place for what they stand before.
LABELS_FROM = 32

#: A terminal that echoes Ctrl-C as ^C behind the last line must not wrap it.
ECHO_WIDTH = 2

#: A text shortened to less says nothing any more.
CUT_TO_AT_LEAST = 12


class Part(NamedTuple):
    """A piece of a row.

    Attributes:
        text, style: the style is a key of `rtdecode.console.view.STYLES`.
        rank: where the terminal is narrow the highest goes first.
        cut: whether it may be shortened instead.
    """

    text: str
    style: str = ""
    rank: int = 0
    cut: bool = False


class Row(NamedTuple):
    """One line.

    Attributes:
        rank: where the terminal is low the highest goes first.
        label: stands before the parts; a row with None is not indented either.
        parts: from left to right.
        gap: between two parts.
    """

    rank: int
    label: str | None
    parts: Sequence[Part]
    gap: str = "  "


def body_width(width: int) -> int:
    """What the label leaves of a line."""
    return width - LABEL_WIDTH if width >= LABELS_FROM else width


def fitted(parts: Sequence[Part], gap: str, width: int) -> list[Part]:
    """What of `parts` fits into `width` cells with `gap` between them."""
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
    """`text` cut to `width` cells, ending in dots where there is room for them."""
    return set_cell_size(text, width - 3) + "..." if width > 6 else set_cell_size(text, max(width, 0))


def clean(text: str, encoding: str) -> str:
    """`text` as the terminal can show it: names come over the network and may hold anything."""
    if not text.isprintable():
        text = "".join(c if c.isprintable() else "?" for c in text)
    return text if text.isascii() else text.encode(encoding, "replace").decode(encoding)
