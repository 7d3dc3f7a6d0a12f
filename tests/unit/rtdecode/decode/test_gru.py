"""The GRU steps to the same bits however a recording is cut, and to what its equations say in NumPy."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from rtdecode.artifact import ModelArtifact, Output
from rtdecode.decode.decoder import Decoder
from rtdecode.decode.gru import GRUDecoder
from rtdecode.decode.load import load_decoder
from rtdecode.errors import RtdecodeError
from rtdecode.kernels.decoders.gru import exponential, update_hidden

F4 = NDArray[np.float32]
F8 = NDArray[np.float64]
U1 = NDArray[np.uint8]


def make_artifact(
    n_channels: int = 12, n_hidden: int = 9, n_outputs: int = 3, *, seed: int = 0, **changes: Any
) -> ModelArtifact:
    rng = np.random.default_rng(seed)
    fields: dict[str, Any] = {
        "kind": "gru",
        "causal": True,
        "bin_width_s": 0.02,
        "n_channels": n_channels,
        "channel_mask": (True,) * n_channels,
        "outputs": tuple(Output(f"y{d}", "mm", 0.0, 1.0, "other") for d in range(n_outputs)),
        "count_max": 4,
        "run": {
            "gru.weight_ih": (rng.normal(size=(n_channels, 3 * n_hidden)) / n_channels**0.5).astype("f4"),
            "gru.bias_ih": rng.normal(0, 0.5, size=3 * n_hidden).astype("f4"),
            "gru.weight_hh": (rng.normal(size=(n_hidden, 3 * n_hidden)) / n_hidden**0.5).astype("f4"),
            "gru.bias_hh": rng.normal(0, 0.5, size=3 * n_hidden).astype("f4"),
            "head.weight": rng.normal(size=(n_hidden, n_outputs)).astype("f4"),
            "head.bias": rng.normal(size=n_outputs).astype("f4"),
        },
    }
    return ModelArtifact(**(fields | changes))


def make_counts(n_bins: int, n_channels: int = 12, seed: int = 1) -> U1:
    return np.random.default_rng(seed).poisson(1.2, size=(n_bins, n_channels)).astype(np.uint8)


def run_all(decoder: Decoder, counts: U1) -> F4:
    out = np.empty((len(counts), decoder.n_outputs), np.float32)
    decoder.run(counts, out)
    return out


def step_all(decoder: Decoder, counts: U1) -> F4:
    out = np.empty((len(counts), decoder.n_outputs), np.float32)
    for row, value in zip(counts, out, strict=True):
        decoder.step(row, value)
    return out


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
    artifact, counts = make_artifact(64, 128, 4), make_counts(3000, 64)
    values, expected = run_all(GRUDecoder(artifact), counts), reference(artifact, counts)
    assert np.abs((values - expected) / expected.std(axis=0)).max() < 1e-5


@settings(max_examples=60, deadline=None)
@given(cuts=st.lists(st.integers(0, 40), max_size=6), stepwise=st.booleans())
def test_any_cutting_gives_the_same_bits(cuts: list[int], stepwise: bool) -> None:
    artifact, counts = make_artifact(), make_counts(40)
    whole = run_all(GRUDecoder(artifact), counts)
    decoder, edges = GRUDecoder(artifact), [0, *sorted(cuts), 40]
    chunks = [counts[start:stop] for start, stop in pairwise(edges)]
    go = step_all if stepwise else run_all
    assert np.concatenate([go(decoder, chunk) for chunk in chunks]).tobytes() == whole.tobytes()


def test_steps_and_a_run_give_the_same_bits() -> None:
    artifact, counts = make_artifact(96, 128, 4), make_counts(500, 96)
    stepped = step_all(GRUDecoder(artifact), counts)
    assert stepped.tobytes() == run_all(GRUDecoder(artifact), counts).tobytes()


@pytest.mark.parametrize("at", [1, 5, 13, 39])
def test_a_saved_state_goes_on_with_the_same_bits(at: int) -> None:
    artifact, counts = make_artifact(), make_counts(60)
    decoder = GRUDecoder(artifact)
    run_all(decoder, counts[:at])
    state = decoder.state()
    expected = run_all(decoder, counts[at:])
    other = GRUDecoder(artifact)
    run_all(other, make_counts(11, seed=9))
    other.load_state(state)
    assert run_all(other, counts[at:]).tobytes() == expected.tobytes()


def test_a_saved_state_is_a_copy() -> None:
    decoder, counts = GRUDecoder(make_artifact()), make_counts(30)
    run_all(decoder, counts)
    state = decoder.state()
    kept = state["hidden"].copy()
    run_all(decoder, counts)
    np.testing.assert_array_equal(state["hidden"], kept)
    decoder.load_state(state)
    state["hidden"][:] = 9
    np.testing.assert_array_equal(decoder.state()["hidden"], kept)


def test_another_models_state_is_refused() -> None:
    decoder = GRUDecoder(make_artifact())
    state = decoder.state()
    for other in [{}, GRUDecoder(make_artifact(12, 8)).state(), state | {"bin": np.zeros(1)}]:
        with pytest.raises(RtdecodeError, match="not one of this GRU"):
            decoder.load_state(other)


def test_a_reset_decoder_is_a_fresh_one() -> None:
    artifact, counts = make_artifact(), make_counts(40)
    decoder = GRUDecoder(artifact)
    assert not decoder.state()["hidden"].any()
    first = run_all(decoder, counts)
    decoder.reset()
    assert run_all(decoder, counts).tobytes() == first.tobytes()


def test_the_future_changes_no_value_of_the_past() -> None:
    artifact, counts = make_artifact(), make_counts(40)
    values = run_all(GRUDecoder(artifact), counts)
    counts[21:] = 0
    others = run_all(GRUDecoder(artifact), counts)
    assert others[:21].tobytes() == values[:21].tobytes()
    assert (others[21:] != values[21:]).all()


def test_counts_above_the_limit_are_clipped_and_tallied() -> None:
    artifact, counts = make_artifact(), make_counts(50)
    counts[3, 2], counts[4, 2], counts[9, 11] = 5, 4, 255
    n_above = int((counts > 4).sum())
    decoder, limited = GRUDecoder(artifact), GRUDecoder(artifact)
    assert decoder.clipped == 0
    values = run_all(decoder, counts)
    assert decoder.clipped == n_above > 1
    assert run_all(limited, np.minimum(counts, 4)).tobytes() == values.tobytes()
    assert limited.clipped == 0
    decoder.reset()
    decoder.load_state(limited.state())
    assert decoder.clipped == n_above


def test_masked_channels_are_neither_decoded_nor_tallied() -> None:
    artifact, counts = make_artifact(channel_mask=(True, False) * 6), make_counts(50)
    counts[:, ::2] = np.minimum(counts[:, ::2], 4)
    silenced = counts.copy()
    counts[:, 1::2], silenced[:, 1::2] = 255, 0
    decoder, other = GRUDecoder(artifact), GRUDecoder(artifact)
    assert run_all(decoder, counts).tobytes() == run_all(other, silenced).tobytes()
    assert decoder.clipped == 0
    assert decoder.adds == other.adds


def test_work_follows_the_spikes() -> None:
    decoder = GRUDecoder(make_artifact())
    counts = np.zeros((2, 12), np.uint8)
    counts[0, [3, 7]] = 1, 3
    run_all(decoder, counts)
    assert decoder.adds == 2 * 27 + 9 * 27 + 2 * 9 * 3
    assert decoder.dense_macs == 12 * 27 + 9 * 27 + 9 * 3


def test_hours_of_silence_settle() -> None:
    decoder = GRUDecoder(make_artifact())
    run_all(decoder, make_counts(50))
    values = run_all(decoder, np.zeros((100_000, 12), np.uint8))
    assert np.isfinite(values).all()
    np.testing.assert_allclose(values[-1], values[-2], rtol=1e-5)


@pytest.mark.parametrize("drive", [-1e30, -1e3, 1e3, 1e30])
def test_gates_that_are_driven_hard_stay_finite(drive: float) -> None:
    run = make_artifact().run
    decoder = GRUDecoder(make_artifact(run=run | {"gru.bias_ih": np.full(27, drive, "f4")}))
    run_all(decoder, make_counts(50))
    hidden = decoder.state()["hidden"]
    assert np.abs(hidden).max() <= 1


@given(x=st.floats(-40, 40))
def test_the_exponential_is_that_of_numpy(x: float) -> None:
    assert exponential(x) == pytest.approx(np.exp(x), rel=1e-9)


def test_the_exponential_ends_at_40() -> None:
    assert exponential(41.0) == exponential(np.inf) == exponential(40.0)
    assert exponential(-41.0) == exponential(-np.inf) == exponential(-40.0)
    assert exponential(0.0) == 1.0


@settings(max_examples=60, deadline=None)
@given(n=st.integers(1, 40), scale=st.sampled_from([1e-3, 1.0, 10.0]), seed=st.integers(0, 1000))
def test_an_update_is_that_of_numpy(n: int, scale: float, seed: int) -> None:
    rng = np.random.default_rng(seed)
    from_input, from_hidden = (rng.normal(0, scale, 3 * n).astype("f4") for _ in range(2))
    hidden = rng.uniform(-1, 1, n).astype("f4")
    input_r, input_z, input_n = np.split(from_input.astype("f8"), 3)
    hidden_r, hidden_z, hidden_n = np.split(from_hidden.astype("f8"), 3)
    z = sigmoid(input_z + hidden_z)
    expected = (1 - z) * np.tanh(input_n + sigmoid(input_r + hidden_r) * hidden_n) + z * hidden
    update_hidden(from_input, from_hidden, hidden)
    np.testing.assert_allclose(hidden, expected, rtol=2e-6, atol=3e-7)


@pytest.mark.parametrize(
    ("counts", "out"),
    [
        (np.zeros(11, np.uint8), np.zeros(3, np.float32)),
        (np.zeros(12, np.uint16), np.zeros(3, np.float32)),
        (np.zeros(12, np.uint8), np.zeros(2, np.float32)),
        (np.zeros(12, np.uint8), np.zeros(3)),
        (np.zeros((1, 12), np.uint8), np.zeros(3, np.float32)),
    ],
)
def test_arrays_that_do_not_fit_are_refused(counts: NDArray[Any], out: NDArray[Any]) -> None:
    decoder = GRUDecoder(make_artifact())
    with pytest.raises(RtdecodeError, match="do not fit a model of 12 channels"):
        decoder.step(counts, out)
    with pytest.raises(RtdecodeError, match="do not fit a model of 12 channels"):
        decoder.run(counts[np.newaxis], out[np.newaxis])


def test_a_run_over_no_bins_does_nothing() -> None:
    decoder = GRUDecoder(make_artifact())
    assert run_all(decoder, make_counts(0)).shape == (0, 3)
    assert not decoder.state()["hidden"].any()


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
    run = {name: array for name, array in (make_artifact().run | changes).items() if array is not None}
    with pytest.raises(RtdecodeError, match=complaint):
        load_decoder(make_artifact(run=run))


def test_the_loader_takes_a_gru() -> None:
    decoder = load_decoder(make_artifact())
    assert (decoder.kind, decoder.n_channels, decoder.n_outputs) == ("gru", 12, 3)
    with pytest.raises(RtdecodeError, match="of kind 'alignnet', not 'gru'"):
        GRUDecoder(make_artifact(kind="alignnet"))
