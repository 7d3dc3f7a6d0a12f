"""The hot loop on a simulated clock: every arrival, deadline and outage to the microsecond."""

from __future__ import annotations

import random
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
from decoding import artifact_of

from rtdecode.artifact import ModelArtifact, Output
from rtdecode.binning import ClosedBin
from rtdecode.decode.load import load_decoder
from rtdecode.decode.offline import decode_session
from rtdecode.decode.stage import DecodeStage
from rtdecode.errors import RtdecodeError
from rtdecode.ingest.connection.inlet import MAX_PULL, StreamLost
from rtdecode.ingest.signals.layouts import Layout, StreamDescription
from rtdecode.messages import Flag
from rtdecode.output.settings import OutputSettings
from rtdecode.output.stage import OutputStage
from rtdecode.serve.commands import Candidate, Command
from rtdecode.serve.loop.decoding import MOST_BEHIND, Decoding, Sinks
from rtdecode.serve.loop.hot_loop import HotLoop
from rtdecode.serve.recording.buffers import RecordBuffers
from rtdecode.serve.reporting.status import StatusReport
from rtdecode.serve.settings import ServeSettings
from rtdecode.serve.swap import warm
from rtdecode.session.layout import Decoded, DecodedOut, LogEntry, Session

WIDTH_S = 0.02
N_CHANNELS = 4
START_S = 1000.0
TICK_S = 1e-6


class Clock:
    def __init__(self) -> None:
        self.now = START_S

    def __call__(self) -> float:
        # Reading a clock takes time too; without it a polling loop would never end.
        self.now += TICK_S
        return self.now


@dataclass
class Source:
    """Events on a timetable: (arrival, stamp, channel, seq); `dies_at` ends the connection."""

    clock: Clock
    events: list[tuple[float, float, int, int]]
    dies_at: float = np.inf
    stream: StreamDescription = field(
        default_factory=lambda: StreamDescription("M1", "Spikes", 3, 0.0, "int32", uid="one")
    )
    correction_s: float = 0.0
    offset_s: float = 0.0
    opened_s: float = START_S

    def __post_init__(self) -> None:
        self.samples = np.zeros((MAX_PULL, 3), np.int32)
        self.time = np.zeros(MAX_PULL)
        self.events = sorted(self.events, key=lambda event: event[0])

    def pull(self, timeout_s: float) -> int:
        until = self.clock.now + timeout_s
        arrives = self.events[0][0] if self.events else np.inf
        self.clock.now = max(self.clock.now, min(until, arrives, self.dies_at))
        if self.clock.now >= self.dies_at:
            raise StreamLost("dead")
        n = 0
        while self.events and self.events[0][0] <= self.clock.now and n < MAX_PULL:
            _, stamp, channel, seq = self.events.pop(0)
            self.samples[n] = channel, 0, seq
            self.time[n] = stamp + self.correction_s + self.offset_s
            n += 1
        return n


class Ready:
    def __init__(self, connector: Connector) -> None:
        self._connector = connector

    def is_set(self) -> bool:
        waiting = self._connector.sources
        return bool(waiting) and waiting[0][0] <= self._connector.clock.now

    def wait(self, timeout_s: float) -> bool:
        if not self.is_set():
            waiting = self._connector.sources
            ready_s = waiting[0][0] if waiting else np.inf
            self._connector.clock.now = min(self._connector.clock.now + timeout_s, ready_s)
        return self.is_set()


class Connector:
    """Makes each source ready at its time, once it is requested."""

    def __init__(self, clock: Clock, sources: list[tuple[float, Source]]) -> None:
        self.clock, self.sources = clock, sources
        self.ready = Ready(self)
        self.asked: list[str] = []

    def take(self) -> tuple[Any, Layout] | None:
        return (self.sources.pop(0)[1], Layout.EVENTS) if self.ready.is_set() else None

    def request(self, *, replacing: Any = None) -> None:
        self.asked.append("another" if replacing else "again")

    def withdraw(self) -> None:
        self.asked.append("no more")

    def dispose(self, inlet: Any) -> None:
        self.asked.append("dispose")


class Publisher:
    def __init__(self, clock: Clock) -> None:
        self.clock = clock
        self.cursors: list[dict[str, Any]] = []
        self.sent: list[tuple[str, bytes]] = []

    def cursor(self, closed: ClosedBin, **message: Any) -> float:
        bin_of = {"bin": closed.bin, "n": closed.spikes, "late": closed.late, "lost": closed.lost}
        self.cursors.append(bin_of | message)
        return self.clock.now

    def status(self, encoded: bytes) -> None:
        self.sent.append(("status", encoded))

    def spikes(self, encoded: bytes) -> None:
        self.sent.append(("spikes", encoded))


def a_filter(gain: float) -> ModelArtifact:
    """A filter over three bins; another one for each gain."""
    outputs = (Output("x", "mm", 5.0, 1.0, "position"), Output("vx", "mm/s", 0.0, 1.0, "velocity"))
    weight = np.zeros((N_CHANNELS, 3, 2), np.float32)
    weight[0, :, 0] = gain, 0.5, 0.25
    weight[:, 0, 1] = gain
    run = {"weight": weight, "bias": np.zeros(2)}
    return artifact_of("wiener", n_channels=N_CHANNELS, outputs=outputs, count_max=20, run=run)


class Rig:
    """A loop on a fake clock; its sources are ready at their times, with these events, until they die."""

    def __init__(self, *sources: tuple[float, list[Any]] | tuple[float, list[Any], float]) -> None:
        self.artifact = a_filter(1.0)
        self.artifacts = {self.artifact.model_id: self.artifact}
        self.clock = clock = Clock()
        ready = [(START_S + at_s, Source(clock, events, *dies_at)) for at_s, events, *dies_at in sources]
        self.connector = Connector(clock, ready)
        self.publisher = Publisher(clock)
        self.buffers = RecordBuffers(N_CHANNELS, 2, 1)
        stage = OutputSettings(control="fusion", fusion_s=0.5, workspace=((-40.0, 40.0),))
        self.output = OutputStage(stage, self.artifact.outputs, WIDTH_S, "test")
        self.stage = DecodeStage(load_decoder(self.artifact), self.artifact)
        sinks = Sinks(self.publisher, self.output, buffers=self.buffers)  # type: ignore[arg-type]
        path = Path("first.safetensors")
        self.decoding = Decoding(self.stage, self.artifact, path, sinks, clock, stream="M1")
        settings = ServeSettings(stream="M1", grace_s=0.002)
        self.loop = HotLoop(settings, self.decoding, self.connector, clock)  # type: ignore[arg-type]
        self.meters, self.core = self.decoding.meters, self.loop.core

    def until(self, end_s: float) -> list[dict[str, Any]]:
        """Run to START_S + end_s; the cursors so far, one a bin."""
        while self.clock.now < START_S + end_s:
            self.loop.turn()
        cursors, first = self.publisher.cursors, self.meters.backlog_bins
        assert [c["bin"] for c in cursors] == list(range(first, first + len(cursors)))
        return cursors

    def send(self, name: str, candidate: Candidate | None = None) -> Command:
        """A command, and the turn that takes it."""
        command = Command(name, candidate)
        self.loop.commands.append(command)
        self.loop.turn()
        assert command.done.is_set()
        return command

    def candidate(self, gain: float) -> Candidate:
        artifact = a_filter(gain)
        self.artifacts[artifact.model_id] = artifact
        return Candidate(Path(f"{gain}.safetensors"), artifact, load_decoder(artifact))

    def recorded(self) -> Decoded:
        ring = self.buffers.decoded
        n = ring.head
        return Decoded(
            ring.bin[:n],
            ring.t_bin[:n],
            ring.values[:n],
            ring.flags[:n],
            ring.model[:n],
            ring.late[:n],
            ring.lost[:n],
            ring.counts[:n],
            0.0,
            tuple(self.buffers.models),
            out=DecodedOut(ring.out[:n], ("x",), ("mm",), msgspec.to_builtins(self.output.settings)),
        )

    def assert_offline_gives_the_same_bits(self) -> None:
        live = self.recorded()
        assert live.out is not None
        assert [c["value"] for c in self.publisher.cursors] == live.values.tolist()
        assert [c["out"] for c in self.publisher.cursors] == live.out.values.tolist()
        session = Session(N_CHANNELS, decoded=live, log=tuple(self.buffers.log))
        again = decode_session(
            session,
            self.artifact,
            load_decoder(self.artifact),
            swapped=lambda model, path: (self.artifacts[model], load_decoder(self.artifacts[model])),
        )
        np.testing.assert_array_equal(again.model, live.model)
        assert again.models == live.models
        assert again.out is not None
        np.testing.assert_array_equal(again.out.values.view(np.uint32), live.out.values.view(np.uint32))
        np.testing.assert_array_equal(again.values.view(np.uint32), live.values.view(np.uint32))
        np.testing.assert_array_equal(again.flags, live.flags)


def steady(start_s: float, stop_s: float, *, delay_s: float = 0.0005, first_seq: int = 0) -> list[Any]:
    """An event every 3 ms, channels in turn, delivered `delay_s` after its stamp."""
    stamps = START_S + np.arange(start_s, stop_s, 0.003)
    return [(s + delay_s, s, i % N_CHANNELS, first_seq + i) for i, s in enumerate(stamps)]


def flags_of(cursors: list[dict[str, Any]]) -> list[int]:
    return [cursor["flags"] for cursor in cursors]


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
    status = StatusReport(ServeSettings(stream="M1"), rig.loop, **parts)
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
