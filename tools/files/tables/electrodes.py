"""The tables beside exported spikes: what each channel was recorded from."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from rtdecode.errors import RtdecodeError
from rtdecode.tools.files.recording import F4, BinnedSpikes, SpikeTimes, UnitTable

#: Columns of the table; a row is a channel, from 0.
LABEL, UNIT_ID, X, Y, ARRAY = "label", "unit_id", "x", "y", "array"


def with_electrodes(
    source: SpikeTimes | BinnedSpikes, columns: Mapping[str, Sequence[str]]
) -> SpikeTimes | BinnedSpikes:
    """The spikes with the electrodes of their channels.

    Args:
        source: whose electrodes are called by the number of the channel.
        columns: of the table of electrodes, as far as it has them; "" where nothing is known.
    """
    labels = columns.get(LABEL, ())
    channels = [int(name) if name.isdecimal() else -1 for name in source.units.electrodes]
    if not channels or not 0 <= min(channels) <= max(channels) < len(labels):
        return source
    named = {key: tuple(values[c] for c in channels) for key, values in columns.items()}
    units = source.units
    # Where several units were one channel each, the name of the unit is that of the channel's row.
    ids = named.get(UNIT_ID, ())
    if units.numbers is not None or "" in ids or len(set(ids)) < len(units.ids):
        ids = units.ids
    position = _position(named[X], named[Y]) if X in named and Y in named else None
    table = UnitTable(ids, named[LABEL], units.numbers, named.get(ARRAY, ()), position, units.columns)
    return replace(source, units=table)


def _position(x: Sequence[str], y: Sequence[str]) -> F4:
    try:
        return np.array([[float(each or "nan") for each in axis] for axis in (x, y)], np.float32).T
    except ValueError as error:
        what = f"holds a position that is no number: {error}"
        raise RtdecodeError(what, where="electrodes", fix="export it again") from error
