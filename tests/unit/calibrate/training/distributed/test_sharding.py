"""Sessions are shared out evenly."""

from __future__ import annotations

import numpy as np

from rtdecode.calibrate.training.distributed.sharding import shares


def test_ranks_have_about_as_much_to_learn_from() -> None:
    durations = np.random.default_rng(0).uniform(300.0, 3000.0, 40)
    kept_back = {7, 20, 33}
    for n_ranks in (1, 2, 3, 8):
        ranks = np.array(shares(list(durations), kept_back, n_ranks))
        learnt = np.array([i not in kept_back for i in range(40)])
        loads = [durations[learnt & (ranks == rank)].sum() for rank in range(n_ranks)]
        assert max(loads) - min(loads) < durations.max()
        assert max(loads) < 1.15 * np.mean(loads)


def test_each_rank_has_a_session_to_learn_from_and_kept_back_days_are_spread() -> None:
    assert sorted(shares([5.0, 1.0, 1.0], set(), 3)) == [0, 1, 2]
    ranks = shares([100.0, 100.0, 100.0, 100.0, 50.0, 50.0], {0, 1}, 2)
    assert sorted(ranks[2:4]) == [0, 1]
    assert sorted(ranks[:2]) == [0, 1]
    # A file that does not say how long it is weighs nothing, and is read by somebody all the same.
    assert sorted(shares([0.0, 0.0, 0.0, 0.0], set(), 2)) == [0, 0, 1, 1]
