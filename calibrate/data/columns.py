"""Which columns of a session's behaviour a model is trained on."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from rtdecode.calibrate.data.cursor import on_screen
from rtdecode.calibrate.data.splits import is_labelled
from rtdecode.errors import RtdecodeError
from rtdecode.session.layout import Behavior, Session

#: A column of behaviour is left out, unless it is named, if it is known in less of the samples than this part
#: of those in which another is.
MOSTLY_KNOWN = 0.5


def recorded_columns(
    session: Session, outputs: tuple[str, ...] | None, path: Path
) -> tuple[Behavior, list[int], tuple[str, ...]]:
    """The behaviour of a session, and its columns that are trained on.

    Args:
        session: as read.
        outputs: names of columns; None for all but a displayed cursor's, and those that are mostly unknown.
        path: of its file.

    Returns:
        The behaviour, the indices of the columns, and a note about those left out, if there are any.

    Raises:
        RtdecodeError: there is no behaviour, a name is not in it, or a column has no value.
    """
    behavior = session.behavior
    if behavior is None or not behavior.names:
        raise RtdecodeError(
            "has no behaviour to train on",
            where=str(path),
            fix="record with --behavior NAME, or import it with --behavior",
        )
    # A displayed cursor was decoded from the spikes: a label only on request.
    moved = tuple(name for name in behavior.names if not on_screen(name))
    names = outputs if outputs is not None else moved or behavior.names
    notes: tuple[str, ...] = ()
    columns = [_column(name, behavior.names, path) for name in names]
    known = (~np.isnan(behavior.values[:, columns])).sum(axis=0)
    if outputs is None:
        often = known > MOSTLY_KNOWN * known.max(initial=0)
        if left := [name for name, kept in zip(names, often, strict=True) if not kept]:
            notes = (f"left out as mostly unknown (NaN): {', '.join(left)}; name them with --outputs to use",)
        columns, known = [c for c, kept in zip(columns, often, strict=True) if kept], known[often]
    if not (columns and known.all()):
        unknown = [name for name, n in zip(names, known, strict=False) if not n] or names
        raise RtdecodeError(
            f"has no value of the behaviour {', '.join(unknown)}: there are no samples, or all are NaN",
            where=str(path),
            fix="leave it out with --outputs, or record it again",
        )
    return behavior, columns, notes


def unlabelled(targets: NDArray[np.float32], names: Sequence[str], session: str) -> tuple[str, ...]:
    """A sentence about the outputs that are unknown in bins in which others are known, if there are any.

    Args:
        targets: f4[T, D], NaN where unknown.
        names: of the D outputs.
        session: its name.
    """
    known = np.isfinite(targets[is_labelled(targets)])
    lacking = [f"{name} ({int(n)})" for name, n in zip(names, (~known).sum(axis=0), strict=True) if n]
    if not lacking:
        return ()
    return (
        f"unknown in some of {len(known)} bins with behaviour: {', '.join(lacking)}; there, only the other "
        f"outputs are trained on and scored ({session})",
    )


def _column(name: str, names: tuple[str, ...], path: Path) -> int:
    if name not in names:
        raise RtdecodeError(
            f"has no behaviour called {name!r}, only {', '.join(names)}",
            where=str(path),
            fix="name some of these with --outputs",
        )
    return names.index(name)
