"""The rules of regular samples: /features and /behavior."""

from __future__ import annotations

from collections import Counter

import numpy as np
from numpy.typing import NDArray

from rtdecode.artifact import FEATURE_KINDS
from rtdecode.errors import RtdecodeError
from rtdecode.session.diagnosis.arrays import check_numeric
from rtdecode.session.layout import Behavior, Features
from rtdecode.session.raw import RawGroup
from rtdecode.session.rules.columns import labels_attr, seconds_attr, time_column, unsound
from rtdecode.session.schema import ANNOUNCED_PERIOD


def check_features(group: RawGroup, n_channels: int) -> Features:
    """Features from `time`, `values` and the attributes names, kinds, units and period_s."""
    time, values = _sampled(group)
    names, kinds, units = (labels_attr(group, name, values.shape[1]) for name in ("names", "kinds", "units"))
    for what, wrong, fix in (
        ("a kind", set(kinds) - set(FEATURE_KINDS), f"use {', '.join(FEATURE_KINDS)}"),
        ("twice the name", {name for name, n in Counter(names).items() if n > 1}, "give each column its own"),
    ):
        if wrong:
            raise RtdecodeError(f"has {what} {min(wrong)!r}", where=group.place, fix=fix)
    announced_s = seconds_attr(group, ANNOUNCED_PERIOD) if ANNOUNCED_PERIOD in group.attrs else None
    return Features(time, values, names, kinds, units, seconds_attr(group, "period_s"), announced_s)


def check_behavior(group: RawGroup, n_channels: int) -> Behavior:
    """Behaviour from `time`, `values` and the attributes names and units."""
    time, values = _sampled(group)
    return Behavior(time, values, *(labels_attr(group, name, values.shape[1]) for name in ("names", "units")))


def _sampled(group: RawGroup) -> tuple[NDArray[np.float64], NDArray[np.float32]]:
    """The columns `time`, strictly increasing, and `values` f4[samples, columns] without infinity."""
    time, values, where = time_column(group, "time"), group.columns["values"], f"{group.place}/values"
    check_numeric(values, where)
    if values.ndim != 2 or values.shape[1] == 0:
        raise RtdecodeError(f"has shape {values.shape}", where=where, fix="store it as [samples, columns]")
    with np.errstate(over="ignore"):
        values = np.ascontiguousarray(values, dtype=np.float32)
    bad = np.isinf(values).any(axis=1)
    if bad.any():
        row = int(bad.argmax())
        raise unsound(f"{int(bad.sum())} of {len(time)} rows hold infinity, the first is row {row}", where)
    back = np.flatnonzero(time[1:] <= time[:-1])
    if back.size:
        row = int(back[0]) + 1
        raise unsound(
            f"time does not increase at row {row} ({time[row - 1]:.6f} s, then {time[row]:.6f} s); "
            f"{back.size} rows in total",
            f"{group.place}/time",
        )
    return time, values
