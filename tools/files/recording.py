"""What a file of another program holds, before anything of it is chosen: every reader fills a `Recording`.

    recording = open_recording(Path("today.nwb"))
    [candidate.name for candidate in recording.spikes]    # ["units"]
    time, row = recording.spikes[0].read(rows)            # the spikes of some of its units

What is listed is described at once; spikes, counts and samples are read when they are asked for, in pieces,
so that a file with waveforms or raw voltage is never in memory. Times are seconds on the file's clock, as
the file gives them: neither sorted nor checked. Values are in the units that are named with them: a file's
own scale and offset are applied. Nothing is dropped or renumbered here; `choose.py` does that for every
format.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

F4 = NDArray[np.float32]
F8 = NDArray[np.float64]
Rows = NDArray[np.intp]


@dataclass(frozen=True, eq=False)
class UnitTable:
    """The units or channels of a source of spikes, a row each.

    Attributes:
        ids: the file's own name of each row, as text, all different.
        electrodes: label of the electrode of each, "" where the file does not say; two rows may share one.
        numbers: i8[n], number of the unit on its electrode, 0 for unsorted; None where nothing is sorted.
        arrays: name of the array of each, "" where there is but one or none is named.
        position: f4[n, 2], x and y of the electrode, NaN where unknown; None where the file has none.
        columns: further columns of n rows by which rows are selected (`quality`, `heldout`, `firing_rate`).
    """

    ids: tuple[str, ...]
    electrodes: tuple[str, ...]
    numbers: NDArray[np.int64] | None = None
    arrays: tuple[str, ...] = ()
    position: F4 | None = None
    columns: Mapping[str, NDArray[Any]] = field(default_factory=dict)


@dataclass(frozen=True, eq=False)
class SpikeTimes:
    """Spikes with a time each.

    Attributes:
        name: as `--spikes` takes it: the path or stream name in the file, short and unambiguous.
        units: a row for each unit or channel.
        n_spikes: of all rows; None where only reading them tells.
        read: (rows) → time f8[n], seconds, and row u4[n], index into `units`: the spikes of some rows, those
            of one row in the order of the file. Raises `RtdecodeError` for what cannot be read.
        observed: f8[k, 2], start and stop of each interval in which the array was recorded, seconds; None
            where the file does not say.
    """

    name: str
    units: UnitTable
    n_spikes: int | None
    read: Callable[[Rows], tuple[F8, NDArray[np.uint32]]]
    observed: F8 | None = None


@dataclass(frozen=True, eq=False)
class BinnedSpikes:
    """Spikes in bins: counts, or rates.

    Attributes:
        name: as `--spikes` takes it.
        units: a row for each column.
        n_bins: rows of the table.
        bin_width_s: as the file states it, seconds; None where only the stamps tell.
        stamps: whether a stamp is the "start", the "end" or the "middle" of its bin; "row" where it is only
            the number of the row, from 0, and the width has to be given; None where the file does not say.
        read: (columns) → stamp f8[T], seconds, and values f8[T, n] of some columns, as they are.
        observed: as of `SpikeTimes`; None where holes in the stamps say it.
        units_of_values: "Hz" or "spikes/s" where the file states that these are rates, else "".
    """

    name: str
    units: UnitTable
    n_bins: int
    bin_width_s: float | None
    stamps: str | None
    read: Callable[[Rows], tuple[F8, F8]]
    observed: F8 | None = None
    units_of_values: str = ""


@dataclass(frozen=True, eq=False)
class Series:
    """Samples of something continuous: behaviour, or signals beside the spikes.

    Attributes:
        name: as `--behavior` and `--features` take it ("Position/cursor_pos"), of all series different.
        columns: name of each column; readers give x, y, z to up to three unnamed ones of a position, else
            the series' name and a number.
        units: unit of each column, "" where the file names none.
        n_samples: rows.
        rate_hz: about; None where unknown.
        role: "behavior", "signal" (voltage or power of electrodes), "mask" (evaluation masks) or "other".
        read: () → time f8[T], seconds, and values f8[T, d], NaN where unknown.
        note: what is odd about it, a sentence ("every sample is NaN"), else "".
        clock: series of one value share their sample times; "" where nothing is known.
        kinds: of each column of features, as of `rtdecode.session.layout.Features`, "" where it is not said;
            () where none is.
        stamps: "end" where a sample is stamped at the end of the interval that it covers, "" where a stamp is
            the moment of its sample.
    """

    name: str
    columns: tuple[str, ...]
    units: tuple[str, ...]
    n_samples: int
    rate_hz: float | None
    role: str
    read: Callable[[], tuple[F8, F8]]
    note: str = ""
    clock: str = ""
    kinds: tuple[str, ...] = ()
    stamps: str = ""


@dataclass(frozen=True, eq=False)
class TrialTable:
    """A table of trials.

    Attributes:
        name: as `--trials` takes it.
        start, stop: f8[k], seconds, NaN where unknown.
        columns: further columns of k rows: numbers, text, or [k, 2] such as a target's place.
    """

    name: str
    start: F8
    stop: F8
    columns: Mapping[str, NDArray[Any]] = field(default_factory=dict)


@dataclass(frozen=True, eq=False)
class MarkerList:
    """Events of the task.

    Attributes:
        name: of the stream or table.
        time: f8[k], seconds.
        text: of each.
    """

    name: str
    time: F8
    text: tuple[str, ...]


@dataclass(frozen=True, eq=False)
class Recording:
    """What a file holds.

    Attributes:
        path: of the file.
        format: for people: "NWB 2.6.0", "XDF", "MATLAB v7.3 (Zenodo Indy)".
        spikes: candidates for spikes, in the file's order.
        series: candidates for behaviour and features.
        trials: tables of trials.
        markers: streams of markers, of which trials can be made.
        observed: f8[k, 2], intervals in which anything was recorded, where the file says so apart from the
            spikes (trials put one after another, segments of a recorder); else None.
        attrs: subject, session_id, date, task, license, as far as the file has them.
        notes: what was lost or is odd in the file, a sentence each.
        others: what the file holds besides, for `--list`: a name and why nothing can be imported of it.
    """

    path: Path
    format: str
    spikes: tuple[SpikeTimes | BinnedSpikes, ...] = ()
    series: tuple[Series, ...] = ()
    trials: tuple[TrialTable, ...] = ()
    markers: tuple[MarkerList, ...] = ()
    observed: F8 | None = None
    attrs: Mapping[str, str] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    others: tuple[tuple[str, str], ...] = ()
