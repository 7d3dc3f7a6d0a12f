"""The models that were current for a stream: a copy of each, and beside it where it came from and when.

    history = History(folder, ".safetensors")
    history.keep(artifact, data, KeptModel.of(artifact, since=now, source=path))
    history.models()                                    # newest first

Every model has files of its own, written atomically, so that a crash, a damaged file or another process costs
no other model its entry. A copy that somebody deletes leaves its entry, which says that the file is missing.
"""

from __future__ import annotations

import math
import os
from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec

from rtdecode.artifact import ModelArtifact, read_artifact
from rtdecode.errors import RtdecodeError
from rtdecode.files import replace_file


class KeptModel(msgspec.Struct, frozen=True, kw_only=True):
    """What is known of a model that was current.

    Attributes:
        model: its model_id.
        kind: alignnet, wiener, …
        since: when it last became current, ISO 8601 in UTC.
        made: when it was made, as its provenance states; None if it does not.
        source: file that was made current; None if unknown.
        session: name of the last session that it was trained on; None if unknown.
        base, rung: the model that it was calibrated from, and how; None if it was not.
        r2: mean R² on time that it was not trained on; None if unknown.
        scores: all scores, as its provenance has them.
    """

    model: str
    kind: str
    since: str
    made: str | None = None
    source: str | None = None
    session: str | None = None
    base: str | None = None
    rung: str | None = None
    r2: float | None = None
    scores: Any = None

    @classmethod
    def of(cls, artifact: ModelArtifact, since: datetime, source: str | None = None) -> KeptModel:
        """Described by its metadata; `since` has a time zone."""
        provenance = artifact.provenance  # any JSON, so nothing in it is certain
        scores, sessions = provenance.get("scores"), provenance.get("sessions")
        last = sessions[-1] if isinstance(sessions, list) and sessions else None
        return cls(
            model=artifact.model_id,
            kind=artifact.kind,
            since=since.astimezone(UTC).isoformat(timespec="milliseconds"),
            made=_text(provenance.get("created")),
            # JSON has no place for the bytes of a name that is no text.
            source=source if source is None else source.encode(errors="backslashreplace").decode(),
            session=_text(last.get("name")) if isinstance(last, dict) else None,
            base=_text(provenance.get("base")),
            rung=_text(provenance.get("rung")),
            r2=_mean_r2(scores),
            scores=scores,
        )


class History:
    """The models that were current for one stream.

    Args:
        folder: of the history, which may not exist yet.
        suffix: of model files.
    """

    def __init__(self, folder: Path, suffix: str) -> None:
        self.folder, self._suffix = folder, suffix

    def path(self, model: str) -> Path:
        """The copy of the model with this id; it may be missing."""
        return self.folder / f"{model}{self._suffix}"

    def keep(self, kept: KeptModel, data: bytes) -> None:
        """Keep a model.

        Args:
            kept: what is known of it.
            data: its file.

        Raises:
            OSError: the folder cannot be made.
            RtdecodeError: it cannot be written.
        """
        self.folder.mkdir(parents=True, exist_ok=True)
        path = self.path(kept.model)
        if not (os.access(path, os.R_OK) and path.read_bytes() == data):
            replace_file(path, data)
        # Last: without it the copy alone is still listed.
        replace_file(self._record(kept.model), msgspec.json.encode(kept))

    def find(self, model: str) -> KeptModel | None:
        """What is known of the model with this id; None if it was never kept."""
        try:
            kept = msgspec.json.decode(self._record(model).read_bytes(), type=KeptModel)
            datetime.fromisoformat(kept.since).astimezone()
            if kept.model == model:
                return kept
        except (OSError, OverflowError, ValueError, msgspec.MsgspecError):
            pass
        return described(self.path(model))

    def models(self) -> list[KeptModel]:
        """All of them, the one that became current last first."""
        names = {
            path.stem for pattern in ("*.json", f"*{self._suffix}") for path in self.folder.glob(pattern)
        }
        return newest_first(kept for name in names if (kept := self.find(name)) is not None)

    def _record(self, model: str) -> Path:
        return self.folder / f"{model}.json"


def described(path: Path) -> KeptModel | None:
    """What a model file states of itself, current since it was written; None if it cannot be read."""
    try:
        since = datetime.fromtimestamp(path.stat().st_mtime, UTC)
        return KeptModel.of(read_artifact(path, train=False), since)
    except (OSError, RtdecodeError):
        return None


def newest_first(models: Iterable[KeptModel]) -> list[KeptModel]:
    """Sorted by the time at which they last became current."""
    return sorted(models, key=lambda kept: (kept.since, kept.model), reverse=True)


def _text(value: Any) -> str | None:
    return value if isinstance(value, str) else None


def _mean_r2(scores: Any) -> float | None:
    """Mean over the outputs that have a score, of a calibration's new model or of a fit."""
    if not isinstance(scores, dict):
        return None
    each = scores.get("new", scores.get("r2"))
    numbers = [r2 for r2 in each if isinstance(r2, int | float)] if isinstance(each, list) else []
    return math.fsum(numbers) / len(numbers) if numbers else None
