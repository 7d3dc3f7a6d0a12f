"""The way to the torch engine for those who may have no torch."""

from __future__ import annotations

from rtdecode.artifact import ModelArtifact
from rtdecode.decode.decoder import Decoder
from rtdecode.errors import RtdecodeError

#: Kinds of models that torch runs; the others are linear filters.
TORCH_KINDS = ("gru", "alignnet")


def load_torch_decoder(artifact: ModelArtifact, device: str = "cpu") -> Decoder:
    """The torch decoder of an artifact, at bin 0; torch is imported here.

    Args:
        artifact: of one of `TORCH_KINDS`.
        device: where torch computes: "cpu", "cuda", "cuda:1" and so on.

    Raises:
        RtdecodeError: torch runs no model of this kind, is not installed, or has no such device; or the
            model looks ahead in time, or its tensors do not fit together.
    """
    if not artifact.causal:
        raise RtdecodeError(
            f"the {artifact.kind} model looks ahead in time (causal is false) and cannot step bin by bin",
            fix="use a causal model",
        )
    if artifact.kind not in TORCH_KINDS:
        raise RtdecodeError(f"torch runs no model of kind {artifact.kind!r}", fix="use the numba engine")
    try:
        import torch

        from rtdecode.models.engine.folded import torch_decoder
    except ModuleNotFoundError as error:
        if error.name != "torch":
            raise
        raise RtdecodeError(
            "the torch engine needs torch, which is not installed", fix="pip install 'rtdecode[train]'"
        ) from error
    try:
        torch.zeros(1, device=device)
    except (RuntimeError, AssertionError) as error:
        raise RtdecodeError(f"torch has no device {device!r} here", fix="choose cpu") from error
    return torch_decoder(artifact, device)
