"""The paper's figure 7 of a study's sessions: the firing fraction of each channel, recorded and simulated."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from rtdecode.calibrate.evaluation.study.figures.cases import SEED
from rtdecode.calibrate.evaluation.study.figures.style import (
    DECODED,
    RECORDED,
    STYLE,
    new_figure,
    png_of,
    shortened,
    what_of,
)
from rtdecode.calibrate.evaluation.study.rows import (
    CROSS_DAY,
    SIMULATION,
    SINGLE_DAY,
    Row,
    causalities_of,
    channel_correlation,
    firing_pair,
    main_split,
    names_of,
    number_of,
    pick,
    session_of,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

#: Channels in a group, as in the paper.
GROUP = 8


def firing_figure(rows: Sequence[Row]) -> bytes | None:
    """Figure 7: the fraction of bins in which a channel fired (equation 20), recorded and simulated.

    Groups of 8 channels of one session of each protocol, drawn at random, and beside them all channels of
    all sessions, with the correlation over them (equation 19).

    Args:
        rows: of the study.

    Returns:
        A PNG; None if no job has firing fractions.
    """
    import matplotlib

    found = [row for row in pick(rows, direction=SIMULATION) if row["firing"] is not None]
    bands = [
        (protocol, jobs)
        for protocol in (SINGLE_DAY, CROSS_DAY)
        if (jobs := _preferred(pick(found, protocol=protocol, split=main_split(found))))
    ]
    if not bands:
        return None
    with matplotlib.rc_context(dict(STYLE)):
        examples = [_example(jobs) for _, jobs in bands]
        lines = [-(-len(row["outputs"]) // (4 * GROUP)) for row in examples]
        heights = [max(1.35 * n, 3.4) for n in lines]
        height = sum(heights) + 1.05 * len(bands) + 0.1
        figure = new_figure(13.0, height)
        top = height
        for (title, jobs), example, n_lines, band_height in zip(bands, examples, lines, heights, strict=True):
            top -= 0.62
            edges = {"top": top / height, "bottom": (top - band_height) / height}
            left = figure.add_gridspec(n_lines, 4, left=0.045, right=0.64, hspace=0.32, wspace=0.22, **edges)
            _groups(figure, left, example)
            _scatter(figure.add_subplot(figure.add_gridspec(1, 1, left=0.715, right=0.985, **edges)[0]), jobs)
            text = f"{title}: {what_of(example)}, {shortened(session_of(example))}"
            figure.text(0.012, (top + 0.34) / height, text, fontsize=11, fontweight="bold")
            top -= band_height + 0.43
        return png_of(figure)


def _preferred(rows: Sequence[Row]) -> list[Row]:
    """Jobs of the kind and causality that figure 7 shows: AlignNet before others, causal before offline."""
    trained = [row for row in rows if row["base"] is None] or list(rows)
    for name in reversed(names_of(trained)):
        for causality in causalities_of(pick(trained, name=name)):
            return pick(trained, name=name, causality=causality)
    return []


def _example(rows: Sequence[Row]) -> Row:
    ordered = sorted(rows, key=lambda row: (session_of(row), row["seed"], row["job"]))
    return ordered[int(np.random.default_rng(SEED).integers(len(ordered)))]


def _groups(figure: Figure, grid: Any, row: Row) -> None:
    assert row["firing"] is not None
    both = np.array([row["firing"]["recorded"], row["firing"]["simulated"]], dtype=np.float64)
    n_channels = both.shape[1]
    most = max(0.05, 1.08 * float(np.nanmax(both, initial=0.0)))
    n_groups = -(-n_channels // GROUP)
    for group in range(n_groups):
        axis = figure.add_subplot(grid[group // 4, group % 4])
        channels = np.arange(group * GROUP, min((group + 1) * GROUP, n_channels))
        for values, shift, color, label in (
            (both[0], -0.2, RECORDED, "recorded"),
            (both[1], 0.2, DECODED, "simulated"),
        ):
            axis.barh(channels + shift, values[channels], 0.4, color=color, label=label)
        axis.set(xlim=(0.0, most), ylim=(group * GROUP + GROUP - 0.4, group * GROUP - 0.6))
        axis.set_yticks(channels[:: GROUP - 1] if len(channels) == GROUP else channels[:1])
        axis.tick_params(labelsize=7.5, length=2)
        if group + 4 < n_groups:
            axis.tick_params(labelbottom=False)
        else:
            axis.set_xlabel("part of bins with a spike", fontsize=8, labelpad=1)
        if group == 0:
            axis.legend(frameon=False, fontsize=7.5, loc="lower right", bbox_to_anchor=(4.7, 1.0), ncols=2)


def _scatter(axis: Axes, rows: Sequence[Row]) -> None:
    pairs = [firing_pair(row["firing"]) for row in rows if row["firing"] is not None]
    recorded: NDArray[np.float64] = np.concatenate([pair[0] for pair in pairs])
    simulated: NDArray[np.float64] = np.concatenate([pair[1] for pair in pairs])
    most = max(0.05, 1.05 * float(max(recorded.max(initial=0.0), simulated.max(initial=0.0))))
    axis.plot([0.0, most], [0.0, most], color="0.6", linewidth=0.8)
    axis.plot(recorded, simulated, "o", markersize=3.2, color=DECODED, alpha=0.45, markeredgewidth=0)
    axis.set(xlim=(0.0, most), ylim=(0.0, most), aspect="equal", anchor="W")
    axis.set_xlabel("recorded, part of bins with a spike", labelpad=1)
    axis.set_ylabel("simulated", labelpad=2)
    sessions = len({session_of(row) for row in rows})
    jobs = f"{sessions} session{'s' if sessions > 1 else ''}, {len(rows)} job{'s' if len(rows) > 1 else ''}"
    axis.set_title(f"all channels of {jobs}: r = {number_of(channel_correlation(recorded, simulated), 2)}",
                   loc="left")  # fmt: skip
