"""A small session as Klusters and NDManager leave it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from files.damage import n_refused

from rtdecode.errors import RtdecodeError
from rtdecode.tools.files.neurosuite.open import is_neurosuite, open_neurosuite
from rtdecode.tools.files.recording import SpikeTimes

XML = """<?xml version='1.0'?><parameters><acquisitionSystem><nBits>16</nBits><nChannels>16</nChannels>
<samplingRate>20000</samplingRate></acquisitionSystem><fieldPotentials><lfpSamplingRate>1250</lfpSamplingRate>
</fieldPotentials></parameters>"""


@pytest.fixture
def session(tmp_path: Path) -> Path:
    written = {
        "xml": XML,
        "res.1": "20000\n20010\n40000\n",
        "clu.1": "3\n0\n1\n5\n",
        "res.2": "30000\n",
        "clu.2": "1\n2\n",
        "res.3": "1\n",
        "whl": "100 50 -1 -1\n101 51 90 40\n",
        "rip.evt": "1500.5\tripple start\n1600 ripple stop\n",
        "dat": "",
    }
    for ending, text in written.items():
        (tmp_path / f"rat.01.{ending}").write_text(text)
    return tmp_path


@pytest.mark.parametrize("name", ["", "rat.01.xml", "rat.01.res.1", "rat.01.clu.2"])
def test_every_spike_of_every_shank(session: Path, name: str) -> None:
    assert is_neurosuite(session / name)
    (source,) = open_neurosuite(session / name).spikes
    assert isinstance(source, SpikeTimes)
    assert source.units.ids == ("1/0", "1/1", "1/5", "2/2")
    assert source.units.electrodes == ("1", "1", "1", "2")
    assert source.units.columns["quality"].tolist() == ["noise", "mua", "unit", "unit"]
    time, row = source.read(np.arange(4))
    assert (time.tolist(), row.tolist()) == ([1.0, 1.0005, 2.0, 1.5], [0, 1, 2, 3])


def test_position_and_events(session: Path) -> None:
    recording = open_neurosuite(session)
    (series,), (events,) = recording.series, recording.markers
    time, values = series.read()
    assert (series.columns, series.n_samples, time.tolist()) == (("x", "y", "x2", "y2"), 2, [0, 32 / 1250])
    np.testing.assert_array_equal(values, [[100, 50, np.nan, np.nan], [101, 51, 90, 40]])
    assert (events.time.tolist(), events.text) == ([1.5005, 1.6], ("ripple start", "ripple stop"))
    assert recording.others == (
        ("rat.01.dat", "voltage at 20000 Hz: find spikes in it with rtdecode detect"),
    )


def test_what_is_refused(session: Path) -> None:
    clusters, described = session / "rat.01.clu.1", session / "rat.01.xml"
    clusters.write_text("3\n0\n1\n")
    with pytest.raises(RtdecodeError, match=r"res\.1: holds 3 spikes, and its \.clu file 2\. Fix: copy both"):
        open_neurosuite(session)
    clusters.write_text("3\n0\nx\n5\n")
    with pytest.raises(RtdecodeError, match=r"clu\.1: holds no table of numbers: could not convert"):
        open_neurosuite(session)
    described.write_text("<parameters></parameters>")
    with pytest.raises(RtdecodeError, match=r"xml: has no sampling rate"):
        open_neurosuite(clusters)
    described.unlink()
    with pytest.raises(RtdecodeError, match=r"rat\.01\.xml: is needed for the sampling rate"):
        open_neurosuite(clusters)


def test_no_other_xml_is_a_session(tmp_path: Path) -> None:
    (tmp_path / "settings.xml").write_text("<parameters></parameters>")
    assert not is_neurosuite(tmp_path / "settings.xml")
    assert not is_neurosuite(tmp_path)


@pytest.mark.parametrize("name", ["clu.1", "whl", "rip.evt"])
def test_damage_ends_in_one_line(session: Path, name: str) -> None:
    assert n_refused(session / f"rat.01.{name}", lambda _: True, lambda _: open_neurosuite(session), 30) > 5
