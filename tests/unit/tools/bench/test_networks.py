"""The costs that the live engine counts are those of the package neurobench, where both count the same."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from networks import N_CHANNELS, N_OUTPUTS, OUTPUTS, exported, make_alignnet, make_counts, make_gru
from typer.testing import CliRunner

from rtdecode.artifact import ModelArtifact, Output, write_artifact
from rtdecode.cli.commands import app
from rtdecode.decode.load import load_decoder
from rtdecode.errors import RtdecodeError
from rtdecode.models.ensemble.join import ensemble_of
from rtdecode.session.layout import Behavior, Counts, Session
from rtdecode.session.write import write_session
from rtdecode.tools.bench.compare import Compared, Workload, compare, random_workloads
from rtdecode.tools.bench.costs import costs_of, scored_outputs
from rtdecode.tools.bench.layers import as_batch, layers_of

#: A multiple of four: all levels have whole frames.
N_BINS, N_LEAKY, N_HIDDEN = 48, 4, 9


@pytest.fixture(scope="module")
def alignnet() -> ModelArtifact:
    """Two networks, no weight of which is 0 but those of an ignored channel."""
    nets = [make_alignnet(seed) for seed in (0, 1)]
    for net in nets:
        net.read_in.of("monday").good[2] = False
    artifact = ensemble_of([exported(net) for net in nets])
    step = 2.0 ** -(artifact.fractional_bits or 0)
    run = {
        name: np.where(tensor == 0, np.float32(step), tensor)
        if name.endswith(".weight") and "enc0.0" not in name
        else tensor
        for name, tensor in artifact.run.items()
    }
    return replace(artifact, run=run)


@pytest.fixture(scope="module")
def gru() -> ModelArtifact:
    return exported(make_gru())


@pytest.fixture(scope="module")
def counts() -> np.ndarray:
    return make_counts(N_BINS)


@pytest.fixture(scope="module")
def targets() -> np.ndarray:
    z = np.random.default_rng(0).normal(size=(N_BINS, N_OUTPUTS))
    known = (z * [each.sd for each in OUTPUTS] + [each.mean for each in OUTPUTS]).astype(np.float32)
    known[5, 0] = known[9, 2] = np.nan
    return known


@pytest.fixture(scope="module")
def both(foreign: Callable[[str], Any]) -> Callable[..., Compared]:
    """Our figures and NeuroBench's."""
    for module in ("models", "metrics.static", "metrics.workload"):
        foreign(f"neurobench.{module}")
    return lambda *workload: compare(Workload("a network", *workload), neurobench=True)


def test_the_layers_decode_as_the_engine(
    alignnet: ModelArtifact, gru: ModelArtifact, counts: np.ndarray
) -> None:
    for artifact in (alignnet, gru):
        expected = np.empty((N_BINS, N_OUTPUTS), np.float32)
        load_decoder(artifact).run(counts, expected)
        with torch.inference_mode():
            found = layers_of(artifact)(as_batch(counts)).numpy()
        sd = np.array([output.sd for output in artifact.outputs])
        np.testing.assert_allclose(found / sd, expected / sd, atol=1e-5)


def test_figures_of_an_alignnet_are_neurobenchs(
    alignnet: ModelArtifact, counts: np.ndarray, targets: np.ndarray, both: Callable[..., Compared]
) -> None:
    found = both(alignnet, counts, targets)
    ours, theirs = found.ours, found.neurobench
    assert theirs is not None
    assert theirs.footprint_bytes == ours.footprint_bytes
    assert theirs.connection_sparsity == round(ours.connection_sparsity, 4) > 0
    assert theirs.activation_sparsity == ours.activation_sparsity
    assert theirs.effective_acs == ours.effective_acs > 0
    assert theirs.r2 == pytest.approx(ours.r2, abs=1e-5)
    # The leak of leaky neurons multiplies no weight of a synapse.
    leak = 2 * N_LEAKY
    assert theirs.effective_macs == pytest.approx(ours.effective_macs - leak, rel=1e-12)
    # Dense, ours takes a frame that is held over two bins for one of each.
    held = sum(
        tensor.size / 2 ** (int(name[5]) + 1)
        for name, tensor in alignnet.run.items()
        if name[2:5] == "dec" and name.endswith(".0.weight")
    )
    assert theirs.dense == pytest.approx(ours.dense - leak - held, rel=1e-12)
    # Rectified units are activations of NeuroBench's too.
    assert found.rectified is not None
    assert found.rectified != theirs.activation_sparsity


def test_neurobench_leaves_weights_of_zero_out(
    alignnet: ModelArtifact, counts: np.ndarray, both: Callable[..., Compared]
) -> None:
    # All outputs but the first have no weights: of the head's operations a third is left.
    run = {name: tensor.copy() for name, tensor in alignnet.run.items()}
    for i in range(2):
        run[f"{i}.head.weight"][:, 1:] = 0
    before, after = (both(artifact, counts) for artifact in (alignnet, replace(alignnet, run=run)))
    assert after.ours.effective_macs == before.ours.effective_macs
    assert after.ours.r2 is None
    assert before.neurobench is not None
    assert after.neurobench is not None
    left_out = round((before.neurobench.effective_macs - after.neurobench.effective_macs) * N_BINS)
    assert left_out > 0
    assert left_out % (N_OUTPUTS - 1) == 0


def test_figures_of_a_gru_are_neurobenchs(
    gru: ModelArtifact, counts: np.ndarray, targets: np.ndarray, both: Callable[..., Compared]
) -> None:
    run = dict(gru.run) | {"gru.bias_hh": gru.run["gru.bias_hh"].copy()}
    run["gru.bias_hh"][:3] = 0
    found = both(replace(gru, run=run), counts, targets)
    ours, theirs = found.ours, found.neurobench
    assert theirs is not None
    assert theirs.footprint_bytes == ours.footprint_bytes
    assert theirs.r2 == pytest.approx(ours.r2, abs=1e-5)
    # A cell's biases are weights to NeuroBench.
    weights = sum(tensor.size for name, tensor in run.items() if "weight" in name)
    assert ours.connection_sparsity == 0
    assert theirs.connection_sparsity == round(3 / (weights + 6 * N_HIDDEN), 4)
    # No neuron of it spikes or rectifies.
    assert ours.activation_sparsity is theirs.activation_sparsity is found.rectified is None


def test_neurobench_counts_products_of_gates(
    gru: ModelArtifact, counts: np.ndarray, both: Callable[..., Compared]
) -> None:
    found = both(gru, counts)
    ours, theirs = found.ours, found.neurobench
    assert theirs is not None
    assert theirs.dense == ours.dense + 3 * N_HIDDEN
    # Before the first bin the state is 0: z·h is no product there.
    operations = (theirs.effective_acs + theirs.effective_macs) * N_BINS
    assert operations == pytest.approx(ours.effective_macs * N_BINS + 3 * N_HIDDEN * N_BINS - N_HIDDEN)
    assert theirs.effective_acs > ours.effective_acs == 0
    # With counts of 0 and 1 alone a cell is spiking to NeuroBench, its state included.
    found = both(gru, np.minimum(counts, 1))
    assert found.neurobench is not None
    assert found.neurobench.effective_macs == N_HIDDEN * N_OUTPUTS


def test_two_velocities_are_scored_where_there_are_two(gru: ModelArtifact) -> None:
    assert scored_outputs(gru) == [0, 1]
    vy = Output("vy", "mm/s", 0.0, 1.0, "velocity")
    assert scored_outputs(replace(gru, outputs=(*OUTPUTS, vy))) == [2, 3]


def test_without_a_model_random_networks_of_each_kind_are_measured() -> None:
    measured = [compare(workload, neurobench=False) for workload in random_workloads(8, 15.0, 16)]
    assert [(each.model, each.bins) for each in measured] == [("random alignnet", 16), ("random gru", 16)]
    for each in measured:
        assert each.neurobench is each.ours.r2 is None
        assert 0 < each.ours.effective_acs + each.ours.effective_macs < each.ours.dense


def test_a_filter_is_no_network(gru: ModelArtifact, counts: np.ndarray) -> None:
    with pytest.raises(RtdecodeError, match="a wiener model is not a network"):
        costs_of(replace(gru, kind="wiener"), counts)


def test_the_command_says_what_it_needs(
    gru: ModelArtifact, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    alone = CliRunner().invoke(app, ["bench", "networks", "--model", "indy"])
    assert alone.exit_code == 2
    assert "must be given together" in alone.output
    write_artifact(tmp_path / "it.safetensors", gru)
    write_session(tmp_path / "it.h5", Session(N_CHANNELS, counts=Counts(make_counts(20), 0.02, 0.0)))
    monkeypatch.setitem(sys.modules, "neurobench.metrics.static", None)
    line = ["--model", str(tmp_path / "it.safetensors"), "--session", str(tmp_path / "it.h5")]
    refused = CliRunner().invoke(app, ["bench", "networks", *line, "--neurobench"]).exception
    assert isinstance(refused, RtdecodeError)
    assert refused.fix == "pip install 'rtdecode[neurobench,train]'"


def test_the_command_measures_a_model_on_a_session(
    alignnet: ModelArtifact, counts: np.ndarray, tmp_path: Path, both: Callable[..., Compared]
) -> None:
    write_artifact(tmp_path / "it.safetensors", alignnet)
    behavior = Behavior(
        np.arange(0, 1.0, 0.01), np.random.default_rng(0).normal(size=(100, 2)), ("x", "y"), ("mm", "mm")
    )
    session = Session(n_channels=N_CHANNELS, counts=Counts(counts, 0.02, 0.0), behavior=behavior)
    write_session(tmp_path / "it.h5", session)
    line = ["bench", "networks", "--model", str(tmp_path / "it.safetensors"), "--session"]
    line += [str(tmp_path / "it.h5"), "--bins", "40"]
    result = CliRunner().invoke(app, [*line, "--json"])
    assert result.exit_code == 0, result.output
    (document,) = json.loads(result.stdout)
    assert (document["model"], document["bins"], document["neurobench"]) == ("it.safetensors", 40, None)
    assert document["ours"]["r2"] < 0.5
    printed = CliRunner().invoke(app, [*line, "--neurobench"]).stdout
    for text in (
        "effective ACs per bin",
        "NeuroBench",
        "rectified units too",
        "MACs per bin: NeuroBench leaves",
    ):
        assert text in printed
