"""The paper's figures 5, 6 and 7 of a study's own sessions, as PNG.

Each returns None where no job left what it shows.
"""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from rtdecode.calibrate.studycases import SEED, Case, companion, draw_cases, shown_rows
from rtdecode.calibrate.studyrows import (
    CROSS_DAY,
    DECODING,
    FORMS,
    SIMULATION,
    SINGLE_DAY,
    Row,
    channel_correlation,
    finite,
    firing_pair,
    forms_of,
    main_split,
    name_of,
    names_of,
    number_of,
    pick,
    session_of,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

#: Cases of each protocol, and what is seen of each: the paper's number of bins of a raster, and seconds.
N_CASES, RASTER_BINS, SHOWN_S = 3, 100, 10.0

#: Channels in a group of figure 7, as in the paper.
GROUP = 8

#: As in the paper: red is recorded, blue is ours. Widths and dashes tell them apart without colours.
RECORDED, DECODED = "#c1272d", "#1b5fa8"

DPI = 150

STYLE: Mapping[str, Any] = MappingProxyType(
    {
        "font.family": "sans-serif",
        "font.size": 9,
        "axes.titlesize": 9,
        # Names come from files: "$" is no formula there.
        "text.parse_math": False,
        "axes.spines.top": False,
        "axes.spines.right": False,
    }
)

_BANDS = ((SINGLE_DAY, "single day"), (CROSS_DAY, "next day, trained on the days before"))


def traces_figure(rows: Sequence[Row], folder: Path) -> bytes | None:
    """Figure 5: decoded and recorded behaviour, x above y; three stretches of one day, three of a next one.

    The causal network and, dashed, the offline one of the same job. The numbers are R² of the whole
    held-out time (equation 18).

    Args:
        rows: of the study.
        folder: that the traces' paths start from.

    Returns:
        A PNG; None if no job of this direction left a trace.

    Raises:
        RtdecodeError: a trace cannot be read.
    """
    import matplotlib

    decoding = pick(rows, direction=DECODING)
    bands = [(title, _cases(decoding, protocol, folder, None)) for protocol, title in _BANDS]
    if not any(cases for _, cases in bands):
        return None
    with matplotlib.rc_context(dict(STYLE)):
        figure = new_figure(13.0, 8.6)
        grid = figure.add_gridspec(2, N_CASES, left=0.05, right=0.99, bottom=0.06, top=0.86, hspace=0.5)
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
        folder: that the traces' paths start from.

    Returns:
        A PNG; None if no job of this direction left a trace.

    Raises:
        RtdecodeError: a trace cannot be read.
    """
    import matplotlib

    simulating = pick(rows, direction=SIMULATION)
    bands = [(title, _cases(simulating, protocol, folder, RASTER_BINS)) for protocol, title in _BANDS]
    if not any(cases for _, cases in bands):
        return None
    with matplotlib.rc_context(dict(STYLE)):
        figure = new_figure(13.0, 11.6)
        grid = figure.add_gridspec(2, N_CASES, left=0.05, right=0.985, bottom=0.045, top=0.94, hspace=0.28)
        for band, (title, cases) in enumerate(bands):
            _band_title(figure, grid[band, 0].get_position(figure), title, cases)
            for column, case in enumerate(cases):
                inner = grid[band, column].subgridspec(2, 1, hspace=0.08)
                above = figure.add_subplot(inner[0])
                _rasters(above, figure.add_subplot(inner[1], sharex=above), case, column == 0)
        return png_of(figure)


def firing_figure(rows: Sequence[Row]) -> bytes | None:
    """Figure 7: the part of the bins in which a channel fired (equation 20), recorded and simulated.

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
        (title, jobs)
        for protocol, title in _BANDS
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
            figure.text(
                0.012, (top + 0.34) / height, f"{title}: {_what(example)}, {_shown(session_of(example))}",
                fontsize=11, fontweight="bold",
            )  # fmt: skip
            top -= band_height + 0.43
        return png_of(figure)


def new_figure(width: float, height: float) -> Figure:
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), facecolor="white")
    FigureCanvasAgg(figure)
    return figure


def png_of(figure: Figure) -> bytes:
    image = io.BytesIO()
    figure.savefig(image, dpi=DPI, format="png", metadata={"Software": None})
    return image.getvalue()


def _cases(rows: Sequence[Row], protocol: str, folder: Path, n_bins: int | None) -> list[Case]:
    chosen = shown_rows(pick(rows, protocol=protocol), folder)
    if not chosen:
        return []
    bins = n_bins if n_bins is not None else max(2, round(SHOWN_S / chosen[0]["bin_width_s"]))
    return draw_cases(chosen, folder, N_CASES, bins)


def _what(row: Row) -> str:
    return f"{FORMS.get(row['form'], row['form'])} {name_of(row)}"


def _shown(text: str, most: int = 34) -> str:
    """A name, cut in its middle where it is too long for a title."""
    return text if len(text) <= most else f"{text[: most - 13]}…{text[-12:]}"


def _case(case: Case) -> str:
    return f"{_shown(session_of(case.row))}, seed {case.row['seed']}"


def _band_title(figure: Figure, place: Any, title: str, cases: Sequence[Case]) -> None:
    inches = figure.get_figheight()
    text = f"{title}: {_what(cases[0].row)}" if cases else f"{title}: no job has left a trace"
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
        for label, y, style in (
            ("recorded", case.trace.targets, {"color": RECORDED, "linewidth": 2.0, "alpha": 0.8}),
            (f"decoded, {_what(case.row)}", case.trace.values, {"color": DECODED, "linewidth": 1.2}),
        ):
            (lines[label],) = axis.plot(t_s, y[:, column], **style)
        if pair is not None:
            (lines[f"decoded, {_what(pair.row)}"],) = axis.plot(
                pair.trace.t_s - start_s, pair.trace.values[:, column], color="0.25", linewidth=0.9,
                linestyle=(0, (3, 1.5)),
            )  # fmt: skip
        axis.set_ylabel(_shown(outputs[column], 12), rotation=0, labelpad=6, fontsize=10)
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
        f"{FORMS.get(each.row['form'], each.row['form'])} "
        + " ".join(number_of(_score(each.row, "r2", column), 2) for column in columns)
        for each in (case, pair)
        if each is not None
    ]
    names = ", ".join(_shown(outputs[column], 12) for column in columns)
    axes[0].set_title(f"{_case(case)}\nR² of {names}: {'; '.join(scores)}", loc="left", linespacing=1.3)
    return lines


def _score(row: Row, score: str, column: int) -> float:
    value = finite((row["r2"] if score == "r2" else row["pcc"])[column])
    return np.nan if value is None else value


def _rasters(above: Axes, below: Axes, case: Case, labelled: bool) -> None:
    trace, row = case.trace, case.row
    # Both in one shade per spike, so that rates can be compared by eye; the busiest bins saturate.
    most = max(1.0, float(np.percentile(trace.targets, 99.5)))
    # Rates show as grey shades, which must not pass for spikes.
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
    pcc = number_of(np.nan if row["pcc_mean"] is None else row["pcc_mean"], 2)
    above.set_title(f"{_case(case)}\nPCC, mean of channels: {pcc}", loc="left", linespacing=1.3)


def _preferred(rows: Sequence[Row]) -> list[Row]:
    """Jobs of the kind and form that figure 7 is of: AlignNet's before others', causal before offline."""
    trained = [row for row in rows if row["base"] is None] or list(rows)
    for name in reversed(names_of(trained)):
        for form in forms_of(pick(trained, name=name)):
            return pick(trained, name=name, form=form)
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
