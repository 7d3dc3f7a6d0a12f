"""The linear filters in plain NumPy follow docs/model-files.md, and count their operations."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from decoding import artifact_of, run_all
from numpy.typing import NDArray

from rtdecode.artifact import ModelArtifact, Output
from rtdecode.calibrate.verification.reference import LinearReference
from rtdecode.decode.load import load_decoder

N_CHANNELS, N_STATES, N_LAGS, COUNT_MAX = 5, 3, 4, 3
MASK = (True, True, False, True, True)
OUTPUTS = (Output("x", "mm", 1.0, 2.0, "position"), Output("y", "mm", 0.0, 3.0, "position"))


def linear(kind: str, run: dict[str, NDArray[Any]]) -> ModelArtifact:
    return artifact_of(
        kind, n_channels=N_CHANNELS, channel_mask=MASK, outputs=OUTPUTS, count_max=COUNT_MAX, run=run
    )


def wiener() -> ModelArtifact:
    rng = np.random.default_rng(0)
    weight = rng.normal(size=(N_CHANNELS, N_LAGS, 2)).astype("f4")
    return linear("wiener", {"weight": weight, "bias": rng.normal(size=2)})


def kalman(steady: bool) -> ModelArtifact:
    rng = np.random.default_rng(1)
    square = rng.normal(size=(4, N_STATES, N_STATES))
    definite = [half @ half.T / 10 for half in square[1:]]
    run: dict[str, NDArray[Any]] = {
        "transition": square[0] / (2 * np.abs(np.linalg.eigvals(square[0])).max()),
        "offset": rng.normal(size=N_STATES),
        "readout": rng.normal(size=(2, N_STATES)),
        "bias": rng.normal(size=2),
    }
    spiked = rng.normal(size=(N_CHANNELS, N_STATES)).astype("f4")
    if steady:
        return linear("kalman", run | {"gain": spiked})
    names = ("process_noise", "information", "prior")
    return linear("kalman", run | {"observe": spiked} | dict(zip(names, definite, strict=True)))


def make_counts(n_bins: int = 200) -> NDArray[np.uint8]:
    counts = np.random.default_rng(2).poisson(0.8, (n_bins, N_CHANNELS)).astype(np.uint8)
    counts[::17] += 4
    return counts


def read(counts: NDArray[np.uint8]) -> NDArray[np.float64]:
    clipped: NDArray[np.float64] = np.minimum(counts, COUNT_MAX) * np.array(MASK, dtype=float)
    return clipped


def test_the_wiener_filter_sums_over_lags_and_channels() -> None:
    artifact, counts = wiener(), make_counts(30)
    n, weight = read(counts), artifact.run["weight"].astype("f8")
    values = LinearReference(artifact).run(counts)
    for k in range(30):
        expected = artifact.run["bias"] + sum(n[k - h] @ weight[:, h] for h in range(min(N_LAGS, k + 1)))
        np.testing.assert_allclose(values[k], expected, rtol=1e-5, atol=1e-6)


def test_the_kalman_filter_keeps_mean_and_covariance() -> None:
    artifact, counts = kalman(steady=False), make_counts()
    run, inverse = artifact.run, np.linalg.inv
    state, covariance, values = np.zeros(N_STATES), run["prior"], []
    for n in read(counts):
        covariance = run["transition"] @ covariance @ run["transition"].T + run["process_noise"]
        covariance = inverse(inverse(covariance) + run["information"])
        state = run["transition"] @ state
        evidence = run["offset"] + n @ run["observe"]
        state = state + covariance @ (evidence - run["information"] @ state)
        values.append(run["bias"] + run["readout"] @ state)
    np.testing.assert_allclose(LinearReference(artifact).run(counts), values, rtol=1e-5, atol=1e-6)


def test_the_steady_kalman_filter_keeps_its_mean() -> None:
    artifact, counts = kalman(steady=True), make_counts()
    run, state, values = artifact.run, np.zeros(N_STATES), []
    for n in read(counts):
        state = run["offset"] + n @ run["gain"] + run["transition"] @ state
        values.append(run["bias"] + run["readout"] @ state)
    np.testing.assert_allclose(LinearReference(artifact).run(counts), values, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(
    ("artifact", "adds_of_a_spiking_channel", "adds_of_a_bin"),
    [
        (wiener(), N_LAGS * 2, 0),
        (kalman(steady=True), N_STATES, N_STATES**2 + 2 * N_STATES),
        (kalman(steady=False), N_STATES, 3 * N_STATES**2 + 2 * N_STATES),
    ],
)
def test_pieces_work_and_clipped_counts_are_those_of_the_engine(
    artifact: ModelArtifact, adds_of_a_spiking_channel: int, adds_of_a_bin: int
) -> None:
    counts = make_counts()
    reference, engine = LinearReference(artifact), load_decoder(artifact)
    values = np.concatenate([reference.run(part) for part in np.split(counts, [1, 2, 90])])
    np.testing.assert_allclose(values, run_all(engine, counts), rtol=1e-5, atol=1e-6)
    assert reference.clipped == engine.clipped > 0
    n_spiking = np.count_nonzero(read(counts))
    assert reference.adds == n_spiking * adds_of_a_spiking_channel + len(counts) * adds_of_a_bin
    assert reference.dense_macs == N_CHANNELS * adds_of_a_spiking_channel + adds_of_a_bin
