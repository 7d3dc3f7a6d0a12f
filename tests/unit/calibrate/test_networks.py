"""`fit --kind alignnet|gru`: from session files to an artifact that the runtime decodes."""

from __future__ import annotations

import sys
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch

from rtdecode.artifact import read_artifact, write_artifact
from rtdecode.calibrate import networks
from rtdecode.calibrate.fit import fit_sessions
from rtdecode.calibrate.networks import chosen_device
from rtdecode.calibrate.training import TrainingSettings
from rtdecode.decode.load import load_decoder
from rtdecode.errors import RtdecodeError
from rtdecode.models.alignnet import AlignNet
from rtdecode.session.write import write_session
from rtdecode.tools.simulated import CentreOut, draw_tuning, simulate_session


@pytest.fixture(scope="module")
def sessions(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Two simulated days of the same array with different rates."""
    torch.set_num_threads(1)
    folder = tmp_path_factory.mktemp("days")
    paths = []
    for day, rate_hz in enumerate((20.0, 35.0)):
        task = CentreOut(n_channels=24, mean_rate_hz=rate_hz)
        path = folder / f"day{day}.h5"
        write_session(path, simulate_session(task, draw_tuning(task, 3), 60.0, day, f"day{day}"))
        paths.append(path)
    return paths


@pytest.fixture(autouse=True)
def few_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(networks, "TrainingSettings", partial(TrainingSettings, steps=60, batch=16))
    monkeypatch.setattr(networks, "WIDTHS", (24, 24))
    monkeypatch.setattr(networks, "DEC_WIDTHS", (24,))


@pytest.mark.parametrize("kind", ["alignnet", "gru"])
def test_a_network_is_fitted_scored_written_and_decoded(
    sessions: list[Path], tmp_path: Path, kind: str
) -> None:
    result = fit_sessions(sessions[:1], kind, 0.05)
    assert result.artifact.kind == kind
    # Better than the mean, after 60 steps on 48 s.
    assert float(np.mean(result.r2)) > 0.05
    fitted = result.artifact.provenance["fit"]
    assert fitted["best_step"] <= fitted["steps"] <= 60
    assert len(fitted["validation_r2"]) == 4
    path = tmp_path / "model.safetensors"
    write_artifact(path, result.artifact)
    again = read_artifact(path)
    assert again.model_id == result.artifact.model_id
    out = np.zeros((50, 4), np.float32)
    load_decoder(again).run(np.ones((50, 24), np.uint8), out)
    assert np.isfinite(out).all()


def test_each_session_has_its_own_read_in_and_the_last_one_is_kept(sessions: list[Path]) -> None:
    result = fit_sessions(sessions, "alignnet", 0.05)
    net = AlignNet.from_artifact(result.artifact)
    assert net.read_in.names == ["day0", "day1"]
    assert result.artifact.provenance["sessions"][0]["r2"] != result.artifact.provenance["sessions"][1]["r2"]
    rates = [float(net.read_in.of(name).sd.mean()) for name in net.read_in.names]
    assert rates[1] > rates[0]


def test_the_seed_decides(sessions: list[Path]) -> None:
    ids = [fit_sessions(sessions[:1], "gru", 0.05, seed=seed).artifact.model_id for seed in (0, 0, 1)]
    assert ids[0] == ids[1] != ids[2]


def test_devices() -> None:
    assert chosen_device("cpu").type == "cpu"
    assert chosen_device("auto").type in ("cpu", "cuda")
    with pytest.raises(RtdecodeError, match="--device nonsense: cannot be used"):
        chosen_device("nonsense")
    with pytest.raises(RtdecodeError, match="--device cuda:63: cannot be used"):
        chosen_device("cuda:63")


def test_a_linear_filter_is_trained_on_no_device(sessions: list[Path]) -> None:
    with pytest.raises(RtdecodeError, match="a wiener model is not trained on a device"):
        fit_sessions(sessions[:1], "wiener", 0.05, device="cpu")


def test_without_torch_it_says_what_to_install(sessions: list[Path], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "torch", None)
    for name in [name for name in sys.modules if name.startswith("rtdecode.models.")]:
        if name.rsplit(".", 1)[1] in ("alignnet", "export", "gru", "network"):
            monkeypatch.delitem(sys.modules, name)
    monkeypatch.delitem(sys.modules, "rtdecode.calibrate.networks")
    with pytest.raises(RtdecodeError, match=r"rtdecode\[train\]"):
        fit_sessions(sessions[:1], "gru", 0.05)
