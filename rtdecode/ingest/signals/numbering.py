"""What the numbers in the rows of a stream mean, where its own description does not say it."""

from __future__ import annotations

from dataclasses import dataclass

from rtdecode.errors import RtdecodeError
from rtdecode.ingest.signals.channel_map import ChannelMap
from rtdecode.ingest.signals.event_columns import RowColumns
from rtdecode.ingest.signals.layouts import WITH_COLUMNS, Layout, StreamDescription


@dataclass(frozen=True)
class Numbering:
    """Options of `serve` and `record`.

    Attributes:
        columns: `--columns`, None to follow the stream's labels, else its layout.
        first_channel: `--first-channel`, the number that the stream gives its first channel.
        channel_map: `--channel-map`, None without one.
    """

    columns: RowColumns | None = None
    first_channel: int = 0
    channel_map: ChannelMap | None = None


#: Without any option.
AS_DESCRIBED = Numbering()


def check_numbering(
    layout: Layout,
    numbering: Numbering,
    drop_units: frozenset[int] | None,
    stream: StreamDescription | None = None,
) -> None:
    """Check that a stream of this layout can be read so.

    Args:
        layout: of the stream.
        numbering: the options.
        drop_units: `--drop-units`, None or empty for none.
        stream: None before it is known.

    Raises:
        RtdecodeError: an option is about something that its samples do not have, or two contradict another.
    """
    columns, first, channel_map = numbering.columns, numbering.first_channel, numbering.channel_map
    where = "" if stream is None else f"stream {stream}"
    if columns is not None and layout is not Layout.EVENTS:
        raise RtdecodeError(
            f"is about the layout events, not about {layout}",
            where=where or "--columns",
            fix="omit one of them",
        )
    if stream is not None and layout is Layout.EVENTS:
        columns = columns_of(stream, layout, numbering)
    if drop_units and columns is not None and columns.unit is None:
        raise RtdecodeError(
            f"the columns {columns} have no sorted units to leave out by --drop-units",
            where=where or "--drop-units",
            fix="name the column of the unit with --columns, or omit --drop-units",
        )
    if first and channel_map is not None:
        raise RtdecodeError(
            "--first-channel and --channel-map both say which channel is which",
            where=where or "--first-channel",
            fix="omit --first-channel, and write the channels in the map as the stream numbers them",
        )
    if first and layout in (*WITH_COLUMNS, Layout.FEATURES):
        raise RtdecodeError(
            f"{layout} have a column for each channel, and no numbers for --first-channel",
            where=where or "--first-channel",
            fix="omit --first-channel",
        )
    if channel_map is not None and layout in (Layout.COUNTS, Layout.FEATURES):
        raise RtdecodeError(
            f"{layout} are in the order of their columns, which --channel-map does not change",
            where=where or "--channel-map",
            fix="send the columns in the order of the model, and omit --channel-map",
        )
    if channel_map is not None and layout not in WITH_COLUMNS:
        channel_map.by_number()


def columns_of(stream: StreamDescription, layout: Layout, numbering: Numbering) -> RowColumns:
    """The columns of a stream of single spikes.

    Args:
        stream: its full description, with labels.
        layout: of its rows.
        numbering: the options.
    """
    if layout is Layout.CHANNEL:
        return RowColumns()
    if layout is Layout.SNIPPETS:
        return RowColumns(0, 1)
    return numbering.columns or stream.event_columns or RowColumns(0, 1, 2 if is_numbered(stream) else None)


def channels_of_columns(stream: StreamDescription, channel_map: ChannelMap | None) -> list[int]:
    """Channel of each column of a raster or of voltage, -1 for one that the map does not name.

    The map names columns by their labels if it has any of them, else by their numbers from 0.
    """
    if channel_map is None:
        return list(range(stream.n_columns))
    labelled = not channel_map.channels.keys().isdisjoint(stream.labels)
    names = stream.labels if labelled else [str(i) for i in range(stream.n_columns)]
    return [channel_map.channels.get(name, -1) for name in names]


def is_numbered(stream: StreamDescription) -> bool:
    """Whether the third column is a running number where nothing else is known about it."""
    return stream.n_columns == 3 and stream.format.startswith("int")
