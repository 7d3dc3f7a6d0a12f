"""Faults of a group that have no right repair, or more than one: the file has to be exported again.

Both the strict check and the repair refuse them, so that no repair leaves out what was good.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from rtdecode.errors import RtdecodeError
from rtdecode.session.diagnosis.clocks import TOO_ROUNDED_S, rounded, rounding_s
from rtdecode.session.diagnosis.order import is_few, rising_rows
from rtdecode.session.raw import RawGroup
from rtdecode.session.schema import SAMPLED

#: A channel counted from 1 as the last of all has this part of the median channel's spikes.
LEAST_SPIKES = 0.05

FLOAT64 = "store the times as float64 and export it again"


def refuse_unrepairable(name: str, group: RawGroup, n_channels: int) -> None:
    """Refuse what `--repair` cannot repair without a loss of good data.

    Args:
        name: of the group.
        group: its arrays, turned to the shapes of the format.
        n_channels: of the session.

    Raises:
        RtdecodeError: lengths that differ by more than a few rows, many channels that do not exist, times
            that float32 has rounded, or behaviour that is in no right order.
    """
    _check_lengths(group)
    if name in ("events", *SAMPLED):
        _check_rounding(group)
    if name == "events":
        _check_channels(group, n_channels)
    if name in SAMPLED:
        _check_order(group)


def counts_from_one(channel: NDArray[Any], n_channels: int) -> bool:
    """Whether channels are 1 to n_channels, the last one no accident: then each is one too high."""
    if not channel.size or channel.min() != 1 or channel.max() != n_channels:
        return False
    spikes = np.bincount(channel.astype(np.int64))[1:]
    return bool(spikes[-1] >= max(1.0, LEAST_SPIKES * float(np.median(spikes[spikes > 0]))))


def _check_lengths(group: RawGroup) -> None:
    lengths = {column: len(values) for column, values in group.columns.items()}
    longest = max(lengths.values())
    if not is_few(longest - min(lengths.values()), longest):
        listed = ", ".join(f"{column} {length}" for column, length in lengths.items())
        raise RtdecodeError(
            f"has datasets of different lengths ({listed}), so it is unknown which rows belong together",
            where=group.place,
            fix="correct what exported the recording",
        )


def _check_rounding(group: RawGroup) -> None:
    time = group.columns["time"]
    if rounding_s(time) > TOO_ROUNDED_S:
        raise RtdecodeError(str(rounded(time)), where=f"{group.place}/time", fix=FLOAT64)


def _check_channels(group: RawGroup, n_channels: int) -> None:
    channel = group.columns["channel"]
    if channel.ndim != 1 or channel.dtype.kind not in "iuf" or not channel.size:
        return
    outside = (channel < 0) | (channel >= n_channels)
    n = int(outside.sum())
    if not n or counts_from_one(channel, n_channels):
        return
    row, highest = int(outside.argmax()), channel.max()
    shifted = channel.min() == 1 and highest == n_channels
    if shifted or (highest >= n_channels and not is_few(n, len(channel))):
        raise RtdecodeError(
            f"channel {channel[row]:g} at row {row} is not below n_channels ({n_channels}); {n} of "
            f"{len(channel)} rows, the highest is {highest:g}",
            where=f"{group.place}/channel",
            fix=f"set n_channels to at least {highest + 1:g}, or number channels from 0 to {n_channels - 1}",
        )


def _check_order(group: RawGroup) -> None:
    time, values = group.columns["time"], group.columns["values"]
    sound = time.ndim == 1 and values.ndim == 2 and len(time) == len(values)
    if not sound or time.dtype.kind not in "iuf" or values.dtype.kind not in "iufb":
        return
    finite = np.isfinite(time)
    times = time[finite]
    back = np.flatnonzero(times[1:] <= times[:-1])
    if not back.size or rising_rows(times, values[finite].astype(np.float64)) is not None:
        return
    where, step = f"{group.place}/time", rounded(time)
    row = int(back[0]) + 1
    at = f"row {row} ({times[row - 1]:.6f} s, then {times[row]:.6f} s)"
    if step is not None:
        raise RtdecodeError(f"time does not increase at {at}: it {step}", where=where, fix=FLOAT64)
    raise RtdecodeError(
        f"time does not increase at {at}; {back.size} rows in total, as of two recordings or of a clock "
        "that stops or is set back, so no order of the rows is right",
        where=where,
        fix="store each recording in a file of its own, on one clock",
    )
