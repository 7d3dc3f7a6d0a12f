"""Which outlet may take the place of a source that was attached before."""

from __future__ import annotations

import re

from rtdecode.ingest.signals.layouts import StreamDescription

#: pylsl makes an id for an outlet without one: the hash of its description, another in each process.
_MADE_BY_PYLSL = re.compile(r"-?\d{12,20}")


def is_random(source_id: str) -> bool:
    """Whether an outlet has another source_id each time that it starts."""
    return not source_id or _MADE_BY_PYLSL.fullmatch(source_id) is not None


def same_source(known: StreamDescription, other: StreamDescription) -> bool:
    """Whether `other` is the source `known` again: by its source_id or, of random ids, by host and shape."""
    if is_random(known.source_id) and is_random(other.source_id):
        return _kind(known) == _kind(other)
    return known.source_id == other.source_id


def _kind(stream: StreamDescription) -> tuple[object, ...]:
    return stream.hostname, stream.type, stream.n_columns, stream.format, stream.rate_hz


def source_facts(stream: StreamDescription) -> dict[str, str]:
    """A stream's name, source_id and host, for /log; and its uid where that id is another each time."""
    facts = {"stream": stream.name, "source_id": stream.source_id, "host": stream.hostname}
    return facts | ({"uid": stream.uid} if is_random(stream.source_id) else {})


def lsl_source(stream: StreamDescription) -> str:
    """A stream and its source, for the attributes of a file."""
    return f"LSL stream {stream.name} (source {named(stream)})"


def named(stream: StreamDescription) -> str:
    """A source for the person at the rig: its id and host."""
    return f"{stream.source_id or 'unnamed'} on {stream.hostname or 'an unknown host'}"
