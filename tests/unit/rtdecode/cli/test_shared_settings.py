"""`record` and `doctor` take from rig.toml what they share with `serve`."""

from __future__ import annotations

import math
import os
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from rtdecode.cli.commands import app
from rtdecode.detection.settings import PowerSettings
from rtdecode.errors import RtdecodeError
from rtdecode.tools.doctor.check import Finding, Verdict
from rtdecode.tools.doctor.plan import Checked, Report, plan
from rtdecode.trial_rules import TrialRules

RIG = """
stream = "M1"
source_id = "amp"
layout = "counts"
behavior = "hand"
markers = "task"
trials = "start=go,stop=end"
timeout = 5
overwrite = true
model = "old.safetensors"
record = "recordings/{date}.h5"
bind = "tcp://127.0.0.1:6001"
json = true
"""


class FakeRecording:
    """Stands in for a recording: keeps what it is given, and ends at once."""

    given: dict[str, Any]

    def __init__(self, **given: Any) -> None:
        FakeRecording.given = given

    def run(self) -> None:
        pass


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    for name in os.environ:
        if name.startswith("RTDECODE_"):
            monkeypatch.delenv(name)
    monkeypatch.setattr("rtdecode.tools.record.run.StreamRecording", FakeRecording)
    monkeypatch.setattr("rtdecode.cli.tools.record.on_signal", lambda _: None)
    (tmp_path / "rig.toml").write_text(RIG)
    return tmp_path


def recorded(*arguments: str) -> dict[str, Any]:
    """What `record` asks for, by name."""
    done = CliRunner().invoke(app, ["record", "--output", "a.h5", *arguments], catch_exceptions=False)
    assert done.exit_code == 0, done.output
    given = dict(FakeRecording.given)
    of_first = given["arrays"][0]
    names = ("stream", "source_id", "layout", "numbering", "drop_units", "detection")
    return given | {name: getattr(of_first, name) for name in names}


def test_record_takes_the_numbering_of_the_rigs_stream(folder: Path) -> None:
    (folder / "map.csv").write_text("7,0\n8,1\n")
    (folder / "rig.toml").write_text('stream = "M1"\ncolumns = "channel=1"\nchannel_map = "map.csv"\n')
    given = recorded()["numbering"]
    assert (str(given.columns), given.first_channel) == ("channel=1,unit=-,seq=-", 0)
    assert given.channel_map.by_number() == {7: 0, 8: 1}
    assert str(recorded("--columns", "channel=0,unit=1")["numbering"].columns) == "channel=0,unit=1,seq=-"
    (folder / "rig.toml").write_text('stream = "M1"\nfirst_channel = 1\n')
    assert recorded()["numbering"].first_channel == 1
    assert recorded("--first-channel", "0")["numbering"].first_channel == 0


def test_record_takes_the_detection_of_the_rigs_voltage(folder: Path) -> None:
    rig = 'stream = "Ephys"\nband = [150, 2000]\nthreshold = -3.8\nfilter_order = 3\nreference = "car"\n'
    (folder / "rig.toml").write_text(rig)
    kept = recorded()["detection"].settings
    assert (kept.low_hz, kept.high_hz, kept.threshold_sd, kept.order) == (150.0, 2000.0, -3.8, 3)
    kept = recorded("--band", "300,3000", "--refractory", "2", "--reference", "lrr")["detection"].settings
    assert (kept.low_hz, kept.refractory_s, kept.reference, kept.order) == (300.0, 0.002, "lrr", 3)
    with pytest.raises(RtdecodeError, match="--threshold: must be negative"):
        recorded("--threshold", "4")
    with (folder / "rig.toml").open("a") as file:
        file.write("power_bin = 10\npower_band = [200, 900]\n")
    power = PowerSettings(low_hz=200.0, high_hz=900.0, measure="rms", bin_width_s=0.01)
    assert recorded("--power", "rms")["detection"].power == power
    for more, what in ((("--features", "B"), "makes features of voltage"), (("--stream", "B"), "one of 2")):
        with pytest.raises(RtdecodeError, match=f"--power: .*{what}"):
            recorded("--stream", "A", "--power", "rms", *more)


def test_record_takes_the_settings_of_the_rigs_stream() -> None:
    given = recorded()
    assert [given[name] for name in ("stream", "source_id", "layout", "behavior", "timeout_s")] == [
        "M1", "amp", "counts", "hand", 5.0,
    ]  # fmt: skip
    assert (given["markers"], given["trials"]) == ("task", TrialRules(("go",), ("end",)))
    # What `serve --record` may replace, a recording of `record` may not.
    assert (given["output"], given["overwrite"]) == (Path("a.h5"), False)


def test_what_is_typed_or_in_the_environment_comes_first(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RTDECODE_BEHAVIOR", "joystick")
    given = recorded("--source-id", "amp 2", "--timeout", "0")
    assert (given["behavior"], given["source_id"], given["timeout_s"]) == ("joystick", "amp 2", math.inf)
    assert not recorded("--behavior", "")["behavior"]
    assert recorded("--trials", "start=1,stop=2|3")["trials"].stop == ("2", "3")
    # Without markers the rig's rules of trials are of no use.
    assert recorded("--markers", "")["trials"] is None
    (folder / "other.toml").write_text('stream = "PMd"')
    assert recorded("--config", "other.toml")["stream"] == "PMd"
    monkeypatch.setenv("RTDECODE_CONFIG", "other.toml")
    assert recorded()["stream"] == "PMd"
    monkeypatch.setenv("RTDECODE_LAYOUT", "spikes")
    with pytest.raises(RtdecodeError, match="RTDECODE_LAYOUT: must be one of events"):
        recorded()


def test_the_settings_of_one_stream_are_not_used_for_another() -> None:
    given = recorded("--stream", "PMd")
    assert given["stream"] == "PMd"
    assert [given[name] for name in ("source_id", "layout", "behavior")] == [None] * 3
    assert given["timeout_s"] == 60.0


def test_record_reads_each_of_several_arrays_as_its_table_says(folder: Path) -> None:
    text = 'stream = ["M1", "PMd"]\ndrop_units = 255\n[arrays.PMd]\nsource-id = "two"\nfirst_channel = 1\n'
    (folder / "rig.toml").write_text(text)
    first, second = recorded()["arrays"]
    assert (first.stream, first.source_id, first.first_channel) == ("M1", None, None)
    assert (second.stream, second.source_id, second.first_channel) == ("PMd", "two", 1)
    assert first.drop_units == second.drop_units == {255}
    given = recorded("--stream", "A", "--stream", "B", "--channels", "96", "--channels", "64")
    assert [array.stream for array in given["arrays"]] == ["A", "B"]
    assert list(given["n_channels"]) == [96, 64]


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("[arrays.V1]\ngrace = 5", "no stream is called 'V1'"),
        ('[arrays.M1]\nbind = "x"', r"arrays.M1\]: there is no setting 'bind' of an array"),
        ('[arrays.M1]\nlayout = "spikes"', "must be one of events"),
        ('source_id = "one"', "--source-id: is about one of 2 streams"),
        ("arrays = 3", "must be a table for each stream"),
    ],
)
def test_a_setting_of_one_array_that_cannot_be_is_refused(folder: Path, text: str, what: str) -> None:
    (folder / "rig.toml").write_text(f'stream = ["M1", "PMd"]\n{text}\n')
    with pytest.raises(RtdecodeError, match=what):
        recorded()


def test_record_needs_a_stream_from_somewhere(folder: Path) -> None:
    (folder / "rig.toml").write_text('layout = "spikes"')
    with pytest.raises(RtdecodeError, match=r"rig.toml: layout: must be one of events"):
        recorded()
    (folder / "rig.toml").unlink()
    done = CliRunner().invoke(app, ["record", "--output", "a.h5"])
    assert done.exit_code == 2
    assert "no stream is given" in done.output


def test_doctor_checks_what_serve_would_use(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[Any] = []

    def run(settings: Any, _progress: Any) -> Report:
        asked.append(settings)
        return Report((Checked("it", Finding(Verdict.OK, "fine"), {}),))

    monkeypatch.setattr("rtdecode.tools.doctor.plan.run_doctor", run)
    shown = CliRunner().invoke(app, ["doctor"], catch_exceptions=False).stdout
    assert "this machine can decode in time" in shown
    CliRunner().invoke(app, ["doctor", "--stream", "PMd", "--folder", "x"], catch_exceptions=False)
    rig, other = asked
    of_rig, of_other = rig.arrays[0], other.arrays[0]
    assert (of_rig.stream, of_rig.source_id, of_rig.layout) == ("M1", "amp", "counts")
    assert (rig.bind, rig.control, rig.model) == (
        "tcp://127.0.0.1:6001", "tcp://127.0.0.1:5557", "old.safetensors",
    )  # fmt: skip
    assert rig.folder == Path("recordings")
    assert (of_other.stream, of_other.source_id, of_other.layout, other.model) == ("PMd", None, None, None)
    assert (other.bind, other.folder) == (rig.bind, Path("x"))
    (folder / "rig.toml").write_text(
        'stream = ["M1", "PMd"]\nfeatures = "power"\n[arrays.PMd]\nlayout = "counts"'
    )
    CliRunner().invoke(app, ["doctor"], catch_exceptions=False)
    checks = [
        check for checks, _ in plan(asked[-1], folder) for check in checks if "array" in check.arguments
    ]
    assert [check.name for check in checks] == ["stream M1", "stream PMd", "features power"]
    assert [check.arguments["array"]["layout"] for check in checks] == [None, "counts", "features"]
    assert {tuple(check.arguments["streams"]) for check in checks} == {("M1", "PMd")}
