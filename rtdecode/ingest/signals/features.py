"""A stream of features as the loop uses it (`feed.py`): numbers such as spike-band power, one a column."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Sequence

import numpy as np

from rtdecode.artifact import FEATURE_KINDS, FeatureColumn
from rtdecode.binning import BinRing
from rtdecode.errors import RtdecodeError
from rtdecode.ingest.connection.inlet import MAX_PULL, Inlet, StreamLost
from rtdecode.ingest.signals.counts import SampleFeed
from rtdecode.ingest.signals.events import EventRules
from rtdecode.ingest.signals.fitness import FIT_AGAIN, UNFIT, UNFIT_GAIN, Fitness
from rtdecode.ingest.signals.layouts import Layout, StreamDescription
from rtdecode.kernels import sequence
from rtdecode.kernels.arrays import F8, I4, I8, U1, Mask
from rtdecode.session.diagnosis.arrays import MOST_NAMED, in_columns
from rtdecode.session.doctor.values import ValueJudge

#: Longest time by whose samples a stream is told from counts.
JUDGED_S = 1.0


def check_columns(stream: StreamDescription, wanted: Sequence[FeatureColumn]) -> None:
    """Check that an opened stream has the columns that are read.

    Raises:
        RtdecodeError: it lacks one, has an undescribed other number of them, or another kind.
    """
    columns_of(stream, wanted)


def columns_of(stream: StreamDescription, wanted: Sequence[FeatureColumn]) -> list[int]:
    """Which column of an opened stream each of the wanted ones is, by its label.

    Raises:
        RtdecodeError: as of `check_columns`.
    """
    where = f"stream {stream}"
    if not any(stream.labels):
        if stream.n_columns != len(wanted):
            raise RtdecodeError(
                f"its {stream.n_columns} columns have no labels, and {len(wanted)} features are read",
                where=where,
                fix="label its columns (channels/channel/label of its description) as the features are named",
            )
        return list(range(len(wanted)))
    place = {label: i for i, label in reversed(list(enumerate(stream.labels)))}
    missing = [column.name for column in wanted if column.name not in place]
    if missing:
        names = ", ".join(missing[:MOST_NAMED]) + (" …" if len(missing) > MOST_NAMED else "")
        raise RtdecodeError(
            f"it lacks {len(missing)} of the {len(wanted)} features that are read: {names}",
            where=where,
            fix="label its columns as the features are named, or take what was made of this stream",
        )
    twice = [column.name for column in wanted if stream.labels.count(column.name) > 1]
    if twice:
        raise RtdecodeError(
            f"several of its columns are called {twice[0]}",
            where=where,
            fix="give each column a label of its own in its description",
        )
    columns = [place[column.name] for column in wanted]
    for column, i in zip(wanted, columns, strict=True):
        kind = _kind(stream, i)
        if kind and kind != column.kind:
            raise RtdecodeError(
                f"its column {column.name} is described as {kind}, and is read as {column.kind}",
                where=where,
                fix="correct the kind in its description, or take what was made of this stream",
            )
    return columns


def described_columns(stream: StreamDescription, *, otherwise: str) -> tuple[FeatureColumn, ...]:
    """All columns of an opened stream by its description; `otherwise` is the kind of one without any."""
    names = [label or f"f{i}" for i, label in enumerate(stream.labels or [""] * stream.n_columns)]
    names = [name if names.count(name) == 1 else f"{name}.{i}" for i, name in enumerate(names)]
    units = stream.units or [""] * stream.n_columns
    return tuple(
        FeatureColumn(name, _kind(stream, i) or otherwise, unit)
        for i, (name, unit) in enumerate(zip(names, units, strict=True))
    )


def other_units(stream: StreamDescription, wanted: Sequence[FeatureColumn]) -> list[str]:
    """Names of the wanted columns whose units differ from those of an opened stream, where both are known."""
    pairs = zip(wanted, columns_of(stream, wanted), strict=True)
    return [each.name for each, i in pairs if stream.units and "" != stream.units[i] != each.units != ""]


def unknown_kinds(stream: StreamDescription, wanted: Sequence[FeatureColumn]) -> list[str]:
    """A line if wanted columns of an opened stream are described with a kind that there is not; else none."""
    if not stream.kinds:
        return []
    at = columns_of(stream, wanted)
    kinds = [(each, stream.kinds[i]) for each, i in zip(wanted, at, strict=True) if not _kind(stream, i)]
    unknown = [(each, kind) for each, kind in kinds if kind.strip()]
    if not unknown:
        return []
    (first, kind), more = unknown[0], len(unknown) - 1
    taken = " or ".join(sorted({each.kind for each, _ in unknown}))
    return [
        f"the kind of column {first.name} of {stream.name} is {kind!r}, which is unknown"
        + (f", and so {'are those' if more > 1 else 'is that'} of {more} more" if more else "")
        + f": taken as {taken}. Fix: describe it as one of {', '.join(FEATURE_KINDS)}"
    ]


def _kind(stream: StreamDescription, column: int) -> str:
    kind = stream.kinds[column].strip().lower() if stream.kinds else ""
    return kind if kind in FEATURE_KINDS else ""


def first_values(inlet: Inlet) -> ValueJudge:
    """Judge the first samples of an open stream, for a second at most; they are not pulled again."""
    judge, until_s = ValueJudge(inlet.stream.rate_hz), time.monotonic() + JUDGED_S
    try:
        while not judge.settled and (left_s := until_s - time.monotonic()) > 0.0:
            judge.see(inlet.samples[: inlet.pull(left_s)])
    except StreamLost:
        pass
    return judge


class FeatureFitness:
    """Judges one source.

    Args:
        columns: that are read.
        period_s: that it announces.

    Attributes:
        n_samples: number of samples so far.
        seen: what their values look like.
        rate: of its stamps.
        n_infinite: i8[F], number of infinite values of each column, which are unknown.
    """

    def __init__(self, columns: Sequence[FeatureColumn], period_s: float) -> None:
        n = len(columns)
        self.n_samples = 0
        self.seen, self.rate = ValueJudge(1.0 / period_s), Fitness(period_s)
        self._columns, self._part_unknown, self._unknown = columns, 0.0, False
        self.n_infinite: I8 = np.zeros(n, np.int64)
        self._n_unknown: I8 = np.zeros(n, np.int64)
        self._first: F8 = np.full(n, np.nan)
        self._constant: Mask = np.ones(n, np.bool_)

    @property
    def unfit(self) -> str:
        """Why nothing is decoded of what it sends, "" while all is."""
        return "its values are NaN or infinite" if self._unknown else self.rate.unfit

    @property
    def infinite(self) -> str:
        """Where values are infinite, "" if nowhere."""
        return in_columns("infinity", self.n_infinite) if self.n_infinite.any() else ""

    @property
    def dead(self) -> tuple[str, ...]:
        """Names of the columns that were always unknown."""
        return self._named(self._n_unknown == self.n_samples)

    @property
    def constant(self) -> tuple[str, ...]:
        """Names of the columns that have always had one value."""
        return self._named(self._constant & ~np.isnan(self._first))

    def _named(self, columns: Mask) -> tuple[str, ...]:
        return (
            tuple(self._columns[i].name for i in np.flatnonzero(columns).tolist()) if self.n_samples else ()
        )

    def see(self, values: F8) -> None:
        """Take samples f8[n, F], NaN where unknown."""
        unknown = np.isnan(values)
        self.n_samples += len(values)
        self._n_unknown += unknown.sum(axis=0)
        unset = np.flatnonzero(np.isnan(self._first))
        if len(unset):
            known = ~unknown[:, unset]
            self._first[unset] = values[known.argmax(axis=0), unset]
        self._constant &= np.all((values == self._first) | unknown, axis=0)
        self.seen.see(values)
        for is_nothing in np.all(unknown, axis=1).tolist():
            self._part_unknown += UNFIT_GAIN * (is_nothing - self._part_unknown)
        self._unknown = self._part_unknown > (FIT_AGAIN if self._unknown else UNFIT)


class FeatureFeed(SampleFeed):
    """The `features` layout: one column for each feature, and others, which are not read.

    Attributes:
        wanted: the features that are read.
        fitness: whether its samples can be these.
        values: f8[MAX_PULL, n_features], NaN where unknown, of the features that are read.
    """

    layout = Layout.FEATURES

    def __init__(self, inlet: Inlet, ring: BinRing, *, rules: EventRules, counters: I8) -> None:
        super().__init__(inlet, ring, rules=rules, counters=counters)
        self.wanted = rules.features
        self._from = np.array(columns_of(inlet.stream, self.wanted), np.intp)
        self.fitness = FeatureFitness(self.wanted, self.period_s)
        self.values: F8 = np.zeros((MAX_PULL, len(self.wanted)))
        if ring.n_features:
            self.features = self.values
            ring.features.counted[:] = [column.kind == "count" for column in self.wanted]
        self._no_counts: I4 = np.zeros((MAX_PULL, 0), np.int32)

    def read(self, n: int, possible: U1) -> None:
        """Check and number the `n` samples of the last pull; see `SampleFeed`."""
        values = self.values[:n]
        # As they are recorded.
        values[:] = self.inlet.samples[:n, self._from].astype(np.float32)
        infinite = np.isinf(values)
        if infinite.any():
            self._counters[sequence.NOT_A_COUNT] += np.count_nonzero(infinite)
            self.fitness.n_infinite += infinite.sum(axis=0)
            values[infinite] = np.nan
        self.fitness.rate.stamps(self.columns.time[:n][possible[:n] != 0])
        self._number(self._no_counts, n, possible)

    def tally(self, n: int) -> None:
        """Judge the samples of the last pull."""
        self.fitness.see(self.values[:n])

    @property
    def columns_read(self) -> str:
        """The kinds and names of the columns that are read."""
        n, kinds = len(self.wanted), Counter(column.kind for column in self.wanted)
        names = ", ".join(column.name for column in self.wanted[:MOST_NAMED]) + " …" * (n > MOST_NAMED)
        return f"{', '.join(f'{m} {kind}' for kind, m in kinds.items())}: {names}"

    @property
    def unfit(self) -> str:
        """Why nothing is decoded of what it sends, "" while all is."""
        return self.fitness.unfit

    def restart(self) -> None:
        """The stamps have moved: number samples from the next one with a possible stamp."""
        super().restart()
        self.fitness.rate.restart()
