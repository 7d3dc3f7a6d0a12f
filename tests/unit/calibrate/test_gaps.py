"""Gaps of a recording: decoders start anew after them, and nothing that is learnt bridges them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from decoding import artifact_of, run_all
from networks import N_CHANNELS, exported, make_alignnet, make_counts, make_gru
from numpy.typing import NDArray

from rtdecode.artifact import ModelArtifact, Output
from rtdecode.calibrate.channels.statistics import in_bins, tuning_of
from rtdecode.calibrate.data.blocks import only_blocks
from rtdecode.calibrate.data.metrics import r2
from rtdecode.calibrate.data.recorded import unrecorded
from rtdecode.calibrate.decoding import decoded
from rtdecode.calibrate.fitting.fitters import FITTERS
from rtdecode.calibrate.fitting.training_set import FitSettings, TrainingSet
from rtdecode.calibrate.run import Run
from rtdecode.calibrate.signals.trial_windows import trial_windows
from rtdecode.calibrate.training.settings import TrainingSettings
from rtdecode.calibrate.training.trainer import validation_r2
from rtdecode.calibrate.training.windows import Recording, WindowSampler
from rtdecode.calibrate.verification.verify import verify_model
from rtdecode.decode.load import load_decoder
from rtdecode.decode.offline import decode_recording, decode_session, gap_resets
from rtdecode.messages import Flag
from rtdecode.models.linear.pieces import held_rows
from rtdecode.models.nn.stretches import by_stretch
from rtdecode.session.bins import bin_session, starts_in, stretches
from rtdecode.session.layout import Counts, Events, LogEntry, Session, Trials
from rtdecode.session.observed import observed_before, observed_intervals

WIDTH_S = 0.02
OUTPUTS = (Output("x", "mm", 0.0, 1.0, "position"), Output("vx", "mm/s", 0.0, 1.0, "velocity"))
OBSERVED = np.array([[5.11, 7.0], [7.5, 7.535], [8.0, 11.0]])


def moved(n_bins: int, seed: int = 0) -> tuple[NDArray[np.uint8], NDArray[np.float32]]:
    """Counts u1[T, N_CHANNELS] of a slow position and its velocity f4[T, 2]."""
    rng = np.random.default_rng(seed)
    moving = np.zeros((n_bins, 2))
    for before, now, push in zip(moving[:-1], moving[1:], rng.normal(size=n_bins - 1), strict=True):
        now[1] = 0.9 * before[1] - 0.02 * before[0] + 0.45 * push
        now[0] = before[0] + 0.2 * now[1]
    moving /= moving.std(axis=0)
    tuning = 0.4 + 0.7 * np.random.default_rng(5).normal(size=(2, N_CHANNELS))
    rate = 2.0 * np.exp(0.35 * moving @ tuning)
    return rng.poisson(rate).astype(np.uint8), moving.astype(np.float32)


def training_set(counts: Any, targets: Any, starts: NDArray[np.int64] | None = None) -> TrainingSet:
    gaps = () if starts is None else [starts]
    return TrainingSet([counts], [targets], OUTPUTS, WIDTH_S, starts=gaps)


def fitted(kind: str, data: TrainingSet) -> ModelArtifact:
    (fit,) = FITTERS[kind](data, FitSettings(), Run())
    return fit.artifact


def _wiener() -> ModelArtifact:
    rng = np.random.default_rng(0)
    run = {"weight": rng.normal(size=(N_CHANNELS, 30, 3)).astype("f4"), "bias": rng.normal(size=3)}
    return artifact_of("wiener", n_channels=N_CHANNELS, run=run)


MODELS: dict[str, Callable[[], ModelArtifact]] = {
    "wiener": _wiener,
    "kalman": lambda: fitted("kalman", training_set(*moved(3000))),
    "gru": lambda: exported(make_gru()),
    "alignnet": lambda: exported(make_alignnet()),
}


@pytest.mark.parametrize("kind", MODELS)
def test_after_a_gap_each_kind_decodes_as_a_fresh_decoder(kind: str) -> None:
    artifact = MODELS[kind]()
    counts = make_counts(330)
    session = Session(N_CHANNELS, counts=Counts(counts, WIDTH_S, 5.0), observed=OBSERVED)
    found = decode_session(session, artifact, load_decoder(artifact))
    rows = [np.arange(6, 100), np.arange(125, 126), np.arange(150, 300)]
    np.testing.assert_array_equal(found.bin, np.concatenate(rows))
    np.testing.assert_array_equal(found.counts, counts[found.bin])
    expected = [run_all(load_decoder(artifact), counts[own]) for own in rows]
    assert found.values.tobytes() == np.concatenate(expected).tobytes()
    assert np.flatnonzero(found.flags).tolist() == [94, 95]
    assert (found.flags[[94, 95]] == Flag.GAP).all()
    again = decode_recording(found, gap_resets(found), artifact, load_decoder(artifact))
    assert again.values.tobytes() == found.values.tobytes()
    binned = bin_session(session, WIDTH_S)
    assert decoded(artifact, binned.counts, binned.starts).tobytes() == found.values.tobytes()
    assert decoded(artifact, binned.counts).tobytes() != found.values.tobytes()
    if kind in ("wiener", "alignnet"):
        result = verify_model(artifact, binned.counts, starts=binned.starts)
        assert (result.agrees, result.bins) == (True, 245)


def test_starts_of_a_part() -> None:
    starts = np.array([0, 40, 90])
    assert stretches(starts, 100) == [slice(0, 40), slice(40, 90), slice(90, 100)]
    assert stretches(None, 7) == [slice(0, 7)]
    assert starts_in(starts, slice(10, 90)).tolist() == [0, 30]


def test_folds_are_blocks_of_a_recording_whatever_its_pieces() -> None:
    rng = np.random.default_rng(0)
    rows = [np.flatnonzero(rng.random(n) < 0.7) for n in (40, 3, 60, 25)]
    for fold in range(5):
        held = held_rows(rows, [3, 1], 5, fold)
        joint = np.concatenate([rows[0], rows[1] + 40, rows[2] + 43])
        together = np.concatenate([held[0], held[1] + 40, held[2] + 43])
        np.testing.assert_array_equal(together, np.array_split(joint, 5)[fold])
        np.testing.assert_array_equal(held[3], np.array_split(rows[3], 5)[fold])


@pytest.mark.parametrize("kind", ["wiener", "kalman"])
def test_trials_between_gaps_are_learnt_and_decoded_as_well_as_put_together(kind: str) -> None:
    counts, targets = moved(4000)
    whole = fitted(kind, training_set(counts, targets))
    assert fitted(kind, training_set(counts, targets, np.zeros(1, np.int64))).model_id == whole.model_id
    # Trials of 30 bins; the 40 bins between two were not recorded, or were written as zeros.
    kept = np.concatenate([np.arange(first, first + 30) for first in range(0, 3970, 70)])
    starts = np.arange(0, len(kept), 30)
    silent, unknown = np.zeros_like(counts), np.full_like(targets, np.nan)
    silent[kept], unknown[kept] = counts[kept], targets[kept]
    trials = fitted(kind, training_set(counts[kept], targets[kept], starts))
    together = fitted(kind, training_set(counts[kept], targets[kept]))
    zeros = fitted(kind, training_set(silent, unknown))
    new, truth = moved(4000, seed=10)
    new_silent = np.zeros_like(new)
    new_silent[kept] = new[kept]
    score = {
        "trials": r2(decoded(trials, new[kept], starts), truth[kept]).mean(),
        "together": r2(decoded(together, new[kept]), truth[kept]).mean(),
        "zeros": r2(decoded(zeros, new_silent)[kept], truth[kept]).mean(),
    }
    assert score["trials"] > score["together"] - 0.02, score
    # After as much silence as it reads, a Wiener filter is as after a reset.
    assert score["trials"] > score["zeros"] + (0.1 if kind == "kalman" else -0.01), score


def test_no_window_crosses_a_gap() -> None:
    numbers = np.arange(1000)
    starts = np.array([0, 300, 340, 348, 700])
    both = np.stack([numbers] * 2, axis=1)
    gapped = Recording.of("s", both, both, numbers >= 0, None, starts)
    # Four fifths of the bins are in stretches that are longer.
    assert gapped.longest_window == 299
    short = TrainingSettings(window_bins=400, warmup_bins=90, batch=8).within(130)
    assert (short.window_bins, short.warmup_bins, short.batch) == (130, 32, 24)
    assert short.within(130) == short
    batch = WindowSampler([gapped], 39, 9, seed=0).draw(3000)
    first = batch.counts[:, 0, 0].numpy().astype(int)
    which = np.searchsorted(starts, first, side="right") - 1
    assert (first + 39 <= np.append(starts[1:], 1000)[which]).all()
    assert set(which) == {0, 1, 3, 4}
    at_start = np.isin(first, starts[1:])
    assert at_start.any()
    warm = batch.weight[:, 0, :9].numpy()
    assert (warm[at_start] == 1).all()
    assert (warm[~at_start] == 0).all()
    assert (batch.weight[:, 0, 9:] == 1).all()
    # Without gaps all is as if nothing were known of them.
    plain, seen = (replace(gapped, starts=each) for each in (None, np.zeros(1, np.int64)))
    drawn = [WindowSampler([each], 39, 9, seed=0).draw(50) for each in (plain, seen)]
    assert drawn[0].counts.tolist() == drawn[1].counts.tolist()
    assert drawn[0].weight.tolist() == drawn[1].weight.tolist()
    assert plain.longest_window == seen.longest_window > 1000


def test_networks_validate_stretch_by_stretch() -> None:
    import torch

    net, counts = make_gru(), make_counts(120)
    starts = np.array([0, 50, 60])
    validation = np.zeros(120, np.bool_)
    validation[[*range(70, 100)]] = True
    signals = torch.from_numpy(counts.T[None].astype(np.float32))
    with torch.no_grad():
        whole = by_stretch(lambda part: net.decode(part, "monday"), signals, starts, validation)
        expected = net.decode(signals[..., 60:], "monday")
    np.testing.assert_array_equal(whole[0, :, 60:], expected[0])
    assert torch.isnan(whole[0, :, :60]).all()
    targets = np.full((120, 3), np.nan)
    targets[60:] = expected[0].numpy().T
    recording = Recording.of("monday", counts, targets, ~validation, validation, starts)
    assert (validation_r2(net, [recording], torch.device("cpu")) == 1.0).all()


def test_channels_are_summed_inside_stretches() -> None:
    counts = np.arange(22, dtype=np.uint8).reshape(11, 2)
    starts = np.array([0, 5, 6])
    assert in_bins(counts, 2, starts)[:, 0].tolist() == [2, 10, 26, 34]
    assert in_bins(counts, 2).tolist() == in_bins(counts, 2, np.zeros(1, np.int64)).tolist()
    moving, velocity = moved(600)
    cut = tuning_of(moving, velocity, WIDTH_S, 20, np.arange(0, 600, 10))
    assert cut is None
    assert tuning_of(moving, velocity, WIDTH_S, 20, np.arange(0, 600, 20)) is not None


def test_a_gap_is_no_silence_and_observed_time_has_no_outages() -> None:
    rng = np.random.default_rng(0)
    time = np.sort(rng.uniform(0, 60, 3000))
    time = time[((time < 10) | (time > 20)) & ((time < 30) | (time > 34)) & ((time < 50) | (time > 51))]
    events = Events(time, np.zeros(len(time), "u2"))
    session = Session(1, events=events, observed=np.array([[0.0, 10.0], [20.0, 60.0]]))
    t_bin = np.arange(1, 601) * 0.1
    found = t_bin[unrecorded(session, t_bin, 0.1)]
    # Only the silence of 4 s in the time that was observed.
    assert 30.0 < found[0] < 30.3
    assert 33.8 < found[-1] < 34.2
    assert observed_before(session.observed, np.array([-1.0, 5.0, 15.0, 25.0, 90.0])).tolist() == [
        0,
        5,
        10,
        15,
        50,
    ]
    log = (LogEntry(50.4, 0, "outage"), LogEntry(51.5, 0, "gap"))
    intervals = observed_intervals(replace(session, log=log))
    np.testing.assert_allclose(intervals, [[0, 10], [20, time[time < 50][-1]], [51.5, 60]])
    plain = replace(session, observed=None)
    assert observed_intervals(plain).tolist() == [[time[0], time[-1]]]
    assert len(observed_intervals(replace(plain, log=(LogEntry(-5.0, 0, "outage"),)))) == 0


def test_blocks_and_windows_of_trials_know_the_gaps() -> None:
    counts = Counts(make_counts(330), WIDTH_S, 5.0)
    blocks = {"block": np.array(["a", "b", "a", "a"])}
    trials = Trials(np.array([5.2, 5.6, 6.0, 9.0]), np.array([5.6, 6.0, 6.4, 9.5]), blocks)
    session = Session(N_CHANNELS, counts=counts, trials=trials, observed=np.array([[5.0, 6.2], [6.3, 11.0]]))
    binned = bin_session(session, WIDTH_S)
    assert binned.starts.tolist() == [0, 60]
    chosen = only_blocks(session, binned, ["a"])
    # 20 bins, the seam of block b, 10 bins, the gap.
    assert chosen.starts.tolist() == [0, 30]
    cut = trial_windows(trials, binned, window_s=0.2)
    kept = [10, 20, 30, 40, 50, *range(195, 215, 10)]
    np.testing.assert_array_equal(cut.first, kept)
    np.testing.assert_allclose(binned.t_bin[cut.first[-1]], 9.2 + WIDTH_S)
    assert cut.n_outside == 0
