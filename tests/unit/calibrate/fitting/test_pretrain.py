"""`pretrain`: many days into one network, refused days, checkpoints, validation days."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch

from rtdecode.artifact import read_artifact, write_artifact
from rtdecode.calibrate import simulation as spikesimulation
from rtdecode.calibrate.adaptation.start import choose_start
from rtdecode.calibrate.evaluation.fewshot.plan import FewShotSettings, check_settings
from rtdecode.calibrate.fitting import pretrain
from rtdecode.calibrate.fitting.pretrain import AUXILIARY_EVERY, pretrain_sessions, spread_days
from rtdecode.calibrate.training import build as networks
from rtdecode.calibrate.training.settings import TrainingSettings
from rtdecode.calibrate.training.sizes import Sizes
from rtdecode.decode.load import load_decoder
from rtdecode.errors import RtdecodeError
from rtdecode.models.ensemble.load import networks_of
from rtdecode.models.networks.alignnet import AlignNet
from rtdecode.models.nn.network import Network
from rtdecode.session.layout import Counts, Session
from rtdecode.session.read import read_session
from rtdecode.session.write import write_session
from rtdecode.tools.simulator.scripted import CentreOut, draw_tuning, simulate_session

N_DAYS = 4
SMALL = Sizes(members=1, widths=(16, 16), dec_widths=(16,), feature_dropout=0.1)


@pytest.fixture(scope="module")
def days(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Simulated days of one array, whose rates differ."""
    torch.set_num_threads(1)
    folder = tmp_path_factory.mktemp("days")
    paths = []
    for day in range(N_DAYS):
        task = CentreOut(n_channels=24, mean_rate_hz=20.0 + 5.0 * day)
        path = folder / f"day{day}.h5"
        write_session(path, simulate_session(task, draw_tuning(task, 3), 60.0, day, f"day{day}"))
        paths.append(path)
    return paths


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(networks, "TrainingSettings", partial(TrainingSettings, batch=8))
    monkeypatch.setattr(pretrain, "MANY_DAYS", SMALL)


@pytest.mark.usefixtures("small")
@pytest.mark.parametrize("kind", ["alignnet", "gru"])
def test_an_unseen_day_is_decoded_from_its_spikes_alone(days: list[Path], tmp_path: Path, kind: str) -> None:
    result = pretrain_sessions(days, kind, 0.05, validation_days=1, steps=80)
    assert result.validation == ["day2"]
    assert np.nanmean(result.validation_r2) > 0.2
    provenance = result.artifact.provenance
    assert [day["validation"] for day in provenance["sessions"]] == [False, False, True, False]
    assert provenance["sessions"][2]["train_s"] == 0.0
    write_artifact(tmp_path / "base.safetensors", result.artifact)
    again = read_artifact(tmp_path / "base.safetensors")
    out = np.zeros((40, 4), np.float32)
    load_decoder(again).run(np.ones((40, 24), np.uint8), out)
    assert np.isfinite(out).all()


@pytest.mark.usefixtures("small")
def test_all_days_can_be_gone_on_from_and_the_last_is_folded(days: list[Path]) -> None:
    result = pretrain_sessions(days, bin_width_s=0.05, steps=4)
    net = AlignNet.from_artifact(result.artifact)
    assert net.read_in.names == [f"day{day}" for day in range(N_DAYS)]
    assert json.loads(result.artifact.train["settings"].tobytes())["session"] == "day3"
    assert np.isnan(result.validation_r2).all()
    assert [log.best_step for log in result.logs] == [4]


@pytest.mark.usefixtures("small")
def test_the_twin_learns_too(days: list[Path]) -> None:
    """Behaviour's own encoder, which decoding never uses, must have moved from where it started."""
    result = pretrain_sessions(days, bin_width_s=0.05, steps=2 * AUXILIARY_EVERY)
    trained = AlignNet.from_artifact(result.artifact)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        fresh = networks.new_network("alignnet", 24, 4, 0.05, SMALL)
    assert isinstance(fresh, AlignNet)
    for part in ("lift", "behavior_encoder", "spike_decoder", "rate_head"):
        before, after = (dict(getattr(net, part).named_parameters()) for net in (fresh, trained))
        assert all(not torch.equal(before[name], after[name]) for name in before if "weight" in name), part


def test_a_model_that_is_to_simulate_tells_rates_of_a_day_it_has_not_seen(
    days: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(networks, "TrainingSettings", partial(TrainingSettings, batch=8))
    small = replace(SMALL, simulates=True, motion_dropout=0.1)
    monkeypatch.setattr(pretrain, "MANY_DAYS_SIMULATED", small)
    result = pretrain_sessions(days[:3], bin_width_s=0.05, steps=80, direction="simulate")
    assert result.artifact.provenance["pretrain"]["direction"] == "simulate"
    assert any("made to simulate" in note for note in result.notes)
    (net,) = networks_of(result.artifact)
    assert isinstance(net, AlignNet)
    assert net.graded_rates
    assert net.centred_rates
    simulated = spikesimulation.simulate_session(read_session(days[3]), result.artifact)
    assert simulated.comparison is not None
    assert np.nanmean(simulated.comparison.pcc) > 0.15
    recorded_hz = simulated.comparison.rate_hz
    assert np.corrcoef(simulated.rate_hz, recorded_hz)[0, 1] > 0.9
    assert simulated.rate_hz.mean() == pytest.approx(recorded_hz.mean(), rel=0.1)


@pytest.mark.usefixtures("small")
def test_one_that_looks_ahead_is_validated_whole_and_has_no_decoder(days: list[Path], tmp_path: Path) -> None:
    result = pretrain_sessions(days, bin_width_s=0.05, validation_days=1, steps=80, members=2, form="offline")
    assert np.nanmean(result.validation_r2) > 0.2
    assert any("looks ahead in time" in note for note in result.notes)
    path = tmp_path / "ahead.safetensors"
    write_artifact(path, result.artifact)
    again = read_artifact(path)
    assert not again.causal
    assert [isinstance(net, AlignNet) and net.causal for net in networks_of(again)] == [False, False]
    with pytest.raises(RtdecodeError, match="looks ahead in time"):
        load_decoder(again)
    with pytest.raises(RtdecodeError, match=r"ahead\.safetensors: looks ahead .* Fix: name a model that"):
        choose_start(read_session(days[3]), str(path), None)
    with pytest.raises(RtdecodeError, match="is non-causal, and few-shot decodes as serve does"):
        check_settings([again], FewShotSettings())


def test_only_alignnets_simulate_and_no_day_validates_them(days: list[Path]) -> None:
    for asked, message in (
        ({"direction": "backwards"}, "no direction backwards.*Fix: use decode or simulate"),
        ({"direction": "simulate", "kind": "gru"}, "a gru model cannot simulate"),
        ({"direction": "simulate", "validation_days": 1}, "validation days are decoded"),
    ):
        with pytest.raises(RtdecodeError, match=message):
            pretrain_sessions(days, steps=1, **asked)  # type: ignore[arg-type]


@pytest.mark.usefixtures("small")
def test_the_number_of_members_can_be_chosen(days: list[Path]) -> None:
    for n_members in (1, 3):
        result = pretrain_sessions(days, bin_width_s=0.05, steps=2, members=n_members)
        assert len(result.logs) == len(networks_of(result.artifact)) == n_members
    for kind, n_members in (("gru", 2), ("alignnet", 0), ("alignnet", 17)):
        with pytest.raises(RtdecodeError, match=f"a {kind} model of {n_members} networks"):
            pretrain_sessions(days, kind, 0.05, steps=2, members=n_members)


@pytest.mark.usefixtures("small")
def test_read_ins_stay_near_the_z_score(days: list[Path]) -> None:
    """New days start there, so the network must not come to need read-ins that have gone far from it."""
    (net,) = networks_of(pretrain_sessions(days, bin_width_s=0.05, steps=40).artifact)
    (other,) = networks_of(pretrain_sessions(days, bin_width_s=0.05, steps=40, seed=1).artifact)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("rtdecode.calibrate.fitting.pretrain.READ_IN_RATE", 1.0)
        (free,) = networks_of(pretrain_sessions(days, bin_width_s=0.05, steps=40).artifact)
    starts = [net.read_in.of(f"day{day}").sd for day in range(N_DAYS)]

    def moved(of: Network) -> float:
        scales = [of.read_in.of(f"day{day}").scale.detach() for day in range(N_DAYS)]
        return max(float((scale * sd - 1.0).abs().max()) for scale, sd in zip(scales, starts, strict=True))

    assert max(moved(net), moved(other)) < 0.2 * moved(free)


@pytest.mark.usefixtures("small")
def test_a_day_that_does_not_fit_is_named_before_training(
    days: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def never(*_: object, **__: object) -> None:
        raise AssertionError("training started")

    monkeypatch.setattr("rtdecode.calibrate.fitting.pretrain.train_members", never)
    task = CentreOut(n_channels=20)
    wide = simulate_session(task, draw_tuning(task, 1), 60.0, 1, "wide")
    write_session(tmp_path / "wide.h5", wide)
    with pytest.raises(RtdecodeError, match=r"day0\.h5 and .*wide\.h5: 24 and 20 channels"):
        pretrain_sessions([*days, tmp_path / "wide.h5"], bin_width_s=0.05)
    task = CentreOut(n_channels=24)
    mute = replace(simulate_session(task, draw_tuning(task, 1), 60.0, 1, "mute"), behavior=None)
    write_session(tmp_path / "mute.h5", mute)
    with pytest.raises(RtdecodeError, match=r"mute\.h5: has no behaviour to learn from"):
        pretrain_sessions([*days, tmp_path / "mute.h5"], bin_width_s=0.05)
    for width_s in (0.045, 0.064):
        write_session(tmp_path / f"{width_s}.h5", _in_counts(mute, width_s, days[0]))
    coarse = [tmp_path / "0.045.h5", tmp_path / "0.064.h5"]
    with pytest.raises(RtdecodeError, match=r"0\.064\.h5: hold counts of 45 ms and counts of 64 ms"):
        pretrain_sessions(coarse, bin_width_s=0.064)
    with pytest.raises(RtdecodeError, match=r"0\.064\.h5: hold single spikes and counts of 64 ms"):
        pretrain_sessions([days[0], coarse[1]], bin_width_s=0.02)


def _in_counts(session: Session, width_s: float, behaviour_of: Path) -> Session:
    from rtdecode.session.read import read_session

    values = np.ones((400, 24), np.uint8)
    values[::3] = 2
    whole = read_session(behaviour_of)
    return replace(session, events=None, counts=Counts(values, width_s, 0.0), behavior=whole.behavior)


def test_validation_days_lie_between_the_first_and_the_last() -> None:
    assert spread_days(23, 0) == set()
    assert spread_days(4, 1) == {2}
    for n in range(1, 15):
        kept = spread_days(23, n)
        assert len(kept) == n
        assert not kept & {0, 22}
    with pytest.raises(RtdecodeError, match="2 validation days of 3 sessions"):
        spread_days(3, 2)


PROGRAM = """
import sys, torch
from functools import partial
from rtdecode.calibrate.training import build as networks
from rtdecode.calibrate.fitting import pretrain
from rtdecode.calibrate.training.sizes import Sizes
from rtdecode.calibrate.training.settings import TrainingSettings
networks.TrainingSettings = partial(TrainingSettings, batch=8)
pretrain.MANY_DAYS = Sizes(members=2, widths=(16, 16), dec_widths=(16,), feature_dropout=0.1)
pretrain.SAVE_EVERY_S = 0.0
torch.set_num_threads(1)
from rtdecode.calibrate.fitting.pretrain import pretrain_sessions
from pathlib import Path
saved = Path(sys.argv[1])
result = pretrain_sessions(sys.argv[2:], bin_width_s=0.05, validation_days=1, steps=60, checkpoint=saved)
print(result.artifact.model_id, [note for note in result.notes if "went on" in note])
"""


def started_by(folder: Path) -> list[int]:
    """Processes that live and were started with the name of this folder in their environment."""
    mark, found = f"RTDECODE_TEST_OF={folder}".encode(), []
    for process in Path("/proc").iterdir():
        if process.name.isdigit():
            try:
                if mark in (process / "environ").read_bytes().split(b"\0"):
                    found.append(int(process.name))
            except OSError:
                continue
    return found


@pytest.mark.usefixtures("small")
def test_a_killed_training_goes_on_to_the_same_weights(
    days: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def command(saved: Path) -> list[str]:
        return [sys.executable, "-c", PROGRAM, str(saved), *map(str, days)]

    monkeypatch.setattr(pretrain, "MANY_DAYS", replace(SMALL, members=2))
    # In turn and in this process, the members come out as they do side by side.
    monkeypatch.setattr("rtdecode.calibrate.training.ensemble.cpu_count", lambda: 1)
    whole = pretrain_sessions(days, bin_width_s=0.05, validation_days=1, steps=60)
    kills = 0
    for _ in range(2):
        process = subprocess.Popen(
            command(tmp_path / "b.checkpoint"),
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, "RTDECODE_TEST_OF": str(tmp_path)},
        )
        saved = tmp_path / "b.checkpoint.1"
        before = saved.stat().st_mtime_ns if saved.exists() else 0
        deadline = time.monotonic() + 120
        while time.monotonic() < deadline and process.poll() is None:
            if saved.exists() and saved.stat().st_mtime_ns != before:
                process.send_signal(signal.SIGKILL)
                kills += 1
                break
            time.sleep(0.005)
        process.wait(timeout=60)
        assert process.stdout is not None
        process.stdout.close()
        # What it had started ends by itself, before anyone goes on from the checkpoint.
        while started_by(tmp_path) and time.monotonic() < deadline:
            time.sleep(0.1)
        assert not started_by(tmp_path)
    assert kills == 2
    resumed = subprocess.run(
        command(tmp_path / "b.checkpoint"), capture_output=True, text=True, timeout=250, check=True
    )
    assert "went on from" in resumed.stdout
    assert resumed.stdout.split()[0] == whole.artifact.model_id


@pytest.mark.usefixtures("small")
def test_another_trainings_checkpoint_is_refused(days: list[Path], tmp_path: Path) -> None:
    saved = tmp_path / "x.checkpoint"
    pretrain_sessions(days, bin_width_s=0.05, steps=2, checkpoint=saved)
    with pytest.raises(RtdecodeError, match=r"x\.checkpoint: is of another training \(training .*delete it"):
        pretrain_sessions(days, bin_width_s=0.05, steps=2, seed=1, checkpoint=saved)
    with pytest.raises(RtdecodeError, match=r"x\.checkpoint: is of another training \(sessions "):
        pretrain_sessions(days[:3], bin_width_s=0.05, steps=2, checkpoint=saved)
    data = saved.read_bytes()
    for damaged in (data[:100], data[: len(data) // 2], b"", b"\x00" * 64, data[:-1]):
        saved.write_bytes(damaged)
        with pytest.raises(RtdecodeError, match=r"x\.checkpoint: is no checkpoint or a damaged one"):
            pretrain_sessions(days, bin_width_s=0.05, steps=2, checkpoint=saved)


@pytest.mark.usefixtures("small")
def test_arguments_are_checked(days: list[Path]) -> None:
    with pytest.raises(RtdecodeError, match="a wiener model has nothing to pretrain"):
        pretrain_sessions(days, "wiener")
    with pytest.raises(RtdecodeError, match=r"no form 2d\. Fix: use causal or offline"):
        pretrain_sessions(days, form="2d")
    with pytest.raises(RtdecodeError, match="a gru model is causal"):
        pretrain_sessions(days, "gru", form="offline")
    with pytest.raises(RtdecodeError, match="a training of 0 steps"):
        pretrain_sessions(days, steps=0)
    with pytest.raises(RtdecodeError, match="no session to learn from"):
        pretrain_sessions([])
