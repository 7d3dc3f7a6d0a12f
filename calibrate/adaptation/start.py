"""Which model a calibration starts from, and which one it has to beat."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from rtdecode.artifact import ModelArtifact, read_artifact
from rtdecode.calibrate.data.checks import fits
from rtdecode.errors import RtdecodeError
from rtdecode.model_store import CURRENT, bundled_models, current_model, find_model
from rtdecode.models.kinds.registry import NETWORKS
from rtdecode.session.layout import Session


@dataclass(frozen=True, eq=False)
class Start:
    """What a calibration starts from.

    Attributes:
        path: the base's file.
        base: the network.
        incumbent: the stream's current model; None where there is none.
    """

    path: Path
    base: ModelArtifact
    incumbent: ModelArtifact | None


def choose_start(session: Session, base: str | None, stream: str | None) -> Start:
    """The base that was named, else the stream's current model, else a bundled one that fits.

    Args:
        session: the one to calibrate to.
        base: path or name; None or "current" for the defaults.
        stream: the stream that the session is from; None if unknown.

    Raises:
        RtdecodeError: the base is missing, cannot be read or is not a network, or no model fits.
    """
    current = current_model(stream) if stream is not None else None
    incumbent = _incumbent(current) if current is not None and current.is_file() else None
    if base not in (None, CURRENT):
        path = find_model(base)
        return Start(path, _network(path), incumbent)
    if current is not None and incumbent is not None and incumbent.kind in NETWORKS and incumbent.train:
        return Start(current, incumbent, incumbent)
    for path in bundled_models():
        artifact = read_artifact(path)
        if artifact.kind in NETWORKS and fits(artifact, session):
            return Start(path, artifact, incumbent)
    raise RtdecodeError(
        f"no bundled model fits an array of {session.n_channels} channels"
        + (f" that records {', '.join(session.behavior.names)}" if session.behavior is not None else ""),
        where=str(session.path or session.name),
        fix="name one with --base, made by rtdecode pretrain or rtdecode fit --kind alignnet",
    )


def _incumbent(current: Path) -> ModelArtifact:
    try:
        return read_artifact(current)
    except RtdecodeError as error:
        fix = "choose one that was current before, from the list of `rtdecode models`"
        raise RtdecodeError(f"the model in use {error.what}", where=str(current), fix=fix) from error


def _network(path: Path) -> ModelArtifact:
    artifact = read_artifact(path)
    if artifact.kind not in NETWORKS:
        raise RtdecodeError(
            f"is a {artifact.kind} model, which cannot be calibrated",
            where=str(path),
            fix=f"fit one to today instead: rtdecode fit SESSION.h5 --kind {artifact.kind}",
        )
    if not artifact.causal:
        raise RtdecodeError(
            "is non-causal: a calibrated copy could not be served",
            where=str(path),
            fix="name a model that rtdecode pretrain made with --form causal",
        )
    return artifact
