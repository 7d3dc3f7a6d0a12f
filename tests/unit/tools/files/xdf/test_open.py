"""XDF files as recorders leave them: unfinished, cut, without names, with clocks that were reset, damaged."""

from __future__ import annotations

import gzip
import sys
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
from files.xdf import XdfFile

from rtdecode.errors import RtdecodeError
from rtdecode.tools.files.recording import Recording
from rtdecode.tools.files.xdf.open import is_xdf, open_xdf

COLUMN = "<channel><label>{}</label><unit>mm</unit></channel>"
DESC = f"<channels>{COLUMN.format('x')}{COLUMN.format('y')}</channels>"


def _spikes(file: XdfFile, number: int, name: str = "M1", **entries: object) -> None:
    described = {
        "name": name,
        "type": "Spikes",
        "nominal_srate": 0,
        "channel_count": 3,
        "channel_format": "int32",
    }
    file.header(number, **{**described, **entries})


def _usual() -> XdfFile:
    """Spikes, a hand and markers, in chunks by turns; nothing is closed."""
    file = XdfFile()
    _spikes(file, 1)
    file.header(
        2, DESC, name="hand", type="MoCap", nominal_srate=100, channel_count=2, channel_format="float32"
    )
    file.header(3, name="task", type="Markers", nominal_srate=0, channel_count=1, channel_format="string")
    for number in (1, 2, 3):
        file.offset(number, 0.0, 100.0)
    for k in range(5):
        file.samples(1, [k + 0.1, k + 0.6], [[k, 0, 2 * k], [1, 0, 2 * k + 1]])
        file.samples(2, [k + 0.0, None, None], [[k, 0.5], [k, 0.25], [np.nan, 1]])  # type: ignore[list-item]
        file.samples(3, [k + 0.2], [['{"event": "go"}' if k else "trial_start ü"]])
    return file


def _read_all(recording: Recording) -> int:
    """Read everything; the number of samples."""
    n = sum(len(each.read(np.arange(len(each.units.ids)))[0]) for each in recording.spikes)
    n += sum(len(each.read()[0]) for each in recording.series)
    return n + sum(len(each.time) for each in recording.markers)


def test_a_recording_of_three_streams(tmp_path: Path) -> None:
    file = _usual()
    for number, n in ((1, 10), (2, 15), (3, 5)):
        file.footer(number, n)
    found = open_xdf(file.write(tmp_path / "a.xdf"))
    assert (found.format, found.notes, found.others) == ("XDF 1.0", (), ())
    assert [each.name for each in found.spikes] == ["M1"]
    (hand,) = found.series
    assert (hand.name, hand.columns, hand.units, hand.rate_hz, hand.role) == (
        "hand", ("x", "y"), ("mm", "mm"), 100.0, "behavior",
    )  # fmt: skip
    time, values = hand.read()
    assert np.allclose(time[:4], [100.0, 100.01, 100.02, 101.0])
    assert values[:2].tolist() == [[0.0, 0.5], [0.0, 0.25]]
    assert np.isnan(values[2, 0])
    (task,) = found.markers
    assert task.text[:2] == ("trial_start ü", '{"event": "go"}')
    assert np.allclose(task.time, np.arange(5) + 100.2)
    with gzip.open(tmp_path / "b.xdfz", "wb") as packed:
        packed.write((tmp_path / "a.xdf").read_bytes())
    assert is_xdf(tmp_path / "b.xdfz")
    assert _read_all(open_xdf(tmp_path / "b.xdfz")) == _read_all(found) == 30


def test_a_file_that_was_not_closed_and_cut(tmp_path: Path) -> None:
    whole = _usual().write(tmp_path / "a.xdf").read_bytes()
    found = open_xdf(tmp_path / "a.xdf")
    assert found.notes == ("the recorder did not close the file: its end may be missing",)
    # In the middle of the last chunk of spikes.
    (tmp_path / "a.xdf").write_bytes(whole[: whole.index(np.array(4.6).tobytes())])
    found = open_xdf(tmp_path / "a.xdf")
    assert found.notes[0].startswith("the file ends in the middle of a chunk: its last ")
    assert found.notes[0].endswith(" bytes, up to 2 samples of M1 are lost")
    assert found.spikes[0].read(np.arange(6))[0].tolist()[-1] == 103.6
    with gzip.open(tmp_path / "b.xdfz", "wb") as packed:
        packed.write(whole)
    cut = (tmp_path / "b.xdfz").read_bytes()[:-60]
    (tmp_path / "b.xdfz").write_bytes(cut)
    assert "the file ends in the middle of a chunk" in open_xdf(tmp_path / "b.xdfz").notes[0]


def test_what_the_recorder_counted_is_missed(tmp_path: Path) -> None:
    file = XdfFile()
    _spikes(file, 1)
    file.samples(1, [1.0], [[0, 0, 0]])
    file.footer(1, 5)
    found = open_xdf(file.write(tmp_path / "a.xdf"))
    assert found.notes == (
        "4 samples that the recorder counted are not in the file",
        "M1: has no clock offsets, so its stamps are taken as they are",
    )
    assert found.spikes[0].read(np.array([0]))[0].tolist() == [1.0]


def test_streams_without_a_name_and_of_one_name(tmp_path: Path) -> None:
    file = XdfFile()
    for number, (name, source) in enumerate(
        [("", "rig"), ("M", "a"), ("M", "b"), ("N", "c"), ("N", "c"), ("", "")]
    ):
        _spikes(file, number, name, source_id=source)
        file.samples(number, [1.0], [[0, 0, 0]])
    found = open_xdf(file.write(tmp_path / "a.xdf"))
    assert [each.name for each in found.spikes] == ["rig", "M (a)", "M (b)", "N (3)", "N (4)", "Spikes"]
    assert _read_all(found) == 6


def test_segments_between_clock_resets_are_observed(tmp_path: Path) -> None:
    file = XdfFile()
    _spikes(file, 1)
    for start, offset in ((50_000.0, -49_000.0), (10.0, 1_200.0)):
        for k in range(0, 60, 5):
            file.samples(1, [start + k], [[0, 0, int(start + k)]])
            file.offset(1, start + k, offset)
    file.footer(1, 24)
    found = open_xdf(file.write(tmp_path / "a.xdf"))
    (spikes,) = found.spikes
    assert spikes.observed is not None
    assert np.allclose(spikes.observed, [[1000, 1055], [1210, 1265]], atol=1e-6)
    assert np.allclose(spikes.read(np.array([0]))[0][[0, 11, 12, 23]], [1000, 1055, 1210, 1265], atol=1e-6)
    assert "M1: the clock of its source was reset 1 times, with a hole each time" in found.notes


def test_what_serve_sends_is_no_behaviour_of_the_subject(tmp_path: Path) -> None:
    file = XdfFile()
    file.header(
        1, DESC, name="cursor", type="Cursor", nominal_srate=50, channel_count=2, channel_format="float32"
    )
    file.samples(1, [1.0, 1.02], [[0.5, 1.5]] * 2)
    flags = (
        "<channels><channel><label>bin</label></channel><channel><label>flags</label></channel></channels>"
    )
    file.header(
        2,
        flags,
        name="cursor-flags",
        type="CursorFlags",
        nominal_srate=0,
        channel_count=2,
        channel_format="int32",
    )
    file.samples(2, [1.0, 1.02], [[0, 0], [1, 16]])
    found = open_xdf(file.write(tmp_path / "a.xdf"))
    assert [(each.name, each.columns, each.role) for each in found.series] == [
        ("cursor", ("x", "y"), "other"), ("cursor-flags", ("bin", "flags"), "other"),
    ]  # fmt: skip


def test_a_damaged_chunk_costs_no_other(tmp_path: Path) -> None:
    content = bytearray(_usual().write(tmp_path / "a.xdf").read_bytes())
    at = content.index(np.array(2.1).tobytes())
    content[at - 20 : at - 10] = b"\xff" * 10  # the length and tag of a chunk of spikes
    (tmp_path / "a.xdf").write_bytes(content)
    found = open_xdf(tmp_path / "a.xdf")
    assert "damaged bytes were skipped" in found.notes[0]
    assert _read_all(found) == 28


def test_pyxdf_is_named_where_it_is_missing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pyxdf", None)
    with pytest.raises(RtdecodeError, match=r"Fix: pip install 'rtdecode\[xdf\]'"):
        open_xdf(_usual().write(tmp_path / "a.xdf"))


def test_damaged_files_end_in_one_line(tmp_path: Path) -> None:
    whole = _usual().write(tmp_path / "a.xdf").read_bytes()
    rng = np.random.default_rng(0)
    damaged = [whole[:n] for n in range(4, len(whole), 211)]
    for _ in range(20):
        content = bytearray(whole)
        for at in rng.integers(4, len(whole), 8).tolist():
            content[at] = int(rng.integers(256))
        damaged.append(bytes(content))
    for content in damaged:
        (tmp_path / "b.xdf").write_bytes(content)
        with suppress(RtdecodeError):
            _read_all(open_xdf(tmp_path / "b.xdf"))


def test_other_files_are_not_xdf(tmp_path: Path) -> None:
    for name, content in (("a", b""), ("b", b"XDF"), ("c", b"\x89HDF\r\n"), ("d", b"\x1f\x8b\x00")):
        (tmp_path / name).write_bytes(content)
        assert not is_xdf(tmp_path / name)


@pytest.mark.sessions
@pytest.mark.filterwarnings("ignore")
def test_real_files(data_dir: Path) -> None:
    formats = data_dir / "formats"
    resets = open_xdf(formats / "clock_resets.xdf")
    assert (resets.spikes, len(resets.markers[0].time), resets.series[0].n_samples) == ((), 175, 27_815)
    time, _ = resets.series[0].read()
    assert 270 < np.diff(time).max() < 280
    assert [note for note in resets.notes if "reset 1 times" in note]
    empty = open_xdf(formats / "empty_streams.xdf")
    assert (empty.spikes, [why for _, why in empty.others]) == ((), ["it has no samples"] * 2)
    assert open_xdf(formats / "minimal.xdf").markers[0].text[1:3] == ("Hello", "World")
    with pytest.raises(RtdecodeError, match="is XDF and holds no stream that can be read"):
        open_xdf(formats / "chunk_length_lie.xdf")
    for name in ("out_of_order_clock_offsets.xdf", "out_of_order_sample_chunk.xdf"):
        assert open_xdf(formats / name).spikes == ()
