"""The Kalman filter steps to the same bits however a recording is cut, and to what the textbook says."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.linalg import solve_discrete_are

from rtdecode.artifact import ModelArtifact, Output
from rtdecode.decode.decoder import Decoder
from rtdecode.decode.kalman import KalmanDecoder
from rtdecode.decode.load import load_decoder
from rtdecode.errors import RtdecodeError
from rtdecode.kernels.decoders.kalman import cholesky, update_covariance

F8 = NDArray[np.float64]
FORMS = pytest.mark.parametrize("steady", [False, True], ids=["running", "steady"])


def make_system(n_channels: int, n_states: int, seed: int) -> dict[str, Any]:
    """A random system whose Q⁻¹C is exact in float32."""
    rng = np.random.default_rng(seed)
    transition = rng.normal(size=(n_states, n_states))
    transition *= 0.97 / np.abs(np.linalg.eigvals(transition)).max()
    mixed = rng.normal(size=(n_states, n_states))
    precision = np.diag(rng.integers(8, 16, n_channels) / 4.0)
    pairs = np.arange(n_channels - 1)
    precision[pairs, pairs + 1] = precision[pairs + 1, pairs] = rng.integers(-2, 3, n_channels - 1) / 4.0
    return {
        "A": transition,
        "W": mixed @ mixed.T / n_states,
        "C": rng.integers(-32, 33, (n_channels, n_states)) / 64.0,
        "precision": precision,
        "mean": rng.integers(1, 64, n_channels) / 32.0,
        "prior": np.eye(n_states),
        "readout": rng.normal(size=(3, n_states)),
        "bias": rng.normal(size=3),
    }


def settled(system: dict[str, Any]) -> F8:
    """The covariance after an observation that the textbook filter settles at."""
    noise = np.linalg.inv(system["precision"])
    prediction = solve_discrete_are(system["A"].T, system["C"].T, system["W"], noise)
    return np.linalg.inv(np.linalg.inv(prediction) + system["C"].T @ system["precision"] @ system["C"])


def make_artifact(
    n_channels: int = 12, n_states: int = 5, *, steady: bool = False, seed: int = 0, **changes: Any
) -> ModelArtifact:
    system = make_system(n_channels, n_states, seed)
    observe = system["precision"] @ system["C"]
    information = system["C"].T @ observe
    information = (information + information.T) / 2
    run = {"readout": system["readout"], "bias": system["bias"]}
    if steady:
        gain = (observe @ settled(system)).astype("f4")
        run |= {
            "transition": system["A"] - settled(system) @ information @ system["A"],
            "gain": gain,
            "offset": -system["mean"] @ gain,
        }
    else:
        run |= {
            "transition": system["A"],
            "process_noise": (system["W"] + system["W"].T) / 2,
            "observe": observe.astype("f4"),
            "information": information,
            "offset": -system["mean"] @ observe,
            "prior": system["prior"],
        }
    fields: dict[str, Any] = {
        "kind": "kalman",
        "causal": True,
        "bin_width_s": 0.02,
        "n_channels": n_channels,
        "channel_mask": (True,) * n_channels,
        "outputs": tuple(Output(f"y{d}", "mm", 0.0, 1.0, "other") for d in range(3)),
        "count_max": 4,
        "run": run,
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


def textbook(system: dict[str, Any], counts: NDArray[np.uint8], count_max: int) -> tuple[F8, F8]:
    """Means f8[T, p] and covariances f8[T, p, p] with the gain in its usual form."""
    transition, observation = system["A"], system["C"]
    noise = np.linalg.inv(system["precision"])
    mean, covariance = np.zeros(len(transition)), system["prior"]
    means, covariances = [], []
    for z in np.minimum(counts, count_max) - system["mean"]:
        mean, covariance = transition @ mean, transition @ covariance @ transition.T + system["W"]
        gain = covariance @ observation.T @ np.linalg.inv(observation @ covariance @ observation.T + noise)
        mean = mean + gain @ (z - observation @ mean)
        covariance = (np.eye(len(mean)) - gain @ observation) @ covariance
        means.append(mean)
        covariances.append(covariance)
    return np.array(means), np.array(covariances)


@settings(max_examples=60, deadline=None)
@given(cuts=st.lists(st.integers(0, 40), max_size=6), steady=st.booleans(), stepwise=st.booleans())
def test_any_cutting_gives_the_same_bits(cuts: list[int], steady: bool, stepwise: bool) -> None:
    artifact, counts = make_artifact(steady=steady), make_counts(40)
    whole = run_all(KalmanDecoder(artifact), counts)
    decoder, edges = KalmanDecoder(artifact), [0, *sorted(cuts), 40]
    chunks = [counts[start:stop] for start, stop in pairwise(edges)]
    go = step_all if stepwise else run_all
    assert np.concatenate([go(decoder, chunk) for chunk in chunks]).tobytes() == whole.tobytes()


@FORMS
def test_steps_and_a_run_give_the_same_bits(steady: bool) -> None:
    artifact, counts = make_artifact(96, 22, steady=steady), make_counts(500, 96)
    stepped = step_all(KalmanDecoder(artifact), counts)
    assert stepped.tobytes() == run_all(KalmanDecoder(artifact), counts).tobytes()


@pytest.mark.parametrize(("n_channels", "n_states"), [(2, 1), (12, 5), (40, 12)])
def test_the_decoder_gives_what_the_textbook_gives(n_channels: int, n_states: int) -> None:
    decoder, counts = KalmanDecoder(make_artifact(n_channels, n_states)), make_counts(300, n_channels)
    system = make_system(n_channels, n_states, 0)
    means, covariances = textbook(system, counts, 4)
    values = np.empty(3, np.float32)
    for k in range(300):
        decoder.step(counts[k], values)
        state = decoder.state()
        np.testing.assert_allclose(state["mean"], means[k], rtol=1e-9, atol=1e-9 * np.abs(means).max())
        np.testing.assert_allclose(
            state["covariance"], covariances[k], rtol=1e-9, atol=1e-9 * np.abs(covariances[k]).max()
        )
        expected = system["readout"] @ means[k] + system["bias"]
        np.testing.assert_allclose(values, expected, rtol=1e-6, atol=1e-6 * np.abs(expected).max())


def test_the_running_form_becomes_the_steady_one() -> None:
    counts = make_counts(400)
    running, steady = (KalmanDecoder(make_artifact(steady=steady)) for steady in (False, True))
    values, expected = run_all(running, counts), run_all(steady, counts)
    assert np.abs(values - expected)[0].max() > 1e-3
    np.testing.assert_allclose(values[200:], expected[200:], rtol=1e-5, atol=1e-5)
    state = running.state()
    assert state["settled"].all()
    np.testing.assert_allclose(state["covariance"], settled(make_system(12, 5, 0)), rtol=1e-10)


def test_a_spike_moves_the_steady_state_by_its_gain_which_then_fades() -> None:
    artifact = make_artifact(steady=True)
    run = artifact.run | {"offset": np.zeros(5)}
    decoder, counts = KalmanDecoder(make_artifact(steady=True, run=run)), np.zeros((8, 12), np.uint8)
    counts[2, 7] = 3
    values = run_all(decoder, counts)
    state = 3 * artifact.run["gain"][7].astype(np.float64)
    np.testing.assert_array_equal(values[:2], np.tile(artifact.run["bias"].astype("f4"), (2, 1)))
    for value in values[2:]:
        np.testing.assert_allclose(value, run["bias"] + run["readout"] @ state, rtol=1e-5, atol=1e-6)
        state = run["transition"] @ state


@FORMS
def test_counts_at_their_means_leave_the_state_at_zero(steady: bool) -> None:
    artifact = make_artifact(steady=steady)
    weight = artifact.run["gain" if steady else "observe"].astype(np.float64)
    counts = np.full((50, 12), 2, np.uint8)
    run = artifact.run | {"offset": -2.0 * weight.sum(axis=0)}
    values = run_all(KalmanDecoder(make_artifact(steady=steady, run=run)), counts)
    np.testing.assert_allclose(values, np.tile(run["bias"], (50, 1)), rtol=1e-5, atol=1e-5)


def test_the_covariance_stays_symmetric_and_positive_over_hours() -> None:
    decoder = KalmanDecoder(make_artifact())
    counts = np.random.default_rng(2).integers(0, 256, (10**6, 12), dtype=np.uint8)
    counts[200_000:500_000] = 0
    values = run_all(decoder, counts)
    assert np.isfinite(values).all()
    covariance = decoder.state()["covariance"]
    np.testing.assert_array_equal(covariance, covariance.T)
    assert np.linalg.eigvalsh(covariance)[0] > 0
    np.testing.assert_allclose(covariance, settled(make_system(12, 5, 0)), rtol=1e-10)


@pytest.mark.parametrize("information", [1.0, 1e-12, 1e12])
def test_updating_the_covariance_for_ever_keeps_it_symmetric_and_positive(information: float) -> None:
    system = make_system(12, 6, 3)
    known = information * system["C"].T @ system["precision"] @ system["C"]
    known, noise = (known + known.T) / 2, (system["W"] + system["W"].T) / 2
    covariance, work = 1e6 * np.eye(6), np.zeros((4, 6, 6))
    transposed = system["A"].T.copy()
    for _ in range(20_000):
        update_covariance(transposed, noise, known, covariance, work)
    np.testing.assert_array_equal(covariance, covariance.T)
    assert np.linalg.eigvalsh(covariance)[0] > 0
    prediction = system["A"] @ covariance @ system["A"].T + noise
    again = np.linalg.inv(np.linalg.inv(prediction) + known)
    np.testing.assert_allclose(covariance, again, rtol=1e-6, atol=1e-9 * np.abs(again).max())


def test_one_update_of_the_covariance_is_that_of_numpy() -> None:
    system = make_system(9, 7, 5)
    known = system["C"].T @ system["precision"] @ system["C"]
    covariance = system["W"] + np.eye(7)
    prediction = system["A"] @ covariance @ system["A"].T + system["W"]
    expected = np.linalg.inv(np.linalg.inv(prediction) + known)
    before = covariance.copy()
    change = update_covariance(system["A"].T.copy(), system["W"], known, covariance, np.zeros((4, 7, 7)))
    np.testing.assert_allclose(covariance, expected, rtol=1e-10, atol=1e-12)
    assert change == pytest.approx(np.abs(covariance - before).max() / np.abs(covariance).max())


def test_a_state_without_noise_of_its_own_becomes_certain() -> None:
    covariance, noise = np.eye(3), np.diag([1.0, 0.0, 0.5])
    transposed = np.diag([0.9, 0.0, 0.5])
    for _ in range(50):
        update_covariance(transposed, noise, np.eye(3), covariance, np.zeros((4, 3, 3)))
    assert covariance[1].tolist() == [0.0, 0.0, 0.0]
    assert covariance[0, 0] > 0


def test_the_cholesky_factor_is_that_of_numpy() -> None:
    mixed = np.random.default_rng(0).normal(size=(8, 8))
    matrix, lower = mixed @ mixed.T, np.zeros((8, 8))
    cholesky(matrix, lower)
    np.testing.assert_allclose(lower, np.linalg.cholesky(matrix), rtol=1e-10, atol=1e-12)


@FORMS
@pytest.mark.parametrize("at", [1, 5, 39, 200])
def test_a_saved_state_goes_on_with_the_same_bits(steady: bool, at: int) -> None:
    artifact, counts = make_artifact(steady=steady), make_counts(260)
    decoder = KalmanDecoder(artifact)
    run_all(decoder, counts[:at])
    state = decoder.state()
    expected = run_all(decoder, counts[at:])
    other = KalmanDecoder(artifact)
    run_all(other, make_counts(300, seed=9))
    other.load_state(state)
    assert run_all(other, counts[at:]).tobytes() == expected.tobytes()


@FORMS
def test_a_saved_state_is_a_copy(steady: bool) -> None:
    decoder, counts = KalmanDecoder(make_artifact(steady=steady)), make_counts(30)
    run_all(decoder, counts)
    state = decoder.state()
    kept = {name: array.copy() for name, array in state.items()}
    run_all(decoder, counts)
    for name, array in kept.items():
        np.testing.assert_array_equal(state[name], array)
    decoder.load_state(state)
    for array in state.values():
        array[:] = 9
    for name, array in kept.items():
        np.testing.assert_array_equal(decoder.state()[name], array)


@FORMS
def test_another_models_state_is_refused(steady: bool) -> None:
    decoder = KalmanDecoder(make_artifact(steady=steady))
    others = [
        KalmanDecoder(make_artifact(steady=not steady)),
        KalmanDecoder(make_artifact(12, 6, steady=steady)),
    ]
    for state in [{}, {"mean": np.zeros(4)}, *(other.state() for other in others)]:
        with pytest.raises(RtdecodeError, match="not one of this Kalman filter"):
            decoder.load_state(state)


@FORMS
def test_a_reset_decoder_is_a_fresh_one(steady: bool) -> None:
    decoder, counts = KalmanDecoder(make_artifact(steady=steady)), make_counts(300)
    first = run_all(decoder, counts)
    decoder.reset()
    assert run_all(decoder, counts).tobytes() == first.tobytes()


def test_a_new_decoder_starts_at_the_mean_with_its_prior() -> None:
    decoder = KalmanDecoder(make_artifact())
    assert decoder.clipped == 0
    state = decoder.state()
    assert not state["mean"].any()
    assert not state["settled"].any()
    np.testing.assert_array_equal(state["covariance"], np.eye(5))


@FORMS
def test_counts_above_the_limit_are_clipped_and_tallied(steady: bool) -> None:
    artifact, counts = make_artifact(steady=steady), make_counts(50)
    counts[3, 2], counts[4, 2], counts[9, 11] = 5, 4, 255
    n_above = int((counts > 4).sum())
    decoder, limited = KalmanDecoder(artifact), KalmanDecoder(artifact)
    values = run_all(decoder, counts)
    assert decoder.clipped == n_above > 1
    assert run_all(limited, np.minimum(counts, 4)).tobytes() == values.tobytes()
    assert limited.clipped == 0
    decoder.reset()
    decoder.load_state(limited.state())
    assert decoder.clipped == n_above


@FORMS
def test_masked_channels_are_neither_decoded_nor_tallied(steady: bool) -> None:
    artifact, counts = make_artifact(steady=steady, channel_mask=(True, False) * 6), make_counts(50)
    counts[:, ::2] = np.minimum(counts[:, ::2], 4)
    silenced = counts.copy()
    counts[:, 1::2], silenced[:, 1::2] = 255, 0
    decoder, other = KalmanDecoder(artifact), KalmanDecoder(artifact)
    assert run_all(decoder, counts).tobytes() == run_all(other, silenced).tobytes()
    assert decoder.clipped == 0


@FORMS
@pytest.mark.parametrize("count", [0, 255])
def test_any_counts_decode_to_finite_values(steady: bool, count: int) -> None:
    decoder = KalmanDecoder(make_artifact(steady=steady, count_max=255))
    values = run_all(decoder, np.full((20_000, 12), count, np.uint8))
    assert np.isfinite(values).all()
    np.testing.assert_allclose(values[-1], values[-2], rtol=1e-5)


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
    decoder = KalmanDecoder(make_artifact())
    with pytest.raises(RtdecodeError, match="do not fit a model of 12 channels"):
        decoder.step(counts, out)
    with pytest.raises(RtdecodeError, match="do not fit a model of 12 channels"):
        decoder.run(counts[np.newaxis], out[np.newaxis])


@FORMS
def test_a_run_over_no_bins_does_nothing(steady: bool) -> None:
    decoder = KalmanDecoder(make_artifact(steady=steady))
    assert run_all(decoder, make_counts(0)).shape == (0, 3)
    assert not decoder.state()["mean"].any()


@pytest.mark.parametrize(
    ("changes", "complaint"),
    [
        ({"observe": None}, "lacks the tensor run.observe"),
        ({"prior": None}, "lacks the tensor run.prior"),
        ({"transition": None}, "lacks the tensor run.transition"),
        ({"gain": np.zeros((12, 5), "f4")}, "holds run.information, which does not go with run.gain"),
        ({"weight": np.zeros(3)}, "holds run.weight, which does not go with run.observe"),
        ({"transition": np.zeros((5, 4))}, r"run.transition is float64\[5, 4\].*needs float64\[5, 5\]"),
        ({"transition": np.array(1.0)}, r"run.transition is float64\[\]"),
        ({"observe": np.zeros((12, 5))}, r"run.observe is float64\[12, 5\].*needs float32\[12, 5\]"),
        ({"observe": np.zeros((11, 5), "f4")}, r"run.observe is float32\[11, 5\]"),
        ({"readout": np.zeros((2, 5))}, r"run.readout .* needs float64\[3, 5\]"),
        ({"bias": np.zeros(2)}, r"run.bias .* needs float64\[3\]"),
        ({"offset": np.zeros(5, "f4")}, "run.offset is float32"),
        ({"prior": -np.eye(5)}, "run.prior is no covariance"),
        ({"process_noise": np.triu(np.ones((5, 5)))}, "run.process_noise is no covariance"),
        ({"transition": np.eye(5)}, "grows without bound"),
    ],
)
def test_tensors_that_do_not_fit_the_model_are_refused(changes: dict[str, Any], complaint: str) -> None:
    run = {name: array for name, array in (make_artifact().run | changes).items() if array is not None}
    with pytest.raises(RtdecodeError, match=complaint):
        load_decoder(make_artifact(run=run))


def test_a_steady_model_needs_its_own_tensors() -> None:
    run = make_artifact(steady=True).run
    with pytest.raises(RtdecodeError, match=r"run.gain .* needs float32\[12, 5\]"):
        load_decoder(make_artifact(run=run | {"gain": np.zeros((12, 4), "f4")}))
    with pytest.raises(RtdecodeError, match=r"lacks the tensor run\.offset"):
        load_decoder(make_artifact(run={name: run[name] for name in run.keys() - {"offset"}}))


@FORMS
def test_the_loader_takes_a_kalman_filter(steady: bool) -> None:
    decoder = load_decoder(make_artifact(steady=steady))
    assert (decoder.kind, decoder.n_channels, decoder.n_outputs) == ("kalman", 12, 3)


def test_another_kind_is_refused() -> None:
    with pytest.raises(RtdecodeError, match="of kind 'gru', not 'kalman'"):
        KalmanDecoder(make_artifact(kind="gru"))
