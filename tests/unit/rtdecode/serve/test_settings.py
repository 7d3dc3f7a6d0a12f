"""Settings of `serve` out of their range are refused with their flag."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from rtdecode.errors import RtdecodeError
from rtdecode.messages import CONTROL_ENDPOINT, CURSOR_ENDPOINT
from rtdecode.serve.settings import (
    FLAGS,
    STALE_AFTER_S,
    ServeSettings,
    check_endpoint,
)

LOOPBACK = [
    CURSOR_ENDPOINT,
    CONTROL_ENDPOINT,
    "tcp://127.0.0.1:*",
    "tcp://127.0.0.1:1",
    "tcp://127.0.0.1:65535",
    "tcp://127.8.9.10:5556",
    "tcp://localhost:5556",
    "tcp://[::1]:5556",
    "ipc:///run/rtdecode/cursor",
    "ipc://@abstract",
]
ELSEWHERE = [
    "tcp://*:5556",
    "tcp://0.0.0.0:5556",
    "tcp://[::]:5556",
    "tcp://192.168.1.5:5556",
    "tcp://10.0.0.1:*",
    "tcp://eth0:5556",
    "tcp://rig.lab.example:5556",
    "tcp://127.0.0.1.lab.example:5556",
    "tcp://127.evil:5556",
    "tcp://localhost.lab.example:5556",
    "tcp://1270.0.0.1:5556",
]
NO_ENDPOINTS = [
    "",
    "5556",
    "127.0.0.1:5556",
    "tcp://",
    "tcp://127.0.0.1",
    "tcp://127.0.0.1:",
    "tcp://:5556",
    "tcp://127.0.0.1:0",
    "tcp://127.0.0.1:65536",
    "tcp://127.0.0.1:-1",
    "tcp://127.0.0.1:+5",
    "tcp://127.0.0.1:55x6",
    "tcp://127.0.0.1: 5556",
    "tcp://127.0.0.1:5556 ",
    "tcp:127.0.0.1:5556",
    "tcp:/127.0.0.1:5556",
    "TCP://127.0.0.1:5556",
    "udp://127.0.0.1:5556",
    "inproc://cursor",
    "ipc://",
    "http://127.0.0.1:5556",
    "tcp://127.0.0.1:²",
    "tcp://127.0.0.1:٥٥٥٦",
]


def make_settings(**changes: Any) -> ServeSettings:
    return ServeSettings(**({"stream": "M1"} | changes))


def test_defaults() -> None:
    settings = make_settings()
    assert (settings.bind, settings.control) == ("tcp://127.0.0.1:5556", "tcp://127.0.0.1:5557")
    assert (settings.grace_s, settings.carry_late, settings.failsafe_after_s) == (None, True, 1.0)
    assert (settings.model, settings.layout, settings.record, settings.behavior) == (None,) * 4
    assert STALE_AFTER_S == 0.25


@pytest.mark.parametrize("name", sorted(FLAGS.keys() - {"stream"}))
def test_the_default_of_a_flag_is_that_of_its_field(name: str) -> None:
    flag = FLAGS[name]
    read = flag.default if flag.read is None or flag.default is None else flag.read(flag.default)
    assert read == getattr(make_settings(), flag.field)


@pytest.mark.parametrize(
    "changes",
    [
        {"timeout_s": math.inf},
        {"timeout_s": 0.001},
        {"grace_s": 0.0},
        {"grace_s": 1.0},
        {"failsafe_after_s": STALE_AFTER_S},
        {"failsafe_after_s": math.inf},
        {"record": Path("today.h5"), "behavior": "hand"},
        {"insecure": True, "bind": "tcp://*:5556"},
    ],
)
def test_values_within_their_range_are_accepted(changes: dict[str, Any]) -> None:
    settings = make_settings(**changes)
    assert {name: getattr(settings, name) for name in changes} == changes


@pytest.mark.parametrize(
    ("changes", "complaint"),
    [
        ({"timeout_s": 0.0}, "--timeout: must be above 0"),
        ({"timeout_s": -1.0}, "--timeout: must be above 0"),
        ({"timeout_s": math.nan}, "--timeout: must be above 0"),
        ({"grace_s": -0.001}, "--grace: must be auto, or 0 to 1000 milliseconds"),
        ({"grace_s": 1.001}, "--grace: must be auto"),
        ({"grace_s": math.nan}, "--grace: must be auto"),
        ({"failsafe_after_s": 0.249}, r"--failsafe-after: must be at least 0\.25 s"),
        ({"failsafe_after_s": math.nan}, "--failsafe-after: must be"),
        ({"behavior": "hand"}, r"--behavior: a behaviour stream can only be recorded\. Fix: add --record"),
        ({"bind": "5556"}, "--bind: 5556 is not an endpoint. Fix: write it like tcp://127"),
        ({"control": "tcp://*:5557"}, "--control: .* can be reached from other machines.*Fix: .*--insecure"),
        ({"control": "nonsense", "insecure": True}, "--control: nonsense is not an endpoint"),
    ],
)
def test_values_out_of_range_are_refused_with_their_flag(changes: dict[str, Any], complaint: str) -> None:
    with pytest.raises(RtdecodeError, match=complaint):
        make_settings(**changes)


@pytest.mark.parametrize("endpoint", LOOPBACK)
@pytest.mark.parametrize("insecure", [True, False])
def test_endpoints_of_this_machine_are_accepted(endpoint: str, insecure: bool) -> None:
    check_endpoint("--bind", endpoint, insecure=insecure)


@pytest.mark.parametrize("endpoint", ELSEWHERE)
def test_endpoints_that_other_machines_reach_need_insecure(endpoint: str) -> None:
    with pytest.raises(RtdecodeError, match="can be reached from other machines"):
        check_endpoint("--bind", endpoint, insecure=False)
    check_endpoint("--bind", endpoint, insecure=True)


@pytest.mark.parametrize("endpoint", NO_ENDPOINTS)
@pytest.mark.parametrize("insecure", [True, False])
def test_an_invalid_endpoint_is_refused(endpoint: str, insecure: bool) -> None:
    with pytest.raises(RtdecodeError, match="is not an endpoint"):
        check_endpoint("--bind", endpoint, insecure=insecure)


@given(st.text(max_size=30) | st.builds("tcp://{}:{}".format, st.text(max_size=12), st.text(max_size=6)))
@example("tcp://127.²:5556")
def test_every_text_is_accepted_or_refused(endpoint: str) -> None:
    refused = False
    try:
        check_endpoint("--bind", endpoint, insecure=False)
    except RtdecodeError:
        refused = True
    assert refused or endpoint.startswith(("tcp://", "ipc://"))
