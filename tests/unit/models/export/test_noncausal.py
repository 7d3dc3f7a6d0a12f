"""Model files of non-causal networks."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from networks import COUNT_MAX, OUTPUTS, make_alignnet, make_counts, windows

from rtdecode.artifact import ModelArtifact, read_artifact, write_artifact
from rtdecode.decode.load import load_decoder
from rtdecode.errors import RtdecodeError
from rtdecode.models.ensemble.load import networks_of
from rtdecode.models.export.float16 import train_in_float16
from rtdecode.models.export.noncausal import noncausal_model


def made(n_members: int, session: str = "monday") -> ModelArtifact:
    nets = [make_alignnet(seed, ("monday", "tuesday"), causal=False) for seed in range(n_members)]
    return noncausal_model(nets, session=session, bin_width_s=0.02, outputs=OUTPUTS)


@pytest.mark.parametrize("n_members", [1, 2])
def test_networks_are_loaded_from_the_file(tmp_path: Path, n_members: int) -> None:
    path = tmp_path / "noncausal.safetensors"
    write_artifact(path, made(n_members))
    again = networks_of(read_artifact(path))
    assert len(again) == n_members
    counts = windows(np.minimum(make_counts(64), COUNT_MAX))
    for seed, net in enumerate(again):
        before = make_alignnet(seed, ("monday", "tuesday"), causal=False)
        assert net.read_in.names == ["monday", "tuesday"]
        with torch.no_grad():
            torch.testing.assert_close(net.decode(counts, "tuesday"), before.decode(counts, "tuesday"))


def test_the_id_depends_on_the_weights_and_no_engine_steps_it() -> None:
    one, two = made(1), made(2)
    other = noncausal_model(
        [make_alignnet(7, ("monday", "tuesday"), causal=False)],
        session="monday",
        bin_width_s=0.02,
        outputs=OUTPUTS,
    )
    assert len({one.model_id, two.model_id, other.model_id}) == 3
    assert made(1).model_id == one.model_id == train_in_float16(one).model_id
    assert not one.causal
    with pytest.raises(RtdecodeError, match=r"non-causal .* Fix: use a causal model"):
        load_decoder(one)


@pytest.mark.parametrize("n_members", [1, 2])
def test_a_network_other_than_the_one_written_is_refused(n_members: int) -> None:
    artifact = made(n_members)
    name = next(name for name in artifact.train if name.endswith("net.rate_head.bias"))
    changed = replace(artifact, train=artifact.train | {name: artifact.train[name] + np.float32(1)})
    assert changed.model_id == artifact.model_id
    with pytest.raises(RtdecodeError, match="not the one that the model was written with"):
        networks_of(changed)
    # Channel statistics, which calibration stores, are not part of the network.
    networks_of(replace(artifact, train=artifact.train | {"channels.mean": np.zeros(3, np.float32)}))


def test_diverged_and_causal_networks_are_refused() -> None:
    net = make_alignnet(causal=False)
    with torch.no_grad():
        net.rate_head.bias.fill_(torch.nan)
    with pytest.raises(RtdecodeError, match=r"net\.rate_head\.bias contains NaN or infinity"):
        noncausal_model([net], session="monday", bin_width_s=0.02, outputs=OUTPUTS)
    with pytest.raises(RtdecodeError, match="a causal network is exported to be stepped"):
        noncausal_model([make_alignnet()], session="monday", bin_width_s=0.02, outputs=OUTPUTS)
