"""The Wiener filter keeps the contract of decoders, and its values are those of NumPy."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from decoding import artifact_of, check_refused, outputs, poisson_counts, run_all
from numpy.typing import NDArray

from rtdecode.artifact import ModelArtifact
from rtdecode.decode.load import load_decoder
from rtdecode.decode.wiener import WienerDecoder
from rtdecode.testing import check_decoder


def make_artifact(
    n_channels: int = 12, n_lags: int = 7, n_outputs: int = 3, *, seed: int = 0, **changes: Any
) -> ModelArtifact:
    rng = np.random.default_rng(seed)
    fields: dict[str, Any] = {
        "channel_mask": tuple(bool(good) for good in rng.random(n_channels) < 0.8),
        "outputs": outputs(n_outputs),
        "run": {
            "weight": rng.normal(size=(n_channels, n_lags, n_outputs)).astype("f4"),
            "bias": rng.normal(size=n_outputs),
        },
    }
    return artifact_of("wiener", n_channels=n_channels, **(fields | changes))


@pytest.mark.parametrize("size", [(12, 1), (12, 2, 1), (12, 7), (12, 50), (96, 72, 4)])
def test_it_keeps_the_contract_of_decoders(size: tuple[int, ...]) -> None:
    artifact = make_artifact(*size)
    check_decoder(lambda: load_decoder(artifact), artifact)


def reference(artifact: ModelArtifact, counts: NDArray[np.uint8]) -> NDArray[np.float64]:
    """The dense sum of the definition, in float64."""
    weight = artifact.run["weight"].astype(np.float64)
    clipped = np.minimum(counts, artifact.count_max) * np.array(artifact.channel_mask)
    values = np.tile(artifact.run["bias"].astype(np.float64), (len(counts), 1))
    for lag in range(min(weight.shape[1], len(counts))):
        values[lag:] += clipped[: len(counts) - lag] @ weight[:, lag]
    return values


@pytest.mark.parametrize(("n_channels", "n_lags", "n_outputs"), [(1, 1, 1), (12, 7, 3), (96, 72, 4)])
@pytest.mark.parametrize("bias_type", ["f4", "f8"])
def test_values_equal_the_dense_sum(n_channels: int, n_lags: int, n_outputs: int, bias_type: str) -> None:
    artifact = make_artifact(n_channels, n_lags, n_outputs)
    run = artifact.run | {"bias": artifact.run["bias"].astype(bias_type)}
    artifact = make_artifact(n_channels, n_lags, n_outputs, run=run)
    counts = poisson_counts(300, n_channels)
    values, expected = run_all(WienerDecoder(artifact), counts), reference(artifact, counts)
    np.testing.assert_allclose(values, expected, atol=1e-6 * np.abs(expected).max())


def test_silence_decodes_to_the_bias() -> None:
    artifact = make_artifact()
    values = run_all(WienerDecoder(artifact), np.zeros((20, 12), np.uint8))
    np.testing.assert_array_equal(values, np.tile(artifact.run["bias"].astype("f4"), (20, 1)))


def test_silent_channels_change_nothing() -> None:
    few, many = make_artifact(12), make_artifact(200)
    run = {"weight": many.run["weight"].copy(), "bias": few.run["bias"]}
    at = np.arange(12) * 16
    run["weight"][at] = few.run["weight"]
    mask = np.ones(200, bool)
    mask[at] = few.channel_mask
    wide = make_artifact(200, run=run, channel_mask=tuple(mask.tolist()))
    counts = poisson_counts(60)
    sparse = np.zeros((60, 200), np.uint8)
    sparse[:, at] = counts
    assert run_all(WienerDecoder(wide), sparse).tobytes() == run_all(WienerDecoder(few), counts).tobytes()


@pytest.mark.parametrize(
    ("changes", "complaint"),
    [
        ({"weight": None}, "lacks the tensor run.weight"),
        ({"bias": None}, "lacks the tensor run.bias"),
        ({"weight": np.zeros((11, 7, 3), "f4")}, r"float32\[11, 7, 3\].*\[12, "),
        ({"weight": np.zeros((12, 7, 2), "f4")}, r"needs float32\[12, 7, 3\]"),
        ({"weight": np.zeros((12, 0, 3), "f4")}, r"needs float32\[12, 1, 3\]"),
        ({"weight": np.zeros((12, 21), "f4")}, r"needs float32\[12, 21, 3\]"),
        ({"weight": np.zeros((12, 7, 3))}, "run.weight is float64"),
        ({"bias": np.zeros(2)}, r"run.bias is float64\[2\]"),
        ({"bias": np.zeros(3, "i8")}, "run.bias is int64"),
    ],
)
def test_tensors_that_do_not_fit_the_model_are_refused(changes: dict[str, Any], complaint: str) -> None:
    check_refused(make_artifact, make_artifact().run | changes, complaint)
