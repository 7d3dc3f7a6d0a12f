"""The Wiener filter steps to the same bits however a recording is cut, and to what NumPy says."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from rtdecode.artifact import KINDS, ModelArtifact, Output
from rtdecode.decode.decoder import Decoder
from rtdecode.decode.load import load_decoder
from rtdecode.decode.wiener import WienerDecoder
from rtdecode.errors import RtdecodeError


def make_artifact(
    n_channels: int = 12, n_lags: int = 7, n_outputs: int = 3, *, seed: int = 0, **changes: Any
) -> ModelArtifact:
    rng = np.random.default_rng(seed)
    fields: dict[str, Any] = {
        "kind": "wiener",
        "causal": True,
        "bin_width_s": 0.02,
        "n_channels": n_channels,
        "channel_mask": tuple(bool(good) for good in rng.random(n_channels) < 0.8),
        "outputs": tuple(Output(f"y{d}", "mm", 0.0, 1.0, "other") for d in range(n_outputs)),
        "count_max": 4,
        "run": {
            "weight": rng.normal(size=(n_channels, n_lags, n_outputs)).astype("f4"),
            "bias": rng.normal(size=n_outputs),
        },
    }
    return ModelArtifact(**(fields | changes))


def make_counts(n_bins: int, n_channels: int = 12, seed: int = 1) -> NDArray[np.uint8]:
    return np.random.default_rng(seed).poisson(1.2, size=(n_bins, n_channels)).astype(np.uint8)


def run_all(decoder: Decoder, counts: NDArray[np.uint8]) -> NDArray[np.float32]:
    out = np.empty((len(counts), decoder.n_outputs), np.float32)
    decoder.run(counts, out)
    return out


def step_all(decoder: Decoder, counts: NDArray[np.uint8]) -> NDArray[np.float32]:
    out = np.empty((len(counts), decoder.n_outputs), np.float32)
    for row, value in zip(counts, out, strict=True):
        decoder.step(row, value)
    return out


def reference(artifact: ModelArtifact, counts: NDArray[np.uint8]) -> NDArray[np.float64]:
    """The dense sum of the definition, in float64."""
    weight = artifact.run["weight"].astype(np.float64)
    clipped = np.minimum(counts, artifact.count_max) * np.array(artifact.channel_mask)
    values = np.tile(artifact.run["bias"].astype(np.float64), (len(counts), 1))
    for lag in range(min(weight.shape[1], len(counts))):
        values[lag:] += clipped[: len(counts) - lag] @ weight[:, lag]
    return values


@settings(max_examples=60, deadline=None)
@given(
    cuts=st.lists(st.integers(0, 40), max_size=6),
    n_lags=st.sampled_from([1, 2, 7, 50]),
    stepwise=st.booleans(),
)
def test_any_cutting_gives_the_same_bits(cuts: list[int], n_lags: int, stepwise: bool) -> None:
    artifact, counts = make_artifact(n_lags=n_lags), make_counts(40)
    whole = run_all(WienerDecoder(artifact), counts)
    decoder, edges = WienerDecoder(artifact), [0, *sorted(cuts), 40]
    chunks = [counts[start:stop] for start, stop in pairwise(edges)]
    go = step_all if stepwise else run_all
    assert np.concatenate([go(decoder, chunk) for chunk in chunks]).tobytes() == whole.tobytes()


def test_steps_and_a_run_give_the_same_bits() -> None:
    artifact, counts = make_artifact(96, 72, 4), make_counts(500, 96)
    stepped = step_all(WienerDecoder(artifact), counts)
    assert stepped.tobytes() == run_all(WienerDecoder(artifact), counts).tobytes()


@pytest.mark.parametrize(("n_channels", "n_lags", "n_outputs"), [(1, 1, 1), (12, 7, 3), (96, 72, 4)])
@pytest.mark.parametrize("bias_type", ["f4", "f8"])
def test_the_decoder_gives_what_the_dense_sum_gives(
    n_channels: int, n_lags: int, n_outputs: int, bias_type: str
) -> None:
    artifact = make_artifact(n_channels, n_lags, n_outputs)
    run = artifact.run | {"bias": artifact.run["bias"].astype(bias_type)}
    artifact = make_artifact(n_channels, n_lags, n_outputs, run=run)
    counts = make_counts(300, n_channels)
    values, expected = run_all(WienerDecoder(artifact), counts), reference(artifact, counts)
    np.testing.assert_allclose(values, expected, atol=1e-6 * np.abs(expected).max())


def test_one_spike_plays_back_its_weights() -> None:
    artifact = make_artifact(channel_mask=(True,) * 12)
    counts = np.zeros((12, 12), np.uint8)
    counts[2, 5] = 1
    values = run_all(WienerDecoder(artifact), counts) - artifact.run["bias"]
    np.testing.assert_allclose(values[2:9], artifact.run["weight"][5], atol=1e-6)
    assert not values[:2].round(6).any()
    assert not values[9:].round(6).any()


def test_silence_decodes_to_the_bias() -> None:
    artifact = make_artifact()
    values = run_all(WienerDecoder(artifact), np.zeros((20, 12), np.uint8))
    np.testing.assert_array_equal(values, np.tile(artifact.run["bias"].astype("f4"), (20, 1)))


@pytest.mark.parametrize("at", [1, 5, 7, 13, 39])
def test_a_saved_state_goes_on_with_the_same_bits(at: int) -> None:
    artifact, counts = make_artifact(), make_counts(60)
    decoder = WienerDecoder(artifact)
    run_all(decoder, counts[:at])
    state = decoder.state()
    expected = run_all(decoder, counts[at:])
    other = WienerDecoder(artifact)
    run_all(other, make_counts(11, seed=9))
    other.load_state(state)
    assert run_all(other, counts[at:]).tobytes() == expected.tobytes()


def test_a_saved_state_is_a_copy() -> None:
    decoder, counts = WienerDecoder(make_artifact()), make_counts(30)
    run_all(decoder, counts)
    state = decoder.state()
    kept = {name: array.copy() for name, array in state.items()}
    run_all(decoder, counts)
    for name, array in kept.items():
        np.testing.assert_array_equal(state[name], array)
    decoder.load_state(state)
    state["pending"][:] = 9
    np.testing.assert_array_equal(decoder.state()["pending"], kept["pending"])


def test_another_models_state_is_refused() -> None:
    decoder = WienerDecoder(make_artifact())
    for state in [{}, {"pending": np.zeros((6, 3))}, WienerDecoder(make_artifact(n_outputs=2)).state()]:
        with pytest.raises(RtdecodeError, match="not one of this Wiener filter"):
            decoder.load_state(state)


def test_a_reset_decoder_is_a_fresh_one() -> None:
    artifact, counts = make_artifact(), make_counts(40)
    decoder = WienerDecoder(artifact)
    first = run_all(decoder, counts[:33])
    decoder.reset()
    assert run_all(decoder, counts[:33]).tobytes() == first.tobytes()


def test_counts_above_the_limit_are_clipped_and_tallied() -> None:
    artifact = make_artifact(channel_mask=(True,) * 12)
    counts = make_counts(50)
    counts[3, 2], counts[4, 2], counts[9, 11] = 5, 4, 255
    n_above = int((counts > 4).sum())
    decoder = WienerDecoder(artifact)
    values = run_all(decoder, counts)
    assert decoder.clipped == n_above > 1
    limited = WienerDecoder(artifact)
    assert run_all(limited, np.minimum(counts, 4)).tobytes() == values.tobytes()
    assert limited.clipped == 0


def test_the_tally_of_clipped_counts_outlives_a_reset() -> None:
    decoder = WienerDecoder(make_artifact(channel_mask=(True,) * 12))
    step_all(decoder, np.full((2, 12), 5, np.uint8))
    state = decoder.state()
    decoder.reset()
    decoder.load_state(state)
    assert decoder.clipped == 24


def test_masked_channels_are_neither_decoded_nor_tallied() -> None:
    artifact = make_artifact(channel_mask=(True, False) * 6)
    counts = make_counts(50)
    silenced = counts.copy()
    counts[:, 1::2] = 255
    silenced[:, 1::2] = 0
    silenced[:, ::2] = counts[:, ::2] = np.minimum(counts[:, ::2], 4)
    decoder, other = WienerDecoder(artifact), WienerDecoder(artifact)
    assert run_all(decoder, counts).tobytes() == run_all(other, silenced).tobytes()
    assert decoder.clipped == 0


def test_silent_channels_change_nothing() -> None:
    few, many = make_artifact(12), make_artifact(200)
    run = {"weight": many.run["weight"].copy(), "bias": few.run["bias"]}
    at = np.arange(12) * 16
    run["weight"][at] = few.run["weight"]
    mask = np.ones(200, bool)
    mask[at] = few.channel_mask
    wide = make_artifact(200, run=run, channel_mask=tuple(mask.tolist()))
    counts = make_counts(60)
    spread = np.zeros((60, 200), np.uint8)
    spread[:, at] = counts
    assert run_all(WienerDecoder(wide), spread).tobytes() == run_all(WienerDecoder(few), counts).tobytes()


def test_a_new_decoder_starts_at_bin_0_with_nothing_tallied() -> None:
    decoder = WienerDecoder(make_artifact())
    assert decoder.clipped == 0
    assert not decoder.state()["pending"].any()


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
    decoder = WienerDecoder(make_artifact())
    with pytest.raises(RtdecodeError, match="do not fit a model of 12 channels"):
        decoder.step(counts, out)
    with pytest.raises(RtdecodeError, match="do not fit a model of 12 channels"):
        decoder.run(counts[np.newaxis], out[np.newaxis])


def test_a_run_over_no_bins_does_nothing() -> None:
    decoder = WienerDecoder(make_artifact())
    assert run_all(decoder, make_counts(0)).shape == (0, 3)
    assert not decoder.state()["pending"].any()


@pytest.mark.parametrize(
    ("run", "complaint"),
    [
        ({}, "lacks the tensor run.weight"),
        ({"weight": np.zeros((12, 7, 3), "f4")}, "lacks the tensor run.bias"),
        ({"weight": np.zeros((11, 7, 3), "f4"), "bias": np.zeros(3)}, r"float32\[11, 7, 3\].*\[12, "),
        ({"weight": np.zeros((12, 7, 2), "f4"), "bias": np.zeros(3)}, r"\[12, lags, 3\]"),
        ({"weight": np.zeros((12, 0, 3), "f4"), "bias": np.zeros(3)}, r"\[12, lags, 3\]"),
        ({"weight": np.zeros((12, 21), "f4"), "bias": np.zeros(3)}, r"\[12, lags, 3\]"),
        ({"weight": np.zeros((12, 7, 3)), "bias": np.zeros(3)}, "run.weight is float64"),
        ({"weight": np.zeros((12, 7, 3), "f4"), "bias": np.zeros(2)}, r"run.bias is float64\[2\]"),
        ({"weight": np.zeros((12, 7, 3), "f4"), "bias": np.zeros(3, "i8")}, "run.bias is int64"),
    ],
)
def test_tensors_that_do_not_fit_the_model_are_refused(run: dict[str, Any], complaint: str) -> None:
    with pytest.raises(RtdecodeError, match=complaint):
        load_decoder(make_artifact(run=run))


def test_the_loader_takes_a_wiener_filter() -> None:
    decoder = load_decoder(make_artifact())
    assert (decoder.kind, decoder.n_channels, decoder.n_outputs) == ("wiener", 12, 3)


def test_the_loader_refuses_what_it_cannot_step() -> None:
    with pytest.raises(RtdecodeError, match="looks ahead in time"):
        load_decoder(make_artifact(causal=False))
    for kind in set(KINDS) - {"wiener"}:
        with pytest.raises(RtdecodeError, match=f"rtdecode fit SESSION.h5 --kind {kind}"):
            load_decoder(make_artifact(kind=kind))
    with pytest.raises(RtdecodeError, match="of kind 'gru', not 'wiener'"):
        WienerDecoder(make_artifact(kind="gru"))
