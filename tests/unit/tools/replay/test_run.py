"""The chunks of a replay do not depend on stalls of the machine."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pytest

from rtdecode.errors import RtdecodeError
from rtdecode.ingest.signals.layouts import Layout
from rtdecode.session.layout import Behavior, Counts, Events, Features, Session
from rtdecode.tools.replay import outlets
from rtdecode.tools.replay.gaps import Gaps
from rtdecode.tools.replay.lateness import LATE_S
from rtdecode.tools.replay.outlets import source_id
from rtdecode.tools.replay.run import LINGER_S, NAP_S, Replay
from rtdecode.tools.replay.schedule import Draw, kept_samples, random_stream
from rtdecode.tools.replay.settings import ReplaySettings

START_S = 1000.0


@dataclass
class FakeClock:
    """A clock that advances by sleeps, and by stalls of the machine."""

    stall_every: int = 0
    stall_s: float = 0.0
    now: float = START_S
    sleeps: list[float] = field(default_factory=list)

    def __call__(self) -> float:
        self.now += 1e-6
        return self.now

    def sleep(self, seconds: float) -> None:
        assert seconds > 0
        self.sleeps.append(seconds)
        self.now += seconds
        if self.stall_every and len(self.sleeps) % self.stall_every == 0:
            self.now += self.stall_s


@dataclass
class Chunk:
    stream: str
    pushed_s: float
    rows: list[list[float]]
    stamps: list[float]


class StreamInfo:
    """The format of a stream, and what is written into its description."""

    def __init__(self, name: str, *form: Any) -> None:
        self.name, self.form = name, form
        self.written: list[str] = []

    def desc(self) -> StreamInfo:
        return self

    def append_child(self, name: str) -> StreamInfo:
        return self

    def append_child_value(self, name: str, value: str) -> StreamInfo:
        self.written.append(f"{name} {value}")
        return self


@dataclass
class Wire:
    """Keeps the outlets' chunks, in place of pylsl.

    liblsl reads its configuration at its first use, so a unit test that used it would fix which streams the
    integration tests of the same run can see.
    """

    clock: FakeClock
    chunks: list[Chunk] = field(default_factory=list)
    infos: list[StreamInfo] = field(default_factory=list)
    StreamInfo = StreamInfo
    IRREGULAR_RATE = 0.0

    def StreamOutlet(self, info: StreamInfo, max_buffered: int) -> Any:
        wire = self
        self.infos.append(info)

        class Outlet:
            def push_chunk(self, rows: Any, stamps: Any) -> None:
                each = np.broadcast_to(stamps, len(rows)).tolist()
                wire.chunks.append(Chunk(info.name, wire.clock.now, rows.tolist(), each))

        return Outlet()

    def of(self, stream: str = "M1") -> list[Chunk]:
        return [chunk for chunk in self.chunks if chunk.stream == stream]

    def content(self) -> list[tuple[str, list[list[float]], list[float]]]:
        return [(chunk.stream, chunk.rows, chunk.stamps) for chunk in self.chunks]

    def seqs(self) -> list[int]:
        return [int(row[2]) for chunk in self.of() for row in chunk.rows]


@pytest.fixture
def replay(monkeypatch: pytest.MonkeyPatch) -> Callable[..., tuple[Wire, Replay]]:
    """Runs a replay on a fake clock into a wire."""

    def run(session: Session, clock: FakeClock | None = None, **changes: Any) -> tuple[Wire, Replay]:
        wire = Wire(clock or FakeClock())
        monkeypatch.setattr(outlets, "pylsl", wire)
        settings = ReplaySettings(**({"streams": ("M1",)} | changes))
        running = Replay(session, settings, clock=wire.clock, sleep=wire.clock.sleep)
        running.run()
        return wire, running

    return run


@pytest.fixture(scope="module")
def session() -> Session:
    """Two seconds of 16 channels at 30 Hz, counted in bins of 64 ms, and behaviour."""
    counts = np.random.default_rng(0).poisson(30 * 0.064, (31, 16)).astype(np.uint8)
    hand = Behavior(np.arange(-5, 40) * 0.05, np.zeros((45, 1), np.float32), ("x",), ("mm",))
    return Session(n_channels=16, counts=Counts(counts, 0.064, 0.0), behavior=hand)


OPTIONS: list[dict[str, Any]] = [
    {},
    {"push_s": 0.0},
    {"push_s": 0.005, "behavior": "hand"},
    {"drop": 0.2, "jitter_s": 0.03, "burst": 7, "behavior": "hand"},
    {"push_s": 0.0, "drop": 0.2, "jitter_s": 0.03, "speed": 3.0},
    {"layout": Layout.SNIPPETS, "jitter_s": 0.03},
    {"layout": Layout.CHANNEL, "burst": 40},
    {"layout": Layout.COUNTS, "drop": 0.1, "burst": 3},
    {"layout": Layout.COUNTS, "push_s": 0.0, "period_s": 0.005},
    {"layout": Layout.COUNTS, "speed": 4.0, "period_s": 0.02},
]


@pytest.mark.parametrize("options", OPTIONS)
def test_a_machine_that_stalls_pushes_the_same_chunks_late(
    replay: Any, session: Session, options: dict[str, Any]
) -> None:
    smooth, on_time = replay(session, **options)
    stalling, late = replay(session, FakeClock(stall_every=20, stall_s=0.08), **options)
    assert smooth.chunks
    assert smooth.content() == stalling.content()
    assert (on_time.lateness.late, late.lateness.late > 0) == (0, True)
    assert on_time.lateness.worst_s < LATE_S < late.lateness.worst_s
    assert late.lateness.worst_s == pytest.approx(0.08, abs=0.005)
    counted = f"{late.lateness.late} of {late.lateness.pushes} pushes were more than 10 ms late"
    assert counted in str(late.lateness)
    # No timestamp is in the future.
    for chunk in smooth.chunks:
        assert max(chunk.stamps) <= chunk.pushed_s
        assert chunk.stamps == sorted(chunk.stamps)
    assert on_time.pushed == sum(len(chunk.rows) for chunk in smooth.chunks)
    assert on_time.session_s == pytest.approx(session.end_s)
    assert on_time.elapsed_s == pytest.approx(session.end_s / options.get("speed", 1.0), abs=0.05)


def test_another_seed_loses_and_delays_other_samples(replay: Any) -> None:
    events = Session(n_channels=16, events=Events(np.arange(500) * 0.004, np.zeros(500, np.uint16)))
    one, again, other = (replay(events, seed=seed, drop=0.1)[0] for seed in (1, 1, 2))
    assert one.content() == again.content() != other.content()
    at, at_again, at_other = (
        np.array([chunk.pushed_s for chunk in replay(events, seed=seed, jitter_s=0.02)[0].chunks])
        for seed in (1, 1, 2)
    )
    assert (at == at_again).all()
    assert np.abs(at - at_other).max() > 0.001


def test_dropped_samples_were_numbered(replay: Any, session: Session) -> None:
    wire, done = replay(session, drop=0.3, seed=4)
    kept = kept_samples(done.n_events, 0.3, random_stream(4, Draw.LOSS, 0))
    assert wire.seqs() == np.flatnonzero(kept).tolist()
    assert (done.pushed, done.dropped) == (kept.sum(), (~kept).sum())


def test_faults_do_not_affect_one_another(replay: Any, session: Session) -> None:
    plain, _ = replay(session)
    dropping, _ = replay(session, drop=0.3)
    both, _ = replay(session, drop=0.3, jitter_s=0.04)
    assert [(c.rows, c.stamps) for c in dropping.of()] == [(c.rows, c.stamps) for c in both.of()]
    stamps = {row[2]: stamp for c in plain.of() for row, stamp in zip(c.rows, c.stamps, strict=True)}
    for chunk in dropping.of():
        assert chunk.stamps == [stamps[row[2]] for row in chunk.rows]


def test_behaviour_is_neither_dropped_nor_delayed(replay: Any, session: Session) -> None:
    options = {"drop": 0.5, "jitter_s": 1.0, "burst": 50}
    wire, _ = replay(session, behavior="hand", **options)
    stamps = [stamp for chunk in wire.of("hand") for stamp in chunk.stamps]
    # From the session's start to its end, without samples outside of it.
    np.testing.assert_allclose(stamps, START_S + np.arange(40) * 0.05, atol=1e-5)
    assert all(chunk.pushed_s - chunk.stamps[-1] < 0.002 for chunk in wire.of("hand"))


def test_snippets_are_stamped_when_their_push_is_due(replay: Any, session: Session) -> None:
    wire, _ = replay(session, layout=Layout.SNIPPETS, push_s=0.005)
    for chunk in wire.of():
        assert len(set(chunk.stamps)) == 1
        assert chunk.stamps[0] == pytest.approx(chunk.pushed_s, abs=1e-4)
        steps = (chunk.stamps[0] - START_S) / 0.005
        assert steps == pytest.approx(round(steps), abs=0.001) or chunk is wire.of()[-1]


def test_counts_hold_every_spike_but_those_of_dropped_rows(replay: Any, session: Session) -> None:
    whole, done = replay(session, layout=Layout.COUNTS)
    assert sum(sum(row) for chunk in whole.of() for row in chunk.rows) == done.n_events
    assert done.pushed == 1984
    gaps, dropping = replay(session, layout=Layout.COUNTS, drop=0.2)
    assert dropping.pushed + dropping.dropped == 1984
    rows = {s: r for chunk in whole.of() for s, r in zip(chunk.stamps, chunk.rows, strict=True)}
    for chunk in gaps.of():
        assert chunk.rows == [rows[stamp] for stamp in chunk.stamps]


class Looping(FakeClock):
    """Stops the replay after some seconds."""

    def __init__(self, seconds: float) -> None:
        super().__init__()
        self.until_s = START_S + seconds
        self.stop: Callable[[], None] = lambda: None

    def sleep(self, seconds: float) -> None:
        super().sleep(seconds)
        if self.now > self.until_s:
            self.stop()


def test_each_round_continues_the_numbers_and_has_new_draws(
    monkeypatch: pytest.MonkeyPatch, session: Session
) -> None:
    def rounds() -> Wire:
        clock = Looping(3 * session.end_s)
        wire = Wire(clock)
        monkeypatch.setattr(outlets, "pylsl", wire)
        settings = ReplaySettings(streams=("M1",), loop=True, drop=0.2, jitter_s=0.1, burst=7)
        running = Replay(session, settings, clock=clock, sleep=clock.sleep)
        clock.stop = running.stop
        running.run()
        assert clock.sleeps[-1] != LINGER_S
        # A push delayed beyond its round delays the first of the next; none is later than planned.
        assert running.lateness.late == 0
        assert running.session_s == pytest.approx(3 * session.end_s, abs=0.2)
        return wire

    wire = rounds()
    assert wire.content() == rounds().content()
    seqs = np.array(wire.seqs())
    assert (np.diff(seqs) > 0).all()
    n = int(session.counts.values.sum())
    first, second = (set(seqs[(seqs >= k * n) & (seqs < (k + 1) * n)] - k * n) for k in (0, 1))
    assert first != second
    assert second == set(np.flatnonzero(kept_samples(n, 0.2, random_stream(0, Draw.LOSS, 1))))
    stamps = np.concatenate([chunk.stamps for chunk in wire.of()])
    assert (np.diff(stamps) >= 0).all()
    assert [c.pushed_s for c in wire.chunks] == sorted(c.pushed_s for c in wire.chunks)


def test_no_sleep_is_long(replay: Any) -> None:
    silent = Session(n_channels=1, events=Events(np.array([0.0, 30.0]), np.zeros(2, np.uint16)))
    wire, done = replay(silent, push_s=10.0)
    assert max(wire.clock.sleeps[:-1]) <= NAP_S
    assert wire.clock.sleeps[-1] == LINGER_S
    assert (done.lateness.pushes, done.pushed) == (2, 2)


def test_each_array_of_a_session_is_a_stream_of_its_own(replay: Any, session: Session) -> None:
    two = json.dumps([{"name": "M1", "n_channels": 10}, {"name": "PMd", "n_channels": 6}])
    arrays = dataclasses.replace(session, attrs={"arrays": two})
    one, _ = replay(arrays, streams=("M1",))
    wire, _ = replay(arrays, streams=("A", "B"))
    together = sorted(
        [(stamp, row[0] + first) for name, first in (("A", 0), ("B", 10)) for chunk in wire.of(name)
         for stamp, row in zip(chunk.stamps, chunk.rows, strict=True)]
    )  # fmt: skip
    expected = sorted((stamp, row[0]) for c in one.of() for stamp, row in zip(c.stamps, c.rows, strict=True))
    np.testing.assert_allclose(together, expected, atol=1e-4)
    assert max(row[0] for chunk in wire.of("B") for row in chunk.rows) == 5
    with pytest.raises(RtdecodeError, match="3 streams are named, and the session has 2 arrays"):
        replay(arrays, streams=("A", "B", "C"))
    with pytest.raises(RtdecodeError, match="2 streams are named, and the session has 1 arrays"):
        replay(session, streams=("A", "B"))


def power(n: int, **changes: Any) -> Features:
    values = np.random.default_rng(1).normal(size=(n, 2)).astype("f4")
    values[3, 1] = np.nan
    recorded = Features(np.arange(1, n + 1) * 0.02, values, ("a", "b"), ("power", "rate"), ("uV", ""), 0.02)
    return dataclasses.replace(recorded, **changes)


def test_features_beside_spikes_are_neither_dropped_nor_delayed(replay: Any, session: Session) -> None:
    recorded = dataclasses.replace(session, features=power(200))
    wire, _ = replay(recorded, features="P", behavior="hand", drop=0.5, jitter_s=1.0, burst=50)
    n = int(session.end_s / 0.02)
    rows = np.array([row for chunk in wire.of("P") for row in chunk.rows])
    stamps = [stamp for chunk in wire.of("P") for stamp in chunk.stamps]
    np.testing.assert_array_equal(rows, power(200).values[:n])
    np.testing.assert_allclose(stamps, START_S + np.arange(1, n + 1) * 0.02, atol=1e-5)
    assert all(chunk.pushed_s - chunk.stamps[-1] < 0.002 for chunk in wire.of("P"))
    assert {chunk.stream for chunk in wire.chunks} == {"P", "hand", "M1"}


def test_features_alone_are_the_stream_and_lose_samples(replay: Any) -> None:
    recorded = power(100, announced_period_s=0.025)
    alone = Session(n_channels=0, features=recorded)
    wire, done = replay(alone, drop=0.3, seed=4, speed=2.0)
    (info,) = wire.infos
    assert info.form == ("Features", 2, 2.0 / 0.025, "float32", source_id("M1", alone))
    assert info.written == ["label a", "unit uV", "kind power", "label b", "unit ", "kind rate"]
    kept = kept_samples(100, 0.3, random_stream(4, Draw.LOSS, 0))
    rows = np.array([row for chunk in wire.of() for row in chunk.rows])
    np.testing.assert_array_equal(rows, recorded.values[kept])
    stamps = [stamp for chunk in wire.of() for stamp in chunk.stamps]
    np.testing.assert_allclose(stamps, START_S + recorded.time[kept] / 2, atol=1e-5)
    assert (done.n_events, done.pushed, done.dropped) == (0, kept.sum(), (~kept).sum())


def test_behaviour_does_not_cut_features_alone(replay: Any) -> None:
    hand = Behavior(np.array([1.0, 3.0]), np.zeros((2, 1), np.float32), ("x",), ("mm",))
    wire, done = replay(Session(n_channels=0, features=power(100), behavior=hand), behavior="hand")
    assert done.duration_s == pytest.approx(2.0)
    assert [sum(len(c.rows) for c in wire.of(name)) for name in ("M1", "hand")] == [100, 1]


def test_nothing_of_the_array_is_sent_in_a_gap_or_the_gap_is_closed(replay: Any, session: Session) -> None:
    observed = np.array([[0.0, 0.5], [1.2, 1.9]])
    gapped = dataclasses.replace(session, observed=observed, features=power(95))
    wire, kept = replay(gapped, behavior="hand", features="P")
    names = ("M1", "P", "hand")
    sent = {name: np.array([s for c in wire.of(name) for s in c.stamps]) - START_S for name in names}
    for name in ("M1", "P"):
        assert len(sent[name])
        assert (((sent[name] < 0.501) | (sent[name] > 1.2)) & (sent[name] < 1.901)).all()
    # The hand moves on.
    assert ((sent["hand"] > 0.6) & (sent["hand"] < 1.1)).any()
    assert kept.session_s == pytest.approx(1.9)
    rows, _ = replay(gapped, layout=Layout.COUNTS, period_s=0.02)
    ends = np.array([s for c in rows.of() for s in c.stamps]) - START_S
    np.testing.assert_allclose(ends, [*np.arange(1, 26) * 0.02, *np.arange(61, 96) * 0.02], atol=1e-5)

    closed, done = replay(gapped, behavior="hand", features="P", gaps=Gaps.CLOSE)
    assert done.session_s == pytest.approx(1.2)
    assert done.n_events == kept.n_events
    for name in names:
        stamps = np.array([s for c in closed.of(name) for s in c.stamps]) - START_S
        own = sent[name]
        own = own[(own < 0.501) | (own > 1.2 - 1e-5)]
        moved = np.where(own > 0.6, own - 0.7, own)
        assert (np.diff(stamps) >= 0).all()
        assert set(stamps.round(4)) <= set(moved.round(4))
        assert len(stamps) >= len(own) - 1
    # Regular samples stay at least their interval apart.
    assert np.diff([s for c in closed.of("P") for s in c.stamps]).min() > 0.0199
    rows, _ = replay(gapped, layout=Layout.COUNTS, period_s=0.02, gaps=Gaps.CLOSE)
    ends = np.array([s for c in rows.of() for s in c.stamps]) - START_S
    np.testing.assert_allclose(ends, np.arange(1, 61) * 0.02, atol=1e-5)
