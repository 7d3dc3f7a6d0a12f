"""The rules a session keeps: plain arrays in, checked parts of the data model out.

Liberal in dtypes (whole numbers may come as any integer or float type), strict in meaning. The reader
and the writer use the same rules, so nothing is written that could not be read again. Every error is one
line with the place (`file.h5:/group/dataset`) and the fix.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from rtdecode.errors import RtdecodeError
from rtdecode.session.layout import Behavior, Counts, Decoded, DecodedOut, Events, LogEntry, Trials
from rtdecode.session.log_text import is_json_object, join_parts
from rtdecode.session.raw import as_number, as_text, as_texts
from rtdecode.session.schema import DOCS, MAX_MODELS, MODELS_SO_FAR, repair_hint

Columns = Mapping[str, NDArray[Any]]


def check_events(columns: Columns, n_channels: int, place: str) -> Events:
    """Events from `time`, `channel` and perhaps `unit`, stably sorted by time if they are not."""
    _same_length(columns, place)
    time = _times(columns["time"], f"{place}/time")
    channel = whole_numbers(columns["channel"], np.uint16, f"{place}/channel")
    _one_dimensional(channel, f"{place}/channel")
    outside = channel >= n_channels
    if outside.any():
        row = int(outside.argmax())
        raise RtdecodeError(
            f"channel {channel[row]} at row {row} is not below n_channels ({n_channels}); "
            f"{int(outside.sum())} such rows (channels count from 0)",
            where=f"{place}/channel",
            fix=_repair(place),
        )
    unit = None
    if "unit" in columns:
        unit = whole_numbers(columns["unit"], np.uint8, f"{place}/unit")
        _one_dimensional(unit, f"{place}/unit")
    if (time[1:] < time[:-1]).any():
        order = np.argsort(time, kind="stable")
        time, channel = time[order], channel[order]
        unit = None if unit is None else unit[order]
    return Events(time, channel, unit)


def check_counts(values: NDArray[Any], attrs: Mapping[str, Any], n_channels: int, place: str) -> Counts:
    """Counts from `values` and the attributes bin_width_s and t0_s; u1 and u2 stay, others shrink to one."""
    bin_width_s = _number(attrs, "bin_width_s", place)
    if not bin_width_s > 0:
        raise RtdecodeError(
            f"bin_width_s is {bin_width_s}", where=place, fix="set it to the width of a bin in seconds"
        )
    where = f"{place}/values"
    _columns_of(values, n_channels, where, "one column for every channel")
    if values.dtype in (np.uint8, np.uint16):
        return Counts(values, bin_width_s, _number(attrs, "t0_s", place))
    checked = whole_numbers(values, np.uint16, where)
    narrow = checked.size == 0 or int(checked.max()) <= np.iinfo(np.uint8).max
    return Counts(checked.astype(np.uint8) if narrow else checked, bin_width_s, _number(attrs, "t0_s", place))


def check_behavior(columns: Columns, attrs: Mapping[str, Any], place: str) -> Behavior:
    """Behaviour from `time`, `values` and the attributes names and units."""
    _same_length(columns, place)
    time = _times(columns["time"], f"{place}/time")
    values = columns["values"]
    where = f"{place}/values"
    _numeric(values, where)
    if values.ndim != 2 or values.shape[1] == 0:
        raise RtdecodeError(f"has shape {values.shape}", where=where, fix="it must be [samples, columns]")
    names = _labels(attrs, "names", values.shape[1], place)
    units = _labels(attrs, "units", values.shape[1], place)
    with np.errstate(over="ignore"):
        values = np.ascontiguousarray(values, dtype=np.float32)
    bad = (~np.isfinite(values)).any(axis=1)
    if bad.any():
        row = int(bad.argmax())
        raise RtdecodeError(
            f"NaN or infinite in {int(bad.sum())} of {len(time)} rows, "
            f"the first at row {row} (t = {time[row]:.3f} s)",
            where=where,
            fix=_repair(place),
        )
    back = np.flatnonzero(time[1:] <= time[:-1])
    if back.size:
        row = int(back[0]) + 1
        raise RtdecodeError(
            f"time does not increase at row {row} ({time[row - 1]:.6f} s, then {time[row]:.6f} s); "
            f"{back.size} such rows",
            where=f"{place}/time",
            fix=_repair(place),
        )
    return Behavior(time, values, names, units)


def check_trials(columns: Columns, place: str) -> Trials:
    """Trials from `start`, `stop` and any further columns of as many rows."""
    _same_length(columns, place)
    start = _times(columns["start"], f"{place}/start")
    stop = _times(columns["stop"], f"{place}/stop")
    before = stop < start
    if before.any():
        row = int(before.argmax())
        raise RtdecodeError(
            f"trial {row} stops before it starts; {int(before.sum())} such rows",
            where=f"{place}/stop",
            fix=_repair(place),
        )
    others = {name: column for name, column in columns.items() if name not in ("start", "stop")}
    if "target" in others:
        where = f"{place}/target"
        _numeric(others["target"], where)
        _columns_of(others["target"], 2, where, "x and y of the target")
        others["target"] = others["target"].astype(np.float32)
    return Trials(start, stop, others)


def check_decoded(columns: Columns, attrs: Mapping[str, Any], n_channels: int, place: str) -> Decoded:
    """Decoded from its eight columns, perhaps `out`, and the attributes that go with them."""
    _same_length(columns, place)
    values = columns["values"]
    _numeric(values, f"{place}/values")
    if values.ndim != 2:
        raise RtdecodeError(
            f"has shape {values.shape}", where=f"{place}/values", fix="it must be [bins, outputs]"
        )
    counts = whole_numbers(columns["counts"], np.uint8, f"{place}/counts")
    _columns_of(counts, n_channels, f"{place}/counts", "one column for every channel")
    # One that was not closed lists what was swapped in only in the second.
    listed = (as_texts(attrs.get(name)) or () for name in ("models", MODELS_SO_FAR))
    models = max((tuple(model for model in each if model) for each in listed), key=len)
    if len(models) > MAX_MODELS:
        raise RtdecodeError(f"{len(models)} models", where=place, fix=f"at most {MAX_MODELS} fit")
    model = _row_numbers(columns, "model", np.uint8, place)
    if model.size and int(model.max()) >= len(models):
        raise RtdecodeError(
            f"model {int(model.max())} is used but `models` lists {len(models)}",
            where=f"{place}/model",
            fix="list the model_id of every model in the attribute `models`",
        )
    return Decoded(
        bin=_row_numbers(columns, "bin", np.int64, place),
        t_bin=_times(columns["t_bin"], f"{place}/t_bin"),
        values=values.astype(np.float32, copy=False),
        flags=_row_numbers(columns, "flags", np.uint32, place),
        model=model,
        late=_row_numbers(columns, "late", np.uint16, place),
        lost=_row_numbers(columns, "lost", np.uint32, place),
        counts=counts,
        origin_s=_number(attrs, "origin_s", place),
        models=models,
        names=as_texts(attrs.get("names")) or (),
        out=_check_out(columns["out"], attrs, place) if "out" in columns else None,
    )


def _check_out(values: NDArray[Any], attrs: Mapping[str, Any], place: str) -> DecodedOut:
    """The output stage's cursor from the column `out` and the attributes out_names, _units and _settings."""
    _numeric(values, f"{place}/out")
    names, units = as_texts(attrs.get("out_names")) or (), as_texts(attrs.get("out_units")) or ()
    if values.ndim != 2 or not len(names) == len(units) == values.shape[1]:
        raise RtdecodeError(
            f"has shape {values.shape} for {len(names)} out_names and {len(units)} out_units",
            where=f"{place}/out",
            fix="it must be [bins, axes], with a name and a unit for each axis",
        )
    settings = as_text(attrs.get("out_settings"))
    if not is_json_object(settings):
        raise RtdecodeError(
            "the attribute out_settings is not a JSON object",
            where=place,
            fix="it holds the [output] table of rig.toml as JSON",
        )
    return DecodedOut(values.astype(np.float32, copy=False), names, units, json.loads(settings))


def check_log(columns: Columns, place: str) -> tuple[LogEntry, ...]:
    """Log entries from `time`, `bin`, `kind` and `data` (one JSON object a row)."""
    _same_length(columns, place)
    time = _times(columns["time"], f"{place}/time")
    bins = _row_numbers(columns, "bin", np.int64, place)
    for name in ("kind", "data"):
        if columns[name].ndim != 1 or (columns[name].dtype.kind != "U" and columns[name].size):
            raise RtdecodeError("is not a list of strings", where=f"{place}/{name}", fix=f"see {DOCS}")
    broken = [row for row, text in enumerate(columns["data"]) if not is_json_object(str(text))]
    if broken:
        raise RtdecodeError(
            f"row {broken[0]} is not a JSON object; {len(broken)} such rows",
            where=f"{place}/data",
            fix=_repair(place),
        )
    kinds, data = columns["kind"].tolist(), [json.loads(text) for text in columns["data"].tolist()]
    try:
        return tuple(join_parts(map(LogEntry, time.tolist(), bins.tolist(), kinds, data)))
    except ValueError as error:
        raise RtdecodeError(
            f"holds parts that do not fit together: {error}", where=f"{place}/data", fix=f"see {DOCS}"
        ) from error


def whole_numbers(values: NDArray[Any], dtype: DTypeLike, where: str) -> NDArray[Any]:
    """`values` as `dtype`, whatever numeric type they came in, provided that loses nothing.

    Raises:
        RtdecodeError: text, NaN, fractions, or numbers outside `dtype`'s range.
    """
    target = np.dtype(dtype)
    if values.dtype == target:
        return values
    _numeric(values, where)
    if values.size == 0:
        return values.astype(target)
    if values.dtype.kind == "f":
        if not np.isfinite(values).all():
            bad = int((~np.isfinite(values)).sum())
            raise RtdecodeError(
                f"{bad} values are NaN or infinite",
                where=where,
                fix="write whole numbers, 0 where nothing was seen",
            )
        if (values != np.floor(values)).any():
            raise RtdecodeError(
                f"holds {values[values != np.floor(values)].flat[0]}",
                where=where,
                fix="write whole numbers; rates must be turned back into counts",
            )
    low, high = values.min(), values.max()
    limits = np.iinfo(target)
    if int(low) < limits.min or int(high) > limits.max:
        wrong = int(low) if int(low) < limits.min else int(high)
        raise RtdecodeError(
            f"holds {wrong}, outside {limits.min} to {limits.max}",
            where=where,
            fix="check the recording's export",
        )
    return values.astype(target)


def _times(values: NDArray[Any], where: str) -> NDArray[np.float64]:
    _numeric(values, where)
    _one_dimensional(values, where)
    time = values.astype(np.float64, copy=False)
    bad = ~np.isfinite(time)
    if bad.any():
        raise RtdecodeError(
            f"NaN or infinite in {int(bad.sum())} of {len(time)} times, the first at row {int(bad.argmax())}",
            where=where,
            fix=_repair(where),
        )
    return time


def _row_numbers(columns: Columns, name: str, dtype: DTypeLike, place: str) -> NDArray[Any]:
    _one_dimensional(columns[name], f"{place}/{name}")
    return whole_numbers(columns[name], dtype, f"{place}/{name}")


def _numeric(values: NDArray[Any], where: str) -> None:
    if values.dtype.kind not in "iufb":
        raise RtdecodeError(
            f"holds {values.dtype}, not numbers", where=where, fix=f"see {DOCS} for the dtypes"
        )


def _one_dimensional(values: NDArray[Any], where: str) -> None:
    if values.ndim != 1:
        raise RtdecodeError(f"has shape {values.shape}", where=where, fix="it must have one dimension")


def _columns_of(values: NDArray[Any], n_columns: int, where: str, meaning: str) -> None:
    if values.ndim != 2 or values.shape[1] != n_columns:
        raise RtdecodeError(
            f"has shape {values.shape}, not [rows, {n_columns}]", where=where, fix=f"it needs {meaning}"
        )


def _same_length(columns: Columns, place: str) -> None:
    lengths = {name: len(column) for name, column in columns.items()}
    if len(set(lengths.values())) > 1:
        listed = ", ".join(f"{name} {length}" for name, length in lengths.items())
        raise RtdecodeError(f"datasets of different lengths ({listed})", where=place, fix=_repair(place))


def _number(attrs: Mapping[str, Any], name: str, place: str) -> float:
    number = as_number(attrs.get(name))
    if number is None or not math.isfinite(number):
        problem = "is missing" if name not in attrs else "is not a finite number"
        raise RtdecodeError(
            f"the attribute {name} {problem}", where=place, fix=f"set it, in seconds; see {DOCS}"
        )
    return number


def _labels(attrs: Mapping[str, Any], name: str, n_columns: int, place: str) -> tuple[str, ...]:
    labels = as_texts(attrs.get(name))
    if labels is None:
        problem = "is missing" if name not in attrs else "is not a list of strings"
        raise RtdecodeError(
            f"the attribute {name} {problem}", where=place, fix=f"one string a column; see {DOCS}"
        )
    if len(labels) != n_columns:
        raise RtdecodeError(
            f"{len(labels)} {name} for {n_columns} columns of values",
            where=place,
            fix=f"set the attribute {name} to {n_columns} strings",
        )
    return labels


def _repair(place: str) -> str:
    return repair_hint(place.rsplit(":/", 1)[0])
