"""One column of features that a model reads beside the counts."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal, get_args

from rtdecode.errors import RtdecodeError

FeatureKind = Literal["power", "rate", "count", "other"]

FEATURE_KINDS: tuple[str, ...] = get_args(FeatureKind)

MAX_FEATURES = 4096

#: Steps of a code in an SD: rounding to it adds 0.03 % to a feature's variance.
CODES_PER_SD = 16

#: Codes are between −LARGEST_CODE and LARGEST_CODE, 7.9 SD on both sides of the mean.
LARGEST_CODE = 127


@dataclass(frozen=True)
class FeatureColumn:
    """What a column of features is called, where it comes from or is kept.

    Attributes:
        name, kind, units: as of `Feature`.
    """

    name: str
    kind: str
    units: str


@dataclass(frozen=True)
class Feature:
    """One column of features, such as the spike-band power of an electrode.

    A decoder reads its code, (value − mean) · 16/SD as a whole number: small integers like counts, so that
    sums of them are exact.

    Args:
        name: as in the session's /features.
        kind: what a bin holds of its samples: their sum for "count", their mean for all others.
        units: e.g. "uV"; "" where there are none.
        mean: mean over the training bins, in `units`.
        sd: standard deviation over the training bins, in `units`; 0 for a column that is not read.

    Raises:
        RtdecodeError: no name, an unknown kind, or a mean or SD out of its range.
    """

    name: str
    kind: FeatureKind
    units: str
    mean: float
    sd: float

    def __post_init__(self) -> None:
        object.__setattr__(self, "mean", float(self.mean))
        object.__setattr__(self, "sd", float(self.sd))
        if not self.name:
            raise RtdecodeError("a feature has no name", fix="name it as in the session's /features")
        feature, fix = f"feature {self.name!r}", "pass the statistics of the training bins"
        if self.kind not in FEATURE_KINDS:
            raise RtdecodeError(
                f"the kind of {feature} is {self.kind!r}", fix=f"pass one of {', '.join(FEATURE_KINDS)}"
            )
        if not math.isfinite(self.mean):
            raise RtdecodeError(f"the mean of {feature} is {self.mean}", fix=fix)
        if not (math.isfinite(self.sd) and self.sd >= 0):
            raise RtdecodeError(f"the SD of {feature} is {self.sd}; it must be 0 or above", fix=fix)

    @property
    def column(self) -> FeatureColumn:
        """What its column is called."""
        return FeatureColumn(self.name, self.kind, self.units)

    @property
    def scale(self) -> float:
        """Steps of a code in a unit; 0 for a column that is not read."""
        return CODES_PER_SD / self.sd if self.sd else 0.0
