"""What is chosen of a recording becomes the session that is meant, and nothing is taken silently."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from foreign import RNG, TIMES, UNITS, binned, recording, series, spike_times
from hypothesis import given
from hypothesis import strategies as st

from rtdecode.errors import RtdecodeError
from rtdecode.session.layout import Session
from rtdecode.session.read import read_session
from rtdecode.session.write import write_session
from rtdecode.tools.files.choice import Choice
from rtdecode.tools.files.convert import convert
from rtdecode.tools.files.recording import MarkerList, Recording, TrialTable
from rtdecode.trial_rules import read_rules


def of_channel(session: Session, channel: int) -> np.ndarray:
    assert session.events is not None
    return session.events.time[session.events.channel == channel]


def test_with_one_candidate_each_nothing_need_be_said(tmp_path: Path) -> None:
    imported = convert(recording(attrs={"subject": "N"}), Choice())
    write_session(tmp_path / "s.h5", imported.session)
    session = read_session(tmp_path / "s.h5")
    # Unit 255 of a vendor is noise.
    assert session.n_channels == 3
    for channel in range(3):
        assert np.array_equal(of_channel(session, channel), TIMES[channel])
    assert session.electrodes is not None
    assert session.electrodes.label == ("101", "101", "102")
    assert session.electrodes.unit_id == ("1011", "1012", "1021")
    assert session.electrodes.array == ("M1", "M1", "M1")
    assert session.behavior is not None
    assert session.behavior.names == ("x", "y")
    assert session.attrs["subject"] == "N"
    assert session.attrs["imported_from"] == "foreign.xyz"
    assert "each unit is a channel" in " ".join(imported.notes)
    assert "left out 1 units with the number 255" in " ".join(imported.notes)
    assert imported.findings == ()


def test_a_container_is_named_for_all_its_series() -> None:
    fingers = tuple(series(f"finger_vel/{name}", columns=(name, f"{name}2")) for name in ("index", "mrs"))
    imported = convert(recording(series=(series(), *fingers)), Choice(behavior=("finger_vel", "hand/y")))
    assert imported.session.behavior is not None
    assert imported.session.behavior.names == ("index", "index2", "mrs", "mrs2", "y")


def test_units_of_an_electrode_can_be_one_channel() -> None:
    imported = convert(recording(), Choice(by="electrode"))
    assert imported.session.n_channels == 2
    assert np.array_equal(of_channel(imported.session, 0), np.sort(np.concatenate(TIMES[:2])))
    events = imported.session.events
    assert events is not None
    assert events.unit is not None
    assert np.array_equal(events.time[(events.channel == 0) & (events.unit == 2)], TIMES[1])
    assert [finding.kind for finding in imported.findings] == ["merged_units"]


def test_without_electrodes_each_unit_is_a_channel() -> None:
    units = replace(UNITS, electrodes=("",) * 4, numbers=None)
    assert convert(recording(spikes=(spike_times(units=units),)), Choice()).session.n_channels == 4
    with pytest.raises(RtdecodeError, match=r"on which electrode its units are.*--by unit"):
        convert(recording(spikes=(spike_times(units=units),)), Choice(by="electrode"))


@pytest.mark.parametrize(
    ("condition", "rows"),
    [
        ("quality == good", [0, 2, 3]),
        ("quality == 'good' and snr > 2.5", [0, 2]),
        ("array != PMd", [0, 1, 2]),
        ("unit == 255", [3]),
        ("id == 1012", [1]),
        ("snr>=1.5 and snr<3", [1, 3]),
    ],
)
def test_units_by_condition(condition: str, rows: list[int]) -> None:
    session = convert(recording(), Choice(units=condition)).session
    assert session.electrodes is not None
    assert session.electrodes.unit_id == tuple(UNITS.ids[row] for row in rows)
    for channel, row in enumerate(rows):
        assert np.array_equal(of_channel(session, channel), TIMES[row])


@pytest.mark.parametrize(
    ("condition", "problem"),
    [
        ("quality", r"is no comparison.*--units 'quality == good'"),
        ("size == 3", "no column 'size'. Fix: use one of id, electrode"),
        ("snr > high", "holds numbers, and 'high' is none"),
        ("snr > 99", "none of 4 units meets"),
    ],
)
def test_a_condition_that_cannot_be_met_is_refused(condition: str, problem: str) -> None:
    with pytest.raises(RtdecodeError, match=problem):
        convert(recording(), Choice(units=condition))


@pytest.mark.parametrize(
    ("held", "choice", "problem"),
    [
        (
            recording(spikes=(spike_times(), spike_times(name="mua"))),
            Choice(),
            "2 sources of spikes: units, mua",
        ),
        (recording(), Choice(spikes="mua"), "no spikes called 'mua'; it has units"),
        (recording(series=(series(), series("eye"))), Choice(), "2 series of behaviour: hand, eye"),
        (recording(), Choice(behavior=("eye",)), "no series called 'eye'; it has hand"),
        (
            recording(spikes=(), others=(("EEG", "raw"),)),
            Choice(),
            "XYZ 1 without spikes; it holds hand, EEG",
        ),
        (recording(trials=(TrialTable("a", np.ones(1), np.ones(1)),) * 2), Choice(), "2 tables of trials"),
        (recording(), Choice(trials="b"), "no table of trials called 'b'"),
        (recording(), Choice(rules=read_rules("start=a,stop=b")), "has no markers"),
        (recording(), Choice(from_s=1000), "has no spikes"),
    ],
)
def test_nothing_is_guessed(held: Recording, choice: Choice, problem: str) -> None:
    with pytest.raises(RtdecodeError, match=problem):
        convert(held, choice)


def test_a_file_without_behaviour_says_so() -> None:
    imported = convert(recording(series=()), Choice())
    assert imported.session.behavior is None
    assert "the file has no behaviour: nothing can be trained on it" in imported.notes
    unread = convert(recording(series=(), others=(("hand", "it has no samples"),)), Choice())
    assert unread.notes[-1].endswith("nothing can be trained on it (hand: it has no samples)")


def test_behaviour_by_name_column_and_clock() -> None:
    at = np.arange(10, 70, 0.05)
    eye = series("eye", at, np.stack([at, -at], axis=1))
    held = recording(series=(series("Position/hand"), eye))
    behavior = convert(held, Choice(behavior=("hand", "eye/y"))).session.behavior
    assert behavior is not None
    # Two columns of one name are told apart by their series.
    assert behavior.names == ("hand_x", "hand_y", "eye_y")
    known = ~np.isnan(behavior.values[:, 2])
    assert np.allclose(behavior.values[known, 2], -behavior.time[known], atol=1e-4)
    only = convert(held, Choice(behavior=("eye",))).session.behavior
    assert only is not None
    assert only.names == ("x", "y")
    assert convert(held, Choice(behavior=())).session.behavior is None


def test_what_is_unknown_of_behaviour_is_left_out_and_counted() -> None:
    at = np.arange(10, 70, 0.01)
    values = np.stack([np.sin(at), np.zeros(len(at)), np.full(len(at), np.nan)], axis=1)
    values[:50, 0] = np.nan
    time = at.copy()
    time[60] = np.nan
    imported = convert(recording(series=(series("hand", time, values, ("x", "z", "w")),)), Choice())
    assert imported.session.behavior is not None
    assert imported.session.behavior.names == ("x",)
    assert len(imported.session.behavior.time) == len(at) - 51
    notes = " ".join(imported.notes)
    for words in ("left out z: it is 0 in every", "left out w: it is NaN", "1 of 6000 samples", "50 of 5999"):
        assert words in notes


def test_behaviour_without_samples_and_notes_of_its_reader_are_said() -> None:
    held = recording(series=(replace(series(time=np.zeros(0)), note="3 rows have no stamp"),))
    imported = convert(held, Choice())
    assert imported.session.behavior is None
    assert imported.notes[-2:] == ("hand: 3 rows have no stamp", "the behaviour has no samples")
    assert (
        convert(recording(), Choice(to_s=40.0, shift_s=60.0)).notes[-1].endswith(" between --from and --to")
    )


@pytest.mark.parametrize(
    ("time", "problem"),
    [
        (np.arange(1.7e9, 1.7e9 + 60, 0.01).astype("f4"), r"float32: at 1\.7e\+09 s it is rounded to 128 s"),
        (np.repeat(np.arange(10, 70, 0.02), 2), "repeated or rounded"),
        (np.arange(6000) % 300 * 0.01, "since the start of a trial"),
    ],
)
def test_stamps_that_do_not_rise_are_named_by_their_cause(time: np.ndarray, problem: str) -> None:
    with pytest.raises(RtdecodeError, match=problem):
        convert(recording(series=(series(time=time.astype("f8")),)), Choice())


def test_times_that_begin_anew_are_trial_time() -> None:
    with pytest.raises(
        RtdecodeError, match=r"unit 1011 go back at its spike \d+ .*since the start of a trial"
    ):
        convert(recording(spikes=(spike_times([times % 3.0 for times in TIMES]),)), Choice())
    at = np.arange(10, 70, 0.01)
    with pytest.raises(RtdecodeError, match=r"time does not increase at row.*since the start of a trial"):
        convert(recording(series=(series(time=at % 3.0),)), Choice())


@pytest.mark.parametrize("swapped", [3, 40])
def test_single_times_that_go_back_are_sorted_and_named(swapped: int) -> None:
    times = [np.concatenate((each[100:], each[:100])) for each in TIMES]
    times[0][[swapped, swapped + 1]] = times[0][[swapped + 1, swapped]]
    imported = convert(recording(spikes=(spike_times(times),)), Choice())
    assert np.array_equal(of_channel(imported.session, 0), TIMES[0])
    assert "times of unit 1011 go back at its spike" in " ".join(imported.notes)


def test_other_units_of_time_and_another_clock() -> None:
    held = recording(spikes=(spike_times([times * 30_000 for times in TIMES]),))
    with pytest.raises(
        RtdecodeError, match=r"^foreign\.xyz: does not .* samples at 30 kHz.*--time-unit 30000"
    ):
        convert(held, Choice())
    imported = convert(held, Choice(time_unit_s=1 / 30_000, shift_s=2.5))
    assert np.allclose(of_channel(imported.session, 0), TIMES[0], rtol=1e-14)
    assert imported.session.behavior is not None
    assert imported.session.behavior.time[0] == 12.5
    assert imported.findings == ()


def test_a_second_file_gives_the_behaviour() -> None:
    table = TrialTable("t", np.array([11.0]), np.array([12.0]))
    beside = recording(spikes=(), series=(series("eye"),), trials=(table,))
    session = convert(recording(), Choice(shift_s=-1.0), beside).session
    assert session.behavior is not None
    assert session.behavior.time[0] == 9.0
    assert session.trials is not None
    assert session.trials.start.tolist() == [10.0]
    assert session.attrs["behavior_from"] == "foreign.xyz"


def test_from_and_to_cut_everything() -> None:
    table = TrialTable("t", np.array([11.0, 25.0]), np.array([12.0, 26.0]))
    markers = MarkerList("m", np.array([11.0, 25.0]), ("a", "b"))
    session = convert(recording(trials=(table,), markers=(markers,)), Choice(from_s=20, to_s=40)).session
    assert session.events is not None
    assert session.behavior is not None
    assert session.trials is not None
    assert session.markers is not None
    for time in (session.events.time, session.behavior.time, session.trials.start, session.markers.time):
        assert len(time)
        assert time.min() >= 20
        assert time.max() <= 40


def test_trials_of_a_table() -> None:
    table = TrialTable(
        "trials",
        np.array([20.0, np.nan, 30.0, 50.0]),
        np.array([21.0, 22.0, 29.0, 52.0]),
        {
            "target_pos": np.arange(8.0).reshape(4, 2),
            "result": np.array(["R", "F", "R", "A"]),
            "split": np.array(["train", "val", "val", "val"]),
            "angle": np.arange(4.0),
            "success": np.array(["x", "y", "z", "w"]),
        },
    )
    imported = convert(recording(trials=(table,)), Choice(success="result"))
    trials = imported.session.trials
    assert trials is not None
    assert trials.start.tolist() == [20.0, 50.0]
    assert trials.columns["target"].tolist() == [[0.0, 1.0], [6.0, 7.0]]
    assert trials.columns["success"].tolist() == [1, 0]
    assert trials.columns["block"].tolist() == ["train", "val"]
    assert trials.columns["angle"].tolist() == [0.0, 3.0]
    assert "left out 2 of 4 trials without a start and a later stop" in imported.notes
    with pytest.raises(RtdecodeError, match="'angle' holds no target"):
        convert(recording(trials=(table,)), Choice(target="angle"))
    with pytest.raises(RtdecodeError, match="no column 'size'"):
        convert(recording(trials=(table,)), Choice(block="size"))


def test_the_table_called_trials_is_meant_beside_others(tmp_path: Path) -> None:
    epochs = TrialTable("intervals/epochs", np.array([10.0]), np.array([70.0]))
    table = TrialTable("intervals/trials", np.array([20.0]), np.array([21.0]), {"place": np.ones((1, 2))})
    session = convert(recording(trials=(epochs, table)), Choice()).session
    write_session(tmp_path / "s.h5", session)
    trials = read_session(tmp_path / "s.h5").trials
    assert trials is not None
    assert trials.start.tolist() == [20.0]
    # Of a single trial too, a row of two values is not two rows.
    assert trials.columns["place"].shape == (1, 2)


def test_trials_of_markers() -> None:
    markers = MarkerList("task", np.array([30.0, 20.0, 21.0, 31.0]), ("go 2", "go 1", "end", "end"))
    choice = Choice(rules=read_rules("start=go*,stop=end"))
    trials = convert(recording(markers=(markers,)), choice).session.trials
    assert trials is not None
    assert trials.start.tolist() == [20.0, 30.0]


VALUES = RNG.poisson(0.3, (3000, 4))


@given(
    stamps=st.sampled_from(["start", "end", "middle"]),
    width_s=st.sampled_from([0.02, 0.05, 0.001]),
    t0_s=st.floats(-100, 1e6),
    jitter=st.floats(0, 1e-4),
)
def test_bins_keep_counts_and_ends(stamps: str, width_s: float, t0_s: float, jitter: float) -> None:
    end = t0_s + np.arange(1, len(VALUES) + 1) * width_s
    end += jitter * width_s * np.random.default_rng(0).uniform(-1, 1, len(end))
    stamp = end - {"start": 1.0, "end": 0.0, "middle": 0.5}[stamps] * width_s
    held = recording(spikes=(binned(stamp, VALUES, stamps=stamps),), series=())
    counts = convert(held, Choice()).session.counts
    assert counts is not None
    assert np.array_equal(counts.values, VALUES[:, :3])
    assert np.allclose(counts.edges[1:], end, rtol=0, atol=2e-3 * width_s)
    assert counts.bin_width_s == pytest.approx(width_s, rel=1e-3)


def test_rows_without_stamps_need_a_width() -> None:
    held = recording(spikes=(binned(np.arange(3000.0), VALUES, stamps="row"),), series=())
    with pytest.raises(
        RtdecodeError, match=r"without a time or a width. Fix: state their width with --bin-width"
    ):
        convert(held, Choice())
    counts = convert(held, Choice(bin_width_s=0.05)).session.counts
    assert counts is not None
    assert (counts.t0_s, counts.bin_width_s, counts.end) == (0.0, 0.05, None)
    assert np.array_equal(counts.values, VALUES[:, :3])


def test_holes_between_bins_are_not_observed() -> None:
    stamp = 10 + np.arange(3000) * 0.02
    kept = np.ones(3000, np.bool_)
    kept[500:650] = kept[2000:2001] = False
    held = recording(spikes=(binned(stamp[kept], VALUES[kept], stamps="start"),))
    session = convert(held, Choice()).session
    assert session.counts is not None
    assert session.observed is not None
    assert np.array_equal(session.counts.values[kept], VALUES[kept][:, :3])
    assert not session.counts.values[~kept].any()
    assert np.allclose(session.observed, [[10, 20], [23, 50], [50.02, 70]])


def test_stretches_off_the_grid_keep_their_stamps() -> None:
    stamp = np.concatenate((10 + np.arange(100) * 0.02, 12.507 + np.arange(100) * 0.02))
    held = recording(spikes=(binned(stamp, VALUES[:200], stamps="end"),))
    session = convert(held, Choice()).session
    counts = session.counts
    assert counts is not None
    assert counts.end is not None
    assert np.array_equal(counts.end[np.isin(counts.end, stamp)], stamp)
    assert session.observed is not None
    assert np.allclose(session.observed, [[9.98, 11.98], [12.487, 14.487]])


def test_rates_become_counts_only_on_request() -> None:
    stamp = 10 + np.arange(3000) * 0.02
    hz = recording(spikes=(binned(stamp, VALUES * 50.0),))
    assert [each.kind for each in convert(hz, Choice()).findings] == ["rates"]
    session = convert(hz, Choice(rates=True)).session
    assert session.counts is not None
    assert np.array_equal(session.counts.values, VALUES[:, :3])
    stated = recording(spikes=(binned(stamp, VALUES * 50.0, units_of_values="Hz"),))
    again = convert(stated, Choice()).session.counts
    assert again is not None
    assert np.array_equal(again.values, VALUES[:, :3])


@pytest.mark.parametrize(
    ("stamp", "values", "choice", "problem"),
    [
        (np.arange(3000) * 0.02, VALUES + 0.3, Choice(), r"not a whole number.*look like rates"),
        (np.arange(3000) * 0.02, VALUES - 1, Choice(), "holds -1, below 0"),
        (np.arange(3000) * 0.02, VALUES + 70_000, Choice(), "has a count of 7000"),
        (np.arange(3000) * 0.02 % 3.0, VALUES, Choice(), "do not increase at row 150"),
        (
            np.arange(3000) * 20,
            VALUES,
            Choice(bin_width_s=0.02),
            "0.02 s wide as stated, and their stamps are 20",
        ),
        (np.arange(1), VALUES[:1], Choice(), "single bin of unknown width"),
        (np.append(np.arange(2999) * 0.02, 1e12), VALUES, Choice(), "more than fit in memory"),
    ],
)
def test_what_are_no_counts_is_refused(
    stamp: np.ndarray, values: np.ndarray, choice: Choice, problem: str
) -> None:
    with pytest.raises(RtdecodeError, match=problem):
        convert(recording(spikes=(binned(stamp, values),), series=()), choice)


def test_intervals_of_the_spikes_and_of_the_file_are_both_kept() -> None:
    spikes = spike_times(observed=np.array([[10.0, 30.0], [30.0, 50.0], [60.0, 70.0]]))
    held = recording(spikes=(spikes,), observed=np.array([[20.0, 100.0]]))
    imported = convert(held, Choice(to_s=65.0))
    assert imported.session.observed is not None
    assert imported.session.observed.tolist() == [[20.0, 50.0], [60.0, 65.0]]
    assert "spikes of /events lie outside /observed (20.0 to 65.0 s) and are not used" in " ".join(
        imported.notes
    )
    with pytest.raises(RtdecodeError, match="no time is left"):
        convert(replace(held, observed=np.array([[200.0, 300.0]])), Choice())


def test_signals_become_features() -> None:
    power = series("SBP", columns=("e1", "e2"), role="signal", unit="uV")
    session = convert(recording(series=(series(), power)), Choice(features=("SBP",))).session
    assert session.features is not None
    assert session.features.names == ("e1", "e2")
    assert session.features.period_s == pytest.approx(0.01)
    assert session.behavior is not None
    assert session.behavior.names == ("x", "y")
