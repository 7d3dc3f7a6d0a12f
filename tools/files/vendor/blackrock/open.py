"""Open a Blackrock recording: all files of one name, .nev and .ns1 to .ns6, on one clock."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from rtdecode.errors import RtdecodeError
from rtdecode.tools.files.recording import F8, MarkerList, Recording, Series, SpikeTimes, UnitTable
from rtdecode.tools.files.tables.labels import spikes_of
from rtdecode.tools.files.vendor.binary import first_bytes
from rtdecode.tools.files.vendor.blackrock import nev, nsx
from rtdecode.tools.files.vendor.inputs import RAW_HZ, thinned, why_voltage
from rtdecode.tools.files.vendor.runs import Stretch, shifts


def is_blackrock(path: Path) -> bool:
    """Whether a file is NEV or NSx, by its first bytes."""
    return first_bytes(path, 8) in (*nev.IDS, *nsx.IDS)


def open_blackrock(path: Path) -> Recording:
    """What the files of one name hold.

    Raises:
        RtdecodeError: one of them is damaged.
    """
    try:
        named = sorted(
            each for each in path.parent.iterdir() if each.stem == path.stem and is_blackrock(each)
        )
        events = [nev.read_nev(each) for each in named if first_bytes(each, 8) in nev.IDS][:1]
        signals = [nsx.read_nsx(each) for each in named if first_bytes(each, 8) in nsx.IDS]
        # The stamps of voltage on a PTP clock are as many as its samples.
        timed = [each for each in signals if each.timed and each.n_samples]
        timed = [each for each in timed if each.header_bytes is None or each.rate_hz < RAW_HZ]
        recorded = [each.stretches() for each in timed]
    except OSError as error:
        raise RtdecodeError(
            f"cannot be read: {error.strerror}", where=str(path), fix="copy it again"
        ) from error
    added = shifts([*(each.stretches for each in events), *recorded])
    parts: list[nev.Events | nsx.Signals] = [*events, *signals]
    return Recording(
        path,
        f"Blackrock {events[0].version}" if events else "Blackrock NSx",
        tuple(_spikes(each, added) for each in events),
        tuple(_series(each, added) for each in signals if each.n_samples and _analog(each)),
        markers=tuple(each for one in events for each in _markers(one, added)),
        observed=_observed(max(recorded, key=len), added) if recorded else None,
        attrs={key: text for each in parts for key, text in each.attrs.items()},
        notes=(*(note for each in parts for note in each.notes), *_resets(added)),
        others=tuple(each for one in signals for each in _others(one)),
    )


def _observed(stretches: list[Stretch], added: F8) -> F8:
    return np.array([[each.start + added[each.run], each.stop + added[each.run]] for each in stretches])


def _resets(added: F8) -> tuple[str, ...]:
    if len(added) == 1:
        return ()
    return (
        f"the recorder set its clock back {len(added) - 1} times: what follows is put 1 s behind what was "
        "before, though the time between is not known",
    )


def _spikes(events: nev.Events, added: F8) -> SpikeTimes:
    """Rows for all units, and for each electrode that the file names, also without a spike."""
    unit_of = events.electrode.astype(np.uint32) << 8 | events.unit
    row_of = np.zeros(nev.LAST_ELECTRODE + 1 << 8, np.uint32)
    row_of[unit_of] = 1
    met = np.flatnonzero(row_of)
    with_spikes = set((met >> 8).tolist())
    labels = events.labels
    silent = [each for each in labels if each not in with_spikes and not _is_input(each, labels[each])]
    every = np.sort(np.concatenate((met, np.array(silent, np.int64) << 8)))
    row_of[every] = np.arange(len(every), dtype=np.uint32)
    electrodes, numbers = every >> 8, every & 255
    unique = len(set(labels.values())) == len(labels)
    named = tuple((unique and labels.get(each)) or str(each) for each in electrodes.tolist())
    ids = tuple(f"{e}/{n}" for e, n in zip(electrodes.tolist(), numbers.tolist(), strict=True))
    table = UnitTable(ids, named, numbers, columns={"electrode_id": electrodes})
    time = events.time + added[events.run] if len(added) > 1 else events.time
    return spikes_of("spikes", table, time, row_of[unit_of])


def _is_input(electrode: int, label: str) -> bool:
    return nsx.Channel(electrode, label, "", 1.0, 0.0).is_analog


def _markers(events: nev.Events, added: F8) -> list[MarkerList]:
    lists: dict[str, list[tuple[float, str]]] = {}
    for name, time, text, run in events.marked:
        lists.setdefault(name, []).append((time + added[run], text))
    return [
        MarkerList(name, np.array([time for time, _ in found]), tuple(text for _, text in found))
        for name, found in sorted(lists.items())
    ]


def _analog(signals: nsx.Signals) -> list[int]:
    return [i for i, channel in enumerate(signals.channels) if channel.is_analog]


def _series(signals: nsx.Signals, added: F8) -> Series:
    """The analog inputs of a file."""
    columns = _analog(signals)
    chosen = [signals.channels[each] for each in columns]
    name = signals.path.suffix.lstrip(".").lower()
    return Series(
        name,
        tuple(each.label for each in chosen),
        tuple(each.unit for each in chosen),
        signals.n_read,
        signals.rate_hz / signals.step,
        "behavior",
        lambda: (signals.times(added), signals.values(columns)),
        note=thinned(signals.rate_hz)[1]
        if signals.timed
        else "the file has no times: its first sample is at 0 s",
        clock=name,
    )


def _others(signals: nsx.Signals) -> list[tuple[str, str]]:
    name = signals.path.name
    if not signals.n_samples:
        return [(name, "it has no samples")]
    n = len(signals.channels) - len(_analog(signals))
    return [(name, why_voltage(n, signals.rate_hz))] if n else []
