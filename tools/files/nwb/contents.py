"""What is where in an NWB file, told by its structure: types of extensions are known by what they hold."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import h5py

from rtdecode.tools.files.nwb.access import text

#: Nothing of these is data.
_SKIPPED = ("/general", "/specifications")

#: Folders of the file whose names say nothing about what is in them.
_FOLDERS = (
    "acquisition",
    "intervals",
    "analysis",
    "stimulus",
    "presentation",
    "templates",
    "events",
    "scratch",
)


@dataclass
class Contents:
    """Paths of what was found, in the file's order.

    Attributes:
        units: tables of units.
        binned: groups of the extension ndx-binned-spikes.
        series: groups with samples and their times.
        intervals: tables of intervals.
        events: tables or series of events of the task.
        notes: links that lead nowhere, a sentence each.
    """

    units: list[str] = field(default_factory=list)
    binned: list[str] = field(default_factory=list)
    series: list[str] = field(default_factory=list)
    intervals: list[str] = field(default_factory=list)
    events: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


def contents_of(file: h5py.File) -> Contents:
    """Find everything that can be read."""
    found = Contents()
    seen = {_identity(file)}
    waiting: list[tuple[str, h5py.Group]] = [("", file["/"])]
    while waiting:
        inner = []
        for path, child in _children(*waiting.pop(), found.notes):
            if path in _SKIPPED or _identity(child) in seen:
                continue
            seen.add(_identity(child))
            place = _place(child, found)
            if place is None:
                inner.append((path, child))
            else:
                place.append(path)
        waiting += reversed(inner)
    return found


def _identity(group: h5py.Group) -> tuple[int, int]:
    """The same for a group however it was reached: links can lead in a circle."""
    info = h5py.h5o.get_info(group.id)
    return info.fileno, info.addr


def _children(above: str, group: h5py.Group, notes: list[str]) -> Iterator[tuple[str, h5py.Group]]:
    """Groups with their paths in this file; those of another file have other names there."""
    for name in group:
        link = group.get(name, getlink=True)
        path = f"{above}/{name}"
        try:
            child = group[name]
        except (KeyError, OSError):
            if isinstance(link, h5py.SoftLink | h5py.ExternalLink):
                to = f"{getattr(link, 'filename', '')}:{link.path}".lstrip(":")
                notes.append(f"{path} is a link to {to}, which is not there")
                continue
            raise
        if isinstance(child, h5py.Group):
            yield path, child


def _place(group: h5py.Group, found: Contents) -> list[str] | None:
    """The list that a group belongs to; None for one that may hold others."""
    kind = text(group, "neurodata_type")
    if "spike_times" in group or kind == "Units":
        return found.units
    if "bin_width_in_milliseconds" in group.attrs and "data" in group:
        return found.binned
    if kind == "IntervalSeries" and "timestamps" in group:
        return found.intervals
    if "start_time" in group and ("id" in group or "colnames" in group.attrs):
        return found.intervals
    if "event_times" in group or ("timestamp" in group and "id" in group):
        return found.events
    if "timestamps" not in group and "starting_time" not in group:
        return None
    if "data" not in group:
        return found.events if "timestamps" in group else found.series
    data = group["data"]
    is_text = not isinstance(data, h5py.Dataset) or data.dtype.kind in "OS"
    in_events = text(group.parent, "neurodata_type") == "BehavioralEvents"
    is_event = "timestamps" in group and (is_text or in_events or "labels" in data.attrs)
    return found.events if is_event else found.series


def short_names(paths: Sequence[str]) -> list[str]:
    """Names that differ: without the folders of the file, as "Position/cursor_pos", where those still do."""
    short = [_short(path) for path in paths]
    often = Counter(short)
    return [name if often[name] == 1 else path.strip("/") for name, path in zip(short, paths, strict=True)]


def _short(path: str) -> str:
    parts = path.strip("/").split("/")
    if parts[0] == "processing":
        return "/".join(parts[2:] or parts[1:])
    while len(parts) > 1 and parts[0] in _FOLDERS:
        parts = parts[1:]
    return "/".join(parts)
