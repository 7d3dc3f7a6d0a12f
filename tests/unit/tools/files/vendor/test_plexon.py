"""Plexon .plx of known content: every spike, unit, word and sample."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from files.damage import n_refused
from files.plexon import block, write_plx

from rtdecode.errors import RtdecodeError
from rtdecode.tools.files.recording import SpikeTimes
from rtdecode.tools.files.vendor.plexon import is_plexon, open_plexon

EVENTS = {1: "Event001", 257: "Strobed", 258: "Start", 259: "Stop", 260: "Pause", 261: "Resume"}
SLOW = {0: ("AI01", 1000), 1: ("AI02", 1000), 2: ("FP01", 1000), 3: ("WB01", 40_000)}
LATE = 2**32 + 40_000
WAVE = [5] * 32
BLOCKS = [
    block(4, 0, 258),
    block(1, 40_000, 2, 1, WAVE),
    *(block(5, 40_000, c, samples=[c, 100, 200]) for c in (0, 1, 2)),
    block(1, 40_400, 1, 0, WAVE),
    block(4, 50_000, 1),
    block(4, 60_000, 257, 65_535),
    block(4, 80_000, 260),
    block(4, 4_000_000, 261),
    *(block(5, 4_000_000, c, samples=[-300]) for c in (0, 1, 2)),
    block(5, 4_000_000, 3, samples=[1, 2]),
    block(1, LATE, 2, 26, WAVE),
    block(1, 4_000_040, 1, 0, WAVE),
    block(4, LATE + 4, 259),
]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    write_plx(tmp_path / "a.plx", BLOCKS, 3, EVENTS, SLOW)
    assert is_plexon(tmp_path / "a.plx")
    return tmp_path / "a.plx"


def test_every_spike_and_unit(path: Path) -> None:
    recording = open_plexon(path)
    (source,) = recording.spikes
    assert isinstance(source, SpikeTimes)
    assert (recording.format, recording.attrs) == ("Plexon PLX 106", {"date": "2026-11-30"})
    assert source.units.ids == ("sig001/0", "sig002/1", "sig002/26", "sig003/0")
    assert source.units.electrodes == ("sig001", "sig002", "sig002", "sig003")
    assert source.units.numbers is not None
    assert source.units.numbers.tolist() == [0, 1, 26, 0]
    time, row = source.read(np.arange(4))
    assert time.tolist() == [1.0, 1.01, LATE / 40_000, 100.001]
    assert row.tolist() == [1, 0, 2, 0]


def test_words_are_markers_and_pauses_are_not_observed(path: Path) -> None:
    recording = open_plexon(path)
    markers = {each.name: (each.time.tolist(), each.text) for each in recording.markers}
    assert markers["Strobed"] == ([1.5], ("65535",))
    assert markers["Event001"] == ([1.25], ("Event001",))
    assert recording.observed is not None
    np.testing.assert_allclose(recording.observed, [[0, 2], [100, (LATE + 4) / 40_000]])


def test_samples_keep_the_times_of_their_blocks(path: Path) -> None:
    recording = open_plexon(path)
    (series,) = recording.series
    assert (series.name, series.columns, series.units) == ("AI01-AI02", ("AI01", "AI02"), ("mV", "mV"))
    time, values = series.read()
    np.testing.assert_allclose(time, [1, 1.001, 1.002, 100])
    np.testing.assert_allclose(values, np.array([[0, 1], [100, 100], [200, 200], [-300, -300]]) * 2500 / 2048)
    assert [name for name, _ in recording.others] == ["FP01 …", "WB01 …"]
    assert "rtdecode detect" in recording.others[1][1]


@pytest.mark.filterwarnings("ignore")
def test_neo_reads_the_same(path: Path) -> None:
    from neo import rawio as neo

    raw = neo.PlexonRawIO(filename=str(path), progress_bar=False)
    raw.parse_header()
    found = []
    for i, (channel, unit) in enumerate(raw.internal_unit_ids):
        ticks = raw.get_spike_timestamps(0, 0, i, None, 1e6)
        found += [(time, f"sig{channel:03}/{unit}") for time in raw.rescale_spike_timestamp(ticks).tolist()]
    (source,) = open_plexon(path).spikes
    time, row = source.read(np.arange(4))
    ours = [(t, source.units.ids[r]) for t, r in zip(time.tolist(), row.tolist(), strict=True)]
    assert sorted(found) == sorted(ours)
    gain = raw.header["signal_channels"]["gain"][0]
    np.testing.assert_allclose(open_plexon(path).series[0].read()[1][1, 0], 100 * gain)


def test_a_cut_file_is_read_to_its_last_whole_block(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-20])
    recording = open_plexon(path)
    assert recording.spikes[0].n_spikes == 3  # type: ignore[union-attr]
    assert recording.notes == ("a.plx: ends within a block, of which 76 bytes are left out",)


def test_pl2_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "a.pl2").write_bytes(b"\x01\x02")
    assert is_plexon(tmp_path / "a.pl2")
    with pytest.raises(
        RtdecodeError, match=r"a\.pl2: is a Plexon \.pl2 file.*Fix: save it as \.plx or \.nex"
    ):
        open_plexon(tmp_path / "a.pl2")


def test_damage_ends_in_one_line(path: Path) -> None:
    assert n_refused(path, is_plexon, open_plexon, 40) > 5
