"""The rules of what `serve` records beside the spikes: /decoded and /log."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from rtdecode.errors import RtdecodeError
from rtdecode.session.diagnosis.arrays import as_integers, check_numeric
from rtdecode.session.layout import Decoded, DecodedOut, LogEntry
from rtdecode.session.log_text import join_parts, json_object
from rtdecode.session.raw import RawGroup, as_text, as_texts
from rtdecode.session.rules.columns import (
    integer_column,
    number_attr,
    table_column,
    text_column,
    time_column,
    unsound,
)
from rtdecode.session.schema import DECODED, MAX_MODELS, MODELS_SO_FAR


def check_decoded(group: RawGroup, n_channels: int) -> Decoded:
    """Decoded from its eight columns, optionally `out`, and their attributes."""
    values, place = group.columns["values"], group.place
    check_numeric(values, f"{place}/values")
    if values.ndim != 2:
        where = f"{place}/values"
        raise RtdecodeError(f"has shape {values.shape}", where=where, fix="store it as [bins, outputs]")
    counts = as_integers(group.columns["counts"], np.uint8, f"{place}/counts")
    table_column(group, "counts", n_channels, "one column for every channel")
    # A file that was not closed lists swapped-in models in the second attribute only.
    listed = (as_texts(group.attrs.get(name)) or () for name in ("models", MODELS_SO_FAR))
    models = max((tuple(model for model in each if model) for each in listed), key=len)
    if len(models) > MAX_MODELS:
        raise RtdecodeError(f"names {len(models)} models", where=place, fix=f"list at most {MAX_MODELS}")
    columns = {
        name: integer_column(group, name, DECODED[name]) for name in ("bin", "flags", "model", "late", "lost")
    }
    model = columns["model"]
    if model.size and int(model.max()) >= len(models):
        raise RtdecodeError(
            f"model {int(model.max())} is used but `models` lists {len(models)}",
            where=f"{place}/model",
            fix="list the model_id of every model in the attribute `models`",
        )
    return Decoded(
        t_bin=time_column(group, "t_bin"),
        values=values.astype(np.float32, copy=False),
        counts=counts,
        origin_s=number_attr(group, "origin_s"),
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


def check_log(group: RawGroup, n_channels: int) -> tuple[LogEntry, ...]:
    """Log entries from `time`, `bin`, `kind` and `data` (one JSON object a row)."""
    time, bins = time_column(group, "time"), integer_column(group, "bin", np.int64)
    kinds = text_column(group, "kind").tolist()
    data = [json_object(str(text)) for text in text_column(group, "data")]
    objects = [each for each in data if each is not None]
    if broken := len(data) - len(objects):
        raise unsound(
            f"row {data.index(None)} is not a JSON object; {broken} rows in total", f"{group.place}/data"
        )
    try:
        return tuple(join_parts(map(LogEntry, time.tolist(), bins.tolist(), kinds, objects)))
    except ValueError as error:
        raise unsound(
            f"holds parts of an entry that do not fit together: {error}", f"{group.place}/data"
        ) from error
