"""Sessions are divided evenly."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from rtdecode.calibrate.data.sessions import describe_outputs
from rtdecode.calibrate.training.distributed.sharding import describe_shared, shares
from rtdecode.errors import RtdecodeError


def test_ranks_have_about_as_much_training_data() -> None:
    durations = np.random.default_rng(0).uniform(300.0, 3000.0, 40)
    validation = {7, 20, 33}
    for n_ranks in (1, 2, 3, 8):
        ranks = np.array(shares(list(durations), validation, n_ranks))
        train = np.array([i not in validation for i in range(40)])
        loads = [durations[train & (ranks == rank)].sum() for rank in range(n_ranks)]
        assert max(loads) - min(loads) < durations.max()
        assert max(loads) < 1.15 * np.mean(loads)


def test_each_rank_has_a_training_session_and_validation_days_are_divided_too() -> None:
    assert sorted(shares([5.0, 1.0, 1.0], set(), 3)) == [0, 1, 2]
    ranks = shares([100.0, 100.0, 100.0, 100.0, 50.0, 50.0], {0, 1}, 2)
    assert sorted(ranks[2:4]) == [0, 1]
    assert sorted(ranks[:2]) == [0, 1]
    # A file without a duration counts as 0 s, and is still read by one rank.
    assert sorted(shares([0.0, 0.0, 0.0, 0.0], set(), 2)) == [0, 0, 1, 1]


def test_outputs_are_described_by_the_labels_that_each_has_on_any_rank() -> None:
    targets = np.random.default_rng(1).normal([1.0, 50.0], [2.0, 9.0], (60, 2)).astype(np.float32)
    targets[10:20, 0] = np.nan
    # The second session has no label of the second output.
    targets[40:, 1] = np.nan
    days: list[Any] = [
        SimpleNamespace(targets=part, names=("x", "y"), units=("mm", "mm"), path="day")
        for part in np.split(targets, [40])
    ]
    train = [np.ones(len(day.targets), bool) for day in days]
    ranks: Any = SimpleNamespace(several=True, union=lambda parts: list(parts.values()))
    one, shared = describe_outputs(days, train), describe_shared(days, train, ranks)
    for i, described in enumerate(zip(one, shared, strict=True)):
        known = targets[np.isfinite(targets[:, i]), i].astype(np.float64)
        for output in described:
            np.testing.assert_allclose([output.mean, output.sd], [known.mean(), known.std()], rtol=1e-12)
    days[0].targets[:, 1] = np.nan
    for describe in (lambda: describe_outputs(days, train), lambda: describe_shared(days, train, ranks)):
        with pytest.raises(RtdecodeError, match="the behaviour 'y' is unknown throughout"):
            describe()
