"""The GRU keeps the contract of decoders, and its values are those of its equations in NumPy."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from decoding import artifact_of, check_refused, outputs, poisson_counts, run_all
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from rtdecode.artifact import ModelArtifact
from rtdecode.decode.gru import GRUDecoder
from rtdecode.decode.load import load_decoder
from rtdecode.kernels.decoders.gru import exponential
from rtdecode.testing import check_decoder

F8 = NDArray[np.float64]
U1 = NDArray[np.uint8]


def make_artifact(
    n_channels: int = 12, n_hidden: int = 9, n_outputs: int = 3, *, seed: int = 0, **changes: Any
) -> ModelArtifact:
    rng = np.random.default_rng(seed)
    fields: dict[str, Any] = {
        "outputs": outputs(n_outputs),
        "run": {
            "gru.weight_ih": (rng.normal(size=(n_channels, 3 * n_hidden)) / n_channels**0.5).astype("f4"),
            "gru.bias_ih": rng.normal(0, 0.5, size=3 * n_hidden).astype("f4"),
            "gru.weight_hh": (rng.normal(size=(n_hidden, 3 * n_hidden)) / n_hidden**0.5).astype("f4"),
            "gru.bias_hh": rng.normal(0, 0.5, size=3 * n_hidden).astype("f4"),
            "head.weight": rng.normal(size=(n_hidden, n_outputs)).astype("f4"),
            "head.bias": rng.normal(size=n_outputs).astype("f4"),
        },
    }
    return artifact_of("gru", n_channels=n_channels, **(fields | changes))


@pytest.mark.parametrize("size", [(12, 9), (1, 1, 1), (96, 128, 4)])
def test_it_keeps_the_contract_of_decoders(size: tuple[int, ...]) -> None:
    artifact = make_artifact(*size)
    check_decoder(lambda: load_decoder(artifact), artifact)


def test_masked_channels_take_no_part() -> None:
    artifact, counts = make_artifact(channel_mask=(True, False) * 6), poisson_counts(50)
    check_decoder(lambda: load_decoder(artifact), artifact)
    silenced = counts.copy()
    counts[:, 1::2], silenced[:, 1::2] = 255, 0
    decoder, other = GRUDecoder(artifact), GRUDecoder(artifact)
    run_all(decoder, counts)
    run_all(other, silenced)
    assert decoder.adds == other.adds


def sigmoid(x: F8) -> F8:
    return 1 / (1 + np.exp(-x))


def reference(artifact: ModelArtifact, counts: U1) -> F8:
    """torch.nn.GRU's equations, dense, in float64."""
    run = {name: tensor.astype(np.float64) for name, tensor in artifact.run.items()}
    hidden, values = np.zeros(len(run["head.weight"])), []
    for x in np.minimum(counts, artifact.count_max) * np.array(artifact.channel_mask):
        input_r, input_z, input_n = np.split(x @ run["gru.weight_ih"] + run["gru.bias_ih"], 3)
        hidden_r, hidden_z, hidden_n = np.split(hidden @ run["gru.weight_hh"] + run["gru.bias_hh"], 3)
        r, z = sigmoid(input_r + hidden_r), sigmoid(input_z + hidden_z)
        hidden = (1 - z) * np.tanh(input_n + r * hidden_n) + z * hidden
        values.append(hidden @ run["head.weight"] + run["head.bias"])
    return np.array(values)


@settings(max_examples=60, deadline=None)
@given(
    n_channels=st.integers(1, 70),
    n_hidden=st.integers(1, 40),
    n_outputs=st.integers(1, 4),
    seed=st.integers(0, 2**32 - 1),
    rate=st.sampled_from([0.02, 0.5, 5.0]),
)
def test_values_are_those_of_the_equations(
    n_channels: int, n_hidden: int, n_outputs: int, seed: int, rate: float
) -> None:
    rng = np.random.default_rng(seed)
    mask = tuple(bool(good) for good in rng.random(n_channels) < 0.8)
    artifact = make_artifact(n_channels, n_hidden, n_outputs, seed=seed, channel_mask=mask)
    counts = rng.poisson(rate, (80, n_channels)).astype(np.uint8)
    counts[30:45] = 0
    counts[60:70] = 255
    values, expected = run_all(GRUDecoder(artifact), counts), reference(artifact, counts)
    # Where next to nothing varies, what float32 resolves of the terms of the read-out.
    resolved = np.abs(artifact.run["head.weight"]).sum(axis=0) + np.abs(artifact.run["head.bias"])
    assert (np.abs(values - expected) <= np.maximum(1e-5 * expected.std(axis=0), 5e-7 * resolved)).all()


def test_a_network_of_a_usual_size_agrees_over_a_minute() -> None:
    artifact, counts = make_artifact(64, 128, 4), poisson_counts(3000, 64)
    values, expected = run_all(GRUDecoder(artifact), counts), reference(artifact, counts)
    assert np.abs((values - expected) / expected.std(axis=0)).max() < 1e-5


def test_work_follows_the_spikes() -> None:
    decoder = GRUDecoder(make_artifact())
    counts = np.zeros((2, 12), np.uint8)
    counts[0, [3, 7]] = 1, 3
    run_all(decoder, counts)
    assert decoder.adds == 2 * 27 + 9 * 27 + 2 * 9 * 3
    assert decoder.dense_macs == 12 * 27 + 9 * 27 + 9 * 3


def test_values_converge_in_hours_of_silence() -> None:
    decoder = GRUDecoder(make_artifact())
    run_all(decoder, poisson_counts(50))
    values = run_all(decoder, np.zeros((100_000, 12), np.uint8))
    assert np.isfinite(values).all()
    np.testing.assert_allclose(values[-1], values[-2], rtol=1e-5)


@pytest.mark.parametrize("drive", [-1e30, -1e3, 1e3, 1e30])
def test_gates_that_are_driven_hard_stay_finite(drive: float) -> None:
    run = make_artifact().run
    decoder = GRUDecoder(make_artifact(run=run | {"gru.bias_ih": np.full(27, drive, "f4")}))
    run_all(decoder, poisson_counts(50))
    hidden = decoder.state()["hidden"]
    assert np.abs(hidden).max() <= 1


@given(x=st.floats(-40, 40))
def test_the_exponential_is_that_of_numpy(x: float) -> None:
    assert exponential(x) == pytest.approx(np.exp(x), rel=1e-9)


def test_the_exponential_ends_at_40() -> None:
    assert exponential(41.0) == exponential(np.inf) == exponential(40.0)
    assert exponential(-41.0) == exponential(-np.inf) == exponential(-40.0)
    assert exponential(0.0) == 1.0


@pytest.mark.parametrize(
    ("changes", "complaint"),
    [
        ({"gru.weight_hh": None}, "lacks the tensor run.gru.weight_hh"),
        ({"gru.bias_hh": None}, "lacks the tensor run.gru.bias_hh"),
        ({"head.bias": None}, "lacks the tensor run.head.bias"),
        ({"grid": np.zeros(2, "i4")}, "holds run.grid, which is no part of this gru"),
        ({"gru.weight_ih": np.zeros((11, 27), "f4")}, r"float32\[11, 27\];.*needs float32\[12, 27\]"),
        ({"gru.weight_ih": np.zeros((12, 27))}, r"run.gru.weight_ih is float64\[12, 27\]"),
        ({"gru.weight_hh": np.zeros((8, 27), "f4")}, r"run.gru.weight_hh .* needs float32\[9, 27\]"),
        ({"gru.bias_hh": np.zeros(28, "f4")}, r"run.gru.bias_hh is float32\[28\].*needs float32\[27\]"),
        ({"gru.bias_hh": np.zeros(0, "f4")}, "run.head.weight is"),
        ({"gru.bias_hh": np.array(1, "f4")}, "run.head.weight is"),
        ({"head.weight": np.zeros((9, 2), "f4")}, r"run.head.weight .* needs float32\[9, 3\]"),
        ({"head.bias": np.zeros(3)}, "run.head.bias is float64"),
    ],
)
def test_tensors_that_do_not_fit_the_model_are_refused(changes: dict[str, Any], complaint: str) -> None:
    check_refused(make_artifact, make_artifact().run | changes, complaint)
