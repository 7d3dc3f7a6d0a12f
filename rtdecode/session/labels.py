"""The labels of a session's channels, as their stream described them: an attribute of the file, in JSON."""

from __future__ import annotations

import json
from collections.abc import Sequence

from rtdecode.errors import RtdecodeError
from rtdecode.session.layout import Session

CHANNEL_LABELS = "channel_labels"


def session_labels(session: Session) -> tuple[str, ...]:
    """A label for each channel, in order; () where none are known.

    Raises:
        RtdecodeError: the attribute is no list of as many texts as there are channels.
    """
    text = session.attrs.get(CHANNEL_LABELS)
    if text is None:
        return ()
    try:
        labels = json.loads(text)
    except ValueError:
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
