"""`rtdecode doctor` on this machine, as it is and with one fault after the other."""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pylsl
import pytest
import zmq
from commands import rtdecode

from rtdecode.ingest.signals.layouts import Layout
from rtdecode.model_store import install_current
from rtdecode.serve.array_settings import ArraySettings, features_of
from rtdecode.tools.doctor.check import Verdict
from rtdecode.tools.doctor.children import run_probes
from rtdecode.tools.doctor.plan import Checked, DoctorSettings, judged, plan
from rtdecode.tools.loopback import LoopbackRig, free_endpoint

pytestmark = pytest.mark.realtime

LIMIT_S = 60.0

NAMES = {"python", "libraries", "kernels", "models", "processor", "ports", "liblsl", "clock"}
NAMES |= {"lsl config", "lsl ports", "loopback", "multicast", "sleep", "disk", "terminal"}


def run_check(name: str, settings: DoctorSettings, folder: Path) -> Checked:
    """Run one check of the plan alone, with a time limit for a busy machine."""
    check = next(c for stage, _ in plan(settings, folder) for c in stage if c.name == name)
    (outcome,) = run_probes([check], LIMIT_S)
    return judged(check, outcome)


def test_json_is_one_document_and_agrees_with_the_exit_status(tmp_path: Path, lsl_config: str) -> None:
    config = tmp_path / "lab.cfg"
    config.write_text(lsl_config)
    endpoints = ["--bind", free_endpoint(), "--control", free_endpoint()]
    done = rtdecode("doctor", "--json", "--folder", tmp_path, *endpoints, LSLAPICFG=str(config))
    document = json.loads(done.stdout)
    checks = {check["name"]: check for check in document["checks"]}
    assert set(checks) == NAMES
    assert len(document["checks"]) == len(NAMES)
    for check in checks.values():
        assert set(check) == {"name", "verdict", "found", "fix", "figures"}
        assert (check["fix"] is None) == (check["verdict"] == "ok")
    verdicts = [check["verdict"] for check in checks.values()]
    worst = next(v for v in ("fail", "warn", "ok") if v in verdicts)
    assert document["verdict"] == worst
    assert done.returncode == int(worst == "fail"), done.stderr
    # Checks that do not depend on the load of the machine.
    for name in ("python", "libraries", "liblsl", "ports", "multicast", "terminal"):
        assert checks[name]["verdict"] == "ok", checks[name]
    assert "restricts LSL to this machine" in checks["multicast"]["found"]
    assert checks["loopback"]["figures"]["samples"] > 0
    assert checks["sleep"]["figures"]["late_ms"]["20_ms"]["p50"] > 0
    assert list(tmp_path.iterdir()) == [config]


def test_faults_are_listed_with_their_fixes_and_end_in_one_line(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_text("a file where a folder should be")
    config = tmp_path / "lab.cfg"
    config.write_text("[lab]\nSessionID = a\nSessionID = b\n[multicast]\nResolveScope = machine\n")
    done = rtdecode(
        "doctor",
        "--folder",
        file,
        PYLSL_LIB=str(tmp_path / "nowhere.so"),
        NUMBA_CACHE_DIR=str(file / "cache"),
        XDG_DATA_HOME=str(file),
        LSLAPICFG=str(config),
    )
    assert done.returncode == 1
    lines = done.stdout.splitlines()
    for name, verdict, word in (
        ("liblsl", "fail", "PYLSL_LIB"),
        ("kernels", "warn", "NUMBA_CACHE_DIR"),
        ("models", "fail", "XDG_DATA_HOME"),
        # A busy machine may use up the time limit of the check.
        ("disk", "fail", ""),
        ("lsl config", "fail", "no key twice"),
    ):
        at = next(i for i, line in enumerate(lines) if line[6:].startswith(f"{name}  "))
        assert lines[at].startswith(f"{verdict} ")
        assert lines[at + 1].lstrip().startswith("fix: ")
        assert word in lines[at + 1]
    assert lines[-1].startswith("fail: ")
    assert "\x1b" not in done.stdout
    errors = [line for line in done.stderr.splitlines() if line.startswith("rtdecode:")]
    assert len(errors) == 1
    assert all(name in errors[0] for name in ("liblsl", "models", "disk", "lsl config"))
    assert "Traceback" not in done.stderr
    disk = run_check("disk", DoctorSettings(folder=file), tmp_path)
    assert disk.finding.verdict is Verdict.FAIL
    assert "--folder" in str(disk.finding.fix)


def test_a_broken_library_fails_the_checks_that_need_it_and_crashes_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    library = tmp_path / "liblsl.so"
    library.write_text("no library")
    monkeypatch.setenv("PYLSL_LIB", str(library))
    settings = DoctorSettings()
    assert "unset PYLSL_LIB" in str(run_check("liblsl", settings, tmp_path).finding.fix)
    for name in ("clock", "loopback"):
        broken = run_check(name, settings, tmp_path)
        assert broken.finding.verdict is Verdict.FAIL
        assert "could not be measured" in broken.finding.found
        assert "liblsl" in str(broken.finding.fix)


def test_bad_usage_exits_with_1() -> None:
    done = rtdecode("doctor", "--bind", "5556")
    assert done.returncode == 1
    assert "--bind" in done.stderr
    assert done.stdout == ""


@contextmanager
def bound(kind: int, endpoint: str) -> Iterator[Any]:
    context = zmq.Context()
    socket = context.socket(kind)
    socket.setsockopt(zmq.LINGER, 0)
    socket.bind(endpoint)
    try:
        yield socket
    finally:
        context.destroy(linger=0)


def test_another_program_on_a_port_is_named(tmp_path: Path) -> None:
    settings = DoctorSettings(bind=free_endpoint(), control=free_endpoint())
    with bound(zmq.PUB, settings.bind):
        ports = run_check("ports", settings, tmp_path)
    assert ports.finding.verdict is Verdict.FAIL
    assert f"process {os.getpid()}" in str(ports.finding.fix)
    assert "--bind" in str(ports.finding.fix)
    assert run_check("ports", settings, tmp_path).finding.verdict is Verdict.OK


@pytest.mark.parametrize(
    ("reply", "verdict"),
    [
        ({"ok": True, "state": "live", "stream": {"name": "M1"}}, Verdict.WARN),
        ({"ok": False, "error": "what?"}, Verdict.FAIL),
        ([1, 2], Verdict.FAIL),
        (None, Verdict.FAIL),
    ],
)
def test_a_daemon_is_recognised_by_its_status(tmp_path: Path, reply: Any, verdict: Verdict) -> None:
    settings = DoctorSettings(bind=free_endpoint(), control=free_endpoint())

    def answer() -> None:
        while not enough.is_set():
            if socket.poll(20):
                assert json.loads(socket.recv()) == {"cmd": "status"}
                socket.send(json.dumps(reply).encode() if reply is not None else b"\xff")

    enough = threading.Event()
    with bound(zmq.PUB, settings.bind), bound(zmq.REP, settings.control) as socket:
        daemon = threading.Thread(target=answer)
        daemon.start()
        ports = run_check("ports", settings, tmp_path)
        enough.set()
        daemon.join()
    assert ports.finding.verdict is verdict
    assert ("stream M1" in ports.finding.found) == (verdict is Verdict.WARN)


def test_a_running_daemon_is_seen_with_its_stream(
    serve: Any, simulated_model: Path, stream: str, tmp_path: Path
) -> None:
    served = serve(simulated_model)
    settings = DoctorSettings(bind=served.cursor, control=served.control)
    ports = run_check("ports", settings, tmp_path)
    assert ports.finding.verdict is Verdict.WARN
    assert stream in ports.finding.found
    assert f"process {served.process.pid}" in ports.finding.found
    served.end()


def test_a_network_that_lets_nothing_through_is_a_warning(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = tmp_path / "lab.cfg"
    config.write_text("[multicast]\nLinkAddresses = {}\nSiteAddresses = {}\n[ports]\nIPv6 = disable\n")
    monkeypatch.setenv("LSLAPICFG", str(config))
    multicast = run_check("multicast", DoctorSettings(), tmp_path)
    assert multicast.finding.verdict is Verdict.WARN, multicast
    assert multicast.figures["found_s"] is None
    assert "KnownPeers" in str(multicast.finding.fix)


def test_the_stream_is_described_and_its_model_compared(
    rig: LoopbackRig,
    stream: str,
    simulated_session: Path,
    simulated_model: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("XDG_DATA_HOME", str(rig.folder))
    monkeypatch.setenv("LSLAPICFG", str(rig.folder / "lsl_api.cfg"))
    settings = DoctorSettings(arrays=(ArraySettings(stream=stream),))
    missing = run_check("stream", settings, rig.folder)
    assert missing.finding.verdict is Verdict.FAIL
    assert "was not found" in missing.finding.found
    rig.start("replay", ["replay", str(simulated_session), "--stream", stream, "--loop"])
    rig.await_line("replay", "replaying", 30.0)
    without = run_check("stream", settings, rig.folder)
    assert without.finding.verdict is Verdict.FAIL
    assert f"--current {stream}" in str(without.finding.fix)
    assert without.figures["n_channels"] == 16
    assert without.figures["rate_hz"] > 0
    assert [source["layout"] for source in without.figures["sources"]] == ["events"]
    install_current(simulated_model, stream)
    fitting = run_check("stream", settings, rig.folder)
    assert fitting.figures["misfit"] is None
    assert "wiener, 16 channels" in fitting.finding.found
    assert fitting.finding.verdict is not Verdict.FAIL
    # A model of one array, and a stream of spikes that is named as one of features.
    arrays, beside = (ArraySettings(stream=stream), ArraySettings(stream="B")), features_of(stream, None)
    several = DoctorSettings(arrays=arrays, model=str(simulated_model))
    of_two = run_check(f"stream {stream}", several, rig.folder)
    assert f"the model decodes one array, and the streams are {stream}, B" in of_two.finding.found
    no_features = run_check(f"features {stream}", replace(several, features=beside), rig.folder)
    assert "cannot be read as features" in no_features.finding.found
    assert "--features" in str(no_features.finding.fix)


def test_two_sources_and_another_array_are_failures(
    rig: LoopbackRig, stream: str, indy_model: Path, simulated_session: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_DATA_HOME", str(rig.folder))
    monkeypatch.setenv("LSLAPICFG", str(rig.folder / "lsl_api.cfg"))
    install_current(indy_model, stream)
    replay = ["replay", str(simulated_session), "--stream", stream, "--loop"]
    rig.start("events", replay)
    rig.await_line("events", "replaying", 30.0)
    misfit = run_check("stream", DoctorSettings(arrays=(ArraySettings(stream=stream),)), rig.folder)
    assert misfit.finding.verdict is Verdict.FAIL
    assert "16 channels, the model 96" in misfit.finding.found
    other = pylsl.StreamOutlet(pylsl.StreamInfo(stream, "Spikes", 3, 0.0, "int32", "another amplifier"))
    both = run_check("stream", DoctorSettings(arrays=(ArraySettings(stream=stream),)), rig.folder)
    assert both.finding.verdict is Verdict.FAIL
    assert "2 sources send" in both.finding.found
    assert "another amplifier" in both.finding.found
    array = ArraySettings(stream=stream, source_id="another amplifier", layout=Layout.SNIPPETS)
    named = DoctorSettings(arrays=(array,), model="indy")
    chosen = run_check("stream", named, rig.folder).finding.found
    assert "as snippets, unstated channels, source another amplifier" in chosen
    assert "; model indy: " in chosen
    del other
