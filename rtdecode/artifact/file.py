"""A model's file: written atomically, verified when it is read."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import safetensors.numpy

from rtdecode.artifact.array import ElectrodeArray
from rtdecode.artifact.feature import Feature
from rtdecode.artifact.model import FORMAT_VERSION, ModelArtifact, canonical_json
from rtdecode.artifact.output import Output
from rtdecode.artifact.tensors import COPY_FIX, METADATA_KEY, Arrays, parse_tensors, with_prefix
from rtdecode.errors import RtdecodeError, located
from rtdecode.files import numbered, replace_file, write_new_file

MAX_FILE_BYTES = 256 * 2**20

_NEW_MODEL_FIX = "make a new model with `rtdecode fit SESSION.h5`"
_UPGRADE_FIX = "pip install --upgrade rtdecode"


def write_artifact(path: Path | str, artifact: ModelArtifact) -> None:
    """Write `artifact` to `path`, atomically: a reader sees the old file or the new one.

    Raises:
        RtdecodeError: the folder is missing or cannot be written, or the file would be too large.
    """
    replace_file(path, _encoded(artifact, path))


def write_new_artifact(stem: Path, suffix: str, artifact: ModelArtifact) -> Path:
    """Write `artifact` to a new file, atomically: `stem` with the suffix, numbered if that exists.

    Returns:
        the path that was written.

    Raises:
        RtdecodeError: as `write_artifact`.
    """
    return write_new_file(numbered(stem, suffix), _encoded(artifact, stem))


def _encoded(artifact: ModelArtifact, path: Path | str) -> bytes:
    """The file's bytes; `path` is for the error."""
    tensors = {f"run.{name}": tensor for name, tensor in artifact.run.items()}
    tensors |= {f"train.{name}": tensor for name, tensor in artifact.train.items()}
    identity = {"provenance": artifact.provenance, "model_id": artifact.model_id}
    metadata = artifact.engine_metadata() | identity
    data: bytes = safetensors.numpy.save(tensors, metadata={METADATA_KEY: canonical_json(metadata).decode()})
    if len(data) > MAX_FILE_BYTES:
        raise RtdecodeError(
            f"the model takes {len(data)} bytes; a model file may have {MAX_FILE_BYTES}",
            where=str(path),
            fix="use a shorter history or fewer channels",
        )
    return data


def read_artifact(path: Path | str, *, train: bool = True) -> ModelArtifact:
    """Read and verify a model file.

    Args:
        path: of the file.
        train: whether to read `train.*`, which no decoder needs.

    Raises:
        RtdecodeError: the file does not exist, is no artifact of this format version, is damaged (its
            `model_id` does not follow from its content), or has a value out of its range.
    """
    path = Path(path)
    with located(path):
        tensors, text = parse_tensors(_read_bytes(path))
        stored = _parse_metadata(text)
        artifact = _build(stored, tensors, train)
        if artifact.model_id != stored.model_id:
            raise RtdecodeError(
                f"is damaged: its model_id is {stored.model_id}, its content that of {artifact.model_id}",
                fix=COPY_FIX,
            )
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
    fractional_bits: int | None = msgspec.field(default=None, name="grid_bits")
    normaliser: dict[str, Any] | None = None
    features: tuple[Feature, ...] = ()
    arrays: tuple[ElectrodeArray, ...] = ()


def _read_bytes(path: Path) -> bytes:
    fix = "check the path"
    try:
        if path.is_dir():
            raise RtdecodeError("is a folder, not a model file", fix=fix)
        if not path.exists():
            raise RtdecodeError("does not exist", fix=fix)
        if not path.is_file():
            raise RtdecodeError("is not a regular file", fix=fix)
        if path.stat().st_size > MAX_FILE_BYTES:
            raise RtdecodeError(f"is larger than the {MAX_FILE_BYTES // 2**20} MiB a model may have", fix=fix)
        return path.read_bytes()
    except (OSError, ValueError) as error:  # ValueError: a path with a null byte
        raise RtdecodeError(f"cannot be read ({error})", fix=fix) from error


def _parse_metadata(text: str) -> _Metadata:
    try:
        version = msgspec.json.decode(text, type=_Version).format_version
        if version != FORMAT_VERSION:
            raise RtdecodeError(
                f"has format version {version}; this rtdecode reads version {FORMAT_VERSION}",
                fix=_UPGRADE_FIX if version > FORMAT_VERSION else _NEW_MODEL_FIX,
            )
        return msgspec.json.decode(text, type=_Metadata)
    except (msgspec.DecodeError, RecursionError, UnicodeError) as error:
        if isinstance(error.__cause__, RtdecodeError):  # raised by Output, wrapped by msgspec
            raise RtdecodeError(error.__cause__.what, fix=_NEW_MODEL_FIX) from error
        fix = f"{_UPGRADE_FIX} if a later version wrote it, else {_NEW_MODEL_FIX}"
        raise RtdecodeError(f"has `rtdecode` metadata that cannot be read ({error})", fix=fix) from error


def _build(stored: _Metadata, tensors: Arrays, train: bool) -> ModelArtifact:
    stray = [name for name in tensors if not name.startswith(("run.", "train."))]
    if stray:
        raise RtdecodeError(f"has a tensor {stray[0]!r}, neither run.* nor train.*", fix=_NEW_MODEL_FIX)
    settings = msgspec.structs.asdict(stored)
    for key in ("format_version", "model_id"):
        del settings[key]
    train_tensors = with_prefix("train.", tensors) if train else {}
    try:
        return ModelArtifact(run=with_prefix("run.", tensors), train=train_tensors, **settings)
    except RtdecodeError as error:
        raise RtdecodeError(error.what, fix=_NEW_MODEL_FIX) from error
