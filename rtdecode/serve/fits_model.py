"""Whether a stream fits the model that decodes it, when it is found and when it is opened."""

from __future__ import annotations

from collections.abc import Sequence

from rtdecode.artifact import ModelArtifact
from rtdecode.detection.live import LiveDetection
from rtdecode.detection.settings import PowerSettings
from rtdecode.errors import RtdecodeError
from rtdecode.ingest.connection.inlet import Inlet
from rtdecode.ingest.signals.features import check_columns
from rtdecode.ingest.signals.layouts import Layout, StreamDescription, check_against_model, check_units
from rtdecode.ingest.signals.numbering import check_numbering
from rtdecode.ingest.signals.raster import settled_layout
from rtdecode.ingest.signals.timed.power import power_columns, voltage_columns
from rtdecode.serve.array_settings import ArraySettings


def check_streams(
    artifact: ModelArtifact, streams: Sequence[str], features: str | None = None, *, power: bool = False
) -> None:
    """Check that there is a stream for each array of a model, in its order, and one for its features.

    Args:
        artifact: the model.
        streams: the names given.
        features: name of the stream of features beside them, None for none.
        power: whether the stream of spikes is voltage, whose power is computed.

    Raises:
        RtdecodeError: there are more or fewer, or the same in another order.
    """
    n_features, beside = len(artifact.features), bool(artifact.features and artifact.n_channels)
    others = {each.column.name for each in artifact.features}
    others -= {each.name for each in power_columns(artifact.n_channels)}
    if power and n_features and not beside:
        raise RtdecodeError(
            f"is for voltage, whose spikes are decoded too; the model reads {n_features} features alone",
            where="--power",
            fix="serve a model of counts and power (--model), or omit it and send power as features",
        )
    if beside and power and others:
        raise RtdecodeError(
            f"the model reads {len(others)} features that are no power of voltage, such as {min(others)!r}",
            where="--power",
            fix="omit --power, and name the stream of these features with --features",
        )
    if beside and features is None and not power:
        of_voltage = "" if others else ", or if they are power of this voltage, add --power absolute or rms"
        raise RtdecodeError(
            f"the model reads {n_features} features beside the spikes, and no stream has them",
            where="--features",
            fix=f"name their stream with --features{of_voltage}",
        )
    if features is not None and not beside:
        raise RtdecodeError(
            f"names {features!r}, but the model reads "
            + ("features alone, which are those of --stream" if artifact.features else "none"),
            where="--features",
            fix="omit it",
        )
    names = [array.name for array in artifact.arrays]
    if len(streams) == max(len(names), 1) and (sorted(streams) != sorted(names) or list(streams) == names):
        return
    given, n = ", ".join(streams), len(names)
    what = f"the model decodes {n} arrays, {', '.join(names)}" if n else "the model decodes one array"
    fix = "give " + " ".join(f"--stream {name}" for name in names) if n else "name one, or fit a model of all"
    raise RtdecodeError(f"{what}, and the streams are {given}", where="--stream", fix=fix)


def array_sizes(artifact: ModelArtifact) -> list[int]:
    """The number of channels of each array of a model, in its order; [0] of a model of features alone."""
    return [array.n_channels for array in artifact.arrays] or [artifact.n_channels]


class FitsModel:
    """Of one array.

    Args:
        array: its settings.
        n_channels: of the model's array; 0 for features.
        artifact: the model.
        detection: of spikes in voltage, of this array.

    Attributes:
        array: as given.
    """

    def __init__(
        self, array: ArraySettings, n_channels: int, artifact: ModelArtifact, detection: LiveDetection
    ) -> None:
        self._detection = detection
        self.array, self._bin_width_s = array, artifact.bin_width_s
        self._n_channels = n_channels
        self._features = tuple(feature.column for feature in artifact.features)

    def classify(self, stream: StreamDescription) -> tuple[Layout, int]:
        """The layout of a stream and its rank.

        Raises:
            RtdecodeError: it carries no spikes, or does not fit.
        """
        features = not self._n_channels
        layout, rank = self.array.classify(stream, features=features)
        self._check(stream, layout)
        return layout, rank

    def accept(self, inlet: Inlet, layout: Layout) -> Layout:
        """Check an opened stream, with its labels and first samples.

        Raises:
            RtdecodeError: as `classify`.
        """
        # By its full description, with the kinds of its columns.
        layout, _ = self.classify(inlet.stream)
        layout = settled_layout(inlet, layout, self.array.layout)
        self._check(inlet.stream, layout)
        if layout is Layout.FEATURES:
            check_columns(inlet.stream, self._features)
        return layout

    def _check(self, stream: StreamDescription, layout: Layout) -> None:
        array = self.array
        check_units(layout, array.drop_units, f"stream {stream}")
        check_numbering(layout, array.numbering, array.drop_units, stream)
        self._detection.check(layout, stream.n_columns, stream.rate_hz, f"stream {stream}")
        check_against_model(
            stream,
            layout,
            n_channels=self._n_channels,
            bin_width_s=self._bin_width_s,
            channel_map=array.channel_map,
        )
        if self._detection.power is not None:
            self._check_power(stream, self._detection.power)

    def _check_power(self, stream: StreamDescription, power: PowerSettings) -> None:
        columns = voltage_columns(stream, self.array.channel_map, self._features)
        if -1 in columns:
            name = self._features[columns.index(-1)].name
            raise RtdecodeError(
                f"the model reads {name!r}, and the channel map names no such channel",
                where=f"stream {stream}",
                fix="add the channel to the file of --channel-map",
            )
        if self._features and power.bin_width_s > self._bin_width_s * (1 + 1e-6):
            raise RtdecodeError(
                f"is {power.bin_width_s * 1e3:g} ms, longer than the model's {self._bin_width_s * 1e3:g}",
                where="--power-bin",
                fix="omit it, for 5 ms",
            )
