"""Stretches of one clock: a recorder that restarts its clock begins a new run, a pause a new stretch.

Within a run, times are the file's own. A clock that restarts would put what follows on top of what was
before: the next run is put one second behind the last one, in all files of a recording alike.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from rtdecode.tools.files.recording import F8

#: By more than this do times go back where a clock is set anew; packets may be a little out of order.
RESET_S = 1.0
GAP_S = 1.0
#: A pause is longer: files have small gaps in many places.
PAUSE_S = 0.1


@dataclass(frozen=True)
class Stretch:
    """Time that was recorded without a pause: seconds of the file's clock, and which run of it, from 0."""

    start: float
    stop: float
    run: int = 0


def stretches(parts: Iterable[tuple[float, float]]) -> list[Stretch]:
    """Start and stop of each part in the order of the file, joined where there is no pause between them."""
    found: list[Stretch] = []
    for start, stop in parts:
        last = found[-1] if found else Stretch(start, start)
        if start < last.stop - RESET_S:
            found.append(Stretch(start, stop, last.run + 1))
        elif found and start <= last.stop + PAUSE_S:
            found[-1] = replace(last, stop=max(stop, last.stop))
        else:
            found.append(Stretch(start, stop, last.run))
    return found


def shifts(files: Sequence[Sequence[Stretch]]) -> F8:
    """f8[n], what is added to the times of each run so that one follows the other.

    Args:
        files: the stretches of each file of a recording; their first runs belong together, and so on.
    """
    everything = [each for file in files for each in file]
    added, end = [0.0], -np.inf
    for run in range(max((each.run for each in everything), default=0) + 1):
        of_run = [each for each in everything if each.run == run]
        if run:
            added.append(float(np.ceil(end + GAP_S - min(each.start for each in of_run))))
        end = max((each.stop for each in of_run), default=0.0) + added[-1]
    return np.array(added)
