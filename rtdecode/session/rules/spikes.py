"""The rules of /events and /counts."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from rtdecode.session.diagnosis.arrays import as_integers
from rtdecode.session.diagnosis.by_hand import counts_from_one
from rtdecode.session.layout import Counts, Events
from rtdecode.session.raw import RawGroup
from rtdecode.session.rules.columns import (
    integer_column,
    number_attr,
    seconds_attr,
    table_column,
    time_column,
    unsound,
)
from rtdecode.session.schema import ANNOUNCED


def check_events(group: RawGroup, n_channels: int) -> Events:
    """Events from `time`, `channel` and optionally `unit`, stably sorted by time."""
    time, channel = time_column(group, "time"), integer_column(group, "channel", np.uint16)
    outside = channel >= n_channels
    if outside.any():
        row = int(outside.argmax())
        if counts_from_one(channel, n_channels):
            raise unsound(
                f"channels count from 1 (1 to {n_channels}, and n_channels is {n_channels})",
                f"{group.place}/channel",
            )
        raise unsound(
            f"channel {channel[row]} at row {row} is not below n_channels ({n_channels}); "
            f"{int(outside.sum())} of {len(channel)} rows (channels start at 0)",
            f"{group.place}/channel",
        )
    unit = narrow(integer_column(group, "unit", np.uint16)) if "unit" in group.columns else None
    if (time[1:] < time[:-1]).any():
        order = np.argsort(time, kind="stable")
        time, channel = time[order], channel[order]
        unit = None if unit is None else unit[order]
    return Events(time, channel, unit)


def check_counts(group: RawGroup, n_channels: int) -> Counts:
    """Counts from `values` and the attributes bin_width_s and t0_s, as u1 or u2."""
    bin_width_s = seconds_attr(group, "bin_width_s")
    values = table_column(group, "values", n_channels, "one column for every channel")
    if values.dtype not in (np.uint8, np.uint16):
        values = narrow(as_integers(values, np.uint16, f"{group.place}/values"))
    end = time_column(group, "end") if "end" in group.columns else None
    if end is not None and (len(end) != len(values) or (np.diff(end) <= 0).any()):
        raise unsound(
            f"the ends of {len(end)} of {len(values)} rows are given, and they do not all increase",
            f"{group.place}/end",
        )
    announced_s = number_attr(group, ANNOUNCED) if ANNOUNCED in group.attrs else None
    return Counts(values, bin_width_s, number_attr(group, "t0_s"), end, announced_s)


def narrow(values: NDArray[Any]) -> NDArray[Any]:
    """As u1 where they fit."""
    fits = values.size == 0 or bool(values.min() >= 0 and values.max() <= np.iinfo(np.uint8).max)
    return values.astype(np.uint8) if fits else values
