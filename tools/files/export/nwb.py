"""Write a session as an NWB file, with pynwb; `files/nwb` reads back what it held.

NWB has no place for some of what a session says: the units of columns, how counts were binned, attributes.
They are noted in the comments of a series or the notes of the file (`files/nwb/marks.py`), beside what any
reader of NWB finds.
"""

from __future__ import annotations

import contextlib
import os
import warnings
from datetime import UTC, datetime
from importlib import import_module
from pathlib import Path
from typing import Any
from uuid import uuid4

import numpy as np
from numpy.typing import NDArray

from rtdecode.errors import RtdecodeError
from rtdecode.files import cannot_write, part_of
from rtdecode.session.arrays import session_arrays, session_labels
from rtdecode.session.layout import Session, Trials
from rtdecode.tools.files.export.nwb_parts import (
    behavior,
    counts,
    decoded,
    features,
    intervals,
    markers,
    nwb_name,
    units,
)
from rtdecode.tools.files.nwb.marks import LABEL, mark

#: Written where NWB needs a word and the session has none.
UNKNOWN = "unknown"

#: The start of a session of unknown date, and the age of a subject of unknown age: from 0 days on.
_NO_DATE, _ANY_AGE = datetime(1970, 1, 1, tzinfo=UTC), "P0D/"


def write_nwb(path: Path, session: Session) -> None:
    """Write everything of `session` that NWB can hold, replacing an existing file.

    The log, the settings of a detection, and the decoder's input in /decoded are left out.

    Args:
        path: of the new file.
        session: as it was read.

    Raises:
        RtdecodeError: pynwb is not installed, or the file cannot be written.
    """
    pynwb = _pynwb()
    unfinished = part_of(path)
    try:
        with warnings.catch_warnings():
            # pynwb has remarks about what is on its way out; the inspector's findings are tested.
            warnings.simplefilter("ignore")
            with pynwb.NWBHDF5IO(str(unfinished), "w") as io:
                io.write(_file(pynwb, session))
        os.replace(unfinished, path)
    except (OSError, ValueError) as error:
        raise cannot_write(path, error) from error
    finally:
        with contextlib.suppress(OSError):
            unfinished.unlink()


def _pynwb() -> Any:
    try:
        return import_module("pynwb")
    except ImportError as error:
        raise RtdecodeError(
            "NWB files are written by pynwb, which is not installed", fix="pip install 'rtdecode[nwb]'"
        ) from error


def _file(pynwb: Any, session: Session) -> Any:
    attrs, start, dated = session.attrs, *_start(session)
    file = pynwb.NWBFile(
        session_description=(attrs.get("task") or attrs.get("description") or UNKNOWN)
        + ("" if dated else " (the date is unknown: session_start_time stands for none)"),
        identifier=attrs.get("identifier") or str(uuid4()),
        session_start_time=start,
        session_id=session.name,
        experiment_description=attrs.get("experiment") or attrs.get("source") or None,
        institution=attrs.get("institution") or None,
        lab=attrs.get("lab") or None,
        notes=mark("session", attrs=attrs),
        subject=pynwb.file.Subject(
            subject_id=attrs.get("subject") or UNKNOWN,
            species=attrs.get("species") or None,
            sex="U",
            age=_ANY_AGE,
            description="As far as the session says: P0D/ is an unknown age, and what is missing is unknown.",
        ),
    )
    electrodes = _add_electrodes(file, session)
    if session.events is not None:
        file.units = units(pynwb, file, session.events, electrodes, session.observed)
        if session.electrodes is not None and session.electrodes.unit_id:
            ids = [session.electrodes.unit_id[channel] for channel in file.units["channel"].data]
            file.units.add_column("source_id", "of the channel or unit in its source", data=ids)
    if session.counts is not None:
        file.add_acquisition(counts(pynwb, session.counts, electrodes))
    if session.markers is not None and len(session.markers.time):
        file.add_acquisition(markers(pynwb, session.markers))
    if session.trials is not None and len(session.trials.start):
        file.trials = intervals(pynwb, "trials", session.trials)
    if session.observed is not None:
        file.add_time_intervals(intervals(pynwb, "observed", Trials(*session.observed.T)))
    if session.behavior is not None and len(session.behavior.time):
        module = file.create_processing_module("behavior", "movement of the subject or the cursor")
        for part in behavior(pynwb, session.behavior):
            module.add(part)
    if session.features is not None and len(session.features.time):
        module = file.create_processing_module("ecephys", "signals beside the spikes")
        module.add(features(pynwb, session.features))
    if session.decoded is not None and len(session.decoded.t_bin):
        module = file.create_processing_module("decoding", "what rtdecode decoded while it was recorded")
        for part in decoded(pynwb, session.decoded):
            module.add(part)
    return file


def _start(session: Session) -> tuple[datetime, bool]:
    """When the session began, and whether that is known; a date without a zone is taken as UTC."""
    for name in ("session_start_time", "date"):
        with contextlib.suppress(ValueError):
            start = datetime.fromisoformat(session.attrs.get(name, ""))
            return (start if start.tzinfo else start.replace(tzinfo=UTC)), True
    return _NO_DATE, False


def _add_electrodes(file: Any, session: Session) -> NDArray[np.int64]:
    """Add the electrodes that channels were recorded from; the row of each channel's."""
    if not session.n_channels:
        return np.zeros(0, np.int64)
    device = file.create_device(name="recorder", description=session.attrs.get("source") or UNKNOWN)
    file.add_electrode_column("label", LABEL)
    groups: dict[str, Any] = {}
    rows: dict[tuple[str, str | int], int] = {}
    of_channels = []
    for channel, (array, label) in enumerate(_channels(session)):
        if array not in groups:
            groups[array] = file.create_electrode_group(
                name=nwb_name(array), description="array of electrodes", location=UNKNOWN, device=device
            )
        of_channels.append(row := rows.setdefault((array, label or channel), len(rows)))
        if row == len(file.electrodes):
            named = {"id": row, "label": label, "group": groups[array], "location": UNKNOWN}
            file.add_electrode(**named, **_place(session, channel))
    return np.array(of_channels)


def _channels(session: Session) -> list[tuple[str, str]]:
    """The array of each channel and the label of its electrode, "" where it has none.

    Channels of several units have their number, by which the units are put together again.
    """
    n, known = session.n_channels, session.electrodes
    has_units = session.events is not None and session.events.unit is not None
    numbers = tuple(str(channel) if has_units else "" for channel in range(n))
    if known is not None:
        labels = [label or number for label, number in zip(known.label, numbers, strict=True)]
        return [(name or "array", label) for name, label in zip(known.array or [""] * n, labels, strict=True)]
    arrays = [each.name for each in session_arrays(session) for _ in range(each.n_channels)] or ["array"] * n
    return list(zip(arrays, session_labels(session) or numbers, strict=True))


def _place(session: Session, channel: int) -> dict[str, float]:
    """Where the electrode of a channel is on its array."""
    known = session.electrodes
    if known is None or known.x is None or known.y is None:
        return {}
    return {"rel_x": float(known.x[channel]), "rel_y": float(known.y[channel])}
