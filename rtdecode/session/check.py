"""The rules of a session file: plain arrays in, checked parts of the data model out.

Liberal in dtypes (integers may have any integer or float type), strict in meaning. The reader and the writer
use the same rules, so whatever is written can be read again. Every error is one line with the path inside
the file (`file.h5:/group/dataset`) and the fix.
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
    """Events from `time`, `channel` and optionally `unit`, stably sorted by time."""
    _same_length(columns, place)
    time = _times(columns["time"], f"{place}/time")
    channel = _integer_column(columns, "channel", np.uint16, place)
    outside = channel >= n_channels
    if outside.any():
        row = int(outside.argmax())
        raise RtdecodeError(
            f"channel {channel[row]} at row {row} is not below n_channels ({n_channels}); "
            f"{int(outside.sum())} rows in total (channels start at 0)",
            where=f"{place}/channel",
            fix=_repair(place),
        )
    unit = _integer_column(columns, "unit", np.uint8, place) if "unit" in columns else None
    if (time[1:] < time[:-1]).any():
        order = np.argsort(time, kind="stable")
        time, channel = time[order], channel[order]
        unit = None if unit is None else unit[order]
    return Events(time, channel, unit)


def check_counts(values: NDArray[Any], attrs: Mapping[str, Any], n_channels: int, place: str) -> Counts:
    """Counts from `values` and the attributes bin_width_s and t0_s, as u1 or u2."""
    bin_width_s = _number(attrs, "bin_width_s", place)
    if not bin_width_s > 0:
        raise RtdecodeError(
            f"bin_width_s is {bin_width_s}; it must be above 0", where=place, fix="set it in seconds"
        )
    where = f"{place}/values"
    _columns_of(values, n_channels, where, "one column for every channel")
    if values.dtype in (np.uint8, np.uint16):
        return Counts(values, bin_width_s, _number(attrs, "t0_s", place))
    checked = as_integers(values, np.uint16, where)
    narrow = checked.size == 0 or int(checked.max()) <= np.iinfo(np.uint8).max
    return Counts(checked.astype(np.uint8) if narrow else checked, bin_width_s, _number(attrs, "t0_s", place))


def check_behavior(columns: Columns, attrs: Mapping[str, Any], place: str) -> Behavior:
    """Behaviour from `time`, `values` and the attributes names and units."""
    _same_length(columns, place)
    time = _times(columns["time"], f"{place}/time")
    values = columns["values"]
    where = f"{place}/values"
    check_numeric(values, where)
    if values.ndim != 2 or values.shape[1] == 0:
        raise RtdecodeError(f"has shape {values.shape}", where=where, fix="store it as [samples, columns]")
    names = _labels(attrs, "names", values.shape[1], place)
    units = _labels(attrs, "units", values.shape[1], place)
    with np.errstate(over="ignore"):
        values = np.ascontiguousarray(values, dtype=np.float32)
    bad = (~np.isfinite(values)).any(axis=1)
    if bad.any():
        row = int(bad.argmax())
        raise RtdecodeError(
            f"{int(bad.sum())} of {len(time)} rows hold NaN or infinity, "
            f"the first is row {row} (t = {time[row]:.3f} s)",
            where=where,
            fix=_repair(place),
        )
    back = np.flatnonzero(time[1:] <= time[:-1])
    if back.size:
        row = int(back[0]) + 1
        raise RtdecodeError(
            f"time does not increase at row {row} ({time[row - 1]:.6f} s, then {time[row]:.6f} s); "
            f"{back.size} rows in total",
            where=f"{place}/time",
            fix=_repair(place),
        )
    return Behavior(time, values, names, units)


def check_trials(columns: Columns, place: str) -> Trials:
    """Trials from `start`, `stop` and any other columns of the same length."""
    _same_length(columns, place)
    start = _times(columns["start"], f"{place}/start")
    stop = _times(columns["stop"], f"{place}/stop")
    before = stop < start
    if before.any():
        row = int(before.argmax())
        raise RtdecodeError(
            f"trial {row} stops before it starts; {int(before.sum())} trials in total",
            where=f"{place}/stop",
            fix=_repair(place),
        )
    others = {name: column for name, column in columns.items() if name not in ("start", "stop")}
    if "target" in others:
        where = f"{place}/target"
        check_numeric(others["target"], where)
        _columns_of(others["target"], 2, where, "x and y of the target")
        others["target"] = others["target"].astype(np.float32)
    return Trials(start, stop, others)


def check_decoded(columns: Columns, attrs: Mapping[str, Any], n_channels: int, place: str) -> Decoded:
    """Decoded from its eight columns, optionally `out`, and their attributes."""
    _same_length(columns, place)
    values = columns["values"]
    check_numeric(values, f"{place}/values")
    if values.ndim != 2:
        where = f"{place}/values"
        raise RtdecodeError(f"has shape {values.shape}", where=where, fix="store it as [bins, outputs]")
    counts = as_integers(columns["counts"], np.uint8, f"{place}/counts")
    _columns_of(counts, n_channels, f"{place}/counts", "one column for every channel")
    # A file that was not closed lists swapped-in models in the second attribute only.
    listed = (as_texts(attrs.get(name)) or () for name in ("models", MODELS_SO_FAR))
    models = max((tuple(model for model in each if model) for each in listed), key=len)
    if len(models) > MAX_MODELS:
        raise RtdecodeError(f"names {len(models)} models", where=place, fix=f"list at most {MAX_MODELS}")
    model = _integer_column(columns, "model", np.uint8, place)
    if model.size and int(model.max()) >= len(models):
        raise RtdecodeError(
            f"model {int(model.max())} is used but `models` lists {len(models)}",
            where=f"{place}/model",
            fix="list the model_id of every model in the attribute `models`",
        )
    return Decoded(
        bin=_integer_column(columns, "bin", np.int64, place),
        t_bin=_times(columns["t_bin"], f"{place}/t_bin"),
        values=values.astype(np.float32, copy=False),
        flags=_integer_column(columns, "flags", np.uint32, place),
        model=model,
        late=_integer_column(columns, "late", np.uint16, place),
        lost=_integer_column(columns, "lost", np.uint32, place),
        counts=counts,
        origin_s=_number(attrs, "origin_s", place),
        models=models,
        names=as_texts(attrs.get("names")) or (),
        out=_check_out(columns["out"], attrs, place) if "out" in columns else None,
    )


def _check_out(values: NDArray[Any], attrs: Mapping[str, Any], place: str) -> DecodedOut:
    """The output stage's cursor from the column `out` and the attributes out_names, _units and _settings."""
    check_numeric(values, f"{place}/out")
    names, units = as_texts(attrs.get("out_names")) or (), as_texts(attrs.get("out_units")) or ()
    if values.ndim != 2 or not len(names) == len(units) == values.shape[1]:
        raise RtdecodeError(
            f"has shape {values.shape} for {len(names)} out_names and {len(units)} out_units",
            where=f"{place}/out",
            fix="store it as [bins, axes], with a name and a unit for each axis",
        )
    settings = as_text(attrs.get("out_settings"))
    if not is_json_object(settings):
        fix = "set it to the [output] table of rig.toml as JSON"
        raise RtdecodeError("the attribute out_settings is not a JSON object", where=place, fix=fix)
    return DecodedOut(values.astype(np.float32, copy=False), names, units, json.loads(settings))


def check_log(columns: Columns, place: str) -> tuple[LogEntry, ...]:
    """Log entries from `time`, `bin`, `kind` and `data` (one JSON object a row)."""
    _same_length(columns, place)
    time = _times(columns["time"], f"{place}/time")
    bins = _integer_column(columns, "bin", np.int64, place)
    for name in ("kind", "data"):
        if columns[name].ndim != 1 or (columns[name].dtype.kind != "U" and columns[name].size):
            raise RtdecodeError(
                "is not a list of strings", where=f"{place}/{name}", fix=f"store strings as in {DOCS}"
            )
    broken = [row for row, text in enumerate(columns["data"]) if not is_json_object(str(text))]
    if broken:
        raise RtdecodeError(
            f"row {broken[0]} is not a JSON object; {len(broken)} rows in total",
            where=f"{place}/data",
            fix=_repair(place),
        )
    kinds, data = columns["kind"].tolist(), [json.loads(text) for text in columns["data"].tolist()]
    try:
        return tuple(join_parts(map(LogEntry, time.tolist(), bins.tolist(), kinds, data)))
    except ValueError as error:
        raise RtdecodeError(
            f"holds parts of an entry that do not fit together: {error}",
            where=f"{place}/data",
            fix=_repair(place),
        ) from error


def as_integers(values: NDArray[Any], dtype: DTypeLike, where: str) -> NDArray[Any]:
    """`values` of any numeric type as `dtype`, without loss.

    Raises:
        RtdecodeError: text, NaN, fractions, or numbers outside `dtype`'s range.
    """
    target = np.dtype(dtype)
    if values.dtype == target:
        return values
    check_numeric(values, where)
    if values.size == 0:
        return values.astype(target)
    if values.dtype.kind == "f":
        if not np.isfinite(values).all():
            bad = int((~np.isfinite(values)).sum())
            raise RtdecodeError(
                f"{bad} values are NaN or infinite",
                where=where,
                fix="store integers, such as 0 for no spikes",
            )
        if (values != np.floor(values)).any():
            raise RtdecodeError(
                f"holds {values[values != np.floor(values)].flat[0]}, not an integer",
                where=where,
                fix="store integers, such as counts instead of rates",
            )
    low, high = values.min(), values.max()
    limits = np.iinfo(target)
    if int(low) < limits.min or int(high) > limits.max:
        wrong = int(low) if int(low) < limits.min else int(high)
        fix = "correct what exported the recording"
        raise RtdecodeError(f"holds {wrong}, outside {limits.min} to {limits.max}", where=where, fix=fix)
    return values.astype(target)


def _times(values: NDArray[Any], where: str) -> NDArray[np.float64]:
    check_numeric(values, where)
    check_dimensions(values, 1, where)
    time = values.astype(np.float64, copy=False)
    bad = ~np.isfinite(time)
    if bad.any():
        raise RtdecodeError(
            f"{int(bad.sum())} of {len(time)} times are NaN or infinite, first at row {int(bad.argmax())}",
            where=where,
            fix=_repair(where),
        )
    return time


def _integer_column(columns: Columns, name: str, dtype: DTypeLike, place: str) -> NDArray[Any]:
    check_dimensions(columns[name], 1, f"{place}/{name}")
    return as_integers(columns[name], dtype, f"{place}/{name}")


def check_numeric(values: NDArray[Any], where: str) -> None:
    """Refuse an array of anything but numbers."""
    if values.dtype.kind not in "iufb":
        raise RtdecodeError(
            f"holds {values.dtype}, not numbers", where=where, fix=f"store numbers of the dtype in {DOCS}"
        )


def check_dimensions(values: NDArray[Any], n: int, where: str) -> None:
    """Refuse an array that has not `n` dimensions."""
    if values.ndim != n:
        raise RtdecodeError(f"has shape {values.shape}", where=where, fix=f"store a {n}-dimensional array")


def _columns_of(values: NDArray[Any], n_columns: int, where: str, meaning: str) -> None:
    if values.ndim != 2 or values.shape[1] != n_columns:
        raise RtdecodeError(
            f"has shape {values.shape}, not [rows, {n_columns}]", where=where, fix=f"store {meaning}"
        )


def _same_length(columns: Columns, place: str) -> None:
    lengths = {name: len(column) for name, column in columns.items()}
    if len(set(lengths.values())) > 1:
        listed = ", ".join(f"{name} {length}" for name, length in lengths.items())
        raise RtdecodeError(f"has datasets of different lengths ({listed})", where=place, fix=_repair(place))


def _number(attrs: Mapping[str, Any], name: str, place: str) -> float:
    number = as_number(attrs.get(name))
    if number is None or not math.isfinite(number):
        problem = "missing" if name not in attrs else "not a finite number"
        raise RtdecodeError(
            f"the attribute {name} is {problem}", where=place, fix=f"set it, in seconds; see {DOCS}"
        )
    return number


def _labels(attrs: Mapping[str, Any], name: str, n_columns: int, place: str) -> tuple[str, ...]:
    labels = as_texts(attrs.get(name))
    if labels is None:
        problem = "missing" if name not in attrs else "not a list of strings"
        fix = f"set one string for each column; see {DOCS}"
        raise RtdecodeError(f"the attribute {name} is {problem}", where=place, fix=fix)
    if len(labels) != n_columns:
        fix = f"set the attribute {name} to {n_columns} strings"
        raise RtdecodeError(
            f"has {len(labels)} {name} for {n_columns} columns of values", where=place, fix=fix
        )
    return labels


def _repair(place: str) -> str:
    return repair_hint(place.rsplit(":/", 1)[0])
