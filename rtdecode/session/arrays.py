"""The arrays of a session of several: an attribute of the file, `arrays`, in JSON.

session_arrays(session)    # (ElectrodeArray("M1", 96), ElectrodeArray("PMd", 64)); () for one stream
"""

from __future__ import annotations

import json
from collections.abc import Sequence

from rtdecode.artifact import ElectrodeArray, arrays_of, check_arrays
from rtdecode.errors import RtdecodeError, located
from rtdecode.session.layout import Session

ARRAYS = "arrays"


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
        except ValueError as error:
            raise RtdecodeError(
                f"is not JSON ({error})", fix='write [{"name": "M1", "n_channels": 96}, …]'
            ) from None
        check_arrays(arrays, session.n_channels)
    return arrays


def arrays_attrs(arrays: Sequence[ElectrodeArray]) -> dict[str, str]:
    """The attribute of a file of these arrays; empty for those of one stream."""
    return {ARRAYS: json.dumps([vars(each) for each in arrays])} if arrays else {}
