"""What `export` notes in a series' comments, so that it is read back as the part of a session that it was."""

from __future__ import annotations

import json
from typing import Any

import h5py

from rtdecode.tools.files.nwb.access import text

_PREFIX = "rtdecode "

#: Description of the column of electrodes that keeps labels as they are.
LABEL = 'of the electrode in its source, "" where that names none'


def mark(part: str, **details: Any) -> str:
    """The comments of a series that holds a part of a session; the details are any JSON."""
    return _PREFIX + json.dumps({"part": part, **details}, ensure_ascii=False)


def details_of(comments: str) -> dict[str, Any]:
    """What `mark` wrote; nothing for other comments."""
    if not comments.startswith(_PREFIX):
        return {}
    try:
        found = json.loads(comments.removeprefix(_PREFIX))
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


def mark_of(series: h5py.Group) -> dict[str, Any]:
    """The mark of a series, nothing where it has none."""
    return details_of(text(series, "comments"))
