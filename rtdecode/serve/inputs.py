"""The streams of a daemon: for each a connector, what of it is decoded, and whether it fits the model."""

from __future__ import annotations

from collections.abc import Mapping

from rtdecode.artifact import FeatureColumn, ModelArtifact
from rtdecode.ingest.connection.own_source import check_sources, connector_for
from rtdecode.ingest.source import OpenSource
from rtdecode.serve.array_settings import ArraySettings
from rtdecode.serve.fits_model import FitsModel, array_sizes, check_streams
from rtdecode.serve.loop.hot_loop import ArrayInput
from rtdecode.serve.settings import ServeSettings


def make_inputs(
    settings: ServeSettings, artifact: ModelArtifact, sources: Mapping[str, OpenSource]
) -> list[ArrayInput]:
    """The streams of spikes, or of features alone, then that of features beside spikes; none is started.

    Args:
        settings: of the daemon.
        artifact: the model that decodes them.
        sources: of one's own, by the name of their stream.

    Raises:
        RtdecodeError: the streams are not those of the model, or a source is none of them.
    """
    check_sources(sources, settings.all_streams)
    power = settings.detection.power is not None
    check_streams(artifact, settings.streams, settings.features, power=power)
    columns = tuple(each.column for each in artifact.features)

    def make(array: ArraySettings, n_channels: int, features: tuple[FeatureColumn, ...]) -> ArrayInput:
        rules = array.rules(settings.carry_late, features)
        fits = FitsModel(array, n_channels, artifact, rules.detection)
        name, source_id, option = array.stream, array.source_id, array.source_option
        connector = connector_for(name, sources, fits.classify, fits.accept, source_id, option)
        return ArrayInput(array.asked, connector, rules, array.grace_s, n_channels)

    inputs = [
        make(array, n, () if n and not power else columns)
        for array, n in zip(settings.arrays, array_sizes(artifact), strict=True)
    ]
    if settings.features_beside is not None:
        inputs.append(make(settings.features_beside, 0, columns))
    return inputs
