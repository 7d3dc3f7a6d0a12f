"""The rules of /trials and /markers."""

from __future__ import annotations

import numpy as np

from rtdecode.session.diagnosis.arrays import check_numeric
from rtdecode.session.layout import Markers, Trials
from rtdecode.session.log_text import join_markers
from rtdecode.session.raw import RawGroup
from rtdecode.session.rules.columns import table_column, text_column, time_column, unsound


def check_trials(group: RawGroup, n_channels: int) -> Trials:
    """Trials from `start`, `stop` and any other columns of the same length."""
    start, stop = time_column(group, "start"), time_column(group, "stop")
    before = stop < start
    if before.any():
        raise unsound(
            f"trial {int(before.argmax())} stops before it starts; {int(before.sum())} trials in total",
            f"{group.place}/stop",
        )
    others = {name: column for name, column in group.columns.items() if name not in ("start", "stop")}
    if "target" in others:
        check_numeric(others["target"], f"{group.place}/target")
        others["target"] = table_column(group, "target", 2, "x and y of the target").astype(np.float32)
    return Trials(start, stop, others)


def check_markers(group: RawGroup, n_channels: int) -> Markers:
    """Markers from `time` and `text`, stably sorted by time."""
    time = time_column(group, "time")
    texts = [str(text) for text in text_column(group, "text")]
    try:
        whole = sorted(join_markers(time.tolist(), texts), key=lambda marker: marker[0])
    except ValueError as error:
        raise unsound(f"holds parts of a marker that do not fit together: {error}", group.place) from error
    return Markers(np.array([at for at, _ in whole], np.float64), tuple(text for _, text in whole))
