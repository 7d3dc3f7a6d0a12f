"""A small closed-loop session, with or without decoded values."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from rtdecode.messages import Flag
from rtdecode.session.layout import Behavior, Counts, Decoded, DecodedOut, Session, Trials

BIN_S = 0.05
F8 = NDArray[np.float64]


def closed_loop(seconds: float = 10.0) -> Session:
    """Trials of 2 s to the right, a cursor that moves up, and a velocity that follows neither."""
    n = round(seconds / BIN_S)
    time = (1 + np.arange(n)) * BIN_S
    start = np.arange(0.0, seconds, 2.0)
    target = np.tile(np.float32([100.0, 0.0]), (len(start), 1))
    values = np.stack([np.zeros(n), 10.0 * (time % 2.0), np.full(n, -7.0), np.full(n, 7.0)], axis=1)
    return Session(
        n_channels=2,
        counts=Counts(np.ones((n, 2), np.uint8), BIN_S, 0.0),
        behavior=Behavior(time, values.astype("f4"), ("x", "y", "vx", "vy"), ("mm", "mm", "mm/s", "mm/s")),
        trials=Trials(start, start + 2.0, {"target": target}),
    )


def ends(session: Session) -> F8:
    assert session.counts is not None
    return (1 + np.arange(len(session.counts.values))) * BIN_S


def decoded(session: Session, out: DecodedOut | None, names: tuple[str, ...] = ("x", "y")) -> Session:
    n = len(ends(session))
    blank = np.zeros(n, np.uint16)
    return replace(
        session,
        decoded=Decoded(
            bin=np.arange(n),
            t_bin=ends(session),
            values=np.full((n, 2), 3.0, np.float32),
            flags=np.where(np.arange(n) % 50 < 25, Flag.PAUSED, 0).astype(np.uint32),
            model=blank.astype(np.uint8),
            late=blank,
            lost=blank.astype(np.uint32),
            counts=np.ones((n, 2), np.uint8),
            origin_s=0.0,
            models=("0" * 8,),
            names=names,
            out=out,
        ),
    )
