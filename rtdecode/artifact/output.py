"""One decoded value, and its role."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal, get_args

from rtdecode.errors import RtdecodeError

Role = Literal["position", "velocity", "other"]

ROLES: tuple[str, ...] = get_args(Role)

_LENGTH_UNITS = frozenset({"m", "cm", "mm", "um", "µm", "in", "inch", "px", "pixel", "pixels", "deg", "rad"})
_POSITION_NAMES = frozenset({"x", "y", "z"})


@dataclass(frozen=True)
class Output:
    """One decoded value.

    Args:
        name: as in the session's /behavior, e.g. "x".
        units: e.g. "mm" or "mm/s"; "" where there are none.
        mean: mean over the training labels, in `units`.
        sd: standard deviation over the training labels, in `units`; above 0.
        role: what the fail-safe does with it: hold a position, zero a velocity, hold anything else.

    Raises:
        RtdecodeError: no name, a mean or SD out of its range, or an unknown role.
    """

    name: str
    units: str
    mean: float
    sd: float
    role: Role

    def __post_init__(self) -> None:
        object.__setattr__(self, "mean", float(self.mean))
        object.__setattr__(self, "sd", float(self.sd))
        if not self.name:
            raise RtdecodeError("an output has no name", fix="name it as in the session's /behavior")
        output, fix = f"output {self.name!r}", "pass the statistics of labels that vary"
        if not math.isfinite(self.mean):
            raise RtdecodeError(f"the mean of {output} is {self.mean}", fix=fix)
        if not (math.isfinite(self.sd) and self.sd > 0):
            raise RtdecodeError(f"the SD of {output} is {self.sd}; it must be above 0", fix=fix)
        if self.role not in ROLES:
            raise RtdecodeError(
                f"the role of {output} is {self.role!r}", fix=f"pass one of {', '.join(ROLES)}"
            )


def infer_role(name: str, units: str) -> Role:
    """The role of an output, from its name and units.

    "velocity" for anything per second; "position" for a length or an angle called x, y, z or pos…; "other"
    for the rest.
    """
    unit = units.strip().lower()
    if unit.endswith(("/s", "/sec", "/second")):
        return "velocity"
    label = name.strip().lower()
    if unit in _LENGTH_UNITS and (label in _POSITION_NAMES or label.startswith("pos")):
        return "position"
    return "other"
