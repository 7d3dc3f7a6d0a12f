"""The LSL streams of a simulated session: spikes, the hand, and what happens in the task."""

from __future__ import annotations

import json
from collections.abc import Sequence

import numpy as np
import pylsl

from rtdecode.ingest.layouts import Layout
from rtdecode.serve.lsl_out import describe_columns
from rtdecode.tools.replay.outlets import EVENT_FORMATS, OUTLET_BUFFER
from rtdecode.tools.simulator.experiment import Step
from rtdecode.tools.simulator.task import TaskEvent


class SubjectStreams:
    """Three outlets. Stamps are when things happened, whenever they are pushed.

    Args:
        stream: name of the spikes, layout `events`.
        markers: name of the task's events, type Markers, one JSON text each.
        behavior: name of the hand and the cursor, type Behavior.
        n_channels: of the array.
        names, units: of the behaviour's columns.

    Attributes:
        pushed: spikes so far.
    """

    def __init__(
        self,
        stream: str,
        markers: str,
        behavior: str,
        *,
        n_channels: int,
        names: Sequence[str],
        units: Sequence[str],
    ) -> None:
        self.pushed = 0
        self._format = EVENT_FORMATS[Layout.EVENTS]
        source = f"rtdecode-subject:{stream}"
        columns = self._format.columns
        # Spikes last: who finds them finds the others too.
        hand = pylsl.StreamInfo(behavior, "Behavior", len(names), 0.0, "float32", f"{source}:behavior")
        describe_columns(hand, names, units)
        self._hand = pylsl.StreamOutlet(hand, max_buffered=OUTLET_BUFFER)
        told = pylsl.StreamInfo(markers, "Markers", 1, 0.0, "string", f"{source}:markers")
        self._told = pylsl.StreamOutlet(told, max_buffered=OUTLET_BUFFER)
        spikes = pylsl.StreamInfo(stream, self._format.type, len(columns), 0.0, self._format.dtype, source)
        spikes.desc().append_child_value("n_channels", str(n_channels))
        describe_columns(spikes, columns, ("",) * len(columns))
        self._spikes = pylsl.StreamOutlet(spikes, max_buffered=OUTLET_BUFFER)

    def push(self, step: Step, origin_s: float) -> None:
        """Send what a step brought; `origin_s` is tick 0 on the LSL clock."""
        n = len(step.time_s)
        if n:
            seq = np.arange(self.pushed, self.pushed + n)
            rows = self._format.rows(step.channel, np.zeros(n, np.uint8), seq)
            self._spikes.push_chunk(rows, origin_s + step.time_s)
            self.pushed += n
        if len(step.sample_s):
            self._hand.push_chunk(step.samples, origin_s + step.sample_s)
        for event in step.events:
            self._told.push_sample([marker_text(event)], origin_s + event.time_s)


def marker_text(event: TaskEvent) -> str:
    """An event as the JSON of its marker."""
    return json.dumps({"event": event.kind, "trial": event.trial, **event.data})
