"""`rtdecode import`, and files of other programs where a command wants a session."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from nwb_file import SECONDS, write_small_nwb

from rtdecode.cli import main
from rtdecode.session.read import read_session
from rtdecode.tools.files.cache import ENDING


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Any:
    """A function that runs a command line in this process: exit status, stdout and stderr."""

    def of(*arguments: object) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["rtdecode", *map(str, arguments)])
        status = 0
        try:
            main()
        except SystemExit as ended:
            status = int(ended.code or 0)
        out, err = capfd.readouterr()
        return status, out, err

    return of


@pytest.fixture
def nwb(tmp_path: Path) -> Path:
    return write_small_nwb(tmp_path / "today.nwb")


def test_one_command_makes_a_session(run: Any, nwb: Path) -> None:
    status, out, err = run("import", nwb, "--json")
    assert status == 0
    document = json.loads(out)
    assert document["output"] == str(nwb.with_suffix(".h5"))
    assert document["channels"] == 6
    assert document["behavior"] == ["x", "y"]
    assert document["findings"] == []
    session = read_session(nwb.with_suffix(".h5"))
    assert session.behavior is not None
    assert session.behavior.units == ("m", "m")
    assert session.behavior.values[0].tolist() == [0.0, 0.5]
    assert "6 channels" in err
    # A second one never replaces the first.
    assert json.loads(run("import", nwb, "--json")[1])["output"] == str(nwb.with_name("today.2.h5"))
    status, _, err = run("import", nwb, "--output", nwb.with_suffix(".h5"))
    assert status == 1
    assert "exists already. Fix: choose another name" in err


def test_list_imports_nothing(run: Any, nwb: Path) -> None:
    status, out, _ = run("import", "--list", nwb)
    assert status == 0
    assert "NWB 2.7.0" in out
    assert "6 units" in out
    assert "x (m), y (m)" in out
    assert not nwb.with_suffix(".h5").exists()
    (listed,) = json.loads(run("import", "--list", nwb, "--json")[1])
    assert listed["spikes"][0]["units"] == 6
    assert run("info", nwb)[1].startswith(out.splitlines()[0])


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        (("--by", "shank"), "'shank' is not one of unit, electrode"),
        (("--stamps", "now"), "'now' is not one of start, middle, end"),
        (("--time-unit", "hours"), "must be s, ms, us, ns, or a number of ticks"),
        (("--trials", "start=go"), "must name the markers of start and of stop"),
        (("--spikes", "mua"), "no spikes called 'mua'; it has units"),
        (("--behavior", "eye"), "no series called 'eye'; it has hand"),
        (("--from", "1000"), "has no spikes between --from and --to: they are from 0"),
        (("--from", "9", "--to", "3"), "3 is not after --from 9"),
        (("--shift", "nan"), "nan is no time"),
    ],
)
def test_what_cannot_be_meant_is_one_line(
    run: Any, nwb: Path, options: tuple[str, ...], problem: str
) -> None:
    status, out, err = run("import", nwb, *options)
    assert status in (1, 2)
    assert problem in " ".join(err.replace("│", " ").split())
    assert "Traceback" not in err
    assert out == ""
    assert not nwb.with_suffix(".h5").exists()


def test_what_is_no_recording_is_named(run: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    os.mkfifo("pipe.csv")
    Path("empty.nwb").touch()
    Path("cut.npz").write_bytes(b"PK\x03\x04 hand.npy")
    with h5py.File("ours.h5", "w") as file:
        file.attrs["format"] = "rtdecode-session"
    for name, problem in (
        ("pipe.csv", "is a device or a pipe"),
        ("empty.nwb", "is empty"),
        ("cut.npz", "is named like a NumPy .npz file but damaged"),
        ("ours.h5", "is a session already. Fix: use it as it is"),
        (".", "of no format"),
    ):
        status, _, err = run("import", name)
        assert (status, problem in err) == (1, True), err


def test_times_in_milliseconds_are_named_and_scaled(run: Any, nwb: Path) -> None:
    with h5py.File(nwb, "r+") as file:
        file["units/spike_times"][:] *= 1000
    status, _, err = run("import", nwb)
    assert err.count("spike times look like milliseconds") == 1
    assert "--time-unit ms" in err
    assert status == 1
    # Nothing is left behind that could not be read again.
    assert (run("fit", nwb)[0], sorted(nwb.parent.iterdir())) == (1, [nwb])
    fixed = nwb.with_name("fixed.h5")
    status, _, err = run("import", nwb, "--time-unit", "ms", "--output", fixed)
    assert status == 0
    assert "warning" not in err
    assert read_session(fixed).end_s == pytest.approx(SECONDS, abs=0.1)


def in_samples(file: h5py.File) -> None:
    file["units/spike_times"][:] *= 30_000


def in_trial_time(file: h5py.File) -> None:
    file["units/spike_times"][:] %= 2.0


def hand_on_another_clock(file: h5py.File) -> None:
    file["processing/behavior/hand/timestamps"][:] += 5_000


def hand_in_milliseconds(file: h5py.File) -> None:
    file["processing/behavior/hand/timestamps"][:] *= 1_000


def as_rates(file: h5py.File) -> None:
    del file["units"]
    rates = file.create_group("acquisition/binned_spikes")
    rates.attrs["neurodata_type"] = "TimeSeries"
    counts = np.random.default_rng(0).poisson(0.3, (int(SECONDS / 0.02), 6))
    rates["data"] = counts * 50.0
    rates["data"].attrs["unit"] = "n/a"
    rates["timestamps"] = np.arange(len(counts)) * 0.02


@pytest.mark.parametrize(
    ("change", "looks"),
    [
        (in_samples, "spike times look like samples at 30 kHz"),
        (in_trial_time, "these look like times since the start of a trial"),
        (hand_on_another_clock, "share no time, as if stamped by two clocks"),
        (hand_in_milliseconds, "times of the behaviour look like milliseconds"),
        (as_rates, "every count is a multiple of 50, 1 / bin width: these look like rates in Hz"),
    ],
)
def test_each_variant_is_named_by_what_it_looks_like(run: Any, nwb: Path, change: Any, looks: str) -> None:
    with h5py.File(nwb, "r+") as file:
        change(file)
    _, _, err = run("import", nwb)
    assert looks in err
    assert "Fix: " in err
    assert "Traceback" not in err


def test_findings_are_kept_in_the_file(run: Any, nwb: Path) -> None:
    run("import", nwb, "--shift", "5000")
    session = read_session(nwb.with_suffix(".h5"))
    (finding,) = json.loads(session.attrs["findings"])
    assert finding["kind"] == "clock"
    assert "share no time" in run("info", nwb.with_suffix(".h5"))[1]


def test_several_candidates_are_a_choice(run: Any, tmp_path: Path) -> None:
    nwb = write_small_nwb(tmp_path / "two.nwb", behaviors=("hand", "eye"))
    status, _, err = run("import", nwb)
    assert status == 1
    assert "holds 2 series of behaviour: eye, hand. Fix: choose one or more with --behavior" in err
    assert run("import", nwb, "--behavior", "hand,eye/x")[0] == 0
    session = read_session(tmp_path / "two.h5")
    assert session.behavior is not None
    assert session.behavior.names == ("hand_x", "hand_y", "eye_x")
    # A command that wants a session cannot choose.
    status, _, err = run("fit", nwb)
    assert status == 1
    assert "rtdecode import" in err


def test_commands_take_it_straight_and_convert_it_once(run: Any, nwb: Path) -> None:
    cached = nwb.with_name(nwb.name + ENDING)
    status, _, err = run("fit", nwb, "--kind", "wiener")
    assert status == 0
    assert f"{nwb}: imported into {cached}" in err
    written = os.stat(cached).st_mtime_ns
    model = nwb.with_name("today.nwb.session.fitted.safetensors")
    status, out, err = run("decode", nwb, "--model", model, "--json")
    assert status == 0
    assert "imported into" not in err
    assert os.stat(cached).st_mtime_ns == written
    assert json.loads(out)["bins"] == SECONDS / 0.02 - 1
    # The file has changed: so does the session.
    write_small_nwb(nwb, n_units=4)
    status, _, err = run("decode", nwb, "--model", model)
    assert "imported into" in err
    assert "the session has 4 channels, the model 6" in err
    # An export is named by the file that was named.
    assert run("export", nwb, "--to", "npz")[0] == 0
    assert nwb.with_name("today.npz").is_file()
    folder = nwb.with_name("today")
    folder.mkdir()
    status, _, err = run("export", nwb, "--to", "csv", "--output", folder)
    assert (status, "exists already. Fix: choose another name, such as today.2" in err) == (1, True)


@pytest.mark.parametrize("to", ["npz", "csv", "xdf"])
def test_what_is_exported_is_imported_again(run: Any, nwb: Path, to: str) -> None:
    assert run("import", nwb)[0] == 0
    session = read_session(nwb.with_suffix(".h5"))
    status, out, _ = run("export", nwb.with_suffix(".h5"), "--to", to, "--json")
    assert status == 0
    exported = Path(json.loads(out)["output"])
    assert exported == nwb.with_suffix(f".{to}")
    assert run("export", nwb.with_suffix(".h5"), "--to", to, "--output", exported)[0] == 1
    assert run("export", nwb.with_suffix(".h5"), "--to", to, "--output", exported, "--overwrite")[0] == 0
    again = nwb.with_name("again.h5")
    assert run("import", exported, "--output", again)[0] == 0
    found = read_session(again)
    assert found.events is not None
    assert session.events is not None
    assert found.behavior is not None
    assert session.behavior is not None
    assert np.array_equal(found.events.time, session.events.time)
    assert np.array_equal(found.events.channel, session.events.channel)
    assert np.array_equal(found.behavior.time, session.behavior.time)
    assert np.array_equal(found.behavior.values, session.behavior.values)


def test_a_file_of_that_name_is_never_replaced(
    run: Any, nwb: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    own = nwb.with_name(nwb.name + ENDING)
    own.write_bytes(b"mine")
    assert run("fit", nwb)[0] == 0
    assert own.read_bytes() == b"mine"
    assert len(list((tmp_path / "cache").rglob(f"*{ENDING}"))) == 1


def test_of_several_files_those_before_a_wrong_one_are_reported(run: Any, nwb: Path) -> None:
    wrong = nwb.with_name("notes.txt")
    wrong.write_text("no recording")
    status, out, err = run("import", nwb, wrong, "--json")
    assert status == 1
    assert [each["output"] for each in json.loads(out)] == [str(nwb.with_suffix(".h5"))]
    assert "notes.txt: is a text file" in err


def test_a_name_with_several_dots_is_kept(run: Any, nwb: Path) -> None:
    for name in ("day.1.nwb", "day.2.nwb"):
        nwb.with_name(name).write_bytes(nwb.read_bytes())
        assert run("import", nwb.with_name(name))[0] == 0
        session = read_session(nwb.with_name(name).with_suffix(".h5"))
        assert session.name == name.removesuffix(".nwb")


def test_a_session_is_opened_without_the_readers_of_other_files(nwb: Path) -> None:
    code = (
        "import sys; from pathlib import Path; from rtdecode.cli.options import as_session; "
        "as_session(Path(sys.argv[1])); "
        "print([m for m in sys.modules if m.startswith('rtdecode.tools.files')])"
    )
    session = nwb.with_name("s.h5")
    with h5py.File(session, "w") as file:
        file.attrs["format"] = "rtdecode-session"
    found = subprocess.run([sys.executable, "-c", code, session], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "[]"
