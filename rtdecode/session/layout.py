"""A recorded session in memory: events or counts, behaviour, trials, and what was decoded live.

    session = read_session("today.h5")
    session.events.time          # f8[n], seconds, sorted
    session.behavior.values      # f4[m, d], in session.behavior.units

Every array is plain NumPy; times are seconds on one clock. The dataclasses have no logic beyond naming and
extent: `read.py` and `write.py` handle the file, `bins.py` turns spikes into bins.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, eq=False)
class Events:
    """Spike events.

    Attributes:
        time: f8[n], seconds, sorted (equal times keep the order of their arrival).
        channel: u2[n], 0 to n_channels − 1.
        unit: u1[n], or u2[n] where numbers exceed 255, the sorted unit on the channel; None where there are
            only threshold crossings.
    """

    time: NDArray[np.float64]
    channel: NDArray[np.uint16]
    unit: NDArray[np.uint8] | NDArray[np.uint16] | None = None


@dataclass(frozen=True, eq=False)
class Counts:
    """Spike counts in bins, as recorded.

    Attributes:
        values: u1 or u2 [T, n_channels]; row i covers [t0_s + i·bin_width_s, t0_s + (i+1)·bin_width_s).
        bin_width_s: seconds, positive: of the source by its own stamps.
        t0_s: start of row 0, seconds.
        end: f8[T], end of each row by the stamps of the source, seconds, increasing; None where rows are
            exactly `bin_width_s` apart.
        announced_width_s: bin width that the source announced, None where it is `bin_width_s`. Rows are
            put into bins by it, as they are while decoding.
    """

    values: NDArray[np.uint8] | NDArray[np.uint16]
    bin_width_s: float
    t0_s: float
    end: NDArray[np.float64] | None = None
    announced_width_s: float | None = None

    @property
    def nominal_width_s(self) -> float:
        """Width by which rows are put into bins, seconds."""
        return self.announced_width_s or self.bin_width_s

    @property
    def edges(self) -> NDArray[np.float64]:
        """f8[T + 1], the start of row 0 and the end of each row, seconds."""
        if self.end is None:
            return self.t0_s + np.arange(len(self.values) + 1, dtype=np.float64) * self.bin_width_s
        return np.concatenate(([min(self.t0_s, *self.end[:1])], self.end))

    @property
    def end_s(self) -> float:
        """End of the last row, seconds."""
        return float(self.edges[-1])


@dataclass(frozen=True, eq=False)
class Features:
    """Samples of signals beside the spikes, such as the spike-band power of electrodes.

    Attributes:
        time: f8[T], end of the interval that each sample covers, seconds, strictly increasing.
        values: f4[T, F], NaN where unknown, never infinite.
        names: one for each of the F columns.
        kinds: likewise, of `rtdecode.artifact.FEATURE_KINDS`: a bin takes the mean of its samples, of
            "count" the sum.
        units: likewise, "" where there are none.
        period_s: interval that a sample covers, seconds, positive: of the source by its own stamps.
        announced_period_s: interval that the source announced, None where it is `period_s`.
    """

    time: NDArray[np.float64]
    values: NDArray[np.float32]
    names: tuple[str, ...]
    kinds: tuple[str, ...]
    units: tuple[str, ...]
    period_s: float
    announced_period_s: float | None = None

    @property
    def nominal_period_s(self) -> float:
        """Interval by which samples are put into bins, seconds."""
        return self.announced_period_s or self.period_s


@dataclass(frozen=True, eq=False)
class Behavior:
    """Samples of the movement of the subject (or the cursor).

    Attributes:
        time: f8[m], seconds, strictly increasing.
        values: f4[m, d], NaN where unknown, never infinite.
        names: one for each of the d columns, for example ("x", "y").
        units: likewise, for example ("mm", "mm").
    """

    time: NDArray[np.float64]
    values: NDArray[np.float32]
    names: tuple[str, ...]
    units: tuple[str, ...]


@dataclass(frozen=True, eq=False)
class Markers:
    """Events of the task.

    Attributes:
        time: f8[k], seconds, sorted when read (equal times keep the order of their arrival).
        text: of each.
    """

    time: NDArray[np.float64]
    text: tuple[str, ...]


@dataclass(frozen=True, eq=False)
class Trials:
    """Intervals of the task.

    Attributes:
        start: f8[k], seconds.
        stop: f8[k], seconds, not before start.
        columns: one array of k rows for every further column: `target` f4[k, 2], `success`, `block` (str) …
    """

    start: NDArray[np.float64]
    stop: NDArray[np.float64]
    columns: dict[str, NDArray[Any]] = field(default_factory=dict)


@dataclass(frozen=True, eq=False)
class DecodedOut:
    """The output stage's cursor beside the decoded values, and its settings.

    Attributes:
        values: f4[T, m], as published in `out`.
        names, units: of the m axes.
        settings: the `[output]` table; any JSON.
    """

    values: NDArray[np.float32]
    names: tuple[str, ...]
    units: tuple[str, ...]
    settings: dict[str, Any]


@dataclass(frozen=True, eq=False)
class Decoded:
    """What `serve --record` published, one row a bin, and its decoder's input.

    Attributes:
        bin: i8[T], bin number since the stream's reset.
        t_bin: f8[T], end of the bin, seconds.
        values: f4[T, d], as published.
        flags: u4[T], STALE, CATCH_UP, GAP, … (docs/messages.md).
        model: u1[T], index into `models`.
        late: u2[T], late events counted in this bin.
        lost: u4[T], events lost (sequence gaps) counted in this bin.
        counts: u1[T, n_channels], the decoder's input, carried events included.
        origin_s: start of bin 0, seconds.
        models: model_id of every model used.
        names: the d outputs' names; empty when unknown.
        out: the output stage's cursor, None without one.
        codes: i1[T, F], the rest of the decoder's input, a code for each feature; None without features.
    """

    bin: NDArray[np.int64]
    t_bin: NDArray[np.float64]
    values: NDArray[np.float32]
    flags: NDArray[np.uint32]
    model: NDArray[np.uint8]
    late: NDArray[np.uint16]
    lost: NDArray[np.uint32]
    counts: NDArray[np.uint8]
    origin_s: float
    models: tuple[str, ...]
    names: tuple[str, ...] = ()
    out: DecodedOut | None = None
    codes: NDArray[np.int8] | None = None


#: The bin of an entry about a stream beside the spikes.
NO_BIN = -1


@dataclass(frozen=True)
class LogEntry:
    """Something that happened while serving: reset, swap, gap, pause, resume, adapt, …

    Attributes:
        time: seconds.
        bin: the bin it took effect in; NO_BIN for what has none.
        kind: what happened, one word.
        data: details; any JSON.
    """

    time: float
    bin: int
    kind: str
    data: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, eq=False)
class Detection:
    """How the events were detected in voltage; `rtdecode.detection.recorded` makes a detector of it.

    Attributes:
        settings: rate_hz and the fields of `DetectionSettings`; any JSON.
        noise: f8[n_channels], SD of the noise, in the unit of the samples.
        weights: f4[n_channels, n_channels], of linear regression referencing; None with another reference.
    """

    settings: dict[str, Any]
    noise: NDArray[np.float64]
    weights: NDArray[np.float32] | None = None


@dataclass(frozen=True, eq=False)
class Electrodes:
    """What each channel was recorded from; each field has n_channels rows where it is known.

    Attributes:
        label: of the electrode; two channels of sorted units may share one.
        unit_id: the source's own id of the channel or unit; empty where not known.
        x, y: f4[n_channels], position, in the unit of the source, NaN where unknown; None where all are.
        array: name of the array; empty where not known.
    """

    label: tuple[str, ...]
    unit_id: tuple[str, ...] = ()
    x: NDArray[np.float32] | None = None
    y: NDArray[np.float32] | None = None
    array: tuple[str, ...] = ()


@dataclass(frozen=True, eq=False)
class Session:
    """One recording.

    Attributes:
        n_channels: 1 to 65,535; 0 for features alone.
        events, counts: the spikes, as either or both; both may be None where there are features or `decoded`.
        features: beside the spikes or alone, None without any.
        behavior, trials, markers, decoded: None where not recorded.
        log: in the order it was written.
        detection: None where events were not detected in voltage.
        observed: f8[k, 2], start and stop of each interval in which the array was recorded, seconds, sorted
            and without overlap; None for all the time. `rtdecode.session.observed` has its rules.
        electrodes: of the channels, None where nothing is known.
        attrs: subject, session_id, date, task, license, source, and any other attribute, as text.
        path: the file it was read from.
        complete: False where the recorder ended before it closed the file (what was read is valid).
        notes: what was left out when the file was read, and what is odd in it, a sentence each.
    """

    n_channels: int
    events: Events | None = None
    counts: Counts | None = None
    features: Features | None = None
    behavior: Behavior | None = None
    trials: Trials | None = None
    markers: Markers | None = None
    decoded: Decoded | None = None
    log: tuple[LogEntry, ...] = ()
    detection: Detection | None = None
    observed: NDArray[np.float64] | None = None
    electrodes: Electrodes | None = None
    attrs: dict[str, str] = field(default_factory=dict)
    path: Path | None = None
    complete: bool = True
    notes: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        """`session_id`, or the file's name without its ending, or "session"."""
        return self.attrs.get("session_id") or (self.path.stem if self.path else "session")

    @property
    def features_alone(self) -> Features | None:
        """The features, if there are no spikes."""
        return self.features if self.events is None and self.counts is None else None

    @property
    def start_s(self) -> float:
        """Start of the session, seconds: the counts' t0; with events, the start of `observed` or the first
        event or behaviour sample; with features alone, the start of their first sample. Never before
        `observed`.

        The earliest of them where a file holds several; the bins' origin where it holds only /decoded; 0
        where it holds nothing.
        """
        return self._extent()[0]

    @property
    def end_s(self) -> float:
        """End of the session, seconds: the counts' end; with events, that of `observed`, or the last event
        or behaviour sample."""
        return self._extent()[1]

    def _extent(self) -> tuple[float, float]:
        edges: list[float] = []
        if self.counts is not None:
            edges += [self.counts.t0_s, self.counts.end_s]
        if self.events is not None and self.events.time.size:
            edges += [float(self.events.time[0]), float(self.events.time[-1])]
        # Counts and features cover the whole recording; events end with the last spike, so there behaviour
        # may show that the recording was longer.
        alone = self.features_alone
        if alone is not None and alone.time.size:
            edges = [float(alone.time[0]) - alone.period_s, float(alone.time[-1])]
        elif self.counts is None and self.behavior is not None and self.behavior.time.size:
            edges += [float(self.behavior.time[0]), float(self.behavior.time[-1])]
        if not edges and self.decoded is not None and self.decoded.t_bin.size:
            edges = [self.decoded.origin_s, float(self.decoded.t_bin[-1])]
        start_s, end_s = (min(edges), max(edges)) if edges else (0.0, 0.0)
        if self.observed is None:
            return start_s, end_s
        first_s, last_s = float(self.observed[0, 0]), float(self.observed[-1, 1])
        if self.events is not None and self.counts is None:
            return first_s, last_s
        return max(start_s, first_s), min(end_s, last_s)
