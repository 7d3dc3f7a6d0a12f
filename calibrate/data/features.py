"""Features of sessions as models read them: their statistics, and their codes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import cast

import numpy as np

from rtdecode.artifact import Feature, FeatureKind
from rtdecode.calibrate.data.sessions import LabelledSession
from rtdecode.decode.inputs import codes_of, feature_columns
from rtdecode.errors import RtdecodeError
from rtdecode.kernels.arrays import F8

#: Fewer known bins than these tell nothing of a column: it is not read.
LEAST_BINS = 2

#: What to do about a session that lacks features.
FIX = "name a model of this rig's features, or record the session with them"


def chosen_features(days: Sequence[LabelledSession], asked: Sequence[str] | None) -> tuple[str, ...]:
    """Names of the features that a model of these sessions reads, in its order.

    Args:
        days: the sessions.
        asked: names; () for counts alone, None for all.

    Raises:
        RtdecodeError: a session lacks one, or all are asked for and sessions have others.
    """
    own = days[0].feature_names
    for day in days:
        feature_columns(day.session, asked or (), "record it with them, or name others with --features")
        odd = sorted(set(own) ^ set(day.feature_names))
        if asked is None and odd:
            raise RtdecodeError(
                f"have {len(own)} and {len(day.feature_names)} features, of which they do not share "
                f"{', '.join(odd[:3])}",
                where=f"{days[0].path} and {day.path}",
                fix="choose those that they share with --features, or none with --features none",
            )
    return own if asked is None else tuple(asked)


def described_features(
    days: Sequence[LabelledSession], ends: Sequence[int | None], names: Sequence[str]
) -> tuple[Feature, ...]:
    """Features of sessions, with mean and SD over the bins before each end.

    A column that is constant or unknown there has an SD of 0: it is not read.

    Args:
        days: sessions that have these features.
        ends: number of bins of each that are used; None for all.
        names: of the features, in the order of the model.

    Raises:
        RtdecodeError: a session lacks one.
    """
    if not names:
        return ()
    values = np.concatenate([_values(day, names)[:end] for day, end in zip(days, ends, strict=True)])
    recorded = days[0].session.features
    assert recorded is not None
    columns = zip(names, feature_columns(days[0].session, names), values.T, strict=True)
    return tuple(
        _described(name, recorded.kinds[i], recorded.units[i], column[np.isfinite(column)])
        for name, i, column in columns
    )


def reading(day: LabelledSession, features: Sequence[Feature]) -> LabelledSession:
    """The session with the codes of these features, found by name among its own.

    Raises:
        RtdecodeError: it lacks one.
    """
    names = [feature.name for feature in features]
    return replace(
        day,
        features=tuple(features),
        codes=codes_of(features, _values(day, names)) if features else None,
    )


def _values(day: LabelledSession, names: Sequence[str]) -> F8:
    columns = feature_columns(day.session, names, FIX)
    assert day.binned.features is not None
    return day.binned.features[:, columns]


def _described(name: str, kind: str, units: str, known: F8) -> Feature:
    # `Feature` checks the kind.
    of_kind = cast(FeatureKind, kind)
    if len(known) < LEAST_BINS or np.ptp(known) == 0.0:
        return Feature(name, of_kind, units, float(known[0]) if len(known) else 0.0, 0.0)
    return Feature(name, of_kind, units, float(known.mean()), float(known.std()))
