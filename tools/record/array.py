"""The stream of one array as it is recorded: which outlet is taken, and how many channels it has."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace

from rtdecode.artifact import FEATURE_KINDS
from rtdecode.errors import RtdecodeError
from rtdecode.ingest.connection.choice import NeedsOption
from rtdecode.ingest.connection.connector import Connector
from rtdecode.ingest.connection.inlet import Inlet
from rtdecode.ingest.connection.own_source import connector_for
from rtdecode.ingest.signals.features import (
    check_columns,
    described_columns,
    first_values,
    unknown_kinds,
)
from rtdecode.ingest.signals.layouts import (
    INTEGER_FORMATS,
    SAMPLED,
    Layout,
    StreamDescription,
    array_channels,
    check_units,
)
from rtdecode.ingest.signals.numbering import check_numbering
from rtdecode.ingest.signals.raster import settled_layout
from rtdecode.ingest.source import OpenSource
from rtdecode.serve.array_settings import ArraySettings
from rtdecode.session.doctor.values import ValueJudge


class RecordedArray:
    """One array.

    Args:
        settings: of its stream.
        n_channels: for an events stream that does not state them, else None.
        print_line: prints a line.
        sources: of one's own, by the name of their stream.

    Attributes:
        settings: as given.
        connector: of the stream, not started.
        n_channels: 0 before the stream is opened, if it is to state them.
        rules: which events are recorded; its features, of a stream of them, are known when it is opened.
    """

    def __init__(
        self,
        settings: ArraySettings,
        n_channels: int | None,
        print_line: Callable[[str], None],
        sources: Mapping[str, OpenSource],
    ) -> None:
        self.settings, self.n_channels, self._print_line = settings, n_channels or 0, print_line
        self.rules = settings.rules(carry_late=True)
        self.connector: Connector[Layout] = connector_for(
            settings.stream, sources, self._classify, self._accept, settings.source_id, settings.source_option
        )

    def _classify(self, stream: StreamDescription) -> tuple[Layout, int]:
        settings = self.settings
        features = bool(self.rules.features)
        layout, rank = settings.classify(stream, features=features)
        check_units(layout, settings.drop_units, f"stream {stream}")
        check_numbering(layout, settings.numbering, settings.drop_units, stream)
        self.rules.detection.check(layout, stream.n_columns, stream.rate_hz, f"stream {stream}")
        return layout, rank

    def _accept(self, inlet: Inlet, layout: Layout) -> Layout:
        settings = self.settings
        # By its full description, with the kinds of its columns.
        layout, _ = self._classify(inlet.stream)
        layout = settled_layout(inlet, layout, settings.layout)
        stream = inlet.stream
        self.rules.detection.check(layout, stream.n_columns, stream.rate_hz, f"stream {stream}")
        if layout in SAMPLED and not (self.rules.features or self.n_channels):
            layout = self._recognised(inlet, layout)
        if layout is Layout.FEATURES:
            check_columns(inlet.stream, self.rules.features)
            for line in unknown_kinds(inlet.stream, self.rules.features):
                self._print_line(line)
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
        self.n_channels = recorded
        return layout

    def _recognised(self, inlet: Inlet, layout: Layout) -> Layout:
        """Tell features from counts by the first values of an opened stream."""
        stream = inlet.stream
        if layout is Layout.COUNTS and (self.settings.layout is not None or stream.format in INTEGER_FORMATS):
            return layout
        known = layout is Layout.FEATURES and stream.kinds and set(FEATURE_KINDS).issuperset(stream.kinds)
        seen = ValueJudge(stream.rate_hz) if known else first_values(inlet)
        if layout is Layout.COUNTS and (seen.fractions or seen.are_rates):
            layout = Layout.FEATURES
            what = "are rates in Hz" if seen.are_rates else "are no whole numbers"
            self._print_line(
                f"the values of {stream.name} {what}, so it is recorded as features; --layout counts records "
                "counts"
            )
        if layout is Layout.FEATURES:
            columns = described_columns(stream, otherwise="rate" if seen.are_rates else "other")
            self.rules = replace(self.rules, features=columns)
        return layout
