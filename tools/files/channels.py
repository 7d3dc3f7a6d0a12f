"""Which channel of a session each unit of a source becomes."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from rtdecode.errors import RtdecodeError
from rtdecode.session.layout import Electrodes
from rtdecode.session.schema import MAX_CHANNELS
from rtdecode.tools.files.choice import Choice
from rtdecode.tools.files.recording import BinnedSpikes, Rows, SpikeTimes, UnitTable
from rtdecode.tools.files.unit_filter import selected

#: Number of a unit that vendors give to noise.
NOISE = 255


@dataclass(frozen=True, eq=False)
class Channels:
    """The channels of a session, of the units of a source.

    Attributes:
        rows: i[n], rows of the units' table that are imported, rising.
        channel: i[n], channel of each of them.
        unit: u2[n], number of each among those of its channel; None where each channel has one.
        electrodes: a row for each channel.
        notes: what was left out or put together, a sentence each.
    """

    rows: Rows
    channel: NDArray[np.intp]
    unit: NDArray[np.uint16] | None
    electrodes: Electrodes
    notes: tuple[str, ...] = ()

    @property
    def n(self) -> int:
        """Number of channels."""
        return len(self.electrodes.label)


def assign_channels(source: SpikeTimes | BinnedSpikes, choice: Choice, where: str) -> Channels:
    """The channels of what is chosen of a source.

    Args:
        source: of spikes.
        choice: `units` and `by` are used.
        where: the file, for errors.

    Raises:
        RtdecodeError: no unit is left, there are more than a session can have, or `by` asks for electrodes
            that the file does not have.
    """
    units, where = source.units, f"{where} ({source.name})"
    if not units.ids:
        raise RtdecodeError("has no units", where=where, fix="choose other spikes with --spikes; see --list")
    rows, notes = _rows(units, choice.units, where)
    electrodes = np.array(units.electrodes, np.str_)[rows]
    arrays = np.array(units.arrays or ("",) * len(units.ids), np.str_)[rows]
    known = electrodes != ""
    if choice.by == "electrode" and not known.any():
        raise RtdecodeError(
            "the file does not say on which electrode its units are",
            where=where,
            fix="use --by unit: each unit is a channel",
        )
    # A unit of no known electrode has a channel of its own.
    keys = [
        (array, name, -1 if choice.by == "electrode" and name else i)
        for i, (array, name) in enumerate(zip(arrays.tolist(), electrodes.tolist(), strict=True))
    ]
    places = {key: number for number, key in enumerate(dict.fromkeys(keys))}
    channel = np.array([places[key] for key in keys], np.intp)
    if len(places) > MAX_CHANNELS:
        raise RtdecodeError(
            f"has {len(places)} units, and a session at most {MAX_CHANNELS} channels",
            where=where,
            fix="choose some with --units, or use --by electrode",
        )
    n_electrodes = len({key[:2] for key, is_known in zip(keys, known, strict=True) if is_known})
    if len(places) == len(rows) and 0 < n_electrodes < int(known.sum()):
        notes.append(
            f"{len(rows)} units of {n_electrodes} electrodes: each unit is a channel; --by electrode makes "
            "one channel of an electrode"
        )
    elif len(places) < len(rows):
        notes.append(f"{len(rows)} units became {len(places)} channels, one for each electrode")
    return Channels(
        rows,
        channel,
        _numbers(units, rows, channel) if len(places) < len(rows) else None,
        _described(units, rows, channel, len(places)),
        tuple(notes),
    )


def _rows(units: UnitTable, condition: str | None, where: str) -> tuple[Rows, list[str]]:
    if condition is not None:
        rows = selected(units, condition, where)
        return rows, [f"{len(rows)} of {len(units.ids)} units meet {condition!r}"]
    rows = np.arange(len(units.ids))
    if units.numbers is None or not (noise := units.numbers == NOISE).any() or noise.all():
        return rows, []
    return rows[~noise], [f"left out {int(noise.sum())} units with the number {NOISE}, which are noise"]


def _numbers(units: UnitTable, rows: Rows, channel: NDArray[np.intp]) -> NDArray[np.uint16]:
    """The file's numbers, if they tell the units of each channel apart; else 1, 2, … on each channel."""
    if units.numbers is not None:
        own = units.numbers[rows]
        pairs = np.unique(np.stack([channel, own]), axis=1)
        if pairs.shape[1] == len(rows) and own.min() >= 0 and own.max() <= np.iinfo(np.uint16).max:
            return own.astype(np.uint16)
    number, used = np.zeros(len(rows), np.uint16), np.zeros(int(channel.max()) + 1, np.uint16)
    for i, at in enumerate(channel):
        used[at] += 1
        number[i] = used[at]
    return number


def _described(units: UnitTable, rows: Rows, channel: NDArray[np.intp], n: int) -> Electrodes:
    first = np.full(n, -1, np.intp)
    ids: list[list[str]] = [[] for _ in range(n)]
    for row, at in zip(rows, channel, strict=True):
        ids[at].append(units.ids[row])
        first[at] = row if first[at] < 0 else first[at]
    position = units.position
    return Electrodes(
        label=tuple(units.electrodes[row] for row in first),
        unit_id=tuple(", ".join(each) for each in ids),
        x=None if position is None else position[first, 0].astype(np.float32),
        y=None if position is None else position[first, 1].astype(np.float32),
        array=tuple(units.arrays[row] for row in first) if any(units.arrays) else (),
    )
