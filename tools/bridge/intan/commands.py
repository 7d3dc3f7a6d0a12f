"""What is said on the command port of RHX, as text."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

#: RHX reads so many bytes at a time.
MOST_BYTES = 900

PORTS = "ABCDEFGH"


def setup(names: Sequence[str], *, continuous: bool, running: bool) -> Iterator[str]:
    """Commands that turn on the outputs of these channels and no others, and open the data ports.

    Args:
        names: of the channels.
        continuous: whether their wide band is sent too.
        running: whether the controller runs; then a write has as many blocks as it had.
    """
    commands = ["execute clearalldataoutputs"]
    if not running:
        commands.append("set tcpnumberdatablocksperwrite 1")
    for name in names:
        commands.append(f"set {name}.tcpdataoutputenabledspike true")
        if continuous:
            commands.append(f"set {name}.tcpdataoutputenabled true")
    commands += ["execute connecttcpwaveformdataoutput", "execute connecttcpspikedataoutput"]
    batch = ""
    for command in commands:
        if len(batch) + len(command) + 1 > MOST_BYTES:
            yield batch
            batch = ""
        batch += f"{command};"
    yield batch


def channel_names(counts: Sequence[tuple[str, int]]) -> list[str]:
    """Native names of amplifier channels, such as A-000, of the number on each port."""
    return [f"{port}-{number:03d}" for port, n in counts for number in range(n)]


def value_of(reply: str, parameter: str) -> str | None:
    """Value of a parameter in the reply to `get`, None if it is not there."""
    name = re.escape(parameter.rpartition(".")[2])
    found = re.search(rf"Return: (?:[\w-]+\.)?{name} (\S+)", reply, re.IGNORECASE)
    return found[1] if found else None
