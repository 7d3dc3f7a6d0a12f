"""`pretrain`: one network for many days, refused days, checkpoints, validation days."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from simulated_days import simulated_day

from rtdecode.artifact import read_artifact, write_artifact
from rtdecode.calibrate import simulation
from rtdecode.calibrate.adaptation.start import choose_start
from rtdecode.calibrate.decoding import decoded
from rtdecode.calibrate.evaluation.fewshot.plan import FewShotSettings, check_settings
from rtdecode.calibrate.fitting.pretrain import PretrainSettings, pretrain_sessions, validation_numbers
from rtdecode.calibrate.run import Run
from rtdecode.calibrate.training.build import new_network
from rtdecode.calibrate.training.settings import Sizes
from rtdecode.decode.load import load_decoder
from rtdecode.errors import RtdecodeError
from rtdecode.models.ensemble.load import networks_of
from rtdecode.models.networks.alignnet import AlignNet
from rtdecode.models.nn.network import Network
from rtdecode.session.layout import Counts, Session
from rtdecode.session.read import read_session
from rtdecode.session.write import write_session

N_DAYS = 4
SIZES = Sizes(members=1, widths=(16, 16), dec_widths=(16,), feature_dropout=0.1)
SMALL = PretrainSettings(bin_width_s=0.05, batch=8, sizes=SIZES)


@pytest.fixture(scope="module")
def days(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Simulated days of one array, whose rates differ."""
    torch.set_num_threads(1)
    folder = tmp_path_factory.mktemp("days")
    return [
        simulated_day(folder / f"day{day}.h5", 24, day, mean_rate_hz=20.0 + 5.0 * day)
        for day in range(N_DAYS)
    ]


@pytest.mark.parametrize("kind", ["alignnet", "gru"])
def test_an_unseen_day_is_decoded_from_its_spikes_alone(days: list[Path], tmp_path: Path, kind: str) -> None:
    result = pretrain_sessions(days, replace(SMALL, kind=kind, validation_days=1, steps=80))
    assert result.validation == ["day2"]
    assert np.nanmean(result.validation_r2) > 0.2
    provenance = result.artifact.provenance
    assert [day["validation"] for day in provenance["sessions"]] == [False, False, True, False]
    assert provenance["sessions"][2]["train_s"] == 0.0
    write_artifact(tmp_path / "base.safetensors", result.artifact)
    again = read_artifact(tmp_path / "base.safetensors")
    assert np.isfinite(decoded(again, np.ones((40, 24), np.uint8))).all()


def test_the_model_has_read_ins_of_all_days_and_is_folded_for_the_last(days: list[Path]) -> None:
    result = pretrain_sessions(days, replace(SMALL, steps=4))
    net = AlignNet.from_artifact(result.artifact)
    assert net.read_in.names == [f"day{day}" for day in range(N_DAYS)]
    assert json.loads(result.artifact.train["settings"].tobytes())["session"] == "day3"
    assert np.isnan(result.validation_r2).all()
    assert [log.best_step for log in result.logs] == [4]


def test_the_auxiliary_paths_are_trained(days: list[Path]) -> None:
    """The weights of the behaviour encoder, which decoding never uses, must have changed."""
    result = pretrain_sessions(days, replace(SMALL, steps=2 * SMALL.training.auxiliary_every))
    trained = AlignNet.from_artifact(result.artifact)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        fresh = new_network("alignnet", (24, 4, 50), 0.05, SIZES)
    for part in ("lift", "behavior_encoder", "spike_decoder", "rate_head"):
        before, after = (dict(getattr(net, part).named_parameters()) for net in (fresh, trained))
        assert all(not torch.equal(before[name], after[name]) for name in before if "weight" in name), part


def test_a_simulating_model_predicts_rates_of_an_unseen_day(days: list[Path]) -> None:
    sizes = replace(SIZES, simulates=True, motion_dropout=0.1)
    settings = replace(SMALL, sizes=sizes, steps=80, direction="simulate")
    result = pretrain_sessions(days[:3], settings)
    assert result.artifact.provenance["pretrain"]["direction"] == "simulate"
    assert any("made to simulate" in note for note in result.notes)
    (net,) = networks_of(result.artifact)
    assert net.config.graded_rates
    assert net.config.centred_rates
    simulated = simulation.simulate_session(read_session(days[3]), result.artifact)
    assert np.nanmean(simulated.comparison.pcc) > 0.15
    recorded_hz = simulated.comparison.rate_hz
    assert np.corrcoef(simulated.rate_hz, recorded_hz)[0, 1] > 0.9
    assert simulated.rate_hz.mean() == pytest.approx(recorded_hz.mean(), rel=0.1)


def test_a_non_causal_model_is_validated_and_has_no_decoder(days: list[Path], tmp_path: Path) -> None:
    settings = replace(SMALL, validation_days=1, steps=80, members=2, causality="offline")
    result = pretrain_sessions(days, settings, Run(at_once=1))
    assert np.nanmean(result.validation_r2) > 0.2
    assert any("is non-causal" in note for note in result.notes)
    path = tmp_path / "offline.safetensors"
    write_artifact(path, result.artifact)
    again = read_artifact(path)
    assert not again.causal
    assert [isinstance(net, AlignNet) and net.causal for net in networks_of(again)] == [False, False]
    with pytest.raises(RtdecodeError, match="non-causal"):
        load_decoder(again)
    with pytest.raises(RtdecodeError, match=r"offline\.safetensors: .*--form causal"):
        choose_start(read_session(days[3]), str(path), None)
    with pytest.raises(RtdecodeError, match="is non-causal, and few-shot decodes as serve does"):
        check_settings([again], FewShotSettings())


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        ({"kind": "wiener"}, "a wiener model cannot be pretrained"),
        ({"causality": "2d"}, "there is no causality '2d'. Fix: use --causality causal or offline"),
        ({"kind": "gru", "causality": "offline"}, "a gru model is always causal"),
        ({"steps": 0}, "--steps must be at least 1, got 0"),
        ({"kind": "gru", "members": 2}, "a model of kind gru cannot have 2 networks"),
        ({"members": 0}, "a model of kind alignnet cannot have 0 networks"),
        ({"members": 17}, "a model of kind alignnet cannot have 17 networks"),
        ({"direction": "backwards"}, "no direction 'backwards'.*Fix: use --direction decode or simulate"),
        ({"direction": "simulate", "kind": "gru"}, "a gru model cannot simulate"),
        ({"direction": "simulate", "validation_days": 1}, "validation days are decoded"),
    ],
)
def test_settings_that_do_not_fit_together_are_refused(asked: dict[str, Any], message: str) -> None:
    with pytest.raises(RtdecodeError, match=message):
        pretrain_sessions([], PretrainSettings(**asked))


def test_the_number_of_members_can_be_chosen(days: list[Path]) -> None:
    for n_members in (1, 3):
        settings = replace(SMALL, steps=2, members=n_members)
        result = pretrain_sessions(days, settings, Run(at_once=1))
        assert len(result.logs) == len(networks_of(result.artifact)) == n_members


def test_read_ins_stay_near_the_z_score(days: list[Path]) -> None:
    """New days start there, so the network must not rely on read-ins far from it."""
    settings = replace(SMALL, steps=40)
    at_full_rate = replace(SMALL.training, read_in_rate=1.0)
    (net,) = networks_of(pretrain_sessions(days, settings).artifact)
    (other,) = networks_of(pretrain_sessions(days, settings, Run(seed=1)).artifact)
    (free,) = networks_of(pretrain_sessions(days, replace(settings, training=at_full_rate)).artifact)
    starts = [net.read_in.of(f"day{day}").sd for day in range(N_DAYS)]

    def moved(of: Network) -> float:
        scales = [of.read_in.of(f"day{day}").scale.detach() for day in range(N_DAYS)]
        return max(float((scale * sd - 1.0).abs().max()) for scale, sd in zip(scales, starts, strict=True))

    assert max(moved(net), moved(other)) < 0.2 * moved(free)


def test_a_day_that_does_not_fit_is_named_before_training(
    days: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def never(*_: object, **__: object) -> None:
        raise AssertionError("training started")

    monkeypatch.setattr("rtdecode.calibrate.fitting.pretrain.train_members", never)
    wide = simulated_day(tmp_path / "wide.h5", 20, 1)
    with pytest.raises(RtdecodeError, match=r"day0\.h5 and .*wide\.h5: have 24 and 20 channels"):
        pretrain_sessions([*days, wide], SMALL)
    mute = replace(read_session(days[1]), path=None, behavior=None)
    write_session(tmp_path / "mute.h5", mute)
    with pytest.raises(RtdecodeError, match=r"mute\.h5: has no behaviour to train on"):
        pretrain_sessions([*days, tmp_path / "mute.h5"], SMALL)
    for width_s in (0.045, 0.064):
        write_session(tmp_path / f"{width_s}.h5", _in_counts(mute, width_s, days[0]))
    coarse = [tmp_path / "0.045.h5", tmp_path / "0.064.h5"]
    with pytest.raises(RtdecodeError, match=r"0\.064\.h5: hold counts of 45 ms and counts of 64 ms"):
        pretrain_sessions(coarse, replace(SMALL, bin_width_s=0.064))
    with pytest.raises(RtdecodeError, match=r"0\.064\.h5: hold single spikes and counts of 64 ms"):
        pretrain_sessions([days[0], coarse[1]], replace(SMALL, bin_width_s=0.02))


def _in_counts(session: Session, width_s: float, behaviour_of: Path) -> Session:
    values = np.ones((400, 24), np.uint8)
    values[::3] = 2
    whole = read_session(behaviour_of)
    return replace(session, events=None, counts=Counts(values, width_s, 0.0), behavior=whole.behavior)


def test_validation_days_are_between_the_first_and_the_last() -> None:
    assert validation_numbers(23, 0) == set()
    assert validation_numbers(4, 1) == {2}
    for n in range(1, 15):
        numbers = validation_numbers(23, n)
        assert len(numbers) == n
        assert not numbers & {0, 22}
    with pytest.raises(RtdecodeError, match="2 validation days cannot be held out of 3 sessions"):
        validation_numbers(3, 2)


PROGRAM = """
import sys, torch
from rtdecode.calibrate.fitting.pretrain import PretrainSettings, pretrain_sessions
from rtdecode.calibrate.training.settings import Sizes
torch.set_num_threads(1)
from pathlib import Path
settings = PretrainSettings(
    bin_width_s=0.05, batch=8, validation_days=1, steps=30, save_every_s=0.0,
    sizes=Sizes(members=2, widths=(16, 16), dec_widths=(16,), feature_dropout=0.1),
)
pretrain_sessions(sys.argv[2:], settings, checkpoint=Path(sys.argv[1]))
"""


def started_by(folder: Path) -> list[int]:
    """Running processes that were started with the name of this folder in their environment."""
    mark, found = f"RTDECODE_TEST_OF={folder}".encode(), []
    for process in Path("/proc").iterdir():
        if process.name.isdigit():
            try:
                if mark in (process / "environ").read_bytes().split(b"\0"):
                    found.append(int(process.name))
            except OSError:
                continue
    return found


def test_a_killed_training_resumes_to_the_same_weights(days: list[Path], tmp_path: Path) -> None:
    settings = replace(SMALL, members=2, validation_days=1, steps=30)
    checkpoint, saved = tmp_path / "b.checkpoint", tmp_path / "b.checkpoint.1"
    process = subprocess.Popen(
        [sys.executable, "-c", PROGRAM, str(checkpoint), *map(str, days)],
        env={**os.environ, "RTDECODE_TEST_OF": str(tmp_path)},
    )
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline and process.poll() is None and not saved.exists():
        time.sleep(0.005)
    process.send_signal(signal.SIGKILL)
    assert process.wait(timeout=60) == -signal.SIGKILL
    # The processes that it started end by themselves, before another resumes from the checkpoint.
    while started_by(tmp_path) and time.monotonic() < deadline:
        time.sleep(0.1)
    assert not started_by(tmp_path)
    # One after the other in this process, the members are the same as in parallel.
    resumed = pretrain_sessions(days, settings, Run(at_once=1), checkpoint=checkpoint)
    assert any("resumed from" in note for note in resumed.notes)
    whole = pretrain_sessions(days, settings, Run(at_once=1))
    assert resumed.artifact.model_id == whole.artifact.model_id


def test_another_trainings_checkpoint_is_refused(days: list[Path], tmp_path: Path) -> None:
    saved = tmp_path / "x.checkpoint"
    settings = replace(SMALL, steps=2)
    pretrain_sessions(days, settings, checkpoint=saved)
    with pytest.raises(RtdecodeError, match=r"x\.checkpoint: belongs to another training .* delete it"):
        pretrain_sessions(days, settings, Run(seed=1), checkpoint=saved)
    with pytest.raises(RtdecodeError, match=r"x\.checkpoint: belongs to another training \(sessions was"):
        pretrain_sessions(days[:3], settings, checkpoint=saved)
    data = saved.read_bytes()
    for damaged in (data[:100], data[: len(data) // 2], b"", b"\x00" * 64, data[:-1]):
        saved.write_bytes(damaged)
        with pytest.raises(RtdecodeError, match=r"x\.checkpoint: is not a checkpoint, or is damaged"):
            pretrain_sessions(days, settings, checkpoint=saved)


def test_without_sessions_there_is_nothing_to_train_on() -> None:
    with pytest.raises(RtdecodeError, match="no session to train on"):
        pretrain_sessions([])
