"""The arrays of a session or a model: the channels of one stream, behind those of the stream before it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from rtdecode.errors import RtdecodeError


@dataclass(frozen=True)
class ElectrodeArray:
    """One of several arrays.

    Args:
        name: of its stream when it was recorded.
        n_channels: 1 or more.

    Raises:
        RtdecodeError: it has no name or no channels.
    """

    name: str
    n_channels: int

    def __post_init__(self) -> None:
        if not (isinstance(self.name, str) and self.name):
            raise RtdecodeError(f"an array has the name {self.name!r}", fix="give each array a name")
        if isinstance(self.n_channels, bool) or not isinstance(self.n_channels, int) or self.n_channels < 1:
            raise RtdecodeError(
                f"array {self.name!r} has {self.n_channels!r} channels", fix="give each array 1 or more"
            )

    def __str__(self) -> str:
        return f"{self.name} ({self.n_channels} channels)"


def listed(arrays: Sequence[ElectrodeArray]) -> str:
    """The arrays for a line, in order."""
    return ", ".join(map(str, arrays)) or "one without a name"


def check_arrays(arrays: Sequence[ElectrodeArray], n_channels: int) -> None:
    """Check that arrays make up all channels; none at all means one without a name.

    Raises:
        RtdecodeError: two have one name, or they have more or fewer channels.
    """
    twice = sorted(name for name, n in Counter(each.name for each in arrays).items() if n > 1)
    if twice:
        raise RtdecodeError(f"two arrays have the name {twice[0]!r}", fix="give each a name of its own")
    found = sum(each.n_channels for each in arrays)
    if arrays and found != n_channels:
        raise RtdecodeError(
            f"the arrays {listed(arrays)} have {found} channels together, and there are {n_channels}",
            fix="give the number of channels of each array",
        )


def check_same_arrays(found: Sequence[ElectrodeArray], needed: Sequence[ElectrodeArray], whose: str) -> None:
    """Check that channels mean the same in two places.

    Args:
        found, needed: where either is empty nothing is known, and all is well.
        whose: needs them, such as "the model".

    Raises:
        RtdecodeError: they have other arrays, or the same in another order.
    """
    if found and needed and tuple(found) != tuple(needed):
        raise RtdecodeError(
            f"the arrays are {listed(found)}, those of {whose} {listed(needed)}",
            fix="name the same arrays in the same order",
        )


def arrays_of(value: Any) -> tuple[ElectrodeArray, ...]:
    """Arrays from a list of maps with `name` and `n_channels`, as files have them.

    Raises:
        RtdecodeError: it is none.
    """
    try:
        return tuple(ElectrodeArray(each["name"], each["n_channels"]) for each in value)
    except (TypeError, KeyError) as error:
        raise RtdecodeError(
            f"the arrays cannot be read ({type(error).__name__}: {error})",
            fix='write [{"name": "M1", "n_channels": 96}, …]',
        ) from None
