"""The data of a log entry as JSON, in one row or in parts that fit a recorder's fixed rows.

A recorder has 1,024 bytes of text for each row of /log. Longer JSON goes into several rows of the same time,
bin and kind, each a JSON object: `{"part": 0, "parts": 3, "text": "…"}`; the concatenated texts are the data.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

import numpy as np

from rtdecode.session.layout import LogEntry, Markers

LOG_KIND_BYTES = 32
LOG_DATA_BYTES = 1024

PART_KEYS = {"part", "parts", "text"}
PART_BEGINS = '{"part": '
PART_CHARACTERS = (LOG_DATA_BYTES - 64) // 2
"""Every character of a part may need a backslash before it."""


def to_json(data: dict[str, Any]) -> str:
    """`data` as one JSON object: NumPy as numbers and lists, NaN and infinity as null, the rest as text."""
    text = json.dumps(data, default=_plain)
    if "NaN" in text or "Infinity" in text:
        text = json.dumps(json.loads(text, parse_constant=lambda name: None))
    return text


def log_texts(data: dict[str, Any]) -> list[str]:
    """`data` as JSON objects of at most LOG_DATA_BYTES each (ASCII): itself, or its parts."""
    text = to_json(data)
    return [text] if len(text) <= LOG_DATA_BYTES else _parts(text)


def _parts(text: str) -> list[str]:
    pieces = [text[at : at + PART_CHARACTERS] for at in range(0, len(text), PART_CHARACTERS)]
    return [to_json({"part": i, "parts": len(pieces), "text": piece}) for i, piece in enumerate(pieces)]


def marker_rows(markers: Markers) -> tuple[list[float], list[str]]:
    """Markers as rows: times, and texts of at most LOG_DATA_BYTES (UTF-8).

    A longer text takes several rows, the parts of the JSON object `{"text": …}`, and so does one with a NUL,
    which HDF5 would cut or refuse.
    """
    rows: list[tuple[float, str]] = []
    for at_s, text in zip(markers.time.tolist(), markers.text, strict=True):
        fits = len(text.encode()) <= LOG_DATA_BYTES and "\0" not in text
        whole = fits and not text.startswith(PART_BEGINS)
        rows += [(at_s, row) for row in ([text] if whole else _parts(to_json({"text": text})))]
    return [at_s for at_s, _ in rows], [row for _, row in rows]


def join_markers(time: Iterable[float], rows: Iterable[str]) -> list[tuple[float, str]]:
    """Times and texts of markers, with parts put together.

    Raises:
        ValueError: parts that do not make a JSON object.
    """
    data = ((json_object(row) if row.startswith(PART_BEGINS) else None) or {"text": row} for row in rows)
    entries = [LogEntry(at, 0, "marker", each) for at, each in zip(time, data, strict=True)]
    return [(entry.time, str(entry.data.get("text", ""))) for entry in join_parts(entries)]


def join_parts(entries: Iterable[LogEntry]) -> list[LogEntry]:
    """The entries, with parts put together; an entry without its last parts is left out.

    Raises:
        ValueError: parts that do not make a JSON object.
    """
    complete: list[LogEntry] = []
    pieces: list[str] = []
    for entry in entries:
        if entry.data.keys() != PART_KEYS:
            complete.append(entry)
            continue
        if entry.data["part"] == 0:
            pieces = []
        pieces.append(str(entry.data["text"]))
        if len(pieces) == entry.data["parts"]:
            data = json_object("".join(pieces))
            if data is None:
                raise ValueError(f"{''.join(pieces)[:40]} is not an object")
            complete.append(LogEntry(entry.time, entry.bin, entry.kind, data))
    return complete


def json_object(text: str) -> dict[str, Any] | None:
    """The one JSON object that `text` is, None if it is anything else."""
    try:
        data = json.loads(text)
    except (ValueError, RecursionError):
        return None
    return data if isinstance(data, dict) else None


def _plain(value: object) -> object:
    return value.tolist() if isinstance(value, np.generic | np.ndarray) else str(value)
