"""The Kalman filter keeps the contract of decoders, and its values are those of the textbook."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from decoding import artifact_of, check_refused, poisson_counts, run_all
from numpy.typing import NDArray
from scipy.linalg import solve_discrete_are

from rtdecode.artifact import ModelArtifact
from rtdecode.decode.kalman import KalmanDecoder
from rtdecode.decode.load import load_decoder
from rtdecode.errors import RtdecodeError
from rtdecode.kernels.decoders.kalman import update_covariance
from rtdecode.testing import check_decoder

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


def steady_covariance(system: dict[str, Any]) -> F8:
    """The covariance after an observation to which the textbook filter converges."""
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
        gain = (observe @ steady_covariance(system)).astype("f4")
        run |= {
            "transition": system["A"] - steady_covariance(system) @ information @ system["A"],
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
    return artifact_of("kalman", **({"n_channels": n_channels, "run": run} | changes))


@FORMS
@pytest.mark.parametrize("size", [(12, 5), (96, 22)])
def test_it_keeps_the_contract_of_decoders(steady: bool, size: tuple[int, int]) -> None:
    # Long enough for the covariance to converge.
    artifact = make_artifact(*size, steady=steady)
    check_decoder(lambda: load_decoder(artifact), artifact, n_bins=300)


@FORMS
def test_masked_channels_take_no_part(steady: bool) -> None:
    artifact = make_artifact(steady=steady, channel_mask=(True, False) * 6)
    check_decoder(lambda: load_decoder(artifact), artifact)


@FORMS
def test_a_state_of_the_other_form_is_refused(steady: bool) -> None:
    decoder = KalmanDecoder(make_artifact(steady=steady))
    with pytest.raises(RtdecodeError, match="does not fit this kalman"):
        decoder.load_state(KalmanDecoder(make_artifact(steady=not steady)).state())


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


@pytest.mark.parametrize(("n_channels", "n_states"), [(2, 1), (12, 5), (40, 12)])
def test_values_equal_the_textbook(n_channels: int, n_states: int) -> None:
    decoder, counts = KalmanDecoder(make_artifact(n_channels, n_states)), poisson_counts(300, n_channels)
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
    counts = poisson_counts(400)
    running, steady = (KalmanDecoder(make_artifact(steady=steady)) for steady in (False, True))
    values, expected = run_all(running, counts), run_all(steady, counts)
    assert np.abs(values - expected)[0].max() > 1e-3
    np.testing.assert_allclose(values[200:], expected[200:], rtol=1e-5, atol=1e-5)
    state = running.state()
    assert state["settled"].all()
    np.testing.assert_allclose(state["covariance"], steady_covariance(make_system(12, 5, 0)), rtol=1e-10)


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


def test_the_covariance_stays_symmetric_and_positive_over_hours() -> None:
    decoder = KalmanDecoder(make_artifact())
    counts = np.random.default_rng(2).integers(0, 256, (10**6, 12), dtype=np.uint8)
    counts[200_000:500_000] = 0
    values = run_all(decoder, counts)
    assert np.isfinite(values).all()
    covariance = decoder.state()["covariance"]
    np.testing.assert_array_equal(covariance, covariance.T)
    assert np.linalg.eigvalsh(covariance)[0] > 0
    np.testing.assert_allclose(covariance, steady_covariance(make_system(12, 5, 0)), rtol=1e-10)


@pytest.mark.parametrize("information", [1.0, 1e-12, 1e12])
def test_many_updates_keep_the_covariance_symmetric_and_positive(information: float) -> None:
    system = make_system(12, 6, 3)
    gain = information * system["C"].T @ system["precision"] @ system["C"]
    gain, noise = (gain + gain.T) / 2, (system["W"] + system["W"].T) / 2
    covariance, work = 1e6 * np.eye(6), np.zeros((4, 6, 6))
    transposed = system["A"].T.copy()
    for _ in range(20_000):
        update_covariance(transposed, noise, gain, covariance, work)
    np.testing.assert_array_equal(covariance, covariance.T)
    assert np.linalg.eigvalsh(covariance)[0] > 0
    prediction = system["A"] @ covariance @ system["A"].T + noise
    again = np.linalg.inv(np.linalg.inv(prediction) + gain)
    np.testing.assert_allclose(covariance, again, rtol=1e-6, atol=1e-9 * np.abs(again).max())


def test_one_update_of_the_covariance_is_that_of_numpy() -> None:
    system = make_system(9, 7, 5)
    gain = system["C"].T @ system["precision"] @ system["C"]
    covariance = system["W"] + np.eye(7)
    prediction = system["A"] @ covariance @ system["A"].T + system["W"]
    expected = np.linalg.inv(np.linalg.inv(prediction) + gain)
    before = covariance.copy()
    change = update_covariance(system["A"].T.copy(), system["W"], gain, covariance, np.zeros((4, 7, 7)))
    np.testing.assert_allclose(covariance, expected, rtol=1e-10, atol=1e-12)
    assert change == pytest.approx(np.abs(covariance - before).max() / np.abs(covariance).max())


def test_a_state_without_noise_of_its_own_becomes_certain() -> None:
    covariance, noise = np.eye(3), np.diag([1.0, 0.0, 0.5])
    transposed = np.diag([0.9, 0.0, 0.5])
    for _ in range(50):
        update_covariance(transposed, noise, np.eye(3), covariance, np.zeros((4, 3, 3)))
    assert covariance[1].tolist() == [0.0, 0.0, 0.0]
    assert covariance[0, 0] > 0


def test_a_new_decoder_starts_at_the_mean_with_its_prior() -> None:
    decoder = KalmanDecoder(make_artifact())
    assert decoder.clipped == 0
    state = decoder.state()
    assert not state["mean"].any()
    assert not state["settled"].any()
    np.testing.assert_array_equal(state["covariance"], np.eye(5))


@pytest.mark.parametrize(
    ("changes", "complaint"),
    [
        ({"observe": None}, "lacks the tensor run.observe"),
        ({"prior": None}, "lacks the tensor run.prior"),
        ({"transition": None}, "lacks the tensor run.transition"),
        ({"gain": np.zeros((12, 5), "f4")}, "holds run.information, which is no part of this kalman"),
        ({"weight": np.zeros(3)}, "holds run.weight, which is no part of this kalman"),
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
    check_refused(make_artifact, make_artifact().run | changes, complaint)


def test_a_steady_model_needs_its_own_tensors() -> None:
    run = make_artifact(steady=True).run
    check_refused(
        make_artifact, run | {"gain": np.zeros((12, 4), "f4")}, r"run.gain .* needs float32\[12, 5\]"
    )
    check_refused(make_artifact, run | {"offset": None}, r"lacks the tensor run\.offset")
