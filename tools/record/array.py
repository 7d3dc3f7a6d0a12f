"""The stream of one array as it is recorded: which outlet is taken, and how many channels it has."""

from __future__ import annotations

from rtdecode.errors import RtdecodeError
from rtdecode.ingest.connection.choice import NeedsOption, spike_stream
from rtdecode.ingest.connection.connector import Connector
from rtdecode.ingest.connection.inlet import Inlet
from rtdecode.ingest.signals.layouts import Layout, StreamDescription, array_channels, check_units
from rtdecode.ingest.signals.numbering import check_numbering
from rtdecode.ingest.signals.raster import check_raster
from rtdecode.serve.array_settings import ArraySettings


class RecordedArray:
    """One array.

    Args:
        settings: of its stream.
        n_channels: for an events stream that does not state them, else None.

    Attributes:
        settings: as given.
        connector: of the stream, not started.
        n_channels: 0 before the stream is opened, if it is to state them.
    """

    def __init__(self, settings: ArraySettings, n_channels: int | None) -> None:
        self.settings, self.n_channels = settings, n_channels or 0
        self.connector: Connector[Layout] = Connector(
            settings.stream, self._classify, self._accept, settings.source_id
        )

    def _classify(self, stream: StreamDescription) -> tuple[Layout, int]:
        settings = self.settings
        layout, rank = spike_stream(stream, settings.layout, settings.columns)
        check_units(layout, settings.drop_units, f"stream {stream}")
        check_numbering(layout, settings.numbering, settings.drop_units, stream)
        return layout, rank

    def _accept(self, inlet: Inlet, layout: Layout) -> None:
        settings = self.settings
        check_numbering(layout, settings.numbering, settings.drop_units, inlet.stream)
        channel_map = settings.channel_map
        stated = array_channels(inlet.stream, layout) if channel_map is None else None
        if channel_map is not None:
            # A channel of the file may be one that the map leaves out; --channels says how many there are.
            self.n_channels = max(self.n_channels, channel_map.n_channels)
        recorded = self.n_channels or stated
        if recorded is None:
            raise NeedsOption(
                "the stream does not state the number of channels of the array",
                where=f"stream {inlet.stream}",
                fix="add --channels N",
            )
        if stated is not None and stated != recorded:
            raise RtdecodeError(
                f"the stream has {stated} channels, but {recorded} are being recorded",
                where=f"stream {inlet.stream}",
                fix=f"give --channels {stated}, or send the stream of an array of {recorded}",
            )
        check_raster(inlet, layout)
        self.n_channels = recorded
