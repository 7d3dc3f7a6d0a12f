"""What the arrays of an NPZ or NPY file are, by their names."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from rtdecode.errors import RtdecodeError
from rtdecode.session.schema import MAX_CHANNELS
from rtdecode.tools.files.recording import F8, BinnedSpikes, Recording, Rows, SpikeTimes, UnitTable
from rtdecode.tools.files.tables import names
from rtdecode.tools.files.tables.arrays import ONE, Arrays
from rtdecode.tools.files.tables.electrodes import ARRAY, LABEL, UNIT_ID, X, Y, with_electrodes
from rtdecode.tools.files.tables.labels import Label, Labels, tidy, unit_table
from rtdecode.tools.files.tables.npz_beside import CLOCKS, all_series, markers, trials

SPIKE_TIMES = ("spike_times", "spikes_time", "events_time", "spikes_times", "spike_time")
CHANNELS = (
    *sorted(names.CHANNELS),
    "events_channel",
    "spikes_channel",
    "spikes_channels",
    "spike_electrodes",
)
UNITS = (*sorted(names.UNITS), "events_unit", "spikes_unit", "spike_unit")
COUNTS = ("counts", "binned_spikes", "spike_counts", "spikes", "raster", "rates", "firing_rates")
WIDTHS = ("bin_width", "counts_bin_width", "bin_size", "dt")
STAMPS = {"counts_end": "end", "bin_ends": "end", "bin_starts": "start", **names.BIN_TIMES}
LABELS = (
    "channel_labels",
    "channel_ids",
    "channel_names",
    "electrode_labels",
    "unit_ids",
    "channels",
    "units",
)
ELECTRODES = (LABEL, UNIT_ID, X, Y, ARRAY)
#: As an export of rtdecode names them.
OWN_COUNTS = "counts/values"
KNOWN = "name them spike_times and channels, or counts and bin_width, and behavior and behavior_time"


@dataclass
class _Found:
    arrays: Arrays
    spikes: list[SpikeTimes | BinnedSpikes] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    clock: F8 | None = None  # of the counts

    @property
    def where(self) -> str:
        return str(self.arrays.path)


def npz_recording(path: Path) -> Recording:
    """What the arrays of a file are.

    Raises:
        RtdecodeError: none is known by its name, they do not go together, or the file is damaged.
    """
    arrays = Arrays(path)
    found = _Found(arrays)
    listed = [arrays.described(key) for key in arrays.keys]
    attrs = _attrs(arrays)
    if arrays.single and arrays.is_numbers(ONE, (2,)):
        rows = np.arange(arrays.shape(ONE)[0], dtype=np.float64)
        found.spikes.append(_Counts(arrays, ONE, rows).spikes(None, "row"))
        arrays.drop(ONE)
    _take_spikes(found)
    _take_counts(found)
    _take_ragged(found)
    tables, texts = trials(arrays), markers(arrays)
    series = all_series(arrays, found.clock)
    if not (found.spikes or series or tables or texts):
        more = " …" if len(listed) > 8 else ""
        raise RtdecodeError(
            f"holds no array that is known by its name, but {', '.join(listed[:8])}{more}",
            where=found.where,
            fix=KNOWN,
        )
    observed = arrays.read("observed") if arrays.is_pairs("observed") else None
    electrodes = {key: arrays.texts(None, f"electrodes_{key}") for key in ELECTRODES}
    known = {key: column for key, column in electrodes.items() if column is not None}
    arrays.drop("observed", "n_channels", "counts_t0_s")
    return Recording(
        path,
        "NPY" if arrays.single else "NPZ",
        tuple(with_electrodes(each, known) for each in found.spikes),
        series,
        tables,
        texts,
        None if observed is None else observed.astype(np.float64),
        attrs=attrs,
        notes=tuple(found.notes),
        others=tuple((arrays.described(key), arrays.why_left(key)) for key in arrays.keys),
    )


def _attrs(arrays: Arrays) -> dict[str, str]:
    if "attrs" not in arrays or arrays.dtype("attrs").kind != "U":
        return {}
    try:
        stated = {str(key): str(text) for key, text in dict(json.loads(str(arrays.read("attrs")))).items()}
    except (ValueError, TypeError):
        return {}
    arrays.drop("attrs")
    return stated


def _take_spikes(found: _Found) -> None:
    """A time, and a channel or unit, for each spike."""
    arrays = found.arrays
    timed = arrays.times(SPIKE_TIMES) or arrays.times(CLOCKS)
    if timed is None:
        return
    key, time = timed
    channel, unit = (arrays.of_length(len(time), keys) for keys in (CHANNELS, UNITS))
    if not (channel or unit):
        if not key.startswith(SPIKE_TIMES):
            return
        raise RtdecodeError(
            f"{arrays.described(key)} has no channels of the same length beside it",
            where=found.where,
            fix=KNOWN,
        )
    n_channels = arrays.number("n_channels") or 0
    pairs: list[tuple[list[str], np.ndarray]] = []
    labels = Labels()
    for each in (channel, unit):
        values, inverse = np.unique(
            arrays.read(each) if each else np.zeros(len(time), "U1"), return_inverse=True
        )
        pairs.append(([tidy(str(value)) for value in values], inverse))
    (channels, of_channel), (units, of_unit) = pairs
    met, inverse = np.unique(of_channel * len(units) + of_unit, return_inverse=True)
    found_labels: list[Label] = [(channels[i // len(units)], units[i % len(units)]) for i in met.tolist()]
    silent = map(str, range(int(n_channels) if 0 < n_channels <= MAX_CHANNELS else 0))
    found.spikes.append(labels.spikes("spikes", time, labels.number(found_labels)[inverse], silent))
    arrays.drop(key, channel, unit)


def _take_counts(found: _Found) -> None:
    """Counts or rates in bins."""
    arrays = found.arrays
    key = next((each for each in COUNTS if each in arrays and arrays.is_numbers(each, (2,))), None)
    if key is None:
        return
    width, t0 = arrays.number(*WIDTHS), arrays.number("t0", "counts_t0", "t_start")
    stamped = arrays.times((*STAMPS, "counts_time", "counts_times", "bin_times"))
    n_rows, n_columns = arrays.shape(key)
    # A clock of another length is that of the behaviour.
    if (
        stamped is None
        and (clock := arrays.times(CLOCKS))
        and len(clock[1]) in (n_rows, n_rows + 1, n_columns)
    ):
        stamped = clock
    if stamped is None:
        time = (t0 or 0.0) + np.arange(n_rows, dtype=np.float64) * (width or 1.0)
        stamps: str | None = "start" if width else "row"
    else:
        time = stamped[1]
        stamps = next((value for name, value in STAMPS.items() if stamped[0].startswith(name)), None)
    transposed = len(time) == n_columns != n_rows
    if transposed:
        found.notes.append(f"{arrays.name(key)} has a row for each channel: it is read transposed")
    elif len(time) == n_rows + 1:
        time, stamps = time[:-1], "start"  # the edges of the bins
    elif len(time) != n_rows:
        raise RtdecodeError(
            f"{arrays.described(key)} has {len(time)} stamps", where=found.where, fix="save one for each bin"
        )
    found.spikes.append(_Counts(arrays, key, time, transposed).spikes(width, stamps))
    found.clock = time
    arrays.drop(key, stamped[0] if stamped and stamped[0] not in CLOCKS else None)


@dataclass(frozen=True)
class _Counts:
    """An array of counts, a row of them for each of `time`, or, transposed, a column."""

    arrays: Arrays
    key: str
    time: F8
    transposed: bool = False

    def spikes(self, width: float | None, stamps: str | None) -> BinnedSpikes:
        arrays = self.arrays
        n = arrays.shape(self.key)[0 if self.transposed else 1]
        labels = arrays.texts(n, *LABELS)
        file = arrays.reader(self.key)

        def read(rows: Rows) -> tuple[F8, F8]:
            values = file().T if self.transposed else file()
            return self.time, values[:, rows].astype(np.float64)

        ids = labels or tuple(map(str, range(n)))
        # In a file that rtdecode wrote columns are channels; in others nobody knows.
        own = arrays.name(self.key) == OWN_COUNTS
        table = UnitTable(ids, ids if labels or own else ("",) * n)
        rates = "spikes/s" if "rate" in self.key else ""
        return BinnedSpikes(
            arrays.name(self.key).removesuffix("/values"),
            table,
            len(self.time),
            width,
            stamps,
            read,
            units_of_values=rates,
        )


def _take_ragged(found: _Found) -> None:
    """An array of spike times for each unit or channel: unit_1, unit_2."""
    arrays = found.arrays
    keys = [key for key in arrays.keys if arrays.is_numbers(key, (1,)) and names.counted(key) is not None]
    if not keys or (arrays.times(CLOCKS) and len({arrays.shape(key) for key in keys}) == 1):
        return
    named = [arrays.name(key) for key in keys]
    readers = [arrays.reader(key) for key in keys]

    def read(rows: Iterable[int]) -> tuple[F8, np.ndarray]:
        parts = [(readers[row]().astype(np.float64), row) for row in rows]
        time = np.concatenate([part for part, _ in parts] or [np.zeros(0)])
        return time, np.repeat(np.array([r for _, r in parts], np.uint32), [len(part) for part, _ in parts])

    table = unit_table([(names.counted(name) or "", "") for name in named])
    table = UnitTable(tuple(named), table.electrodes)
    n_spikes = sum(arrays.shape(key)[0] for key in keys)
    found.spikes.append(SpikeTimes("units", table, n_spikes, read))
    arrays.drop(*keys)
