"""Which texts are endpoints, to bind and to connect to."""

from __future__ import annotations

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from rtdecode.endpoints import check_bind, check_connect
from rtdecode.errors import RtdecodeError
from rtdecode.messages import CONTROL_ENDPOINT, CURSOR_ENDPOINT

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
    "tcp://a b:5556",
    "tcp://127.0.0.1:5556\n",
]


@pytest.mark.parametrize("endpoint", LOOPBACK + ELSEWHERE)
def test_an_endpoint_is_bound_anywhere_only_with_insecure(endpoint: str) -> None:
    check_bind(endpoint, "--bind", insecure=True)
    if endpoint in LOOPBACK:
        check_bind(endpoint, "--bind", insecure=False)
    else:
        with pytest.raises(RtdecodeError, match=r"--bind: .* can be reached from other machines"):
            check_bind(endpoint, "--bind", insecure=False)


@pytest.mark.parametrize("endpoint", LOOPBACK + ELSEWHERE)
def test_a_client_connects_to_one_host_and_port(endpoint: str) -> None:
    if "*" not in endpoint:
        assert check_connect(endpoint) == endpoint
    else:
        with pytest.raises(RtdecodeError, match="is not an endpoint"):
            check_connect(endpoint)


@pytest.mark.parametrize("endpoint", NO_ENDPOINTS)
def test_an_invalid_endpoint_is_refused(endpoint: str) -> None:
    for insecure in (True, False):
        with pytest.raises(RtdecodeError, match=r"--bind: .* is not an endpoint\. Fix: write it like tcp://"):
            check_bind(endpoint, "--bind", insecure=insecure)
    with pytest.raises(RtdecodeError, match="is not an endpoint"):
        check_connect(endpoint)


@given(st.text(max_size=30) | st.builds("tcp://{}:{}".format, st.text(max_size=12), st.text(max_size=6)))
@example("tcp://127.²:5556")
def test_every_text_is_accepted_or_refused(endpoint: str) -> None:
    refused = False
    try:
        check_bind(endpoint, "--bind", insecure=False)
    except RtdecodeError:
        refused = True
    assert refused or endpoint.startswith(("tcp://", "ipc://"))
