"""Counts and features as one input: codes are exact, and every decoder takes them like counts."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from decoding import artifact_of, run_all
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray

from rtdecode.artifact import Feature, ModelArtifact, read_artifact, write_artifact
from rtdecode.decode.inputs import InputRows, codes_of, recoded
from rtdecode.decode.load import load_decoder
from rtdecode.errors import RtdecodeError
from rtdecode.kernels.features import BEYOND, MISSING
from rtdecode.testing import check_decoder

N_CHANNELS, N_FEATURES, N_OUTPUTS = 7, 4, 3
N_INPUTS = N_CHANNELS + N_FEATURES
RNG = np.random.default_rng(0)


def features(mean: float = 0.0, sd: float = 1.0) -> tuple[Feature, ...]:
    kinds = ("power", "rate", "count", "other")
    return tuple(Feature(f"f{i}", kind, "uV", mean, sd) for i, kind in enumerate(kinds))  # type: ignore[arg-type]


def normal(*shape: int, dtype: str = "f4") -> NDArray[Any]:
    return (RNG.normal(size=shape) / max(shape[0], 1) ** 0.5).astype(dtype)


def on_grid(*shape: int) -> NDArray[np.float32]:
    return (RNG.integers(-64, 65, shape) / 64).astype("f4")


RUNS: dict[str, dict[str, Any]] = {
    "wiener": {"weight": normal(N_INPUTS, 5, N_OUTPUTS), "bias": normal(N_OUTPUTS, dtype="f8")},
    "kalman": {
        "transition": np.diag([0.9, 0.8]),
        "gain": normal(N_INPUTS, 2),
        "offset": normal(2, dtype="f8"),
        "readout": normal(N_OUTPUTS, 2, dtype="f8"),
        "bias": normal(N_OUTPUTS, dtype="f8"),
    },
    "gru": {
        "gru.weight_ih": normal(N_INPUTS, 15),
        "gru.bias_ih": normal(15),
        "gru.weight_hh": normal(5, 15),
        "gru.bias_hh": normal(15),
        "head.weight": normal(5, N_OUTPUTS),
        "head.bias": normal(N_OUTPUTS),
    },
    "alignnet": {
        "enc0.0.weight": on_grid(N_INPUTS, 3, 6) / 4,
        "enc0.0.bias": on_grid(6),
        "enc0.1.weight": on_grid(6, 3, 6),
        "enc0.1.bias": on_grid(6),
        "grid": np.array([8, 8], np.int32),
        "latent.weight": normal(12, 4),
        "latent.bias": normal(4),
        "head.weight": normal(4, N_OUTPUTS),
        "head.bias": normal(N_OUTPUTS),
    },
}


def model(kind: str, **changes: Any) -> ModelArtifact:
    network = {"widths": (6,), "fractional_bits": 8} if kind == "alignnet" else {}
    mask = tuple(c != 2 for c in range(N_CHANNELS))
    fields = {"run": RUNS[kind], "features": features(), "channel_mask": mask, **network}
    return artifact_of(kind, n_channels=N_CHANNELS, **(fields | changes))


@pytest.mark.parametrize("kind", sorted(RUNS))
def test_decoders_with_features_keep_the_contract(kind: str) -> None:
    artifact = model(kind, features=(*features()[:3], replace(features()[3], sd=0.0)))
    check_decoder(lambda: load_decoder(artifact), artifact)


@pytest.mark.parametrize("kind", sorted(RUNS))
def test_a_code_weighs_as_much_as_that_many_counts(kind: str) -> None:
    """The same numbers, as features or as counts, decode to the same bits."""
    counts = RNG.poisson(1.0, (60, N_INPUTS)).astype(np.uint8)
    counts[:, N_CHANNELS:] = np.minimum(counts[:, N_CHANNELS:], 4)
    mask = (*model(kind).channel_mask, *(True,) * N_FEATURES)
    alone = load_decoder(replace(model(kind), features=(), n_channels=N_INPUTS, channel_mask=mask))
    beside = load_decoder(model(kind))
    np.testing.assert_array_equal(run_all(beside, counts.astype(np.int16)), run_all(alone, counts))


@settings(max_examples=60, deadline=None)
@given(
    values=arrays(np.float64, (5, N_FEATURES), elements=st.floats(-1e6, 1e6) | st.just(float("nan"))),
    mean=st.floats(-100, 100),
    sd=st.floats(1e-3, 100),
)
def test_codes_are_rounded_z_scores(values: NDArray[np.float64], mean: float, sd: float) -> None:
    artifact = model("wiener", features=features(mean, sd))
    counts = RNG.integers(0, 256, (5, N_CHANNELS)).astype(np.uint8)
    stepped, codes = InputRows(artifact), codes_of(artifact.features, values)
    with np.errstate(invalid="ignore"):
        z = np.rint((values - mean) * (16 / sd))
    np.testing.assert_array_equal(codes, np.nan_to_num(np.clip(z, -127, 127)))
    for k in range(5):
        row = stepped.row(counts[k], values[k])
        np.testing.assert_array_equal(row, [*counts[k], *codes[k]])
    assert stepped.counters[MISSING] == np.isnan(values).sum()
    assert stepped.counters[BEYOND] == (np.abs(z) > 127).sum()


def test_counts_alone_are_passed_on_as_they_are() -> None:
    artifact = model("wiener", features=(), run={"weight": normal(N_CHANNELS, 5, 3), "bias": np.zeros(3)})
    counts = np.zeros(N_CHANNELS, np.uint8)
    assert InputRows(artifact).row(counts, np.zeros(0)) is counts
    assert "features" not in artifact.engine_metadata()


def test_features_are_part_of_the_model_file(tmp_path: Any) -> None:
    artifact = model("gru", features=features(3.5, 0.25))
    write_artifact(tmp_path / "m.safetensors", artifact)
    read = read_artifact(tmp_path / "m.safetensors")
    assert (read.features, read.model_id) == (artifact.features, artifact.model_id)
    assert read.model_id != model("gru", features=features(3.5, 0.5)).model_id


@pytest.mark.parametrize(
    ("changes", "complaint"),
    [
        ({"name": ""}, "a feature has no name"),
        ({"kind": "voltage"}, "the kind of feature 'f0' is 'voltage'"),
        ({"mean": float("nan")}, "the mean of feature 'f0' is nan"),
        ({"sd": -1.0}, "the SD of feature 'f0' is -1.0"),
    ],
)
def test_a_bad_feature_is_refused(changes: dict[str, Any], complaint: str) -> None:
    with pytest.raises(RtdecodeError, match=complaint):
        replace(features()[0], **changes)


def test_two_features_of_one_name_are_refused() -> None:
    with pytest.raises(RtdecodeError, match="two features have the name 'f0'"):
        model("gru", features=(features()[0],) * 2)


def test_codes_of_another_model_stand_for_the_same_values() -> None:
    before, after = features(10.0, 2.0), features(9.0, 3.0)
    codes = RNG.integers(-127, 128, (40, N_FEATURES)).astype(np.int16)
    inputs = np.concatenate((RNG.integers(0, 9, (40, N_CHANNELS)), codes), axis=1).astype(np.int16)
    found = recoded(inputs, before, after)
    assert found.dtype == np.int16
    np.testing.assert_array_equal(found[:, :N_CHANNELS], inputs[:, :N_CHANNELS])
    values = 10.0 + codes * (2.0 / 16)
    np.testing.assert_array_equal(found[:, N_CHANNELS:], codes_of(after, values))
    assert recoded(inputs, before, features(10.0, 2.0)) is inputs
    dead = features(0.0, 0.0)
    np.testing.assert_array_equal(recoded(inputs, before, dead)[:, N_CHANNELS:], 0)
