"""An ensemble's networks are loaded into torch and exported again as they were."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from networks import exported, make_alignnet, make_gru

from rtdecode.errors import RtdecodeError
from rtdecode.models.ensemble.join import ensemble_of
from rtdecode.models.ensemble.load import networks_of


def test_networks_are_loaded_and_joined_again() -> None:
    nets = [make_alignnet(seed, sessions=("monday", "tuesday")) for seed in range(2)]
    artifact = ensemble_of([exported(net) for net in nets])
    again = networks_of(artifact)
    assert ensemble_of([exported(net) for net in again]).model_id == artifact.model_id
    for net, other in zip(nets, again, strict=True):
        assert other.read_in.names == ["monday", "tuesday"]
        state = other.state_dict()
        assert all(torch.equal(tensor, state[name]) for name, tensor in net.state_dict().items())
    single = exported(nets[0])
    assert ensemble_of([single]) is single
    assert len(networks_of(single)) == len(networks_of(exported(make_gru()))) == 1
    with pytest.raises(RtdecodeError, match="differ in channels, outputs, bin width or widths"):
        ensemble_of([single, replace(single, bin_width_s=0.05)])
    with pytest.raises(RtdecodeError, match="models of kind 'gru' have no ensembles"):
        ensemble_of([exported(make_gru())] * 2)
