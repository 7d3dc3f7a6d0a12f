"""Two sources that send a stream of one name."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pylsl
import pytest

from rtdecode.errors import RtdecodeError
from rtdecode.tools.loopback import LoopbackRig

N_CHANNELS = 16


@pytest.fixture
def outlet(stream: str, lsl_config: str) -> Iterator[Callable[[str], pylsl.StreamOutlet]]:
    """Creates `events` outlets of the test's stream with a given source_id."""
    made = []

    def make(source_id: str) -> pylsl.StreamOutlet:
        info = pylsl.StreamInfo(stream, "Spikes", 3, 0.0, "int32", source_id)
        info.desc().append_child_value("n_channels", str(N_CHANNELS))
        made.append(pylsl.StreamOutlet(info))
        return made[-1]

    yield make
    made.clear()


def test_serve_refuses_to_guess_between_two_sources(
    rig: LoopbackRig, serve: Any, outlet: Callable[[str], pylsl.StreamOutlet], simulated_model: Path
) -> None:
    outlets = [outlet("left"), outlet("right")]
    served = serve(simulated_model)
    assert served.process.wait(30) == 1
    line = rig.stderr(served.name).splitlines()[-1]
    assert "2 sources send a stream of that name: left on" in line
    assert "--source-id" in line
    assert len(outlets) == 2


def test_source_id_selects_one_source_for_good(
    rig: LoopbackRig, serve: Any, outlet: Callable[[str], pylsl.StreamOutlet], simulated_model: Path
) -> None:
    left, right = outlet("left"), outlet("right")
    served = serve(simulated_model, "--source-id", "right")
    assert right.wait_for_consumers(30)
    rig.await_line(served.name, "source right", 10)
    assert not left.have_consumers()
    served.end()
    printed = rig.stderr(served.name)
    assert "attached" in printed
    assert "source left" not in printed


def test_serve_waits_for_the_given_source(
    rig: LoopbackRig, serve: Any, outlet: Callable[[str], pylsl.StreamOutlet], simulated_model: Path
) -> None:
    outlet("left")
    served = serve(simulated_model, "--source-id", "right")
    rig.await_line(served.name, "source right does not answer, only left", 20)
    late = outlet("right")
    assert late.wait_for_consumers(30)
    served.end()


def test_a_position_and_an_array_of_before_do_not_stand_in_the_way_of_the_spikes(
    rig: LoopbackRig,
    stream: str,
    serve: Any,
    outlet: Callable[[str], pylsl.StreamOutlet],
    simulated_model: Path,
) -> None:
    position = pylsl.StreamOutlet(pylsl.StreamInfo(stream, "MoCap", 2, 100.0, "float32", "tracker"))
    served = serve(simulated_model)
    rig.await_line(served.name, "source tracker on", 20)
    info = pylsl.StreamInfo(stream, "Spikes", 3, 0.0, "int32", "old")
    info.desc().append_child_value("n_channels", str(N_CHANNELS + 1))
    old = pylsl.StreamOutlet(info)
    rig.await_line(served.name, f"the stream has {N_CHANNELS + 1} channels", 20)
    right = outlet("right")
    rig.await_line(served.name, "source right on", 20)
    assert right.have_consumers()
    assert not position.have_consumers()
    assert not old.have_consumers()
    served.end()


def test_after_the_timeout_the_error_names_the_sources_that_answered(
    rig: LoopbackRig, stream: str, outlet: Callable[[str], pylsl.StreamOutlet], simulated_model: Path
) -> None:
    outlet("left")
    given = ["serve", "--stream", stream, "--model", str(simulated_model), "--source-id", "right"]
    given += ["--bind", "tcp://127.0.0.1:*", "--control", "tcp://127.0.0.1:*", "--timeout", "3"]
    process = rig.start("serve", given)
    assert process.wait(60) == 1
    assert "source right does not answer, only left" in rig.stderr("serve").splitlines()[-1]
    with pytest.raises(RtdecodeError):
        rig.end("serve")
