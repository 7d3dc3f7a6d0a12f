"""Spikes in bins, from a source to the counts of a session."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from rtdecode.errors import RtdecodeError
from rtdecode.session.diagnosis.order import is_few
from rtdecode.session.doctor.values import WHOLE
from rtdecode.session.layout import Counts
from rtdecode.tools.files.channels import Channels
from rtdecode.tools.files.choice import Choice
from rtdecode.tools.files.recording import F8, BinnedSpikes

#: Part of a bin by which stamps of regular bins may miss.
REGULAR = 1e-3

#: An interval of more bins than this between two stamps is a hole.
HOLE_BINS = 1.5

#: Bins × channels; more than this means wrong stamps.
MAX_CELLS = 2**31

#: Where a stamp is in its bin: what is added to it for the bin's end, in bins.
TO_END = {"start": 1.0, "middle": 0.5, "end": 0.0}


@dataclass(frozen=True, eq=False)
class BinRows:
    """Rows of bins with holes filled.

    Attributes:
        counts: of a session; 0 in rows that fill holes.
        observed: f8[k, 2], the stretches that are no hole; None without holes.
        notes: what is odd, a sentence each.
    """

    counts: Counts
    observed: F8 | None
    notes: tuple[str, ...]


def read_counts(source: BinnedSpikes, channels: Channels, choice: Choice, where: str) -> BinRows:
    """The chosen counts on a grid without holes.

    Args:
        source: of spikes in bins.
        channels: of its units.
        choice: `time_unit_s`, `from_s`, `to_s`, `stamps`, `bin_width_s` and `rates` are used.
        where: the file, for errors.

    Raises:
        RtdecodeError: values are no counts, stamps do not rise or have no common interval, or no row is left.
    """
    where = f"{where} ({source.name})"
    stamp, values = source.read(channels.rows)
    stamp = stamp * _stamp_unit_s(source, choice, where)
    unknown = ~(np.isfinite(stamp) & np.isfinite(values).all(axis=1))
    notes = []
    if unknown.any():
        notes.append(f"left out {int(unknown.sum())} of {len(stamp)} bins that are NaN or infinite: holes")
        stamp, values = stamp[~unknown], values[~unknown]
    width_s = _width(stamp, source, choice, where)
    stated = "start" if source.stamps == "row" else source.stamps
    stamps = choice.stamps or stated or "start"
    end = stamp + TO_END[stamps] * width_s
    inside = (end - width_s >= choice.from_s - REGULAR * width_s) & (end <= choice.to_s + REGULAR * width_s)
    end, values = end[inside], values[inside]
    if not len(end):
        raise RtdecodeError("has no bins in the chosen time", where=where, fix="correct --from and --to")
    if choice.stamps is None and source.stamps is None:
        notes.append(
            "the file does not say whether stamps are of the start of bins: assumed; else --stamps end"
        )
    whole, rate_note = _whole(values, width_s, choice.rates or bool(source.units_of_values), where)
    summed = np.zeros((len(end), channels.n), np.int64)
    np.add.at(summed.T, channels.channel, whole.T)
    if summed.max(initial=0) > np.iinfo(np.uint16).max:
        raise RtdecodeError(
            f"has a count of {int(summed.max())} in a bin",
            where=where,
            fix="choose other spikes: these are no counts",
        )
    if (end[-1] - end[0]) / width_s * channels.n > MAX_CELLS:
        raise RtdecodeError(
            f"its bins of {width_s:g} s span {end[-1] - end[0]:,.0f} s: more than fit in memory",
            where=where,
            fix="state the unit of the stamps with --time-unit, or cut with --from and --to",
        )
    counts, observed = _on_grid(end, summed, width_s)
    return BinRows(counts, observed, tuple(notes + rate_note))


def _stamp_unit_s(source: BinnedSpikes, choice: Choice, where: str) -> float:
    """Seconds in a unit of the stamps; of numbers of rows it is the bin width."""
    if source.stamps != "row":
        return choice.time_unit_s
    if choice.bin_width_s is None:
        raise RtdecodeError(
            "has bins without a time or a width", where=where, fix="state their width with --bin-width, in s"
        )
    return choice.bin_width_s


def _width(stamp: F8, source: BinnedSpikes, choice: Choice, where: str) -> float:
    interval = np.diff(stamp)
    back = np.flatnonzero(interval <= 0)
    if back.size:
        row = int(back[0]) + 1
        trial = "" if is_few(len(back), len(stamp)) else ": these look like times since the start of a trial"
        raise RtdecodeError(
            f"stamps of bins do not increase at row {row} ({stamp[row - 1]:.6g} s, then {stamp[row]:.6g} s); "
            f"{len(back)} rows in total{trial}",
            where=where,
            fix="export stamps since the start of the recording",
        )
    stated = choice.bin_width_s or source.bin_width_s
    median = float(np.median(interval)) if interval.size else math.nan
    if stated is None and not median > 0:
        raise RtdecodeError("has a single bin of unknown width", where=where, fix="state it with --bin-width")
    # Differences of stamps such as 0.05 are 0.04999999999999716.
    width_s = float(f"{median:.9g}") if stated is None else stated
    if median > 0 and abs(median / width_s - 1.0) > 0.1:
        raise RtdecodeError(
            f"its bins are {width_s:g} s wide as stated, and their stamps are {median:g} s apart",
            where=where,
            fix="state the width with --bin-width, or the unit of the stamps with --time-unit",
        )
    return width_s


def _whole(values: F8, width_s: float, are_rates: bool, where: str) -> tuple[NDArray[np.int64], list[str]]:
    notes = []
    if are_rates:
        values = values * width_s
        notes.append("values are rates in Hz: multiplied by the bin width to counts")
    nearest = np.rint(values)
    if (off := np.abs(values - nearest) > WHOLE).any():
        row, column = np.unravel_index(int(off.argmax()), off.shape)
        raise RtdecodeError(
            f"holds {values[row, column]:g} in bin {row}"
            + (" after --rates" if are_rates else "")
            + f", not a whole number, and {int(off.sum())} more: these look like rates, perhaps smoothed",
            where=where,
            fix="import counts instead"
            + ("" if are_rates else "; --rates makes counts of rates in Hz that were not smoothed"),
        )
    if (nearest < 0).any():
        raise RtdecodeError(
            f"holds {nearest.min():g}, below 0: these are no counts", where=where, fix="choose other spikes"
        )
    return nearest.astype(np.int64), notes


def _on_grid(end: F8, values: NDArray[np.int64], width_s: float) -> tuple[Counts, F8 | None]:
    """Counts with a row for every bin from the first to the last, and the stretches between holes."""
    interval = np.diff(end)
    steps = np.where(interval > HOLE_BINS * width_s, np.maximum(np.rint(interval / width_s), 2), 1)
    row = np.concatenate(([0], np.cumsum(steps))).astype(np.intp)
    dtype = np.uint8 if values.max(initial=0) <= np.iinfo(np.uint8).max else np.uint16
    filled = np.zeros((int(row[-1]) + 1, values.shape[1]), dtype)
    filled[row] = values
    t0_s = float(end[0]) - width_s
    ends = np.interp(np.arange(len(filled)), row, end)
    grid = t0_s + np.arange(1, len(filled) + 1) * width_s
    regular = bool(np.all(np.abs(ends - grid) <= REGULAR * width_s))
    counts = Counts(filled, width_s, t0_s, None if regular else ends)
    breaks = np.flatnonzero(steps > 1)
    if not breaks.size:
        return counts, None
    start = np.concatenate(([end[0]], end[breaks + 1])) - width_s
    stop = np.concatenate((end[breaks], [end[-1]]))
    return counts, np.stack([start, stop], axis=1)
