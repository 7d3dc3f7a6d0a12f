"""The fit recovers the system behind simulated data, and decodes new data as well as it reports."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from rtdecode.calibrate.data.metrics import r2
from rtdecode.errors import RtdecodeError
from rtdecode.models.linear.count_model import Recording, estimate
from rtdecode.models.linear.kalman import KalmanFit, KalmanSettings, fit_kalman, steady_filter

WIDTH_S = 0.02
COUNT_MAX = 20
PAIRS: dict[int, int | None] = {0: 2, 1: 3}


def simulate(
    n_bins: int = 6000, n_channels: int = 20, *, shared: float = 0.0, width_s: float = WIDTH_S, seed: int = 0
) -> tuple[NDArray[np.uint8], NDArray[np.float32]]:
    """Counts tuned to the velocity 100 ms ahead and to position; x, y, vx, vy. `shared` moves all rates."""
    rng, fixed = np.random.default_rng(seed), np.random.default_rng(99)
    time_s = np.arange(0.0, 3.0, width_s)
    velocity = np.stack(
        [np.convolve(rng.normal(size=n_bins), time_s * np.exp(-time_s / 0.15))[:n_bins] for _ in range(2)],
        axis=1,
    )
    velocity /= velocity.std(axis=0)
    position = np.zeros_like(velocity)
    for k in range(1, n_bins):
        position[k] = (1 - width_s) * position[k - 1] + width_s * velocity[k]
    lead = round(0.1 / width_s)
    later = np.concatenate([velocity[lead:], np.zeros((lead, 2))])
    drive = np.concatenate([later, position / position.std(axis=0)], axis=1) @ fixed.normal(
        size=(4, n_channels)
    )
    slow = np.convolve(rng.normal(size=n_bins), np.exp(-time_s / 0.5))[:n_bins]
    drive += shared * np.outer(slow / slow.std(), fixed.normal(size=n_channels))
    rate_hz = np.maximum(0.0, fixed.uniform(10, 40, n_channels) + 5 * drive)
    counts = rng.poisson(rate_hz * width_s).clip(0, 255).astype(np.uint8)
    return counts, (np.concatenate([position, velocity], axis=1) + np.array([3, -40, 0, 0])).astype(
        np.float32
    )


def fit(counts: Any, targets: Any, width_s: float = WIDTH_S, **settings: Any) -> KalmanFit:
    given: dict[str, Any] = {"count_max": COUNT_MAX, "velocity_of": PAIRS}
    given |= {
        name: settings.pop(name) for name in ("count_max", "velocity_of", "progress") if name in settings
    }
    return fit_kalman([counts], [targets], width_s, settings=KalmanSettings(**settings), **given)


def decode(fitted: KalmanFit, counts: NDArray[np.uint8]) -> NDArray[np.float64]:
    """The steady-state filter, written out."""
    steady = steady_filter(fitted)
    driven = np.minimum(counts, COUNT_MAX) @ steady["gain"].astype(np.float64) + steady["offset"]
    state, values = np.zeros(len(steady["transition"])), []
    for row in driven:
        state = steady["transition"] @ state + row
        values.append(fitted.readout @ state + fitted.bias)
    return np.array(values)


def arrays_of(fitted: KalmanFit) -> list[NDArray[Any]]:
    return [value for value in vars(fitted).values() if isinstance(value, np.ndarray)]


def test_the_cross_validated_score_is_what_new_data_gets() -> None:
    fitted = fit(*simulate(9000))
    counts, targets = simulate(9000, seed=1)
    reached = r2(decode(fitted, counts)[300:], targets[300:])
    assert (reached > [0.4, 0.4, 0.6, 0.6]).all()
    np.testing.assert_allclose(fitted.cv_r2, reached, atol=0.12)
    np.testing.assert_allclose(fitted.cv_r2[2:], reached[2:], atol=0.04)


def test_the_model_of_a_linear_system_is_that_system() -> None:
    rng = np.random.default_rng(0)
    transition = np.array([[0.9, 0.2], [-0.1, 0.8]])
    loading, correlated = rng.normal(size=(6, 2)), np.eye(6) + 0.3
    states = np.zeros((60_000, 2))
    for k in range(1, len(states)):
        states[k] = transition @ states[k - 1] + rng.normal(size=2)
    noise = rng.multivariate_normal(np.zeros(6), correlated, size=len(states))
    recording = Recording((states @ loading.T + noise + 5).astype("f4"), states, states, 1)
    model = estimate([recording], [recording.labelled], 0.06, max_hidden=2)
    sd = states.std(axis=0)
    np.testing.assert_allclose(model.transition * sd[:, np.newaxis] / sd, transition, atol=0.02)
    np.testing.assert_allclose(model.observation / sd, loading, atol=0.03)
    np.testing.assert_allclose(model.count_mean, 5.0, atol=0.3)
    np.testing.assert_allclose(model.residual_sd, np.sqrt(1.3), atol=0.02)
    np.testing.assert_allclose(model.correlation, correlated / 1.3, atol=0.02)
    np.testing.assert_allclose(model.readout, np.diag(sd), atol=1e-4)
    assert (model.variance < 0.05).all()
    dynamics = model.dynamics(0, 1)
    exact = (loading * sd).T @ np.linalg.inv(correlated) @ (loading * sd)
    np.testing.assert_allclose(dynamics.information, exact, rtol=0.05)
    np.testing.assert_allclose(dynamics.process_noise, np.eye(2) / np.outer(sd, sd), atol=0.02)


def test_parts_of_a_step_compose_to_the_step() -> None:
    counts, targets = simulate(3000)
    recording = Recording(counts.astype("f4"), targets.astype("f8"), targets.astype("f8"), 3)
    model = estimate([recording], [recording.labelled], WIDTH_S, max_hidden=4)
    whole, third = model.dynamics(3, 1), model.dynamics(3, 3)
    composed, noise = np.linalg.matrix_power(third.transition, 3), np.zeros_like(third.process_noise)
    for _ in range(3):
        noise = third.transition @ noise @ third.transition.T + third.process_noise
    np.testing.assert_allclose(composed, whole.transition, atol=1e-6)
    np.testing.assert_allclose(noise, whole.process_noise, atol=5e-4)
    np.testing.assert_allclose(3 * third.information, whole.information)
    np.testing.assert_array_equal(third.observe, whole.observe)


def test_hidden_states_are_found_if_counts_share_slow_noise() -> None:
    counts, targets = simulate(6000, shared=2.0)
    fitted, without = fit(counts, targets), fit(counts, targets, hidden=[0])
    assert (fitted.n_positions, fitted.n_velocities, without.n_hidden) == (2, 10, 0)
    assert fitted.n_hidden > 0
    assert fitted.transition.shape == (12 + fitted.n_hidden,) * 2
    assert (fitted.cv_r2 > without.cv_r2).all()
    assert fitted.cv_r2.mean() > without.cv_r2.mean() + 0.01
    recording = Recording(counts.astype("f4"), targets.astype("f8"), targets.astype("f8"), 3)
    model = estimate([recording], [recording.labelled], WIDTH_S, max_hidden=2)
    assert model.variance[0] > 4 * model.variance[1]
    assert -0.06 / np.log(model.persistence[0]) == pytest.approx(0.5, rel=0.3)


def test_the_chosen_settings_have_the_best_score() -> None:
    counts, targets = simulate(3000, shared=1.0)
    chosen = fit(counts, targets)
    for scale in (0.25, 1.0, 2.0):
        for n_hidden in (0, 5):
            alone = fit(counts, targets, scales=[scale], hidden=[n_hidden])
            assert alone.cv_r2.mean() <= chosen.cv_r2.mean() + 1e-9
            assert (alone.scale, alone.n_hidden) == (scale, n_hidden)


def test_a_velocity_that_is_not_decoded_is_computed_from_the_position() -> None:
    counts, targets = simulate(5000)
    both, alone = fit(counts, targets), fit(counts, targets[:, :2], velocity_of={0: None, 1: None})
    assert alone.n_velocities == both.n_velocities == 10
    assert alone.readout.shape == (2, len(alone.transition))
    np.testing.assert_allclose(alone.cv_r2, both.cv_r2[:2], atol=0.02)
    unpaired = fit(counts, targets[:, :2], velocity_of={})
    assert (unpaired.n_positions, unpaired.n_velocities) == (0, 10)


def test_outputs_are_in_the_order_of_the_targets() -> None:
    counts, targets = simulate(3000)
    fitted = fit(counts, targets)
    swapped = fit(counts, targets[:, [2, 1, 3, 0]], velocity_of={3: 0, 1: 2})
    np.testing.assert_allclose(swapped.cv_r2, fitted.cv_r2[[2, 1, 3, 0]], atol=1e-6)
    np.testing.assert_allclose(swapped.bias, fitted.bias[[2, 1, 3, 0]], atol=1e-6)


@pytest.mark.parametrize("width_s", [0.001, 0.005, 0.045, 0.064, 0.25])
def test_any_bin_width_is_fitted(width_s: float) -> None:
    counts, targets = simulate(round(120 / width_s), width_s=width_s)
    fitted = fit(counts, targets, width_s, count_max=255)
    assert all(np.isfinite(array).all() for array in arrays_of(fitted))
    assert np.abs(np.linalg.eigvals(fitted.transition)).max() < 1.0
    assert fitted.cv_r2[2:].min() > (0.5 if width_s < 0.2 else 0.2)


def test_bins_without_targets_are_left_out() -> None:
    counts, targets = simulate(5000)
    garbage, gap = targets.copy(), targets.copy()
    gap[2000:2600] = np.nan
    garbage[2000:2600] = 1e6
    garbage[2000:2600, 1] = np.nan
    fitted, other = fit(counts, gap), fit(counts, garbage)
    assert fitted.n_ticks == 5000 - 600 - 2 * (13 + 3)
    for array, same in zip(arrays_of(fitted), arrays_of(other), strict=True):
        np.testing.assert_array_equal(array, same)


def test_recordings_are_not_concatenated() -> None:
    counts, targets = simulate(5000)
    parts = [(counts[:2000], targets[:2000]), (counts[2000:], targets[2000:])]
    fits = [
        fit_kalman(*zip(*order, strict=True), WIDTH_S, count_max=COUNT_MAX, velocity_of=PAIRS)  # type: ignore[arg-type]
        for order in (parts, parts[::-1])
    ]
    assert fits[0].n_ticks == 5000 - 2 * (13 + 3)
    for array, same in zip(arrays_of(fits[0]), arrays_of(fits[1]), strict=True):
        if array.dtype == np.float64 and array.ndim == 1:
            np.testing.assert_allclose(array, same, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("n_bins", [0, 1, 2, 10])
def test_a_recording_too_short_for_training_adds_nothing(n_bins: int) -> None:
    counts, targets = simulate(3000)
    alone = fit(counts, targets)
    blocks, labels = [counts[:n_bins], counts], [targets[:n_bins] * 0 + targets.mean(axis=0), targets]
    both = fit_kalman(blocks, labels, WIDTH_S, count_max=COUNT_MAX, velocity_of=PAIRS)
    assert both.n_ticks == alone.n_ticks
    np.testing.assert_allclose(both.transition, alone.transition, atol=1e-2)


@pytest.mark.parametrize("n_channels", [1, 2, 3])
def test_few_channels_are_enough(n_channels: int) -> None:
    counts, targets = simulate(3000, n_channels)
    fitted = fit(counts, targets)
    assert all(np.isfinite(array).all() for array in arrays_of(fitted))
    assert np.isfinite(decode(fitted, counts)).all()
    assert fitted.n_hidden == 0


def test_many_outputs_have_fewer_velocity_states() -> None:
    counts, targets = simulate(4000)
    many = np.tile(targets[:, 2:], (1, 14)) + np.random.default_rng(0).normal(size=(4000, 28)).astype("f4")
    fitted = fit(counts, many, velocity_of={})
    assert fitted.n_velocities == 28
    assert np.isfinite(fitted.cv_r2).all()


def test_outputs_that_are_the_same_do_no_harm() -> None:
    counts, targets = simulate(3000)
    targets[:, 0] = targets[:, 2] + 700
    fitted = fit(counts, targets)
    assert all(np.isfinite(array).all() for array in arrays_of(fitted))
    np.testing.assert_allclose(fitted.cv_r2[0], fitted.cv_r2[2], atol=0.02)


def test_shortness_is_refused() -> None:
    counts, targets = simulate(1000)
    for n_bins in (5, 50, 250):
        with pytest.raises(
            RtdecodeError, match=r"s with targets are left for training .*12 states need 2\.9 s"
        ):
            fit(counts[:n_bins], targets[:n_bins])
    with pytest.raises(RtdecodeError, match=r"0\.0 s with targets"):
        fit(counts, np.full_like(targets, np.nan))
    lonely = np.where(np.arange(1000)[:, np.newaxis] % 20 < 10, targets, np.float32(np.nan))
    with pytest.raises(RtdecodeError, match=r"0\.0 s with targets"):
        fit(counts, lonely)
