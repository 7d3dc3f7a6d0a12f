"""What the names of a table's columns mean: units in brackets, times, channels, axes of one position."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from rtdecode.errors import RtdecodeError

#: How many of each unit of time are a second.
PER_SECOND = {"s": 1.0, "sec": 1.0, "ms": 1e3, "msec": 1e3, "us": 1e6, "µs": 1e6, "μs": 1e6, "ns": 1e9}
PER_SECOND |= {"usec": 1e6, "second": 1.0, "millisecond": 1e3, "microsecond": 1e6, "nanosecond": 1e9}
PER_SECOND |= {"min": 1 / 60, "minute": 1 / 60}
UNCLOCKED = ("sample", "tick", "frame", "index", "cycle")

TIMES = {"time", "times", "t", "timestamp", "timestamps", "time_stamp", "ts", "sec", "seconds", "time_bin"}
TIMES |= {"spike_time", "spike_times"}
BIN_TIMES = {"bin_start": "start", "bin_end": "end", "t_bin": "end", "bin_center": "middle"}
BIN_TIMES |= {"bin_centre": "middle", "bin_middle": "middle"}
CHANNELS = {"channel", "channels", "ch", "chan", "electrode", "electrodes", "elec", "channel_id"}
CHANNELS |= {"electrode_id", "spike_channels", "spike_channel"}
UNITS = {"unit", "units", "unit_id", "neuron", "neuron_id", "cell", "cell_id", "cluster", "cluster_id"}
UNITS |= {"clusters", "spike_clusters", "spike_units"}
STARTS = {"start", "start_time", "trial_start", "starts", "begin"}
STOPS = {"stop", "stop_time", "trial_stop", "end", "end_time", "trial_end", "stops"}
TEXTS = {"text", "marker", "markers", "event", "label", "message", "description"}
#: Of a spike there is no number.
AMOUNTS = {"count", "counts", "n_spikes", "spike_count", "rate", "firing_rate"}
#: Numbers beside behaviour that are none.
BESIDE = {"trial", "trial_id", "block", "condition", "success", "split", "index", "frame", "sample", "bin"}

_UNIT = re.compile(r"^(.*?)\s*[\[(]([^\])]*)[\])]$", re.DOTALL)
_TIME_UNIT = re.compile(rf"^(.+)_((?:{'|'.join((*PER_SECOND, *UNCLOCKED))})s?)$")
_COUNTED = re.compile(
    r"^(unit|neuron|cell|cluster|sig|spk|spikes?|counts?|channel|chan|ch|electrode|elec|e)s?"
    r"(?:[ _.#-]+(?P<spaced>[a-z]{0,3}[_-]?\d+(?:[._-]\d+|[a-z])?)"
    r"|(?P<label>(?:[a-h]-)?\d+(?:[._-]\d+|[a-z])?))$",
    re.IGNORECASE,
)
_LABEL = re.compile(r"^(?:[A-H]-)?\d+$")
_AXIS = re.compile(
    r"^(?:(?P<group>.+)[_. -](?P<axis>[xyz])|(?P<first>[xyz])[_. -](?P<rest>.+))$", re.IGNORECASE
)


@dataclass(frozen=True)
class Column:
    """A column of a table.

    Attributes:
        index: which, from 0.
        name: without the unit.
        unit: that stands in brackets, else "".
    """

    index: int
    name: str
    unit: str = ""

    @property
    def key(self) -> str:
        """The name as the sets of names above write it."""
        return re.sub(r"[\s/.-]+", "_", self.name.strip().lower())


def column(index: int, header: str) -> Column:
    """A column by its header: `x (mm)`, `x [mm]`, `x`."""
    match = _UNIT.match(header.strip())
    return (
        Column(index, *(part.strip() for part in match.groups())) if match else Column(index, header.strip())
    )


def time_column(columns: Sequence[Column], names: set[str], where: str) -> tuple[Column, float] | None:
    """The first of `columns` that has one of `names`, and how many of its units are a second.

    Raises:
        RtdecodeError: it counts samples or the like.
    """
    for each in columns:
        key, unit = each.key, each.unit.lower()
        if not unit and key not in names and (match := _TIME_UNIT.match(key)):
            key, unit = match.groups()
        if key not in names:
            continue
        singular = unit if unit in PER_SECOND else unit.removesuffix("s")
        if singular and singular not in PER_SECOND:
            raise RtdecodeError(
                f"column {each.name} is in {unit}, not in a unit of time",
                where=where,
                fix="write it in seconds, or with s, ms or us in brackets: time [ms]",
            )
        return each, PER_SECOND.get(singular, 1.0)
    return None


def counted(name: str) -> str | None:
    """The electrode's label where a column is named after one, "" where after a unit, None after neither."""
    if _LABEL.match(name):
        return name
    match = _COUNTED.match(name)
    if match is None:
        return None
    kind = match[1].lower()
    label = match["spaced"] or match["label"]
    return label if kind.startswith(("ch", "el")) else name if kind == "e" else ""


def grouped(columns: Sequence[Column], alone: str) -> dict[str, list[Column]]:
    """Columns by what they are of: cursor_pos_x and cursor_pos_y are x and y of cursor_pos.

    Args:
        columns: of a table, without its time.
        alone: name of the group of all columns that name no axis.
    """
    groups: dict[str, list[Column]] = {}
    for each in columns:
        name, group = each.name, alone
        if match := _AXIS.match(name):
            group = match["group"] or match["rest"]
            name = (match["axis"] or match["first"]).lower()
        groups.setdefault(group, []).append(Column(each.index, name, each.unit))
    return groups
