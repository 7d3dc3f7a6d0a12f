"""The hot loop on a simulated clock, with sources of events on a timetable."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
from decoding import artifact_of

from rtdecode.artifact import ElectrodeArray, ModelArtifact, Output
from rtdecode.binning import ClosedBin
from rtdecode.decode.load import load_decoder
from rtdecode.decode.offline import decode_session
from rtdecode.decode.stage import DecodeStage
from rtdecode.ingest.connection.inlet import MAX_PULL, StreamLost
from rtdecode.ingest.signals.layouts import Layout, StreamDescription
from rtdecode.output.settings import OutputSettings
from rtdecode.output.stage import OutputStage
from rtdecode.serve.commands import Candidate, Command
from rtdecode.serve.loop.decoding import Decoding, Sinks
from rtdecode.serve.loop.hot_loop import ArrayInput, HotLoop
from rtdecode.serve.recording.buffers import RecordBuffers
from rtdecode.serve.settings import ServeSettings
from rtdecode.session.layout import Decoded, DecodedOut, Session

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

    def __init__(self, clock: Clock, name: str, sources: list[tuple[float, Source]]) -> None:
        self.clock, self.name, self.sources = clock, name, sources
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


def a_filter(gain: float, arrays: Sequence[str] = ()) -> ModelArtifact:
    """A filter over three bins; another one for each gain; of one array, or of several."""
    n_channels = N_CHANNELS * max(len(arrays), 1)
    of_model = tuple(ElectrodeArray(name, N_CHANNELS) for name in arrays)
    outputs = (Output("x", "mm", 5.0, 1.0, "position"), Output("vx", "mm/s", 0.0, 1.0, "velocity"))
    weight = np.zeros((n_channels, 3, 2), np.float32)
    weight[0, :, 0] = gain, 0.5, 0.25
    weight[:, 0, 1] = gain
    run = {"weight": weight, "bias": np.zeros(2)}
    return replace(
        artifact_of("wiener", n_channels=n_channels, outputs=outputs, count_max=20, run=run), arrays=of_model
    )


Sources = Sequence[tuple[float, list[Any]] | tuple[float, list[Any], float]]


class Rig:
    """A loop on a fake clock; its sources are ready at their times, with these events, until they die.

    Args:
        sources: of the only stream.
        arrays: of each of several streams, M0, M1 …, in its place.
        allow_partial: as in `serve`.
    """

    def __init__(
        self,
        *sources: tuple[float, list[Any]] | tuple[float, list[Any], float],
        arrays: Sequence[Sources] = (),
        allow_partial: bool = False,
    ) -> None:
        names = tuple(f"M{i}" for i in range(len(arrays))) or ("M1",)
        self.artifact = a_filter(1.0, names if arrays else ())
        self.artifacts = {self.artifact.model_id: self.artifact}
        self.clock = clock = Clock()
        self.connectors = []
        for name, of_array in zip(names, arrays or [sources], strict=True):
            ready = [(START_S + at_s, Source(clock, events, *dies)) for at_s, events, *dies in of_array]
            self.connectors.append(Connector(clock, name, ready))
        self.connector = self.connectors[0]
        self.publisher = Publisher(clock)
        self.buffers = RecordBuffers(self.artifact.n_channels, 2, 1)
        stage = OutputSettings(control="fusion", fusion_s=0.5, workspace=((-40.0, 40.0),))
        self.output = OutputStage(stage, self.artifact.outputs, WIDTH_S, "test")
        self.stage = DecodeStage(load_decoder(self.artifact), self.artifact)
        sinks = Sinks(self.publisher, self.output, buffers=self.buffers)  # type: ignore[arg-type]
        path = Path("first.safetensors")
        self.decoding = Decoding(self.stage, self.artifact, path, sinks, clock, stream="M1")
        settings = ServeSettings(streams=names, grace_s=0.002, allow_partial=allow_partial)
        inputs = [
            ArrayInput(array.asked, connector, array.rules(settings.carry_late), array.grace_s, N_CHANNELS)
            for connector, array in zip(self.connectors, settings.arrays, strict=True)
        ]
        self.loop = HotLoop(settings, self.decoding, inputs, clock)  # type: ignore[arg-type]
        self.meters, self.core = self.decoding.meters, self.loop.pumps[0].core

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
        session = Session(self.artifact.n_channels, decoded=live, log=tuple(self.buffers.log))
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
