"""A model is re-normalised for another day without torch as it is with torch."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from decoding import artifact_of
from networks import N_CHANNELS, OUTPUTS, exported, make_alignnet, make_counts, make_gru

from rtdecode.artifact import Feature, ModelArtifact
from rtdecode.calibrate.decoding import decoded
from rtdecode.errors import RtdecodeError
from rtdecode.models.engine.load import load_torch_decoder
from rtdecode.models.ensemble.join import ensemble_of
from rtdecode.models.ensemble.load import networks_of
from rtdecode.models.nn.network import Network
from rtdecode.models.renormalise import head_features, of_session, renormalised, sessions_of, with_heads

torch.set_num_threads(1)

COUNTS = make_counts(300)
MODELS: list[list[Any]] = [[make_alignnet], [make_alignnet, make_alignnet, make_alignnet], [make_gru]]


def ensemble(nets: list[Network], session: str) -> ModelArtifact:
    return ensemble_of([exported(net, session) for net in nets])


@pytest.fixture(params=MODELS, ids=["alignnet", "three members", "gru"])
def nets(request: pytest.FixtureRequest) -> list[Network]:
    return [make(seed + 3) for seed, make in enumerate(request.param)]


@pytest.fixture
def statistics() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    rng = np.random.default_rng(9)
    mean, sd = rng.uniform(0.2, 2.0, N_CHANNELS), rng.uniform(0.3, 1.5, N_CHANNELS)
    good = np.arange(N_CHANNELS) != 2
    sd[4] = 0.0
    return mean, sd, good


def test_the_read_in_is_folded_as_by_export_to_the_bit(
    nets: list[Network], statistics: tuple[np.ndarray, np.ndarray, np.ndarray]
) -> None:
    found = renormalised(ensemble(nets, "monday"), "today", *statistics)
    for net in nets:
        net.read_in.add("today", *statistics)
    expected = ensemble(nets, "today")
    assert found.model_id == expected.model_id
    assert not any(found.channel_mask[channel] for channel in (2, 4))
    assert found.train.keys() == expected.train.keys()
    for name, tensor in expected.train.items():
        np.testing.assert_array_equal(found.train[name], tensor, err_msg=name)
        assert found.train[name].dtype == tensor.dtype, name
    back = networks_of(found)
    assert [net.read_in.names for net in back] == [["monday", "today"]] * len(nets)


@pytest.mark.parametrize("make", [make_alignnet, make_gru])
def test_features_are_folded_as_by_export_to_the_bit(make: Any) -> None:
    net = make(n_features=2)
    features = tuple(Feature(name, "power", "uV", 3.0, 0.5) for name in "ab")
    statistics = np.linspace(-1, 1, N_CHANNELS), np.linspace(1, 17, N_CHANNELS), np.ones(N_CHANNELS, np.bool_)
    found = renormalised(exported(net, features=features), "today", *statistics, features=features)
    net.read_in.add("today", *statistics)
    assert found.model_id == exported(net, "today", features=features).model_id


def test_a_session_that_the_model_knows_is_folded_as_by_export(
    nets: list[Network], statistics: tuple[np.ndarray, np.ndarray, np.ndarray]
) -> None:
    for net in nets:
        net.read_in.add("today", *statistics)
    found = ensemble(nets, "today")
    assert sessions_of(found) == ["monday", "today"]
    for session in ("monday", "today"):
        found = of_session(found, session)
        expected = ensemble(nets, session)
        assert found.model_id == expected.model_id
        for name, tensor in expected.train.items():
            np.testing.assert_array_equal(found.train[name], tensor, err_msg=name)


def test_a_filter_and_a_file_without_training_state_know_no_session() -> None:
    assert sessions_of(artifact_of("wiener", n_channels=7, run={})) == []
    assert sessions_of(replace(exported(make_gru()), train={})) == []


def test_heads_read_the_features(nets: list[Network]) -> None:
    artifact = ensemble(nets, "monday")
    features = head_features(artifact, COUNTS)
    prefix = "{}." if len(nets) > 1 else ""
    heads = [f"{prefix.format(i)}head" for i in range(len(nets))]
    weight = np.concatenate([artifact.run[f"{head}.weight"] for head in heads]).astype("f8")
    bias = sum(artifact.run[f"{head}.bias"].astype("f8") for head in heads)
    np.testing.assert_allclose(decoded(artifact, COUNTS), features @ weight + bias, rtol=1e-5, atol=1e-3)


def test_heads_are_changed_in_run_and_in_train(nets: list[Network]) -> None:
    artifact = ensemble(nets, "monday")
    features = head_features(artifact, COUNTS).astype("f8")
    rng = np.random.default_rng(5)
    change, offset = rng.normal(size=(features.shape[1], len(OUTPUTS))), np.array([3.0, -4.0, 50.0])
    other = with_heads(artifact, change, offset)
    expected = decoded(artifact, COUNTS) + features @ change + offset
    np.testing.assert_allclose(decoded(other, COUNTS), expected, rtol=1e-4, atol=1e-2)
    back = networks_of(other)
    again = ensemble(back, "monday")
    np.testing.assert_allclose(decoded(again, COUNTS), expected, rtol=1e-4, atol=1e-2)
    values = np.empty_like(decoded(other, COUNTS))
    load_torch_decoder(other).run(COUNTS, values)
    np.testing.assert_allclose(values, expected, rtol=1e-4, atol=1e-2)
    with pytest.raises(RtdecodeError, match=r"heads of \[2, 3\] do not fit"):
        with_heads(artifact, change[:2], offset)


def test_models_without_a_network_are_refused(statistics: tuple[np.ndarray, np.ndarray, np.ndarray]) -> None:
    wiener = artifact_of(
        "wiener",
        n_channels=N_CHANNELS,
        outputs=OUTPUTS,
        run={"weight": np.ones((N_CHANNELS, 2, len(OUTPUTS)), np.float32), "bias": np.zeros(len(OUTPUTS))},
    )
    for refused in (
        lambda: renormalised(wiener, "today", *statistics),
        lambda: head_features(wiener, make_counts(5)),
    ):
        with pytest.raises(RtdecodeError, match="a wiener model is not a network"):
            refused()
    artifact = ensemble([make_alignnet(1)], "monday")
    with pytest.raises(RtdecodeError, match="session 'monday' already"):
        renormalised(artifact, "monday", *statistics)
    with pytest.raises(RtdecodeError, match="no training state"):
        renormalised(replace(artifact, train={}), "today", *statistics)


def test_it_needs_no_torch() -> None:
    program = "import sys, rtdecode.models.renormalise; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", program], timeout=60).returncode == 0
