"""`calibrate`: the rungs, the gate, what is refused and why, and the command line around them."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from typer.testing import CliRunner

from rtdecode.artifact import ModelArtifact, read_artifact, write_artifact
from rtdecode.calibrate.adaptation import calibrate, finetune
from rtdecode.calibrate.adaptation import ladder as rungs
from rtdecode.calibrate.adaptation.calibrate import forced
from rtdecode.calibrate.adaptation.finetune_settings import FinetuneSettings
from rtdecode.calibrate.adaptation.ladder import default_rung, fresh_name
from rtdecode.calibrate.adaptation.session import speed_of
from rtdecode.calibrate.adaptation.start import choose_start
from rtdecode.calibrate.channels.statistics import remembered
from rtdecode.calibrate.fitting.pretrain import PretrainSettings, pretrain_sessions
from rtdecode.calibrate.training.settings import Sizes
from rtdecode.cli import app
from rtdecode.decode.load import load_decoder
from rtdecode.errors import RtdecodeError
from rtdecode.model_store import current_model
from rtdecode.models.ensemble.load import networks_of
from rtdecode.session.layout import Events, Session, Trials
from rtdecode.session.read import read_session
from rtdecode.session.write import write_session
from rtdecode.testing.fake_daemon import FakeControl
from rtdecode.tools.simulator.scripted import CentreOut, draw_tuning, simulate_session

BIN_WIDTH_S = 0.05
SMALL = PretrainSettings(
    bin_width_s=BIN_WIDTH_S,
    steps=250,
    batch=8,
    sizes=Sizes(members=1, widths=(24, 24), dec_widths=(24,), feature_dropout=0.1),
)
N_CHANNELS = 20

calibrate_session = partial(calibrate.calibrate_session, finetune=FinetuneSettings(steps=80))


def simulated(rate_hz: float, seed: int, seconds: float = 150.0) -> Session:
    task = CentreOut(n_channels=N_CHANNELS, mean_rate_hz=rate_hz)
    return simulate_session(task, draw_tuning(task, 3), seconds, seed, f"day{seed}")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """day0.h5, day1.h5 of other rates than day2.h5, and base.safetensors of the first two."""
    torch.set_num_threads(1)
    folder = tmp_path_factory.mktemp("days")
    for seed, rate_hz in enumerate((20.0, 25.0, 40.0)):
        write_session(folder / f"day{seed}.h5", simulated(rate_hz, seed))
    result = pretrain_sessions([folder / "day0.h5", folder / "day1.h5"], SMALL)
    write_artifact(folder / "base.safetensors", result.artifact)
    return folder


@pytest.fixture
def base(folder: Path) -> ModelArtifact:
    return read_artifact(folder / "base.safetensors")


@pytest.fixture(autouse=True)
def own_folders(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    monkeypatch.chdir(tmp_path)


def changed(folder: Path, path: Path, change: Callable[[Session], Session]) -> Path:
    write_session(path, change(replace(read_session(folder / "day2.h5"), path=None)))
    return path


def with_behavior(values: Callable[[np.ndarray], np.ndarray]) -> Callable[[Session], Session]:
    def change(session: Session) -> Session:
        assert session.behavior is not None
        return replace(
            session, behavior=replace(session.behavior, values=values(session.behavior.values).astype("f4"))
        )

    return change


@pytest.mark.parametrize("rung", ["unsup", "readout", "readin", "full"])
def test_every_rung_makes_a_better_model_that_can_be_gone_on_from(
    folder: Path, base: ModelArtifact, rung: str
) -> None:
    result = calibrate_session(folder / "day2.h5", base, rung=rung)
    assert result.rung == rung
    assert result.artifact is not None
    assert result.verdict is not None
    assert result.verdict.incumbent is not None
    assert result.verdict.new.mean() > result.verdict.incumbent.mean()
    assert result.verdict.wiener is not None
    assert result.holdout_s == pytest.approx(30.0, abs=0.1)
    assert result.artifact.model_id != base.model_id
    said = result.artifact.provenance
    assert (said["base"], said["rung"]) == (base.model_id, rung)
    assert said["sessions"][-1]["name"] == "day2"
    (net,) = networks_of(result.artifact)
    assert net.read_in.names == ["day0", "day1", "day2"]
    again = calibrate_session(folder / "day2.h5", base, rung=rung)
    assert again.artifact is not None
    assert again.artifact.model_id == result.artifact.model_id


def test_what_judges_is_not_learnt_from(folder: Path, tmp_path: Path, base: ModelArtifact) -> None:
    def late(session: Session) -> Session:
        assert session.behavior is not None
        values = session.behavior.values.copy()
        values[round(0.81 * len(values)) :] *= -1.0
        return replace(session, behavior=replace(session.behavior, values=values))

    other = changed(folder, tmp_path / "late.h5", late)
    for rung in ("readout", "full"):
        one, two = (calibrate_session(path, base, rung=rung) for path in (folder / "day2.h5", other))
        assert one.artifact is not None
        assert two.artifact is not None
        assert one.artifact.model_id == two.artifact.model_id
        assert not two.deployable


def silent(session: Session) -> Session:
    return replace(session, events=Events(np.array([0.5, 149.0]), np.array([3, 3], np.uint16)))


def first_seconds(session: Session) -> Session:
    assert session.events is not None
    assert session.behavior is not None
    start = session.start_s
    spikes, samples = session.events.time < start + 10, session.behavior.time < start + 10
    return replace(
        session,
        events=Events(session.events.time[spikes], session.events.channel[spikes]),
        behavior=replace(
            session.behavior,
            time=session.behavior.time[samples],
            values=session.behavior.values[samples],
        ),
        trials=None,
    )


REFUSED: dict[str, tuple[Callable[[Session], Session], str]] = {
    "shuffled": (with_behavior(lambda y: np.random.default_rng(0).permutation(y)), "chance|well or better"),
    "shifted": (with_behavior(lambda y: np.roll(y, len(y) // 2, axis=0)), "chance|well or better"),
    "constant": (with_behavior(lambda y: np.full_like(y, 3.0)), "does not vary"),
    "silence": (silent, "no channel fires"),
    "10 s": (first_seconds, "the session has 10 s of behaviour, and 50 s are needed"),
}


@pytest.mark.parametrize("what", REFUSED)
@pytest.mark.parametrize("rung", ["readout", "full"])
def test_what_says_nothing_is_refused_with_its_reason(
    folder: Path, tmp_path: Path, base: ModelArtifact, what: str, rung: str
) -> None:
    change, reason = REFUSED[what]
    result = calibrate_session(changed(folder, tmp_path / "today.h5", change), base, rung=rung)
    assert not result.deployable
    assert any(part in result.reason for part in reason.split("|")), result.reason


def test_it_is_refused_where_the_model_in_use_is_better(folder: Path, base: ModelArtifact) -> None:
    good = calibrate_session(folder / "day2.h5", base, rung="full").artifact
    assert good is not None
    result = calibrate_session(folder / "day2.h5", base, incumbent=good, rung="unsup")
    assert not result.deployable
    assert "the model in use does as well or better" in result.reason
    same = calibrate_session(folder / "day2.h5", base, incumbent=good, rung="full")
    assert not same.deployable
    other = replace(good, bin_width_s=0.1)
    result = calibrate_session(folder / "day2.h5", base, incumbent=other, rung="full")
    assert result.verdict is not None
    assert result.verdict.incumbent is None
    assert any("not compared" in note for note in result.notes)


def test_without_labels_channels_are_what_is_judged(
    folder: Path, tmp_path: Path, base: ModelArtifact
) -> None:
    spikes = changed(folder, tmp_path / "spikes.h5", lambda session: replace(session, behavior=None))
    result = calibrate_session(spikes, base)
    assert (result.rung, result.deployable, result.verdict) == ("unsup", True, None)
    assert f"{N_CHANNELS} of the base's {N_CHANNELS} channels fire" in result.reason

    def most_dead(session: Session) -> Session:
        assert session.events is not None
        kept = session.events.channel < 8
        events = Events(session.events.time[kept], session.events.channel[kept])
        return replace(session, events=events, behavior=None)

    result = calibrate_session(changed(folder, tmp_path / "dead.h5", most_dead), base)
    assert not result.deployable
    assert result.reason == "only 8 of the base's 20 channels fire today"
    assert result.notes == ["12 of 20 channels are silent today: 8–19; masked"]
    with pytest.raises(RtdecodeError, match="use --rung unsup"):
        calibrate_session(spikes, base, rung="full")


def test_the_rung_follows_the_labels_and_what_is_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    assert [default_rung(s) for s in (0.0, 60.0, 120.0, 600.0)] == ["unsup", "full", "full", "full"]
    monkeypatch.setattr(rungs, "torch_is_installed", lambda: False)
    assert [default_rung(s) for s in (0.0, 60.0, 600.0)] == ["unsup", "readout", "readout"]


def hum(session: Session) -> Session:
    """A regular source of 60 Hz on channel 4 and one of 300 Hz on channel 11."""
    assert session.events is not None
    time, channel = [session.events.time], [session.events.channel]
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
    assert result.artifact is not None
    assert result.channels is not None
    assert np.flatnonzero(result.channels.noisy).tolist() == [4, 11]
    assert np.flatnonzero(~np.array(result.artifact.channel_mask)).tolist() == [4, 11]
    (net,) = networks_of(result.artifact)
    assert np.flatnonzero(~net.read_in.of(net.read_in.names[-1]).good.numpy()).tolist() == [4, 11]
    assert any("2 of 20 channels are noisy: " in note for note in result.notes)
    # What a masked channel holds changes nothing.
    counts = result.today.counts
    other = counts.copy()
    other[:, [4, 11]] = 7
    values = [np.empty((len(counts), 4), np.float32) for _ in range(2)]
    for each, out in zip((counts, other), values, strict=True):
        load_decoder(result.artifact).run(each, out)
    np.testing.assert_array_equal(*values)


def turned(session: Session) -> Session:
    assert session.events is not None
    channel = (N_CHANNELS - 1 - session.events.channel).astype(np.uint16)
    return replace(session, events=Events(session.events.time, channel))


def test_an_array_in_another_order_is_refused_without_labels_and_noted_with_them(
    folder: Path, tmp_path: Path, base: ModelArtifact
) -> None:
    other = changed(folder, tmp_path / "turned.h5", turned)
    judged = calibrate_session(other, base, rung="readout")
    assert judged.verdict is not None
    assert "reordered" not in judged.reason
    assert any("all channels stand in reverse; check the connectors" in note for note in judged.notes)
    blind = changed(folder, tmp_path / "blind.h5", lambda session: replace(turned(session), behavior=None))
    result = calibrate_session(blind, base)
    assert not result.deployable
    assert result.reason == ("channels look reordered: all channels stand in reverse; check the connectors")
    assert result.artifact is not None


def test_models_remember_their_last_session(folder: Path, base: ModelArtifact) -> None:
    known = remembered(base)
    assert known.tuning is not None
    result = calibrate_session(folder / "day2.h5", base, rung="readout")
    assert result.artifact is not None
    memory = remembered(result.artifact)
    assert memory.tuning is not None
    assert not np.array_equal(memory.mean, known.mean)
    bare = replace(result.artifact, train={})
    assert bare.model_id == result.artifact.model_id
    # day2 fires more, with the tuning of the base's days.
    assert np.median(memory.mean / known.mean) > 1.3
    assert np.corrcoef(memory.tuning.slope.ravel(), known.tuning.slope.ravel())[0, 1] > 0.9


def test_a_base_of_an_earlier_version_goes_on_working(folder: Path, base: ModelArtifact) -> None:
    train = {name: tensor for name, tensor in base.train.items() if not name.startswith("channels.")}
    result = calibrate_session(folder / "day2.h5", replace(base, train=train), rung="readout")
    assert result.channels is not None
    assert result.channels.memory.tuning is None
    assert result.deployable
    assert result.artifact is not None
    assert remembered(result.artifact).tuning is not None


@pytest.mark.parametrize("rung", ["unsup", "readout"])
def test_two_rungs_need_no_torch(folder: Path, rung: str) -> None:
    program = (
        "import sys\n"
        "from rtdecode.cli import app\n"
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
    result = calibrate_session(folder / "day2.h5", base, rung="full", budget_s=60.0)
    assert result.artifact is not None
    assert 40 <= result.artifact.provenance["calibration"]["steps"] <= 48
    assert any("of 80 batches" in note for note in result.notes)
    result = calibrate_session(folder / "day2.h5", base, rung="full", budget_s=10.0)
    assert result.rung == "readout"
    assert "no time to train: readout instead" in result.notes
    with pytest.raises(RtdecodeError, match="a budget of -1 s"):
        calibrate_session(folder / "day2.h5", base, budget_s=-1.0)


def test_sessions_that_do_not_fit_the_base_are_refused_by_name(
    folder: Path, tmp_path: Path, base: ModelArtifact
) -> None:
    task = CentreOut(n_channels=9)
    write_session(tmp_path / "small.h5", simulate_session(task, draw_tuning(task, 1), 60.0, 0, "small"))
    with pytest.raises(RtdecodeError, match=r"small\.h5: has 9 channels, and the base 20"):
        calibrate_session(tmp_path / "small.h5", base)

    def renamed(session: Session) -> Session:
        assert session.behavior is not None
        return replace(session, behavior=replace(session.behavior, names=("x", "y", "vx", "w")))

    other = changed(folder, tmp_path / "other.h5", renamed)
    with pytest.raises(RtdecodeError, match="has no behaviour called 'vy', which the base decodes"):
        calibrate_session(other, base)
    assert calibrate_session(other, base, rung="unsup").verdict is None
    with pytest.raises(RtdecodeError, match="there is no rung 'fulll'"):
        calibrate_session(folder / "day2.h5", base, rung="fulll")


def test_a_base_is_not_judged_by_what_it_was_trained_on(folder: Path, base: ModelArtifact) -> None:
    with pytest.raises(RtdecodeError, match=r"day1\.h5: the base was trained on this very session"):
        calibrate_session(folder / "day1.h5", base)
    # A calibration leaves the last fifth alone, so it may be repeated.
    again = calibrate_session(folder / "day2.h5", base, rung="unsup").artifact
    assert again is not None
    assert calibrate_session(folder / "day2.h5", again, rung="unsup").artifact is not None


def test_a_day_may_be_calibrated_to_again_and_again(folder: Path, base: ModelArtifact) -> None:
    model = base
    for _ in range(3):
        result = calibrate_session(folder / "day2.h5", model, rung="unsup")
        assert result.artifact is not None
        model = result.artifact
    names = ["day0", "day1", "day2", "day2 2", "day2 3"]
    assert [session["name"] for session in model.provenance["sessions"]] == names
    (net,) = networks_of(model)
    assert net.read_in.names == names


def test_refit_learns_what_was_wanted_and_says_so(folder: Path, base: ModelArtifact) -> None:
    result = calibrate_session(folder / "day2.h5", base, rung="refit")
    assert (result.rung, result.labels) == ("refit", "refit")
    assert result.artifact is not None
    assert result.verdict is not None
    assert result.verdict.incumbent is not None
    new, incumbent = result.verdict.new, result.verdict.incumbent
    # The cursor went where the model in use put it, so x and y judge nobody.
    assert np.isnan(new[:2]).all()
    assert np.isnan(incumbent[:2]).all()
    assert new[2:].mean() > incumbent[2:].mean()
    assert "labels of intention" in result.reason
    assert "x, y was learnt as the cursor was shown" in result.notes[0]
    assert "labels are intention: from the cursor (/behavior) towards the target" in result.notes[0]
    said = result.artifact.provenance
    assert (said["rung"], said["labels"], said["calibration"]["as"]) == ("refit", "refit", "full")
    # About as fast as what the base was taught.
    vx, vy = base.outputs[2:]
    speed = said["sessions"][-1]["speed"]
    assert speed == pytest.approx(np.sqrt(vx.sd**2 + vx.mean**2 + vy.sd**2 + vy.mean**2))
    # And no other speed the next time, whatever the labels' SD has become.
    slower = replace(result.artifact, outputs=tuple(replace(each, sd=1.0) for each in base.outputs))
    assert speed_of(slower) == speed
    # Nobody gets it without asking.
    assert calibrate_session(folder / "day2.h5", base, rung="readout").labels == "recorded"


def test_refit_goes_without_torch(folder: Path, base: ModelArtifact, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rungs, "torch_is_installed", lambda: False)
    result = calibrate_session(folder / "day2.h5", base, rung="refit")
    assert result.artifact is not None
    assert result.rung == "refit"
    assert result.artifact.provenance["calibration"]["as"] == "readout"


def without(column: str) -> Callable[[Session], Session]:
    def change(session: Session) -> Session:
        assert session.trials is not None
        columns = {name: values for name, values in session.trials.columns.items() if name != column}
        return replace(session, trials=replace(session.trials, columns=columns))

    return change


def test_refit_says_what_it_lacks(folder: Path, tmp_path: Path, base: ModelArtifact) -> None:
    for name, change, message in (
        ("trials", lambda session: replace(session, trials=None), "has no trials, and intention is told by"),
        ("targets", without("target"), "has trials without targets"),
        ("cursor", lambda session: replace(session, behavior=None), "has no cursor position"),
    ):
        with pytest.raises(RtdecodeError, match=rf"{name}\.h5: {message}"):
            calibrate_session(changed(folder, tmp_path / f"{name}.h5", change), base, rung="refit")
    short = changed(folder, tmp_path / "short.h5", lambda session: few_trials(session, 40))
    result = calibrate_session(short, base, rung="refit")
    assert not result.deployable
    assert re.fullmatch(r"the session has 2\d s on the way to targets, and 50 s are needed", result.reason)


def few_trials(session: Session, n: int) -> Session:
    assert session.trials is not None
    columns = {name: values[:n] for name, values in session.trials.columns.items()}
    return replace(session, trials=Trials(session.trials.start[:n], session.trials.stop[:n], columns))


def in_blocks(session: Session) -> Session:
    """The first 60 trials are a block, the others another."""
    assert session.trials is not None
    block = np.where(np.arange(len(session.trials.start)) < 60, "first", "second")
    return replace(session, trials=replace(session.trials, columns=session.trials.columns | {"block": block}))


def test_only_the_block_counts(folder: Path, tmp_path: Path, base: ModelArtifact) -> None:
    def spoilt(session: Session) -> Session:
        """Nothing but the first block is as it was."""
        told = in_blocks(session)
        assert told.trials is not None
        assert told.events is not None
        assert told.behavior is not None
        end_s = told.trials.stop[59]
        before = told.events.time <= end_s
        values = told.behavior.values.copy()
        values[told.behavior.time > end_s + 0.1] *= -3.0
        return replace(
            told,
            events=Events(told.events.time[before], told.events.channel[before]),
            behavior=replace(told.behavior, values=values),
        )

    one, two = (changed(folder, tmp_path / f"{i}.h5", change) for i, change in enumerate((in_blocks, spoilt)))
    for rung in ("readout", "unsup"):
        made = [calibrate_session(path, base, rung=rung, blocks=["first"]) for path in (one, two)]
        assert made[0].artifact is not None
        assert made[1].artifact is not None
        assert made[0].verdict is not None
        assert made[1].verdict is not None
        assert made[0].artifact.model_id == made[1].artifact.model_id
        np.testing.assert_array_equal(made[0].verdict.new, made[1].verdict.new)
        assert made[0].artifact.provenance["sessions"][-1]["blocks"] == ["first"]
    with pytest.raises(RtdecodeError, match=r"0\.h5: has no block 'third'.*there are first, second"):
        calibrate_session(one, base, blocks=["third"])


def test_names_are_never_taken_twice(base: ModelArtifact) -> None:
    assert fresh_name(base, "day2") == "day2"
    assert fresh_name(base, "day1") == "day1 2"


def command(*arguments: Any) -> tuple[int, dict[str, Any]]:
    run = CliRunner().invoke(app, ["calibrate", *map(str, arguments), "--json"])
    return run.exit_code, json.loads(run.stdout) if run.stdout else {}


def test_the_morning_makes_a_model_current_and_keeps_the_one_before(
    folder: Path, tmp_path: Path, base: ModelArtifact
) -> None:
    code, said = command(
        folder / "day2.h5", "--base", folder / "base.safetensors", "--stream", "M1",
        "--output", tmp_path / "today.safetensors", "--rung", "readout",
    )  # fmt: skip
    assert code == 0
    assert said["deployed"] is True
    assert (said["rung"], said["forced"]) == ("readout", False)
    assert said["outputs"] == ["x", "y", "vx", "vy"]
    assert [len(said["scores"][name]) for name in ("new", "incumbent", "wiener")] == [4, 4, 4]
    assert said["holdout"]["r2"] == said["scores"]["new"]
    current = current_model("M1")
    assert read_artifact(current).model_id == said["model"]
    # From now on it is the base, and the one to beat.
    session = read_session(folder / "day1.h5")
    start = choose_start(session, None, "M1")
    assert start.base.model_id == said["model"]
    assert start.incumbent is not None
    code, again = command(
        folder / "day2.h5", "--stream", "M1", "--output", tmp_path / "again.safetensors", "--rung", "full"
    )
    assert again["base"] == str(current)
    assert (code == 0) == again["deployable"]
    if code == 0:
        previous = current.with_name("previous.safetensors")
        assert read_artifact(previous).model_id == said["model"]


def test_a_daemon_goes_on_with_a_model_that_passes_and_hears_of_no_other(
    folder: Path, tmp_path: Path
) -> None:
    def daemon(request: dict[str, Any]) -> dict[str, Any]:
        assert read_artifact(request["path"]).kind == "alignnet"
        return {"ok": True, "bin": 77, "model": "aabbccdd"}

    base = ("--base", folder / "base.safetensors", "--rung", "readout")
    with FakeControl(daemon) as control:
        code, said = command(
            folder / "day2.h5", *base, "--output", tmp_path / "a.safetensors", "--deploy", control.endpoint
        )
        assert (code, said["swapped"], said["deployed"]) == (0, 77, True)
        shifted = changed(folder, tmp_path / "shifted.h5", REFUSED["shifted"][0])
        code, said = command(shifted, *base, "--deploy", control.endpoint)
        assert (code, said["swapped"], said["deployed"]) == (3, None, False)
        assert control.requests == [{"cmd": "swap", "path": str(tmp_path / "a.safetensors")}]


def test_a_daemon_that_refuses_is_no_success(folder: Path, tmp_path: Path) -> None:
    arguments = (folder / "day2.h5", "--base", folder / "base.safetensors", "--rung", "readout")
    output = tmp_path / "a.safetensors"
    with FakeControl(lambda request: {"ok": False, "error": "the model has 20 channels"}) as control:
        run = CliRunner().invoke(
            app, ["calibrate", *map(str, arguments), "--output", str(output), "--deploy", control.endpoint]
        )
    assert isinstance(run.exception, RtdecodeError)
    assert "the model is good, but the daemon did not take it: the model has 20 channels" in str(
        run.exception
    )
    assert f"rtdecode swap {output}" in str(run.exception)
    assert read_artifact(output).kind == "alignnet"
    run = CliRunner().invoke(app, ["calibrate", *map(str, arguments), "--deploy", "nowhere"])
    assert "--deploy: nowhere is no endpoint" in str(run.exception)


def test_refit_and_block_from_the_command_line(folder: Path, tmp_path: Path) -> None:
    today = changed(folder, tmp_path / "today.h5", in_blocks)
    arguments = ["calibrate", str(today), "--base", str(folder / "base.safetensors"), "--rung", "refit"]
    run = CliRunner().invoke(app, [*arguments, "--block", "first", "--block", "second", "--json"])
    said = json.loads(run.stdout)
    assert run.exit_code == (0 if said["deployable"] else 3)
    assert (said["rung"], said["labels"]) == ("refit", "refit")
    assert said["holdout"]["r2"] == said["scores"]["new"]
    model = read_artifact(Path(said["output"]))
    assert model.provenance["sessions"][-1]["blocks"] == ["first", "second"]
    told = CliRunner().invoke(app, arguments)
    assert "R² against intention in the last" in told.stdout
    wrong = CliRunner().invoke(app, [*arguments, "--block", "third"])
    assert wrong.exit_code == 1


def test_a_refused_model_is_kept_under_another_name_and_never_current(folder: Path, tmp_path: Path) -> None:
    change, _ = REFUSED["shifted"]
    today = changed(folder, tmp_path / "today.h5", change)
    arguments = (today, "--base", folder / "base.safetensors", "--stream", "M1", "--rung", "readout")
    code, said = command(*arguments)
    assert code == 3
    assert (said["deployed"], said["deployable"]) == (False, False)
    assert Path(said["output"]).name == "today.refused.safetensors"
    assert not (tmp_path / "today.safetensors").exists()
    assert not current_model("M1").exists()
    code, said = command(*arguments, "--force")
    assert code == 0
    assert said["forced"] is True
    assert "forced" in read_artifact(tmp_path / "today.safetensors").provenance
    assert read_artifact(current_model("M1")).model_id == said["model"]


def test_the_page_about_today_is_written_whatever_comes_of_it(folder: Path, tmp_path: Path) -> None:
    base = ("--base", folder / "base.safetensors", "--rung", "readout")
    output = tmp_path / "today.safetensors"
    code, said = command(folder / "day2.h5", *base, "--output", output)
    assert code == 0
    assert said["report"] == str(tmp_path / "today.report.html")
    assert "<h1>TRUST" in Path(said["report"]).read_text()
    change, _ = REFUSED["shifted"]
    code, said = command(
        changed(folder, tmp_path / "late.h5", change), *base, "--report", tmp_path / "page.html"
    )
    assert code == 3
    assert said["report"] == str(tmp_path / "page.html")
    assert "<h1>DO NOT USE" in Path(said["report"]).read_text()
    # A page that cannot be written is no reason to be without a model.
    code, said = command(
        folder / "day2.h5", *base, "--output", output, "--report", tmp_path / "nowhere" / "page.html"
    )
    assert code == 0
    assert said["report"] is None
    assert "no report was written" in said["notes"][-1]


def test_nothing_can_be_forced_where_there_is_no_model(
    folder: Path, tmp_path: Path, base: ModelArtifact
) -> None:
    change, _ = REFUSED["10 s"]
    result = calibrate_session(changed(folder, tmp_path / "today.h5", change), base)
    with pytest.raises(RtdecodeError, match="no model could be made"):
        forced(result)


def test_stream_and_base_come_from_rig_toml_or_the_recording(folder: Path, tmp_path: Path) -> None:
    Path("rig.toml").write_text(f'stream = "rig"\nmodel = "{folder / "base.safetensors"}"\n')
    code, _ = command(folder / "day2.h5", "--output", tmp_path / "a.safetensors", "--rung", "readout")
    assert code == 0
    assert current_model("rig").is_file()
    Path("rig.toml").unlink()
    recorded = changed(
        folder, tmp_path / "b.h5", lambda session: replace(session, attrs=session.attrs | {"stream": "M7"})
    )
    code, _ = command(recorded, "--base", folder / "base.safetensors", "--rung", "readout")
    assert code == 0
    assert current_model("M7").is_file()


def test_a_base_that_fits_is_found_among_those_that_ship(folder: Path) -> None:
    session = read_session(folder / "day2.h5")
    with pytest.raises(RtdecodeError, match="no model to start from fits an array of 20 channels"):
        choose_start(session, None, None)
    assert choose_start(replace(session, n_channels=96), None, None).path.name == "indy.safetensors"
    assert session.behavior is not None
    strange = replace(session, n_channels=96, behavior=replace(session.behavior, units=("cm",) * 4))
    with pytest.raises(RtdecodeError, match="that records x, y, vx, vy"):
        choose_start(strange, None, None)
