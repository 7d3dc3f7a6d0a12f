"""Which of the streams of one name is the right one."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Generic, NamedTuple, TypeVar

from rtdecode.errors import RtdecodeError
from rtdecode.ingest.connection.identity import is_random, named
from rtdecode.ingest.connection.streams import describe, listed
from rtdecode.ingest.signals.event_columns import RowColumns
from rtdecode.ingest.signals.layouts import (
    INTEGER_FORMATS,
    NUMERIC_FORMATS,
    Layout,
    StreamDescription,
    choose_layout,
    is_features,
    mismatch,
    needs_labels,
)

L = TypeVar("L", covariant=True)


class NeedsOption(RtdecodeError):
    """A stream cannot be taken, and no other one will be, before the command is given another option."""


class Candidate(NamedTuple, Generic[L]):
    """A stream that may be attached.

    Attributes:
        info: pylsl.StreamInfo.
        stream: its description.
        layout: of a spike stream, None for any other.
        rank: 0 for what is announced as such; more for what only has the shape.
    """

    info: Any
    stream: StreamDescription
    layout: L
    rank: int


Classify = Callable[[StreamDescription], tuple[L, int]]


def possible_layouts(stream: StreamDescription) -> tuple[Layout, ...]:
    """All layouts that a stream may be read as without `--layout`; () for none.

    Between counts and features the model decides, between broadband and raster the first values.
    """
    try:
        found = [choose_layout(stream, features=features) for features in (False, True)]
    except RtdecodeError:
        return ()
    if Layout.BROADBAND in found and mismatch(stream, Layout.RASTER) is None:
        found.append(Layout.RASTER)
    return tuple(dict.fromkeys(found))


def needs_kinds(stream: StreamDescription) -> bool:
    """Whether the kinds of its columns, which the description lacks, can tell that it carries features."""
    return not (stream.kinds or is_features(stream)) and mismatch(stream, Layout.FEATURES) is None


def spike_stream(
    stream: StreamDescription,
    override: Layout | None,
    columns: RowColumns | None = None,
    *,
    features: bool = False,
) -> tuple[Layout, int]:
    """The layout of a spike stream and its rank.

    Args:
        stream: description.
        override: `--layout`.
        columns: `--columns`.
        features: whether features are looked for.

    Raises:
        RtdecodeError: it carries no spikes.
    """
    layout = choose_layout(stream, override, columns, features=features)
    if override is not None or layout in (Layout.EVENTS, Layout.SNIPPETS) or is_features(stream):
        return layout, 0
    if layout is Layout.FEATURES:
        return layout, 2 if stream.format in INTEGER_FORMATS else 1
    if layout in (Layout.RASTER, Layout.BROADBAND):
        return layout, 3  # which one is known once it is opened
    return layout, 1 if stream.format in INTEGER_FORMATS else 2


def behavior_stream(stream: StreamDescription) -> tuple[None, int]:
    """None, and the rank of a behaviour stream.

    Raises:
        RtdecodeError: its samples are no numbers, or spikes.
    """
    if stream.format not in NUMERIC_FORMATS:
        raise RtdecodeError(
            f"its samples are {stream.format}, not numbers",
            where=f"behaviour stream {stream}",
            fix="name a numeric stream with --behavior",
        )
    if stream.type in ("Spikes", "SpikeEvents") and not stream.rate_hz:
        raise RtdecodeError(
            f"its samples are spikes (type {stream.type})",
            where=f"behaviour stream {stream}",
            fix="name the stream of the tracker with --behavior",
        )
    return None, 1 if stream.format in INTEGER_FORMATS else 0


def marker_stream(stream: StreamDescription) -> tuple[None, int]:
    """None, and the rank of a stream of task events.

    Raises:
        RtdecodeError: its samples are not one text or integer each, at any time.
    """
    texts = stream.format == "string"
    if not (texts or stream.format in INTEGER_FORMATS) or stream.n_columns != 1 or stream.rate_hz:
        raise RtdecodeError(
            "markers are one text or integer a sample, at an irregular rate",
            where=f"marker stream {stream}",
            fix="name the stream of the task's events with --markers",
        )
    if stream.type in ("Spikes", "SpikeEvents"):
        raise RtdecodeError(
            f"its samples are spikes (type {stream.type})",
            where=f"marker stream {stream}",
            fix="name the stream of the task's events with --markers",
        )
    return None, 0 if texts or stream.type == "Markers" else 1


def candidates(
    infos: list[Any], classify: Classify[L], full: Callable[[Any], StreamDescription] = describe
) -> list[Candidate[L]]:
    """The streams that may be attached, of the best rank found, the oldest outlet first.

    Args:
        infos: pylsl.StreamInfo of streams of one name.
        classify: layout and rank of a stream; raises RtdecodeError for one that does not qualify.
        full: the description of an outlet with its labels, for one that does not qualify without them.

    Raises:
        RtdecodeError: there are streams, but none qualifies; lists them.
    """
    found: list[Candidate[L]] = []
    refused: list[tuple[StreamDescription, RtdecodeError]] = []
    for info in sorted(infos, key=lambda info: float(info.created_at())):
        stream = describe(info)
        try:
            try:
                found.append(Candidate(info, stream, *classify(stream)))
            except RtdecodeError:
                if not needs_labels(stream):
                    raise
                found.append(Candidate(info, stream, *classify(full(info))))
        except RtdecodeError as error:
            refused.append((stream, error))
    if refused and not found:
        raise unusable(refused)
    best = min((each.rank for each in found), default=0)
    return [each for each in found if each.rank == best]


def unusable(refused: Sequence[tuple[StreamDescription, RtdecodeError]]) -> RtdecodeError:
    """The refusal of all streams of a name: what was found, and why each is not taken."""
    curable = not all(isinstance(error, NeedsOption) for _, error in refused)
    kind = RtdecodeError if curable else NeedsOption
    stream, first = refused[0]
    if len(refused) == 1:
        return kind(first.what, where=f"{first.where}, source {named(stream)}", fix=first.fix)
    each = "; ".join(f"{listed(stream)}: {error.what}" for stream, error in refused)
    what = f"none of the {len(refused)} streams of that name can be taken: {each}"
    return kind(what, where=f"stream {stream.name}", fix=first.fix)


def are_one_source(found: Sequence[Candidate[object]]) -> bool:
    """Whether all outlets have one source_id: one is perhaps dead, of a source that was restarted."""
    ids = {each.stream.source_id for each in found}
    return len(ids) == 1 and not is_random(next(iter(ids)))


def ambiguous(found: Sequence[Candidate[object]], option: str) -> NeedsOption:
    """The refusal of several candidates, with a list; `option` is the one that pins a source."""
    sources = [named(each.stream) for each in found]
    alike = len(set(sources)) < len(sources)
    uids = [f", outlet {each.stream.uid}" if alike else "" for each in found]
    lines = zip(sources, uids, found, strict=True)
    all_ = ", ".join(sorted(f"{name}{uid} ({each.layout or each.stream})" for name, uid, each in lines))
    if are_one_source(found):
        text, fix = "outlets with one source_id send", "stop all but one of them, or rename one"
    else:
        text, fix = "sources send", f"choose one with {option}, or stop the others"
    return NeedsOption(
        f"{len(found)} {text} a stream of that name: {all_}",
        where=f"stream {found[0].stream.name}",
        fix=fix,
    )
