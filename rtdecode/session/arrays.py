"""Whose channels a session has: its arrays and the labels of channels, attributes of the file in JSON.

session_arrays(session)    # (ElectrodeArray("M1", 96), ElectrodeArray("PMd", 64)); () for one stream
"""

from __future__ import annotations

import json
from collections.abc import Sequence

from rtdecode.artifact import ElectrodeArray, arrays_of, check_arrays
from rtdecode.errors import RtdecodeError, located
from rtdecode.session.layout import Session

ARRAYS = "arrays"
CHANNEL_LABELS = "channel_labels"


def session_arrays(session: Session) -> tuple[ElectrodeArray, ...]:
    """Whose channels a session has, in order; () for those of one stream.

    Raises:
        RtdecodeError: the attribute cannot be read, or does not fit the number of channels.
    """
    text = session.attrs.get(ARRAYS)
    if text is None:
        return ()
    with located(f"{session.path or session.name}:/ ({ARRAYS})"):
        try:
            arrays = arrays_of(json.loads(text))
        except (ValueError, RecursionError) as error:
            raise RtdecodeError(
                f"is not JSON ({error})", fix='write [{"name": "M1", "n_channels": 96}, …]'
            ) from None
        check_arrays(arrays, session.n_channels)
    return arrays


def arrays_attrs(arrays: Sequence[ElectrodeArray]) -> dict[str, str]:
    """The attribute of a file of these arrays; empty for those of one stream."""
    return {ARRAYS: json.dumps([vars(each) for each in arrays])} if arrays else {}


def session_labels(session: Session) -> tuple[str, ...]:
    """A label for each channel, in order, of the attribute or else of /electrodes if no two are the same;
    () where none are known.

    Raises:
        RtdecodeError: the attribute is no list of as many texts as there are channels.
    """
    text = session.attrs.get(CHANNEL_LABELS)
    if text is None:
        known = () if session.electrodes is None else session.electrodes.label
        return known if len(set(known)) == len(known) else ()
    try:
        labels = json.loads(text)
    except (ValueError, RecursionError):
        labels = None
    fits = isinstance(labels, list) and len(labels) == session.n_channels
    if not (fits and all(isinstance(label, str) for label in labels)):
        raise RtdecodeError(
            f"is no list of {session.n_channels} texts in JSON",
            where=f"{session.path or session.name}:/ ({CHANNEL_LABELS})",
            fix='write ["e1", "e2", …], one text a channel, or delete the attribute',
        )
    return tuple(labels)


def labels_attrs(labels: Sequence[str]) -> dict[str, str]:
    """The attribute of a file; empty where no labels are known."""
    return {CHANNEL_LABELS: json.dumps(list(labels))} if labels else {}
