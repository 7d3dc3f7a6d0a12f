"""The spike layout of a stream, determined from its type and shape (docs/messages.md)."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from rtdecode.artifact import FEATURE_KINDS
from rtdecode.errors import RtdecodeError
from rtdecode.ingest.signals.channel_map import ChannelMap
from rtdecode.ingest.signals.event_columns import RowColumns, labelled_columns

INTEGER_FORMATS = ("int8", "int16", "int32", "int64")
NUMERIC_FORMATS = (*INTEGER_FORMATS, "float32", "double64")

#: Counts and features are regular and at most this fast; faster streams are rasters, or voltage.
MAX_COUNTS_RATE_HZ = 1000.0

#: Regular layouts, whose bins follow their samples.
SAMPLED = ("counts", "features")

#: Spikes are detected in voltage that is at least so fast, of these types.
MIN_BROADBAND_RATE_HZ = 10_000.0
VOLTAGE_FORMATS = ("int16", "int32", "float32", "double64")


class Layout(StrEnum):
    """What one sample of a spike stream means."""

    EVENTS = "events"
    SNIPPETS = "snippets"
    CHANNEL = "channel"
    COUNTS = "counts"
    RASTER = "raster"
    FEATURES = "features"
    BROADBAND = "broadband"


#: Layouts with a column for each channel, whose samples are no single spikes.
WITH_COLUMNS = (Layout.COUNTS, Layout.RASTER, Layout.BROADBAND)


@dataclass(frozen=True)
class StreamDescription:
    """Description of an LSL stream.

    Attributes:
        name, type, source_id, hostname: as announced.
        uid: differs for each outlet, also of the same source.
        n_columns: values per sample.
        rate_hz: nominal rate, 0 for an irregular stream.
        format: pylsl's name of the sample format, such as "int32".
        n_channels: channels of the array, from `n_channels` of the description, None without it. Layouts
            `WITH_COLUMNS` have one for each instead.
        labels, units, kinds: per column, from the description's channel list; empty if there is none.
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
    kinds: tuple[str, ...] = ()

    @property
    def event_columns(self) -> RowColumns | None:
        """The columns of single spikes that its labels describe, None if they describe none."""
        return None if self.rate_hz else labelled_columns(self.labels)

    def __str__(self) -> str:
        rate = f"{self.rate_hz:g} Hz" if self.rate_hz else "irregular"
        return f"{self.name} (type {self.type or 'none'}, {self.n_columns} x {self.format}, {rate})"


def announced(stream: StreamDescription) -> Layout | None:
    """The layout of single spikes that a stream has by its type and shape, None without one."""
    if stream.rate_hz:
        return None
    if stream.type == "Spikes" and (stream.n_columns, stream.format) == (3, "int32"):
        return Layout.EVENTS
    if stream.type == "SpikeEvents" and stream.format in INTEGER_FORMATS and stream.n_columns >= 2:
        return Layout.SNIPPETS
    return None


def needs_labels(stream: StreamDescription) -> bool:
    """Whether only labels, which the description lacks, can tell that a stream carries single spikes."""
    numbers = stream.format in NUMERIC_FORMATS and stream.n_columns >= 2 and not stream.rate_hz
    return numbers and not stream.labels and announced(stream) is None


def is_markers(stream: StreamDescription) -> bool:
    """Whether an irregular stream of one text or integer a sample is announced as task events."""
    one = stream.n_columns == 1 and not stream.rate_hz
    codes = stream.format in INTEGER_FORMATS and stream.type.strip().lower() in ("marker", "markers")
    return one and (codes or stream.format == "string")


def is_features(stream: StreamDescription) -> bool:
    """Whether a regular stream is announced as features, by its type or the kinds of its columns."""
    kinds = {kind.strip().lower() for kind in stream.kinds}
    described = stream.type.strip().lower() == "features" or not kinds.isdisjoint(FEATURE_KINDS)
    return bool(stream.rate_hz) and described


def mismatch(stream: StreamDescription, layout: Layout, columns: RowColumns | None = None) -> str | None:
    """Reason why `stream` cannot have `layout`, None if it can; `columns` of its events, as of an option."""
    shape = f"{stream.n_columns} {stream.format}"
    if layout is Layout.BROADBAND:
        if stream.rate_hz < MIN_BROADBAND_RATE_HZ:
            rate = f"at {stream.rate_hz:g} Hz" if stream.rate_hz else "at no regular rate"
            return f"broadband comes at {MIN_BROADBAND_RATE_HZ:g} Hz or more, this stream {rate}"
        voltage = stream.format in VOLTAGE_FORMATS
        return None if voltage else f"broadband is {', '.join(VOLTAGE_FORMATS)}, this stream has {shape}"
    if layout is Layout.RASTER:
        if stream.rate_hz <= MAX_COUNTS_RATE_HZ:
            rate = f"at {stream.rate_hz:g} Hz, which are counts" if stream.rate_hz else "at no regular rate"
            return f"rasters come at more than {MAX_COUNTS_RATE_HZ:g} Hz, this stream {rate}"
        integers = stream.format in INTEGER_FORMATS
        return None if integers else f"rasters are integers, 0 and 1, this stream has {shape}"
    if layout not in SAMPLED:
        if stream.rate_hz:
            return f"{layout} come at an irregular rate, this stream at {stream.rate_hz:g} Hz"
        integers, n = stream.format in INTEGER_FORMATS, stream.n_columns
        if layout is Layout.EVENTS:
            return _no_events(stream, columns)
        fits, needed = {
            Layout.SNIPPETS: (integers and n >= 2, "snippets are int16 [channel, unit, waveform …]"),
            Layout.CHANNEL: (integers and n == 1, "channel is one integer"),
        }[layout]
        return None if fits else f"{needed}, this stream has {shape}"
    if not stream.rate_hz:
        return f"{layout} come at a regular rate, this stream is irregular"
    if stream.rate_hz > MAX_COUNTS_RATE_HZ:
        return f"{layout} come at up to {MAX_COUNTS_RATE_HZ:g} Hz, this stream at {stream.rate_hz:g} Hz"
    if stream.format not in NUMERIC_FORMATS:
        return f"{layout} are numbers, this stream has {stream.format}"
    return None


def _no_events(stream: StreamDescription, columns: RowColumns | None) -> str | None:
    shape = f"{stream.n_columns} {stream.format}"
    if stream.format not in NUMERIC_FORMATS or stream.n_columns < 2:
        return f"events are 2 or more numbers, such as [channel, unit, seq], this stream has {shape}"
    described = columns or stream.event_columns
    if described is None and stream.n_columns > 3:
        return (
            "of more than 3 columns it must be known which one is what, by --columns channel=0,unit=1,seq=- "
            f"or by labels, this stream has {shape}"
        )
    if described is not None and described.last >= stream.n_columns:
        return f"--columns {described} names column {described.last} (from 0), this stream has {shape}"
    return None


def choose_layout(
    stream: StreamDescription,
    override: Layout | None = None,
    columns: RowColumns | None = None,
    *,
    features: bool = False,
) -> Layout:
    """The layout of `stream`.

    Args:
        stream: description.
        override: `--layout`; checked against the shape, not against the type.
        columns: `--columns`, by which it is a stream of events.
        features: whether who reads it reads features alone: what would be counts are features then.

    Raises:
        RtdecodeError: no layout has this type and shape, or the override does not fit the shape.
    """
    where = f"stream {stream}"
    if columns is not None:
        override = override or Layout.EVENTS
    if override is not None:
        if reason := mismatch(stream, override, columns):
            raise RtdecodeError(
                f"cannot be read as --layout {override}: {reason}",
                where=where,
                fix="omit --layout and --columns, or name another stream",
            )
        return override
    if (layout := announced(stream)) is not None:
        return layout
    if stream.event_columns is not None and mismatch(stream, Layout.EVENTS) is None:
        return Layout.EVENTS
    if is_markers(stream):
        raise RtdecodeError(
            f"its samples are markers, not spikes (type {stream.type or 'none'}, one {stream.format} each)",
            where=where,
            fix="record it with --markers NAME; if its integers are channels of spikes, add --layout channel",
        )
    sampled = Layout.FEATURES if features or is_features(stream) else Layout.COUNTS
    for layout in (Layout.CHANNEL, sampled, Layout.BROADBAND, Layout.RASTER):
        if mismatch(stream, layout) is None:
            return layout
    if stream.rate_hz > MAX_COUNTS_RATE_HZ and stream.format in VOLTAGE_FORMATS:
        raise RtdecodeError(
            f"no spike layout has this type and shape: {stream.rate_hz:g} Hz are too fast for counts, and "
            "too slow for spikes in voltage (broadband)",
            where=where,
            fix=f"send voltage at {MIN_BROADBAND_RATE_HZ:g} Hz or more, spikes as events, or counts at up to "
            f"{MAX_COUNTS_RATE_HZ:g} Hz",
        )
    raise RtdecodeError(
        "no spike layout has this type and shape",
        where=where,
        fix="events are type Spikes, irregular, 3 x int32 [channel, unit, seq]; snippets type SpikeEvents, "
        "irregular, int16 [channel, unit, waveform …]; channel irregular, 1 integer; counts regular, up to "
        "1000 Hz, one column per channel, and features likewise; rasters faster, of integers 0 and 1; "
        f"broadband is voltage at {MIN_BROADBAND_RATE_HZ:g} Hz or more; any other stream of single "
        "spikes needs --layout events, --columns channel=0,unit=1,seq=- or these labels; name the layout "
        "with --layout if the type alone differs",
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
    if drop_units and layout not in (Layout.EVENTS, Layout.SNIPPETS):
        raise RtdecodeError(
            f"samples of layout {layout} have no sorted units to leave out by --drop-units",
            where=where,
            fix="leave the units out where the spikes are sorted and omit --drop-units (in rig.toml "
            "drop_units), or send events",
        )


def channel_labels(stream: StreamDescription, layout: Layout) -> tuple[str, ...]:
    """The label of each channel, where a stream has a column for each and describes all; else ()."""
    labels = stream.labels if layout in WITH_COLUMNS else ()
    return labels if all(labels) and len(set(labels)) == stream.n_columns else ()


def array_channels(stream: StreamDescription, layout: Layout) -> int | None:
    """Number of channels of the array, 0 for features, None if the stream does not state it."""
    if layout is Layout.FEATURES:
        return 0
    return stream.n_columns if layout in WITH_COLUMNS else stream.n_channels


def check_against_model(
    stream: StreamDescription,
    layout: Layout,
    *,
    n_channels: int,
    bin_width_s: float,
    channel_map: ChannelMap | None = None,
) -> None:
    """Check that a stream fits the model.

    Args:
        stream, layout: of the stream.
        n_channels, bin_width_s: of the model.
        channel_map: `--channel-map`: then the stream may have other channels, which it leaves out.

    Raises:
        RtdecodeError: numbers of channels differ, it holds features where counts are read or the reverse, or
            samples are coarser than the bins.
    """
    found = array_channels(stream, layout)
    if (layout is Layout.FEATURES) != (n_channels == 0):
        sent, read = ("features", "counts") if n_channels else (str(layout), "features alone")
        raise RtdecodeError(
            f"the stream is read as {sent}, but the model reads {read}",
            where=f"stream {stream}",
            fix="serve a model made of this stream (--model), or name the layout with --layout",
        )
    if channel_map is not None:
        if channel_map.n_channels > n_channels:
            raise RtdecodeError(
                f"names channel {channel_map.n_channels - 1} of the model, which has {n_channels}, from 0",
                where=str(channel_map.path),
                fix="correct its second column, or serve another model (--model)",
            )
    elif found is not None and found != n_channels:
        raise RtdecodeError(
            f"the stream has {found} channels, the model {n_channels}",
            where=f"stream {stream}",
            fix="serve a model for this array (--model), or check the name of the stream",
        )
    if layout in SAMPLED:
        period_s = 1.0 / stream.rate_hz
        if period_s > bin_width_s * (1 + 1e-6):
            raise RtdecodeError(
                f"its {layout} cover {period_s * 1e3:g} ms, the model's bins {bin_width_s * 1e3:g} ms",
                where=f"stream {stream}",
                fix=f"serve a model with that bin width, or send finer {layout}",
            )
