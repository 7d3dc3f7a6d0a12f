"""The doctor's measurements, from texts and files of the machine."""

from __future__ import annotations

import configparser
import os
import socket
from pathlib import Path

import pytest

from rtdecode.tools.doctor.check import quantiles_ms
from rtdecode.tools.doctor.checks.cpu import measure_cpu
from rtdecode.tools.doctor.checks.discovery import is_confined, multicast_config
from rtdecode.tools.doctor.checks.disk import measure_disk, measure_models
from rtdecode.tools.doctor.checks.kernels import measure_kernels
from rtdecode.tools.doctor.checks.lsl import lsl_settings, measure_lsl_ports, port_range
from rtdecode.tools.doctor.checks.ports import holder_of
from rtdecode.tools.doctor.checks.python import measure_libraries, read_requirement, version_tuple

LAB = """; the rig on the third floor
[lab]
SessionID = rig3 ; not a comment
KnownPeers = {10.0.0.2}
[multicast]
ResolveScope = link
[ports]
BasePort=17000
PortRange = 8
[log]
level = 2
"""


def test_settings_are_read_as_liblsl_reads_them() -> None:
    settings = lsl_settings(LAB)
    assert settings["lab.SessionID"] == "rig3 ; not a comment"
    assert settings["multicast.ResolveScope"] == "link"
    assert port_range(settings) == (16571, 17000, 8)
    assert port_range({}) == (16571, 16572, 32)


def test_the_multicast_check_keeps_the_labs_network_and_leaves_its_session() -> None:
    read = configparser.ConfigParser(strict=True)
    read.optionxform = str  # type: ignore[method-assign,assignment]
    read.read_string(multicast_config(lsl_settings(LAB), "own"))
    assert dict(read["lab"]) == {"SessionID": "own"}
    assert dict(read["multicast"]) == {"ResolveScope": "link", "MachineAddresses": "{}"}
    assert dict(read["ports"]) == {"BasePort": "17000", "PortRange": "8"}
    assert dict(read["log"]) == {"level": "-3"}


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ({}, False),
        ({"multicast.ResolveScope": "site"}, False),
        ({"multicast.ResolveScope": "machine"}, True),
        ({"multicast.ListenAddress": "127.0.0.1"}, True),
        ({"multicast.ListenAddress": "10.0.0.1"}, False),
        ({"multicast.AddressesOverride": "{127.0.0.1}"}, True),
        ({"multicast.AddressesOverride": "{127.0.0.1, 239.255.172.215}"}, False),
        ({"multicast.AddressesOverride": "{}"}, False),
    ],
)
def test_a_lab_may_restrict_lsl_to_the_machine(settings: dict[str, str], expected: bool) -> None:
    assert is_confined(settings) is expected


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("numpy>=2.0", ("numpy", "2.0", None)),
        ('torch>=2.6; extra == "train"', ("torch", "2.6", "train")),
        ("dask[distributed] >=2024.1 ; extra == 'train'", ("dask", "2024.1", "train")),
        ('rtdecode[train,web]; extra == "dev"', None),
    ],
)
def test_a_requirement_is_read(line: str, expected: tuple[str, str, str | None] | None) -> None:
    assert read_requirement(line) == expected


def test_versions_compare_by_their_numbers() -> None:
    assert version_tuple("2.0.1rc1") == (2, 0, 1)
    assert version_tuple("1.18.10") > version_tuple("1.18.6")
    assert version_tuple("unknown") == ()


def test_the_libraries_are_those_that_rtdecode_requires() -> None:
    figures = measure_libraries()
    assert {"numpy", "pylsl", "pyzmq"} <= set(figures["versions"])
    assert set(figures["extras"]) == {"train", "web"}
    assert figures["broken"] == {}


def test_quantiles_are_nearest_ranks() -> None:
    late = [i / 1000 for i in range(1, 101)]
    assert quantiles_ms(late) == {"p50": 50.0, "p99": 99.0, "max": 100.0}
    assert quantiles_ms([0.004]) == {"p50": 4.0, "p99": 4.0, "max": 4.0}


def test_the_processor_is_read_from_proc_and_sys(tmp_path: Path) -> None:
    for core in (0, 1):
        folder = tmp_path / f"sys/devices/system/cpu/cpu{core}/cpufreq"
        folder.mkdir(parents=True)
        (folder / "scaling_governor").write_text("powersave\n")
        (folder / "scaling_driver").write_text("acpi-cpufreq\n")
    (tmp_path / "proc").mkdir()
    (tmp_path / "proc/loadavg").write_text("1.25 0.80 0.50 1/300 4242\n")
    (tmp_path / "proc/meminfo").write_text("MemTotal: 9 kB\nMemAvailable:   2000000 kB\n")
    figures = measure_cpu(str(tmp_path))
    assert figures["governors"] == {"powersave": 2}
    assert figures["drivers"] == ["acpi-cpufreq"]
    assert (figures["load"], figures["available_mb"]) == (1.25, 2000)


def test_a_machine_without_governors_has_none(tmp_path: Path) -> None:
    figures = measure_cpu(str(tmp_path))
    assert (figures["governors"], figures["load"], figures["available_mb"]) == ({}, None, None)


def test_the_program_that_listens_on_a_port_is_found() -> None:
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        port = listening.getsockname()[1]
        assert holder_of(f"tcp://127.0.0.1:{port}") is None
        listening.listen()
        holder = holder_of(f"tcp://127.0.0.1:{port}")
    assert holder["pid"] == os.getpid()
    assert holder["program"]
    assert holder_of("ipc:///tmp/socket") is None


def test_taken_ports_are_not_counted_as_free() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as udp:
        udp.bind(("", 0))
        port = udp.getsockname()[1]
        figures = measure_lsl_ports(port, port, 1)
        assert figures["free"] == 0
        assert not figures["multicast_shared"]
    assert measure_lsl_ports(port, port, 1)["multicast_shared"]


def test_the_disk_is_measured_and_nothing_is_left(tmp_path: Path) -> None:
    figures = measure_disk(str(tmp_path), 0.05, 512 * 1024)
    assert figures["error"] is None
    assert figures["writes"] >= 1
    assert figures["write_mb_per_s"] > 0
    assert figures["free_gb"] > 0
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["file", "missing"])
def test_a_path_that_is_not_a_folder_is_an_error(tmp_path: Path, name: str) -> None:
    (tmp_path / "file").write_text("")
    assert measure_disk(str(tmp_path / name))["error"]


def test_a_missing_data_folder_is_checked_without_creating_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "not/yet"))
    assert measure_models()["error"] is None
    assert not (tmp_path / "not").exists()
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "file"))
    assert str(tmp_path / "file") in measure_models()["error"]


def test_kernels_are_counted() -> None:
    figures = measure_kernels()
    assert figures["kernels"] > 5
    assert 0 <= figures["compiled"] <= figures["kernels"]
