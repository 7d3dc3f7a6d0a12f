"""Which model a calibration starts from, and which one it has to beat."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from rtdecode.artifact import ModelArtifact, read_artifact
from rtdecode.errors import RtdecodeError
from rtdecode.model_store import bundled_models, current_model, find_model
from rtdecode.models.kinds.registry import NETWORKS
from rtdecode.session.layout import Session


@dataclass(frozen=True, eq=False)
class Start:
    """What a calibration starts from.

    Attributes:
        path: of the base.
        base: the network.
        incumbent: the stream's current model; None where there is none.
    """

    path: Path
    base: ModelArtifact
    incumbent: ModelArtifact | None


def choose_start(session: Session, base: str | None, stream: str | None) -> Start:
    """The base that was named, else the stream's current model, else one that ships and fits.

    Args:
        session: of today.
        base: path or name; None for the defaults.
        stream: whose current model it is about; None where nobody said.

    Raises:
        RtdecodeError: the base is not there or cannot be read or is no network, or nothing fits.
    """
    current = current_model(stream) if stream is not None else None
    incumbent = read_artifact(current) if current is not None and current.is_file() else None
    if base is not None:
        path = find_model(base)
        return Start(path, _network(path), incumbent)
    if current is not None and incumbent is not None and incumbent.kind in NETWORKS and incumbent.train:
        return Start(current, incumbent, incumbent)
    for path in bundled_models():
        artifact = read_artifact(path)
        if artifact.kind in NETWORKS and _fits(artifact, session):
            return Start(path, artifact, incumbent)
    raise RtdecodeError(
        f"no model to start from fits an array of {session.n_channels} channels"
        + (f" that records {', '.join(session.behavior.names)}" if session.behavior is not None else ""),
        where=str(session.path or session.name),
        fix="name one with --base, made by rtdecode pretrain or rtdecode fit --kind alignnet",
    )


def _network(path: Path) -> ModelArtifact:
    artifact = read_artifact(path)
    if artifact.kind not in NETWORKS:
        raise RtdecodeError(
            f"a {artifact.kind} model has nothing to calibrate",
            where=str(path),
            fix=f"fit it anew to today: rtdecode fit SESSION.h5 --kind {artifact.kind}",
        )
    if not artifact.causal:
        raise RtdecodeError(
            "looks ahead in time, and no daemon could serve what came of it",
            where=str(path),
            fix="name a model that rtdecode pretrain made with --form causal",
        )
    return artifact


def _fits(artifact: ModelArtifact, session: Session) -> bool:
    if artifact.n_channels != session.n_channels:
        return False
    if session.behavior is None or not session.behavior.names:
        return True
    units = dict(zip(session.behavior.names, session.behavior.units, strict=True))
    return all(units.get(output.name) == output.units for output in artifact.outputs)
