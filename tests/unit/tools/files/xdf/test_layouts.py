"""Streams of spikes in an XDF file are what they would be live."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from files.xdf import XdfFile

from rtdecode.tools.files.recording import BinnedSpikes, Recording, SpikeTimes
from rtdecode.tools.files.xdf.open import open_xdf


def _labels(*names: str, kind: str = "") -> str:
    kind = f"<kind>{kind}</kind>" if kind else ""
    return (
        "<channels>"
        + "".join(f"<channel><label>{name}</label>{kind}</channel>" for name in names)
        + "</channels>"
    )


def _recorded(path: Path, rows: list[list[Any]], desc: str = "", **entries: object) -> Recording:
    """One stream, a sample each 20 ms from 1 s on, or each period of its rate."""
    file = XdfFile()
    rate = float(str(entries.get("nominal_srate", 0)))
    described = {"name": "M1", "type": "", "nominal_srate": 0, "channel_count": len(rows[0]), **entries}
    file.header(1, desc, **described)
    file.samples(1, [1 + i / (rate or 50) for i in range(len(rows))], rows)
    file.offset(1, 1.0)
    file.footer(1, len(rows))
    return open_xdf(file.write(path / "a.xdf"))


def _spikes(recording: Recording) -> tuple[SpikeTimes, list[float], list[str]]:
    (spikes,) = recording.spikes
    assert isinstance(spikes, SpikeTimes)
    time, row = spikes.read(np.arange(len(spikes.units.ids)))
    return spikes, time.round(6).tolist(), [spikes.units.ids[each] for each in row]


def test_events_have_a_row_for_each_unit_and_each_stated_channel(tmp_path: Path) -> None:
    rows = [[3, 0, 7], [0, 2, 8], [3, 1, 9], [3, 0, 10]]
    recording = _recorded(tmp_path, rows, "<n_channels>5</n_channels>", type="Spikes", channel_format="int32")
    spikes, time, unit = _spikes(recording)
    assert spikes.units.ids == ("0.2", "1.0", "2.0", "3.0", "3.1", "4.0")
    assert spikes.units.electrodes == ("0", "1", "2", "3", "3", "4")
    assert spikes.units.numbers is not None
    assert spikes.units.numbers.tolist() == [2, 0, 0, 0, 1, 0]
    assert (time, unit) == ([1.0, 1.02, 1.04, 1.06], ["3.0", "0.2", "3.1", "3.0"])
    assert (spikes.n_spikes, spikes.observed, recording.notes) == (4, None, ())
    assert spikes.read(np.array([4]))[0].tolist() == [1.04]


def test_lost_repeated_and_impossible_spikes_are_told(tmp_path: Path) -> None:
    rows = [[0, 0, 1], [0, 0, 2], [0, 0, 2], [-1, 0, 3], [9, 0, 9]]
    recording = _recorded(tmp_path, rows, "<n_channels>4</n_channels>", type="Spikes", channel_format="int32")
    _, time, unit = _spikes(recording)
    assert (time, unit) == ([1.0, 1.02, 1.08], ["0", "0", "9"])
    assert recording.notes == (
        "M1: 5 spikes were lost before they were recorded, by their running numbers",
        "M1: 1 spikes are repeated, by their running numbers, and left out",
        "M1: 1 spikes are on no possible channel, and left out",
        "M1: 1 spikes are on channels beyond the 4 it states",
    )


def test_events_with_labels_are_read_by_them(tmp_path: Path) -> None:
    rows = [[300, 0.5, 7], [1, 0.5, 2], [1.5, 0.5, 2]]
    desc = _labels("unit", "amplitude", "channel")
    recording = _recorded(tmp_path, rows, desc, type="Sorted", channel_format="float32")
    _, time, unit = _spikes(recording)
    assert (time, unit) == ([1.0, 1.02], ["7.300", "2.1"])
    assert recording.notes == (
        "M1: 1 spikes have a channel, unit or number with a fraction, and are left out",
    )


def test_spikes_whose_columns_are_not_told_are_listed(tmp_path: Path) -> None:
    found = _recorded(tmp_path, [[1.0, 0.5]], type="Spikes", channel_format="float32")
    assert (found.spikes, found.series) == ((), ())
    assert found.others[0][1].endswith(": no labels say which column is the channel")


def test_observed_intervals(tmp_path: Path) -> None:
    found = _recorded(tmp_path, [[3.5], [7.5]], type="Observed", channel_format="double64")
    assert found.observed is not None
    assert found.observed.tolist() == [[1, 3.5], [1.02, 7.5]]


def test_a_running_number_that_wraps_around_is_no_loss(tmp_path: Path) -> None:
    rows = [[1, -2], [1, -1], [1, 0], [1, 3]]
    recording = _recorded(tmp_path, rows, _labels("channel", "seq"), channel_format="int16")
    assert len(_spikes(recording)[1]) == 4
    assert recording.notes == ("M1: 2 spikes were lost before they were recorded, by their running numbers",)


def test_snippets_and_channels(tmp_path: Path) -> None:
    rows = [[4, 1, -30, -99], [2, 0, -20, -88]]
    assert _spikes(_recorded(tmp_path, rows, type="SpikeEvents", channel_format="int16"))[2] == ["4.1", "2.0"]
    assert _spikes(_recorded(tmp_path, [[7], [5]], type="X", channel_format="int32"))[2] == ["7", "5"]


def test_codes_of_a_task_are_markers(tmp_path: Path) -> None:
    for rate in (0, 50):
        found = _recorded(tmp_path, [[7], [5]], type="Markers", channel_format="int32", nominal_srate=rate)
        assert found.spikes == ()
        assert (found.markers[0].text, found.markers[0].time.tolist()) == (("7", "5"), [1.0, 1.02])


def test_a_raster_gives_its_crossings(tmp_path: Path) -> None:
    rows = [[0, 1], [0, 0], [1, 1], [0, 0]]
    found = _recorded(tmp_path, rows, _labels("a", "b"), channel_format="int8", nominal_srate=2000)
    spikes, time, unit = _spikes(found)
    assert (time, unit) == ([1.0, 1.001, 1.001], ["b", "a", "b"])
    assert spikes.observed is None


@pytest.mark.parametrize(("form", "rate", "value"), [("int16", 30_000, -50), ("float32", 30_000, 1.0)])
def test_voltage_is_named(tmp_path: Path, form: str, rate: int, value: float) -> None:
    found = _recorded(tmp_path, [[value, 1]], channel_format=form, nominal_srate=rate)
    assert found.spikes == ()
    assert found.others == (
        ("M1", f"M1 (type none, 2 x {form}, 30000 Hz): raw voltage, whose spikes are not detected"),
    )


def _counts(found: Recording) -> BinnedSpikes:
    (spikes,) = found.spikes
    assert isinstance(spikes, BinnedSpikes)
    return spikes


def test_counts_are_told_by_their_values_or_their_type(tmp_path: Path) -> None:
    for form in ("int16", "float32"):
        found = _recorded(tmp_path, [[0, 3], [2, 0]], channel_format=form, nominal_srate=50)
        spikes = _counts(found)
        assert (spikes.bin_width_s, spikes.stamps, spikes.n_bins) == (0.02, "end", 2)
        time, values = spikes.read(np.array([1]))
        assert (time.tolist(), values.tolist()) == ([1.0, 1.02], [[3.0], [0.0]])
        assert [(each.name, each.role) for each in found.series] == [("M1", "other")]
    rates = _recorded(tmp_path, [[10.5, 3.2]], type="SpikeRates", channel_format="float32", nominal_srate=50)
    assert _counts(rates).read(np.array([0]))[1].round(6).tolist() == [[10.5]]
    position = _recorded(tmp_path, [[0.5, 3], [2, 0]], channel_format="float32", nominal_srate=50)
    assert (position.spikes, position.series[0].role) == ((), "behavior")
    rest = _recorded(tmp_path, [[0, 0], [0, 0]], channel_format="float32", nominal_srate=50)
    assert (rest.spikes, rest.series[0].role) == ((), "behavior")
    eeg = _recorded(tmp_path, [[1, 3], [2, 0]], type="EEG", channel_format="int16", nominal_srate=50)
    assert (eeg.spikes, eeg.series[0].role) == ((), "signal")


def test_features_are_signals_with_their_names(tmp_path: Path) -> None:
    desc = _labels("sbp1", "sbp2", kind="power")
    found = _recorded(tmp_path, [[1.0, 2.0]], desc, channel_format="float32", nominal_srate=50)
    (features,) = found.series
    assert (features.columns, features.role, features.stamps) == (("sbp1", "sbp2"), "signal", "end")
    assert features.kinds == ("power", "power")


@pytest.mark.parametrize("jitter_s", [0.004, 0.006])
def test_missing_intervals_are_not_observed(tmp_path: Path, jitter_s: float) -> None:
    file = XdfFile()
    file.header(1, name="C", type="Counts", nominal_srate=50, channel_count=2, channel_format="int16")
    rng = np.random.default_rng(0)
    # Holes of 1 interval and of 0.2 s, and stamps that jitter: no default of pyxdf sees either.
    kept = np.setdiff1d(np.arange(500), [100, *range(300, 310)])
    time = 1 + 0.02 * kept + rng.uniform(-jitter_s, jitter_s, len(kept))
    file.samples(1, time.tolist(), [[1, 0]] * len(kept))
    file.offset(1, 1.0)
    file.footer(1, len(kept))
    found = open_xdf(file.write(tmp_path / "a.xdf"))
    observed = _counts(found).observed
    assert observed is not None
    assert np.allclose(observed, [[0.98, 2.98], [3.0, 6.98], [7.18, 10.98]], atol=jitter_s)
    missing = "C: 11 samples of 20 ms are missing in 2 holes, which are not observed"
    stamp = _counts(found).read(np.array([0]))[0]
    if jitter_s < 0.005:
        assert stamp.tolist() == time.tolist()
        assert found.notes == (missing,)
    else:
        # Two stamps of one run are up to 32 ms apart, as those beside a hole: they are followed, as live.
        assert np.array_equal(np.flatnonzero(np.diff(stamp) > 0.03), [99, 298])
        assert np.abs(stamp - time).max() < 2 * jitter_s
        assert found.notes == (
            missing,
            "C: its stamps jitter or are out of order: times follow them, as they do live",
        )


def test_a_rate_that_is_off_is_told(tmp_path: Path) -> None:
    file = XdfFile()
    file.header(1, name="C", type="Counts", nominal_srate=100, channel_count=2, channel_format="int16")
    file.samples(1, [1 + 0.02 * i for i in range(60)], [[1, 0]] * 60)
    file.offset(1, 1.0)
    file.footer(1, 60)
    found = open_xdf(file.write(tmp_path / "a.xdf"))
    assert _counts(found).bin_width_s is None
    assert found.notes == ("C: announces 100 Hz, and its stamps say 50 Hz",)


def test_a_hand_that_rests_at_first_is_behaviour(tmp_path: Path) -> None:
    file = XdfFile()
    file.header(1, name="hand", type="X", nominal_srate=100, channel_count=2, channel_format="float32")
    for k in range(200):
        file.samples(1, [k + 0.01 * i for i in range(100)], [[1.0, 2.0 + (k > 100) * 0.5]] * 100)
    found = open_xdf(file.write(tmp_path / "a.xdf"))
    assert (found.spikes, [each.role for each in found.series]) == ((), ["behavior"])
