"""O'Doherty's reaches of Indy and Loco (Zenodo 3854034)."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from rtdecode.kernels.arrays import F8
from rtdecode.tools.files.matlab.lazy import Lazy
from rtdecode.tools.files.matlab.parts import all_different, series, spike_times
from rtdecode.tools.files.matlab.values import numbers, texts, vector
from rtdecode.tools.files.recording import Recording, Series, SpikeTimes, TrialTable, UnitTable


def indy(top: Lazy) -> Recording | None:
    """`spikes` {channel, unit} with the unsorted ones first, `t`, `chan_names`, cursor, finger and target."""
    if not {"spikes", "t", "chan_names"} <= top.keys():
        return None
    names, time, cells = texts(top["chan_names"]), vector(top["t"]), top["spikes"]
    if not names or time is None or not isinstance(cells, np.ndarray) or cells.dtype != object:
        return None
    if cells.shape[0] != len(names):
        cells = cells.T
    if cells.shape[0] != len(names):
        return None
    found: list[Series] = []
    if (cursor := _samples(top, "cursor_pos", time)) is not None:
        found.append(series("cursor_pos", time, cursor, units=("mm",) * cursor.shape[1]))
    if (finger := _samples(top, "finger_pos", time)) is not None and finger.shape[1] in (3, 6):
        # It is kept as z, -x, -y, and of six columns azimuth, elevation and roll.
        axes = np.stack((-finger[:, 1], -finger[:, 2], finger[:, 0]), axis=1)
        columns = ("x", "y", "z", "azimuth", "elevation", "roll")[: finger.shape[1]]
        values = np.concatenate((axes, finger[:, 3:]), axis=1)
        units = ("cm", "cm", "cm", "", "", "")[: finger.shape[1]]
        found.append(series("finger_pos", time, values, columns, units))
    target = _samples(top, "target_pos", time)
    trials = () if target is None or not len(time) else (_trials(time, target),)
    return Recording(Path(), "Zenodo Indy/Loco", (_spikes(names, cells),), tuple(found), trials)


def _spikes(names: list[str], cells: Any) -> SpikeTimes:
    """A row for the unsorted spikes of each channel, and one for each unit that has any."""
    ids, electrodes, numbers_, times = [], [], [], []
    for channel, name in enumerate(names):
        for unit in range(cells.shape[1]):
            of_unit = vector(cells[channel, unit])
            spikes = np.zeros(0) if of_unit is None else of_unit
            if unit == 0 or len(spikes):
                ids.append(f"{name}.{unit}")
                electrodes.append(name)
                numbers_.append(unit)
                times.append(spikes)
    arrays = tuple(name.split()[0] if " " in name else "" for name in electrodes)
    several = len({*arrays}) > 1
    table = UnitTable(
        all_different(ids), tuple(electrodes), np.array(numbers_, np.int64), arrays if several else ()
    )
    return spike_times("spikes", table, times)


def _samples(top: Mapping[str, Any], name: str, time: F8) -> F8 | None:
    values = numbers(top.get(name))
    return values if values is not None and values.ndim == 2 and len(values) == len(time) else None


def _trials(time: F8, target: F8) -> TrialTable:
    """A trial lasts from one step of the target to the next."""
    step = np.any(target[1:] != target[:-1], axis=1) & np.isfinite(target[1:]).all(axis=1)
    first = np.concatenate(([0], np.flatnonzero(step) + 1))
    stop = np.concatenate((time[first[1:]], time[-1:]))
    return TrialTable("target_pos", time[first], stop, {"target": target[first, :2]})
