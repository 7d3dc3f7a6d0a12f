"""The model artifact: one safetensors file with everything the runtime needs, and no pickle.

    artifact = read_artifact("today.safetensors")
    artifact.kind, artifact.n_channels, artifact.bin_width_s, artifact.model_id

Tensors are named `run.*` (what the engine reads) and `train.*` (what a calibration continues from);
one metadata entry, `rtdecode`, holds the rest as JSON. docs/model-files.md describes the file.
"""

from __future__ import annotations

import hashlib
import json
import math
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from types import MappingProxyType
from typing import Any, Literal, get_args

import msgspec
import numpy as np
import safetensors.numpy
from numpy.typing import NDArray

from rtdecode.errors import RtdecodeError
from rtdecode.files import replace_file

FORMAT_VERSION = 1
MAX_FILE_BYTES = 256 * 2**20
METADATA_KEY = "rtdecode"

Role = Literal["position", "velocity", "other"]

ROLES: tuple[str, ...] = get_args(Role)

_MAX_HEADER_BYTES = 100_000_000  # what the safetensors format allows
_DTYPES = MappingProxyType(
    {"BOOL": "?", "U8": "u1", "I8": "i1", "U16": "<u2", "I16": "<i2", "U32": "<u4", "I32": "<i4"}
    | {"U64": "<u8", "I64": "<i8", "F16": "<f2", "F32": "<f4", "F64": "<f8"}
)
_LENGTH_UNITS = frozenset({"m", "cm", "mm", "um", "µm", "in", "inch", "px", "pixel", "pixels", "deg", "rad"})
_POSITION_NAMES = frozenset({"x", "y", "z"})
_NEW_FILE_FIX = "make a new one with `rtdecode fit SESSION.h5`"


@dataclass(frozen=True)
class Output:
    """One decoded value.

    Args:
        name: as in the session's /behavior, e.g. "x".
        units: e.g. "mm" or "mm/s"; "" where there are none.
        mean: mean over the training labels, in `units`.
        sd: standard deviation over the training labels, in `units`; above 0.
        role: what the fail-safe does with it: hold a position, zero a velocity, hold anything else.
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
            raise RtdecodeError("an output has no name")
        if not math.isfinite(self.mean):
            raise RtdecodeError(f"output {self.name!r} has a mean of {self.mean}")
        if not (math.isfinite(self.sd) and self.sd > 0):
            raise RtdecodeError(f"output {self.name!r} has an SD of {self.sd}; it must be above 0")
        if self.role not in ROLES:
            raise RtdecodeError(f"output {self.name!r} has role {self.role!r}, not one of {', '.join(ROLES)}")


@dataclass(frozen=True, eq=False)
class ModelArtifact:
    """A model as the runtime reads it. An instance is valid: the constructor checks what it is given.

    Two artifacts with one `model_id` decode alike. Arrays are copied, and read-only from then on.

    Args:
        kind: which decoder steps it, one of `rtdecode.decode.load.DECODERS`.
        causal: False for a network that looks ahead; such a model cannot be served.
        bin_width_s: the only bin width the model understands, in seconds.
        n_channels: channels of the stream, the masked ones included.
        channel_mask: bool[n_channels]; False for a channel that the decoder ignores.
        outputs: what is decoded, in the order of the decoder's output.
        count_max: counts above it are clipped to it, 1 to 255.
        run: tensors the engine reads, named without the "run." they carry in the file.
        train: tensors a calibration continues from, named without "train."; not part of `model_id`.
        provenance: sessions, seed, versions, scores; any JSON; not part of `model_id`.
        widths: channels of each level of a network; () for the other kinds.
        fractional_bits: b, where the weights before a threshold are multiples of 2⁻ᵇ; None where none are.
        normaliser: settings of a normalisation that runs while decoding, any JSON; None where all is folded.

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
    run: dict[str, NDArray[Any]]
    train: dict[str, NDArray[Any]] = field(default_factory=dict)
    provenance: dict[str, Any] = field(default_factory=dict)
    widths: tuple[int, ...] = ()
    fractional_bits: int | None = None
    normaliser: dict[str, Any] | None = None

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
        }
        for name, value in settings.items():
            object.__setattr__(self, name, value)
        _check_settings(self)

    @property
    def output_names(self) -> tuple[str, ...]:
        """Names of the outputs, in order."""
        return tuple(output.name for output in self.outputs)

    @cached_property
    def model_id(self) -> str:
        """8 hex characters of a SHA-256 over run.* and all metadata but the provenance."""
        digest = hashlib.sha256(_canonical_json(self._engine_metadata()))
        for name in sorted(self.run):
            tensor = self.run[name]
            digest.update(_canonical_json([f"run.{name}", tensor.dtype.str, list(tensor.shape)]))
            digest.update(tensor.tobytes())
        return digest.hexdigest()[:8]

    def _engine_metadata(self) -> dict[str, Any]:
        metadata: dict[str, Any] = {
            "format_version": FORMAT_VERSION,
            "kind": self.kind,
            "causal": self.causal,
            "bin_width_s": self.bin_width_s,
            "n_channels": self.n_channels,
            "channel_mask": list(self.channel_mask),
            "outputs": [vars(output) for output in self.outputs],
            "count_max": self.count_max,
        }
        # Left out where unset: a field added to the format later leaves the ids of older files alone.
        if self.widths:
            metadata["widths"] = list(self.widths)
        if self.fractional_bits is not None:
            metadata["grid_bits"] = self.fractional_bits
        if self.normaliser is not None:
            metadata["normaliser"] = self.normaliser
        return metadata


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


def count_max_at(bin_width_s: float) -> int:
    """The count above which counts are clipped in a model of this bin width: one spike a millisecond.

    Between 1 and 255, so that counts fit a byte.
    """
    return min(max(round(bin_width_s / 1e-3), 1), 255)


def write_artifact(path: Path | str, artifact: ModelArtifact) -> None:
    """Write `artifact` to `path`, atomically: a reader sees the old file or the new one.

    Raises:
        RtdecodeError: the folder is missing or cannot be written, or the file would be too large.
    """
    tensors = {f"run.{name}": tensor for name, tensor in artifact.run.items()}
    tensors |= {f"train.{name}": tensor for name, tensor in artifact.train.items()}
    metadata = artifact._engine_metadata() | {
        "provenance": artifact.provenance,
        "model_id": artifact.model_id,
    }
    data = safetensors.numpy.save(tensors, metadata={METADATA_KEY: _canonical_json(metadata).decode()})
    if len(data) > MAX_FILE_BYTES:
        raise RtdecodeError(
            f"the model takes {len(data)} bytes, more than the {MAX_FILE_BYTES} a reader takes",
            where=str(path),
            fix="use a shorter history or fewer channels",
        )
    replace_file(path, data)


def read_artifact(path: Path | str, *, train: bool = True) -> ModelArtifact:
    """Read and verify a model file.

    Args:
        path: of the file.
        train: whether to take `train.*`, which no decoder reads.

    Raises:
        RtdecodeError: there is no such file, it is no artifact of this format version, it is damaged
            (its `model_id` does not follow from its content), or a value in it is out of range.
    """
    path = Path(path)
    try:
        tensors, text = _parse(_read_bytes(path))
        stored = _parse_metadata(text)
        artifact = ModelArtifact(
            kind=stored.kind,
            causal=stored.causal,
            bin_width_s=stored.bin_width_s,
            n_channels=stored.n_channels,
            channel_mask=stored.channel_mask,
            outputs=stored.outputs,
            count_max=stored.count_max,
            run=_with_prefix(tensors, "run."),
            train=_with_prefix(tensors, "train.") if train else {},
            provenance=stored.provenance,
            widths=stored.widths,
            fractional_bits=stored.grid_bits,
            normaliser=stored.normaliser,
        )
        if artifact.model_id != stored.model_id:
            raise RtdecodeError(
                f"damaged: it says model {stored.model_id} and holds {artifact.model_id}",
                fix="copy the file again, or " + _NEW_FILE_FIX,
            )
    except RtdecodeError as error:
        raise RtdecodeError(error.what, where=str(path), fix=error.fix or _NEW_FILE_FIX) from error
    return artifact


class _Version(msgspec.Struct):
    format_version: int


class _Metadata(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    format_version: int
    kind: str
    causal: bool
    bin_width_s: float
    n_channels: int
    channel_mask: tuple[bool, ...]
    outputs: tuple[Output, ...]
    count_max: int
    model_id: str
    provenance: dict[str, Any]
    widths: tuple[int, ...] = ()
    grid_bits: int | None = None
    normaliser: dict[str, Any] | None = None


def _read_bytes(path: Path) -> bytes:
    fix = "check the path"
    try:
        if path.is_dir():
            raise RtdecodeError("is a folder, not a model file", fix=fix)
        if not path.exists():
            raise RtdecodeError("no such file", fix=fix)
        if not path.is_file():
            raise RtdecodeError("not a regular file", fix=fix)
        if path.stat().st_size > MAX_FILE_BYTES:
            raise RtdecodeError(f"larger than the {MAX_FILE_BYTES // 2**20} MiB a model may take", fix=fix)
        return path.read_bytes()
    except (OSError, ValueError) as error:  # ValueError: a path with a null byte
        raise RtdecodeError(f"cannot be read ({error})", fix=fix) from error


def _parse(data: bytes) -> tuple[dict[str, NDArray[Any]], str]:
    """Tensors of a safetensors file and its `rtdecode` entry."""
    header_bytes = int.from_bytes(data[:8], "little")
    if len(data) < 9 or data[8:9] != b"{" or header_bytes > _MAX_HEADER_BYTES:
        raise RtdecodeError("not a model file (not safetensors)")
    if 8 + header_bytes > len(data):
        raise RtdecodeError(f"truncated: {len(data)} bytes, its header alone says {8 + header_bytes}")
    try:
        header = json.loads(data[8 : 8 + header_bytes])
        entries = [tensor for name, tensor in header.items() if name != "__metadata__"]
        unknown = {tensor["dtype"] for tensor in entries} - _DTYPES.keys()
        ends = [tensor["data_offsets"][1] for tensor in entries]
        size = 8 + header_bytes + max(ends, default=0)
        if size > len(data):
            raise RtdecodeError(f"truncated: {len(data)} of {size} bytes")
        if size < len(data):
            raise ValueError("something behind the last tensor")
        if unknown:
            raise RtdecodeError(f"holds a tensor of type {sorted(unknown)[0]}, which no model here has")
        tensors = {
            name: _view(data, 8 + header_bytes, tensor)
            for name, tensor in header.items()
            if name != "__metadata__"
        }
    except (ValueError, TypeError, LookupError, AttributeError, RecursionError) as error:
        raise RtdecodeError(f"damaged safetensors file ({type(error).__name__})") from error
    text = (header.get("__metadata__") or {}).get(METADATA_KEY)
    if text is None:
        raise RtdecodeError("a safetensors file, but no rtdecode model (no `rtdecode` metadata)")
    return tensors, text


def _view(data: bytes, start: int, tensor: dict[str, Any]) -> NDArray[Any]:
    """One tensor of a safetensors file, where it lies.

    The library copies all of them and keeps the interpreter meanwhile: milliseconds in which a daemon that
    loads another model could not decode.
    """
    first, end = (int(offset) for offset in tensor["data_offsets"])
    dtype, shape = np.dtype(_DTYPES[tensor["dtype"]]), tuple(int(size) for size in tensor["shape"])
    if not 0 <= first <= end or end - first != math.prod(shape) * dtype.itemsize or min(shape, default=0) < 0:
        raise ValueError(f"a tensor of shape {shape} in {end - first} bytes")
    return np.frombuffer(data, dtype, math.prod(shape), start + first).reshape(shape)


def _parse_metadata(text: str) -> _Metadata:
    try:
        version = msgspec.json.decode(text, type=_Version).format_version
        if version != FORMAT_VERSION:
            newer = version > FORMAT_VERSION
            raise RtdecodeError(
                f"format version {version}; this rtdecode reads version {FORMAT_VERSION}",
                fix="upgrade rtdecode" if newer else _NEW_FILE_FIX,
            )
        return msgspec.json.decode(text, type=_Metadata)
    except (msgspec.DecodeError, RecursionError, UnicodeError) as error:
        cause = error.__cause__
        if isinstance(cause, RtdecodeError):  # raised by Output, wrapped by msgspec
            raise cause from error
        raise RtdecodeError(f"its `rtdecode` metadata cannot be read ({error})") from error


def _with_prefix(tensors: dict[str, NDArray[Any]], prefix: str) -> dict[str, NDArray[Any]]:
    for name in tensors:
        if not name.startswith(("run.", "train.")):
            raise RtdecodeError(f"holds a tensor {name!r}, which is neither run.* nor train.*")
    return {name.removeprefix(prefix): tensor for name, tensor in tensors.items() if name.startswith(prefix)}


def _checked_tensors(group: str, tensors: dict[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
    checked = {}
    for name, tensor in tensors.items():
        if tensor.dtype.kind not in "buif" or tensor.dtype.itemsize > 8:
            raise RtdecodeError(f"tensor {group}.{name} is {tensor.dtype}, not numbers")
        if not np.isfinite(tensor).all():
            raise RtdecodeError(f"tensor {group}.{name} holds NaN or infinity")
        copy = np.array(tensor, dtype=tensor.dtype.newbyteorder("<"), order="C")
        copy.flags.writeable = False
        checked[name] = copy
    return checked


def _check_settings(artifact: ModelArtifact) -> None:
    if not (math.isfinite(artifact.bin_width_s) and artifact.bin_width_s > 0):
        raise RtdecodeError(f"a bin width of {artifact.bin_width_s} s; it must be above 0")
    if artifact.n_channels < 1:
        raise RtdecodeError(f"a model of {artifact.n_channels} channels; it needs at least 1")
    if len(artifact.channel_mask) != artifact.n_channels:
        raise RtdecodeError(
            f"its channel mask covers {len(artifact.channel_mask)} of {artifact.n_channels} channels"
        )
    if not 1 <= artifact.count_max <= 255:
        raise RtdecodeError(f"a count_max of {artifact.count_max}; it must lie in 1..255")
    if not artifact.outputs:
        raise RtdecodeError("a model without outputs")
    names = artifact.output_names
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise RtdecodeError(f"the output {twice[0]!r} is there twice")
    if any(width < 1 for width in artifact.widths):
        raise RtdecodeError(f"widths of {artifact.widths}; each must be at least 1")
    if artifact.fractional_bits is not None and not 0 <= artifact.fractional_bits <= 24:
        raise RtdecodeError(f"grid_bits of {artifact.fractional_bits}; it must lie in 0..24")


def _canonical_json(value: Any) -> bytes:
    return json.dumps(value, sort_keys=True, separators=(",", ":"), allow_nan=False).encode()


def _plain_json(what: str, value: Any) -> Any:
    """`value` as it will read back from the file."""
    try:
        return json.loads(_canonical_json(value))
    except (TypeError, ValueError, RecursionError) as error:
        raise RtdecodeError(f"the {what} cannot be written as JSON ({error})") from error
