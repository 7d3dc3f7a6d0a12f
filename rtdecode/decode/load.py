"""From an artifact to the decoder that steps it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType

from rtdecode.artifact import ModelArtifact, read_artifact
from rtdecode.decode.alignnet import AlignNetDecoder
from rtdecode.decode.decoder import Decoder
from rtdecode.decode.gru import GRUDecoder
from rtdecode.decode.kalman import KalmanDecoder
from rtdecode.decode.kernel_decoder import KernelDecoder
from rtdecode.decode.tensors import check_causal
from rtdecode.decode.wiener import WienerDecoder
from rtdecode.errors import RtdecodeError, located

#: The decoder of each kind of model; another kind is a module and its name here.
DECODERS: Mapping[str, type[KernelDecoder]] = MappingProxyType(
    {decoder.kind: decoder for decoder in (WienerDecoder, KalmanDecoder, GRUDecoder, AlignNetDecoder)}
)


def open_model(path: Path) -> tuple[ModelArtifact, Decoder]:
    """A model file, without what only training reads, and the decoder that steps it.

    Raises:
        RtdecodeError: as `read_artifact` and `load_decoder`, with the file's name.
    """
    artifact = read_artifact(path, train=False)
    with located(path):
        return artifact, load_decoder(artifact)


def load_decoder(artifact: ModelArtifact) -> Decoder:
    """The decoder for `artifact`, at bin 0, its kernels compiled.

    Raises:
        RtdecodeError: the kind is unknown, the model is non-causal, or its tensors do not fit together.
    """
    check_causal(artifact)
    if artifact.kind not in DECODERS:
        raise RtdecodeError(
            f"unknown kind {artifact.kind!r}; known are {', '.join(DECODERS)}",
            fix="use a model of one of these kinds, or a newer rtdecode",
        )
    return DECODERS[artifact.kind](artifact)
