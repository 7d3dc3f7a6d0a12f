"""The description of each stream of an XDF file, and its name, of all streams different."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping
from dataclasses import replace
from xml.etree.ElementTree import Element

from rtdecode.ingest.signals.layouts import NUMERIC_FORMATS, StreamDescription

#: Type of a stream of intervals in which the array was recorded: stamped at the start of each, its value the
#: stop. `rtdecode export` writes one.
OBSERVED = "Observed"


def describe(header: Element) -> StreamDescription | None:
    """What the header of a stream says, as an LSL outlet would announce it; None if it has no samples."""
    n_columns, rate_hz = _number(header, "channel_count"), _number(header, "nominal_srate")
    form = _text(header, "channel_format")
    if form not in (*NUMERIC_FORMATS, "string") or not (n_columns >= 1 and n_columns.is_integer()):
        return None
    columns = header.findall("desc/channels/channel")
    stated = _text(header, "desc/n_channels")
    return StreamDescription(
        name=_text(header, "name"),
        type=_text(header, "type"),
        n_columns=int(n_columns),
        rate_hz=rate_hz if 0.0 < rate_hz < math.inf else 0.0,
        format=form,
        source_id=_text(header, "source_id"),
        hostname=_text(header, "hostname"),
        uid=_text(header, "uid"),
        n_channels=int(stated) if stated.isdigit() and int(stated) > 0 else None,
        labels=tuple(_text(column, "label") for column in columns),
        units=tuple(_text(column, "unit") for column in columns),
        kinds=tuple(_text(column, "kind") for column in columns),
    )


def named(streams: Mapping[int, StreamDescription]) -> dict[int, StreamDescription]:
    """The streams with names of their own.

    One without a name is called by its source, type or number; of several of one name each has its source,
    or number, behind it.
    """
    plain = {
        number: stream.name or stream.source_id or stream.type or f"stream {number}"
        for number, stream in streams.items()
    }
    same, sources = Counter(plain.values()), Counter(stream.source_id for stream in streams.values())
    names = {}
    for number, stream in streams.items():
        name = plain[number]
        if same[name] > 1:
            alone = stream.source_id and sources[stream.source_id] == 1
            name = f"{name} ({stream.source_id if alone else number})"
        names[number] = name
    return {number: replace(stream, name=names[number]) for number, stream in streams.items()}


def _text(element: Element, path: str) -> str:
    return (element.findtext(path) or "").strip()


def _number(element: Element, path: str) -> float:
    try:
        return float(_text(element, path))
    except ValueError:
        return math.nan
