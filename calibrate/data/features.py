"""Features of sessions as models read them: their statistics, and inputs of counts and codes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

import numpy as np

from rtdecode.artifact import Feature, FeatureKind
from rtdecode.calibrate.data.split_session import SplitSession
from rtdecode.decode.inputs import codes_of, with_codes
from rtdecode.kernels.arrays import F8, Inputs

#: Fewer known bins than these tell nothing of a column: it is not read.
LEAST_BINS = 2


def described_features(parts: Sequence[SplitSession]) -> tuple[Feature, ...]:
    """The features that sessions share, with mean and SD over their bins before the test parts.

    A column that is constant or unknown there has an SD of 0: it is not read.

    Args:
        parts: sessions with the same features (`check_compatible`), or none.
    """
    recorded = parts[0].of.session.features
    if recorded is None:
        return ()
    values = np.concatenate([_values(part)[: part.end] for part in parts])
    return tuple(
        _described(name, kind, units, column[np.isfinite(column)])
        for name, kind, units, column in zip(
            recorded.names, recorded.kinds, recorded.units, values.T, strict=True
        )
    )


def inputs_of_session(part: SplitSession, features: Sequence[Feature]) -> Inputs:
    """What a model of these features reads of a session: counts u1[T, C]; with features i2[T, C + F]."""
    return with_codes(part.counts, codes_of(features, _values(part)) if features else None)


def _values(part: SplitSession) -> F8:
    values = part.of.binned.features
    return np.zeros((len(part.counts), 0)) if values is None else values


def _described(name: str, kind: str, units: str, known: F8) -> Feature:
    # `Feature` checks the kind.
    of_kind = cast(FeatureKind, kind)
    if len(known) < LEAST_BINS or np.ptp(known) == 0.0:
        return Feature(name, of_kind, units, float(known[0]) if len(known) else 0.0, 0.0)
    return Feature(name, of_kind, units, float(known.mean()), float(known.std()))
