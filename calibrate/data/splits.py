"""Which bins a model learns from and which it is scored on."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from rtdecode.errors import RtdecodeError

MAX_HOLDOUT = 0.5


def check_holdout(holdout: float) -> float:
    """`holdout`, if it is a fraction that leaves most of the session to learn from.

    Raises:
        RtdecodeError: it is not in (0, 0.5].
    """
    if not 0.0 < holdout <= MAX_HOLDOUT:
        raise RtdecodeError(
            f"a hold-out of {holdout}", fix=f"give a fraction above 0 and up to {MAX_HOLDOUT}, such as 0.2"
        )
    return holdout


def chronological_split(
    labelled: NDArray[np.bool_], holdout: float
) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Cut a session in time: the first labelled bins to learn from, the last to be scored on.

    No gap is left at the cut. Decoders look back only: no label that was learnt from has a held-out bin in
    its history, while the first held-out bins have training bins in theirs, as they would have live.

    Args:
        labelled: bool[T], bins whose targets are known; the others are in neither part.
        holdout: part of the labelled bins that is held out.

    Returns:
        (train, held_out), bool[T] each.

    Raises:
        RtdecodeError: `holdout` is not in (0, 0.5].
    """
    check_holdout(holdout)
    rows = np.flatnonzero(labelled)
    n_held = round(holdout * len(rows))
    train, held_out = np.zeros(len(labelled), np.bool_), np.zeros(len(labelled), np.bool_)
    train[rows[: len(rows) - n_held]] = True
    held_out[rows[len(rows) - n_held :]] = True
    return train, held_out
