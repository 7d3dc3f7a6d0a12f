"""Sessions are divided evenly."""

from __future__ import annotations

import numpy as np

from rtdecode.calibrate.training.distributed.sharding import shares


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
