"""Decoded values and R² of a model on counts and sessions."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from rtdecode.artifact import ModelArtifact
from rtdecode.calibrate.data.metrics import r2
from rtdecode.decode.load import load_decoder
from rtdecode.session.bins import behavior_at, bin_session
from rtdecode.session.layout import Session


def decode(artifact: ModelArtifact, counts: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Decoded values f4[T, D] of counts u1[T, C]."""
    values = np.empty((len(counts), len(artifact.outputs)), np.float32)
    load_decoder(artifact).run(counts, values)
    return values


def session_r2(artifact: ModelArtifact, session: Session) -> NDArray[np.float64]:
    """R² of each output on a whole session, f8[D]."""
    assert session.behavior is not None
    binned = bin_session(session, artifact.bin_width_s, 0)
    return r2(decode(artifact, binned.counts), behavior_at(session.behavior, binned.t_bin))
