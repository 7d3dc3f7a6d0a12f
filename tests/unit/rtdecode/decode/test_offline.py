"""Decoding offline equals stepping by hand: a session's bins, and a recording with its log."""

from __future__ import annotations

from collections.abc import Container, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
from decoding import artifact_of
from numpy.typing import NDArray

from rtdecode.artifact import Feature, ModelArtifact, Output
from rtdecode.decode.decoder import Decoder
from rtdecode.decode.inputs import codes_of, recoded, session_inputs
from rtdecode.decode.load import load_decoder
from rtdecode.decode.offline import decode_recording, decode_session, scored_rows
from rtdecode.decode.stage import DecodeStage
from rtdecode.decode.wiener import WienerDecoder
from rtdecode.errors import RtdecodeError
from rtdecode.messages import Flag
from rtdecode.output.settings import read_settings
from rtdecode.output.stage import OutputStage
from rtdecode.session.bins import bin_session, spread_counts
from rtdecode.session.layout import Counts, Decoded, DecodedOut, Events, Features, LogEntry, Session

N_CHANNELS, N_BINS = 5, 60
OUTPUTS = (Output("x", "mm", 12.5, 3.0, "position"), Output("vx", "mm/s", 7.0, 9.0, "velocity"))
FIRST_BIN = 7


def make_artifact(**changes: Any) -> ModelArtifact:
    rng = np.random.default_rng(0)
    fields: dict[str, Any] = {
        "channel_mask": (True, True, False, True, True),
        "outputs": OUTPUTS,
        "run": {"weight": rng.normal(size=(N_CHANNELS, 6, 2)).astype("f4"), "bias": rng.normal(size=2)},
    }
    return artifact_of("wiener", n_channels=N_CHANNELS, **(fields | changes))


def make_decoder() -> Decoder:
    return load_decoder(make_artifact())


def make_counts(n_bins: int = N_BINS, seed: int = 1) -> NDArray[np.uint8]:
    return np.random.default_rng(seed).poisson(1.2, (n_bins, N_CHANNELS)).astype(np.uint8)


def recording(counts: NDArray[np.uint8], flags: NDArray[np.uint32] | None = None) -> Decoded:
    n = len(counts)
    return Decoded(
        bin=np.arange(FIRST_BIN, FIRST_BIN + n),
        t_bin=100 + 0.02 * (np.arange(FIRST_BIN, FIRST_BIN + n, dtype=np.float64) + 1),
        values=np.full((n, 2), np.nan, np.float32),
        flags=np.zeros(n, np.uint32) if flags is None else flags,
        model=np.full(n, 3, np.uint8),
        late=np.arange(n, dtype=np.uint16),
        lost=np.arange(n, dtype=np.uint32) * 2,
        counts=counts,
        origin_s=100.0,
        models=("deadbeef",),
    )


def entry(b: int, kind: str, **data: Any) -> LogEntry:
    return LogEntry(1.0, FIRST_BIN + b, kind, data)


def by_hand(
    counts: NDArray[np.uint8],
    *,
    backlog: Sequence[NDArray[np.uint8]] = (),
    resets: Container[int] = (),
    outage: Container[int] = (),
    held: Container[int] = (),
) -> bytes:
    """The values of a recording by its rules, a bin at a time."""
    decoder, last, values = make_decoder(), np.array([12.5, 0.0], np.float32), []
    for row in backlog:
        decoder.step(row, np.zeros(2, np.float32))
    for i, row in enumerate(counts):
        value = np.zeros(2, np.float32)
        if i in resets:
            decoder.reset()
        if i not in outage:
            decoder.step(row, value)
        last = last * np.array([1, 0], np.float32) if i in outage or i in held else value
        values.append(last)
    return np.stack(values).tobytes()


def replayed(live: Decoded, log: Sequence[LogEntry] = ()) -> Decoded:
    return decode_recording(live, log, make_artifact(), make_decoder())


def outage_recording(first: int, end: int) -> tuple[Decoded, list[LogEntry]]:
    flags = np.zeros(N_BINS, np.uint32)
    flags[first:end] = Flag.FAILSAFE
    flags[end] = Flag.GAP
    log = [
        entry(first, "outage", reason="its outlet is gone"),
        entry(end, "gap", origin_s=101.0),
        entry(end, "reset", reason="gap"),
    ]
    return recording(make_counts(), flags), log


def test_a_recording_without_incident_is_stepped_from_bin_0() -> None:
    live, decoder = recording(make_counts()), make_decoder()
    for _ in range(2):
        again = decode_recording(live, (), make_artifact(), decoder)
        assert again.values.tobytes() == by_hand(live.counts)
        assert not again.flags.any()


def test_a_reset_takes_effect_in_its_bin() -> None:
    live = recording(make_counts())
    again = replayed(live, [entry(20, "reset", reason="control"), entry(33, "reset")])
    assert again.values.tobytes() == by_hand(live.counts, resets=(20, 33))


def test_the_recorded_output_stage_is_applied_and_a_requested_reset_returns_it_home() -> None:
    flags = np.zeros(N_BINS, np.uint32)
    flags[10:13] = Flag.PAUSED
    live = recording(make_counts(), flags)
    settings = {"control": "velocity", "scale": 0.5, "leak_s": 2.0, "home": [3.0]}
    placed = DecodedOut(np.zeros((N_BINS, 1), np.float32), ("x",), ("mm",), settings)
    log = [entry(b, "reset", reason=reason) for b, reason in ((0, "start"), (20, "control"), (30, "gap"))]
    session = Session(N_CHANNELS, decoded=replace(live, out=placed), log=tuple(log))
    again = decode_session(session, make_artifact(), make_decoder())
    stage = OutputStage(read_settings(settings, "here"), OUTPUTS, 0.02, "here")
    expected = []
    for i in range(N_BINS):
        if i == 20:
            stage.reset()
        stage.step(again.values[i], int(flags[i]))
        expected.append(stage.value.copy())
    assert again.out.values.tobytes() == np.stack(expected).tobytes()
    assert again.out.settings == {**msgspec.to_builtins(stage.settings)}
    assert (np.diff(again.out.values[9:13], axis=0) == 0).all()
    assert abs(again.out.values[20, 0] - 3.0) < abs(again.out.values[19, 0] - 3.0)
    # Settings that are given win over the recorded ones.
    position = read_settings({"control": "position"}, "here")
    other = decode_session(session, make_artifact(), make_decoder(), output=position)
    moved = flags == 0
    np.testing.assert_allclose(other.out.values[moved, 0], other.values[moved, 0], rtol=1e-6)


def test_an_output_stage_follows_an_ordinary_session_too() -> None:
    session = Session(N_CHANNELS, counts=Counts(make_counts(), 0.02, 0.0))
    plain = decode_session(session, make_artifact(), make_decoder())
    assert plain.out is None
    settings = read_settings({"control": "position", "scale": 2.0}, "here")
    placed = decode_session(session, make_artifact(), make_decoder(), output=settings)
    np.testing.assert_allclose(placed.out.values[:, 0], 2 * plain.values[:, 0], rtol=1e-6)


def test_backlog_in_the_log_warms_the_decoder() -> None:
    live, backlog = recording(make_counts()), make_counts(9, seed=2)
    bins = [[[int(c), int(row[c])] for c in np.flatnonzero(row)] for row in backlog]
    log = [entry(0, "reset", reason="start"), *(entry(0, "warmup", counts=counts) for counts in bins)]
    again = replayed(live, log)
    assert again.values.tobytes() == by_hand(live.counts, backlog=list(backlog))
    assert again.values.tobytes() != by_hand(live.counts)


# The loop logs the bin that was open, which may be backlog that is never published.
@pytest.mark.parametrize(("first", "logged_at"), [(20, 20), (0, 0), (0, -3)])
def test_in_an_outage_the_decoder_does_not_step_and_is_reset_afterwards(first: int, logged_at: int) -> None:
    live, (_, *log) = outage_recording(first, 35)
    log = [entry(-4, "reset", reason="start"), entry(logged_at, "outage", reason="its outlet is gone"), *log]
    again = replayed(live, log)
    assert again.values.tobytes() == by_hand(live.counts, outage=range(first, 35), resets=[35])
    np.testing.assert_array_equal(again.flags, live.flags)
    if first == 0:
        assert again.values[0].tolist() == [12.5, 0.0]


def test_a_log_entry_at_a_bin_that_was_not_recorded_applies_to_the_next() -> None:
    # The recorder drops bins when the disk is too slow; the log is never dropped.
    live = recording(make_counts())
    kept = np.delete(np.arange(N_BINS), [29, 30, 31])
    columns = ("bin", "t_bin", "flags", "counts", "values", "model", "late", "lost")
    live = replace(live, **{name: getattr(live, name)[kept] for name in columns})
    again = replayed(live, [entry(30, "reset", reason="control")])
    assert again.values.tobytes() == by_hand(live.counts, resets=[29])


def test_a_pause_holds_the_value_while_the_decoder_steps() -> None:
    flags = np.zeros(N_BINS, np.uint32)
    flags[10:30] = Flag.PAUSED
    flags[28:32] |= np.uint32(Flag.FAILSAFE | Flag.STALE)
    live = recording(make_counts(), flags)
    again = replayed(live, [entry(10, "pause"), entry(30, "resume")])
    assert again.values.tobytes() == by_hand(live.counts, held=range(10, 32))
    np.testing.assert_array_equal(again.flags, flags)


def test_a_recordings_own_columns_stay_and_the_values_and_model_are_new() -> None:
    live, artifact = recording(make_counts()), make_artifact()
    again = decode_recording(live, (), artifact, load_decoder(artifact))
    for name in ("bin", "t_bin", "late", "lost", "counts"):
        np.testing.assert_array_equal(getattr(again, name), getattr(live, name))
    assert (again.origin_s, again.models, again.names) == (100.0, (artifact.model_id,), ("x", "vx"))
    assert not again.model.any()
    assert again.values.shape == live.values.shape


class Poisoned(WienerDecoder):
    """A Wiener filter that gives NaN, until it is reset, once channel 0 counts 200."""

    bad = False

    def reset(self) -> None:
        super().reset()
        self.bad = False

    def step(self, counts: NDArray[np.uint8], out: NDArray[np.float32]) -> None:
        super().step(counts, out)
        self.bad |= bool(counts[0] == 200)
        if self.bad:
            out[1] = np.nan

    def run(self, counts: NDArray[np.uint8], out: NDArray[np.float32]) -> None:
        for row, value in zip(counts, out, strict=True):
            self.step(row, value)


@pytest.mark.parametrize("recorded", [True, False])
def test_a_value_that_is_not_finite_is_held_and_resets_the_decoder(recorded: bool) -> None:
    counts = make_counts()
    counts[[0, 25], 0] = 200
    if recorded:
        again = decode_recording(recording(counts), (), make_artifact(), Poisoned(make_artifact()))
    else:
        session = Session(n_channels=N_CHANNELS, counts=Counts(counts, 0.02, 3.0))
        again = decode_session(session, make_artifact(), Poisoned(make_artifact()))
    assert again.values.tobytes() == by_hand(counts, held=(0, 25), resets=(1, 26))
    assert np.flatnonzero(again.flags).tolist() == [0, 25]
    assert set(again.flags[[0, 25]].tolist()) == {int(Flag.FAILSAFE)}


def make_events(duration_s: float = 2.0, seed: int = 3) -> Events:
    rng = np.random.default_rng(seed)
    time = 50 + np.sort(rng.uniform(0, duration_s, 700))
    return Events(time, rng.integers(0, N_CHANNELS, 700).astype(np.uint16))


@pytest.mark.parametrize("kind", ["events", "counts", "fine", "coarse"])
def test_a_session_is_binned_and_stepped(kind: str) -> None:
    artifact = make_artifact()
    spikes: dict[str, Any] = {
        "events": {"events": make_events()},
        "counts": {"counts": Counts(make_counts(), 0.02, 3.0)},
        "fine": {"counts": Counts(make_counts(400), 0.005, 3.0)},
        "coarse": {"counts": Counts(make_counts(40), 0.064, 3.0)},
    }
    session = Session(n_channels=N_CHANNELS, **spikes[kind])
    binned = bin_session(session, 0.02, seed=5)
    decoder = load_decoder(artifact)
    decoder.step(np.full(N_CHANNELS, 3, np.uint8), np.zeros(2, np.float32))
    decoded = decode_session(session, artifact, decoder, seed=5)
    assert decoded.values.tobytes() == by_hand(binned.counts)
    np.testing.assert_array_equal(decoded.counts, binned.counts)
    np.testing.assert_array_equal(decoded.t_bin, binned.t_bin)
    assert decoded.bin.tolist() == list(range(len(binned.counts)))
    assert decoded.origin_s == binned.origin_s
    for column in (decoded.flags, decoded.late, decoded.lost, decoded.model):
        assert not column.any()
    assert (decoded.models, decoded.names) == ((artifact.model_id,), ("x", "vx"))


def test_the_seed_distributes_coarse_counts() -> None:
    counts = Counts(make_counts(40), 0.064, 3.0)
    as_counts = Session(n_channels=N_CHANNELS, counts=counts)
    one, other = (
        decode_session(as_counts, make_artifact(), make_decoder(), seed=seed).counts for seed in (0, 1)
    )
    assert (one != other).any()
    events = spread_counts(counts, 1)
    inside = [(events.time >= 3 + 0.02 * k) & (events.time < 3 + 0.02 * (k + 1)) for k in range(len(other))]
    np.testing.assert_array_equal(other.sum(axis=1), [rows.sum() for rows in inside])


def test_a_session_that_was_recorded_live_is_replayed_and_not_binned_again() -> None:
    live, log = outage_recording(20, 35)
    session = Session(n_channels=N_CHANNELS, events=make_events(), decoded=live, log=tuple(log))
    decoded = decode_session(session, make_artifact(), make_decoder())
    assert decoded.values.tobytes() == replayed(live, log).values.tobytes()
    np.testing.assert_array_equal(decoded.bin, live.bin)


def test_a_recording_in_bins_of_another_width_is_binned_from_its_events() -> None:
    live, artifact = recording(make_counts()), make_artifact(bin_width_s=0.04)
    session = Session(n_channels=N_CHANNELS, events=make_events(), decoded=live)
    decoded = decode_session(session, artifact, load_decoder(artifact))
    np.testing.assert_array_equal(decoded.counts, bin_session(session, 0.04).counts)
    # The bins of a counts stream follow its source's clock; the bins are still 20 ms.
    drifting = replace(live, t_bin=live.t_bin * (1 + 1e-4))
    session = Session(n_channels=N_CHANNELS, events=make_events(), decoded=drifting)
    decoded = decode_session(session, make_artifact(), make_decoder())
    np.testing.assert_array_equal(decoded.t_bin, drifting.t_bin)


def test_sessions_that_cannot_be_decoded_are_refused() -> None:
    artifact = make_artifact()
    decoder = load_decoder(artifact)
    short = Session(n_channels=N_CHANNELS, counts=Counts(make_counts(3), 0.005, 0.0), path=Path("short.h5"))
    with pytest.raises(RtdecodeError, match=r"short\.h5: the session is shorter than one bin of 20 ms"):
        decode_session(short, artifact, decoder)
    other = Session(n_channels=6, events=make_events(), path=Path("other.h5"))
    with pytest.raises(RtdecodeError, match=r"other\.h5: the session has 6 channels, the model 5"):
        decode_session(other, artifact, decoder)
    with pytest.raises(RtdecodeError, match="no spikes"):
        decode_session(Session(n_channels=N_CHANNELS), artifact, decoder)
    for session, what in ((short, "shorter than one bin"), (other, "6 channels, the model 5")):
        with pytest.raises(RtdecodeError, match=what):
            session_inputs(session, artifact)


def test_session_inputs_are_the_bins_that_are_stepped() -> None:
    artifact, live = make_artifact(), recording(make_counts())
    coarse = Counts(make_counts(20), 0.064, 3.0)
    for session, width_s in (
        (Session(n_channels=N_CHANNELS, events=make_events()), 0.02),
        (Session(n_channels=N_CHANNELS, counts=coarse), 0.02),
        (Session(n_channels=N_CHANNELS, events=make_events(), decoded=live), 0.02),
        (Session(n_channels=N_CHANNELS, events=make_events(), decoded=live), 0.04),
    ):
        of_width = replace(artifact, bin_width_s=width_s)
        decoded = decode_session(session, of_width, load_decoder(of_width), seed=5)
        np.testing.assert_array_equal(session_inputs(session, of_width, seed=5), decoded.counts)


def test_held_bins_and_bins_outside_the_range_are_not_scored() -> None:
    flags = np.zeros(N_BINS, np.uint32)
    flags[[3, 4]] = Flag.FAILSAFE, Flag.PAUSED | Flag.STALE
    flags[5] = Flag.STALE | Flag.GAP | Flag.CATCH_UP
    decoded = recording(make_counts(), flags)
    assert np.flatnonzero(~scored_rows(decoded, None, None)).tolist() == [3, 4]
    # Seconds count from the first bin that was recorded.
    assert np.flatnonzero(scored_rows(decoded, 0.0199, 0.1301)).tolist() == [1, 2, 5, 6]
    assert scored_rows(decoded, 0.5, None).sum() == N_BINS - 25
    assert not scored_rows(decoded, 99.0, None).any()
    empty = recording(make_counts(0))
    assert len(scored_rows(empty, 0.0, 1.0)) == 0


def features_of(mean: float, sd: float) -> ModelArtifact:
    """A model of two features alone; all are of one weight."""
    columns = tuple(Feature(name, "power", "uV", mean, sd) for name in "ab")
    weight = np.random.default_rng(0).normal(size=(2, 6, 2)).astype("f4")
    run = {"weight": weight, "bias": np.zeros(2)}
    return artifact_of("wiener", n_channels=0, channel_mask=(), outputs=OUTPUTS, run=run, features=columns)


def test_a_swap_between_means_continues_from_the_same_values() -> None:
    first, second = features_of(10.0, 2.0), features_of(7.0, 4.0)
    codes = np.random.default_rng(1).integers(-99, 99, (N_BINS, 2)).astype(np.int8)
    live = replace(
        recording(np.zeros((N_BINS, 0), np.uint8)), codes=codes, models=(first.model_id, second.model_id)
    )
    log = [entry(20, "swap", model=second.model_id, path="2", warmed=15)]
    decoded = decode_recording(
        live, log, first, load_decoder(first), swapped=lambda *_: (second, load_decoder(second))
    )
    before, after = np.zeros((20, 2), np.float32), np.zeros((N_BINS - 5, 2), np.float32)
    load_decoder(first).run(codes[:20].astype(np.int16), before)
    kept = recoded(codes[5:20].astype(np.int16), first.features, second.features)
    load_decoder(second).run(np.concatenate((kept, codes[20:].astype(np.int16))), after)
    np.testing.assert_array_equal(decoded.values, np.concatenate((before, after[15:])))
    assert decoded.models == (first.model_id, second.model_id)
    # As live: a decoder that was warmed up meanwhile, and lacks a bin.
    stage, out = DecodeStage(load_decoder(first), first), np.zeros(2, np.float32)
    for row in codes[:20].astype(np.int16):
        stage.step(row, 0)
    warmed = load_decoder(second)
    for row in recoded(stage.recent.last(15)[:14], first.features, second.features):
        warmed.step(row, out)
    stage.adopt(warmed, 1, second.features)
    for i in range(20, N_BINS):
        stage.step(codes[i].astype(np.int16), 0)
        np.testing.assert_array_equal(stage.value, decoded.values[i])


def test_features_of_a_recording_are_binned_again_for_another_model() -> None:
    first, second = features_of(10.0, 2.0), features_of(7.0, 4.0)
    time = 100.0 + 0.02 * np.arange(1, N_BINS + 1)
    values = np.random.default_rng(1).normal(10.0, 2.0, (N_BINS, 2)).astype("f4")
    recorded = Features(time, values, ("b", "a"), ("power",) * 2, ("uV",) * 2, 0.02)
    live = recording(np.zeros((N_BINS, 0), np.uint8))
    live = replace(live, codes=np.zeros((N_BINS, 2), np.int8), models=(first.model_id,))
    session = Session(n_channels=0, features=recorded, decoded=live)
    np.testing.assert_array_equal(session_inputs(session, first), 0)
    found = session_inputs(session, second)
    np.testing.assert_array_equal(found, codes_of(second.features, values[:, ::-1].astype("f8")))
    decoded = decode_session(session, second, load_decoder(second))
    np.testing.assert_array_equal(decoded.codes, found)
