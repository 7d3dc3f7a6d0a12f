"""The study's Table 1 as a figure: a dot for each session, a bar at the mean of each kind and causality."""

from __future__ import annotations

from collections.abc import Sequence
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from rtdecode.calibrate.evaluation.study.figures.style import STYLE, new_figure, png_of
from rtdecode.calibrate.evaluation.study.frames import INDEX, StudyFrames
from rtdecode.calibrate.evaluation.study.rows import (
    CAUSALITIES,
    COLUMNS,
    Column,
    causalities_of,
    name_of,
    names_of,
    protocols_of,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes

#: Colour and marker of each causality; the markers alone distinguish them, too.
MARKS = MappingProxyType(
    {"causal": ("#c1272d", "o"), "offline": ("#1b5fa8", "s"), "offline-2d": ("#3d7d2c", "^")}
)

#: Scores below it are drawn at the edge, with their value: one failure must not flatten the others.
LOWEST = -0.25


def scores_figure(frames: StudyFrames) -> bytes | None:
    """Table 1 as a figure: R² (equation 18) and PCC (equation 19) by kind.

    Args:
        frames: of the study.

    Returns:
        A PNG; None without any score.
    """
    import matplotlib

    rows = frames.rows
    protocols = protocols_of(rows)
    columns = [column for column in COLUMNS if column.protocol in protocols]
    found: dict[tuple[Column, str, str], NDArray[np.float64]] = {}
    if rows:
        sessions = frames.sessions["mean"].groupby(level=INDEX, observed=True)
        for column in columns:
            for name in names_of(rows):
                for causality in causalities_of(rows):
                    key = frames.key(column, causality, name)
                    if key in sessions.groups:
                        found[column, name, causality] = sessions.get_group(key).to_numpy()
    if not found:
        return None
    names = [name for name in names_of(rows) if any(key[1] == name for key in found)]
    causalities = [each for each in causalities_of(rows) if any(key[2] == each for key in found)]
    trained = {name_of(row) for row in rows if row["base"] is None}
    with matplotlib.rc_context(dict(STYLE)):
        panel, above, below, between = 0.42 * len(names) + 0.2, 0.75, 0.5, 0.75
        height = above + below + len(protocols) * (panel + between) - between
        figure = new_figure(11.0, height)
        grid = figure.add_gridspec(
            len(protocols), 2, left=0.155, right=0.985, bottom=below / height, top=1.0 - above / height,
            wspace=0.06, hspace=between / panel,
        )  # fmt: skip
        for place, column in enumerate(columns):
            axis = figure.add_subplot(grid[place // 2, place % 2])
            _panel(
                axis, column, names, causalities, {key[1:]: s for key, s in found.items() if key[0] == column}
            )
            if place % 2:
                axis.tick_params(labelleft=False)
                continue
            for label, name in zip(axis.get_yticklabels(), names, strict=True):
                label.set_fontstyle("normal" if name in trained else "italic")
        from matplotlib.lines import Line2D

        keys = [
            Line2D([], [], color=color, marker=marker, linestyle="none", label=CAUSALITIES.get(each, each))
            for each in causalities
            for color, marker in [_mark(each)]
        ]  # fmt: skip
        keys.append(Line2D([], [], color="0.2", marker="|", markersize=13, markeredgewidth=2.5,
                           linestyle="none", label="mean over sessions"))  # fmt: skip
        figure.legend(handles=keys, loc="upper left", bbox_to_anchor=(0.145, 1.0), ncols=len(keys),
                      frameon=False, fontsize=10)  # fmt: skip
        return png_of(figure)


def _panel(
    axis: Axes,
    column: Column,
    names: Sequence[str],
    causalities: Sequence[str],
    found: dict[tuple[str, str], NDArray[np.float64]],
) -> None:
    step = 0.7 / len(causalities)
    scores = [score for each in found.values() for score in each]
    left = max(LOWEST, min([0.0, *scores]) - 0.03)
    for row, name in enumerate(names):
        if row % 2:
            axis.axhspan(row - 0.5, row + 0.5, color="0.955", zorder=0, linewidth=0)
        for i, causality in enumerate(causalities):
            if (name, causality) in found:
                y = row + (i - (len(causalities) - 1) / 2) * step
                _dots(axis, found[name, causality], y, step, left, _mark(causality))
    axis.axvline(0.0, color="0.5", linewidth=0.8)
    axis.set(ylim=(len(names) - 0.5, -0.5), xlim=(left, 1.0))
    axis.set_yticks(range(len(names)), names, fontsize=10)
    axis.tick_params(axis="y", length=0)
    axis.grid(axis="x", alpha=0.3)
    what = "spikes to behaviour" if column.score == "r2_mean" else "behaviour to spikes"
    axis.set_title(f"{column.title}, {what}", loc="left", fontsize=10.5, fontweight="bold")
    if not found:
        axis.text(0.5, 0.5, "no scores", transform=axis.transAxes, ha="center", va="center")


def _dots(
    axis: Axes, values: NDArray[np.float64], y: float, step: float, left: float, mark: tuple[str, str]
) -> None:
    color, marker = mark
    mean = float(np.mean(values))
    inside: Any = values >= left
    axis.plot(
        values[inside], np.full(int(inside.sum()), y), marker, color=color, alpha=0.5, markersize=5,
        markeredgewidth=0, linestyle="none",
    )  # fmt: skip
    if mean >= left:
        axis.plot([mean] * 2, [y - 0.5 * step, y + 0.5 * step], color=color, linewidth=2.8,
                  solid_capstyle="butt")  # fmt: skip
    if not inside.all():
        lowest = float(values.min())
        text = f"◂ {lowest:.2f}" if (~inside).sum() == 1 else f"◂ {(~inside).sum()} to {lowest:.2f}"
        axis.text(left, y, text, color=color, fontsize=8, va="center", ha="left")


def _mark(causality: str) -> tuple[str, str]:
    return MARKS.get(causality, ("black", "D"))
