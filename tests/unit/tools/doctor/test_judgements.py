"""Each judgement of the doctor is a function of the measured figures: both sides of every threshold."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from rtdecode.tools.doctor.check import Finding, Verdict
from rtdecode.tools.doctor.checks.cpu import judge_cpu
from rtdecode.tools.doctor.checks.discovery import judge_loopback, judge_multicast
from rtdecode.tools.doctor.checks.disk import judge_disk, judge_models, recording_mb_per_s
from rtdecode.tools.doctor.checks.kernels import judge_kernels
from rtdecode.tools.doctor.checks.lsl import judge_liblsl, judge_lsl_config, judge_lsl_ports
from rtdecode.tools.doctor.checks.ports import judge_ports
from rtdecode.tools.doctor.checks.python import judge_libraries, judge_python
from rtdecode.tools.doctor.checks.stream import judge_stream
from rtdecode.tools.doctor.checks.timing import judge_clock, judge_sleep

PYTHON = {"version": "3.12.1", "bits": 64, "system": "Linux 6", "executable": "/usr/bin/python"}
LIBRARIES = {
    "versions": {"numpy": "2.1.0", "pyzmq": "26.0"},
    "wanted": {"numpy": "2.0", "pyzmq": "26"},
    "broken": {},
    "extras": {"train": False, "web": True},
}
LIBLSL = {
    "pylsl_lib": None,
    "pylsl_lib_is_file": False,
    "error": None,
    "pylsl": "1.18.6",
    "liblsl": 118,
    "library": "/lib/liblsl.so",
    "can_be_silenced": True,
}
CONFIG = {
    "file": "/etc/lsl_api/lsl_api.cfg",
    "named": None,
    "session_id": "rig3",
    "known_peers": None,
    "scope": None,
    "refused": None,
}
LSL_PORTS = {"base": 16572, "count": 32, "free": 30, "multicast": 16571, "multicast_shared": True}
DISCOVERY = {
    "skipped": False,
    "looked_s": 3.0,
    "found_s": 0.1,
    "samples": 150,
    "delay_ms": {"p50": 0.2, "p99": 0.5, "max": 1.0},
}
CLOCK = {"resolution_us": 0.1, "backward_steps": 0, "read_us": 0.8, "rate_ppm": 0.1, "source": "tsc"}
CPU = {
    "cores": 4,
    "load": 0.5,
    "governors": {"schedutil": 4},
    "drivers": [],
    "available_mb": 8000,
    "realtime": False,
}
KERNELS = {"named": None, "kernels": 17, "compiled": 14, "folder": "/cache", "named_used": True}
DISK = {
    "folder": "/data",
    "error": None,
    "free_gb": 100.0,
    "write_mb_per_s": 200.0,
    "writes": 1000,
    "sync_ms": {"p50": 1.0, "p99": 5.0, "max": 20.0},
}
MODELS = {"folder": "/home/me/.local/share/rtdecode", "error": None, "models": 2, "streams": ["M1"]}
SOURCE = {"source_id": "amp", "hostname": "amp-pc", "stream": "M1 (type Spikes)", "layout": "events"}
OTHER_SOURCE, UNREADABLE = SOURCE | {"source_id": "other"}, SOURCE | {"layout": None}
STREAM = {
    "stream": "M1",
    "looked_s": 3.0,
    "sources": [SOURCE],
    "refusal": None,
    "lost": False,
    "rate_hz": 900.0,
    "correction_ms": -3.2,
    "delay_ms": {"p50": 1.0, "p99": 2.0, "max": 3.0},
    "n_channels": 96,
    "model": "1a2b3c4d (wiener, 96 channels, 20 ms)",
    "misfit": None,
}
FEATURES = {"flag": "--features"}
NO_COUNTS = {"no_counts": "fractions in column 3 (9 values)", "send": "send counts", "unfit": False}


def sleep_figures(
    short_p50: float = 0.1, short_p99: float = 0.3, long_p50: float = 0.1, longest: float = 1.0
) -> dict[str, Any]:
    return {
        "late_ms": {
            "1_ms": {"p50": short_p50, "p99": short_p99, "max": 0.5},
            "20_ms": {"p50": long_p50, "p99": longest, "max": longest},
        },
        "timer_slack_us": 50.0,
    }


def ports_figures(
    bind: str | None = None,
    control: str | None = None,
    daemon: dict[str, Any] | None = None,
    holder: dict[str, Any] | None = None,
) -> dict[str, Any]:
    both = (("--bind", "tcp://127.0.0.1:5556", bind), ("--control", "tcp://127.0.0.1:5557", control))
    endpoints = [
        {"flag": flag, "endpoint": endpoint, "error": error, "holder": error and holder}
        for flag, endpoint, error in both
    ]
    return {"endpoints": endpoints, "daemon": daemon}


DAEMON = {"state": "live", "stream": "M1", "cursor": "tcp://127.0.0.1:5556"}
ELSEWHERE = DAEMON | {"cursor": "tcp://127.0.0.1:9"}
OTHER_PROGRAM = {"pid": 4242, "program": "nginx"}

# Judgement, good figures, what is changed in them, the verdict, and a word that the fix must contain.
CASES: list[tuple[Callable[[Any], Finding], dict[str, Any], dict[str, Any], str, str]] = [
    (judge_python, PYTHON, {"version": "3.11.0"}, "ok", ""),
    (judge_python, PYTHON, {"version": "3.10.14"}, "fail", "3.11"),
    (judge_python, PYTHON, {"bits": 32}, "fail", "64-bit"),
    (judge_libraries, LIBRARIES, {"extras": {"train": False, "web": False}}, "ok", ""),
    (judge_libraries, LIBRARIES, {"versions": {"numpy": "2.0", "pyzmq": "26"}}, "ok", ""),
    (judge_libraries, LIBRARIES, {"versions": {"numpy": "1.26.4", "pyzmq": "26"}}, "warn", "--upgrade numpy"),
    (judge_libraries, LIBRARIES, {"versions": {"numpy": None, "pyzmq": "26"}}, "fail", "numpy"),
    (judge_libraries, LIBRARIES, {"broken": {"pyzmq": "ImportError: libzmq"}}, "fail", "pyzmq"),
    (judge_liblsl, LIBLSL, {"pylsl": "1.18.5"}, "fail", "pylsl>=1.18.6"),
    (judge_liblsl, LIBLSL, {"liblsl": 116}, "ok", ""),
    (judge_liblsl, LIBLSL, {"liblsl": 115}, "fail", "1.16"),
    (judge_liblsl, LIBLSL, {"can_be_silenced": False}, "warn", "1.17.7"),
    (judge_liblsl, LIBLSL, {"pylsl_lib": "/opt/liblsl.so", "pylsl_lib_is_file": True}, "ok", ""),
    (judge_liblsl, LIBLSL, {"pylsl_lib": "/nowhere.so"}, "fail", "PYLSL_LIB"),
    (judge_liblsl, LIBLSL, {"error": "OSError: too short"}, "fail", "pip"),
    (judge_liblsl, LIBLSL, {"error": "OSError: too short", "pylsl_lib": "/x"}, "fail", "unset PYLSL_LIB"),
    (judge_lsl_config, CONFIG, {}, "ok", ""),
    (judge_lsl_config, CONFIG, {"file": None}, "ok", ""),
    (judge_lsl_config, CONFIG, {"named": CONFIG["file"]}, "ok", ""),
    (judge_lsl_config, CONFIG, {"named": "/nowhere.cfg"}, "warn", "LSLAPICFG"),
    (judge_lsl_config, CONFIG, {"refused": "Duplicate key lab.SessionID"}, "fail", "lsl_api.cfg"),
    (judge_lsl_ports, LSL_PORTS, {"free": 4}, "ok", ""),
    (judge_lsl_ports, LSL_PORTS, {"free": 3}, "warn", "PortRange"),
    (judge_lsl_ports, LSL_PORTS, {"count": 2, "free": 2}, "ok", ""),
    (judge_lsl_ports, LSL_PORTS, {"multicast_shared": False}, "warn", "16571"),
    (judge_loopback, DISCOVERY, {"found_s": 1.0}, "ok", ""),
    (judge_loopback, DISCOVERY, {"found_s": 1.01}, "warn", "firewall"),
    (judge_loopback, DISCOVERY, {"found_s": None, "samples": 0}, "fail", "16572–16604"),
    (judge_loopback, DISCOVERY, {"samples": 0}, "fail", "loopback"),
    (judge_loopback, DISCOVERY, {"delay_ms": {"p50": 10.0, "p99": 30.0, "max": 40.0}}, "ok", ""),
    (judge_loopback, DISCOVERY, {"delay_ms": {"p50": 10.1, "p99": 30.0, "max": 40.0}}, "fail", "processor"),
    (judge_multicast, DISCOVERY, {}, "ok", ""),
    (judge_multicast, DISCOVERY, {"skipped": True, "found_s": None}, "ok", ""),
    (judge_multicast, DISCOVERY, {"found_s": None, "samples": 0}, "warn", "KnownPeers"),
    (judge_multicast, DISCOVERY, {"samples": 0}, "warn", "UDP 16571"),
    (judge_multicast, DISCOVERY, {"found_s": 2.0}, "warn", "firewall"),
    (judge_clock, CLOCK, {"source": None}, "ok", ""),
    (judge_clock, CLOCK, {"resolution_us": 100.0}, "ok", ""),
    (judge_clock, CLOCK, {"resolution_us": 101.0}, "warn", "coarse"),
    (judge_clock, CLOCK, {"resolution_us": 1001.0}, "fail", "coarse"),
    (judge_clock, CLOCK, {"rate_ppm": -200.0}, "ok", ""),
    (judge_clock, CLOCK, {"rate_ppm": -201.0}, "warn", "apart"),
    (judge_clock, CLOCK, {"rate_ppm": 10_001.0}, "fail", "apart"),
    (judge_clock, CLOCK, {"backward_steps": 1}, "fail", "backwards"),
    (judge_sleep, sleep_figures(short_p99=1.0), {}, "ok", ""),
    (judge_sleep, sleep_figures(short_p99=1.01), {}, "warn", "1 ms late"),
    (judge_sleep, sleep_figures(short_p99=10.0), {}, "warn", "1 ms late"),
    (judge_sleep, sleep_figures(short_p99=10.1), {}, "fail", "half a bin"),
    (judge_sleep, sleep_figures(long_p50=1.01), {}, "warn", "1 ms late"),
    (judge_sleep, sleep_figures(long_p50=5.0), {}, "warn", "1 ms late"),
    (judge_sleep, sleep_figures(long_p50=5.01), {}, "fail", "half a bin"),
    (judge_sleep, sleep_figures(longest=20.0), {}, "ok", ""),
    (judge_sleep, sleep_figures(longest=20.1), {}, "warn", "whole bin"),
    (judge_cpu, CPU, {"load": None, "available_mb": None, "governors": {}}, "ok", ""),
    (judge_cpu, CPU, {"cores": 2}, "ok", ""),
    (judge_cpu, CPU, {"cores": 1}, "warn", "cores"),
    (judge_cpu, CPU, {"load": 3.9}, "ok", ""),
    (judge_cpu, CPU, {"load": 4.0}, "warn", "processor"),
    (judge_cpu, CPU, {"governors": {"powersave": 4}}, "warn", "cpupower"),
    (judge_cpu, CPU, {"governors": {"powersave": 4}, "drivers": ["intel_pstate"]}, "ok", ""),
    (judge_cpu, CPU, {"governors": {"conservative": 4}, "drivers": ["intel_pstate"]}, "warn", "cpupower"),
    (judge_cpu, CPU, {"available_mb": 1000}, "ok", ""),
    (judge_cpu, CPU, {"available_mb": 999}, "warn", "memory"),
    (judge_cpu, CPU, {"available_mb": 299}, "fail", "memory"),
    (judge_kernels, KERNELS, {"compiled": 1}, "ok", ""),
    (judge_kernels, KERNELS, {"compiled": 0}, "warn", "rtdecode demo"),
    (judge_kernels, KERNELS, {"named": "/root/x", "named_used": False}, "warn", "NUMBA_CACHE_DIR"),
    (judge_disk, DISK, {"write_mb_per_s": 3.0}, "ok", ""),
    (judge_disk, DISK, {"write_mb_per_s": 2.9}, "warn", "slow"),
    (judge_disk, DISK, {"write_mb_per_s": 0.29}, "fail", "slow"),
    (judge_disk, DISK, {"sync_ms": {"p50": 1.0, "p99": 250.0, "max": 1000.0}}, "ok", ""),
    (judge_disk, DISK, {"sync_ms": {"p50": 1.0, "p99": 251.0, "max": 500.0}}, "warn", "stalls"),
    (judge_disk, DISK, {"sync_ms": {"p50": 1.0, "p99": 5.0, "max": 1001.0}}, "warn", "stalls"),
    (judge_disk, DISK, {"free_gb": 4.4}, "ok", ""),
    (judge_disk, DISK, {"free_gb": 4.2}, "warn", "free space"),
    (judge_disk, DISK, {"free_gb": 0.28}, "warn", "free space"),
    (judge_disk, DISK, {"free_gb": 0.26}, "fail", "free space"),
    (judge_disk, DISK, {"error": "Permission denied"}, "fail", "--folder"),
    (judge_models, MODELS, {}, "ok", ""),
    (judge_models, MODELS, {"streams": []}, "ok", ""),
    (judge_models, MODELS, {"models": 0, "streams": []}, "warn", "rtdecode fit"),
    (judge_models, MODELS, {"error": "/home/me: Permission denied"}, "fail", "XDG_DATA_HOME"),
    (judge_ports, ports_figures(), {}, "ok", ""),
    (judge_ports, ports_figures(bind="in use", holder=OTHER_PROGRAM), {}, "fail", "nginx (process 4242)"),
    (judge_ports, ports_figures(control="in use"), {}, "fail", "--control"),
    (judge_ports, ports_figures(bind="in use", control="in use", daemon=DAEMON), {}, "warn", "Ctrl-C"),
    (judge_ports, ports_figures(control="in use", daemon=DAEMON), {}, "warn", "Ctrl-C"),
    (judge_ports, ports_figures(bind="in use", control="in use", daemon=ELSEWHERE), {}, "fail", "--bind"),
    (judge_ports, ports_figures(bind="No such device"), {}, "fail", "--bind"),
    (judge_stream, STREAM, {"n_channels": None}, "ok", ""),
    (judge_stream, STREAM, {"sources": [SOURCE | {"layout": "features"}], "n_columns": 96}, "ok", ""),
    (judge_stream, STREAM, {"sources": []}, "fail", "SessionID"),
    (judge_stream, STREAM, {"sources": [UNREADABLE], "refusal": "no spike layout fits"}, "fail", "--layout"),
    (judge_stream, STREAM, {"sources": [SOURCE, OTHER_SOURCE]}, "fail", "stop all but one"),
    (judge_stream, STREAM, {"sources": [SOURCE, UNREADABLE]}, "ok", ""),
    (judge_stream, STREAM, {"lost": True}, "fail", "firewalls"),
    (judge_stream, STREAM, {"model": None}, "fail", "--current M1"),
    (judge_stream, STREAM, {"misfit": "the stream has 96 channels, the model 64"}, "fail", "rtdecode fit"),
    (
        judge_stream,
        STREAM,
        {"misfit": "2 arrays, not 1", "advice": "give --stream PMd"},
        "fail",
        "--stream PMd",
    ),
    (judge_stream, STREAM, {"model": None, "kept_as": "M1+PMd"}, "fail", "--current M1+PMd"),
    (judge_stream, STREAM | FEATURES, {"sources": [UNREADABLE], "refusal": "spikes"}, "fail", "--features"),
    (judge_stream, STREAM | FEATURES, {"sources": [SOURCE, OTHER_SOURCE]}, "fail", "--features-source-id"),
    (judge_stream, STREAM, {"delay_ms": None, "rate_hz": 0.0}, "warn", "plugged in"),
    (judge_stream, STREAM, NO_COUNTS, "warn", "send counts"),
    (judge_stream, STREAM, NO_COUNTS | {"unfit": True}, "fail", "send counts"),
    (judge_stream, STREAM, {"delay_ms": {"p50": 10.0, "p99": 12.0, "max": 13.0}}, "ok", ""),
    (judge_stream, STREAM, {"delay_ms": {"p50": 10.1, "p99": 12.0, "max": 13.0}}, "warn", "--grace"),
    (judge_stream, STREAM, {"delay_ms": {"p50": 251.0, "p99": 260.0, "max": 270.0}}, "warn", "timestamps"),
    (judge_stream, STREAM, {"delay_ms": {"p50": -5.1, "p99": -4.0, "max": -4.0}}, "warn", "timestamps"),
]


@pytest.mark.parametrize(("judge", "figures", "changes", "verdict", "word"), CASES)
def test_a_judgement(
    judge: Callable[[Any], Finding], figures: dict[str, Any], changes: dict[str, Any], verdict: str, word: str
) -> None:
    finding = judge(figures | changes)
    assert finding.verdict == verdict, finding
    assert "\n" not in finding.found + (finding.fix or "")
    if finding.verdict is Verdict.OK:
        assert finding.fix is None
    else:
        assert word in (finding.fix or "")


def test_the_finding_has_the_figures() -> None:
    assert "train no, web yes" in judge_libraries(LIBRARIES).found
    assert "p99 0.30" in judge_sleep(sleep_figures()).found
    assert "200 MB/s" in judge_disk(DISK).found
    assert "SessionID rig3" in judge_lsl_config(CONFIG).found
    assert "not in use" in judge_lsl_config(CONFIG | {"refused": "Duplicate key lab.SessionID"}).found
    assert "amp on amp-pc" in judge_stream(STREAM).found
    assert "-3.20 ms" in judge_stream(STREAM).found
    ports = ports_figures(bind="in use", control="in use", daemon=DAEMON, holder=OTHER_PROGRAM)
    assert "rtdecode daemon (live, stream M1), process 4242" in judge_ports(ports).found


def test_all_problems_are_listed_the_worst_first() -> None:
    finding = judge_disk(DISK | {"write_mb_per_s": 1.0, "free_gb": 0.1})
    assert finding.verdict is Verdict.FAIL
    assert finding.fix.index("free space") < finding.fix.index("slow")


def test_the_data_rate_of_a_recording_is_that_of_its_columns() -> None:
    events = 256 * 100 * (8 + 2 + 1)
    decoded = 50 * (8 + 8 + 4 + 1 + 2 + 4 + 6 * 4 + 256)
    assert recording_mb_per_s(256) == pytest.approx((events + decoded) / 1e6)
