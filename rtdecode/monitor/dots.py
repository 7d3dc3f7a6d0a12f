"""Pictures as text: dots in braille, bars in blocks, and both in ASCII for terminals without them."""

from __future__ import annotations

import numpy as np

from rtdecode.kernels.arrays import F8, Mask

#: A braille character is two dots wide and four high; the bit of each.
DOTS_X, DOTS_Y = 2, 4
BRAILLE = np.array([[0x01, 0x08], [0x02, 0x10], [0x04, 0x20], [0x40, 0x80]])
ASCII_DOTS = " .::**###"

BLOCKS = " ▁▂▃▄▅▆▇█"
ASCII_BLOCKS = " ..::||##"


def dot_lines(dots: Mask, *, unicode: bool) -> list[str]:
    """A picture as lines of text.

    Args:
        dots: bool[4·lines, 2·columns], the top row first.
        unicode: whether braille can be shown.
    """
    rows, columns = dots.shape[0] // DOTS_Y, dots.shape[1] // DOTS_X
    cells = dots.reshape(rows, DOTS_Y, columns, DOTS_X)
    if not unicode:
        counts = cells.sum(axis=(1, 3))
        return ["".join(ASCII_DOTS[n] for n in line) for line in counts]
    codes = (cells * BRAILLE[None, :, None, :]).sum(axis=(1, 3))
    return ["".join(chr(0x2800 + code) if code else " " for code in line) for line in codes.tolist()]


def bar_lines(heights: F8, n_lines: int, *, unicode: bool) -> list[str]:
    """Upright bars as lines of text, the top line first.

    Args:
        heights: f8[columns], 0 to 1; anything above 0 is visible.
        n_lines: height of 1.
        unicode: whether block characters can be shown.
    """
    glyphs = BLOCKS if unicode else ASCII_BLOCKS
    steps = len(glyphs) - 1
    eighths = np.ceil(np.clip(np.nan_to_num(heights), 0.0, 1.0) * n_lines * steps).astype(int)
    lines = []
    for line in range(n_lines - 1, -1, -1):
        lines.append("".join(glyphs[min(max(n - line * steps, 0), steps)] for n in eighths.tolist()))
    return lines


def pooled(values: F8, n: int) -> F8:
    """`values` in `n` columns: the largest of those in one column, or each in several columns."""
    if not len(values):
        return np.zeros(n)
    if len(values) <= n:
        return values[np.arange(n) * len(values) // n]
    edges = np.arange(n) * len(values) // n
    return np.maximum.reduceat(values, edges)
