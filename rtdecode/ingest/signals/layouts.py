"""The spike layout of a stream, determined from its type and shape (docs/messages.md)."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from rtdecode.errors import RtdecodeError

INTEGER_FORMATS = ("int8", "int16", "int32", "int64")
NUMERIC_FORMATS = (*INTEGER_FORMATS, "float32", "double64")

#: A counts stream is regular and at most this fast; faster ones are voltages.
MAX_COUNTS_RATE_HZ = 1000.0


class Layout(StrEnum):
    """What one sample of a spike stream means."""

    EVENTS = "events"
    SNIPPETS = "snippets"
    CHANNEL = "channel"
    COUNTS = "counts"


@dataclass(frozen=True)
class StreamDescription:
    """Description of an LSL stream.

    Attributes:
        name, type, source_id, hostname: as announced.
        uid: differs for each outlet, also of the same source.
        n_columns: values per sample.
        rate_hz: nominal rate, 0 for an irregular stream.
        format: pylsl's name of the sample format, such as "int32".
        n_channels: channels of the array, from `n_channels` of the description, None without it. A counts
            stream has a column for each instead.
        labels, units: per column, from the description's channel list; empty if there is none.
    """

    name: str
    type: str
    n_columns: int
    rate_hz: float
    format: str
    source_id: str = ""
    hostname: str = ""
    uid: str = ""
    n_channels: int | None = None
    labels: tuple[str, ...] = ()
    units: tuple[str, ...] = ()

    def __str__(self) -> str:
        rate = f"{self.rate_hz:g} Hz" if self.rate_hz else "irregular"
        return f"{self.name} (type {self.type or 'none'}, {self.n_columns} x {self.format}, {rate})"


def is_markers(stream: StreamDescription) -> bool:
    """Whether an irregular stream of one text or integer a sample is announced as task events."""
    one = stream.n_columns == 1 and not stream.rate_hz
    codes = stream.format in INTEGER_FORMATS and stream.type.strip().lower() in ("marker", "markers")
    return one and (codes or stream.format == "string")


def mismatch(stream: StreamDescription, layout: Layout) -> str | None:
    """Reason why `stream` cannot have `layout`, None if it can."""
    shape = f"{stream.n_columns} {stream.format}"
    if layout is not Layout.COUNTS:
        if stream.rate_hz:
            return f"{layout} come at an irregular rate, this stream at {stream.rate_hz:g} Hz"
        integers, n = stream.format in INTEGER_FORMATS, stream.n_columns
        fits, needed = {
            Layout.EVENTS: (shape == "3 int32", "events are 3 int32 [channel, unit, seq]"),
            Layout.SNIPPETS: (integers and n >= 2, "snippets are int16 [channel, unit, waveform …]"),
            Layout.CHANNEL: (integers and n == 1, "channel is one integer"),
        }[layout]
        return None if fits else f"{needed}, this stream has {shape}"
    if not stream.rate_hz:
        return "counts come at a regular rate, this stream is irregular"
    if stream.rate_hz > MAX_COUNTS_RATE_HZ:
        return f"counts come at up to {MAX_COUNTS_RATE_HZ:g} Hz, this stream at {stream.rate_hz:g} Hz"
    if stream.format not in NUMERIC_FORMATS:
        return f"counts are numbers, this stream has {stream.format}"
    return None


def choose_layout(stream: StreamDescription, override: Layout | None = None) -> Layout:
    """The layout of `stream`.

    Args:
        stream: description.
        override: `--layout`; checked against the shape, not against the type.

    Raises:
        RtdecodeError: no layout has this type and shape, or the override does not fit the shape.
    """
    where = f"stream {stream}"
    if override is not None:
        if reason := mismatch(stream, override):
            raise RtdecodeError(
                f"cannot be read as --layout {override}: {reason}",
                where=where,
                fix="omit --layout, or name another stream",
            )
        return override
    if stream.type == "Spikes" and mismatch(stream, Layout.EVENTS) is None:
        return Layout.EVENTS
    if stream.type == "SpikeEvents" and mismatch(stream, Layout.SNIPPETS) is None:
        return Layout.SNIPPETS
    if is_markers(stream):
        raise RtdecodeError(
            f"it carries markers, not spikes (type {stream.type or 'none'}, one {stream.format} a sample)",
            where=where,
            fix="record it with --markers NAME; if its integers are channels of spikes, add --layout channel",
        )
    for layout in (Layout.CHANNEL, Layout.COUNTS):
        if mismatch(stream, layout) is None:
            return layout
    raise RtdecodeError(
        "no spike layout has this type and shape",
        where=where,
        fix="events are type Spikes, irregular, 3 x int32 [channel, unit, seq]; snippets type SpikeEvents, "
        "irregular, int16 [channel, unit, waveform …]; channel irregular, 1 integer; counts regular, up to "
        "1000 Hz, one column per channel; name the layout with --layout if the type alone differs",
    )


def check_units(layout: Layout, drop_units: frozenset[int] | None, where: str) -> None:
    """Check that sorted units can be left out of a stream.

    Args:
        layout: of the stream.
        drop_units: `--drop-units`, None or empty for none.
        where: for the message.

    Raises:
        RtdecodeError: its samples have no units, so that those of noise would be decoded and recorded.
    """
    if drop_units and layout in (Layout.CHANNEL, Layout.COUNTS):
        raise RtdecodeError(
            f"samples of layout {layout} have no sorted units to leave out by --drop-units",
            where=where,
            fix="leave the units out where the spikes are sorted and omit --drop-units (in rig.toml "
            "drop_units), or send events",
        )


def array_channels(stream: StreamDescription, layout: Layout) -> int | None:
    """Number of channels of the array, None if the stream does not state it."""
    return stream.n_columns if layout is Layout.COUNTS else stream.n_channels


def check_against_model(
    stream: StreamDescription, layout: Layout, *, n_channels: int, bin_width_s: float
) -> None:
    """Check that a stream fits the model.

    Args:
        stream, layout: of the stream.
        n_channels, bin_width_s: of the model.

    Raises:
        RtdecodeError: numbers of channels differ, or counts are coarser than the bins.
    """
    found = array_channels(stream, layout)
    if found is not None and found != n_channels:
        raise RtdecodeError(
            f"the stream has {found} channels, the model {n_channels}",
            where=f"stream {stream}",
            fix="serve a model for this array (--model), or check the name of the stream",
        )
    if layout is Layout.COUNTS:
        period_s = 1.0 / stream.rate_hz
        if period_s > bin_width_s * (1 + 1e-6):
            raise RtdecodeError(
                f"its counts cover {period_s * 1e3:g} ms, the model's bins {bin_width_s * 1e3:g} ms",
                where=f"stream {stream}",
                fix="serve a model with that bin width, or send finer counts",
            )
