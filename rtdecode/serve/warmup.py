"""Compiles every kernel of the hot path before the first bin."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from rtdecode.artifact import ModelArtifact
from rtdecode.binning import BinRing
from rtdecode.decode.inputs import InputRows, recoded
from rtdecode.decode.stage import DecodeStage
from rtdecode.ingest.clock.delay import DeliveryDelay
from rtdecode.ingest.clock.judge import ClockJudge
from rtdecode.ingest.clock.settings import JudgeSettings
from rtdecode.ingest.connection.inlet import MAX_PULL
from rtdecode.ingest.signals.events import EventFeed, EventRules
from rtdecode.ingest.signals.feed import MakeFeed, make_feed
from rtdecode.ingest.signals.layouts import Layout, StreamDescription
from rtdecode.kernels.sequence import N_SEQUENCE_COUNTERS
from rtdecode.serve.recording.buffers import EventRing

N_SAMPLES = 4


class RehearsalInlet:
    """Replaces an inlet: a few samples on every pull, without LSL."""

    def __init__(self, stream: StreamDescription, samples: NDArray[Any]) -> None:
        self.stream = stream
        self.samples = samples
        self.time = np.zeros(MAX_PULL)
        self.correction_s = self.offset_s = self.opened_s = 0.0
        self._now = 0.0

    def pull(self, timeout_s: float) -> int:
        """N_SAMPLES samples, one period apart."""
        period_s = 1.0 / (self.stream.rate_hz or 1000.0)
        self.time[:N_SAMPLES] = self._now + period_s * np.arange(1, N_SAMPLES + 1)
        self._now += N_SAMPLES * period_s
        return N_SAMPLES


def compile_kernels(stage: DecodeStage, artifact: ModelArtifact, make: MakeFeed = make_feed) -> None:
    """Run each kernel once, with the argument types of the loop, on scratch data; then reset the decoder.

    Args:
        stage: of the decoder.
        artifact: its model.
        make: makes the feeds of the loop.
    """
    counters = np.zeros(N_SEQUENCE_COUNTERS, np.int64)
    delay = DeliveryDelay()
    n_channels, bin_width_s = artifact.n_channels, artifact.bin_width_s
    features = tuple(feature.column for feature in artifact.features)
    streams = {
        Layout.EVENTS: ("Spikes", 3, 0.0, "int32"),
        Layout.COUNTS: ("", n_channels, 1.0 / bin_width_s, "int32"),
        Layout.RASTER: ("", n_channels, 2000.0, "int32"),
        Layout.FEATURES: ("Features", len(features), 1.0 / bin_width_s, "float32"),
    }
    for layout, of_stream in streams.items():
        if not (features if layout is Layout.FEATURES else n_channels):
            continue
        stream = StreamDescription("rehearsal", *of_stream)
        inlet = RehearsalInlet(stream, np.zeros((MAX_PULL, stream.n_columns), stream.format))
        ring = BinRing(n_channels, bin_width_s)
        if layout is Layout.FEATURES:
            ring = BinRing(0, bin_width_s, n_features=len(features))
        rules = EventRules(features=features)
        feed = make(layout, cast(Any, inlet), ring, rules=rules, counters=counters)
        n = inlet.pull(0.0)
        judge = ClockJudge(JudgeSettings(n_recent=1), 0.0, MAX_PULL)
        now = float(inlet.time[n - 1])
        judge.step(inlet.time, n, now, emptied=True)
        judge.learn(inlet.time, n, now, emptied=True, attentive=True)
        # A stamp in doubt is judged by another kernel.
        judge.step(np.array([np.nan]), 1, now, emptied=True)
        feed.read(n, judge.possible)
        feed.anchor(0.0, n)
        feed.add(0, n, 1.0)
        assert feed.binning is not None
        feed.binning.close_until(1.0)
        feed.binning.complete_at_s(0)
        delay.observe(feed.inlet.time, feed.columns.accepted, n, 1.0)
        if isinstance(feed, EventFeed):
            EventRing().add(feed, n, 1.0)
        while ring.take() is not None:
            pass
    rows = InputRows(artifact)
    stage.warm(rows.row(np.zeros(n_channels, np.uint8), np.zeros(len(features))))
    for feature in artifact.features[:1]:
        # As in a swap.
        recoded(np.zeros((1, 1), np.int16), [feature], [replace(feature, mean=feature.mean + 1.0)])
    delay.quantile_s(0.999)
    stage.reset()
