"""Times of spikes in cells or structs, nested or not, such as nelpy's {day}{tetrode}{cell}.time."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from rtdecode.kernels.arrays import F8
from rtdecode.tools.files.matlab.lazy import Lazy
from rtdecode.tools.files.matlab.parts import all_different, plain_table, spike_times, unit_table
from rtdecode.tools.files.matlab.values import number, texts, vector
from rtdecode.tools.files.recording import Recording, SpikeTimes, UnitTable

#: Names of the field of a unit that holds its spikes.
TIMES = ("time", "times", "spike_times", "spikeTimes", "spiketimes", "timestamps", "ts", "spikes")

#: Names of the field that names a unit.
NAMES = ("name", "label", "id")

#: Names of the fields of a unit that hold its electrode, and its number there.
CHANNELS, UNITS = ("chan", "channel", "electrode"), ("ID", "unit", "cluster")

#: Deepest nesting.
DEEPEST = 6


class _Leaf(NamedTuple):
    """A unit: where it is, from 1; its spikes; its name, channel and number, and when it was recorded."""

    place: tuple[int, ...]
    time: F8
    name: str = ""
    observed: tuple[float, ...] = ()
    channel: tuple[float, float] | None = None


def cells(top: Lazy) -> Recording | None:
    """Every variable, and field of one, that is nothing but units with their spikes."""
    candidates = [(name, top[name]) for name in top.nested]
    for name, value in list(candidates):
        if isinstance(value, Lazy):
            candidates += [(f"{name}.{field}", value[field]) for field in value]
    found = tuple(spikes for name, value in candidates if (spikes := _spikes(name, value)) is not None)
    taken = {spikes.name.partition(".")[0] for spikes in found}
    others = tuple((name, "beside cells of spikes no more is read") for name in top if name not in taken)
    return Recording(Path(), "cells of spikes", found, others=others) if found else None


def _spikes(name: str, value: Any) -> SpikeTimes | None:
    """A row for each unit that has spikes."""
    if not isinstance(value, list | Mapping) and not (
        isinstance(value, np.ndarray) and value.dtype == object
    ):
        return None
    leaves = list(_leaves(value, ()))
    known = [leaf for leaf in leaves if leaf is not None and len(leaf.time)]
    if not known or None in leaves:
        return None
    observed = {leaf.observed for leaf in known}
    interval = np.array(observed.pop()).reshape(1, 2) if len(observed) == 1 and () not in observed else None
    return spike_times(name, _table(known), [leaf.time for leaf in known], interval)


def _leaves(value: Any, place: tuple[int, ...]) -> Iterator[_Leaf | None]:
    """The units in a value; None for what is neither one nor empty."""
    if len(place) > DEEPEST:
        yield None
    elif isinstance(value, Mapping):
        field = next((name for name in TIMES if name in value), "")
        if isinstance(value.get(field), Mapping):
            yield from (_with_channel(leaf, value) for leaf in _leaves(value[field], place))
            return
        time = vector(value.get(field))
        named = next((found for each in NAMES if each in value and (found := texts(value[each]))), [])
        span = vector(value.get("timerange"))
        observed = tuple(span.tolist()) if span is not None and len(span) == 2 else ()
        yield None if time is None else _with_channel(_Leaf(place, time, " ".join(named), observed), value)
    elif isinstance(value, list) or (isinstance(value, np.ndarray) and value.dtype == object):
        shape = (len(value),) if isinstance(value, list) else value.shape
        flat = value if isinstance(value, list) else value.ravel("F").tolist()
        for i, element in enumerate(flat):
            index = np.unravel_index(i, shape, order="F")
            own = [int(k) + 1 for k, n in zip(index, shape, strict=True) if n > 1]
            yield from _leaves(element, (*place, *own))
    else:
        time = vector(value)
        yield None if time is None else _Leaf(place, time)


def _with_channel(leaf: _Leaf | None, fields: Mapping[str, Any]) -> _Leaf | None:
    channel = next((found for each in CHANNELS if (found := number(fields.get(each))) is not None), None)
    unit = next((found for each in UNITS if (found := number(fields.get(each))) is not None), 0.0)
    return leaf if leaf is None or channel is None else leaf._replace(channel=(channel, unit))


def _table(leaves: list[_Leaf]) -> UnitTable:
    """By channel and unit, by name, or by place: of two levels or more the last counts the units of one."""
    if all(leaf.channel for leaf in leaves):
        return unit_table(np.array([leaf.channel for leaf in leaves]))
    if all(leaf.name for leaf in leaves):
        return plain_table([leaf.name for leaf in leaves])
    ids = all_different([".".join(map(str, leaf.place)) or "1" for leaf in leaves])
    if any(len(leaf.place) < 2 for leaf in leaves):
        return plain_table(ids)
    electrodes = tuple(".".join(map(str, leaf.place[:-1])) for leaf in leaves)
    return UnitTable(ids, electrodes, np.array([leaf.place[-1] for leaf in leaves], np.int64))
