"""Events of the task: annotations, labelled events, and tables of events."""

from __future__ import annotations

import h5py
import numpy as np

from rtdecode.tools.files.nwb.access import attr, checked, is_numeric, is_text, texts
from rtdecode.tools.files.nwb.tables import column_of, ends, n_rows
from rtdecode.tools.files.recording import F8, MarkerList

#: Columns that say what an event was, the first that a table has.
_TEXTS = ("annotation", "label", "event_name", "event_type", "name", "value")


def marker_list(group: h5py.Group, name: str) -> MarkerList:
    """Events with the text of each; events without any are named like their series or table."""
    leaf = name.rpartition("/")[2]
    if "event_times" in group:
        time, words = _annotated(group, leaf)
    elif "timestamp" in group:
        stamps = column_of(group, "timestamp")
        time = np.empty(0) if stamps is None else stamps.astype(np.float64)
        words = _said(group, len(time), leaf)
    else:
        time = np.asarray(checked(group["timestamps"])[()]).astype(np.float64).reshape(-1)
        words = _values(group, len(time), leaf)
    n = min(len(time), len(words))
    return MarkerList(name, time[:n], tuple(words[:n]))


def _values(group: h5py.Group, n: int, leaf: str) -> list[str]:
    data = group.get("data")
    if not isinstance(data, h5py.Dataset) or not data.ndim:
        return [leaf] * n
    if is_text(data):
        return texts(data[()])
    if not is_numeric(data):
        return [leaf] * n
    values = data[()].reshape(len(data), -1)
    labels = texts(np.asarray(attr(data, "labels"))) if "labels" in data.attrs else []
    if labels and values.shape[1] == 1 and values.dtype.kind in "iu":
        return [
            labels[each] if 0 <= each < len(labels) else f"{leaf} {each}" for each in values[:, 0].tolist()
        ]
    return [" ".join([leaf, *(f"{each:g}" for each in row)]) for row in values.tolist()]


def _said(table: h5py.Group, n: int, leaf: str) -> list[str]:
    for name in _TEXTS:
        if name in table and (types := _types(table, name)):
            return types
        values = column_of(table, name)
        if values is not None and values.ndim == 1:
            return [str(each) for each in values.tolist()]
    return [leaf] * n


def _types(table: h5py.Group, name: str) -> list[str]:
    """The texts of a column that refers to rows of a table of types."""
    ref = attr(table[name], "table")
    if not isinstance(ref, h5py.Reference) or not ref:
        return []
    names = column_of(table.file[ref], "event_name")
    return [] if names is None else [str(names[row]) for row in np.asarray(table[name][()]).tolist()]


def _annotated(table: h5py.Group, leaf: str) -> tuple[F8, list[str]]:
    """Events of several kinds, the times of each in a row (ndx-events)."""
    stops = ends(table, "event_times")
    time = np.asarray(table["event_times"][()]).astype(np.float64).reshape(-1)
    if stops is None:
        stops = np.arange(1, n_rows(table) + 1)
    words = _said(table, len(stops), leaf)
    counts = np.diff(stops, prepend=0).tolist()
    said = [word for word, n in zip(words, counts, strict=False) for _ in range(n)]
    order = np.argsort(time[: len(said)], kind="stable")
    return time[order], [said[row] for row in order]
