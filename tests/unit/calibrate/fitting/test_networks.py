"""`fit --kind alignnet|gru`: from session files to an artifact that the runtime decodes."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from simulated_days import simulated_day

from rtdecode.artifact import read_artifact, write_artifact
from rtdecode.calibrate.decoding import decoded
from rtdecode.calibrate.fitting.fit import fit_sessions
from rtdecode.calibrate.fitting.training_set import FitSettings
from rtdecode.calibrate.run import Run
from rtdecode.calibrate.training.settings import ONE_DAY_TRAINING, Sizes
from rtdecode.errors import RtdecodeError
from rtdecode.models.ensemble.load import networks_of
from rtdecode.models.networks.alignnet import AlignNet

SMALL = FitSettings(
    sizes=Sizes(members=1, widths=(24, 24), dec_widths=(24,), feature_dropout=0.3),
    training=replace(ONE_DAY_TRAINING, steps=60),
)
TWO = replace(
    SMALL,
    sizes=replace(SMALL.sizes, members=2),
    training=replace(ONE_DAY_TRAINING, steps=20),
)


@pytest.fixture(scope="module")
def sessions(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Two simulated days of the same array with different rates."""
    torch.set_num_threads(1)
    folder = tmp_path_factory.mktemp("days")
    return [
        simulated_day(folder / f"day{day}.h5", 24, day, mean_rate_hz=rate_hz)
        for day, rate_hz in enumerate((20.0, 35.0))
    ]


@pytest.mark.parametrize("kind", ["alignnet", "gru"])
def test_a_network_is_fitted_scored_written_and_decoded(
    sessions: list[Path], tmp_path: Path, kind: str
) -> None:
    result = fit_sessions(sessions[:1], kind, 0.05, settings=SMALL)
    assert result.artifact.kind == kind
    # Better than the mean, after 60 steps on 48 s.
    assert float(np.mean(result.r2)) > 0.05
    (fitted,) = result.artifact.provenance["fit"]["members"]
    assert fitted["best_step"] <= fitted["steps"] <= 60
    assert len(fitted["validation_r2"]) == 4
    path = tmp_path / "model.safetensors"
    write_artifact(path, result.artifact)
    again = read_artifact(path)
    assert again.model_id == result.artifact.model_id
    assert np.isfinite(decoded(again, np.ones((50, 24), np.uint8))).all()


def test_members_are_trained_in_parallel_and_averaged(sessions: list[Path]) -> None:
    both = fit_sessions(sessions, "alignnet", 0.05, settings=TWO).artifact
    assert len(both.provenance["fit"]["members"]) == 2
    nets = networks_of(both)
    assert [net.read_in.names for net in nets] == [["day0", "day1"]] * 2
    # One after the other, as on one core or a GPU, they are the same.
    again = fit_sessions(sessions, "alignnet", 0.05, settings=TWO, run=Run(at_once=1))
    assert again.artifact.model_id == both.model_id
    counts = np.random.default_rng(0).poisson(1.0, (300, 24)).astype(np.uint8)
    out = decoded(both, counts)
    with torch.no_grad():
        read = torch.from_numpy(counts.T.astype(np.float32))[None].clamp(max=both.count_max)
        means = [net.in_units(net.decode(read, "day1"))[0].numpy().T for net in nets]
    assert not np.allclose(means[0], means[1], rtol=0.01)
    sd = np.array([output.sd for output in both.outputs])
    # Fixed-point weights move a few spikes.
    assert np.corrcoef(np.mean(means, axis=0)[:, 0], out[:, 0])[0, 1] > 0.99
    assert np.abs((np.mean(means, axis=0) - out) / sd).mean() < 0.05


def test_an_error_in_another_process_is_raised_here(sessions: list[Path]) -> None:
    settings = replace(TWO, training=replace(ONE_DAY_TRAINING, steps=5, learning_rate=1e30))
    with pytest.raises(RtdecodeError, match=r"training diverged at step .*another --seed"):
        fit_sessions(sessions[:1], "alignnet", 0.05, settings=settings)


def test_each_session_has_its_own_read_in_and_the_last_one_is_kept(sessions: list[Path]) -> None:
    result = fit_sessions(sessions, "alignnet", 0.05, settings=SMALL)
    net = AlignNet.from_artifact(result.artifact)
    assert net.read_in.names == ["day0", "day1"]
    assert result.artifact.provenance["sessions"][0]["r2"] != result.artifact.provenance["sessions"][1]["r2"]
    rates = [float(net.read_in.of(name).sd.mean()) for name in net.read_in.names]
    assert rates[1] > rates[0]


def test_the_seed_decides(sessions: list[Path]) -> None:
    settings = replace(SMALL, training=replace(ONE_DAY_TRAINING, steps=10))
    ids = [
        fit_sessions(sessions[:1], "gru", 0.05, settings=settings, run=Run(seed=seed)).artifact.model_id
        for seed in (0, 0, 1)
    ]
    assert ids[0] == ids[1] != ids[2]


def test_a_linear_filter_is_trained_on_no_device(sessions: list[Path]) -> None:
    with pytest.raises(RtdecodeError, match="a wiener model is not trained on a device"):
        fit_sessions(sessions[:1], "wiener", 0.05, run=Run(device="cpu"))


def test_without_torch_the_error_names_the_extra(
    sessions: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "torch", None)
    for name in [name for name in sys.modules if name.startswith("rtdecode.models.")]:
        if name.rsplit(".", 1)[1] in ("alignnet", "export", "gru", "network"):
            monkeypatch.delitem(sys.modules, name)
    for name in ("training.build", "training.devices", "fitting.networks"):
        monkeypatch.delitem(sys.modules, f"rtdecode.calibrate.{name}", raising=False)
    with pytest.raises(RtdecodeError, match=r"rtdecode\[train\]"):
        fit_sessions(sessions[:1], "gru", 0.05)
