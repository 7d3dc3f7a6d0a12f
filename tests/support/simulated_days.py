"""Simulated sessions of reaching, in files; and sessions with a part of them changed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rtdecode.session.layout import Behavior, Events, Session
from rtdecode.session.write import write_session
from rtdecode.tools.simulator.scripted import CentreOut, draw_tuning, simulate_session


def simulated_day(
    path: Path, n_channels: int, seed: int = 0, seconds: float = 60.0, tuning: int = 3, **task: Any
) -> Path:
    """Write a session with the file's name; days of the same `tuning` are of one array."""
    of = CentreOut(n_channels=n_channels, **task)
    write_session(path, simulate_session(of, draw_tuning(of, tuning), seconds, seed, path.stem))
    return path


def behavior_of(session: Session) -> Behavior:
    assert session.behavior is not None
    return session.behavior


def events_of(session: Session) -> Events:
    assert session.events is not None
    return session.events


def with_behavior(session: Session, **changes: Any) -> Session:
    return replace(session, behavior=replace(behavior_of(session), **changes))


def with_values(session: Session, change: Callable[[NDArray[np.float32]], Any]) -> Session:
    """Other values of behaviour, made from a copy of its own f4[n, D]."""
    values = np.asarray(change(behavior_of(session).values.copy()), np.float32)
    return with_behavior(session, values=values)


def with_spikes(session: Session, kept: Callable[[Events], NDArray[np.bool_]]) -> Session:
    """Some of the session's spikes."""
    events = events_of(session)
    chosen = kept(events)
    return replace(session, events=Events(events.time[chosen], events.channel[chosen]))
