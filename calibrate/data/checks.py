"""Whether a session fits a model, and whether the model may be scored on it."""

from __future__ import annotations

import math
from collections.abc import Sequence

from rtdecode.artifact import ElectrodeArray, ModelArtifact, Output, check_same_arrays
from rtdecode.errors import RtdecodeError, located
from rtdecode.session.arrays import session_arrays, session_labels
from rtdecode.session.layout import Session

#: What to do about a session that does not fit.
USE_ANOTHER = "use a model of the same array, outputs and units"


def trained_on(model: ModelArtifact, sha256: str, unseen_s: float = math.inf) -> bool:
    """Whether a model was trained on any of the time of a session that a command treats as unseen.

    A session that only validated the model was not trained on at all; one whose end was held out was trained
    on but for its last `holdout_s` seconds.

    Args:
        model: with its provenance.
        sha256: of the session's file.
        unseen_s: labelled time at the session's end that the model must not know; by default all of it.
    """
    return any(
        seen.get("sha256") == sha256
        and not seen.get("validation")
        and unseen_s > float(seen.get("holdout_s") or 0.0) + model.bin_width_s
        for seen in model.provenance.get("sessions", ())
    )


def check_unseen(model: ModelArtifact, sha256: str, where: str, unseen_s: float = math.inf) -> None:
    """Refuse to score a model on what it was trained on; arguments as in `trained_on`.

    Raises:
        RtdecodeError: it was trained on time of the session that has to be unseen.
    """
    if trained_on(model, sha256, unseen_s):
        raise RtdecodeError(
            f"the base {model.model_id} was trained on this session, so it cannot be scored on it",
            where=where,
            fix="name a base of other sessions with --base, or use another session",
        )


def check_channels(model: ModelArtifact, n_channels: int, where: str, fix: str = USE_ANOTHER) -> None:
    """Refuse a session of another array.

    Raises:
        RtdecodeError: the number of channels differs from the model's.
    """
    if n_channels != model.n_channels:
        raise RtdecodeError(
            f"has {n_channels} channels, and the model has {model.n_channels}", where=where, fix=fix
        )


def check_arrays_of(model: ModelArtifact, session: Session) -> None:
    """Refuse a session of other arrays than the model's, or of the same in another order.

    Raises:
        RtdecodeError: they differ; where either does not name its arrays, nothing is known.
    """
    with located(session.path or session.name):
        check_same_arrays(session_arrays(session), model.arrays, "the model")


def shared_arrays(sessions: Sequence[Session]) -> tuple[ElectrodeArray, ...]:
    """The arrays that sessions share, of which some may not name theirs; () if none does.

    Raises:
        RtdecodeError: two have others.
    """
    arrays: tuple[ElectrodeArray, ...] = ()
    for session in sessions:
        own = session_arrays(session)
        with located(session.path or session.name):
            check_same_arrays(own, arrays, "the sessions before")
        arrays = arrays or own
    return arrays


def shared_labels(sessions: Sequence[Session]) -> dict[str, list[str]]:
    """The labels of channels for a model's provenance: those of the last session that has them."""
    known = [labels for session in sessions if (labels := session_labels(session))]
    return {"channel_labels": list(known[-1])} if known else {}


def output_columns(
    outputs: Sequence[Output],
    names: Sequence[str],
    units: Sequence[str],
    where: str,
    fix: str = USE_ANOTHER,
) -> list[int]:
    """The column of each output among columns of behaviour, by name.

    Args:
        outputs: a model's.
        names, units: of the session's columns.
        where: the session, for the error.
        fix: what to do about a session that does not fit, for the error.

    Raises:
        RtdecodeError: an output is missing, or has other units.
    """
    columns = []
    for output in outputs:
        if output.name not in names:
            raise RtdecodeError(
                f"has no behaviour called {output.name!r}, which the model decodes, only {', '.join(names)}",
                where=where,
                fix=fix,
            )
        column = names.index(output.name)
        if units[column] != output.units:
            raise RtdecodeError(
                f"{output.name} is in {units[column]!r}, and in {output.units!r} in the model",
                where=where,
                fix=fix,
            )
        columns.append(column)
    return columns


def fits(model: ModelArtifact, session: Session) -> bool:
    """Whether a session has a model's channels and, if it has behaviour, its outputs."""
    where = str(session.path or session.name)
    try:
        check_channels(model, session.n_channels, where)
        check_arrays_of(model, session)
        if session.behavior is not None and session.behavior.names:
            output_columns(model.outputs, session.behavior.names, session.behavior.units, where)
    except RtdecodeError:
        return False
    return True
