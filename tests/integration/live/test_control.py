"""The control socket of a daemon."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from rtdecode.tools.loopback import LoopbackRig


def test_stop_ends_the_daemon_with_status_0(rig: LoopbackRig, serve: Any, simulated_model: Path) -> None:
    served = serve(simulated_model)
    assert served.request(cmd="stop")["ok"]
    assert served.process.wait(10) == 0
    served.subscriber.close()


def test_a_port_in_use_is_an_error_of_one_line(
    rig: LoopbackRig, serve: Any, stream: str, simulated_model: Path
) -> None:
    served = serve(simulated_model)
    arguments = ["serve", "--stream", stream, "--model", str(simulated_model), "--bind", served.cursor]
    second = rig.start("second", arguments)
    assert second.wait(30) == 1
    assert rig.stderr("second").count("\n") == 1
    assert "in use" in rig.stderr("second")
    served.end()
