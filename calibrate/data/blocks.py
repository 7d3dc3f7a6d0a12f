"""The time of some blocks of a session: `block` is a column of /trials.

    binned = only_blocks(session, binned, ("baseline", "perturbed"))

A block lasts from the start of its first trial to the stop of its last one, pauses between them included. One
that is repeated after another block has two such stretches, and the time between them is cut out.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from rtdecode.errors import RtdecodeError
from rtdecode.kernels.arrays import Mask
from rtdecode.session.bins import WHOLE_BIN, BinnedSession
from rtdecode.session.layout import Session, Trials


def only_blocks(session: Session, binned: BinnedSession, blocks: Sequence[str]) -> BinnedSession:
    """The bins that lie wholly inside the blocks, one stretch right after another.

    `t_bin` remains the true time of each bin, so that behaviour and trials are still found; it jumps from one
    stretch to the next, and a decoder's history there is from another time.

    Args:
        session: with trials.
        binned: the same session in bins.
        blocks: names; () for the whole session as it is.

    Raises:
        RtdecodeError: there are no trials or they have no blocks, none of this name, or it holds no bin.
    """
    if not blocks:
        return binned
    where = str(session.path or session.name)
    trials = _trials_in_order(session, where)
    inside = np.zeros(len(binned.counts), np.bool_)
    for block in blocks:
        inside |= _bins_of(block, trials, binned, where)
    if not inside.any():
        raise RtdecodeError(
            f"holds no spikes in the time of {', '.join(blocks)}",
            where=where,
            fix="check that trials and spikes were stamped by one clock",
        )
    t_bin, rows = binned.t_bin[inside], np.flatnonzero(inside)
    number = rows if binned.number is None else binned.number[rows]
    stretch = np.searchsorted(binned.starts, rows, side="right")
    return replace(
        binned,
        counts=binned.counts[inside],
        features=None if binned.features is None else binned.features[inside],
        t_bin=t_bin,
        origin_s=float(t_bin[0]) - binned.bin_width_s,
        # A seam between stretches of blocks is no gap of the recording.
        starts=np.append(0, np.flatnonzero(np.diff(stretch)) + 1),
        number=number - number[0],
    )


def _block_names(trials: Trials) -> NDArray[np.str_]:
    """The block of each trial, U[k]."""
    if "block" not in trials.columns:
        raise RtdecodeError("has no column `block`", where="/trials", fix="write one, or leave --block out")
    return np.array([_text(name) for name in trials.columns["block"]], dtype=np.str_)


def _trials_in_order(session: Session, where: str) -> Trials:
    trials = session.trials
    if trials is None:
        raise RtdecodeError("has no trials, so no blocks", where=where, fix="leave --block out")
    order = np.argsort(trials.start, kind="stable")
    return Trials(
        trials.start[order],
        trials.stop[order],
        {name: column[order] for name, column in trials.columns.items()},
    )


def _bins_of(block: str, trials: Trials, binned: BinnedSession, where: str) -> Mask:
    names = _block_names(trials)
    of_block = names == block
    if not of_block.any():
        raise RtdecodeError(
            f"has no block {block!r}",
            where=where,
            fix=f"use {', '.join(dict.fromkeys(names.tolist()))}",
        )
    inside = np.zeros(len(binned.counts), np.bool_)
    slack_s = WHOLE_BIN * binned.bin_width_s
    edges = np.flatnonzero(np.diff(of_block, prepend=False, append=False))
    for first, end in edges.reshape(-1, 2):
        start_s, stop_s = trials.start[first], trials.stop[first:end].max()
        inside |= (binned.t_bin - binned.bin_width_s >= start_s - slack_s) & (
            binned.t_bin <= stop_s + slack_s
        )
    return inside


def _text(name: object) -> str:
    return name.decode("utf-8", "replace") if isinstance(name, bytes) else str(name)
