"""`fit --kind alignnet|gru`: from session files to an artifact that the runtime decodes."""

from __future__ import annotations

import sys
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch

from rtdecode.artifact import read_artifact, write_artifact
from rtdecode.calibrate.fitting.fit import fit_sessions
from rtdecode.calibrate.training import build as networks
from rtdecode.calibrate.training.build import LONGEST_S, chosen_device, new_network, settings_for
from rtdecode.calibrate.training.settings import TrainingSettings
from rtdecode.calibrate.training.sizes import Sizes
from rtdecode.calibrate.training.windows import Recording
from rtdecode.decode.load import load_decoder
from rtdecode.errors import RtdecodeError
from rtdecode.models.ensemble.load import networks_of
from rtdecode.models.networks.alignnet import AlignNet
from rtdecode.session.write import write_session
from rtdecode.tools.simulator.scripted import CentreOut, draw_tuning, simulate_session

SMALL = Sizes(members=1, widths=(24, 24), dec_widths=(24,), feature_dropout=0.3)


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
    monkeypatch.setattr(networks, "ONE_DAY", SMALL)


@pytest.mark.parametrize("kind", ["alignnet", "gru"])
def test_a_network_is_fitted_scored_written_and_decoded(
    sessions: list[Path], tmp_path: Path, kind: str
) -> None:
    result = fit_sessions(sessions[:1], kind, 0.05)
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
    out = np.zeros((50, 4), np.float32)
    load_decoder(again).run(np.ones((50, 24), np.uint8), out)
    assert np.isfinite(out).all()


def test_members_are_trained_apart_and_decode_together(
    sessions: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(networks, "ONE_DAY", replace(SMALL, members=2))
    both = fit_sessions(sessions, "alignnet", 0.05).artifact
    assert len(both.provenance["fit"]["members"]) == 2
    nets = networks_of(both)
    assert [net.read_in.names for net in nets] == [["day0", "day1"]] * 2
    # One after the other, as on one core or a GPU, they come out the same.
    monkeypatch.setattr("rtdecode.calibrate.training.ensemble.cpu_count", lambda: 1)
    assert fit_sessions(sessions, "alignnet", 0.05).artifact.model_id == both.model_id
    counts = np.random.default_rng(0).poisson(1.0, (300, 24)).astype(np.uint8)
    out = np.zeros((300, 4), np.float32)
    load_decoder(both).run(counts, out)
    with torch.no_grad():
        read = torch.from_numpy(counts.T.astype(np.float32))[None].clamp(max=both.count_max)
        means = [net.in_units(net.decode(read, "day1"))[0].numpy().T for net in nets]
    assert not np.allclose(means[0], means[1], rtol=0.01)
    sd = np.array([output.sd for output in both.outputs])
    # The grid moves a spike here and there.
    assert np.corrcoef(np.mean(means, axis=0)[:, 0], out[:, 0])[0, 1] > 0.99
    assert np.abs((np.mean(means, axis=0) - out) / sd).mean() < 0.05


def test_an_error_in_another_process_is_told_as_ours(
    sessions: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(networks, "ONE_DAY", replace(SMALL, members=2))
    monkeypatch.setattr(networks, "TrainingSettings", partial(TrainingSettings, steps=5, learning_rate=1e30))
    with pytest.raises(RtdecodeError, match=r"training came apart at step .*another --seed"):
        fit_sessions(sessions[:1], "alignnet", 0.05)


def test_each_session_has_its_own_read_in_and_the_last_one_is_kept(sessions: list[Path]) -> None:
    result = fit_sessions(sessions, "alignnet", 0.05)
    net = AlignNet.from_artifact(result.artifact)
    assert net.read_in.names == ["day0", "day1"]
    assert result.artifact.provenance["sessions"][0]["r2"] != result.artifact.provenance["sessions"][1]["r2"]
    rates = [float(net.read_in.of(name).sd.mean()) for name in net.read_in.names]
    assert rates[1] > rates[0]


@pytest.mark.parametrize(
    ("bin_width_s", "n_bins", "window_bins", "warmup_bins"),
    [(0.064, 9000, 200, 12), (0.02, 30_000, 640, 40), (0.02, 1000, 250, 40), (0.05, 120, 50, 12)],
)
def test_windows_are_as_long_in_seconds_at_any_bin_width_and_fit_the_session(
    bin_width_s: float, n_bins: int, window_bins: int, warmup_bins: int
) -> None:
    short, long = (
        Recording("day", torch.zeros(2, n), torch.zeros(1, n), torch.ones(n), np.ones(n, bool))
        for n in (30, n_bins)
    )
    settings = settings_for([short, long], bin_width_s, 7)
    assert (settings.window_bins, settings.warmup_bins, settings.seed) == (window_bins, warmup_bins, 7)


def test_leaky_neurons_start_with_time_constants_in_seconds() -> None:
    for bin_width_s in (0.02, 0.064):
        torch.manual_seed(0)
        net = new_network("alignnet", 8, 2, bin_width_s, SMALL)
        assert isinstance(net, AlignNet)
        tau_s = -bin_width_s / torch.log(net.behavior_head.decay())
        assert 0.7 * LONGEST_S < tau_s.max() < 1.001 * LONGEST_S
        assert tau_s.min() >= bin_width_s


def test_the_seed_decides(sessions: list[Path], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(networks, "TrainingSettings", partial(TrainingSettings, steps=10, batch=16))
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
    monkeypatch.delitem(sys.modules, "rtdecode.calibrate.training.build")
    with pytest.raises(RtdecodeError, match=r"rtdecode\[train\]"):
        fit_sessions(sessions[:1], "gru", 0.05)
