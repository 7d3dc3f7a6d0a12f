"""There is a stream for each array of the model, in its order, with its number of channels."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from decoding import artifact_of

from rtdecode.artifact import ElectrodeArray, Feature
from rtdecode.detection.live import LiveDetection
from rtdecode.detection.options import DetectionOptions
from rtdecode.detection.settings import PowerSettings
from rtdecode.errors import RtdecodeError
from rtdecode.ingest.signals.channel_map import ChannelMap
from rtdecode.ingest.signals.layouts import Layout, StreamDescription
from rtdecode.serve.array_settings import ArraySettings, features_of
from rtdecode.serve.fits_model import FitsModel, check_streams

RUN = {"weight": np.ones((5, 3, 2), np.float32), "bias": np.zeros(2)}
ONE = artifact_of("wiener", n_channels=5, run=RUN)
TWO = replace(ONE, arrays=(ElectrodeArray("M1", 3), ElectrodeArray("PMd", 2)))


def test_streams_for_each_array_are_taken() -> None:
    check_streams(ONE, ("M1",))
    check_streams(TWO, ("M1", "PMd"))
    check_streams(TWO, ("a replay of M1", "a replay of PMd"))


@pytest.mark.parametrize(
    ("streams", "what"),
    [
        (("M1",), "the model decodes 2 arrays, M1, PMd, and the streams are M1"),
        (("PMd", "M1"), r"Fix: give --stream M1 --stream PMd"),
        (("M1", "PMd", "V1"), "the streams are M1, PMd, V1"),
    ],
)
def test_other_streams_are_refused(streams: tuple[str, ...], what: str) -> None:
    with pytest.raises(RtdecodeError, match=what):
        check_streams(TWO, streams)


def test_several_streams_need_a_model_of_several() -> None:
    with pytest.raises(RtdecodeError, match="the model decodes one array, and the streams are M1, PMd"):
        check_streams(ONE, ("M1", "PMd"))


def test_features_beside_spikes_need_a_stream_and_a_model_that_reads_them() -> None:
    feature = Feature("a", "power", "uV", 0.0, 1.0)
    both = replace(ONE, features=(feature,))
    alone = replace(ONE, n_channels=0, channel_mask=(), features=(feature,))
    check_streams(both, ("M1",), "P")
    check_streams(alone, ("P",))
    with pytest.raises(RtdecodeError, match="reads 1 features beside the spikes, and no stream has them"):
        check_streams(both, ("M1",))
    with pytest.raises(RtdecodeError, match=r"names .Q., but the model reads features alone, which are"):
        check_streams(alone, ("P",), "Q")
    with pytest.raises(RtdecodeError, match=r"names .P., but the model reads none"):
        check_streams(ONE, ("M1",), "P")


def test_power_of_voltage_needs_no_stream_of_features() -> None:
    power = tuple(Feature(f"power {c}", "power", "", 0.0, 1.0) for c in (4, 0))
    model = replace(ONE, features=power)
    check_streams(model, ("M1",), power=True)
    check_streams(ONE, ("M1",), power=True)
    with pytest.raises(
        RtdecodeError, match=r"Fix: name .*, or if they are power of this voltage, add --power"
    ):
        check_streams(model, ("M1",))
    other = replace(model, features=(*power, Feature("a", "other", "", 0.0, 1.0)))
    with pytest.raises(RtdecodeError, match=r"--power: the model reads 1 features that are no power .*'a'"):
        check_streams(other, ("M1",), power=True)

    alone = replace(model, n_channels=0, channel_mask=())
    with pytest.raises(
        RtdecodeError, match=r"--power: .* the model reads 2 features alone\. Fix: serve a model of"
    ):
        check_streams(alone, ("M1",), power=True)

    def classify(ms: float = 5.0, channel_map: ChannelMap | None = None, n_columns: int = 5) -> Layout:
        array = ArraySettings(stream="M1", channel_map=channel_map)
        settings = PowerSettings(bin_width_s=ms / 1e3)
        fits = FitsModel(array, 5, model, LiveDetection(DetectionOptions(power=settings)))
        return fits.classify(StreamDescription("M1", "Ephys", n_columns, 30_000.0, "int16"))[0]

    assert classify() is Layout.BROADBAND
    with pytest.raises(RtdecodeError, match="the stream has 6 channels, the model 5"):
        classify(n_columns=6)
    with pytest.raises(RtdecodeError, match="--power-bin: is 25 ms, longer than the model's 20"):
        classify(25.0)
    with pytest.raises(RtdecodeError, match="reads 'power 4', and the channel map names no such channel"):
        classify(channel_map=ChannelMap(Path("map.csv"), {"3": 0, "1": 3}))


def test_each_array_has_its_own_number_of_channels() -> None:
    stream = StreamDescription("PMd", "Spikes", 3, 0.0, "int32", n_channels=2)
    fits = FitsModel(ArraySettings(stream="PMd"), 2, TWO, LiveDetection())
    assert fits.classify(stream) == (Layout.EVENTS, 0)
    with pytest.raises(RtdecodeError, match="the stream has 3 channels, the model 2"):
        fits.classify(replace(stream, n_channels=3))


def test_a_stream_that_carries_no_features_is_refused_for_the_flag_that_named_it() -> None:
    array = features_of("power", None)
    assert array is not None
    stream = StreamDescription("power", "Spikes", 3, 0.0, "int32")
    with pytest.raises(RtdecodeError, match=r"cannot be read as features: .* irregular") as refused:
        array.classify(stream, features=True)
    assert refused.value.fix is not None
    assert "--features" in refused.value.fix
    assert "--layout" not in str(refused.value)
    assert array.classify(replace(stream, rate_hz=50.0), features=True) == (Layout.FEATURES, 0)
