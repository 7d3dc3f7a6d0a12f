"""`calibrate`: the rungs, the gate, what is refused and why, and the command line around them."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from functools import cache, partial
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
import torch
from simulated_days import (
    behavior_of,
    events_of,
    simulated_day,
    with_behavior,
    with_spikes,
    with_values,
)
from typer.testing import CliRunner

from rtdecode.artifact import ModelArtifact, read_artifact, write_artifact
from rtdecode.calibrate.adaptation import calibrate, finetune
from rtdecode.calibrate.adaptation.calibrate import Calibration, forced
from rtdecode.calibrate.adaptation.finetune_settings import FINETUNING
from rtdecode.calibrate.adaptation.ladder import default_rung, fresh_name
from rtdecode.calibrate.adaptation.session import label_speed
from rtdecode.calibrate.adaptation.start import choose_start
from rtdecode.calibrate.channels.statistics import channel_statistics
from rtdecode.calibrate.decoding import decoded
from rtdecode.calibrate.fitting.pretrain import PretrainSettings, pretrain_sessions
from rtdecode.calibrate.run import Run
from rtdecode.calibrate.training.settings import Sizes
from rtdecode.cli.commands import app
from rtdecode.errors import RtdecodeError
from rtdecode.model_store import current_model
from rtdecode.models.ensemble.load import networks_of
from rtdecode.session.layout import Events, Session, Trials
from rtdecode.session.read import read_session
from rtdecode.session.write import write_session
from rtdecode.testing.fake_daemon import FakeControl

BIN_WIDTH_S = 0.05
SMALL = PretrainSettings(
    bin_width_s=BIN_WIDTH_S,
    steps=250,
    batch=8,
    sizes=Sizes(members=1, widths=(24, 24), dec_widths=(24,), feature_dropout=0.1),
)
N_CHANNELS = 20

calibrate_session = partial(calibrate.calibrate_session, finetune=replace(FINETUNING, steps=80))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """day0.h5, day1.h5 of other rates than day2.h5, and base.safetensors of the first two."""
    torch.set_num_threads(1)
    folder = tmp_path_factory.mktemp("days")
    for seed, rate_hz in enumerate((20.0, 25.0, 40.0)):
        simulated_day(folder / f"day{seed}.h5", N_CHANNELS, seed, 150.0, mean_rate_hz=rate_hz)
    result = pretrain_sessions([folder / "day0.h5", folder / "day1.h5"], SMALL)
    write_artifact(folder / "base.safetensors", result.artifact)
    return folder


@pytest.fixture(scope="module")
def base(folder: Path) -> ModelArtifact:
    return read_artifact(folder / "base.safetensors")


@pytest.fixture(scope="module")
def calibrated(folder: Path, base: ModelArtifact) -> Callable[[str], Calibration]:
    """The base on each rung, calibrated to day 2 once."""
    return cache(lambda rung: calibrate_session(folder / "day2.h5", base, rung=rung))


@pytest.fixture(autouse=True)
def own_folders(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    monkeypatch.chdir(tmp_path)


def changed(folder: Path, path: Path, change: Callable[[Session], Session]) -> Path:
    write_session(path, change(replace(read_session(folder / "day2.h5"), path=None)))
    return path


@pytest.mark.parametrize("rung", ["unsup", "readout", "readin", "full"])
def test_every_rung_makes_a_better_model_that_can_be_calibrated_again(
    calibrated: Callable[[str], Calibration], base: ModelArtifact, rung: str
) -> None:
    result = calibrated(rung)
    model, verdict = result.artifact, result.verdict
    assert result.rung == rung
    assert verdict.new.mean() > verdict.incumbent.mean()
    assert verdict.wiener is not None
    assert result.session.test_s == pytest.approx(30.0, abs=0.1)
    assert model.model_id != base.model_id
    provenance = model.provenance
    assert (provenance["base"], provenance["rung"]) == (base.model_id, rung)
    assert provenance["sessions"][-1]["name"] == "day2"
    (net,) = networks_of(model)
    assert net.read_in.names == ["day0", "day1", "day2"]


@pytest.mark.parametrize("rung", ["readout", "full"])
def test_the_test_part_is_not_used_for_training(
    calibrated: Callable[[str], Calibration], folder: Path, tmp_path: Path, base: ModelArtifact, rung: str
) -> None:
    def late(values: np.ndarray) -> np.ndarray:
        values[round(0.81 * len(values)) :] *= -1.0
        return values

    other = changed(folder, tmp_path / "late.h5", partial(with_values, change=late))
    two = calibrate_session(other, base, rung=rung)
    assert calibrated(rung).artifact.model_id == two.artifact.model_id
    assert not two.deployable


def test_an_output_that_is_unknown_at_the_end_is_not_judged_and_costs_the_others_nothing(
    calibrated: Callable[[str], Calibration], folder: Path, tmp_path: Path, base: ModelArtifact
) -> None:
    def unknown(values: np.ndarray) -> np.ndarray:
        values[len(values) // 2 :, 1] = np.nan
        return values

    other = changed(folder, tmp_path / "unknown.h5", partial(with_values, change=unknown))
    two, one = calibrate_session(other, base, rung="readout"), calibrated("readout")
    kept = [0, *range(2, len(base.outputs))]
    assert two.verdict is not None
    assert one.verdict is not None
    for name in ("incumbent", "wiener"):
        np.testing.assert_array_equal(getattr(two.verdict, name)[kept], getattr(one.verdict, name)[kept])
        assert np.isnan(getattr(two.verdict, name)[1])
    np.testing.assert_allclose(two.verdict.new[kept], one.verdict.new[kept], atol=0.02)
    assert two.deployable
    assert f"too few labels to be judged: {base.output_names[1]} (0.0 s)" in two.notes
    assert any(note.startswith("unknown in some of") for note in two.notes)


def silent(session: Session) -> Session:
    return replace(session, events=Events(np.array([0.5, 149.0]), np.array([3, 3], np.uint16)))


def first_seconds(session: Session) -> Session:
    end_s, behavior = session.start_s + 10, behavior_of(session)
    rows = behavior.time < end_s
    short = with_behavior(session, time=behavior.time[rows], values=behavior.values[rows])
    return replace(with_spikes(short, lambda events: events.time < end_s), trials=None)


REFUSED: dict[str, tuple[Callable[[Session], Session], str]] = {
    "shuffled": (
        partial(with_values, change=lambda y: np.random.default_rng(0).permutation(y)),
        "chance|well or better",
    ),
    "shifted": (
        partial(with_values, change=lambda y: np.roll(y, len(y) // 2, axis=0)),
        "chance|well or better",
    ),
    "constant": (partial(with_values, change=lambda y: np.full_like(y, 3.0)), "does not vary"),
    "silence": (silent, "no channel fires"),
    "10 s": (first_seconds, "the session has 10 s of behaviour, and 50 s are needed"),
}


@pytest.mark.parametrize("what", REFUSED)
@pytest.mark.parametrize("rung", ["readout", "full"])
def test_a_session_without_information_is_refused_with_its_reason(
    folder: Path, tmp_path: Path, base: ModelArtifact, what: str, rung: str
) -> None:
    change, reason = REFUSED[what]
    result = calibrate_session(changed(folder, tmp_path / "today.h5", change), base, rung=rung)
    assert not result.deployable
    assert any(part in result.reason for part in reason.split("|")), result.reason


def test_it_is_refused_where_the_model_in_use_is_better(
    calibrated: Callable[[str], Calibration], folder: Path, base: ModelArtifact
) -> None:
    good = calibrated("full").artifact
    result = calibrate_session(folder / "day2.h5", base, incumbent=good, rung="unsup")
    assert not result.deployable
    assert "the model in use does as well or better" in result.reason
    same = calibrate_session(folder / "day2.h5", base, incumbent=good, rung="full")
    assert not same.deployable


def test_it_is_not_judged_where_it_cannot_be_compared_with_the_model_in_use(
    folder: Path, base: ModelArtifact
) -> None:
    in_cm = tuple(replace(output, units="cm") for output in base.outputs)
    for other in (replace(base, bin_width_s=0.1), replace(base, outputs=in_cm)):
        result = calibrate_session(folder / "day2.h5", base, incumbent=other, rung="readout")
        assert result.verdict.incumbent is None
        assert result.verdict.deployable
        assert (result.deployable, result.judged) == (False, False)
        assert other.model_id in result.reason
        assert any("not compared" in note for note in result.notes)


def test_without_labels_the_gate_is_the_channels(folder: Path, tmp_path: Path, base: ModelArtifact) -> None:
    spikes = changed(folder, tmp_path / "spikes.h5", lambda session: replace(session, behavior=None))
    result = calibrate_session(spikes, base)
    assert (result.rung, result.deployable, result.judged, result.verdict) == ("unsup", False, False, None)
    assert f"{N_CHANNELS} of the base's {N_CHANNELS} channels fire" in result.reason

    def most_dead(session: Session) -> Session:
        return replace(with_spikes(session, lambda events: events.channel < 8), behavior=None)

    result = calibrate_session(changed(folder, tmp_path / "dead.h5", most_dead), base)
    assert (result.deployable, result.judged) == (False, True)
    assert result.reason == "only 8 of the base's 20 channels fire today"
    assert result.notes == ["12 of 20 channels are silent today: 8–19; masked"]
    with pytest.raises(RtdecodeError, match="use --rung unsup"):
        calibrate_session(spikes, base, rung="full")


def test_the_rung_follows_the_labels_and_what_is_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    assert [default_rung(s) for s in (0.0, 60.0, 120.0, 600.0)] == ["unsup", "full", "full", "full"]
    monkeypatch.setattr("rtdecode.calibrate.adaptation.ladder.torch_is_installed", lambda: False)
    assert [default_rung(s) for s in (0.0, 60.0, 600.0)] == ["unsup", "readout", "readout"]


def hum(session: Session) -> Session:
    """A regular source of 60 Hz on channel 4 and one of 300 Hz on channel 11."""
    time, channel = [events_of(session).time], [events_of(session).channel]
    for which, hz in ((4, 60.0), (11, 300.0)):
        time.append(np.arange(session.start_s + 1e-3, session.end_s, 1.0 / hz))
        channel.append(np.full(len(time[-1]), which, np.uint16))
    times, channels = np.concatenate(time), np.concatenate(channel)
    order = np.argsort(times, kind="stable")
    return replace(session, events=Events(times[order], channels[order]))


@pytest.mark.parametrize("rung", ["unsup", "readout", "readin", "full"])
def test_noisy_channels_are_masked_in_what_every_rung_makes(
    folder: Path, tmp_path: Path, base: ModelArtifact, rung: str
) -> None:
    result = calibrate_session(changed(folder, tmp_path / "hum.h5", hum), base, rung=rung)
    model = result.artifact
    assert np.flatnonzero(result.channels.noisy).tolist() == [4, 11]
    assert np.flatnonzero(~np.array(model.channel_mask)).tolist() == [4, 11]
    (net,) = networks_of(model)
    assert np.flatnonzero(~net.read_in.of(net.read_in.names[-1]).good.numpy()).tolist() == [4, 11]
    assert any("2 of 20 channels are noisy: " in note for note in result.notes)
    # The counts of a masked channel change nothing.
    other = result.session.counts.copy()
    other[:, [4, 11]] = 7
    np.testing.assert_array_equal(decoded(model, result.session.counts), decoded(model, other))


def reversed_channels(session: Session) -> Session:
    events = events_of(session)
    channel = (N_CHANNELS - 1 - events.channel).astype(np.uint16)
    return replace(session, events=Events(events.time, channel))


def test_an_array_in_another_order_is_refused_without_labels_and_noted_with_them(
    folder: Path, tmp_path: Path, base: ModelArtifact
) -> None:
    other = changed(folder, tmp_path / "reversed.h5", reversed_channels)
    judged = calibrate_session(other, base, rung="readout")
    assert "reordered" not in judged.reason
    assert any("all channels are reversed; check the connectors" in note for note in judged.notes)
    blind = changed(
        folder, tmp_path / "blind.h5", lambda session: replace(reversed_channels(session), behavior=None)
    )
    result = calibrate_session(blind, base)
    assert not result.deployable
    assert result.reason == ("channels look reordered: all channels are reversed; check the connectors")
    assert result.artifact is not None


def test_models_keep_the_channel_statistics_of_their_last_session(
    calibrated: Callable[[str], Calibration], base: ModelArtifact
) -> None:
    before, model = channel_statistics(base), calibrated("readout").artifact
    after = channel_statistics(model)
    assert not np.array_equal(after.mean, before.mean)
    assert replace(model, train={}).model_id == model.model_id
    # day2 fires more, with the tuning of the base's days.
    assert np.median(after.mean / before.mean) > 1.3
    assert np.corrcoef(after.tuning.slope.ravel(), before.tuning.slope.ravel())[0, 1] > 0.9


def test_a_base_of_an_earlier_version_still_works(folder: Path, base: ModelArtifact) -> None:
    train = {name: tensor for name, tensor in base.train.items() if not name.startswith("channels.")}
    result = calibrate_session(folder / "day2.h5", replace(base, train=train), rung="readout")
    assert result.channels.base.tuning is None
    assert result.deployable
    assert channel_statistics(result.artifact).tuning is not None


@pytest.mark.parametrize("rung", ["unsup", "readout"])
def test_two_rungs_need_no_torch(folder: Path, rung: str) -> None:
    program = (
        "import sys\n"
        "from rtdecode.cli.commands import app\n"
        f"app(['calibrate', {str(folder / 'day2.h5')!r}, '--base', {str(folder / 'base.safetensors')!r}, "
        f"'--rung', {rung!r}, '--output', 'new.safetensors', '--json'], "
        "standalone_mode=False)\nsys.exit('torch' in sys.modules)"
    )
    run = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=120)
    assert run.returncode == 0, run.stderr
    assert json.loads(run.stdout)["rung"] == rung


def test_a_budget_is_kept_with_fewer_batches_or_without_training(
    folder: Path, base: ModelArtifact, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(finetune, "seconds_per_step", lambda *_arguments: 1.0)

    def within(seconds: float) -> Calibration:
        run = Run(deadline_s=time.monotonic() + seconds)
        return calibrate_session(folder / "day2.h5", base, run, rung="full")

    result = within(60.0)
    assert 40 <= result.artifact.provenance["calibration"]["steps"] <= 48
    assert any("of 80 batches" in note for note in result.notes)
    result = within(10.0)
    assert result.rung == "readout"
    assert "no time to train: readout instead" in result.notes
    run = CliRunner().invoke(app, ["calibrate", str(folder / "day2.h5"), "--budget", "-1"])
    assert "--budget must be above 0 s, got -1" in str(run.exception)


def test_sessions_that_do_not_fit_the_base_are_refused_by_name(
    folder: Path, tmp_path: Path, base: ModelArtifact
) -> None:
    simulated_day(tmp_path / "small.h5", 9)
    with pytest.raises(RtdecodeError, match=r"small\.h5: has 9 channels, and the model has 20"):
        calibrate_session(tmp_path / "small.h5", base)
    renamed = partial(with_behavior, names=("x", "y", "vx", "w"))
    other = changed(folder, tmp_path / "other.h5", renamed)
    with pytest.raises(RtdecodeError, match="has no behaviour called 'vy', which the model decodes"):
        calibrate_session(other, base)
    assert calibrate_session(other, base, rung="unsup").verdict is None
    with pytest.raises(RtdecodeError, match="there is no rung 'fulll'"):
        calibrate_session(folder / "day2.h5", base, rung="fulll")


def test_a_base_is_not_scored_on_what_it_was_trained_on(
    calibrated: Callable[[str], Calibration], folder: Path, base: ModelArtifact
) -> None:
    with pytest.raises(RtdecodeError, match=r"day1\.h5: the base [0-9a-f]{8} was trained on this session"):
        calibrate_session(folder / "day1.h5", base)
    # A calibration does not train on the last fifth, so it may be repeated; less held out is not enough.
    again = calibrated("unsup").artifact
    assert calibrate_session(folder / "day2.h5", again, rung="unsup").artifact is not None
    (*others, own) = again.provenance["sessions"]
    less = again.provenance | {"sessions": [*others, own | {"holdout_s": own["holdout_s"] / 2}]}
    with pytest.raises(RtdecodeError, match="was trained on this session"):
        calibrate_session(folder / "day2.h5", replace(again, provenance=less), rung="unsup")


def test_a_session_is_read_once_and_hashed_once(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    session, opened = folder / "day2.h5", []
    path_open, h5py_file = Path.open, h5py.File

    def counting_open(path: Path, *arguments: Any, **options: Any) -> Any:
        opened.append(("hash", path))
        return path_open(path, *arguments, **options)

    def counting_file(path: Any, *arguments: Any, **options: Any) -> Any:
        opened.append(("read", Path(path)))
        return h5py_file(path, *arguments, **options)

    monkeypatch.setattr(Path, "open", counting_open)
    monkeypatch.setattr("h5py.File", counting_file)
    code, _ = command(session, "--base", folder / "base.safetensors", "--rung", "readout")
    assert code == 0
    # Opened before for its mark alone: a file of another program would be converted.
    assert [how for how, path in opened if path == session] == ["read", "read", "hash"]


def test_a_day_may_be_calibrated_to_again_and_again(folder: Path, base: ModelArtifact) -> None:
    model = base
    for _ in range(3):
        model = calibrate_session(folder / "day2.h5", model, rung="unsup").artifact
    names = ["day0", "day1", "day2", "day2 2", "day2 3"]
    assert [session["name"] for session in model.provenance["sessions"]] == names
    (net,) = networks_of(model)
    assert net.read_in.names == names


def test_refit_trains_on_intended_velocities_and_reports_it(
    calibrated: Callable[[str], Calibration], folder: Path, base: ModelArtifact
) -> None:
    result = calibrate_session(folder / "day2.h5", base, rung="refit")
    assert (result.rung, result.session.of.labels) == ("refit", "refit")
    model, verdict = result.artifact, result.verdict
    new, incumbent = verdict.new, verdict.incumbent
    # The cursor was where the model in use put it, so x and y have no scores.
    assert np.isnan(new[:2]).all()
    assert np.isnan(incumbent[:2]).all()
    assert new[2:].mean() > incumbent[2:].mean()
    assert "against intended velocities" in result.reason
    assert "the labels of x, y are the displayed cursor" in result.notes[0]
    source = "labels are intended velocities (ReFIT): from the cursor (/behavior) towards the target"
    assert source in result.notes[0]
    provenance = model.provenance
    assert (provenance["rung"], provenance["labels"]) == ("refit", "refit")
    assert provenance["calibration"]["as"] == "full"
    # About as fast as the base's training data.
    vx, vy = base.outputs[2:]
    speed = provenance["sessions"][-1]["speed"]
    assert speed == pytest.approx(np.sqrt(vx.sd**2 + vx.mean**2 + vy.sd**2 + vy.mean**2))
    # And no other speed the next time, whatever the labels' SD has become.
    slower = replace(model, outputs=tuple(replace(each, sd=1.0) for each in base.outputs))
    assert label_speed(slower) == speed
    # Only on request.
    assert calibrated("readout").session.of.labels == "recorded"


def test_refit_works_without_torch(
    folder: Path, base: ModelArtifact, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("rtdecode.calibrate.adaptation.ladder.torch_is_installed", lambda: False)
    result = calibrate_session(folder / "day2.h5", base, rung="refit")
    assert result.rung == "refit"
    assert result.artifact.provenance["calibration"]["as"] == "readout"


def test_refit_names_what_the_session_lacks(folder: Path, tmp_path: Path, base: ModelArtifact) -> None:
    def untargeted(session: Session) -> Session:
        return replace(session, trials=replace(session.trials, columns={}))

    for name, change, message in (
        (
            "trials",
            lambda session: replace(session, trials=None),
            "has no trials, whose targets intended velocities point to",
        ),
        ("targets", untargeted, "has trials without targets"),
        ("cursor", lambda session: replace(session, behavior=None), "has no cursor position"),
    ):
        with pytest.raises(RtdecodeError, match=rf"{name}\.h5: {message}"):
            calibrate_session(changed(folder, tmp_path / f"{name}.h5", change), base, rung="refit")
    short = changed(folder, tmp_path / "short.h5", lambda session: few_trials(session, 40))
    result = calibrate_session(short, base, rung="refit")
    assert not result.deployable
    assert re.fullmatch(r"the session has 2\d s on the way to targets, and 50 s are needed", result.reason)


def few_trials(session: Session, n: int) -> Session:
    columns = {name: values[:n] for name, values in session.trials.columns.items()}
    return replace(session, trials=Trials(session.trials.start[:n], session.trials.stop[:n], columns))


def in_blocks(session: Session) -> Session:
    """The first 60 trials are a block, the others another."""
    block = np.where(np.arange(len(session.trials.start)) < 60, "first", "second")
    return replace(session, trials=replace(session.trials, columns=session.trials.columns | {"block": block}))


def test_only_the_block_is_used(folder: Path, tmp_path: Path, base: ModelArtifact) -> None:
    def other_blocks_changed(session: Session) -> Session:
        blocks = in_blocks(session)
        end_s, behavior = blocks.trials.stop[59], behavior_of(blocks)
        values = np.where(behavior.time[:, np.newaxis] > end_s + 0.1, -3.0 * behavior.values, behavior.values)
        return with_spikes(with_values(blocks, lambda _: values), lambda events: events.time <= end_s)

    one, two = (
        changed(folder, tmp_path / f"{i}.h5", change)
        for i, change in enumerate((in_blocks, other_blocks_changed))
    )
    for rung in ("readout", "unsup"):
        made = [calibrate_session(path, base, rung=rung, blocks=["first"]) for path in (one, two)]
        first, second = (each.artifact for each in made)
        assert first.model_id == second.model_id
        np.testing.assert_array_equal(made[0].verdict.new, made[1].verdict.new)
        assert first.provenance["sessions"][-1]["blocks"] == ["first"]
    with pytest.raises(RtdecodeError, match=r"0\.h5: has no block 'third'.*use first, second"):
        calibrate_session(one, base, blocks=["third"])


def test_a_name_is_not_used_twice(base: ModelArtifact) -> None:
    assert fresh_name(base, "day2") == "day2"
    assert fresh_name(base, "day1") == "day1 2"


def command(*arguments: Any) -> tuple[int, dict[str, Any]]:
    run = CliRunner().invoke(app, ["calibrate", *map(str, arguments), "--json"])
    return run.exit_code, json.loads(run.stdout) if run.stdout else {}


def test_the_morning_makes_a_model_current_and_keeps_the_one_before(
    folder: Path, tmp_path: Path, base: ModelArtifact
) -> None:
    code, document = command(
        folder / "day2.h5", "--base", folder / "base.safetensors", "--stream", "M1",
        "--output", tmp_path / "today.safetensors", "--rung", "readout",
    )  # fmt: skip
    assert code == 0
    assert document["deployed"] is True
    assert (document["rung"], document["forced"]) == ("readout", False)
    assert document["outputs"] == ["x", "y", "vx", "vy"]
    assert [len(document["scores"][name]) for name in ("new", "incumbent", "wiener")] == [4, 4, 4]
    assert document["holdout"]["r2"] == document["scores"]["new"]
    current = current_model("M1")
    assert read_artifact(current).model_id == document["model"]
    # Now it is the base, and the one to beat.
    session = read_session(folder / "day1.h5")
    start = choose_start(session, None, "M1")
    assert start.base.model_id == document["model"]
    assert start.incumbent is not None
    code, again = command(
        folder / "day2.h5", "--stream", "M1", "--output", tmp_path / "again.safetensors", "--rung", "full"
    )
    assert again["base"] == str(current)
    assert (code == 0) == again["deployable"]
    if code == 0:
        previous = current.with_name("previous.safetensors")
        assert read_artifact(previous).model_id == document["model"]


def test_a_daemon_gets_a_model_that_passes_and_no_other(folder: Path, tmp_path: Path) -> None:
    def daemon(request: dict[str, Any]) -> dict[str, Any]:
        if request["cmd"] == "swap":
            assert read_artifact(request["path"]).kind == "alignnet"
        return {"ok": True, "bin": 77, "model": "aabbccdd", "stream": {"name": "M2"}}

    base = ("--base", folder / "base.safetensors", "--rung", "readout")
    with FakeControl(daemon) as control:
        deploy = ("--output", tmp_path / "a.safetensors", "--stream", "M1", "--deploy", control.endpoint)
        code, document = command(folder / "day2.h5", *base, *deploy)
        assert (code, document["swapped"], document["deployed"]) == (0, 77, True)
        assert document["notes"][0] == f"the daemon at {control.endpoint} serves stream M2, not M1"
        shifted = changed(folder, tmp_path / "shifted.h5", REFUSED["shifted"][0])
        code, document = command(shifted, *base, "--deploy", control.endpoint)
        assert (code, document["swapped"], document["deployed"]) == (3, None, False)
        # Before the work it is asked whether it runs; a dry run asks no more than that.
        dry = ("--output", tmp_path / "b.safetensors", "--deploy", control.endpoint, "--dry-run")
        code, document = command(folder / "day2.h5", *base, *dry)
        assert (code, document["swapped"], document["deployed"]) == (0, None, False)
        plan = {"output": str(tmp_path / "b.safetensors"), "current": None, "deploy": control.endpoint}
        assert document["dry_run"] == plan
        assert [document[name] for name in ("output", "current", "report")] == [None] * 3
        swap = {"cmd": "swap", "path": str(tmp_path / "a.safetensors")}
        assert control.requests == [{"cmd": "status"}, swap, {"cmd": "status"}, {"cmd": "status"}]


def test_a_swap_that_the_daemon_refuses_is_an_error(folder: Path, tmp_path: Path) -> None:
    arguments = (folder / "day2.h5", "--base", folder / "base.safetensors", "--rung", "readout")
    output = tmp_path / "a.safetensors"

    def daemon(request: dict[str, Any]) -> dict[str, Any]:
        return {"ok": request["cmd"] == "status", "error": "the model has 20 channels"}

    with FakeControl(daemon) as control:
        run = CliRunner().invoke(
            app, ["calibrate", *map(str, arguments), "--output", str(output), "--deploy", control.endpoint]
        )
    assert isinstance(run.exception, RtdecodeError)
    assert "the daemon did not swap it in: the model has 20 channels" in str(run.exception)
    assert f"rtdecode swap {output}" in str(run.exception)
    assert read_artifact(output).kind == "alignnet"
    # Noticed before anything is read.
    run = CliRunner().invoke(app, ["calibrate", "missing.h5", "--deploy", "nowhere"])
    assert "--deploy: 'nowhere' is not an endpoint" in str(run.exception)


def test_refit_and_block_from_the_command_line(folder: Path, tmp_path: Path) -> None:
    today = changed(folder, tmp_path / "today.h5", in_blocks)
    arguments = ["calibrate", str(today), "--base", str(folder / "base.safetensors"), "--method", "refit"]
    run = CliRunner().invoke(app, [*arguments, "--block", "first", "--block", "second", "--json"])
    document = json.loads(run.stdout)
    assert run.exit_code == (0 if document["deployable"] else 3)
    assert (document["rung"], document["labels"]) == ("refit", "refit")
    assert document["holdout"]["r2"] == document["scores"]["new"]
    model = read_artifact(Path(document["output"]))
    assert model.provenance["sessions"][-1]["blocks"] == ["first", "second"]
    shown = CliRunner().invoke(app, arguments)
    assert "R² against intended velocities in the last" in shown.stdout
    wrong = CliRunner().invoke(app, [*arguments, "--block", "third"])
    assert wrong.exit_code == 1


def test_a_refused_model_is_kept_under_another_name_and_never_current(folder: Path, tmp_path: Path) -> None:
    change, _ = REFUSED["shifted"]
    today = changed(folder, tmp_path / "today.h5", change)
    arguments = (today, "--base", folder / "base.safetensors", "--stream", "M1", "--rung", "readout")
    (tmp_path / "today.refused.safetensors").write_text("yesterday's")
    code, document = command(*arguments)
    assert code == 3
    assert (document["deployed"], document["deployable"]) == (False, False)
    assert Path(document["output"]).name == "today.2.refused.safetensors"
    assert (tmp_path / "today.refused.safetensors").read_text() == "yesterday's"
    assert not (tmp_path / "today.calibrated.safetensors").exists()
    assert not current_model("M1").exists()
    assert Path(document["report"]).name == "today.2.refused.report.html"
    code, document = command(*arguments, "--force")
    assert code == 0
    assert document["forced"] is True
    assert "forced" in read_artifact(tmp_path / "today.calibrated.safetensors").provenance
    assert read_artifact(current_model("M1")).model_id == document["model"]


def test_the_report_is_written_for_accepted_and_refused_models(folder: Path, tmp_path: Path) -> None:
    base = ("--base", folder / "base.safetensors", "--rung", "readout")
    output = tmp_path / "today.safetensors"
    code, document = command(folder / "day2.h5", *base, "--output", output)
    assert code == 0
    assert document["report"] == str(tmp_path / "today.report.html")
    assert "<h1>TRUST" in Path(document["report"]).read_text()
    change, _ = REFUSED["shifted"]
    code, document = command(
        changed(folder, tmp_path / "late.h5", change), *base, "--report", tmp_path / "page.html"
    )
    assert code == 3
    assert document["report"] == str(tmp_path / "page.html")
    assert "<h1>DO NOT USE" in Path(document["report"]).read_text()
    # Where it cannot be written that is said before any work, and nothing is replaced.
    before = output.read_bytes()
    page = tmp_path / "nowhere" / "page.html"
    code, _ = command(folder / "day2.h5", *base, "--output", output, "--overwrite", "--report", page)
    assert code == 1
    assert output.read_bytes() == before


def test_without_a_model_force_is_refused(folder: Path, tmp_path: Path, base: ModelArtifact) -> None:
    change, _ = REFUSED["10 s"]
    result = calibrate_session(changed(folder, tmp_path / "today.h5", change), base)
    with pytest.raises(RtdecodeError, match="no model could be made"):
        forced(result)


def test_without_labels_nothing_becomes_current_unless_forced(folder: Path, tmp_path: Path) -> None:
    today = changed(folder, tmp_path / "today.h5", lambda session: replace(session, behavior=None))
    given = ["calibrate", str(today), "--base", str(folder / "base.safetensors"), "--stream", "M1"]
    run = CliRunner().invoke(app, given)
    assert run.exit_code == 3
    assert "\nnot judged: no labels, so no scores; 20 of" in run.stdout
    assert "repeat this with --force" in run.stdout
    assert "better" not in run.stdout
    # A name that `serve --watch` ignores.
    assert (tmp_path / "today.refused.safetensors").is_file()
    assert "<h1>NOT JUDGED" in (tmp_path / "today.refused.report.html").read_text()
    assert not current_model("M1").exists()
    run = CliRunner().invoke(app, [*given, "--force"])
    assert run.exit_code == 0
    assert "\nFORCED, not judged: " in run.stdout
    assert "better" not in run.stdout
    assert read_artifact(current_model("M1")).provenance["forced"].startswith("no labels")


def test_a_dry_run_judges_and_changes_nothing(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "typed.safetensors").write_text("mine")
    before = sorted(tmp_path.rglob("*"))
    given = [str(folder / "day2.h5"), "--base", str(folder / "base.safetensors"), "--rung", "readout"]
    given += ["--stream", "M1", "--output", "typed.safetensors"]
    run = CliRunner().invoke(app, ["calibrate", *given, "--dry-run"])
    assert run.exit_code == 0
    assert "note: without --dry-run nothing would be done (typed.safetensors: exists already" in run.stdout
    assert "\nbetter: " in run.stdout
    assert "dry run: nothing was written or changed. Without --dry-run" in run.stdout
    assert re.search(r"model [0-9a-f]{8} would be written to typed\.2\.safetensors", run.stdout)
    assert "would become current for M1" in run.stdout
    assert sorted(tmp_path.rglob("*")) == before
    refused = CliRunner().invoke(app, ["calibrate", *given])
    assert "typed.safetensors: exists already" in str(refused.exception)
    assert (tmp_path / "typed.safetensors").read_text() == "mine"


def test_a_model_that_cannot_become_current_is_kept_and_named(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "data").write_text("a file in the way")
    given = [str(folder / "day2.h5"), "--base", str(folder / "base.safetensors"), "--rung", "unsup"]
    given += ["--output", "new.safetensors", "--stream", "M1", "--force"]
    run = CliRunner().invoke(app, ["calibrate", *given])
    line = str(run.exception)
    assert "the model is in new.safetensors, but did not become current: cannot be used" in line
    assert "until then serve it with --model new.safetensors" in line
    assert read_artifact("new.safetensors").kind == "alignnet"
    assert "report: new.report.html" in run.stdout


def test_a_damaged_model_in_use_is_named_with_the_way_back(folder: Path) -> None:
    current_model("M1").parent.mkdir(parents=True)
    current_model("M1").write_bytes(b"")
    with pytest.raises(RtdecodeError, match=r"the model in use is not a model.*`rtdecode models`"):
        choose_start(read_session(folder / "day2.h5"), None, "M1")


def test_stream_and_base_come_from_rig_toml_or_the_recording(folder: Path, tmp_path: Path) -> None:
    Path("rig.toml").write_text(f'stream = "rig"\nmodel = "{folder / "base.safetensors"}"\n')
    code, document = command(folder / "day2.h5", "--output", tmp_path / "a.safetensors", "--rung", "readout")
    assert code == 0
    assert current_model("rig").is_file()
    # It is not what `serve` will decode with here.
    assert f"serve keeps using {folder / 'base.safetensors'} from rig.toml" in document["notes"][0]
    Path("rig.toml").write_text('stream = "rig"\nmodel = "current"\n')
    recorded = changed(
        folder, tmp_path / "b.h5", lambda session: replace(session, attrs=session.attrs | {"stream": "M7"})
    )
    code, again = command(recorded, "--rung", "unsup", "--dry-run")
    assert again["base"] == str(current_model("rig"))
    assert not any("serve keeps" in note for note in again["notes"])
    assert again["notes"][0] == "the session was recorded from stream M7, not rig"
    Path("rig.toml").unlink()
    code, _ = command(recorded, "--base", folder / "base.safetensors", "--rung", "readout")
    assert code == 0
    assert current_model("M7").is_file()


def test_a_bundled_base_that_fits_is_found(folder: Path) -> None:
    session = read_session(folder / "day2.h5")
    with pytest.raises(RtdecodeError, match="no bundled model fits an array of 20 channels"):
        choose_start(session, None, None)
    assert choose_start(replace(session, n_channels=96), None, None).path.name == "indy.safetensors"
    strange = replace(session, n_channels=96, behavior=replace(session.behavior, units=("cm",) * 4))
    with pytest.raises(RtdecodeError, match="that records x, y, vx, vy"):
        choose_start(strange, None, None)
