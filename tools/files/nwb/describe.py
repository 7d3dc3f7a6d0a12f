"""Put together what an NWB file holds: spikes, series, trials, markers, and what was observed."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from itertools import groupby
from pathlib import Path

import h5py
import numpy as np

from rtdecode.tools.files.nwb.access import Place, text
from rtdecode.tools.files.nwb.attributes import attributes_of
from rtdecode.tools.files.nwb.contents import Contents, contents_of, short_names
from rtdecode.tools.files.nwb.intervals import INVALID, OBSERVED, interval_list, trial_table, without
from rtdecode.tools.files.nwb.marked import parts_of
from rtdecode.tools.files.nwb.markers import marker_list
from rtdecode.tools.files.nwb.samples import has_times, sample_times
from rtdecode.tools.files.nwb.series import series_of
from rtdecode.tools.files.nwb.spikes.binned import aligned_bins, binned_series, looks_binned
from rtdecode.tools.files.nwb.spikes.snippets import snippets
from rtdecode.tools.files.nwb.spikes.units import extent, notes_of, union, unit_table
from rtdecode.tools.files.recording import F8, BinnedSpikes, Recording, Series, SpikeTimes, TrialTable


@dataclass
class _Found:
    """What was described so far."""

    spikes: list[SpikeTimes | BinnedSpikes] = field(default_factory=list)
    series: list[Series] = field(default_factory=list)
    trials: list[TrialTable] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    others: list[tuple[str, str]] = field(default_factory=list)


def described(path: Path, file: h5py.File) -> Recording:
    """The recording of an open file of NWB 2."""
    contents, found = contents_of(file), _Found()
    found.notes += contents.notes
    rest = _add_spikes(path, file, contents, found)
    _add_series(path, file, rest, found)
    observed = _add_intervals(file, contents, found)
    if not found.spikes:
        found.notes.append("The file holds no spikes")
    return Recording(
        path=path,
        format=f"NWB {text(file, 'nwb_version')}",
        spikes=tuple(found.spikes),
        series=tuple(found.series),
        trials=tuple(found.trials),
        markers=tuple(marker_list(file[place], name) for place, name in _named(contents.events)),
        observed=observed,
        attrs=attributes_of(file),
        notes=tuple(found.notes),
        others=tuple(found.others),
    )


def _named(places: list[str]) -> list[tuple[str, str]]:
    return list(zip(places, short_names(places), strict=True))


def _add_spikes(path: Path, file: h5py.File, contents: Contents, found: _Found) -> list[str]:
    """Add every source of spikes; the places of series that are none."""
    events = [
        place
        for place in contents.series
        if "SpikeEvent" in text(file[place], "neurodata_type") and "timestamps" in file[place]
    ]
    folders = [list(each) for _, each in groupby(events, key=lambda place: place.rpartition("/")[0])]
    of_folders = [each[0] if len(each) == 1 else each[0].rpartition("/")[0] for each in folders]
    binned = [place for place in contents.series if place not in events and looks_binned(place, file[place])]
    names = dict(_named([*contents.units, *of_folders, *binned, *contents.binned]))
    for place in contents.units:
        spikes = unit_table(Place(path, place), file[place], names[place])
        if isinstance(spikes, str):
            found.others.append((names[place], spikes))
        else:
            found.spikes.append(spikes)
            found.notes += notes_of(file[place], names[place])
    for place, each in zip(of_folders, folders, strict=True):
        found.spikes.append(snippets(path, {one: file[one] for one in each}, names[place]))
    found.spikes += [binned_series(Place(path, place), file[place], names[place]) for place in binned]
    found.spikes += [aligned_bins(Place(path, place), file[place], names[place]) for place in contents.binned]
    return [place for place in contents.series if place not in (*events, *binned)]


def _add_series(path: Path, file: h5py.File, places: list[str], found: _Found) -> None:
    parts, used = parts_of(path, {place: file[place] for place in places})
    found.series += parts
    for place, name in _named([place for place in places if place not in used]):
        each = series_of(Place(path, place), file[place], name)
        if isinstance(each, str):
            found.others.append((name, each))
        else:
            found.series.append(each)


def _add_intervals(file: h5py.File, contents: Contents, found: _Found) -> F8 | None:
    """Add the tables of trials; the intervals in which anything was recorded, where the file says so."""
    named = _named(contents.intervals)
    lists = {name: interval_list(file[place]) for place, name in named if name in (*INVALID, *OBSERVED)}
    found.trials += [trial_table(file[place], name) for place, name in named if name not in lists]
    found.trials.sort(key=lambda table: table.name != "trials")
    said = [each for name, each in lists.items() if name in OBSERVED]
    observed = union(np.concatenate(said)) if said else None
    bad = np.concatenate([np.empty((0, 2)), *(each for name, each in lists.items() if name in INVALID)])
    bad = bad[bad[:, 0] < bad[:, 1]]
    if not len(bad):
        return observed
    found.notes.append(f"invalid_times ({len(bad)}) are taken as not observed")
    found.spikes = [
        each if each.observed is None else replace(each, observed=without(each.observed, bad))
        for each in found.spikes
    ]
    return without(_extent(file, contents, bad) if observed is None else observed, bad)


def _extent(file: h5py.File, contents: Contents, bad: F8) -> F8:
    """f8[1, 2], from the first to the last time of anything in the file."""
    edges = [bad[:, 0].min(), bad[:, 1].max()]
    for place in contents.units:
        edges += extent(file[place]) if "spike_times" in file[place] else ()
    for place in contents.series:
        if has_times(file[place]):
            time = sample_times(file[place], slice(0, 1)), sample_times(file[place], slice(-1, None))
            edges += [float(each[0]) for each in time if len(each)]
    finite = [edge for edge in edges if np.isfinite(edge)]
    return np.array([[min(finite), max(finite)]])
