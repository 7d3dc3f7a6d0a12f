"""Finds streams on the network and reads their descriptions."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import pylsl

from rtdecode.ingest.connection.identity import named
from rtdecode.ingest.signals.layouts import StreamDescription, needs_labels

#: An outlet that has not answered for this long is no longer listed.
FORGET_S = 2.0

#: Longest wait for the labels of an outlet, and when one that did not answer is asked again.
ASK_S, ASK_AGAIN_S = 0.5, 5.0

N_RESOLVERS = 3
STAGGER_S = 1.0 / N_RESOLVERS


def describe(info: Any) -> StreamDescription:
    """The description of a pylsl.StreamInfo; labels and channels only if it is a full one."""
    description = info.desc()
    labels, units, kinds = [], [], []
    channel = description.child("channels").child("channel")
    while not channel.empty():
        labels.append(channel.child_value("label"))
        units.append(channel.child_value("unit"))
        kinds.append(channel.child_value("kind"))
        channel = channel.next_sibling("channel")
    stated = description.child_value("n_channels")
    return StreamDescription(
        name=info.name(),
        type=info.type(),
        n_columns=info.channel_count(),
        rate_hz=info.nominal_srate(),
        format=pylsl.lib.fmt2string[info.channel_format()],
        source_id=info.source_id(),
        hostname=info.hostname(),
        uid=info.uid(),
        n_channels=int(stated) if stated.isdigit() and int(stated) > 0 else None,
        labels=tuple(labels),
        units=tuple(units),
        kinds=tuple(kinds),
    )


class Descriptions:
    """Descriptions of outlets with their labels, for which each outlet is asked once."""

    def __init__(self) -> None:
        self._known: dict[str, StreamDescription] = {}
        self._asked: dict[str, float] = {}

    def full(self, info: Any) -> StreamDescription:
        """The description with labels, without them while the outlet does not answer."""
        uid, now = info.uid(), time.monotonic()
        if uid not in self._known and now - self._asked.get(uid, -ASK_AGAIN_S) >= ASK_AGAIN_S:
            self._asked[uid] = now
            with suppress(pylsl.util.TimeoutError, pylsl.util.LostError):
                self._known[uid] = describe(pylsl.StreamInlet(info, recover=False).info(ASK_S))
        return self._known.get(uid) or describe(info)


class StreamFinder:
    """Searches for the streams of one name in threads of liblsl, from the first `found` until `pause`.

    A continuous resolver queries the network once a second. Three of them, started a third of a second
    apart, find a returning stream in half a second. Single resolves would be as fast, but
    one in seven of them ended 5 s late (liblsl 1.18). Each holds several of the 32 UDP ports
    by which LSL finds outlets, so they are released while no search is needed.

    Args:
        name: of the stream.
    """

    def __init__(self, name: str) -> None:
        self._name = name
        self._started = 0.0
        self._resolvers: list[Any] = []
        self._dead: set[str] = set()

    def _resolver(self) -> Any:
        # liblsl puts the name between quotes, and understands none in it.
        if {"'", '"'} & set(self._name):
            return pylsl.ContinuousResolver(forget_after=FORGET_S)
        return pylsl.ContinuousResolver("name", self._name, forget_after=FORGET_S)

    def found(self) -> list[Any]:
        """The pylsl.StreamInfo of every stream of that name that answers and is not ignored."""
        if not self._resolvers:
            self._started = time.monotonic()
        due = 1 + int((time.monotonic() - self._started) / STAGGER_S)
        if len(self._resolvers) < min(due, N_RESOLVERS):
            self._resolvers.append(self._resolver())
        results = (info for resolver in self._resolvers for info in resolver.results())
        found = {info.uid(): info for info in results if info.name() == self._name}
        return [info for uid, info in found.items() if uid not in self._dead]

    def pause(self) -> None:
        """Stop the search until the next `found`."""
        self._resolvers.clear()

    def ignore(self, uid: str) -> None:
        """Ignore a dead outlet, which may be listed for a while."""
        self._dead.add(uid)


class Network:
    """All streams that answer, of whatever name; searched for from the first `seen` on."""

    def __init__(self) -> None:
        self._resolver: Any = None
        self._descriptions = Descriptions()

    def seen(self, ask: Callable[[StreamDescription], bool] = needs_labels) -> list[StreamDescription]:
        """The streams found so far, sorted by name; those that `ask` selects with their labels and kinds."""
        if self._resolver is None:
            self._resolver = pylsl.ContinuousResolver(forget_after=FORGET_S)
        found = []
        for info in self._resolver.results():
            stream = describe(info)
            found.append(self._descriptions.full(info) if ask(stream) else stream)
        return sorted(found, key=lambda stream: (stream.name, stream.source_id))


def listed(stream: StreamDescription) -> str:
    """A stream with all by which it is told from others."""
    return f"{stream}, source {named(stream)}"
