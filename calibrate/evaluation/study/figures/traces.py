"""The paper's figures 5 and 6 of a study's sessions, as PNG; None without data."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from rtdecode.calibrate.evaluation.study.figures.cases import Case, companion, draw_cases, shown_rows
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
    CAUSALITIES,
    DECODING,
    SIMULATION,
    Row,
    number_of,
    pick,
    protocols_of,
    session_of,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

#: Cases of each protocol, bins of a raster (the paper's), and seconds of a trace.
N_CASES, RASTER_BINS, SHOWN_S = 3, 100, 10.0


def traces_figure(rows: Sequence[Row], folder: Path) -> bytes | None:
    """Figure 5: decoded and recorded behaviour, x above y; three segments of each protocol.

    The causal network and, dashed, the offline one of the same task. The numbers are R² of all test bins
    (equation 18).

    Args:
        rows: of the study.
        folder: that the traces' paths are relative to.

    Returns:
        A PNG; None if no job of this direction has a trace.

    Raises:
        RtdecodeError: a trace cannot be read.
    """
    import matplotlib

    decoding = pick(rows, direction=DECODING)
    bands = [(protocol, _cases(decoding, protocol, folder, None)) for protocol in protocols_of(rows)]
    if not any(cases for _, cases in bands):
        return None
    with matplotlib.rc_context(dict(STYLE)):
        figure, grid = _banded(len(bands), 2.75, above=1.2, between=0.5, right=0.99)
        drawn: dict[str, Any] = {}
        for band, (title, cases) in enumerate(bands):
            _band_title(figure, grid[band, 0].get_position(figure), title, cases)
            for column, case in enumerate(cases):
                pair = companion(case, decoding, folder, "offline") if case.row["causal"] else None
                inner = grid[band, column].subgridspec(2, 1, hspace=0.12)
                axes = [figure.add_subplot(inner[0])]
                axes.append(figure.add_subplot(inner[1], sharex=axes[0]))
                drawn |= _traces(axes, case, pair)
        order = sorted(drawn, key=lambda label: (label != "recorded", label))
        figure.legend(
            [drawn[label] for label in order], order, loc="upper left", bbox_to_anchor=(0.04, 0.995),
            ncols=len(order), frameon=False, fontsize=10,
        )  # fmt: skip
        return png_of(figure)


def raster_figure(rows: Sequence[Row], folder: Path) -> bytes | None:
    """Figure 6: recorded spikes above simulated ones, channels by 100 bins; three of each protocol.

    Args:
        rows: of the study.
        folder: that the traces' paths are relative to.

    Returns:
        A PNG; None if no job of this direction has a trace.

    Raises:
        RtdecodeError: a trace cannot be read.
    """
    import matplotlib

    simulating = pick(rows, direction=SIMULATION)
    bands = [(protocol, _cases(simulating, protocol, folder, RASTER_BINS)) for protocol in protocols_of(rows)]
    if not any(cases for _, cases in bands):
        return None
    with matplotlib.rc_context(dict(STYLE)):
        figure, grid = _banded(len(bands), 4.55, above=0.7, between=0.28, right=0.985)
        for band, (title, cases) in enumerate(bands):
            _band_title(figure, grid[band, 0].get_position(figure), title, cases)
            for column, case in enumerate(cases):
                inner = grid[band, column].subgridspec(2, 1, hspace=0.08)
                above = figure.add_subplot(inner[0])
                _rasters(above, figure.add_subplot(inner[1], sharex=above), case, column == 0)
        return png_of(figure)


def _cases(rows: Sequence[Row], protocol: str, folder: Path, n_bins: int | None) -> list[Case]:
    chosen = shown_rows(pick(rows, protocol=protocol), folder)
    if not chosen:
        return []
    bins = n_bins if n_bins is not None else max(2, round(SHOWN_S / chosen[0]["bin_width_s"]))
    return draw_cases(chosen, folder, N_CASES, bins)


def _case(case: Case) -> str:
    return f"{shortened(session_of(case.row))}, seed {case.row['seed']}"


def _banded(n_bands: int, band: float, *, above: float, between: float, right: float) -> tuple[Figure, Any]:
    """A figure of bands `band` inches high, `between` times that apart, below `above` inches of heading."""
    below = 0.52
    height = above + below + band * (n_bands + between * (n_bands - 1))
    figure = new_figure(13.0, height)
    return figure, figure.add_gridspec(
        n_bands, N_CASES, left=0.05, right=right, bottom=below / height, top=1.0 - above / height,
        hspace=between,
    )  # fmt: skip


def _band_title(figure: Figure, place: Any, title: str, cases: Sequence[Case]) -> None:
    inches = figure.get_figheight()
    text = f"{title}: {what_of(cases[0].row)}" if cases else f"{title}: no job has a trace"
    figure.text(0.012, place.y1 + 0.42 / inches, text, fontsize=11, fontweight="bold")


def _traces(axes: Sequence[Axes], case: Case, pair: Case | None) -> dict[str, Any]:
    """Draw a case; lines by their label."""
    outputs = case.row["outputs"]
    columns = [outputs.index(name) for name in ("x", "y") if name in outputs]
    columns = columns if len(columns) == 2 else list(range(min(2, len(outputs))))
    start_s = float(case.trace.t_s[0])
    lines: dict[str, Any] = {}
    for axis, column in zip(axes, columns, strict=False):
        t_s = case.trace.t_s - start_s
        (lines["recorded"],) = axis.plot(
            t_s, case.trace.targets[:, column], color=RECORDED, linewidth=2.0, alpha=0.8
        )
        (lines[f"decoded, {what_of(case.row)}"],) = axis.plot(
            t_s, case.trace.values[:, column], color=DECODED, linewidth=1.2
        )
        if pair is not None:
            (lines[f"decoded, {what_of(pair.row)}"],) = axis.plot(
                pair.trace.t_s - start_s, pair.trace.values[:, column], color="0.25", linewidth=0.9,
                linestyle=(0, (3, 1.5)),
            )  # fmt: skip
        axis.set_ylabel(shortened(outputs[column], 12), rotation=0, labelpad=6, fontsize=10)
        axis.margins(x=0.005)
        axis.grid(alpha=0.25, linewidth=0.6)
        axis.tick_params(labelsize=8)
    for axis in axes[len(columns) :]:
        axis.set_axis_off()
    last = axes[max(len(columns) - 1, 0)]
    last.set_xlabel(f"s, from {start_s:.1f} s of the session", fontsize=8.5, labelpad=1)
    for axis in axes:
        if axis is not last:
            axis.tick_params(labelbottom=False)
    scores = [
        f"{CAUSALITIES.get(each.row['form'], each.row['form'])} "
        + " ".join(number_of(_value(each.row["r2"][column]), 2) for column in columns)
        for each in (case, pair)
        if each is not None
    ]
    names = ", ".join(shortened(outputs[column], 12) for column in columns)
    axes[0].set_title(f"{_case(case)}\nR² of {names}: {'; '.join(scores)}", loc="left", linespacing=1.3)
    return lines


def _value(score: float | None) -> float:
    return np.nan if score is None else score


def _rasters(above: Axes, below: Axes, case: Case, labelled: bool) -> None:
    trace, row = case.trace, case.row
    # One grey scale for both, so that rates can be compared by eye; the busiest bins saturate.
    most = max(1.0, float(np.percentile(trace.targets, 99.5)))
    # Rates appear as shades of grey, which must not be taken for spikes.
    whole = bool(np.all(trace.values == np.round(trace.values)))
    names = ("recorded", "simulated" if whole else "simulated (expected spikes)")
    for axis, values, name in zip((above, below), (trace.targets, trace.values), names, strict=True):
        axis.imshow(
            values.T, aspect="auto", cmap="gray_r", vmin=0.0, vmax=most, interpolation="antialiased",
            extent=(0, len(values), values.shape[1] - 0.5, -0.5),
        )  # fmt: skip
        axis.spines[["top", "right"]].set_visible(True)
        axis.tick_params(labelsize=8)
        if labelled:
            axis.set_ylabel(f"channel, {name}")
        else:
            axis.set_ylabel(name)
    above.tick_params(labelbottom=False)
    below.set_xlabel(f"bin of {1e3 * row['bin_width_s']:g} ms", fontsize=8.5, labelpad=1)
    pcc = number_of(_value(row["pcc_mean"]), 2)
    above.set_title(f"{_case(case)}\nPCC, mean of channels: {pcc}", loc="left", linespacing=1.3)
