"""NEV and NSx of known content: every spike, stamp, unit, word and sample."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from files.blackrock import comment, digital, spike, write_nev, write_nsx
from files.damage import n_refused, read_all

from rtdecode.errors import RtdecodeError
from rtdecode.tools.files.recording import Recording, SpikeTimes
from rtdecode.tools.files.vendor.blackrock.open import is_blackrock, open_blackrock

LABELS = {1: "elec1", 2: "elec2", 96: "elec96", 129: "ainp1"}
INPUTS = {129: "ainp1", 130: "ainp2"}
PACKETS = [
    spike(30_000, 96, 1),
    comment(30_300, "block 1: réach"),
    spike(30_600, 1, 0),
    digital(33_000, 65_535),
    spike(45_000, 1, 255),
    comment(46_000, "go Δ", utf16=True),
    digital(47_000, 7, serial=True),
    spike(60_001, 96, 2),
]
FAST = np.arange(200).reshape(100, 2)
SAMPLES = np.arange(2000).reshape(1000, 2) - 900


def spikes(recording: Recording) -> list[tuple[float, str, int]]:
    (source,) = recording.spikes
    assert isinstance(source, SpikeTimes)
    assert source.units.numbers is not None
    time, row = source.read(np.arange(len(source.units.ids)))
    units = source.units
    return [
        (t, units.electrodes[r], int(source.units.numbers[r]))
        for t, r in zip(time.tolist(), row, strict=True)
    ]


@pytest.fixture
def day(tmp_path: Path) -> Path:
    write_nev(tmp_path / "day.nev", PACKETS, LABELS)
    write_nsx(tmp_path / "day.ns2", [(300, SAMPLES)], INPUTS)
    write_nsx(tmp_path / "day.ns5", [(300, FAST)], {1: "elec1", 129: "ainp1"}, period=1)
    (tmp_path / "day.ccf").write_bytes(b"<CCF/>")
    return tmp_path / "day.nev"


def test_every_spike_and_unit(day: Path) -> None:
    assert is_blackrock(day)
    recording = open_blackrock(day)
    assert recording.format == "Blackrock 2.3"
    assert recording.attrs == {"date": "2026-11-30"}
    assert spikes(recording) == [
        (1.0, "elec96", 1),
        (1.02, "elec1", 0),
        (1.5, "elec1", 255),
        (60_001 / 30_000, "elec96", 2),
    ]


def test_an_electrode_without_a_spike_has_its_row_and_an_input_has_none(day: Path) -> None:
    units = open_blackrock(day).spikes[0].units
    assert units.ids == ("1/0", "1/255", "2/0", "96/1", "96/2")
    assert units.columns["electrode_id"].tolist() == [1, 1, 2, 96, 96]


def test_words_and_comments_are_markers(day: Path) -> None:
    markers = {each.name: (each.time.tolist(), each.text) for each in open_blackrock(day).markers}
    assert markers == {
        "comments": ([1.01, 46_000 / 30_000], ("block 1: réach", "go Δ")),
        "digital": ([1.1], ("65535",)),
        "serial": ([47_000 / 30_000], ("7",)),
    }


@pytest.mark.parametrize("name", ["day.nev", "day.ns2"])
def test_analog_inputs_of_the_same_name_are_behaviour(day: Path, name: str) -> None:
    recording = open_blackrock(day.with_name(name))
    series = recording.series[0]
    assert (series.name, series.columns, series.units, series.rate_hz) == (
        "ns2",
        ("ainp1", "ainp2"),
        ("mV", "mV"),
        1000,
    )
    time, values = series.read()
    np.testing.assert_allclose(time, 0.01 + np.arange(1000) / 1000, rtol=0, atol=1e-12)
    np.testing.assert_allclose(values, SAMPLES * 5000 / 32764, rtol=1e-12)
    assert recording.observed is not None
    np.testing.assert_allclose(recording.observed, [[0.01, 1.01]])
    ((name, why),) = recording.others
    assert name == "day.ns5"
    assert why.startswith("voltage of 1 channel at 30000 Hz: find spikes in it with rtdecode detect")


def test_inputs_as_fast_as_voltage_are_thinned(day: Path) -> None:
    series = open_blackrock(day).series[1]
    assert (series.name, series.columns, series.n_samples, series.rate_hz) == ("ns5", ("ainp1",), 4, 1000)
    assert series.note == "every 30th of its samples at 30000 Hz"
    time, values = series.read()
    np.testing.assert_allclose(time, [0.01, 0.011, 0.012, 0.013])
    np.testing.assert_allclose(values[:, 0], FAST[::30, 1] * 5000 / 32764)


@pytest.mark.filterwarnings("ignore:Spikes")
def test_neo_reads_the_same(day: Path) -> None:
    from neo import rawio as neo

    raw = neo.BlackrockRawIO(filename=str(day.with_suffix("")), nsx_to_load=2)
    raw.parse_header()
    found = []
    for i, (channel, unit) in enumerate(raw.internal_unit_ids):
        ticks = raw.get_spike_timestamps(0, 0, i)
        found += [(time, LABELS[channel], unit) for time in raw.rescale_spike_timestamp(ticks).tolist()]
    assert sorted(found) == spikes(open_blackrock(day))
    chunk = raw.rescale_signal_raw_to_float(
        raw.get_analogsignal_chunk(0, 0, stream_index=0), "f8", stream_index=0
    )
    np.testing.assert_allclose(open_blackrock(day).series[0].read()[1], chunk, rtol=1e-12)


def test_a_pause_is_not_observed(tmp_path: Path) -> None:
    write_nev(tmp_path / "a.nev", [spike(30, 1, 0), spike(90_030, 1, 0)], {1: "elec1"})
    blocks = [(0, SAMPLES[:100]), (3_000, SAMPLES[100:200]), (90_000, SAMPLES[200:300])]
    write_nsx(tmp_path / "a.ns3", blocks, INPUTS)
    recording = open_blackrock(tmp_path / "a.nev")
    assert recording.observed is not None
    np.testing.assert_allclose(recording.observed, [[0, 0.2], [3, 3.1]])  # blocks that touch are one stretch
    np.testing.assert_allclose(recording.series[0].read()[0][[0, 150, 200]], [0, 0.15, 3])


def test_a_clock_that_is_set_back_begins_a_new_stretch(tmp_path: Path) -> None:
    ahead = [
        spike(300_000, 1, 0),
        spike(299_990, 1, 0),
        comment(300_100, "pause"),
        spike(600, 1, 0),
        comment(900, "go"),
    ]
    write_nev(tmp_path / "a.nev", ahead, {1: "elec1"})
    write_nsx(tmp_path / "a.ns2", [(270_000, np.zeros((2_000, 2))), (0, np.ones((500, 2)))], INPUTS)
    recording = open_blackrock(tmp_path / "a.nev")
    assert [time for time, _, _ in spikes(recording)] == [10.0, 299_990 / 30_000, 12.02]
    assert recording.markers[0].time.tolist() == [300_100 / 30_000, 12.03]
    assert recording.observed is not None
    assert recording.observed.tolist() == [[9, 11], [12, 12.5]]
    assert recording.series[0].read()[0][1999:2001].tolist() == [10.999, 12.0]
    assert recording.notes[-1].startswith("the recorder set its clock back 1 times")


def test_stamps_in_nanoseconds(tmp_path: Path) -> None:
    start = 1_700_000_000 * 10**9
    write_nev(tmp_path / "a.nev", [spike(start + 500_000_000, 1, 3)], {1: "elec1"}, (3, 0), 10**9)
    blocks = [(start, SAMPLES[:100]), (start + 2 * 10**9, SAMPLES[100:200])]
    write_nsx(tmp_path / "a.ns2", blocks, INPUTS, ptp=True)
    recording = open_blackrock(tmp_path / "a.ns2")
    assert spikes(recording) == [(1_700_000_000.5, "elec1", 3)]
    assert recording.observed is not None
    np.testing.assert_allclose(recording.observed - 1.7e9, [[0, 0.1], [2, 2.1]], atol=1e-6)
    time, values = recording.series[0].read()
    np.testing.assert_allclose(time[[1, 100]] - 1.7e9, [0.001, 2], atol=1e-6)
    np.testing.assert_allclose(values, SAMPLES[:200] * 5000 / 32764)


def test_what_a_killed_recorder_leaves(tmp_path: Path) -> None:
    write_nev(tmp_path / "a.nev", PACKETS, LABELS)
    write_nsx(tmp_path / "a.ns2", [(0, SAMPLES)], INPUTS)
    nev, ns2 = tmp_path / "a.nev", tmp_path / "a.ns2"
    nev.write_bytes(nev.read_bytes()[:-20])
    cut = bytearray(ns2.read_bytes()[:-400])
    at = len(ns2.read_bytes()) - 4000 - 4
    for announced, note in (
        (1000, "a block announces 1000 samples and has 900"),
        (0, "announces 0 samples and has 900"),
    ):
        cut[at : at + 4] = announced.to_bytes(4, "little")
        ns2.write_bytes(cut)
        recording = open_blackrock(nev)
        assert len(spikes(recording)) == 3
        assert len(recording.series[0].read()[1]) == 900
        assert "a.nev: ends within a packet, of which 36 bytes are left out" in recording.notes
        assert any(note in each for each in recording.notes)


def test_damage_ends_in_one_line(day: Path) -> None:
    assert n_refused(day, is_blackrock, open_blackrock, 30)
    write_nev(day, PACKETS, LABELS)
    # Most of an NSx file are samples, of which any is valid.
    assert n_refused(day.with_name("day.ns2"), is_blackrock, open_blackrock, 30) < 30
    day.with_name("day.ns2").unlink()
    read_all(open_blackrock(day))


def test_a_cut_header_is_one_line(day: Path) -> None:
    day.write_bytes(day.read_bytes()[:200])
    with pytest.raises(
        RtdecodeError, match=r"day\.nev: cannot be read: its header is cut or damaged\. Fix: copy"
    ):
        open_blackrock(day)
