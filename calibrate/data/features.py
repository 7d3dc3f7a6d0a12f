"""Features of sessions as models read them: their statistics, and their codes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import cast

import numpy as np

from rtdecode.artifact import Feature, FeatureKind
from rtdecode.calibrate.data.sessions import LabelledSession
from rtdecode.decode.inputs import codes_of, feature_columns
from rtdecode.kernels.arrays import F8

#: Fewer known bins than these tell nothing of a column: it is not read.
LEAST_BINS = 2

#: What to do about a session that lacks features.
FIX = "name a model of this rig's features, or record the session with them"


def described_features(
    days: Sequence[LabelledSession], ends: Sequence[int | None], names: Sequence[str] | None = None
) -> tuple[Feature, ...]:
    """Features of sessions, with mean and SD over the bins before each end.

    A column that is constant or unknown there has an SD of 0: it is not read.

    Args:
        days: sessions with the same features (`check_compatible`).
        ends: number of bins of each that are used; None for all.
        names: of the features, in the order of the model; None for all.

    Raises:
        RtdecodeError: a session lacks one.
    """
    recorded = days[0].session.features
    chosen = days[0].feature_names if names is None else names
    if not chosen:
        return ()
    values = np.concatenate([_values(day, chosen)[:end] for day, end in zip(days, ends, strict=True)])
    assert recorded is not None
    columns = zip(chosen, feature_columns(days[0].session, chosen), values.T, strict=True)
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
