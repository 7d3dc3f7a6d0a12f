"""Several arrays in one loop, on a simulated clock: one array's trouble is its own."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from simulated_loop import N_CHANNELS, START_S, WIDTH_S, Rig, flags_of, steady

from rtdecode.messages import Flag
from rtdecode.serve.loop.hot_loop import LAST_SLICE_S
from rtdecode.serve.loop.joint import UNKNOWN, Joint
from rtdecode.serve.loop.stand_in import StandIn

GRACE_S = 0.002


def of_array(rig: Rig, array: int) -> np.ndarray[Any, Any]:
    """Its counts in all bins, [T, N_CHANNELS]."""
    return rig.recorded().counts[:, array * N_CHANNELS : (array + 1) * N_CHANNELS]


def test_bins_of_two_arrays_are_one_and_complete_with_the_later() -> None:
    rig = Rig(arrays=([(0.0, steady(0.0, 3.0))], [(0.0, steady(0.0, 3.0, delay_s=0.0035))]))
    cursors = rig.until(2.0)
    assert set(flags_of(cursors)) == {0}
    waits = [c["t_close"] - c["t_bin"] for c in cursors]
    assert min(waits) >= 0
    assert max(waits) <= GRACE_S + LAST_SLICE_S + 0.0005
    n_events = sum(c["n"] for c in cursors)
    assert n_events == pytest.approx(2 * 2.0 / 0.003, abs=16)
    # The slower one's last events of a bin are carried into the next.
    for array in (0, 1):
        assert of_array(rig, array).sum() == pytest.approx(2.0 / 0.003, abs=8)
    rig.assert_offline_gives_the_same_bits()


def test_an_array_that_is_away_makes_bins_partial_and_leaves_the_other_alone() -> None:
    whole = Rig(arrays=([(0.0, steady(0.0, 4.0))], [(0.0, steady(0.0, 4.0))]))
    broken = Rig(
        arrays=(
            [(0.0, steady(0.0, 4.0))],
            [(0.0, steady(0.0, 1.0), START_S + 1.0), (2.0, steady(1.995, 4.0))],
        )
    )
    whole.until(3.0)
    cursors = broken.until(3.0)
    n = min(len(of_array(whole, 0)), len(of_array(broken, 0)))
    np.testing.assert_array_equal(of_array(broken, 0)[:n], of_array(whole, 0)[:n])
    partial = [c for c in cursors if c["flags"] & Flag.PARTIAL]
    assert partial[0]["t_bin"] == pytest.approx(START_S + 1.01, abs=WIDTH_S)
    assert all(c["flags"] & Flag.FAILSAFE for c in partial)
    back = next(c for c in cursors if c["flags"] & Flag.GAP)
    assert back["bin"] == partial[-1]["bin"] + 1
    kinds = [entry.kind for entry in broken.buffers.log]
    expected = ["array_away", "outage", "attached", "array_back", "gap", "reset"]
    assert [kind for kind in kinds if kind in expected][-6:] == expected
    broken.assert_offline_gives_the_same_bits()


def test_partial_decoding_steps_with_the_mean_of_the_array_that_is_away() -> None:
    away = [(0.0, steady(0.0, 1.0), START_S + 1.0), (2.0, steady(1.995, 4.0))]
    rig = Rig(arrays=([(0.0, steady(0.0, 4.0))], away), allow_partial=True)
    cursors = rig.until(3.0)
    partial = [c["bin"] for c in cursors if c["flags"] & Flag.PARTIAL]
    assert len(partial) == pytest.approx(50, abs=8)
    assert not any(c["flags"] & (Flag.FAILSAFE | Flag.GAP) for c in cursors)
    before, during = of_array(rig, 1)[: partial[0]], of_array(rig, 1)[partial[0] : partial[-1] + 1]
    np.testing.assert_allclose(during.mean(axis=0), before.mean(axis=0), atol=0.1)
    rig.assert_offline_gives_the_same_bits()


@pytest.mark.parametrize("sent_s", [0.0, 0.2])
def test_partial_decoding_waits_until_the_mean_of_each_array_is_known(sent_s: float) -> None:
    late = [(0.0, steady(0.0, sent_s) + steady(2.5, 5.0, first_seq=1000))]
    rig = Rig(arrays=([(0.0, steady(0.0, 5.0))], late), allow_partial=True)
    cursors = rig.until(4.5)
    away = [c for c in cursors if sent_s + 1.05 < c["t_bin"] - START_S < 2.5]
    assert {c["flags"] & ~Flag.STALE for c in away} == {int(Flag.PARTIAL | Flag.FAILSAFE)}
    if not sent_s:
        first = [c for c in cursors if c["t_bin"] < START_S + 2.5]
        assert all(c["flags"] & Flag.FAILSAFE for c in first)
    held = [entry for entry in rig.buffers.log if entry.kind == "outage"]
    assert held[0].data["reason"] == UNKNOWN
    back = next(c for c in cursors if c["flags"] & Flag.GAP)
    assert back["t_bin"] == pytest.approx(START_S + 2.51, abs=WIDTH_S)
    assert cursors[-1]["flags"] == 0
    rig.assert_offline_gives_the_same_bits()


def test_without_any_array_the_fail_safe_is_published_also_where_partial_is_allowed() -> None:
    gone = [(0.0, steady(0.0, 1.0), START_S + 1.0)]
    rig = Rig(arrays=(gone, gone), allow_partial=True)
    flags = flags_of(rig.until(2.0))
    assert flags[-1] == Flag.FAILSAFE
    rig.assert_offline_gives_the_same_bits()


def test_an_array_that_is_silent_is_away_after_a_second() -> None:
    quiet = steady(0.0, 1.0) + steady(3.0, 4.0, first_seq=334)
    rig = Rig(arrays=([(0.0, steady(0.0, 5.0))], [(0.0, quiet)]))
    cursors = rig.until(3.5)
    silent = [c for c in cursors if START_S + 2.05 < c["t_bin"] < START_S + 2.95]
    assert {c["flags"] for c in silent} == {int(Flag.PARTIAL | Flag.STALE | Flag.FAILSAFE)}
    assert cursors[-1]["flags"] == 0
    rig.assert_offline_gives_the_same_bits()


def test_a_clock_that_jumps_in_one_array_disturbs_only_it() -> None:
    ahead = [(at + 0.0, stamp + 3600.0, c, s) for at, stamp, c, s in steady(1.5, 4.0, first_seq=500)]
    rig = Rig(arrays=([(0.0, steady(0.0, 4.0))], [(0.0, steady(0.0, 1.5) + ahead)]), allow_partial=True)
    cursors = rig.until(3.5)
    assert any(c["flags"] & Flag.PARTIAL for c in cursors)
    assert cursors[-1]["flags"] == 0
    assert of_array(rig, 0).sum() == pytest.approx(3.5 / 0.003, abs=8)
    rig.assert_offline_gives_the_same_bits()


def test_when_the_machine_slept_the_bins_of_all_arrays_move_together() -> None:
    rig = Rig(arrays=([(0.0, steady(0.0, 60.0))], [(0.0, steady(0.0, 60.0))]))
    rig.until(1.0)
    rig.clock.now += 30.0
    cursors = rig.until(34.0)
    ends = np.array([c["t_bin"] for c in cursors])
    assert (np.diff(ends) > 0).all()
    assert cursors[-1]["flags"] == 0
    assert ends[-1] == pytest.approx(START_S + 34.0, abs=0.05)
    rig.assert_offline_gives_the_same_bits()


def test_the_status_has_each_array_and_why_it_is_away() -> None:
    from rtdecode.serve.reporting.status import StatusReport
    from rtdecode.serve.settings import ServeSettings

    rig = Rig(arrays=([(0.0, steady(0.0, 4.0))], [(0.0, steady(0.0, 1.0), START_S + 1.0)]))
    rig.until(1.5)
    parts: Any = {"endpoints": {}, "recording": lambda: None, "problems": list}
    status = StatusReport(ServeSettings(streams=("M0", "M1")), rig.loop, **parts).build()
    assert status["state"] == "reconnecting"
    assert status["reason"].startswith("M1: its outlet is gone")
    assert status["stream"] == {"name": "M0+M1", "attached": False}
    assert [(array["name"], array["attached"]) for array in status["arrays"]] == [("M0", True), ("M1", False)]
    received = sum(array["counters"]["received"] for array in status["arrays"])
    assert status["counters"]["received"] == received > 0


outages = st.lists(
    st.tuples(st.integers(0, 1), st.floats(0.3, 2.0), st.floats(0.05, 0.8)), min_size=1, max_size=4
)


@settings(max_examples=6, deadline=None)
@given(outages=outages, allow_partial=st.booleans(), delay_s=st.floats(0.0002, 0.006))
def test_whatever_dies_and_returns_each_bin_is_published_once_and_offline_gives_the_same_bits(
    outages: list[tuple[int, float, float]], allow_partial: bool, delay_s: float
) -> None:
    sources: list[list[tuple[float, list[Any], float]]] = []
    for array in (0, 1):
        at_s, of = 0.0, []
        for _, dies_s, away_s in sorted(each for each in outages if each[0] == array):
            if dies_s > at_s + 0.1:
                of.append((at_s, steady(at_s, dies_s, delay_s=delay_s), START_S + dies_s))
                at_s = dies_s + away_s
        sources.append([*of, (at_s, steady(at_s, 4.5, delay_s=delay_s), np.inf)])
    rig = Rig(arrays=sources, allow_partial=allow_partial)
    cursors = rig.until(4.3)
    ends = np.array([c["t_bin"] for c in cursors])
    np.testing.assert_allclose(np.diff(ends), WIDTH_S, atol=1e-9)
    assert cursors[-1]["flags"] & ~Flag.GAP == 0
    rig.assert_offline_gives_the_same_bits()


def test_stand_in_counts_have_the_mean_and_are_evenly_spread() -> None:
    stand_in, rng = StandIn(3, WIDTH_S), np.random.default_rng(0)
    for _ in range(4000):
        stand_in.learn(rng.poisson((0.0, 0.3, 2.0)).astype(np.uint8))
    filled = np.zeros((1000, 3), np.uint8)
    for row in filled:
        stand_in.fill(row)
    np.testing.assert_allclose(filled.mean(axis=0), (0.0, 0.3, 2.0), atol=0.06)
    assert np.ptp(filled, axis=0).max() <= 1


def test_without_any_bin_yet_stand_in_counts_are_zero() -> None:
    row = np.ones(2, np.uint8)
    StandIn(2, WIDTH_S).fill(row)
    assert row.tolist() == [0, 0]


def test_the_first_array_sets_the_edges_of_all() -> None:
    joint = Joint([2, 3], WIDTH_S, allow_partial=False)
    assert (joint.origin(5.0), joint.origin(6.0)) == (5.0, 5.0)
    assert joint.channels == [slice(0, 2), slice(2, 5)]
