"""train.* in float16: outputs are unchanged, and so, nearly, is the network."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from networks import exported, make_alignnet, make_counts, make_gru, windows

from rtdecode.artifact import read_artifact, write_artifact
from rtdecode.models.ensemble.join import ensemble_of
from rtdecode.models.ensemble.load import networks_of
from rtdecode.models.export.float16 import SMALLEST, train_in_float16

torch.set_num_threads(1)

LARGE: dict[str, Any] = {"widths": (32, 32), "dec_widths": (32,), "latent": 32}


@pytest.mark.parametrize(
    "make", [lambda seed: make_alignnet(seed, **LARGE), lambda seed: make_gru(seed, hidden=48)]
)
def test_the_network_is_loaded_nearly_unchanged_from_a_smaller_file(make: Any, tmp_path: Path) -> None:
    net = make(3)
    whole = exported(net)
    small = train_in_float16(whole)
    assert small.model_id == whole.model_id
    write_artifact(tmp_path / "whole.safetensors", whole)
    write_artifact(tmp_path / "small.safetensors", small)
    sizes = [(tmp_path / f"{name}.safetensors").stat().st_size for name in ("whole", "small")]
    assert sizes[1] < 0.85 * sizes[0]
    (back,) = networks_of(read_artifact(tmp_path / "small.safetensors"))
    assert all(tensor.dtype == net.state_dict()[name].dtype for name, tensor in back.state_dict().items())
    for name, tensor in net.state_dict().items():
        if tensor.is_floating_point():
            torch.testing.assert_close(back.state_dict()[name], tensor, rtol=2**-11, atol=1e-7)
        else:
            assert torch.equal(back.state_dict()[name], tensor)
    back.train()
    back.decode(windows(make_counts(20)), "monday").sum().backward()


def test_small_tensors_and_values_beyond_float16_stay_in_float32() -> None:
    artifact = exported(make_alignnet(3, **LARGE))
    large = np.full((2, SMALLEST), 1e5, np.float32)
    train = train_in_float16(replace(artifact, train=artifact.train | {"huge": large})).train
    assert train["huge"].dtype == np.float32
    for name, tensor in artifact.train.items():
        half = tensor.dtype == np.float32 and tensor.ndim >= 2 and tensor.size >= SMALLEST
        assert train[name].dtype == (np.float16 if half else tensor.dtype), name
        if not half:
            assert np.array_equal(train[name], tensor), name
    assert sum(tensor.dtype == np.float16 for tensor in train.values()) > 4


def test_members_of_an_ensemble_are_stored_in_float16_too() -> None:
    both = train_in_float16(ensemble_of([exported(make_alignnet(seed, **LARGE)) for seed in (0, 1)]))
    assert len(networks_of(both)) == 2
    halved = [name for name, tensor in both.train.items() if tensor.dtype == np.float16]
    assert {name.partition(".")[0] for name in halved} == {"0", "1"}
