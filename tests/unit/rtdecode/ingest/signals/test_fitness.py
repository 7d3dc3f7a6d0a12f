"""Samples that cannot be counts, and rates that are not the announced ones."""

from __future__ import annotations

import numpy as np
import pytest

from rtdecode.ingest.signals.fitness import N_STAMPS, Fitness, as_whole

GOOD, BAD = np.ones((1, 4), np.int32), np.array([[1, -1, 0, 2]], np.int32)


def test_a_bad_sample_now_and_then_is_no_rate() -> None:
    fitness = Fitness(0.02)
    for i in range(500):
        fitness.values(BAD if i % 10 == 0 else GOOD)
        assert fitness.unfit == ""


def test_rates_are_recognised_within_half_a_second_and_counts_again() -> None:
    fitness = Fitness(0.02)
    n = next(i for i in range(1, 100) if fitness.values(BAD) is None and fitness.unfit)
    assert n * 0.02 < 0.5
    assert "no counts" in fitness.unfit
    for _ in range(200):
        fitness.values(GOOD)
    assert fitness.unfit == ""


def test_counts_that_do_not_fit_into_a_byte_are_counted() -> None:
    fitness = Fitness(0.02)
    fitness.values(np.array([[255, 256, 0, 9000]], np.int32))
    assert (fitness.n_saturated, fitness.unfit) == (2, "")
    assert fitness.saturated == "counts above 255 in columns 1, 3 (2 values)"


@pytest.mark.parametrize(
    ("wrong", "said", "advice"),
    [
        (np.nan, "NaN in column 2 (60 values)", "send 0 where"),
        (-np.inf, "infinity in column 2 (60 values)", "send 0 where"),
        (0.25, "fractions in column 2 (60 values)", "send counts"),
        (-3.0, "negative values in column 2 (60 values)", "send counts"),
    ],
)
@pytest.mark.parametrize("dtype", ["f4", "f8"])
def test_what_is_no_count_is_said_with_its_column(wrong: float, said: str, advice: str, dtype: str) -> None:
    sent, rows = np.array([[1, 0, wrong, 1e12]] * 3, dtype), np.zeros((3, 4), np.int32)
    as_whole(sent, rows)
    assert (rows[:, [0, 1]] == sent[:, [0, 1]]).all()
    fitness = Fitness(0.02)
    for _ in range(20):
        fitness.values(rows)
    assert fitness.wrong == said
    assert fitness.unfit.startswith("its values are no counts: ")
    assert fitness.advice.startswith(advice)
    assert fitness.n_saturated == 60


@pytest.mark.parametrize("dtype", ["i1", "i2", "i8"])
def test_integers_are_taken_as_they_are_sent(dtype: str) -> None:
    sent, rows = np.array([[-7, 0, 100, np.iinfo(dtype).max]], dtype), np.zeros((1, 4), np.int32)
    as_whole(sent, rows)
    assert rows[0, :3].tolist() == [-1, 0, 100]
    assert rows[0, 3] == min(np.iinfo(dtype).max, 1 << 30)
    fitness = Fitness(0.02)
    fitness.values(rows)
    assert fitness.wrong == "negative values in column 0 (1 value)"


@pytest.mark.parametrize(
    ("rate_hz", "fits"), [(25, False), (30, False), (42, True), (47, True), (60, True), (70, False)]
)
@pytest.mark.parametrize("pull", [1, 7, 100])
def test_a_rate_that_cannot_be_followed_is_said(rate_hz: float, fits: bool, pull: int) -> None:
    rng = np.random.default_rng(0)
    # One in ten is lost, and the source pauses once.
    time = np.arange(400) / rate_hz + rng.uniform(-0.001, 0.001, 400)
    time[200:] += 3.0
    time = time[rng.random(400) > 0.1]
    fitness = Fitness(0.02)
    for at in range(0, len(time), pull):
        fitness.stamps(time[at : at + pull])
    assert (fitness.unfit == "") is fits
    if not fits:
        assert f"it sends at {rate_hz}" in fitness.unfit
        assert "not at the 50 Hz that it announces" in fitness.unfit
    fitness.restart()
    fitness.stamps(time[: N_STAMPS // 2])
