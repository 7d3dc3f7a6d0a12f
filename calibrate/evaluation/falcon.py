"""A decoder of the FALCON challenge around models of ours; docs/falcon.md has the way to a submission.

    from falcon_challenge.config import FalconConfig, FalconTask
    from falcon_challenge.evaluator import FalconEvaluator

    decoder = FalconDecoder(FalconConfig(FalconTask.m2), "m2.safetensors", batch_size=7)
    FalconEvaluator(split="m2").evaluate(decoder, phase="minival")

It has the methods of the challenge's `BCIDecoder`, and needs the package itself for nothing.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from rtdecode.artifact import ModelArtifact, check_counts_alone, read_artifact
from rtdecode.decode.decoder import Decoder
from rtdecode.decode.load import load_decoder
from rtdecode.errors import RtdecodeError, located
from rtdecode.kernels.arrays import F4
from rtdecode.model_store import find_model
from rtdecode.models.renormalise import of_session, sessions_of

#: As a tag: of the model for all sessions without one of their own.
OTHERS = ""


class TaskConfig(Protocol):
    """What is read of falcon_challenge.config.FalconConfig."""

    bin_size_ms: int

    @property
    def n_channels(self) -> int:
        """Channels of the task."""

    @property
    def out_dim(self) -> int:
        """Outputs of the task."""

    def hash_dataset(self, handle: str) -> str:
        """The tag of a session, from the stem of a file's name."""


class FalconDecoder:
    """Decodes each session of a batch by itself, one bin after another.

    A session is decoded by the model of its tag. Without one it is by the model of all others, with the
    session's own read-in where that model is a network that was trained on it.

    Args:
        task_config: of a task whose outputs are decoded in every bin (h1, m1, m2).
        models: path or name of one model for all sessions, or of one for each tag ("Run1_20201030") and of
            `OTHERS`. Their outputs are the task's, in its order and units, as an import of its files has
            them.
        batch_size: number of sessions at a time.

    Raises:
        RtdecodeError: a model does not exist, reads features, or has other channels, outputs or bins than
            the task.
    """

    def __init__(
        self, task_config: TaskConfig, models: str | Path | Mapping[str, str | Path], batch_size: int = 1
    ) -> None:
        self._task_config = task_config
        named = models if isinstance(models, Mapping) else {OTHERS: models}
        self._models = {tag: self._read(find_model(str(model))) for tag, model in named.items()}
        self._decoders: list[Decoder] = []
        self.batch_size = batch_size

    def set_batch_size(self, batch_size: int) -> None:
        """Take this number of sessions at a time; `reset` comes next."""
        self.batch_size = batch_size

    def reset(self, dataset_tags: Sequence[str | Path] = (OTHERS,)) -> None:
        """Start these sessions at bin 0.

        Args:
            dataset_tags: of each session its file, as the evaluator has it, or its tag.

        Raises:
            RtdecodeError: there is no model for one of them.
        """
        self._decoders = [load_decoder(self._model_of(self._tag(each))) for each in dataset_tags]

    def predict(self, neural_observations: NDArray[Any]) -> F4:
        """Decode the next bin of each session.

        Args:
            neural_observations: [sessions, n_channels], spikes; rows behind the sessions are filling.

        Returns:
            f4[sessions, out_dim], 0 for filling.

        Raises:
            RtdecodeError: there are other channels, or fewer rows than sessions.
        """
        shape, n_channels = neural_observations.shape, self._task_config.n_channels
        if len(shape) != 2 or shape[1] != n_channels or shape[0] < len(self._decoders):
            raise RtdecodeError(
                f"observations have the shape {list(shape)}, not [{len(self._decoders)}, {n_channels}]",
                fix="pass a row of the task's channels for each session of reset",
            )
        counts = np.clip(neural_observations, 0, 255).astype(np.uint8)
        out = np.zeros((shape[0], self._task_config.out_dim), np.float32)
        for decoder, row, values in zip(self._decoders, counts, out, strict=False):
            decoder.step(row, values)
        return out

    def observe(self, neural_observations: NDArray[Any]) -> None:
        """Decode a bin whose output nobody wants; arguments and errors as of `predict`."""
        self.predict(neural_observations)

    def on_done(self, dones: NDArray[Any]) -> None:
        """Trials have ended; the recording goes on, and so do the decoders."""

    def _tag(self, of: str | Path) -> str:
        if isinstance(of, str):
            return of
        try:
            return self._task_config.hash_dataset(of.name.partition(".")[0])
        except (LookupError, ValueError):
            # A file that is named otherwise.
            return of.stem

    def _read(self, path: Path) -> ModelArtifact:
        artifact, config = read_artifact(path), self._task_config
        with located(path):
            check_counts_alone(artifact, "FALCON")
            names = artifact.output_names
            for what, found, wanted in (
                ("channels", artifact.n_channels, config.n_channels),
                (f"outputs ({', '.join(names)})", len(names), config.out_dim),
                ("ms of a bin", round(1e3 * artifact.bin_width_s, 6), config.bin_size_ms),
            ):
                if found != wanted:
                    raise RtdecodeError(
                        f"the model has {found:g} {what}, and the task {wanted:g}",
                        fix="fit one to the task's calibration files, as docs/falcon.md does",
                    )
        return artifact

    def _model_of(self, tag: str) -> ModelArtifact:
        if tag in self._models:
            return self._models[tag]
        if OTHERS not in self._models:
            raise RtdecodeError(
                f"there is no model of session {tag!r}, only of {', '.join(self._models)}",
                fix="give a model for each tag, or one for all others",
            )
        artifact = self._models[OTHERS]
        files = {each.get("name"): each.get("file", "") for each in artifact.provenance.get("sessions", ())}
        for name in sessions_of(artifact):
            if tag in (name, self._tag(Path(files.get(name, name)))):
                return of_session(artifact, name)
        return artifact
