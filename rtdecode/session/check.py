"""The rules of a session file: plain arrays in, checked parts of the data model out.

Liberal in dtypes (integers may have any integer or float type), strict in meaning. The reader and the writer
use the same rules, so whatever is written can be read again. Every error is one line with the path inside
the file (`file.h5:/group/dataset`) and the fix.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from rtdecode.artifact import FEATURE_KINDS
from rtdecode.errors import RtdecodeError
from rtdecode.session.diagnosis.arrays import as_integers, check_dimensions, check_finite, check_numeric
from rtdecode.session.diagnosis.by_hand import counts_from_one, refuse_unrepairable
from rtdecode.session.diagnosis.shapes import turned
from rtdecode.session.layout import (
    Behavior,
    Counts,
    Decoded,
    DecodedOut,
    Detection,
    Events,
    Features,
    LogEntry,
    Markers,
    Trials,
)
from rtdecode.session.log_text import join_markers, join_parts, json_object
from rtdecode.session.raw import RawGroup, as_number, as_text, as_texts
from rtdecode.session.schema import (
    ANNOUNCED,
    ANNOUNCED_PERIOD,
    DECODED,
    DOCS,
    MAX_MODELS,
    MODELS_SO_FAR,
    repair_hint,
)


def check_part(name: str, group: RawGroup, n_channels: int) -> Any:
    """The part of a session (`Events`, `Counts`, …) that the group called `name` holds.

    Raises:
        RtdecodeError: it breaks a rule of the format.
    """
    group, wrong = turned(name, group, n_channels)
    for column, what in wrong.items():
        raise _unsound(what, f"{group.place}/{column}")
    refuse_unrepairable(name, group, n_channels)
    _same_length(group)
    return _CHECKS[name](group, n_channels)


def _check_events(group: RawGroup, n_channels: int) -> Events:
    """Events from `time`, `channel` and optionally `unit`, stably sorted by time."""
    time, channel = _times(group, "time"), _integers(group, "channel", np.uint16)
    outside = channel >= n_channels
    if outside.any():
        row = int(outside.argmax())
        if counts_from_one(channel, n_channels):
            raise _unsound(
                f"channels count from 1 (1 to {n_channels}, and n_channels is {n_channels})",
                f"{group.place}/channel",
            )
        raise _unsound(
            f"channel {channel[row]} at row {row} is not below n_channels ({n_channels}); "
            f"{int(outside.sum())} of {len(channel)} rows (channels start at 0)",
            f"{group.place}/channel",
        )
    unit = _integers(group, "unit", np.uint8) if "unit" in group.columns else None
    if (time[1:] < time[:-1]).any():
        order = np.argsort(time, kind="stable")
        time, channel = time[order], channel[order]
        unit = None if unit is None else unit[order]
    return Events(time, channel, unit)


def _check_counts(group: RawGroup, n_channels: int) -> Counts:
    """Counts from `values` and the attributes bin_width_s and t0_s, as u1 or u2."""
    bin_width_s = _seconds(group, "bin_width_s")
    values = _table(group, "values", n_channels, "one column for every channel")
    if values.dtype not in (np.uint8, np.uint16):
        values = as_integers(values, np.uint16, f"{group.place}/values")
        if values.size == 0 or int(values.max()) <= np.iinfo(np.uint8).max:
            values = values.astype(np.uint8)
    end = _times(group, "end") if "end" in group.columns else None
    if end is not None and (len(end) != len(values) or (np.diff(end) <= 0).any()):
        raise _unsound(
            f"the ends of {len(end)} of {len(values)} rows are given, and they do not all increase",
            f"{group.place}/end",
        )
    announced_s = _number(group, ANNOUNCED) if ANNOUNCED in group.attrs else None
    return Counts(values, bin_width_s, _number(group, "t0_s"), end, announced_s)


def _check_features(group: RawGroup, n_channels: int) -> Features:
    """Features from `time`, `values` and the attributes names, kinds, units and period_s."""
    time, values = _sampled(group)
    names, kinds, units = (_labels(group, name, values.shape[1]) for name in ("names", "kinds", "units"))
    for what, wrong, fix in (
        ("a kind", set(kinds) - set(FEATURE_KINDS), f"use {', '.join(FEATURE_KINDS)}"),
        ("twice the name", {name for name, n in Counter(names).items() if n > 1}, "give each column its own"),
    ):
        if wrong:
            raise RtdecodeError(f"has {what} {min(wrong)!r}", where=group.place, fix=fix)
    announced_s = _seconds(group, ANNOUNCED_PERIOD) if ANNOUNCED_PERIOD in group.attrs else None
    return Features(time, values, names, kinds, units, _seconds(group, "period_s"), announced_s)


def _check_behavior(group: RawGroup, n_channels: int) -> Behavior:
    """Behaviour from `time`, `values` and the attributes names and units."""
    time, values = _sampled(group)
    return Behavior(time, values, *(_labels(group, name, values.shape[1]) for name in ("names", "units")))


def _sampled(group: RawGroup) -> tuple[NDArray[np.float64], NDArray[np.float32]]:
    """The columns `time`, strictly increasing, and `values` f4[samples, columns] without infinity."""
    time, values, where = _times(group, "time"), group.columns["values"], f"{group.place}/values"
    check_numeric(values, where)
    if values.ndim != 2 or values.shape[1] == 0:
        raise RtdecodeError(f"has shape {values.shape}", where=where, fix="store it as [samples, columns]")
    with np.errstate(over="ignore"):
        values = np.ascontiguousarray(values, dtype=np.float32)
    bad = np.isinf(values).any(axis=1)
    if bad.any():
        row = int(bad.argmax())
        raise _unsound(f"{int(bad.sum())} of {len(time)} rows hold infinity, the first is row {row}", where)
    back = np.flatnonzero(time[1:] <= time[:-1])
    if back.size:
        row = int(back[0]) + 1
        raise _unsound(
            f"time does not increase at row {row} ({time[row - 1]:.6f} s, then {time[row]:.6f} s); "
            f"{back.size} rows in total",
            f"{group.place}/time",
        )
    return time, values


def _check_trials(group: RawGroup, n_channels: int) -> Trials:
    """Trials from `start`, `stop` and any other columns of the same length."""
    start, stop = _times(group, "start"), _times(group, "stop")
    before = stop < start
    if before.any():
        raise _unsound(
            f"trial {int(before.argmax())} stops before it starts; {int(before.sum())} trials in total",
            f"{group.place}/stop",
        )
    others = {name: column for name, column in group.columns.items() if name not in ("start", "stop")}
    if "target" in others:
        check_numeric(others["target"], f"{group.place}/target")
        others["target"] = _table(group, "target", 2, "x and y of the target").astype(np.float32)
    return Trials(start, stop, others)


def _check_decoded(group: RawGroup, n_channels: int) -> Decoded:
    """Decoded from its eight columns, optionally `out`, and their attributes."""
    values, place = group.columns["values"], group.place
    check_numeric(values, f"{place}/values")
    if values.ndim != 2:
        where = f"{place}/values"
        raise RtdecodeError(f"has shape {values.shape}", where=where, fix="store it as [bins, outputs]")
    counts = as_integers(group.columns["counts"], np.uint8, f"{place}/counts")
    _table(group, "counts", n_channels, "one column for every channel")
    # A file that was not closed lists swapped-in models in the second attribute only.
    listed = (as_texts(group.attrs.get(name)) or () for name in ("models", MODELS_SO_FAR))
    models = max((tuple(model for model in each if model) for each in listed), key=len)
    if len(models) > MAX_MODELS:
        raise RtdecodeError(f"names {len(models)} models", where=place, fix=f"list at most {MAX_MODELS}")
    columns = {
        name: _integers(group, name, DECODED[name]) for name in ("bin", "flags", "model", "late", "lost")
    }
    model = columns["model"]
    if model.size and int(model.max()) >= len(models):
        raise RtdecodeError(
            f"model {int(model.max())} is used but `models` lists {len(models)}",
            where=f"{place}/model",
            fix="list the model_id of every model in the attribute `models`",
        )
    return Decoded(
        t_bin=_times(group, "t_bin"),
        values=values.astype(np.float32, copy=False),
        counts=counts,
        origin_s=_number(group, "origin_s"),
        models=models,
        names=as_texts(group.attrs.get("names")) or (),
        out=_decoded_out(group) if "out" in group.columns else None,
        codes=_codes(group) if "codes" in group.columns else None,
        **columns,
    )


def _codes(group: RawGroup) -> NDArray[np.int8]:
    codes = group.columns["codes"]
    if codes.ndim != 2:
        where = f"{group.place}/codes"
        raise RtdecodeError(f"has shape {codes.shape}", where=where, fix="store it as [bins, features]")
    return as_integers(codes, np.int8, f"{group.place}/codes")


def _decoded_out(group: RawGroup) -> DecodedOut:
    """The output stage's cursor from the column `out` and the attributes out_names, _units and _settings."""
    values, where = group.columns["out"], f"{group.place}/out"
    check_numeric(values, where)
    names, units = (as_texts(group.attrs.get(name)) or () for name in ("out_names", "out_units"))
    if values.ndim != 2 or not len(names) == len(units) == values.shape[1]:
        raise RtdecodeError(
            f"has shape {values.shape} for {len(names)} out_names and {len(units)} out_units",
            where=where,
            fix="store it as [bins, axes], with a name and a unit for each axis",
        )
    settings = json_object(as_text(group.attrs.get("out_settings")))
    if settings is None:
        fix = "set it to the [output] table of rig.toml as JSON"
        raise RtdecodeError("the attribute out_settings is not a JSON object", where=group.place, fix=fix)
    return DecodedOut(values.astype(np.float32, copy=False), names, units, settings)


def _check_log(group: RawGroup, n_channels: int) -> tuple[LogEntry, ...]:
    """Log entries from `time`, `bin`, `kind` and `data` (one JSON object a row)."""
    time, bins = _times(group, "time"), _integers(group, "bin", np.int64)
    kinds = _text_column(group, "kind").tolist()
    data = [json_object(str(text)) for text in _text_column(group, "data")]
    objects = [each for each in data if each is not None]
    if broken := len(data) - len(objects):
        raise _unsound(
            f"row {data.index(None)} is not a JSON object; {broken} rows in total", f"{group.place}/data"
        )
    try:
        return tuple(join_parts(map(LogEntry, time.tolist(), bins.tolist(), kinds, objects)))
    except ValueError as error:
        raise _unsound(
            f"holds parts of an entry that do not fit together: {error}", f"{group.place}/data"
        ) from error


def _check_markers(group: RawGroup, n_channels: int) -> Markers:
    """Markers from `time` and `text`, stably sorted by time."""
    time = _times(group, "time")
    texts = [str(text) for text in _text_column(group, "text")]
    try:
        whole = sorted(join_markers(time.tolist(), texts), key=lambda marker: marker[0])
    except ValueError as error:
        raise _unsound(f"holds parts of a marker that do not fit together: {error}", group.place) from error
    return Markers(np.array([at for at, _ in whole], np.float64), tuple(text for _, text in whole))


def _check_detection(group: RawGroup, n_channels: int) -> Detection:
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


_CHECKS: dict[str, Callable[[RawGroup, int], Any]] = {
    "events": _check_events,
    "counts": _check_counts,
    "features": _check_features,
    "behavior": _check_behavior,
    "trials": _check_trials,
    "markers": _check_markers,
    "decoded": _check_decoded,
    "log": _check_log,
    "detection": _check_detection,
}


def _times(group: RawGroup, name: str) -> NDArray[np.float64]:
    values, where = group.columns[name], f"{group.place}/{name}"
    check_numeric(values, where)
    check_dimensions(values, 1, where)
    time = values.astype(np.float64, copy=False)
    bad = ~np.isfinite(time)
    if bad.any():
        raise _unsound(
            f"{int(bad.sum())} of {len(time)} times are NaN or infinite, first at row {int(bad.argmax())}",
            where,
        )
    return time


def _integers(group: RawGroup, name: str, dtype: DTypeLike) -> NDArray[Any]:
    check_dimensions(group.columns[name], 1, f"{group.place}/{name}")
    return as_integers(group.columns[name], dtype, f"{group.place}/{name}")


def _text_column(group: RawGroup, name: str) -> NDArray[Any]:
    column = group.columns[name]
    if column.ndim != 1 or (column.dtype.kind != "U" and column.size):
        raise RtdecodeError(
            "is not a list of strings", where=f"{group.place}/{name}", fix=f"store strings as in {DOCS}"
        )
    return column


def _table(group: RawGroup, name: str, n_columns: int, meaning: str) -> NDArray[Any]:
    """The column of that name, which must be [rows, n_columns]."""
    values = group.columns[name]
    if values.ndim != 2 or values.shape[1] != n_columns:
        raise RtdecodeError(
            f"has shape {values.shape}, not [rows, {n_columns}]",
            where=f"{group.place}/{name}",
            fix=f"store {meaning}",
        )
    return values


def _same_length(group: RawGroup) -> None:
    lengths = {name: len(column) for name, column in group.columns.items()}
    if len(set(lengths.values())) > 1:
        listed = ", ".join(f"{name} {length}" for name, length in lengths.items())
        raise _unsound(f"has datasets of different lengths ({listed})", group.place)


def _number(group: RawGroup, name: str) -> float:
    number = as_number(group.attrs.get(name))
    if number is None or not math.isfinite(number):
        problem = "missing" if name not in group.attrs else "not a finite number"
        raise RtdecodeError(
            f"the attribute {name} is {problem}", where=group.place, fix=f"set it, in seconds; see {DOCS}"
        )
    return number


def _seconds(group: RawGroup, name: str) -> float:
    """The attribute of that name, which must be positive."""
    seconds = _number(group, name)
    if not seconds > 0:
        raise RtdecodeError(
            f"{name} is {seconds}; it must be above 0", where=group.place, fix="set it in seconds"
        )
    return seconds


def _labels(group: RawGroup, name: str, n_columns: int) -> tuple[str, ...]:
    labels = as_texts(group.attrs.get(name))
    if labels is None:
        problem = "missing" if name not in group.attrs else "not a list of strings"
        fix = f"set one string for each column; see {DOCS}"
        raise RtdecodeError(f"the attribute {name} is {problem}", where=group.place, fix=fix)
    if len(labels) != n_columns:
        fix = f"set the attribute {name} to {n_columns} strings"
        raise RtdecodeError(
            f"has {len(labels)} {name} for {n_columns} columns of values", where=group.place, fix=fix
        )
    return labels


def _unsound(what: str, where: str) -> RtdecodeError:
    """The error for rows that `rtdecode info --repair` can correct."""
    return RtdecodeError(what, where=where, fix=repair_hint(where.rsplit(":/", 1)[0]))
