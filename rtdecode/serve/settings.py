"""The settings of `rtdecode serve`, each written once.

A field of `ServeSettings` carries the flag that sets it. Options, environment variables, the types of
rig.toml's keys, `--print-config` and the settings of other commands are all read from there (`FLAGS`).
A declaration of our own, because a library would have to take over the command line: cyclopts would be a
second parser beside Typer's, msgspec reads a file but no flags. Neither reports which of flag, variable, file
and default a value came from in the way that Typer's context does.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import MISSING, dataclass, field, fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rtdecode.errors import RtdecodeError
from rtdecode.ingest.layouts import Layout

if TYPE_CHECKING:
    from rtdecode.output.settings import OutputSettings

DEFAULT_BIND = "tcp://127.0.0.1:5556"
DEFAULT_CONTROL = "tcp://127.0.0.1:5557"

#: Silence after which values are flagged STALE.
STALE_AFTER_S = 0.25


@dataclass(frozen=True)
class Flag:
    """How a setting is given: `--grace 5`, `RTDECODE_GRACE=5`, or `grace = 5` in rig.toml.

    Attributes:
        help: starts with what is set.
        name: with underscores; "" for that of the field.
        default: as it is typed, where that is not the default of the field; None where the setting is off.
        metavar: of the value in the help, None for its type.
        read: turns what is typed into the value of the field, or raises ValueError.
        field: name of the field.
    """

    help: str
    name: str = ""
    default: bool | float | str | None = None
    metavar: str | None = None
    read: Callable[[Any], Any] | None = None
    field: str = ""

    @property
    def typed(self) -> type[bool] | type[float] | type[str]:
        """Type of what is typed: bool, float, or str for anything that is written as text."""
        return bool if isinstance(self.default, bool) else float if isinstance(self.default, float) else str


def read_layout(text: str) -> Layout:
    """`--layout` as a Layout."""
    if text not in tuple(Layout):
        raise ValueError(f"must be one of {', '.join(Layout)}, not {text}")
    return Layout(text)


def read_grace(text: str) -> float | None:
    """`--grace` in seconds, None for auto."""
    if text == "auto":
        return None
    try:
        return float(text) / 1e3
    except ValueError:
        raise ValueError(f"must be auto or milliseconds, not {text}") from None


def read_late(text: str) -> bool:
    """`--late` as whether to carry late events."""
    if text not in ("carry", "drop"):
        raise ValueError(f"must be carry or drop, not {text}")
    return text == "carry"


def read_timeout(seconds: float) -> float:
    """`--timeout` in seconds, where 0 waits without limit."""
    return seconds or math.inf


def _flag(help: str, **how: Any) -> dict[str, Flag]:
    return {"flag": Flag(help, **how)}


@dataclass(frozen=True, kw_only=True)
class ServeSettings:
    """Settings of the daemon, checked. What a field means is its flag's help.

    A field without a flag:
        output: the output stage, None for none; the table `[output]` of rig.toml.
        config: the rig.toml that was read, for errors about `output`.

    Raises:
        RtdecodeError: a value is out of its range.
    """

    stream: str = field(metadata=_flag("Name of the LSL spike stream; required, here or in rig.toml."))
    model: str | None = field(
        default=None,
        metadata=_flag("Model file or name; default: the stream's current model.", metavar="PATH|NAME"),
    )
    source_id: str | None = field(
        default=None, metadata=_flag("LSL source_id to attach to, if several sources send this stream.")
    )
    layout: Layout | None = field(
        default=None,
        metadata=_flag(
            "Stream layout: events, snippets, channel or counts; default: from its type and shape.",
            read=read_layout,
        ),
    )
    bind: str = field(default=DEFAULT_BIND, metadata=_flag("Endpoint of the cursor (ZeroMQ PUB)."))
    control: str = field(default=DEFAULT_CONTROL, metadata=_flag("Endpoint for control (ZeroMQ REP)."))
    record: Path | None = field(
        default=None,
        metadata=_flag(
            "Session file (.h5) to write: spikes, decoded values and log.", metavar="FILE", read=Path
        ),
    )
    behavior: str | None = field(
        default=None, metadata=_flag("Name of a behaviour stream to record with the spikes.")
    )
    overwrite: bool = field(default=False, metadata=_flag("Allow --record to replace a file."))
    lsl_out: str | None = field(
        default=None, metadata=_flag("Name of an LSL stream that also carries the cursor.", metavar="NAME")
    )
    watch: Path | None = field(
        default=None,
        metadata=_flag(
            "Folder to watch: a model file that is new or changed there replaces the current model.",
            metavar="DIR",
            read=Path,
        ),
    )
    timeout_s: float = field(
        default=60.0,
        metadata=_flag(
            "Seconds to wait for the stream at the start; 0: no limit.", name="timeout", read=read_timeout
        ),
    )
    grace_s: float | None = field(
        default=None,
        metadata=_flag(
            "Time that a bin waits for late events: auto, or milliseconds.",
            name="grace",
            default="auto",
            read=read_grace,
        ),
    )
    carry_late: bool = field(
        default=True,
        metadata=_flag(
            "Handling of events that are one bin late: carry (into the open bin) or drop.",
            name="late",
            default="carry",
            read=read_late,
        ),
    )
    failsafe_after_s: float = field(
        default=1.0,
        metadata=_flag(
            "Seconds of silence before the fail-safe: position held, velocity 0.", name="failsafe_after"
        ),
    )
    insecure: bool = field(default=False, metadata=_flag("Allow endpoints that other machines can reach."))
    json: bool = field(default=False, metadata=_flag("Print a status map per second on stdout, one a line."))
    output: OutputSettings | None = None
    config: Path | None = None

    def __post_init__(self) -> None:
        if self.behavior is not None and self.record is None:
            raise RtdecodeError(
                "a behaviour stream can only be recorded", where="--behavior", fix="add --record OUT.h5"
            )
        if self.lsl_out is not None and self.lsl_out in ("", self.stream, self.behavior):
            raise RtdecodeError(
                f"needs a name that no other stream here has, not {self.lsl_out!r}",
                where="--lsl-out",
                fix="choose a name such as cursor",
            )
        if not self.timeout_s > 0:
            raise RtdecodeError(
                f"must be above 0 seconds, not {self.timeout_s:g}",
                where="--timeout",
                fix="give seconds, or 0 to wait without limit",
            )
        if self.grace_s is not None and not 0 <= self.grace_s <= 1:
            raise RtdecodeError(
                f"must be auto, or 0 to 1000 milliseconds, not {1e3 * self.grace_s:g}",
                where="--grace",
                fix="use auto, or a few milliseconds",
            )
        if not self.failsafe_after_s >= STALE_AFTER_S:
            raise RtdecodeError(
                f"must be at least {STALE_AFTER_S:g} s, not {self.failsafe_after_s:g}",
                where="--failsafe-after",
                fix=f"give {STALE_AFTER_S:g} or more: before that, values are only flagged STALE",
            )
        for flag, endpoint in (("--bind", self.bind), ("--control", self.control)):
            check_endpoint(flag, endpoint, insecure=self.insecure)


def _flags() -> dict[str, Flag]:
    found = {}
    for each in fields(ServeSettings):
        if "flag" in each.metadata:
            flag: Flag = each.metadata["flag"]
            name = flag.name or each.name
            own = None if each.default is MISSING else each.default
            default = own if flag.default is None else flag.default
            found[name] = replace(flag, name=name, default=default, field=each.name)
    return found


#: The flags of `serve` by name, in the order of its help.
FLAGS = _flags()


def check_endpoint(flag: str, endpoint: str, *, insecure: bool) -> None:
    """Check an endpoint that is to be bound.

    Args:
        flag: option that gave it, for the error.
        endpoint: tcp://host:port or ipc://path.
        insecure: whether other machines may reach it.

    Raises:
        RtdecodeError: it is no endpoint, or other machines can reach it and may not.
    """
    transport, separator, address = endpoint.partition("://")
    host, colon, port = address.rpartition(":")
    if transport == "ipc" and address:
        return
    valid_port = port == "*" or (port.isascii() and port.isdigit() and 0 < int(port) < 65536)
    if not separator or transport != "tcp" or not colon or not host or not valid_port:
        example = DEFAULT_BIND if flag == "--bind" else DEFAULT_CONTROL
        raise RtdecodeError(f"{endpoint} is no endpoint", where=flag, fix=f"write it like {example}")
    loopback = host in ("localhost", "[::1]") or (
        host.startswith("127.") and all(part.isdigit() for part in host.split("."))
    )
    if not loopback and not insecure:
        raise RtdecodeError(
            f"{endpoint} can be reached from other machines, where anyone could read or stop the decoder",
            where=flag,
            fix="use 127.0.0.1, or add --insecure if the network is yours alone",
        )
