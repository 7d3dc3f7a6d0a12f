"""The two pictures of the terminal monitor: the cursor and its trail, and the spikes of the last 2 s."""

from __future__ import annotations

from itertools import groupby
from operator import itemgetter

import numpy as np
from rich.cells import cell_len

from rtdecode.console.text_rows import Line, Part, shortened
from rtdecode.kernels.arrays import F8, I8, Mask
from rtdecode.monitor.dots import DOTS_X, DOTS_Y, dot_lines
from rtdecode.monitor.state import MonitorState

FRAME, ASCII_FRAME = tuple("┌─┐│└┘"), tuple("+-+|++")

#: Points of a circle, enough for the largest terminal.
CIRCLE = np.linspace(0.0, 2.0 * np.pi, 720)


def framed(title: str, foot: str, lines: list[Line], width: int, *, unicode: bool) -> list[Line]:
    """Lines of `width − 2` cells in a box, with a title in its top edge and a foot in its bottom edge."""
    left_top, edge, right_top, side, left_bottom, right_bottom = FRAME if unicode else ASCII_FRAME

    def border(left: str, text: str, right: str) -> Line:
        room = max(width - 5, 0)
        text = f" {text if cell_len(text) <= room else shortened(text, room)} " if text and room else ""
        return [Part(f"{left}{edge}{text}{edge * (width - 3 - cell_len(text))}{right}", "label")]

    body: list[Line] = [[Part(side, "label"), *line, Part(side, "label")] for line in lines]
    return [border(left_top, title, right_top), *body, border(left_bottom, foot, right_bottom)]


def cursor_panel(state: MonitorState, now_s: float, width: int, height: int, *, unicode: bool) -> list[Line]:
    """The cursor, its trail of 2 s and the target, `width` by `height` cells."""
    columns, rows = width - 2, height - 2
    plane, extent = state.plane, state.plane.extent
    blank: list[Line] = [[Part(" " * columns)] for _ in range(rows)]
    if extent is None or state.axes is None or not plane.trail:
        if rows > 0 and state.status is not None and state.axes is None:
            blank[rows // 2] = [Part(f"{'the model has only one output':^{columns}}"[:columns], "label")]
        return framed("cursor", "", blank, width, unicode=unicode)
    trail: Mask = np.zeros((rows * DOTS_Y, columns * DOTS_X), np.bool_)
    ring: Mask = np.zeros_like(trail)
    size = min(trail.shape) - 1

    def pixel(x: F8, y: F8) -> tuple[I8, I8]:
        scale = size / (2 * extent.half)
        column = (x - extent.x) * scale + (trail.shape[1] - 1) / 2
        row = (extent.y - y) * scale + (trail.shape[0] - 1) / 2
        return np.rint(row).astype(np.int64), np.rint(column).astype(np.int64)

    points = np.array([(point.x, point.y) for point in plane.trail])
    _mark(trail, *pixel(points[:, 0], points[:, 1]))
    task = state.task(now_s)
    if task is not None and task.target is not None:
        radius = max(task.radius, 2 * extent.half / size)
        x, y = task.target
        _mark(ring, *pixel(x + radius * np.cos(CIRCLE), y + radius * np.sin(CIRCLE)))
    drawn = _two_styles(trail, ring, unicode=unicode)
    row, column = pixel(points[-1:, 0], points[-1:, 1])
    at = int(row[0]) // DOTS_Y, int(column[0]) // DOTS_X
    if 0 <= at[0] < rows and 0 <= at[1] < columns:
        drawn[at[0]][at[1]] = ("●" if unicode else "@", "accent")
    lines = [
        [Part("".join(c for c, _ in run), style) for style, run in groupby(cells, key=itemgetter(1))]
        for cells in drawn
    ]
    first, second = state.axes
    digits = plane.digits
    title = f"{first.name} {points[-1, 0]:.{digits}f}  {second.name} {points[-1, 1]:.{digits}f} {first.units}"
    foot = f"{2 * extent.half:g} {first.units} across"
    if task is not None:
        foot = task.state + (f", {task.success_rate:.0%} success" if task.success_rate is not None else "")
    return framed(title.rstrip(), foot.rstrip(), lines, width, unicode=unicode)


def _mark(dots: Mask, row: I8, column: I8) -> None:
    inside = (row >= 0) & (row < dots.shape[0]) & (column >= 0) & (column < dots.shape[1])
    dots[row[inside], column[inside]] = True


def _two_styles(trail: Mask, ring: Mask, *, unicode: bool) -> list[list[tuple[str, str]]]:
    """Both pictures in one, each cell with the style of its content."""
    lines = dot_lines(trail | ring, unicode=unicode)
    shape = trail.shape[0] // DOTS_Y, DOTS_Y, trail.shape[1] // DOTS_X, DOTS_X
    ringed: Mask = np.asarray(ring.reshape(shape).any(axis=(1, 3)))
    return [
        [(c, "target" if ringed[i, j] else "trail") for j, c in enumerate(line)]
        for i, line in enumerate(lines)
    ]


def raster_panel(state: MonitorState, width: int, height: int, *, unicode: bool) -> list[Line]:
    """The spikes of the last 2 s, channel 0 on top, `width` by `height` cells."""
    columns, rows = width - 2, height - 2
    raster = state.raster
    n_channels, n_bins = raster.n_channels, raster.n_bins
    if not n_channels:
        blank: list[Line] = [[Part(" " * columns)] for _ in range(rows)]
        n_features = state.status.model.get("n_features") if state.status else 0
        title = f"no spikes: {n_features} features" if n_features else "spikes"
        return framed(title, "", blank, width, unicode=unicode)
    dots = np.zeros((rows * DOTS_Y, columns * DOTS_X), np.bool_)
    b, channel = np.nonzero(raster.last())
    across = (b * 2 + 1) * dots.shape[1] // (2 * n_bins)
    down = (channel * 2 + 1) * dots.shape[0] // (2 * n_channels)
    dots[down, across] = True
    lines: list[Line] = [[Part(line)] for line in dot_lines(dots, unicode=unicode)]
    title = f"spikes of {n_channels} channels"
    return framed(title, "last 2 s, now on the right", lines, width, unicode=unicode)
