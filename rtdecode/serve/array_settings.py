"""How the stream of one array is found and read."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from rtdecode.artifact import FeatureColumn
from rtdecode.detection.options import DetectionOptions
from rtdecode.errors import RtdecodeError
from rtdecode.ingest.signals.channel_map import ChannelMap
from rtdecode.ingest.signals.event_columns import RowColumns
from rtdecode.ingest.signals.layouts import Layout, StreamDescription, check_units, mismatch
from rtdecode.ingest.signals.numbering import Numbering, check_numbering

if TYPE_CHECKING:
    from rtdecode.ingest.signals.events import EventRules


@dataclass(frozen=True, kw_only=True)
class ArraySettings:
    """Settings of one array; their flags describe all but the first (`serve/settings.py`).

    Attributes:
        stream: its name.
        grace_s: None for the delivery delay of its source.
        flag: of the command line that names the stream.
        detection: of spikes in voltage.

    Raises:
        RtdecodeError: two settings contradict one another, or the grace is out of its range.
    """

    stream: str
    source_id: str | None = None
    layout: Layout | None = None
    columns: RowColumns | None = None
    first_channel: int | None = None
    channel_map: ChannelMap | None = None
    drop_units: frozenset[int] | None = None
    grace_s: float | None = None
    flag: str = "--stream"
    detection: DetectionOptions = field(default_factory=DetectionOptions)

    def __post_init__(self) -> None:
        if self.layout is not None:
            check_units(self.layout, self.drop_units, f"--layout {self.layout}")
        check_numbering(self.layout or Layout.EVENTS, self.numbering, self.drop_units)
        self.detection.check_for(self.layout or Layout.BROADBAND, f"--layout {self.layout}")
        if self.grace_s is not None and not 0 <= self.grace_s <= 1:
            fix = "use auto, or a few milliseconds"
            raise RtdecodeError("must be auto, or 0 to 1000 milliseconds", where="--grace", fix=fix)

    @property
    def asked(self) -> str:
        """How the stream was asked for, such as "--stream M1"."""
        return f"{self.flag} {self.stream}"

    @property
    def source_option(self) -> str:
        """The flag that sets `source_id`."""
        return "--source-id" if self.flag == "--stream" else f"{self.flag}-source-id"

    @property
    def numbering(self) -> Numbering:
        """What the numbers in the rows of the stream mean."""
        return Numbering(self.columns, self.first_channel or 0, self.channel_map)

    def classify(self, stream: StreamDescription, *, features: bool) -> tuple[Layout, int]:
        """The layout of a stream and its rank.

        Args:
            stream: description.
            features: whether features are looked for.

        Raises:
            RtdecodeError: it carries no spikes, or for `--features` no features.
        """
        # Not loaded by `--help`.
        from rtdecode.ingest.connection.choice import spike_stream

        if self.flag == "--features" and (reason := mismatch(stream, Layout.FEATURES)):
            raise RtdecodeError(
                f"cannot be read as features: {reason}",
                where=f"stream {stream}",
                fix="name the stream of features with --features (spikes are those of --stream)",
            )
        return spike_stream(stream, self.layout, self.columns, features=features)

    def rules(self, carry_late: bool, features: tuple[FeatureColumn, ...] = ()) -> EventRules:
        """Which events are decoded, or which columns of a stream of features; for one source."""
        # Not loaded by `--help`.
        from rtdecode.detection.live import LiveDetection
        from rtdecode.ingest.signals.events import EventRules

        units, detection = self.drop_units or frozenset(), LiveDetection(self.detection)
        return EventRules(carry_late, units, self.numbering, features, detection)


def arrays_of(
    streams: Sequence[str], shared: Mapping[str, Any], tables: Mapping[str, Mapping[str, Any]]
) -> tuple[ArraySettings, ...]:
    """The settings of each array.

    Args:
        streams: their names.
        shared: settings of all.
        tables: settings of single ones, by name, in place of those of all.

    Raises:
        RtdecodeError: a table is about no stream, what can only be of one is given for several, or two
            settings contradict one another.
    """
    for name in tables:
        if name not in streams:
            raise RtdecodeError(
                f"no stream is called {name!r}",
                where=f"rig.toml: [arrays.{name}]",
                fix=f"name the table after one of {', '.join(streams)}",
            )
    for name in ("source_id", "channel_map"):
        if len(streams) > 1 and shared.get(name) is not None:
            raise RtdecodeError(
                f"is about one of {len(streams)} streams",
                where=f"--{name.replace('_', '-')}",
                fix="write it in rig.toml, in the table [arrays.NAME] of its stream",
            )
    detection = shared.get("detection")
    if len(streams) > 1 and detection is not None and detection.power is not None:
        raise RtdecodeError(
            f"is about one of {len(streams)} streams",
            where="--power",
            fix="omit it, or name one stream",
        )
    of_each = [{**shared, **tables.get(name, {}), "stream": name} for name in streams]
    return tuple(ArraySettings(**of_array) for of_array in of_each)


def features_of(
    stream: str | None, source_id: str | None, grace_s: float | None = None, *, power: bool = False
) -> ArraySettings | None:
    """The settings of a stream of features beside spikes, None without one.

    Raises:
        RtdecodeError: features are to be made of the spikes' voltage too, by `power`.
    """
    if stream is None:
        return None
    if power:
        raise RtdecodeError(
            f"makes features of voltage, and the stream {stream!r} has others",
            where="--power",
            fix="omit --power or --features",
        )
    return ArraySettings(
        stream=stream,
        source_id=source_id,
        layout=Layout.FEATURES,
        grace_s=grace_s,
        flag="--features",
    )
