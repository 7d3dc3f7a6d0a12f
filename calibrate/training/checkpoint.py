"""Checkpoints: everything that a training needs to resume, in one safetensors file."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import safetensors
import safetensors.torch
import torch
from torch import Tensor

from rtdecode.calibrate.data.provenance import package_versions
from rtdecode.calibrate.training.distributed.ranks import Ranks
from rtdecode.calibrate.training.trainer import Checkpoint, Training
from rtdecode.errors import RtdecodeError
from rtdecode.files import replace_file

FORMAT, VERSION = "rtdecode-checkpoint", 1
_KEY = "rtdecode"
_FIX = "delete it to start over, or name another --checkpoint"


class FileCheckpoint:
    """Saves a training to a file at intervals, and resumes it after an interruption.

    The file is complete at any moment: a new one replaces the old one once it is on disk. It holds arrays and
    JSON, nothing that is executed.

    Args:
        path: of the file, in an existing folder.
        purpose: data, sizes, settings and versions of the training, as JSON can hold them; a file with others
            is refused, since its weights would differ from those of an uninterrupted training.
        interval_s: seconds between saves.

    Raises:
        RtdecodeError: in `resume`, the file is damaged or belongs to another training; in `save_if_due`, it
            cannot be written.
    """

    def __init__(self, path: Path, purpose: Mapping[str, Any], interval_s: float) -> None:
        self.path = path
        self._purpose = json.loads(json.dumps(dict(purpose)))
        self._interval_s = interval_s
        self._saved_s = time.monotonic()

    def resume(self, training: Training) -> None:
        """Load the file, if there is one, into `training`."""
        if not self.path.exists():
            return
        tensors, described = self._read()
        for name, value in self._purpose.items():
            if described["purpose"].get(name) != value:
                raise RtdecodeError(
                    f"belongs to another training ({name} was {_short(described['purpose'].get(name))}, "
                    f"is now {_short(value)})",
                    where=str(self.path),
                    fix=_FIX,
                )
        try:
            training.load_state(tensors, described["training"])
        except (RuntimeError, ValueError, LookupError, TypeError) as error:
            raise self._damaged(error) from error

    def save_if_due(self, training: Training) -> None:
        """Save `training` if `interval_s` has passed since the last save, or if it is done."""
        if training.done or time.monotonic() - self._saved_s >= self._interval_s:
            self.save(training)

    def save(self, training: Training) -> None:
        """Save `training` now."""
        tensors, numbers = training.state()
        described = {"format": FORMAT, "version": VERSION, "purpose": self._purpose, "training": numbers}
        replace_file(self.path, safetensors.torch.save(tensors, metadata={_KEY: json.dumps(described)}))
        self._saved_s = time.monotonic()

    def _read(self) -> tuple[dict[str, Tensor], dict[str, Any]]:
        try:
            with safetensors.safe_open(self.path, framework="pt") as file:
                described = json.loads((file.metadata() or {})[_KEY])
                tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        except (OSError, safetensors.SafetensorError, KeyError, ValueError, RecursionError) as error:
            raise self._damaged(error) from error
        if not isinstance(described, dict) or described.get("format") != FORMAT:
            raise self._damaged(ValueError("it describes no training"))
        if described.get("version") != VERSION or not isinstance(described.get("purpose"), dict):
            raise RtdecodeError(
                f"is a checkpoint of version {described.get('version')}; rtdecode reads version {VERSION}",
                where=str(self.path),
                fix=_FIX,
            )
        return tensors, described

    def _damaged(self, error: Exception) -> RtdecodeError:
        reason = " ".join(str(error).split())[:120]
        return RtdecodeError(f"is not a checkpoint, or is damaged ({reason})", where=str(self.path), fix=_FIX)


class LeadCheckpoint:
    """Rank 0's checkpoint of a training of several ranks, from which all of them resume.

    One is enough: the state of a training is the same on every rank. Other machines need not see the file.

    Args:
        own: rank 0's checkpoint; not used on the others.
        ranks: that train together.

    Raises:
        RtdecodeError: on rank 0, as `own`.
    """

    def __init__(self, own: Checkpoint, ranks: Ranks) -> None:
        self._own, self._ranks = own, ranks

    def resume(self, training: Training) -> None:
        """Load rank 0's checkpoint, if there is one, into `training` on every rank."""

        def of_lead() -> tuple[dict[str, Tensor], dict[str, Any]] | None:
            self._own.resume(training)
            return training.state() if training.step else None

        state = self._ranks.from_lead(of_lead)
        if state is not None and not self._ranks.leads:
            training.load_state(*state)

    def save_if_due(self, training: Training) -> None:
        """Save `training` on rank 0 if its time has come."""
        if self._ranks.leads:
            self._own.save_if_due(training)


def checkpoint_files(path: Path, n_members: int) -> list[Path]:
    """The checkpoint file of each member of an ensemble that is saved to `path`."""
    if n_members == 1:
        return [path]
    return [path.with_name(f"{path.name}.{i}") for i in range(n_members)]


def versions() -> dict[str, str]:
    """Versions on which the last bits of a weight depend."""
    return package_versions("rtdecode") | {"torch": torch.__version__}


def _short(value: Any) -> str:
    text = json.dumps(value)
    return text if len(text) <= 60 else text[:57] + "…"
