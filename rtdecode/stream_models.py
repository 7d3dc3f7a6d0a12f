"""Which models a stream has and had, which is current, and going back to one.

models_of("M1").models[0].kept.model
use_model("M1", "1a2b")
"""

from __future__ import annotations

import os
import shlex
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from rtdecode.errors import RtdecodeError
from rtdecode.model_history import History, KeptModel, described, newest_first
from rtdecode.model_store import (
    SUFFIX,
    current_model,
    find_by_id,
    history_of,
    install_current,
    stream_folders,
)


@dataclass(frozen=True)
class ListedModel:
    """A model of a stream.

    Attributes:
        kept: what is known of it.
        file: where it is; None if it is missing.
        current: whether it is the stream's current model.
    """

    kept: KeptModel
    file: Path | None
    current: bool

    def document(self) -> dict[str, Any]:
        """As --json prints it."""
        facts = {"file": None if self.file is None else str(self.file), "missing": self.file is None}
        return msgspec.structs.asdict(self.kept) | facts | {"current": self.current}


@dataclass(frozen=True)
class StreamModels:
    """The models of a stream.

    Attributes:
        stream: its name.
        models: the one that became current last first.
        damaged: file of the current model if it cannot be read, else None.
    """

    stream: str
    models: tuple[ListedModel, ...]
    damaged: Path | None = None

    @property
    def current(self) -> str | None:
        """Id of the current model; None without one that can be read."""
        return next((each.kept.model for each in self.models if each.current), None)


def models_of(stream: str) -> StreamModels:
    """The models of a stream; none if it has never had one. Nothing is written."""
    return _listed(stream, current_model(stream).parent, history_of(stream))


def every_stream() -> list[StreamModels]:
    """The models of each stream that has or had one, by name."""
    each = [_listed(*folder) for folder in stream_folders()]
    return [stream for stream in each if stream.models or stream.damaged]


def use_model(stream: str, prefix: str) -> tuple[KeptModel, Path]:
    """Make a model that was current before the current one again.

    Args:
        stream: its name.
        prefix: the model's id, or its first characters.

    Returns:
        What is known of the model, and the path of the current copy.

    Raises:
        RtdecodeError: no model or several have that id, its file is missing, or the user data directory
            cannot be written.
    """
    listed = models_of(stream).models
    found = [each for each in listed if prefix and each.kept.model.startswith(prefix.lower())]
    if len(found) != 1:
        ids = ", ".join(each.kept.model for each in found or listed)
        raise RtdecodeError(
            f"{len(found) or 'no'} models of this stream have an id that starts with {prefix!r}",
            where=stream,
            fix=f"use one of {ids}" if ids else "make one with `rtdecode fit SESSION.h5 --current STREAM`",
        )
    kept, listed_file = found[0].kept, found[0].file
    # Where one copy is damaged another may be sound.
    copies = [listed_file, kept.source and Path(kept.source)]
    file = find_by_id(kept.model, [path for path in copies if path])
    if file is None:
        copy = history_of(stream).path(kept.model)
        raise RtdecodeError(
            f"the file of model {kept.model} is {'damaged' if os.path.isfile(copy) else 'missing'}",
            where=str(copy),
            fix="copy it there from a backup, or choose another model",
        )
    return kept, install_current(file, stream)


def _listed(stream: str, folder: Path, history: History) -> StreamModels:
    models = {kept.model: kept for kept in history.models()}
    current, current_id, places = folder / f"current{SUFFIX}", None, {}
    # An earlier version kept these two and no history.
    for path in (folder / f"previous{SUFFIX}", current):
        if (kept := described(path)) is not None:
            models.setdefault(kept.model, kept)
            places[kept.model] = path
            current_id = kept.model if path == current else None
    listed = []
    for kept in newest_first(models.values()):
        copies = [history.path(kept.model), places.get(kept.model), kept.source and Path(kept.source)]
        file = next((path for path in copies if path and os.path.isfile(path)), None)
        listed.append(ListedModel(kept, file, kept.model == current_id))
    damaged = current if current_id is None and os.path.isfile(current) else None
    return StreamModels(stream, tuple(listed), damaged)


@contextmanager
def advice_to_go_back(path: Path, stream: str) -> Iterator[None]:
    """An error about the current model of a stream advises to go back to an earlier one.

    Raises:
        RtdecodeError: as raised inside.
    """
    try:
        yield
    except RtdecodeError as error:
        if path != current_model(stream):
            raise
        named = shlex.quote(stream)
        fix = f"`rtdecode models use {named} ID` goes back to one that `rtdecode models {named}` lists"
        raise RtdecodeError(error.what, where=error.where, fix=fix) from error
