"""The figures of a calibration's report, as one SVG; they stay readable without colour."""

from __future__ import annotations

import io
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from rtdecode.artifact import Output
from rtdecode.calibrate.adaptation.gate import Verdict
from rtdecode.calibrate.channels.checkup import Channels
from rtdecode.kernels.arrays import Mask

if TYPE_CHECKING:
    from matplotlib.axes import Axes


#: Time of the test part that is shown, and number of outputs.
SHOWN_S, SHOWN_OUTPUTS = 20.0, 4

#: Number of channels of a kind that a scatter labels, and lowest R² of tuning that it shows.
NAMED, MIN_TUNING_R2 = 8, 0.03

#: Rates at the ticks.
RATES_HZ = (0.1, 1.0, 10.0, 100.0)

TRUE, NEW, OTHER = "#000000", "#c1272d", "#1b6ca8"

_STYLE: dict[str, Any] = {
    "svg.fonttype": "none",
    "svg.hashsalt": "rtdecode",
    "font.family": "sans-serif",
    "font.size": 8,
    # Names are from files: "$" is no formula there.
    "text.parse_math": False,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "hatch.linewidth": 0.5,
}

_BELOW: dict[str, Any] = {"loc": "upper center", "bbox_to_anchor": (0.5, -0.15)}


def draw_svg(
    channels: Channels,
    outputs: Sequence[Output],
    bin_width_s: float,
    *,
    verdict: Verdict | None = None,
    decoded: NDArray[np.floating] | None = None,
    targets: NDArray[np.floating] | None = None,
) -> str:
    """The figures as an `<svg>` element.

    Args:
        channels: the session's channels beside the base's.
        outputs: D.
        bin_width_s: seconds.
        verdict: with the scores; None without labels.
        decoded, targets: f[T, D] of the test part; None without labels.
    """
    import matplotlib
    from matplotlib.figure import Figure

    image = io.StringIO()
    shown = 0 if decoded is None or targets is None else min(len(outputs), SHOWN_OUTPUTS)
    height = 3.1 + 0.85 * shown
    with matplotlib.rc_context(_STYLE):
        figure = Figure(figsize=(10.0, height))
        # By hand: an automatic layout draws everything twice, and takes twice the time.
        below = figure.add_gridspec(
            1, 3, left=0.065, right=0.985, bottom=0.6 / height, top=2.8 / height, wspace=0.28
        )
        if decoded is not None and targets is not None:
            rows = slice(0, max(2, round(SHOWN_S / bin_width_s)))
            above = figure.add_gridspec(
                shown, 1, left=0.065, right=0.985, bottom=3.4 / height, top=1.0 - 0.25 / height, hspace=0.15
            )
            axes = [figure.add_subplot(above[i, 0]) for i in range(shown)]
            for column, axis in enumerate(axes):
                _trace(axis, outputs[column], decoded[rows, column], targets[rows, column], bin_width_s)
            axes[0].set_title("test part, not used for training", loc="left")
            axes[0].legend(frameon=False, ncols=2, loc="lower right", bbox_to_anchor=(1.0, 0.95))
            axes[-1].set_xlabel("s", labelpad=0)
            for axis in axes[:-1]:
                axis.tick_params(labelbottom=False)
        _rates(figure.add_subplot(below[0, 0]), channels, bin_width_s)
        _tuning(figure.add_subplot(below[0, 1]), channels, outputs)
        _scores(figure.add_subplot(below[0, 2]), outputs, verdict)
        figure.savefig(image, format="svg", metadata={"Date": None, "Creator": None})
    text = image.getvalue()
    return text[text.index("<svg") :]


def direction_pair(outputs: Sequence[Output]) -> tuple[int, int] | None:
    """The two outputs that span a plane: the first two velocities, else the first two positions."""
    for role in ("velocity", "position"):
        columns = [i for i, output in enumerate(outputs) if output.role == role]
        if len(columns) >= 2:
            return columns[0], columns[1]
    return None


def _trace(
    axis: Axes,
    output: Output,
    decoded: NDArray[np.floating],
    targets: NDArray[np.floating],
    bin_width_s: float,
) -> None:
    time = np.arange(len(decoded)) * bin_width_s
    axis.plot(time, targets, color=TRUE, linewidth=1.6, alpha=0.45, label="true")
    axis.plot(time, decoded, color=NEW, linewidth=1.1, linestyle=(0, (4, 1)), label="decoded")
    axis.set_ylabel(f"{output.name}\n{output.units}" if output.units else output.name, fontsize=7.5)
    axis.yaxis.set_label_coords(-0.038, 0.5)
    axis.margins(x=0.005)


def _rates(axis: Axes, channels: Channels, bin_width_s: float) -> None:
    """Today's rates against the base's."""
    least = 0.03
    before = np.maximum(np.nan_to_num(channels.base.mean / bin_width_s, nan=0.0), least)
    now = np.maximum(channels.today.mean / bin_width_s, least)
    odd = channels.noisy | channels.silent | channels.new
    usual = ~odd & ~channels.never
    most = 1.5 * max(before.max(initial=1.0), now.max(initial=1.0))
    axis.plot([least, most], [least, most], color="0.6", linewidth=0.8)
    groups = (
        (usual, "o", "none", OTHER, "usual"),
        (channels.silent, "v", "black", "black", "silent today"),
        (channels.new, "^", "none", "black", "new today"),
        (channels.noisy, "s", NEW, NEW, "noisy, masked"),
    )
    for which, marker, face, edge, label in groups:
        if which.any():
            axis.scatter(
                before[which], now[which], s=16, marker=marker, facecolors=face, edgecolors=edge,
                linewidths=0.9, label=label,
            )  # fmt: skip
    # Many labels would overlap; the text lists all channels.
    named = [which for which in (channels.noisy, channels.silent) if which.sum() <= NAMED]
    for channel in np.flatnonzero(np.any(named, axis=0)) if named else ():
        axis.annotate(
            str(channel), (before[channel], now[channel]), xytext=(3, 2), textcoords="offset points", size=6.5
        )
    axis.set(xscale="log", yscale="log", xlabel="base, Hz", ylabel="today, Hz")
    for side in (axis.xaxis, axis.yaxis):
        side.set_ticks(RATES_HZ, [f"{hz:g}" for hz in RATES_HZ])
        side.minorticks_off()
    axis.set(xlim=(0.8 * least, most), ylim=(0.8 * least, most))
    axis.set_title("rates of channels", loc="left")
    axis.legend(frameon=False, fontsize=6.5, ncols=4, handletextpad=0.0, columnspacing=0.7, **_BELOW)


def _tuning(axis: Axes, channels: Channels, outputs: Sequence[Output]) -> None:
    """Preferred directions today against the base's; the size of a circle is the depth of tuning."""
    axis.set_title("preferred directions", loc="left")
    now, before, pair = channels.today.tuning, channels.base.tuning, direction_pair(outputs)
    if pair is None or now is None or before is None:
        reason = (
            "no two outputs span a plane" if pair is None
            else "no labels today" if now is None
            else "the base keeps no tuning"
        )  # fmt: skip
        _not_available(axis, reason)
        return
    tuned = tuned_in_both(channels)
    (depth, angle), (_, angle_before) = (each.depth_and_direction(pair) for each in (now, before))
    axis.plot([-180, 180], [-180, 180], color="0.6", linewidth=0.8)
    for shift in (-360, 360):
        axis.plot([-180, 180], [-180 + shift, 180 + shift], color="0.6", linewidth=0.8)
    axis.scatter(
        np.degrees(angle_before[tuned]), np.degrees(angle[tuned]), s=4 + 150 * depth[tuned] ** 2,
        facecolors="none", edgecolors=OTHER, linewidths=0.9,
    )  # fmt: skip
    ticks = [-180, -90, 0, 90, 180]
    axis.set(xlim=(-190, 190), ylim=(-190, 190), xticks=ticks, yticks=ticks)
    axis.set(xlabel="base, degrees", ylabel="today, degrees")
    names = f"{outputs[pair[0]].name}, {outputs[pair[1]].name}"
    if tuned.any():
        turned = turned_degrees(channels, pair)
        axis.set_title(f"preferred directions ({names}): turned by {turned:.0f}°", loc="left")


def _not_available(axis: Axes, reason: str) -> None:
    """The reason in place of a panel."""
    axis.text(0.5, 0.5, f"not available:\n{reason}", ha="center", va="center", transform=axis.transAxes)
    axis.set_axis_off()


def tuned_in_both(channels: Channels) -> Mask:
    """Channels bool[C] whose rates the outputs explain, today and in the base."""
    now, before = channels.today.tuning, channels.base.tuning
    if now is None or before is None:
        return np.zeros(len(channels.noisy), np.bool_)
    return (now.r2 >= MIN_TUNING_R2) & (before.r2 >= MIN_TUNING_R2) & ~channels.noisy


def turned_degrees(channels: Channels, pair: tuple[int, int]) -> float:
    """Median angle between preferred directions in the base and today; 90 for unrelated ones."""
    now, before, tuned = channels.today.tuning, channels.base.tuning, tuned_in_both(channels)
    if now is None or before is None or not tuned.any():
        return float("nan")
    (_, angle), (_, angle_before) = (each.depth_and_direction(pair) for each in (now, before))
    apart = np.angle(np.exp(1j * (angle - angle_before)))[tuned]
    return float(np.degrees(np.median(np.abs(apart))))


def _scores(axis: Axes, outputs: Sequence[Output], verdict: Verdict | None) -> None:
    axis.set_title("R² in the test part", loc="left")
    if verdict is None:
        _not_available(axis, "no labels today")
        return
    groups = [
        (score, label, face, hatch)
        for score, label, face, hatch in (
            (verdict.new, "new", NEW, ""),
            (verdict.incumbent, "in use", "white", "////"),
            (verdict.wiener, "Wiener filter", "0.8", ".."),
        )
        if score is not None
    ]
    center, width = np.arange(len(outputs)), 0.8 / len(groups)
    for i, (score, label, face, hatch) in enumerate(groups):
        axis.bar(
            center + (i - (len(groups) - 1) / 2) * width, np.nan_to_num(score), width, label=label,
            facecolor=face, edgecolor="black", linewidth=0.7, hatch=hatch,
        )  # fmt: skip
    axis.set_xticks(center, [output.name for output in outputs])
    lowest = min(float(np.nanmin(score, initial=0.0)) for score, *_ in groups)
    axis.set_ylim(max(-1.0, lowest), 1.0)
    axis.axhline(0.0, color="black", linewidth=0.7)
    axis.legend(frameon=False, fontsize=6.5, ncols=3, **_BELOW)
