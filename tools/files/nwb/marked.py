"""Parts of a session that were exported as several series, each back in one."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import h5py
import numpy as np
from numpy.typing import NDArray

from rtdecode.tools.files.nwb.access import opened
from rtdecode.tools.files.nwb.marks import mark_of
from rtdecode.tools.files.nwb.samples import clock_of, rate_of, sample_times, sample_values, shape_of
from rtdecode.tools.files.recording import F8, Series

#: Parts that are series of a recording, and the role of each.
_ROLES = {"behavior": "behavior", "features": "signal", "decoded": "other"}


def parts_of(path: Path, groups: Mapping[str, h5py.Group]) -> tuple[list[Series], set[str]]:
    """A series for each marked part of a session in `groups`, and the paths of what these are made of."""
    found: dict[str, dict[str, h5py.Group]] = {}
    for place, group in groups.items():
        if (part := mark_of(group).get("part")) in _ROLES:
            found.setdefault(part, {})[place] = group
    series = [_joined(path, part, pieces) for part, pieces in found.items()]
    return series, {place for pieces in found.values() for place in pieces}


def _joined(path: Path, part: str, by_place: dict[str, h5py.Group]) -> Series:
    places, pieces = list(by_place), list(by_place.values())
    details = [mark_of(piece) for piece in pieces]
    order = np.argsort([at for each in details for at in each["at"]], kind="stable").astype(np.intp)
    names, units, kinds = (
        [each for detail in details for each in detail.get(key, [])] for key in ("names", "units", "kinds")
    )

    def in_order(texts: list[str]) -> tuple[str, ...]:
        return tuple(texts[at] for at in order.tolist()) if len(texts) == len(order) else ()

    return Series(
        name=part,
        columns=in_order(names),
        units=in_order(units) or ("",) * len(order),
        n_samples=shape_of(pieces[0]).n,
        rate_hz=rate_of(pieces[0]),
        role=_ROLES[part],
        read=lambda: _read(path, places, order),
        clock=clock_of(pieces[0]),
        kinds=in_order(kinds),
        stamps="end" if part == "features" else "",
    )


def _read(path: Path, places: list[str], order: NDArray[np.intp]) -> tuple[F8, F8]:
    with opened(path) as file:
        pieces = [file[place] for place in places]
        return sample_times(pieces[0]), np.hstack([sample_values(piece) for piece in pieces])[:, order]
