"""A fit scores its artifact with the runtime's decoder on held-out time."""

from __future__ import annotations

import hashlib
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from simulated_days import behavior_of, with_behavior, with_values
from typer.testing import CliRunner

from rtdecode.artifact import Output, infer_role, read_artifact, write_artifact
from rtdecode.calibrate.data.metrics import r2, score_decoded
from rtdecode.calibrate.data.velocities import velocity_columns
from rtdecode.calibrate.decoding import decoded
from rtdecode.calibrate.fitting.fit import FitResult, fit_sessions
from rtdecode.calibrate.fitting.fitters import same_day_filter
from rtdecode.calibrate.fitting.training_set import FitSettings
from rtdecode.calibrate.run import Run
from rtdecode.cli.commands import app
from rtdecode.errors import RtdecodeError
from rtdecode.session.bins import bin_session
from rtdecode.session.layout import Behavior, Counts, Session, Trials
from rtdecode.session.read import read_session
from rtdecode.session.write import write_session

N_CHANNELS = 16


def make_session(
    seconds: float = 80.0,
    *,
    bin_width_s: float = 0.02,
    n_channels: int = N_CHANNELS,
    seed: int = 0,
    offset: float = 0.0,
    **attrs: str,
) -> Session:
    """Cosine-tuned Poisson channels (channel 3 silent) and a velocity that wanders."""
    rng = np.random.default_rng(seed)
    n_bins = round(seconds / bin_width_s)
    kernel = np.exp(-np.arange(0, 3, bin_width_s) / 0.4)
    velocity = np.stack([np.convolve(rng.normal(size=n_bins), kernel)[:n_bins] for _ in range(2)], axis=1)
    velocity *= 50 / velocity.std(axis=0)
    angle = np.linspace(0, 2 * np.pi, n_channels, endpoint=False)
    rate_hz = np.maximum(0, 30 + 0.5 * velocity @ np.stack([np.cos(angle), np.sin(angle)]))
    rate_hz[:, 3] = 0
    counts = rng.poisson(rate_hz * bin_width_s).astype(np.uint8)
    time = (1 + np.arange(n_bins)) * bin_width_s
    values = np.concatenate([velocity, velocity[:, :1] + offset], axis=1).astype(np.float32)
    return Session(
        n_channels=n_channels,
        counts=Counts(counts, bin_width_s, 0.0),
        behavior=Behavior(time, values, ("vx", "vy", "x"), ("mm/s", "mm/s", "mm")),
        attrs={"session_id": f"sim_{seed}", "date": "2026-01-02", **attrs},
    )


def save(folder: Path, session: Session, name: str = "a.h5") -> Path:
    write_session(folder / name, session)
    return folder / name


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save(tmp_path_factory.mktemp("sessions"), make_session())


@pytest.fixture(scope="module")
def fitted(path: Path) -> FitResult:
    """The defaults, fitted to `path`."""
    return fit_sessions([path])


def decode(result: FitResult, path: Path) -> Any:
    binned = bin_session(read_session(path), result.artifact.bin_width_s)
    return binned, decoded(result.artifact, binned.counts)


def test_the_written_artifact_has_the_scores_of_the_fit(
    fitted: FitResult, path: Path, tmp_path: Path
) -> None:
    write_artifact(tmp_path / "m.safetensors", fitted.artifact)
    result = replace(fitted, artifact=read_artifact(tmp_path / "m.safetensors"))
    binned, values = decode(result, path)
    held_out = np.arange(4000) >= 3200
    behavior = behavior_of(read_session(path))
    scores = score_decoded(binned.t_bin, values, result.artifact.output_names, behavior, held_out)
    assert scores == (result.r2.tolist(), result.pcc.tolist())
    assert (result.r2 > 0.5).all()
    assert result.holdout_s == pytest.approx(16.0)
    assert result.seconds > 0


def test_the_artifact_describes_the_model(fitted: FitResult) -> None:
    artifact = fitted.artifact
    assert (artifact.kind, artifact.causal, artifact.bin_width_s) == ("wiener", True, 0.02)
    assert (artifact.n_channels, artifact.count_max) == (N_CHANNELS, 20)
    assert artifact.channel_mask == tuple(channel != 3 for channel in range(N_CHANNELS))
    assert artifact.run["weight"].shape == (N_CHANNELS, 72, 3)
    assert artifact.run["weight"].dtype == np.float32
    labels = behavior_of(make_session()).values[:3200].astype(np.float64)
    for output, column in zip(artifact.outputs, labels.T, strict=True):
        assert (output.mean, output.sd) == (pytest.approx(column.mean()), pytest.approx(column.std()))
    assert [output.role for output in artifact.outputs] == ["velocity", "velocity", "position"]
    assert [output.units for output in artifact.outputs] == ["mm/s", "mm/s", "mm"]


def test_a_kalman_artifact_holds_a_running_covariance(path: Path, tmp_path: Path) -> None:
    result = fit_sessions([path], "kalman")
    assert (result.r2 > 0.4).all()
    artifact = result.artifact
    assert (artifact.kind, artifact.count_max) == ("kalman", 20)
    assert artifact.channel_mask == tuple(channel != 3 for channel in range(N_CHANNELS))
    assert artifact.run["observe"].shape == (N_CHANNELS, len(artifact.run["transition"]))
    assert not artifact.run["observe"][3].any()
    settings = artifact.provenance["fit"]
    assert settings["steady_state"] is False
    assert settings["states"]["positions"] == 1
    assert sum(settings["states"].values()) == len(artifact.run["transition"])
    assert settings["cv_r2"] == pytest.approx(result.r2.tolist(), abs=0.15)
    write_artifact(tmp_path / "k.safetensors", artifact)
    read = replace(result, artifact=read_artifact(tmp_path / "k.safetensors"))
    assert read.artifact.model_id == artifact.model_id
    assert decode(read, path)[1].tobytes() == decode(result, path)[1].tobytes()


def test_the_steady_state_decodes_like_the_converged_covariance(path: Path) -> None:
    running = fit_sessions([path], "kalman")
    steady = fit_sessions([path], "kalman", settings=FitSettings(steady_state=True))
    assert steady.artifact.run.keys() == {"transition", "gain", "offset", "readout", "bias"}
    assert steady.artifact.provenance["fit"]["steady_state"] is True
    assert steady.artifact.model_id != running.artifact.model_id
    sd = [output.sd for output in running.artifact.outputs]
    differ = (decode(running, path)[1] - decode(steady, path)[1]) / sd
    assert np.abs(differ[:10]).max() > 1e-3
    assert np.abs(differ[3000:]).max() < 1e-4
    np.testing.assert_allclose(steady.r2, running.r2, atol=1e-5)


def test_a_position_finds_its_velocity_by_name() -> None:
    def pairs(*outputs: tuple[str, str]) -> dict[int, int | None]:
        return velocity_columns(
            [Output(name, units, 0.0, 1.0, infer_role(name, units)) for name, units in outputs]
        )

    assert pairs(("x", "mm"), ("y", "mm"), ("vx", "mm/s"), ("vy", "mm/s")) == {0: 2, 1: 3}
    assert pairs(("vy", "mm/s"), ("y", "mm"), ("x", "mm"), ("force", "N")) == {1: 0, 2: None}
    assert pairs(("pos_x", "cm"), ("vel_x", "cm/s")) == {0: 1}
    assert pairs(("x", "cm"), ("x_velocity", "cm/s")) == {0: 1}
    assert pairs(("x", "mm"), ("pos_x", "mm"), ("vel_x", "mm/s")) == {0: 2, 1: None}
    assert pairs(("vx", "mm/s"), ("vx2", "mm")) == {}


def test_the_provenance_describes_sessions_and_settings(path: Path) -> None:
    result = fit_sessions([path], run=Run(seed=7))
    provenance = result.artifact.provenance
    (session,) = provenance["sessions"]
    assert (session["name"], session["file"], session["date"]) == ("sim_0", "a.h5", "2026-01-02")
    assert session["sha256"] == hashlib.sha256(path.read_bytes()).hexdigest()
    assert session["train_s"] + session["holdout_s"] == pytest.approx(80.0)
    assert session["synthetic_times"] is False
    assert (provenance["seed"], provenance["holdout"]) == (7, 0.2)
    assert provenance["fit"]["history_s"] == pytest.approx(1.44)
    assert provenance["scores"]["r2"] == result.r2.tolist()
    assert provenance["notes"] == result.notes == ["1 of 16 channels are silent and masked: 3"]
    assert {"rtdecode", "numpy", "python"} <= provenance["versions"].keys()
    assert str(path.parent) not in json.dumps(provenance)


def test_outputs_are_in_the_requested_order(path: Path, fitted: FitResult) -> None:
    result = fit_sessions([path], outputs=("x", "vx"))
    assert result.artifact.output_names == ("x", "vx")
    np.testing.assert_allclose(result.r2, fitted.r2[[2, 0]], atol=1e-5)


def test_the_held_out_end_is_not_trained_on(fitted: FitResult, tmp_path: Path) -> None:
    def end_changed(values: np.ndarray) -> np.ndarray:
        return np.where(np.arange(len(values))[:, np.newaxis] < 3200, values, -values)

    session = make_session()
    counts = session.counts.values.copy()
    counts[3200:] = 9
    other = replace(with_values(session, end_changed), counts=replace(session.counts, values=counts))
    assert fit_sessions([save(tmp_path, other)]).artifact.model_id == fitted.artifact.model_id


def test_coarser_counts_get_synthetic_times_and_a_note(tmp_path: Path) -> None:
    path = save(tmp_path, make_session(bin_width_s=0.064))
    result = fit_sessions([path], run=Run(seed=3))
    assert result.notes[0] == (
        "counts of 64 ms were spread at random inside their bins (seed 3) and the behaviour was "
        "interpolated: nothing finer than 64 ms is real (sim_0)"
    )
    assert result.artifact.provenance["sessions"][0]["synthetic_times"] is True
    assert result.artifact.model_id != fit_sessions([path], run=Run(seed=4)).artifact.model_id
    assert (result.r2 > 0.4).all()
    own_width = fit_sessions([path], bin_width_s=0.064, run=Run(seed=3))
    assert not any("spread" in note for note in own_width.notes)
    other = fit_sessions([path], bin_width_s=0.064, run=Run(seed=4))
    assert own_width.artifact.model_id == other.artifact.model_id
    assert own_width.artifact.count_max == 64


def test_several_sessions_are_scored_one_by_one(tmp_path: Path) -> None:
    paths = [
        save(tmp_path, make_session(seed=0)),
        save(tmp_path, make_session(60.0, seed=1, offset=900.0), "b.h5"),
    ]
    result = fit_sessions(paths)
    assert result.holdout_s == pytest.approx(0.2 * 140)
    by_session = []
    for path, start in zip(paths, (3200, 2400), strict=True):
        _, values = decode(result, path)
        by_session.append(r2(values[start:], behavior_of(read_session(path)).values[start:]))
    np.testing.assert_allclose(result.r2, np.mean(by_session, axis=0))
    # x differs by 900 mm between the days: pooled, that difference would count as explained.
    assert result.r2[2] < 0
    assert "x is decoded no better than by its mean" in result.notes
    assert [part["r2"] for part in result.artifact.provenance["sessions"]] == [s.tolist() for s in by_session]


def constant(rows: slice, column: int, level: float) -> Session:
    """A session with one value of a column in these rows."""

    def change(values: np.ndarray) -> np.ndarray:
        values[rows, column] = level
        return values

    return with_values(make_session(), change)


def test_an_output_that_does_not_vary_at_the_end_has_no_score(tmp_path: Path) -> None:
    result = fit_sessions([save(tmp_path, constant(slice(3200, None), 1, 4.0))])
    assert np.isnan(result.r2).tolist() == [False, True, False]
    assert result.artifact.provenance["scores"]["r2"][1] is None
    assert "vy does not vary in the held-out time and has no score" in result.notes


def test_progress_is_reported_in_order(path: Path) -> None:
    reported: list[tuple[str, float]] = []
    fit_sessions([path], progress=lambda what, done: reported.append((what, done)))
    assert [done for _, done in reported] == sorted(done for _, done in reported)
    assert reported[0] == ("reading a.h5", 0.0)
    assert reported[-1] == ("done", 1.0)


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        ({"kind": "mlp"}, "cannot fit a model of kind 'mlp'. Fix: use --kind wiener or kalman"),
        (
            {"settings": FitSettings(steady_state=True)},
            "no steady state. Fix: leave --steady-state out",
        ),
        ({"bin_width_s": 0.0}, "the bin width must be 0.001 to 0.25 s, got 0.0"),
        ({"bin_width_s": 0.3}, "the bin width must be 0.001 to 0.25 s, got 0.3"),
        ({"bin_width_s": float("nan")}, "the bin width must be 0.001 to 0.25 s, got nan"),
        (
            {"settings": FitSettings(holdout=0.0)},
            "the held-out fraction must be above 0 and at most 0.5, got 0.0",
        ),
        (
            {"settings": FitSettings(holdout=0.6)},
            "the held-out fraction must be above 0 and at most 0.5, got 0.6",
        ),
        ({"outputs": ("vx", "pupil")}, "a.h5: has no behaviour called 'pupil', only vx, vy, x"),
        ({"outputs": ()}, "no output to decode"),
        ({"outputs": ("vx", "vx")}, "have the name 'vx'"),
    ],
)
def test_arguments_out_of_range_are_refused(path: Path, arguments: dict[str, Any], complaint: str) -> None:
    with pytest.raises(RtdecodeError) as caught:
        fit_sessions([path], **arguments)
    assert complaint in str(caught.value)


def test_no_sessions_are_refused() -> None:
    with pytest.raises(RtdecodeError, match="no session to train on"):
        fit_sessions([])


def later(session: Session) -> Session:
    return with_behavior(session, time=behavior_of(session).time + 1000)


@pytest.mark.parametrize(
    ("session", "options", "complaint"),
    [
        (replace(make_session(), behavior=None), {}, r"a\.h5: has no behaviour to train on"),
        (make_session(20.0), {}, r"has 20\.0 s of spikes with behaviour; .* needs 25 s"),
        (make_session(20.0), {"holdout": 0.05}, r"holds out 0\.05 of it needs 40 s"),
        (later(make_session(30.0)), {}, r"behaviour \(1000\.0 to 1030\.0 s\) and spikes .* do not overlap"),
        (constant(slice(3200), 2, 7.5), {}, r"'x' is 7\.5 throughout.*leave it out with --outputs"),
    ],
)
def test_a_session_that_cannot_be_fitted_is_refused_with_its_reason(
    tmp_path: Path, session: Session, options: dict[str, Any], complaint: str
) -> None:
    with pytest.raises(RtdecodeError, match=complaint):
        fit_sessions([save(tmp_path, session)], settings=FitSettings(**options))


def test_a_constant_behaviour_may_be_left_out(tmp_path: Path) -> None:
    path = save(tmp_path, constant(slice(3200), 2, 7.5))
    assert fit_sessions([path], outputs=("vx", "vy")).artifact.output_names == ("vx", "vy")


def test_sessions_that_do_not_fit_each_other_are_refused(path: Path, tmp_path: Path) -> None:
    session = make_session()
    for name, other, complaint in (
        ("wide", make_session(n_channels=20), "have 16 and 20 channels"),
        ("metric", with_behavior(session, units=("cm/s", "mm/s", "mm")), "vx is in 'mm/s' and 'cm/s'"),
    ):
        with pytest.raises(RtdecodeError, match=rf"a\.h5 and .*{name}\.h5: {complaint}"):
            fit_sessions([path, save(tmp_path, other, f"{name}.h5")])
    renamed = save(tmp_path, with_behavior(session, names=("u", "vy", "x")), "renamed.h5")
    with pytest.raises(RtdecodeError, match=r"renamed\.h5: has no behaviour called 'vx', only u, vy, x"):
        fit_sessions([path, renamed])


@pytest.mark.sessions
@pytest.mark.parametrize("bin_width_s", [0.064, 0.02])
def test_a_real_session_is_decoded(data_dir: Path, bin_width_s: float) -> None:
    path = data_dir / "indy" / "indy_20161005_06.h5"
    result = fit_sessions([path], bin_width_s=bin_width_s, outputs=("x", "y"))
    assert result.r2[0] > 0.5
    assert result.r2[1] > 0.7
    assert any("spread at random" in note for note in result.notes) == (bin_width_s == 0.02)


@pytest.mark.sessions
@pytest.mark.parametrize(
    ("session", "plain"),
    [("20160411_01", 0.66), ("20160915_01", 0.62), ("20161207_02", 0.68), ("20170123_02", 0.70)],
)
def test_real_sessions_beat_a_plain_wiener_filter(data_dir: Path, session: str, plain: float) -> None:
    """The mean R² of x, y, vx, vy that a one-λ filter over all lags reaches on the same hold-out."""
    result = fit_sessions([data_dir / "indy" / f"indy_{session}.h5"], bin_width_s=0.064)
    assert result.r2.mean() > plain


@pytest.mark.sessions
@pytest.mark.parametrize(
    ("session", "bin_width_s"),
    [
        ("20160411_01", 0.064),
        ("20160915_01", 0.064),
        ("20160915_01", 0.02),
        ("20161207_02", 0.064),
        ("20170123_02", 0.064),
    ],
)
def test_a_kalman_filter_decodes_real_sessions_about_as_well(
    data_dir: Path, session: str, bin_width_s: float
) -> None:
    path = data_dir / "indy" / f"indy_{session}.h5"
    wiener, kalman = (fit_sessions([path], kind, bin_width_s).r2 for kind in ("wiener", "kalman"))
    assert kalman.mean() > wiener.mean() - 0.025


def test_only_the_trials_of_a_block_are_fitted_to(tmp_path: Path) -> None:
    whole = make_session(160.0)
    behavior = behavior_of(whole)
    start = np.arange(0.0, 160.0, 2.0)
    trials = Trials(start, start + 2.0, {"block": np.where(start < 80.0, "one", "two")})
    first = whole.counts.values[:4000]
    noise = np.random.default_rng(0).poisson(1.0, first.shape).astype(np.uint8)
    counts = replace(whole.counts, values=np.concatenate([first, noise]))
    path = save(tmp_path, replace(whole, counts=counts, trials=trials))
    short = with_behavior(
        replace(whole, counts=replace(whole.counts, values=first)),
        time=behavior.time[:4000],
        values=behavior.values[:4000],
    )
    result = fit_sessions([path], settings=FitSettings(blocks=["one"]))
    alone = fit_sessions([save(tmp_path, short, "short.h5")])
    assert result.artifact.model_id == alone.artifact.model_id
    np.testing.assert_array_equal(result.r2, alone.r2)
    assert result.artifact.provenance["sessions"][0]["blocks"] == ["one"]
    assert fit_sessions([path], settings=FitSettings(blocks=["two"])).r2.max() < 0.1
    run = CliRunner().invoke(app, ["fit", str(path), "--block", "one", "--json"])
    assert run.exit_code == 0, run.output
    assert json.loads(run.stdout)["model"] == alone.artifact.model_id
    with pytest.raises(RtdecodeError, match="has no block 'three'"):
        fit_sessions([path], settings=FitSettings(blocks=["three"]))


def test_labels_have_to_exist(path: Path) -> None:
    with pytest.raises(RtdecodeError, match="there are no labels called 'intended'"):
        fit_sessions([path], settings=FitSettings(labels="intended"))
    with pytest.raises(RtdecodeError, match="has no cursor position"):
        fit_sessions([path], settings=FitSettings(labels="refit"))


def test_an_output_that_is_unknown_at_the_end_costs_the_others_nothing(
    tmp_path: Path, path: Path, fitted: FitResult
) -> None:
    """A sensor off from second 50 of 80: vx is learnt from what there is, vy and x as if all were known."""
    damaged = save(tmp_path, constant(slice(2500, None), 0, np.nan))
    result = fit_sessions([damaged], outputs=("vx", "vy", "x"))
    np.testing.assert_array_equal(result.r2[1:], fitted.r2[1:])
    assert np.isnan(result.r2[0])
    for name in ("weight", "bias"):
        np.testing.assert_array_equal(result.artifact.run[name][..., 1:], fitted.artifact.run[name][..., 1:])
    assert "vx is known for 0.0 s of the held-out time: too little to score it" in result.notes
    assert any(
        note.startswith("unknown in some of 4000 bins with behaviour: vx (1500)") for note in result.notes
    )
    counts = bin_session(read_session(path), 0.02).counts
    values = decoded(result.artifact, counts)[3200:, :1]
    assert r2(values, behavior_of(read_session(path)).values[3200:, :1]) > fitted.r2[0] - 0.05
    kalman = fit_sessions([damaged], "kalman", outputs=("vx", "vy", "x"))
    assert any(
        "fitted to the 2500 of 3200 bins in which all are known; for more" in note for note in kalman.notes
    )
    with pytest.raises(
        RtdecodeError, match=r"vx is known for 10\.0 s before the held-out time; a fit needs 20 s"
    ):
        fit_sessions(
            [save(tmp_path, constant(slice(500, None), 0, np.nan), "b.h5")], outputs=("vx", "vy", "x")
        )


def test_a_same_day_filter_decodes_what_it_cannot_learn_as_its_mean(path: Path, fitted: FitResult) -> None:
    session, outputs = read_session(path), fitted.artifact.outputs
    targets = behavior_of(session).values[:2500].copy()
    targets[300:, 0] = np.nan
    counts = bin_session(session, 0.02).counts[:2500]
    filtered = same_day_filter(counts, targets, outputs, 0.02)
    values = decoded(filtered, counts)
    np.testing.assert_array_equal(values[:, 0], np.float32(outputs[0].mean))
    assert (r2(values, targets)[1:] > 0.3).all()
