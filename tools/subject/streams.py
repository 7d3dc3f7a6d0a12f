"""The LSL streams of a simulated session: spikes, behaviour, and events of the task."""

from __future__ import annotations

import json

import numpy as np
import pylsl

from rtdecode.ingest.signals.layouts import Layout
from rtdecode.tools.replay.outlets import (
    EVENT_FORMATS,
    OUTLET_BUFFER,
    open_behavior_outlet,
    open_event_outlet,
)
from rtdecode.tools.simulator.experiment import Experiment, Step
from rtdecode.tools.simulator.task import TaskEvent


class SubjectStreams:
    """Three outlets. Timestamps are the times of the events, however late they are pushed.

    Args:
        stream: name of the spike stream, layout `events`.
        markers: name of the stream of task events, type Markers, one JSON text per sample.
        behavior: name of the stream of hand and cursor, type Behavior.
        experiment: whose spikes and samples are pushed.

    Attributes:
        pushed: spikes pushed so far.
    """

    def __init__(self, stream: str, markers: str, behavior: str, experiment: Experiment) -> None:
        self.pushed = 0
        source = f"rtdecode-subject:{stream}"
        # Spikes last, so that a program that finds them finds the other streams too.
        self._behavior = open_behavior_outlet(
            behavior, experiment.names, experiment.units, f"{source}:behavior"
        )
        info = pylsl.StreamInfo(markers, "Markers", 1, pylsl.IRREGULAR_RATE, "string", f"{source}:markers")
        self._markers = pylsl.StreamOutlet(info, max_buffered=OUTLET_BUFFER)
        self._spikes = open_event_outlet(stream, Layout.EVENTS, experiment.of.n_channels, source)

    def push(self, step: Step, origin_s: float) -> None:
        """Push a step; `origin_s` is the time of tick 0 on the LSL clock."""
        n = len(step.time_s)
        if n:
            seq = np.arange(self.pushed, self.pushed + n)
            rows = EVENT_FORMATS[Layout.EVENTS].rows(step.channel, np.zeros(n, np.uint8), seq)
            self._spikes.push_chunk(rows, origin_s + step.time_s)
            self.pushed += n
        if len(step.sample_s):
            self._behavior.push_chunk(step.samples, origin_s + step.sample_s)
        for event in step.events:
            self._markers.push_sample([marker_text(event)], origin_s + event.time_s)


def marker_text(event: TaskEvent) -> str:
    """An event as the JSON of its marker."""
    return json.dumps({"event": event.kind, "trial": event.trial, **event.data})
