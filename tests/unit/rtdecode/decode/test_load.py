"""Every kind of model has its decoder; what cannot be stepped is refused."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from decoding import artifact_of

from rtdecode.artifact import ModelArtifact, write_artifact
from rtdecode.decode.load import DECODERS, load_decoder, open_model
from rtdecode.decode.wiener import WienerDecoder
from rtdecode.errors import RtdecodeError

FILTER = {"weight": np.ones((2, 1, 3), "f4"), "bias": np.zeros(3)}


def a_model(kind: str = "wiener", causal: bool = True) -> ModelArtifact:
    return artifact_of(kind, n_channels=2, run=FILTER, causal=causal)


def test_a_model_gets_the_decoder_of_its_kind() -> None:
    assert list(DECODERS) == ["wiener", "kalman", "gru", "alignnet"]
    assert isinstance(load_decoder(a_model()), WienerDecoder)


@pytest.mark.parametrize("kind", sorted(DECODERS.keys() - {"wiener"}))
def test_tensors_of_another_kind_are_refused(kind: str) -> None:
    with pytest.raises(RtdecodeError, match=f"rtdecode fit SESSION.h5 --kind {kind}"):
        load_decoder(a_model(kind))


@pytest.mark.parametrize("kind", DECODERS)
def test_a_decoder_refuses_a_model_of_another_kind(kind: str) -> None:
    with pytest.raises(RtdecodeError, match=f"the model is of kind 'other', not '{kind}'"):
        DECODERS[kind](a_model("other"))


def test_an_unknown_kind_is_refused_by_the_name_of_its_file(tmp_path: Path) -> None:
    path = tmp_path / "new.safetensors"
    write_artifact(path, a_model("oracle"))
    with pytest.raises(RtdecodeError, match=r"new\.safetensors: unknown kind 'oracle'; known are"):
        open_model(path)


def test_a_non_causal_model_is_refused() -> None:
    with pytest.raises(RtdecodeError, match="the wiener model is non-causal"):
        load_decoder(a_model(causal=False))
