"""The endpoints of a rig on this machine."""

from __future__ import annotations

import subprocess
import sys

import zmq

from rtdecode.tools.loopback import free_endpoint

N_EACH = 300

#: Two processes that draw this many ports at random would have a dozen in common.
ASK = f"from rtdecode.tools.loopback import free_endpoint\nfor _ in range({N_EACH}): print(free_endpoint())"


def test_an_endpoint_is_assigned_once_and_can_be_bound() -> None:
    other = subprocess.Popen([sys.executable, "-c", ASK], stdout=subprocess.PIPE, text=True)
    given = [free_endpoint() for _ in range(N_EACH)]
    given += other.communicate(timeout=60)[0].splitlines()
    assert len(set(given)) == len(given) == 2 * N_EACH
    with zmq.Context() as context:
        for endpoint in given:
            with context.socket(zmq.PUB) as socket:
                socket.bind(endpoint)
