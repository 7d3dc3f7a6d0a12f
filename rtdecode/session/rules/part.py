"""The rules of a session file: plain arrays in, checked parts of the data model out.

Liberal in dtypes (integers may have any integer or float type), strict in meaning. The reader and the writer
use the same rules, so whatever is written can be read again. Every error is one line with the path inside
the file (`file.h5:/group/dataset`) and the fix.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from rtdecode.session.diagnosis.by_hand import refuse_unrepairable
from rtdecode.session.diagnosis.shapes import turned
from rtdecode.session.raw import RawGroup
from rtdecode.session.rules.columns import check_same_length, unsound
from rtdecode.session.rules.electrodes import check_detection, check_electrodes, check_observed
from rtdecode.session.rules.samples import check_behavior, check_features
from rtdecode.session.rules.served import check_decoded, check_log
from rtdecode.session.rules.spikes import check_counts, check_events
from rtdecode.session.rules.task import check_markers, check_trials


def check_part(name: str, group: RawGroup, n_channels: int) -> Any:
    """The part of a session (`Events`, `Counts`, …) that the group called `name` holds.

    Raises:
        RtdecodeError: it breaks a rule of the format.
    """
    group, wrong = turned(name, group, n_channels)
    for column, what in wrong.items():
        raise unsound(what, f"{group.place}/{column}")
    refuse_unrepairable(name, group, n_channels)
    check_same_length(group)
    return _CHECKS[name](group, n_channels)


_CHECKS: dict[str, Callable[[RawGroup, int], Any]] = {
    "events": check_events,
    "counts": check_counts,
    "features": check_features,
    "behavior": check_behavior,
    "trials": check_trials,
    "markers": check_markers,
    "decoded": check_decoded,
    "log": check_log,
    "detection": check_detection,
    "observed": check_observed,
    "electrodes": check_electrodes,
}
