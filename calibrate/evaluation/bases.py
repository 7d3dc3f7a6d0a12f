"""The models that the jobs of `evaluate` start from."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from rtdecode.artifact import ModelArtifact, read_artifact
from rtdecode.calibrate.data.checks import check_channels, check_unseen, output_columns
from rtdecode.calibrate.data.sessions import LabelledSession, file_sha256
from rtdecode.calibrate.evaluation.cache import changed_file, digests_of
from rtdecode.errors import RtdecodeError
from rtdecode.models.ensemble.load import networks_of


@dataclass(frozen=True, kw_only=True)
class Base:
    """A pretrained network to start from.

    Attributes:
        path: of its file, absolute.
        sha256: of the file.
        artifact: its content.
    """

    path: Path
    sha256: str
    artifact: ModelArtifact

    @property
    def trained_on(self) -> tuple[str, ...]:
        """Names of its sessions."""
        return tuple(str(each["name"]) for each in self.artifact.provenance.get("sessions", ()))


def read_bases(files: Sequence[Path | str]) -> list[Base]:
    """The bases of these files.

    Raises:
        RtdecodeError: one cannot be read.
    """
    paths = [Path(file).resolve() for file in files]
    artifacts, digests = [read_artifact(path) for path in paths], digests_of(paths)
    return [
        Base(path=path, sha256=digests[path], artifact=artifact)
        for path, artifact in zip(paths, artifacts, strict=True)
    ]


def planned_base(path: Path, sha256: str | None) -> ModelArtifact:
    """The base of a job.

    Raises:
        RtdecodeError: it cannot be read, or has changed since the jobs were planned.
    """
    base = read_artifact(path)
    if file_sha256(path) != sha256:
        raise changed_file(path)
    return base


def check_bases(bases: Sequence[ModelArtifact], protocol: str) -> None:
    """Refuse bases that cannot be evaluated, or not together.

    Raises:
        RtdecodeError: one is not a causal network, or they differ in bin width or outputs.
    """
    for base in bases:
        networks_of(base)
        if not base.causal:
            raise RtdecodeError(
                f"model {base.model_id} is non-causal, and {protocol} decodes as serve does",
                fix="name a causal model, or score it with rtdecode study --protocol cross-day",
            )
    for base in bases[1:]:
        first = bases[0]
        if (base.bin_width_s, base.output_names) != (first.bin_width_s, first.output_names):
            raise RtdecodeError(
                f"the bases differ: bins of {1e3 * first.bin_width_s:g} and {1e3 * base.bin_width_s:g} ms, "
                f"outputs {', '.join(first.output_names)} and {', '.join(base.output_names)}",
                fix="evaluate them one by one",
            )


def check_new_day(base: ModelArtifact, day: LabelledSession) -> None:
    """Refuse a day that does not fit a base, or is not new to it.

    Raises:
        RtdecodeError: it has other channels, outputs or units, or the base was trained on it.
    """
    where = str(day.path)
    check_channels(base, day.session.n_channels, where)
    output_columns(base.outputs, day.names, day.units, where)
    # Any of the day in training would add to its labels.
    check_unseen(base, day.sha256, where)
