"""The torch engine loads, or one line says why not."""

from __future__ import annotations

import sys
from dataclasses import replace

import numpy as np
import pytest
import torch
from networks import OUTPUTS, exported, make_alignnet, make_counts, make_gru

from rtdecode.artifact import ModelArtifact, Output
from rtdecode.decode.load import load_decoder
from rtdecode.decode.offline import decode_session
from rtdecode.errors import RtdecodeError
from rtdecode.models.engine.load import load_torch_decoder
from rtdecode.models.kinds.registry import NETWORKS
from rtdecode.session.layout import Counts, Decoded, LogEntry, Session

torch.set_num_threads(1)

MODELS = [exported(net) for net in (make_gru(), make_alignnet())]
SD = np.array([output.sd for output in OUTPUTS])


def test_it_runs_all_kinds_of_networks() -> None:
    assert {artifact.kind for artifact in MODELS} == set(NETWORKS)
    for artifact in MODELS:
        assert load_torch_decoder(artifact).kind == artifact.kind


@pytest.mark.parametrize("artifact", MODELS, ids=[artifact.kind for artifact in MODELS])
def test_a_session_decodes_as_with_the_numba_engine(artifact: ModelArtifact) -> None:
    counts = make_counts(300)
    session = Session(n_channels=counts.shape[1], counts=Counts(counts, 0.02, 5.0))
    bins = np.arange(300)
    live = Decoded(
        bin=bins,
        t_bin=(bins + 1).astype(np.float64) * 0.02 + 5.0,
        values=np.zeros((300, 3), np.float32),
        flags=np.zeros(300, np.uint32),
        model=np.zeros(300, np.uint8),
        late=np.zeros(300, np.uint16),
        lost=np.zeros(300, np.uint32),
        counts=counts,
        origin_s=5.0,
        models=(artifact.model_id,),
    )
    log = (LogEntry(8.0, 151, "reset", {"reason": "control"}),)
    recording = Session(n_channels=counts.shape[1], decoded=live, log=log)
    decoded = []
    for each in (session, recording):
        torch_values = decode_session(each, artifact, load_torch_decoder(artifact)).values
        values = decode_session(each, artifact, load_decoder(artifact)).values
        assert np.abs((torch_values - values) / SD).max() < 1e-5
        decoded.append(values)
    np.testing.assert_array_equal(decoded[0][:151], decoded[1][:151])
    assert (decoded[0][151:] != decoded[1][151:]).any()


def test_other_models_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    wiener = replace(
        MODELS[0],
        kind="wiener",
        outputs=(Output("x", "mm", 0.0, 1.0, "position"),),
        run={"weight": np.zeros((MODELS[0].n_channels, 1, 1), "f4"), "bias": np.zeros(1)},
    )
    for available in (True, False):
        if not available:
            monkeypatch.setitem(sys.modules, "torch", None)
        with pytest.raises(RtdecodeError, match="torch cannot decode a model of kind 'wiener'") as refused:
            load_torch_decoder(wiener)
        assert refused.value.fix == "use the numba engine"
    with pytest.raises(RtdecodeError, match="non-causal"):
        load_torch_decoder(replace(MODELS[1], causal=False))


def test_without_torch_the_error_names_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "torch", None)
    with pytest.raises(RtdecodeError, match="torch, which is not installed") as refused:
        load_torch_decoder(MODELS[0])
    assert refused.value.fix == "pip install 'rtdecode[train]'"


@pytest.mark.parametrize("device", ["abacus", "cuda:99"])
def test_an_unknown_device_is_refused(device: str) -> None:
    with pytest.raises(RtdecodeError, match=f"no device '{device}'"):
        load_torch_decoder(MODELS[0], device)
