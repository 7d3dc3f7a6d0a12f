"""From what a file of another program holds to a session.

imported = convert(open_recording(Path("today.nwb")), Choice())
write_session("today.h5", imported.session)
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from rtdecode import __version__
from rtdecode.errors import RtdecodeError
from rtdecode.session.diagnosis.clocks import check_seconds, unobserved
from rtdecode.session.doctor import Finding, examine
from rtdecode.session.doctor.finding import findings_attrs
from rtdecode.session.layout import Counts, Events, Session
from rtdecode.session.observed import intersected, merged
from rtdecode.tools.files.binned_spikes import read_counts
from rtdecode.tools.files.channels import assign_channels
from rtdecode.tools.files.choice import Choice
from rtdecode.tools.files.recording import F8, BinnedSpikes, Recording, SpikeTimes
from rtdecode.tools.files.samples import read_behavior, read_features
from rtdecode.tools.files.spike_times import read_events
from rtdecode.tools.files.trials import read_markers, read_trials


@dataclass(frozen=True, eq=False)
class Imported:
    """A session that was made of a recording.

    Attributes:
        session: not written yet; its attributes keep where it is from and the findings.
        findings: what it looks like that it cannot mean.
        notes: what was left out, put together or is odd, a sentence each.
    """

    session: Session
    findings: tuple[Finding, ...]
    notes: tuple[str, ...]


def convert(recording: Recording, choice: Choice, behavior_from: Recording | None = None) -> Imported:
    """The session that a choice makes of a recording.

    Args:
        recording: with spikes.
        choice: what is taken of it.
        behavior_from: a second recording of the same time, whose behaviour, trials and markers are taken.

    Raises:
        RtdecodeError: there are several candidates and none is chosen, something chosen is missing, or what
            is chosen cannot be what it is taken for, such as times that cannot be seconds.
    """
    beside = recording if behavior_from is None else behavior_from
    source = _spikes(recording, choice.spikes)
    channels = assign_channels(source, choice, str(recording.path))
    notes = [*recording.notes, *(behavior_from.notes if behavior_from else ()), *channels.notes]
    events: Events | None = None
    counts: Counts | None = None
    observed = [_scaled(source.observed, choice), _scaled(recording.observed, choice)]
    if isinstance(source, SpikeTimes):
        events, more = read_events(source, channels, choice, str(recording.path))
    else:
        rows = read_counts(source, channels, choice, str(recording.path))
        counts, more = rows.counts, rows.notes
        observed.append(rows.observed)
    notes += more
    behavior, more = read_behavior(beside, choice)
    notes += more
    features, more = read_features(recording, choice)
    notes += more
    markers = read_markers(beside, choice)
    trials, more = read_trials(beside, markers, choice)
    notes += more
    together = _together([each for each in observed if each is not None], choice)
    session = Session(
        n_channels=channels.n,
        events=events,
        counts=counts,
        features=features,
        behavior=behavior,
        trials=trials,
        markers=markers,
        observed=together,
        electrodes=channels.electrodes,
        attrs=_attrs(recording, behavior_from),
    )
    notes += unobserved(session)
    try:
        # It would not be read again.
        check_seconds(session)
    except RtdecodeError as error:
        raise RtdecodeError(error.what, where=str(recording.path), fix=error.fix) from error
    findings = examine(session)
    attrs = session.attrs | findings_attrs(findings)
    return Imported(replace(session, attrs=attrs), findings, tuple(dict.fromkeys(notes)))


def _spikes(recording: Recording, name: str | None) -> SpikeTimes | BinnedSpikes:
    where = str(recording.path)
    if not recording.spikes:
        held = ", ".join([*(each.name for each in recording.series), *(each[0] for each in recording.others)])
        raise RtdecodeError(
            f"is {recording.format} without spikes" + (f"; it holds {held}" if held else ""),
            where=where,
            fix="name a file with spikes; the spikes of raw voltage are detected by rtdecode detect",
        )
    if name is None and len(recording.spikes) == 1:
        return recording.spikes[0]
    listed = ", ".join(source.name for source in recording.spikes)
    if name is None:
        raise RtdecodeError(
            f"holds {len(recording.spikes)} sources of spikes: {listed}",
            where=where,
            fix="choose one with --spikes NAME; see --list",
        )
    named = [each for each in recording.spikes if name in (each.name, each.name.rsplit("/", 1)[-1])]
    if len(named) != 1:
        raise RtdecodeError(
            f"has {len(named) or 'no'} spikes called {name!r}; it has {listed}",
            where=where,
            fix="name one of these in full",
        )
    return named[0]


def _scaled(intervals: F8 | None, choice: Choice) -> F8 | None:
    return None if intervals is None else intervals * choice.time_unit_s


def _together(observed: list[F8], choice: Choice) -> F8 | None:
    """The intervals in all lists and between --from and --to, merged where they touch; None for all time."""
    if not observed:
        return None
    intervals = np.array([[choice.from_s, choice.to_s]])
    for each in observed:
        known = np.isfinite(each).all(axis=1) & (each[:, 0] < each[:, 1])
        intervals = intersected(intervals, merged(each[known]))
    if not len(intervals):
        raise RtdecodeError(
            "no time is left in which the array was recorded",
            fix="check --from, --to and the file's intervals",
        )
    return intervals


def _attrs(recording: Recording, behavior_from: Recording | None) -> dict[str, str]:
    attrs = {name: text for name, text in recording.attrs.items() if text}
    attrs.setdefault("session_id", recording.path.stem)
    attrs["imported_from"] = recording.path.name
    attrs["imported_format"] = recording.format
    attrs["imported_by"] = f"rtdecode {__version__}"
    if behavior_from is not None:
        attrs["behavior_from"] = behavior_from.path.name
    return attrs
