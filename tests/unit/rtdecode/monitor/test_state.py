"""The state of a monitor from received messages."""

from __future__ import annotations

import msgpack
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from monitored import A_TASK, STATUS_MAP, WIDTH_S, after, counts, cursor, packed_spikes, spikes_map, status

from rtdecode.client import Link
from rtdecode.messages import Flag
from rtdecode.monitor.frame import frame, next_bin, summary
from rtdecode.monitor.latency import N_COLUMNS, Latencies, distribution
from rtdecode.monitor.plane import Plane, Point, axes_of, point_of, round_up
from rtdecode.monitor.raster import Counts, Raster, read_spikes
from rtdecode.monitor.state import MonitorState
from rtdecode.monitor.task import Task, read_task


def test_a_raster_holds_the_last_two_seconds() -> None:
    raster = Raster(WIDTH_S)
    pieces = [counts(first, 5) for first in range(0, 300, 5)]
    for piece in pieces:
        raster.add(piece)
    everything = np.concatenate([piece.rows for piece in pieces])
    assert raster.n_bins == 100
    assert np.array_equal(raster.last(), everything[-100:])
    assert np.allclose(raster.rates_hz(), everything[-100:].sum(axis=0) / 2.0)
    assert [b for b, _ in raster.since(297)] == [297, 298, 299]
    for b, spikes in raster.since(0):
        row = np.zeros(96, np.uint8)
        row[spikes[::2]] = spikes[1::2]
        assert np.array_equal(row, everything[b])


@given(
    st.lists(st.tuples(st.integers(0, 130), st.integers(1, 60)), min_size=1, max_size=12),
    st.sampled_from([WIDTH_S, 0.064, 0.1]),
)
@settings(max_examples=60, deadline=None)
def test_a_raster_with_gaps_has_the_received_bins_and_no_other(
    steps: list[tuple[int, int]], width_s: float
) -> None:
    raster, received, at = Raster(width_s), {}, 0
    for gap, n in steps:
        at += gap
        piece = counts(at, n, 7)
        raster.add(piece)
        received |= {at + i: piece.rows[i] for i in range(n)}
        at += n
    expected = [received.get(b, np.zeros(7, np.uint8)) for b in range(at - raster.n_bins, at)]
    assert np.array_equal(raster.last(), np.array(expected))


def test_the_rates_of_a_new_raster_are_over_its_received_bins() -> None:
    raster = Raster(WIDTH_S)
    raster.add(Counts(500, np.ones((10, 3), np.uint8)))
    assert raster.rates_hz().tolist() == [50.0, 50.0, 50.0]


def test_a_raster_is_cleared_for_another_daemon_or_another_array() -> None:
    raster = Raster(WIDTH_S)
    raster.add(counts(1000, 50))
    raster.add(counts(3, 5))
    assert (raster.end, raster.received) == (8, 5)
    raster.add(counts(8, 5, n_channels=32))
    assert (raster.n_channels, raster.received) == (32, 5)


def test_a_spikes_message_is_read_back() -> None:
    sent = counts(70, 9, n_channels=700)
    received = read_spikes(packed_spikes(70, sent.rows))
    assert received is not None
    assert received.bin == 70
    assert np.array_equal(received.rows, sent.rows)


@pytest.mark.parametrize(
    "wrong",
    [
        {"v": 2},
        {"n_bins": 0},
        {"n_bins": 1},
        {"n_channels": 2},
        {"n_channels": 1 << 30},
        {"bin": -1},
        {"count": b""},
        {"channel": b"\0"},
        {"offset": "text"},
    ],
)
def test_an_invalid_spikes_message_is_ignored(wrong: dict[str, object]) -> None:
    assert read_spikes(msgpack.packb(spikes_map(0, counts(0, 5).rows) | wrong)) is None


@given(st.binary(max_size=60))
def test_random_bytes_are_neither_spikes_nor_a_task(data: bytes) -> None:
    assert read_spikes(data) is None
    assert read_task(data) is None


def test_a_task_message() -> None:
    given = {"v": 1, "t": 3.0, "target": [1, 2.5], "radius": 3, "state": "hold", "trial": 4}
    received = read_task(msgpack.packb(given | {"success_rate": None, "more": "later"}))
    assert received == Task(1, 3.0, (1.0, 2.5), 3.0, "hold", 4, None)
    assert read_task(msgpack.packb({"v": 1, "target": None})) == Task(1)
    for wrong in ({"v": 2}, {"v": 1, "target": [1, 2, 3]}, {"v": 1, "target": [float("nan"), 0]}):
        assert read_task(msgpack.packb(wrong)) is None
    assert read_task(msgpack.packb({"v": 1, "radius": -1})) is None


def test_latencies_are_of_the_last_bins() -> None:
    latencies = Latencies()
    latencies.add(0.0, 5.0, 9.0)
    for _ in range(3000):
        latencies.add(10.0, 10.001, 10.0011)
    assert len(latencies) == 3000
    assert latencies.decode().figures["max"] == pytest.approx(0.1, abs=1e-6)
    total = latencies.total()
    assert total.figures == pytest.approx(dict.fromkeys(("p50", "p99", "max"), 1.1), abs=1e-6)
    assert total.histogram.sum() == 3000


def test_a_histogram_has_eight_columns_per_decade_and_includes_outliers() -> None:
    found = distribution(np.array([0.0, 0.0101, 0.101, 1.01, 10.1, 99.0, 5000.0])).histogram
    assert np.flatnonzero(found).tolist() == [0, 8, 16, 24, N_COLUMNS - 1]
    assert found.tolist()[0] == found.tolist()[-1] == 2
    assert distribution(np.zeros(0)).figures["p50"] is None


def test_the_axes_are_the_output_stages_else_the_positions_else_the_first_two() -> None:
    axes = axes_of(status(out={"names": ["h", "v"], "units": ["px", "px"], "control": "velocity"}))
    assert axes is not None
    assert [(axis.source, axis.name) for axis in axes] == [("out", "h"), ("out", "v")]
    assert point_of(cursor(3, out=[7.0, 8.0]), axes) == Point(3, 7.0, 8.0)
    assert point_of(cursor(3), axes) is None
    swapped = {"names": ["vx", "vy", "x", "y"], "roles": ["velocity", "velocity", "position", "position"]}
    for changes, names in ((swapped, ["x", "y"]), ({"roles": []}, ["x", "y"])):
        axes = axes_of(status(**changes))
        assert axes is not None
        assert [axis.name for axis in axes] == names
    assert axes_of(status(names=["grip"], units=["N"], roles=["other"])) is None


def test_the_view_contains_cursor_and_target_and_moves_seldom() -> None:
    plane, extents = Plane(100), []
    for b in range(600):
        angle = b / 40
        plane.add(Point(b, 50 + 30 * np.cos(angle), 10 + 30 * np.sin(angle)))
        plane.fit()
        assert plane.extent is not None
        x, y, half = plane.extent
        assert abs(plane.trail[-1].x - x) <= half
        assert abs(plane.trail[-1].y - y) <= half
        extents.append(plane.extent)
    assert len(set(extents)) < 20
    assert len(set(extents[300:])) == 1
    assert 30 <= extents[-1].half <= 60
    plane.aim(200.0, 10.0, 15.0)
    plane.fit()
    assert plane.extent.x + plane.extent.half >= 215


def test_the_view_shrinks_again_once_an_outlier_is_long_past() -> None:
    plane = Plane(100)
    plane.add(Point(0, 5000.0, 0.0))
    plane.fit()
    for b in range(1, 1600):
        plane.add(Point(b, np.cos(b / 40), np.sin(b / 40)))
    plane.fit()
    assert plane.extent is not None
    assert plane.extent.half < 3


@pytest.mark.parametrize("number", [0.0, 1e-6, 0.3, 1.0, 1.01, 7.5, 7.6, 99.0, 12345.0])
def test_round_up_is_not_much_larger(number: float) -> None:
    assert number <= round_up(number) <= max(1.7 * number, 1.0)


def test_a_flag_of_one_bin_is_shown_for_two_seconds() -> None:
    state, now_s = after(1.0)
    state.add_cursor(cursor(50, flags=int(Flag.GAP)), now_s)
    state.add_cursor(cursor(51), now_s + 0.02)
    assert state.flags(now_s + 1.9) == ["GAP"]
    assert state.flags(now_s + 2.1) == []
    state.add_cursor(cursor(52, flags=int(Flag.STALE | Flag.FAILSAFE)), now_s)
    assert state.flags(now_s + 100.0) == ["STALE", "FAILSAFE"]


def test_counters_gain_from_the_start_of_the_monitor() -> None:
    state, now_s = after(1.0)
    assert state.recent.gained["lost"] == 0
    assert state.recent.state_s is None
    more = STATUS_MAP["counters"] | {"lost": 8}
    state.update_status(status(uptime_s=763.0, counters=more, state="stale"), now_s + 2.0)
    assert state.recent.gained["lost"] == 5
    state.update_status(status(uptime_s=764.0, counters=more, state="stale"), now_s + 3.0)
    assert state.recent.state_s == 1.0


def test_the_alert_follows_the_connection() -> None:
    state = MonitorState()
    assert (state.alive(5.0), state.alert(5.0)) == (False, "no message from a daemon yet")
    state.update_link(Link.WAITING, age_s=9.9, restarts=0, malformed=3, problem="version 2")
    assert state.alert(5.0) == "no message from a daemon yet; its messages cannot be read: version 2"
    state.update_status(status(state="waiting"), 6.0)
    assert (state.alive(6.5), state.alert(6.5)) == (True, "")
    state, now_s = after(2.0)
    assert (state.alive(now_s), state.alert(now_s)) == (True, "")
    state.update_link(Link.LOST, age_s=1.5, restarts=0)
    assert state.alert(now_s + 1.5) == "the daemon answers, but publishes no cursor"
    state.update_link(Link.LOST, age_s=10.0, restarts=0)
    assert not state.alive(now_s + 10.0)
    assert state.alert(now_s + 10.0).startswith("daemon lost: silent for 10 s.")


def test_another_daemon_clears_everything_but_the_task() -> None:
    state, now_s = after(2.0, task=A_TASK)
    state.update_link(Link.LIVE, age_s=0.0, restarts=1)
    assert (state.cursor, state.status, len(state.latencies), state.raster.n_channels) == (None, None, 0, 0)
    assert state.task(now_s) == A_TASK
    assert state.task(now_s + 5.0) is None


def test_a_new_daemons_status_before_its_first_cursor_is_kept() -> None:
    state, now_s = after(2.0)
    state.update_status(status(state="waiting", uptime_s=1.0), now_s + 1.0)
    assert state.cursor is None
    state.update_link(Link.LIVE, age_s=0.0, restarts=1)
    assert state.status is not None
    assert state.status.uptime_s == 1.0


def test_a_summary_has_none_for_unknown_values() -> None:
    nothing = summary(MonitorState(), 0.0)
    assert nothing["bin"] is nothing["value"] is nothing["task"] is None
    assert nothing["latency_ms"]["decode"]["p99"] is None
    state, now_s = after(3.0, task=A_TASK)
    shown = summary(state, now_s)
    assert (shown["state"], shown["alive"], shown["bin"]) == ("running", True, 149)
    assert shown["latency_ms"]["decode"]["p50"] == pytest.approx(0.08, abs=1e-6)
    assert len(shown["rates_hz"]) == 96
    assert shown["task"]["target"] == (80.0, 0.0)
    assert {c["key"]: c["style"] for c in shown["counters"]}["lost"] == "past"


def test_consecutive_frames_have_each_bin_once() -> None:
    state, now_s = after(3.0)
    first = frame(state, now_s, 0)
    assert len(first["raster"]["rows"]) == len(first["points"]) == 100
    since = next_bin(state)
    state.add_cursor(cursor(150), now_s)
    state.add_spikes(counts(150, 1))
    second = frame(state, now_s, since)
    assert [row[0] for row in second["raster"]["rows"]] == [point[0] for point in second["points"]] == [150]
