"""Who and when: what an NWB file says about its recording as a whole."""

from __future__ import annotations

import h5py

from rtdecode.tools.files.nwb.access import text
from rtdecode.tools.files.nwb.marks import details_of

#: Of the channels, which are numbered again when they are imported: tables of units say the same.
_OF_CHANNELS = ("arrays", "channel_labels")

#: An attribute of the recording, and where NWB keeps it.
_PLACES = {
    "subject": "general/subject/subject_id",
    "session_id": "general/session_id",
    "date": "session_start_time",
    "identifier": "identifier",
    "description": "session_description",
    "experiment": "general/experiment_description",
    "institution": "general/institution",
    "lab": "general/lab",
    "species": "general/subject/species",
    "license": "general/license",
    "task": "general/task",
}


def attributes_of(file: h5py.File) -> dict[str, str]:
    """Attributes as text; those of a session that was exported are as they were."""
    own = details_of(text(file, "general/notes")).get("attrs")
    if isinstance(own, dict):
        return {str(name): str(value) for name, value in own.items() if name not in _OF_CHANNELS}
    found = {name: text(file, place) for name, place in _PLACES.items()}
    found["session_start_time"], found["date"] = found["date"], found["date"][:10]
    return {name: value for name, value in found.items() if value}
