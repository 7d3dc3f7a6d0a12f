"""The rules of what is said about the array: /electrodes, /observed and /detection."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from rtdecode.errors import RtdecodeError
from rtdecode.session.diagnosis.arrays import check_dimensions, check_finite, check_numeric
from rtdecode.session.layout import Detection, Electrodes
from rtdecode.session.log_text import json_object
from rtdecode.session.raw import RawGroup, as_text
from rtdecode.session.rules.columns import text_column, time_column, unsound
from rtdecode.session.schema import DOCS


def check_detection(group: RawGroup, n_channels: int) -> Detection:
    """Detection from `noise`, optionally `weights`, and the attribute settings (JSON)."""
    noise, weights = group.columns["noise"], group.columns.get("weights")
    check_finite(noise, (n_channels,), f"{group.place}/noise")
    if weights is not None:
        check_finite(weights, (n_channels, n_channels), f"{group.place}/weights")
    settings = json_object(as_text(group.attrs.get("settings")))
    if settings is None:
        fix = f"set it as in {DOCS}"
        raise RtdecodeError("the attribute settings is not a JSON object", where=group.place, fix=fix)
    return Detection(settings, noise.astype("f8"), None if weights is None else weights.astype("f4"))


def check_observed(group: RawGroup, n_channels: int) -> NDArray[np.float64]:
    """Intervals f8[k, 2] from `start` and `stop`, sorted and without overlap."""
    observed = np.stack([time_column(group, "start"), time_column(group, "stop")], axis=1)
    if not len(observed):
        fix = "store the intervals in which the array was recorded, or delete the group"
        raise RtdecodeError("holds no interval", where=group.place, fix=fix)
    for wrong, what, column in (
        (observed[:, 1] <= observed[:, 0], "an interval does not stop after it starts", "stop"),
        (
            np.append(False, observed[1:, 0] < observed[:-1, 1]),
            "an interval starts before the one before it stops",
            "start",
        ),
    ):
        if wrong.any():
            row = int(wrong.argmax())
            raise unsound(
                f"{what}: row {row} is {observed[row, 0]:.6f} to {observed[row, 1]:.6f} s; "
                f"{int(wrong.sum())} rows in total",
                f"{group.place}/{column}",
            )
    return observed


def check_electrodes(group: RawGroup, n_channels: int) -> Electrodes:
    """Electrodes from `label` and, if there are any, `unit_id`, `x`, `y` and `array`, a row a channel."""
    rows = len(group.columns["label"])
    if rows != n_channels:
        fix = f"store {n_channels} rows, one a channel"
        raise RtdecodeError(f"has {rows} rows for {n_channels} channels", where=group.place, fix=fix)
    label, unit_id, array = (
        tuple(map(str, text_column(group, name).tolist())) if name in group.columns else ()
        for name in ("label", "unit_id", "array")
    )
    x, y = (_positions(group, name) if name in group.columns else None for name in ("x", "y"))
    return Electrodes(label, unit_id, x, y, array)


def _positions(group: RawGroup, name: str) -> NDArray[np.float32]:
    values, where = group.columns[name], f"{group.place}/{name}"
    check_numeric(values, where)
    check_dimensions(values, 1, where)
    with np.errstate(over="ignore"):
        values = values.astype(np.float32)
    if np.isinf(values).any():
        fix = "store NaN where the position is unknown"
        raise RtdecodeError(f"holds infinity at row {int(np.isinf(values).argmax())}", where=where, fix=fix)
    return values
