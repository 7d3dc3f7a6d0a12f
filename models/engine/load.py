"""The torch decoder of a model, for callers that may have no torch installed."""

from __future__ import annotations

from rtdecode.artifact import ModelArtifact
from rtdecode.decode.decoder import Decoder
from rtdecode.decode.tensors import check_causal
from rtdecode.errors import RtdecodeError
from rtdecode.models.kinds.registry import NETWORKS


def load_torch_decoder(artifact: ModelArtifact, device: str = "cpu") -> Decoder:
    """The torch decoder of an artifact, at bin 0; torch is imported here.

    Args:
        artifact: of one of `NETWORKS`; the other kinds are linear filters.
        device: where torch computes: "cpu", "cuda", "cuda:1" and so on.

    Raises:
        RtdecodeError: torch decodes no model of this kind, is not installed, or has no such device; or the
            model is non-causal, or its tensors do not fit together.
    """
    check_causal(artifact)
    if artifact.kind not in NETWORKS:
        raise RtdecodeError(
            f"torch cannot decode a model of kind {artifact.kind!r}", fix="use the numba engine"
        )
    try:
        import torch
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
    return NETWORKS[artifact.kind].decoder(artifact, device)
