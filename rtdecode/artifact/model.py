"""A model in memory: settings, tensors, and the id that follows from them."""

from __future__ import annotations

import hashlib
import json
import math
from collections import Counter
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from rtdecode.artifact.array import ElectrodeArray, check_arrays
from rtdecode.artifact.feature import LARGEST_CODE, MAX_FEATURES, Feature
from rtdecode.artifact.output import Output
from rtdecode.artifact.tensors import Arrays
from rtdecode.errors import RtdecodeError

FORMAT_VERSION = 1


_RANGE_FIX = "pass a value in this range; see docs/model-files.md"


@dataclass(frozen=True, eq=False)
class ModelArtifact:
    """A model as the runtime reads it. An instance is valid: the constructor checks what it is given.

    Two artifacts with one `model_id` decode alike. Arrays are copied, and read-only from then on.

    Args:
        kind: which decoder steps it, one of `rtdecode.decode.load.DECODERS`.
        causal: False for a non-causal network, which cannot be served.
        bin_width_s: the only bin width the model is valid for, in seconds.
        n_channels: channels of the stream, the masked ones included; 0 for a model of features alone.
        channel_mask: bool[n_channels]; False for a channel that the decoder ignores.
        outputs: what is decoded, in the order of the decoder's output.
        count_max: counts above it are clipped to it, 1 to 255.
        run: tensors the engine reads, named without the "run." they carry in the file.
        train: tensors a calibration continues from, named without "train."; not part of `model_id`.
        provenance: sessions, seed, versions, scores; any JSON; not part of `model_id`.
        widths: channels of each level of a network; () for the other kinds.
        fractional_bits: b, where the weights before a threshold are multiples of 2⁻ᵇ; None where none are.
        normaliser: settings of a normalisation that runs while decoding, any JSON; None where all is folded.
        features: columns read beside the counts, in their order in the stream; () for counts alone.
        arrays: whose channels these are, in order; () for those of one stream.

    Raises:
        RtdecodeError: a value is out of its range, or does not fit another.
    """

    kind: str
    causal: bool
    bin_width_s: float
    n_channels: int
    channel_mask: tuple[bool, ...]
    outputs: tuple[Output, ...]
    count_max: int
    run: Arrays
    train: Arrays = field(default_factory=dict)
    provenance: dict[str, Any] = field(default_factory=dict)
    widths: tuple[int, ...] = ()
    fractional_bits: int | None = None
    normaliser: dict[str, Any] | None = None
    features: tuple[Feature, ...] = ()
    arrays: tuple[ElectrodeArray, ...] = ()

    def __post_init__(self) -> None:
        settings: dict[str, Any] = {
            "causal": bool(self.causal),
            "bin_width_s": float(self.bin_width_s),
            "n_channels": int(self.n_channels),
            "channel_mask": tuple(bool(good) for good in self.channel_mask),
            "outputs": tuple(self.outputs),
            "count_max": int(self.count_max),
            "run": _checked_tensors("run", self.run),
            "train": _checked_tensors("train", self.train),
            "provenance": _plain_json("provenance", self.provenance),
            "widths": tuple(int(width) for width in self.widths),
            "normaliser": _plain_json("normaliser", self.normaliser),
            "features": tuple(self.features),
            "arrays": tuple(self.arrays),
        }
        for name, value in settings.items():
            object.__setattr__(self, name, value)
        _check_settings(self)

    @property
    def output_names(self) -> tuple[str, ...]:
        """Names of the outputs, in order."""
        return tuple(output.name for output in self.outputs)

    @property
    def channel_labels(self) -> tuple[str, ...]:
        """Labels of the channels of the recording that it was made of, in its provenance; () if unknown."""
        labels = self.provenance.get("channel_labels")
        if not isinstance(labels, list) or len(labels) != self.n_channels:
            return ()
        return tuple(map(str, labels))

    @property
    def n_inputs(self) -> int:
        """Length of a bin's input: the channels, then the features."""
        return self.n_channels + len(self.features)

    @property
    def reads(self) -> str:
        """What it reads, such as "96 channels and 96 features"."""
        counted = (self.n_channels, "channels"), (len(self.features), "features")
        return " and ".join(f"{n} {what}" for n, what in counted if n)

    @property
    def input_dtype(self) -> np.dtype[Any]:
        """Of a bin's input: u1 for counts alone, i2 where codes of features follow, which may be negative."""
        return np.dtype(np.int16 if self.features else np.uint8)

    @property
    def limits(self) -> npt.NDArray[np.uint8]:
        """u1[n_inputs], the most that each input counts, more is clipped; 0 for one that is not read."""
        counts = np.where(self.channel_mask, self.count_max, 0)
        features = [LARGEST_CODE if feature.sd else 0 for feature in self.features]
        return np.concatenate((counts, features)).astype(np.uint8)

    @property
    def largest_inputs(self) -> npt.NDArray[np.float64]:
        """f8[n_inputs], the largest size that each input can have, masked ones included."""
        return np.repeat([self.count_max, LARGEST_CODE], [self.n_channels, len(self.features)]).astype(float)

    @cached_property
    def model_id(self) -> str:
        """8 hex characters of a SHA-256 over run.* and `engine_metadata`."""
        digest = hashlib.sha256(canonical_json(self.engine_metadata()))
        for name in sorted(self.run):
            tensor = self.run[name]
            digest.update(canonical_json([f"run.{name}", tensor.dtype.str, list(tensor.shape)]))
            digest.update(tensor.tobytes())
        return digest.hexdigest()[:8]

    def engine_metadata(self) -> dict[str, Any]:
        """The metadata of the file that change what is decoded: all but the provenance."""
        names = ("kind", "causal", "bin_width_s", "n_channels", "channel_mask", "count_max")
        metadata = {name: getattr(self, name) for name in names}
        metadata |= {"format_version": FORMAT_VERSION, "outputs": [vars(output) for output in self.outputs]}
        later: dict[str, Any] = {
            "widths": self.widths,
            "grid_bits": self.fractional_bits,
            "normaliser": self.normaliser,
        }
        for name in ("features", "arrays"):
            later[name] = [vars(each) for each in getattr(self, name)] or None
        # Left out where unset: a field added to the format later leaves the ids of older files alone.
        return metadata | {name: value for name, value in later.items() if value not in ((), None)}


def check_counts_alone(model: ModelArtifact, command: str) -> None:
    """Refuse a model that reads features, for what reads counts only.

    Args:
        model: any.
        command: what cannot be done, a noun, such as "calibration".

    Raises:
        RtdecodeError: it reads features.
    """
    if model.features:
        raise RtdecodeError(
            f"the model reads {len(model.features)} features beside the counts, for which there is no "
            f"{command} yet",
            fix="use a model of counts alone; `rtdecode fit` and `decode` know features",
        )


def count_max_at(bin_width_s: float) -> int:
    """The count above which counts are clipped in a model of this bin width: one spike a millisecond.

    Between 1 and 255, so that counts fit a byte.
    """
    return min(max(round(bin_width_s / 1e-3), 1), 255)


def canonical_json(value: Any) -> bytes:
    """`value` as JSON that is the same for equal values."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), allow_nan=False).encode()


def _checked_tensors(group: str, tensors: Arrays) -> Arrays:
    checked = {}
    for name, tensor in tensors.items():
        if tensor.dtype.kind not in "buif" or tensor.dtype.itemsize > 8:
            fix = "pass bool, integer or float arrays of at most 8 bytes"
            raise RtdecodeError(f"tensor {group}.{name} is {tensor.dtype}, not numbers", fix=fix)
        if not np.isfinite(tensor).all():
            fix = "pass finite values; a fit may have diverged"
            raise RtdecodeError(f"tensor {group}.{name} holds NaN or infinity", fix=fix)
        copy = np.array(tensor, dtype=tensor.dtype.newbyteorder("<"), order="C")
        copy.flags.writeable = False
        checked[name] = copy
    return checked


def _check_settings(model: ModelArtifact) -> None:
    if not (math.isfinite(model.bin_width_s) and model.bin_width_s > 0):
        raise RtdecodeError(
            f"bin_width_s is {model.bin_width_s}; it must be above 0", fix="pass it in seconds"
        )
    if model.n_channels < (0 if model.features else 1):
        raise RtdecodeError(f"n_channels is {model.n_channels}; it must be 1 or more", fix=_RANGE_FIX)
    if len(model.channel_mask) != model.n_channels:
        n = len(model.channel_mask)
        raise RtdecodeError(
            f"channel_mask covers {n} of {model.n_channels} channels", fix="pass one bool for each channel"
        )
    if not 1 <= model.count_max <= 255:
        raise RtdecodeError(f"count_max is {model.count_max}; it must be 1 to 255", fix=_RANGE_FIX)
    check_arrays(model.arrays, model.n_channels)
    if not model.outputs:
        raise RtdecodeError("the model has no outputs", fix="pass at least one Output")
    for what, names in (
        ("outputs", model.output_names),
        ("features", [each.name for each in model.features]),
    ):
        twice = sorted(name for name, n in Counter(names).items() if n > 1)
        if twice:
            raise RtdecodeError(f"two {what} have the name {twice[0]!r}", fix="give each a name of its own")
    if len(model.features) > MAX_FEATURES:
        raise RtdecodeError(
            f"the model has {len(model.features)} features", fix=f"keep {MAX_FEATURES} at most"
        )
    if any(width < 1 for width in model.widths):
        raise RtdecodeError(f"widths are {model.widths}; each must be 1 or more", fix=_RANGE_FIX)
    if model.fractional_bits is not None and not 0 <= model.fractional_bits <= 24:
        raise RtdecodeError(f"fractional_bits is {model.fractional_bits}; it must be 0 to 24", fix=_RANGE_FIX)


def _plain_json(what: str, value: Any) -> Any:
    """`value` as it will read back from the file."""
    try:
        return json.loads(canonical_json(value))
    except (TypeError, ValueError, RecursionError) as error:
        fix = "pass text, finite numbers, lists and maps only"
        raise RtdecodeError(f"the {what} cannot be written as JSON ({error})", fix=fix) from error
