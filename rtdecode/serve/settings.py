"""What `rtdecode serve` is told, checked once."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from rtdecode.errors import RtdecodeError
from rtdecode.ingest.layouts import Layout
from rtdecode.output.settings import OutputSettings

DEFAULT_BIND = "tcp://127.0.0.1:5556"
DEFAULT_CONTROL = "tcp://127.0.0.1:5557"

#: Silence after which values are flagged STALE (DESIGN §12).
STALE_AFTER_S = 0.25


@dataclass(frozen=True, kw_only=True)
class ServeSettings:
    """Settings of the daemon.

    Attributes:
        stream: name of the spike stream.
        model: PATH or NAME of the model, None for the stream's current one.
        source_id: the only source of that name to take, None for any.
        layout: how to read the stream, None to tell from its type and shape.
        bind: endpoint of the PUB socket.
        control: endpoint of the REP socket.
        record: session file to write, None for none.
        behavior: name of a behaviour stream to record beside.
        overwrite: whether `record` may replace a file.
        timeout_s: how long to wait for the stream at the start; inf waits for ever.
        grace_s: how long a bin waits for late events; None follows the source.
        carry_late: events one bin late are added to the open bin; False drops them.
        failsafe_after_s: silence after which the fail-safe takes over.
        insecure: allow endpoints that other machines can reach.
        lsl_out: name of an LSL stream for the cursor, None for none.
        watch: folder whose new models take over, None for none.
        output: the output stage, None for none.
        config: the rig.toml these came from, for errors about `output`.

    Raises:
        RtdecodeError: a value is out of its range.
    """

    stream: str
    model: str | None = None
    source_id: str | None = None
    layout: Layout | None = None
    bind: str = DEFAULT_BIND
    control: str = DEFAULT_CONTROL
    record: Path | None = None
    behavior: str | None = None
    overwrite: bool = False
    timeout_s: float = 60.0
    grace_s: float | None = None
    carry_late: bool = True
    failsafe_after_s: float = 1.0
    insecure: bool = False
    lsl_out: str | None = None
    watch: Path | None = None
    output: OutputSettings | None = None
    config: Path | None = None

    def __post_init__(self) -> None:
        if self.behavior is not None and self.record is None:
            raise RtdecodeError(
                "a behaviour stream is only recorded", where="--behavior", fix="add --record OUT.h5"
            )
        if self.lsl_out is not None and self.lsl_out in ("", self.stream, self.behavior):
            raise RtdecodeError("needs a name that no other stream here has", where="--lsl-out")
        if not self.timeout_s > 0:
            raise RtdecodeError("must be above 0 seconds", where="--timeout")
        if self.grace_s is not None and not 0 <= self.grace_s <= 1:
            raise RtdecodeError("must be auto, or 0 to 1000 milliseconds", where="--grace")
        if not self.failsafe_after_s >= STALE_AFTER_S:
            raise RtdecodeError(
                f"must be at least {STALE_AFTER_S:g} s, when values turn STALE", where="--failsafe-after"
            )
        for flag, endpoint in (("--bind", self.bind), ("--control", self.control)):
            check_endpoint(flag, endpoint, insecure=self.insecure)


def check_endpoint(flag: str, endpoint: str, *, insecure: bool) -> None:
    """Refuse endpoints that are no endpoint, or that other machines reach, unless `insecure`.

    Raises:
        RtdecodeError: with the flag it came from.
    """
    transport, separator, address = endpoint.partition("://")
    host, colon, port = address.rpartition(":")
    if transport == "ipc" and address:
        return
    known_port = port == "*" or (port.isascii() and port.isdigit() and 0 < int(port) < 65536)
    if not separator or transport != "tcp" or not colon or not host or not known_port:
        example = DEFAULT_BIND if flag == "--bind" else DEFAULT_CONTROL
        raise RtdecodeError(f"{endpoint} is no endpoint", where=flag, fix=f"write it like {example}")
    loopback = host in ("localhost", "[::1]") or (
        host.startswith("127.") and all(part.isdigit() for part in host.split("."))
    )
    if not loopback and not insecure:
        raise RtdecodeError(
            f"{endpoint} can be reached from other machines, where anyone could read or stop the decoder",
            where=flag,
            fix="use 127.0.0.1, or say --insecure if the network is yours alone",
        )
