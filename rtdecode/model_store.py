"""Find models: by path, by name, or as the `current` model of a stream."""

from __future__ import annotations

import contextlib
import hashlib
import os
import shlex
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.resources import files
from pathlib import Path
from urllib.parse import quote, unquote

import platformdirs

from rtdecode.artifact import read_artifact
from rtdecode.errors import RtdecodeError
from rtdecode.files import replace_file
from rtdecode.model_history import History, KeptModel, described

SUFFIX = ".safetensors"

#: As a model's name: the current model of the stream.
CURRENT = "current"

#: Of a calibrated model that its gate has refused.
REFUSED_SUFFIX = ".refused.safetensors"
_LONGEST_FOLDER_NAME = 200  # file systems stop at 255 bytes


@dataclass(frozen=True)
class StoredModel:
    """A model that can be found by name."""

    name: str
    path: Path
    kind: str
    n_channels: int
    bin_width_s: float
    model_id: str

    def __str__(self) -> str:
        width_ms = 1e3 * self.bin_width_s
        return f"{self.name} ({self.kind}, {self.n_channels} channels, {width_ms:g}-ms bins, {self.model_id})"


def data_dir() -> Path:
    """The user data directory; its folder `models` has the models.

    Raises:
        RtdecodeError: the user has no home folder, and XDG_DATA_HOME is not set.
    """
    # Without a home folder platformdirs raises RuntimeError; older versions give a relative path.
    with contextlib.suppress(RuntimeError):
        folder = Path(platformdirs.user_data_dir("rtdecode", appauthor=False))
        if folder.is_absolute():
            return folder
    raise RtdecodeError(
        "this user has no home folder, where models are stored",
        fix="set HOME, or XDG_DATA_HOME to the whole path of a folder",
    )


def find_model(model: str | None, stream: str | None = None) -> Path:
    """The file of a model.

    Args:
        model: a path; or a name: a model in the user data directory, the current model of the stream of
            that name, or a bundled model; None for the current model of `stream`, and so is "current" where
            there is a stream.
        stream: the stream's name.

    Raises:
        RtdecodeError: there is none; the message lists the models that exist.
    """
    if model is not None and (model != CURRENT or stream is None):
        return _named(model)
    if stream is None:
        raise RtdecodeError("neither a model nor a stream was named", fix=_fix(None))
    current = current_model(stream)
    if not current.is_file():
        raise RtdecodeError(f"has no current model. {_existing()}", where=stream, fix=_fix(stream))
    return current


def current_model(stream: str) -> Path:
    """The path of the current model of `stream`, which may not exist yet."""
    return _models_dir() / _folder_name(stream) / f"current{SUFFIX}"


def previous_model(stream: str) -> Path:
    """The path of the model that was current before, which may not exist."""
    return current_model(stream).with_name(f"previous{SUFFIX}")


def history_of(stream: str) -> History:
    """The models that were current for `stream`."""
    return History(_history_dir() / _folder_name(stream), SUFFIX)


def stream_folders() -> list[tuple[str, Path, History]]:
    """Of each stream that has or had a model: its name, the folder of its current model, its history.

    Raises:
        RtdecodeError: the user data directory cannot be read.
    """
    roots = [root for root in (_models_dir(), _history_dir()) if os.path.isdir(root)]
    try:
        names = {path.name for root in roots for path in root.iterdir() if os.path.isdir(path)}
    except OSError as error:
        raise _unusable(data_dir(), error) from error
    return [
        (unquote(each), _models_dir() / each, History(_history_dir() / each, SUFFIX))
        for each in sorted(names)
    ]


def install_current(path: Path | str, stream: str) -> Path:
    """Make a copy of a model the current one of `stream`; the old one is kept as `previous.safetensors`.

    All that were current are kept in the stream's history, under their model_id.

    Returns:
        the path of the copy.

    Raises:
        RtdecodeError: the file is not a valid model, or the user data directory cannot be written.
    """
    artifact = read_artifact(path)
    data = Path(path).read_bytes()
    current, previous, history = current_model(stream), previous_model(stream), history_of(stream)
    try:
        current.parent.mkdir(parents=True, exist_ok=True)
        # One that cannot be read is replaced as if there were none.
        before = current.read_bytes() if os.access(current, os.R_OK) else None
        if before != data or history.find(artifact.model_id) is None:
            _keep_unknown(history, (previous, current))
            known = history.find(artifact.model_id)
            source: str | None = str(Path(path).absolute())
            if Path(path).parent in (history.folder, current.parent):
                # Made current again: it is from where it was.
                source = None if known is None else known.source
            history.keep(KeptModel.of(artifact, datetime.now(UTC), source), data)
    except OSError as error:
        raise _unusable(current.parent, error) from error
    if before == data:
        return current
    if before is not None:
        replace_file(previous, before)
    replace_file(current, data)
    return current


def _keep_unknown(history: History, paths: Iterable[Path]) -> None:
    """Keep the models that an earlier version, which kept no history, made current."""
    for path in paths:
        kept = described(path)
        if kept is not None and history.find(kept.model) is None:
            history.keep(kept, path.read_bytes())


def find_by_id(model_id: str, paths: Iterable[Path]) -> Path | None:
    """The file of the model with this id, or None.

    Args:
        model_id: 8 hex characters.
        paths: files to try first, before the named ones and those that are or were current.
    """
    stored = [*_models_dir().glob(f"*{SUFFIX}"), *_models_dir().glob(f"*/*{SUFFIX}"), *bundled_models()]
    paths = [*paths, *_history_dir().glob(f"*/{model_id}{SUFFIX}")]
    for path in [*paths, *sorted(stored)]:
        try:
            if path.is_file() and read_artifact(path).model_id == model_id:
                return path
        except (RtdecodeError, OSError):
            continue
    return None


def list_models() -> list[StoredModel]:
    """Every readable model that has a name: in the user data directory, then the bundled ones."""
    named = [(path.name.removesuffix(SUFFIX), path) for path in sorted(_models_dir().glob(f"*{SUFFIX}"))]
    named += [(path.parent.name, path) for path in sorted(_models_dir().glob(f"*/current{SUFFIX}"))]
    named += [(path.name.removesuffix(SUFFIX), path) for path in bundled_models()]
    models = []
    for name, path in named:
        try:
            model = read_artifact(path)
        except RtdecodeError:
            continue
        models.append(
            StoredModel(unquote(name), path, model.kind, model.n_channels, model.bin_width_s, model.model_id)
        )
    return models


def bundled_models() -> list[Path]:
    """Files of the bundled models, sorted by name."""
    folder = _bundled_dir()
    return [] if folder is None else sorted(folder.glob(f"*{SUFFIX}"))


def _named(model: str) -> Path:
    path = os.path.expanduser(model)
    if os.path.isfile(path):
        return Path(path)
    folder = _folder_name(model)
    paths = [_models_dir() / f"{folder}{SUFFIX}", _models_dir() / folder / f"current{SUFFIX}"]
    bundled = _bundled_dir()
    if bundled is not None:
        paths.append(bundled / f"{folder}{SUFFIX}")
    for each in paths:
        if each.is_file():
            return each
    if os.path.isdir(path):
        raise RtdecodeError("is a folder, not a model file", where=model, fix="name the file in it")
    if "/" in model or model.endswith(SUFFIX):
        raise RtdecodeError(f"does not exist. {_existing()}", where=model, fix="check the path")
    raise RtdecodeError(f"is not the name of a model. {_existing()}", where=model, fix=_fix(None))


def _models_dir() -> Path:
    return data_dir() / "models"


def _history_dir() -> Path:
    return data_dir() / "history"


def _bundled_dir() -> Path | None:
    try:
        package = files("rtdecode.models")
    except ModuleNotFoundError:  # Python was started where an rtdecode/ folder hides the installation
        return None
    return Path(str(package / "pretrained"))


def _folder_name(stream: str) -> str:
    """`stream` as one safe path component; different streams never have the same one."""
    if not stream:
        raise RtdecodeError("a stream or model has no name", fix="name it")
    name = quote(stream, safe="", errors="surrogatepass")
    if name.startswith("."):
        name = "%2E" + name[1:]
    if len(name) > _LONGEST_FOLDER_NAME:
        digest = hashlib.sha256(name.encode()).hexdigest()[:32]
        name = f"{name[: _LONGEST_FOLDER_NAME - 33]}~{digest}"
    return name


def _unusable(folder: Path, error: OSError) -> RtdecodeError:
    fix = "check that you may write there, or set XDG_DATA_HOME to a folder where you may"
    return RtdecodeError(
        f"cannot be used ({error.strerror or error})", where=str(error.filename or folder), fix=fix
    )


def _existing() -> str:
    models = list_models()
    if not models:
        return f"There is no model in {_models_dir()}"
    return f"Models: {'; '.join(map(str, models))}"


def _fix(stream: str | None) -> str:
    current = f" --current {shlex.quote(stream)}" if stream else ""
    return f"make one with `rtdecode fit SESSION.h5 --kind wiener{current}`, or give --model PATH"
