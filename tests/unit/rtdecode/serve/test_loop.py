"""The hot loop on a simulated clock: every arrival, deadline and outage to the microsecond."""

from __future__ import annotations

import random
from typing import Any

import numpy as np
import pytest
from simulated_loop import N_CHANNELS, START_S, TICK_S, WIDTH_S, Rig, flags_of, steady

from rtdecode.decode.load import load_decoder
from rtdecode.decode.offline import decode_session
from rtdecode.errors import RtdecodeError
from rtdecode.messages import Flag
from rtdecode.serve.commands import Candidate, Command
from rtdecode.serve.loop.decoding import MOST_BEHIND
from rtdecode.serve.reporting.status import StatusReport
from rtdecode.serve.settings import ServeSettings
from rtdecode.serve.swap import warm
from rtdecode.session.layout import LogEntry, Session


def test_each_bin_is_published_once_in_order_and_as_soon_as_it_is_complete() -> None:
    rig = Rig((0.0, steady(0.0, 3.0)))
    cursors = rig.until(2.0)
    assert set(flags_of(cursors)) == {0}
    waits = [c["t_close"] - c["t_bin"] for c in cursors]
    # Closed by the next event (at most 3 ms + its delay) or the grace of 2 ms, never before the end.
    assert min(waits) >= 0
    assert max(waits) <= 0.002 + 10 * TICK_S
    assert sum(c["n"] for c in cursors) == pytest.approx(2.0 / 0.003, abs=8)
    rig.assert_offline_gives_the_same_bits()


def test_silence_is_flagged_by_event_time_and_starts_a_search() -> None:
    rig = Rig((0.0, steady(0.0, 1.0) + steady(3.0, 4.0, first_seq=334)))
    cursors = rig.until(3.5)
    silent = [c["t_bin"] - (START_S + 0.999) for c in cursors]
    for cursor, silent_s in zip(cursors, silent, strict=True):
        if cursor["t_bin"] <= START_S + 3.0:
            assert bool(cursor["flags"] & Flag.STALE) == (silent_s >= 0.25)
            assert bool(cursor["flags"] & Flag.FAILSAFE) == (silent_s >= 1.0)
    assert cursors[-1]["flags"] == 0
    assert rig.connector.asked == ["another", "no more"]
    rig.assert_offline_gives_the_same_bits()


def test_an_outage_holds_then_decodes_from_a_whole_bin_with_the_decoder_reset() -> None:
    rig = Rig((0.0, steady(0.0, 1.0), START_S + 1.0), (2.0, steady(1.995, 4.0)))
    cursors = rig.until(3.0)
    ends = np.array([c["t_bin"] for c in cursors])
    np.testing.assert_allclose(np.diff(ends), WIDTH_S, atol=1e-9)
    held = [c for c in cursors if c["flags"] & Flag.FAILSAFE]
    assert held[0]["t_bin"] == pytest.approx(START_S + 1.02, abs=WIDTH_S)
    assert all(c["t_close"] - c["t_bin"] < 10 * TICK_S for c in held[1:-1])
    position = cursors[held[0]["bin"] - 1]["value"][0]
    assert all(c["value"] == [position, 0.0] for c in held)
    back = next(c for c in cursors if c["flags"] & Flag.GAP)
    assert back["bin"] == held[-1]["bin"] + 1
    # One whole bin of events, none of the bin before: the filter has no history yet.
    counts = rig.recorded().counts[back["bin"]]
    assert back["value"][0] == pytest.approx(float(counts[0]))
    assert counts.sum() in (6, 7)
    assert rig.connector.asked[:2] == ["dispose", "again"]
    assert [e.kind for e in rig.buffers.log] == ["attached", "reset", "outage", "attached", "gap", "reset"]
    for entry in (e for e in rig.buffers.log if e.kind != "reset"):
        assert (entry.data["stream"], entry.data["host"]) == ("M1", "")
    rig.assert_offline_gives_the_same_bits()


def test_the_status_says_why_nothing_is_decoded_and_to_which_source_it_is_connected() -> None:
    ahead = [(at, stamp + 3600.0, channel, seq) for at, stamp, channel, seq in steady(1.995, 4.0)]
    rig = Rig((0.0, steady(0.0, 1.0), START_S + 1.0), (2.0, ahead))
    parts: Any = {"endpoints": {}, "recording": lambda: None, "problems": list}
    status = StatusReport(ServeSettings(streams=("M1",)), rig.loop, **parts)
    found = []
    for until_s in (0.9, 1.5, 2.1, 3.0):
        rig.until(until_s)
        found.append((status.build()["state"], status.build()["reason"]))
    assert found == [
        ("running", ""),
        ("reconnecting", "its outlet is gone (source unnamed on an unknown host)"),
        ("reconnecting", "connected to unnamed on an unknown host, its clock is being judged"),
        ("running", ""),
    ]
    assert "shifted" in [e.kind for e in rig.buffers.log]
    rig.assert_offline_gives_the_same_bits()


def test_what_waited_in_the_queue_is_no_delivery_delay() -> None:
    """At the start and at a return: it would keep the grace at its largest for minutes."""
    returned = steady(1.0, 4.0, first_seq=500)
    rig = Rig((0.5, steady(0.0, 0.9), START_S + 0.9), (1.4, returned))
    rig.until(3.5)
    assert rig.core.reconnects == 1
    assert rig.core.delay.n_events() > 300
    assert rig.core.delay.quantile_s(1.0) < 0.002


def test_backlog_warms_up_the_decoder_and_is_in_the_log() -> None:
    rig = Rig((0.495, steady(0.0, 2.0)))
    cursors = rig.until(1.0)
    assert cursors[0]["bin"] == rig.meters.backlog_bins == 25
    assert cursors[0]["t_bin"] > START_S + 0.495
    assert [e.kind for e in rig.buffers.log] == ["attached", "reset"] + 25 * ["warmup"]
    rig.assert_offline_gives_the_same_bits()


def test_after_a_pause_every_bin_is_stepped_and_flagged_catch_up() -> None:
    rig = Rig((0.0, steady(0.0, 6.0)))
    rig.until(1.0)
    rig.clock.now += 3.0
    cursors = rig.until(5.0)
    behind = [c for c in cursors if c["flags"] & Flag.CATCH_UP]
    assert len(behind) == pytest.approx(3.0 / WIDTH_S, abs=3)
    assert all(c["n"] in (6, 7) for c in behind)
    assert cursors[-1]["flags"] == 0
    rig.assert_offline_gives_the_same_bits()


def test_a_leap_of_our_own_clock_is_a_gap_and_not_a_million_bins() -> None:
    hour_s = 3600.0
    rig = Rig((0.0, steady(0.0, 1.0) + steady(hour_s, hour_s + 2.0, first_seq=334)))
    rig.until(1.0)
    rig.clock.now = START_S + hour_s
    cursors = rig.until(hour_s + 1.0)
    assert len(cursors) < 200
    assert sum(bool(c["flags"] & Flag.GAP) for c in cursors) == 1
    assert cursors[-1]["flags"] == 0
    assert rig.core.clock_jumps == 1
    rig.assert_offline_gives_the_same_bits()


@pytest.mark.parametrize("jump_s", [0.05, 50.0, -50.0])
def test_stamps_that_jump_are_shifted_back_after_a_quarter_second(jump_s: float) -> None:
    jumped = [(arrival, stamp + jump_s, c, seq) for arrival, stamp, c, seq in steady(1.0, 4.0, first_seq=334)]
    rig = Rig((0.0, steady(0.0, 1.0) + jumped))
    cursors = rig.until(3.5)
    assert rig.core.clock_jumps == 1
    back = next(c for c in cursors if c["flags"] & Flag.GAP)
    assert back["t_bin"] == pytest.approx(START_S + 1.3, abs=0.05)
    later = [c for c in cursors if c["bin"] > back["bin"]]
    assert set(flags_of(later)) == {0}
    assert all(c["n"] in (6, 7) for c in later)
    rig.assert_offline_gives_the_same_bits()


def test_pause_resume_reset_and_stop_take_effect_at_the_reported_bin() -> None:
    rig = Rig((0.0, steady(0.0, 5.0)))
    rig.until(1.0)
    paused = rig.send("pause").bin
    rig.until(1.5)
    resumed = rig.send("resume").bin
    rig.until(2.0)
    reset = rig.send("reset").bin
    cursors = rig.until(2.5)
    held = [c["bin"] for c in cursors if c["flags"] & Flag.PAUSED]
    assert held == list(range(paused, resumed))
    assert all(cursors[b]["value"] == [cursors[paused - 1]["value"][0], 0.0] for b in held)
    counts = rig.recorded().counts
    # After a reset the filter uses this bin alone.
    assert cursors[reset]["value"][0] == pytest.approx(float(counts[reset, 0]))
    rig.send("stop")
    assert rig.loop.stopping
    rig.assert_offline_gives_the_same_bits()


def test_after_a_value_that_is_not_finite_the_last_is_held_and_the_decoder_reset() -> None:
    rig = Rig((0.0, steady(0.0, 3.0)))
    rig.until(1.0)
    poisoned = rig.stage.decoder.state()
    rig.stage.decoder.load_state({name: np.full_like(array, np.nan) for name, array in poisoned.items()})
    cursors = rig.until(2.0)
    held = [c for c in cursors if c["flags"] & Flag.FAILSAFE]
    assert len(held) == 1
    assert np.isfinite([c["value"] for c in cursors]).all()
    assert rig.stage.nonfinite == 1
    assert "nonfinite" in [e.kind for e in rig.buffers.log]


def test_a_model_is_swapped_between_two_bins() -> None:
    rig = Rig((0.0, steady(0.0, 6.0)))
    rig.until(3.0)
    candidate, old = rig.candidate(3.0), rig.stage.decoder
    rig.send("prepare", candidate)
    assert candidate.fresh
    assert candidate.bins is not None
    assert len(candidate.bins) == 100, "the last two seconds"
    warm(candidate)
    rig.until(3.1)
    command = rig.send("swap", candidate)
    assert command.error == ""
    assert candidate.decoder is old, "whoever asked gives its memory back"
    cursors = rig.until(4.0)
    assert [c["bin"] for c in cursors if c["flags"] & Flag.SWAPPED] == [command.bin]
    ids = [c["model"] for c in cursors]
    assert ids == [rig.artifact.model_id] * command.bin + [candidate.artifact.model_id] * (
        len(cursors) - command.bin
    )
    counts = rig.recorded().counts.astype(float)
    b = command.bin
    # The first value of the new filter depends on bins from before the swap.
    assert cursors[b]["value"][0] == pytest.approx(
        3.0 * counts[b, 0] + 0.5 * counts[b - 1, 0] + 0.25 * counts[b - 2, 0]
    )
    assert rig.meters.swaps == 1
    assert rig.decoding.artifact is candidate.artifact
    assert rig.buffers.models == [rig.artifact.model_id, candidate.artifact.model_id]
    rig.assert_offline_gives_the_same_bits()


@pytest.mark.parametrize(
    "data",
    [
        {},
        {"model": "x"},
        {"model": "x", "path": "p", "warmed": "many"},
        {"model": "x", "path": "p", "warmed": 9},
    ],
)
def test_a_swap_in_the_log_that_no_loop_wrote_is_refused(data: dict[str, Any]) -> None:
    rig = Rig((0.0, steady(0.0, 2.0)))
    rig.until(1.0)
    live = rig.recorded()
    session = Session(N_CHANNELS, decoded=live, log=(LogEntry(START_S, 3, "swap", data),))
    with pytest.raises(RtdecodeError, match="/log: the swap at bin 3 cannot be followed"):
        decode_session(
            session,
            rig.artifact,
            load_decoder(rig.artifact),
            swapped=lambda model, path: (rig.artifact, load_decoder(rig.artifact)),
            output=rig.output.settings,
        )


def test_a_candidate_that_is_too_far_behind_is_refused() -> None:
    rig = Rig((0.0, steady(0.0, 6.0)))
    rig.until(3.0)
    candidate = rig.candidate(3.0)
    rig.send("prepare", candidate)
    warm(candidate)
    rig.until(3.0 + (MOST_BEHIND + 4) * WIDTH_S)
    assert "closed while it was being warmed" in rig.send("swap", candidate).error
    assert rig.decoding.artifact is rig.artifact
    rig.send("prepare", candidate)
    assert not candidate.fresh
    warm(candidate)
    assert rig.send("swap", candidate).error == ""
    rig.until(4.0)
    rig.assert_offline_gives_the_same_bits()


@pytest.mark.parametrize("seed", range(6))
def test_swaps_outages_resets_and_pauses_give_the_same_offline(seed: int) -> None:
    rng = random.Random(seed)
    rig = Rig((0.0, steady(0.0, 4.0), START_S + 4.0), (5.0, steady(5.0, 12.0, first_seq=1 << 20)))
    clock = rig.clock
    swapped = 0
    waiting: Candidate | None = None
    if seed % 2:
        # Before the stream is found.
        early = rig.candidate(9.0)
        rig.loop.apply(Command("prepare", early))
        warm(early)
        rig.loop.apply(Command("swap", early))
        swapped += 1
    while clock.now < START_S + 9.0:
        rig.until(clock.now - START_S + rng.choice([0.004, 0.05, 0.1, 0.3]))
        action = rng.choice(["prepare", "prepare", "swap", "swap", "reset", "pause", "resume"])
        if action == "prepare" and waiting is None:
            waiting = rig.candidate(rng.choice([2.0, 3.0, 4.0]))
            rig.send("prepare", waiting)
            warm(waiting)
        elif action == "swap" and waiting is not None:
            if rig.send("swap", waiting).error == "":
                swapped += 1
                waiting = None
            else:
                rig.send("prepare", waiting)
                warm(waiting)
        elif action not in ("prepare", "swap"):
            rig.send(action)
    assert swapped >= 2
    cursors = rig.until(9.0)
    assert any(c["flags"] & Flag.SWAPPED for c in cursors)
    rig.assert_offline_gives_the_same_bits()


def test_encoded_messages_are_sent_once_with_or_without_a_stream() -> None:
    rig = Rig((0.1, [(START_S + 0.2, START_S + 0.2, 0, 0)]))
    rig.loop.pending_spikes, rig.loop.pending_status = b"one", b"map"
    rig.until(0.05)
    assert rig.publisher.sent == [("status", b"map"), ("spikes", b"one")]
    rig.until(0.3)
    rig.loop.pending_spikes = b"two"
    rig.until(0.4)
    assert rig.publisher.sent[2:] == [("spikes", b"two")]
    assert rig.loop.pending_spikes is None
