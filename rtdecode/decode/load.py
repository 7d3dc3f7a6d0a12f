"""From an artifact to the decoder that steps it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from types import MappingProxyType

from rtdecode.artifact import ModelArtifact, read_artifact
from rtdecode.decode.alignnet import AlignNetDecoder
from rtdecode.decode.decoder import Decoder
from rtdecode.decode.gru import GRUDecoder
from rtdecode.decode.kalman import KalmanDecoder
from rtdecode.decode.wiener import WienerDecoder
from rtdecode.errors import RtdecodeError

_DECODERS: Mapping[str, Callable[[ModelArtifact], Decoder]] = MappingProxyType(
    {"wiener": WienerDecoder, "kalman": KalmanDecoder, "gru": GRUDecoder, "alignnet": AlignNetDecoder}
)


def open_model(path: Path) -> tuple[ModelArtifact, Decoder]:
    """A model file, without what only training reads, and the decoder that steps it.

    Raises:
        RtdecodeError: as `read_artifact` and `load_decoder`, with the file's name.
    """
    artifact = read_artifact(path, train=False)
    try:
        return artifact, load_decoder(artifact)
    except RtdecodeError as error:
        raise RtdecodeError(error.what, where=str(path), fix=error.fix) from error


def load_decoder(artifact: ModelArtifact) -> Decoder:
    """The decoder for `artifact`, at bin 0, its kernels compiled.

    Raises:
        RtdecodeError: the model looks ahead in time, or its tensors do not fit together.
    """
    if not artifact.causal:
        raise RtdecodeError(
            f"the {artifact.kind} model looks ahead in time (causal is false) and cannot step bin by bin",
            fix="use a causal model",
        )
    return _DECODERS[artifact.kind](artifact)
