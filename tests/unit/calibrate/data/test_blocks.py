"""A block's time is that of its trials, wherever in the session they are."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray

from rtdecode.calibrate.data.blocks import only_blocks
from rtdecode.errors import RtdecodeError
from rtdecode.session.bins import BinnedSession, bin_session
from rtdecode.session.layout import Counts, Session, Trials

BLOCKS = ["a", "a", "b", "a", "c"]


def session(blocks: NDArray[np.generic] | None = None) -> Session:
    """Trials at 1 to 2, 3 to 4 … s, and a channel that counts the tenths of a second."""
    start = 1.0 + 2.0 * np.arange(5)
    names = np.array(BLOCKS, object) if blocks is None else blocks
    counts = np.arange(120, dtype=np.uint8)[:, np.newaxis]
    return Session(
        n_channels=1,
        counts=Counts(counts, 0.1, 0.0),
        trials=Trials(start, start + 1.0, {"block": names}),
    )


def taken(of: Session, *blocks: str) -> BinnedSession:
    return only_blocks(of, bin_session(of, 0.1), blocks)


def test_a_block_lasts_from_its_first_trial_to_its_last_and_may_be_repeated() -> None:
    found = taken(session(), "a")
    # 1 to 4 s, the pause from 2 to 3 included, and 7 to 8 s.
    assert found.counts[:, 0].tolist() == [*range(10, 40), *range(70, 80)]
    np.testing.assert_allclose(found.t_bin, (found.counts[:, 0] + 1) * 0.1)
    assert found.origin_s == pytest.approx(1.0)


def test_several_blocks_are_in_the_order_of_time() -> None:
    assert taken(session(), "c", "b").counts[:, 0].tolist() == [*range(50, 60), *range(90, 100)]
    assert taken(session(), "b", "c").counts.tobytes() == taken(session(), "c", "b").counts.tobytes()


def test_no_name_is_the_whole_session() -> None:
    binned = bin_session(session(), 0.1)
    assert only_blocks(session(), binned, ()) is binned


def test_trials_need_not_be_sorted_nor_names_be_text() -> None:
    mixed = session(np.array(BLOCKS, "S1"))
    order = [4, 2, 0, 3, 1]
    trials = Trials(
        mixed.trials.start[order],
        mixed.trials.stop[order],
        {"block": mixed.trials.columns["block"][order]},
    )
    assert (
        taken(replace(mixed, trials=trials), "a").counts.tobytes() == taken(session(), "a").counts.tobytes()
    )
    assert taken(session(np.array([1, 1, 2, 1, 3])), "2").counts[:, 0].tolist() == list(range(50, 60))


def test_only_bins_wholly_inside_count() -> None:
    wide = only_blocks(session(), bin_session(session(), 0.4), ["b"])
    # Bins of 0.4 s in 5 to 6 s: 5.2 to 5.6 and 5.6 to 6.0.
    np.testing.assert_allclose(wide.t_bin, [5.6, 6.0])


def test_a_missing_block_is_refused_with_its_name() -> None:
    with pytest.raises(RtdecodeError, match=r"has no block 'd'.*use a, b, c"):
        taken(session(), "d")
    with pytest.raises(RtdecodeError, match="has no block 'd'"):
        taken(session(), "a", "d")
    with pytest.raises(RtdecodeError, match="has no trials, so no blocks"):
        taken(replace(session(), trials=None), "a")
    plain = session()
    with pytest.raises(RtdecodeError, match="has no column `block`"):
        taken(replace(plain, trials=replace(plain.trials, columns={})), "a")
    late = replace(plain.trials, start=plain.trials.start + 100, stop=plain.trials.stop + 100)
    with pytest.raises(RtdecodeError, match="holds no spikes in the time of a"):
        taken(replace(plain, trials=late), "a")
