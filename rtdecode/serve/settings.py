"""The settings of `rtdecode serve`, each written once.

A field of `ServeSettings` carries the flag that sets it. Options, environment variables, the types of
rig.toml's keys, `--print-config` and the settings of other commands are all read from there (`FLAGS`).
A declaration of our own, because a library would have to take over the command line: cyclopts would be a
second parser beside Typer's, msgspec reads a file but no flags. Neither reports which of flag, variable, file
and default a value came from in the way that Typer's context does.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import MISSING, dataclass, field, fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, get_type_hints

from rtdecode.detection.options import (
    Band,
    DetectionOptions,
    KnownNoise,
    detection_options,
    read_band,
    read_noise,
    read_number,
    read_order,
)
from rtdecode.endpoints import check_bind
from rtdecode.errors import RtdecodeError
from rtdecode.files import output_file, user_path
from rtdecode.ingest.signals.channel_map import ChannelMap, read_channel_map
from rtdecode.ingest.signals.event_columns import RowColumns, read_columns
from rtdecode.ingest.signals.layouts import Layout
from rtdecode.messages import CONTROL_ENDPOINT, CURSOR_ENDPOINT
from rtdecode.serve.array_settings import ArraySettings, arrays_of, features_of
from rtdecode.trial_rules import TrialRules, read_rules

if TYPE_CHECKING:
    from rtdecode.output.settings import OutputSettings


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
        several: whether it may be given several times; its value is a list of texts then.
    """

    help: str
    name: str = ""
    default: bool | float | str | None = None
    metavar: str | None = None
    read: Callable[[Any], Any] | None = None
    field: str = ""
    several: bool = False

    @property
    def typed(self) -> type[bool] | type[float] | type[str] | type[list[str]]:
        """Type of what is typed: bool, float, str for anything that is written as text, or texts."""
        if self.several:
            return list
        return bool if isinstance(self.default, bool) else float if isinstance(self.default, float) else str


def joined(streams: Sequence[str]) -> str:
    """One name for the streams of several arrays, M1+PMd."""
    return "+".join(streams)


def read_streams(names: Sequence[str]) -> tuple[str, ...]:
    """`--stream`, once for each array."""
    twice = sorted(name for name, n in Counter(names).items() if n > 1)
    if twice:
        raise ValueError(f"is given twice with the name {twice[0]!r}; name each array once")
    if not all(names):
        raise ValueError("is empty; name a stream")
    return tuple(names)


def read_layout(text: str) -> Layout:
    """`--layout` as a Layout."""
    if text not in tuple(Layout):
        raise ValueError(f"must be one of {', '.join(Layout)}, not {text}")
    return Layout(text)


def read_units(text: str) -> frozenset[int]:
    """`--drop-units`, such as 0,255, as a set."""
    units = [part.strip() for part in text.split(",")]
    if not all(unit.isdecimal() and int(unit) <= 255 for unit in units):
        raise ValueError(f"must be units from 0 to 255 with commas, such as 0,255, not {text}")
    return frozenset(int(unit) for unit in units)


def read_first_channel(text: str) -> int:
    """`--first-channel`."""
    if not text.isdecimal():
        raise ValueError(f"must be the number of the first channel, such as 1, not {text}")
    return int(text)


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


#: Fields that may differ between arrays.
OF_ARRAY = ("source_id", "layout", "columns", "first_channel", "channel_map", "drop_units", "grace_s")


@dataclass(frozen=True, kw_only=True)
class ServeSettings:
    """Settings of the daemon, checked. The help of its flag describes each field, but for three:

    Attributes:
        array_tables: settings of single arrays, by the name of their stream: the tables `[arrays.NAME]` of
            rig.toml, in place of the flags.
        output: the output stage, the table `[output]` of rig.toml; None for none.
        config: the rig.toml that was read, for errors about `output`.

    Raises:
        RtdecodeError: a value is out of its range.
    """

    streams: Annotated[
        tuple[str, ...],
        Flag(
            "Name of the LSL stream of spikes or features; required, here or in rig.toml; several arrays: "
            "once for each.",
            "stream",
            read=read_streams,
            several=True,
        ),
    ]
    model: Annotated[
        str | None,
        Flag("Model file or name; default: current, the stream's own.", metavar="PATH|NAME"),
    ] = None
    source_id: Annotated[str | None, Flag("LSL source_id, if several sources send this stream.")] = None
    layout: Annotated[
        Layout | None,
        Flag(
            "Layout: events, snippets, channel, counts, raster, features or broadband; default: from type "
            "and shape.",
            read=read_layout,
        ),
    ] = None
    bind: Annotated[str, Flag("Endpoint of the cursor (ZeroMQ PUB).")] = CURSOR_ENDPOINT
    control: Annotated[str, Flag("Endpoint for control (ZeroMQ REP).")] = CONTROL_ENDPOINT
    record: Annotated[
        Path | None,
        Flag(
            "Session file (.h5) to write: spikes, decoded values and log.", metavar="FILE", read=output_file
        ),
    ] = None
    behavior: Annotated[str | None, Flag("Name of a behaviour stream to record with the spikes.")] = None
    features: Annotated[
        str | None, Flag("Name of a stream of features that the model reads beside the spikes.")
    ] = None
    features_source_id: Annotated[
        str | None, Flag("LSL source_id, if several sources send the stream of features.")
    ] = None
    drop_units: Annotated[
        frozenset[int] | None,
        Flag("Sorted units to leave out, such as 255 for noise.", metavar="U,…", read=read_units),
    ] = None
    columns: Annotated[
        RowColumns | None,
        Flag(
            "Columns of an events stream, from 0, such as channel=0,unit=1,seq=- (-: none).",
            metavar="NAME=N,…",
            read=read_columns,
        ),
    ] = None
    first_channel: Annotated[
        int | None,
        Flag("Number of the first channel in the stream; default: 0.", metavar="N", read=read_first_channel),
    ] = None
    channel_map: Annotated[
        ChannelMap | None,
        Flag(
            "File with a line STREAM,MODEL for each channel that is decoded.",
            metavar="FILE",
            read=read_channel_map,
        ),
    ] = None
    reference: Annotated[
        str | None, Flag("Reference of voltage: none, car (mean of all), median or lrr; default: none.")
    ] = None
    threshold: Annotated[
        float | None,
        Flag("Threshold of spikes in voltage, robust SDs; default: -4.5.", metavar="SD", read=read_number),
    ] = None
    polarity: Annotated[
        str | None, Flag("Crossings of voltage: negative (troughs), or both; default: negative.")
    ] = None
    refractory: Annotated[
        float | None,
        Flag("Least ms between two spikes in voltage; default: 1.", metavar="MS", read=read_number),
    ] = None
    band: Annotated[
        Band | None,
        Flag("Band-pass of voltage, Hz; default: 300,3000.", metavar="LOW,HIGH", read=read_band),
    ] = None
    filter_order: Annotated[
        int | None, Flag("Order of the band-pass at each edge; default: 2.", metavar="N", read=read_order)
    ] = None
    noise_seconds: Annotated[
        float | None,
        Flag("Seconds of voltage in which noise is measured; default: 5.", metavar="S", read=read_number),
    ] = None
    noise_from: Annotated[
        KnownNoise | None,
        Flag("Session file whose detection (settings, noise) is used.", metavar="S.h5", read=read_noise),
    ] = None
    behavior_source_id: Annotated[
        str | None, Flag("LSL source_id, if several sources send the behaviour stream.")
    ] = None
    markers: Annotated[str | None, Flag("Name of a marker stream (task events) to record too.")] = None
    markers_source_id: Annotated[
        str | None, Flag("LSL source_id, if several sources send the marker stream.")
    ] = None
    trials: Annotated[
        TrialRules | None,
        Flag(
            "Markers that make the recording's trials, such as start=go,stop=end,success=hit.",
            metavar="RULES",
            read=read_rules,
        ),
    ] = None
    overwrite: Annotated[bool, Flag("Allow --record to replace a file.")] = False
    lsl_out: Annotated[
        str | None, Flag("Name of an LSL stream that also carries the cursor.", metavar="NAME")
    ] = None
    watch: Annotated[
        Path | None,
        Flag("Folder whose new or changed model files are swapped in.", metavar="DIR", read=user_path),
    ] = None
    timeout_s: Annotated[
        float,
        Flag(
            "Seconds to wait for the stream at the start; 0: no limit.",
            "timeout",
            read=lambda s: s or math.inf,
        ),
    ] = 60.0
    grace_s: Annotated[
        float | None,
        Flag("Wait of a bin for late events: auto, or milliseconds.", "grace", "auto", read=read_grace),
    ] = None
    carry_late: Annotated[
        bool,
        Flag(
            "Events one bin late: carry (into the open bin) or drop.",
            "late",
            "carry",
            read=read_late,
        ),
    ] = True
    failsafe_after_s: Annotated[
        float, Flag("Seconds of silence before the fail-safe: position held, velocity 0.", "failsafe_after")
    ] = 1.0
    allow_partial: Annotated[
        bool, Flag("Decode while one of several arrays is away, with its channels at their mean.")
    ] = False
    insecure: Annotated[bool, Flag("Allow endpoints that other machines can reach.")] = False
    json: Annotated[bool, Flag("Print a status map per second on stdout, one a line.")] = False
    output: OutputSettings | None = None
    config: Path | None = None
    array_tables: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        def refuse(flag: str, what: str, fix: str) -> None:
            raise RtdecodeError(what, where=flag, fix=fix)

        if self.behavior is not None and self.record is None:
            refuse("--behavior", "a behaviour stream can only be recorded", "add --record OUT.h5")
        if self.markers is not None and self.record is None:
            refuse("--markers", "a marker stream can only be recorded", "add --record OUT.h5")
        if self.trials is not None and self.markers is None:
            refuse("--trials", "trials are made of markers", "add --markers NAME")
        if self.allow_partial and len(self.streams) == 1:
            refuse("--allow-partial", "is about several arrays", "omit it, or add --stream NAME")
        _ = self.arrays
        if self.features in self.streams:
            refuse("--features", f"names the stream of spikes, {self.features!r}", "name another, or omit it")
        taken = ("", *self.streams, self.features, self.behavior, self.markers)
        if self.lsl_out is not None and self.lsl_out in taken:
            refuse("--lsl-out", f"needs another name than {self.lsl_out!r}", "choose an unused one")
        if not self.timeout_s > 0:
            refuse("--timeout", f"must be above 0 seconds, not {self.timeout_s:g}", "give 0 for no limit")
        if not self.failsafe_after_s >= STALE_AFTER_S:
            limit = f"{STALE_AFTER_S:g} s, when values turn STALE"
            refuse(
                "--failsafe-after", f"must be at least {limit}, not {self.failsafe_after_s:g}", "give more"
            )
        for flag, endpoint in (("--bind", self.bind), ("--control", self.control)):
            check_bind(endpoint, flag, insecure=self.insecure)

    @property
    def stream(self) -> str:
        """Name of the stream, or of all: by it models are kept, and recordings say what they are of."""
        return joined(self.streams)

    @property
    def arrays(self) -> tuple[ArraySettings, ...]:
        """How each stream is found and read.

        Raises:
            RtdecodeError: two settings contradict one another.
        """
        shared = {name: getattr(self, name) for name in OF_ARRAY} | {"detection": self.detection}
        return arrays_of(self.streams, shared, self.array_tables)

    @property
    def all_streams(self) -> tuple[str, ...]:
        """Names of the streams that are decoded: of spikes, and of features beside them."""
        return self.streams if self.features is None else (*self.streams, self.features)

    @property
    def features_beside(self) -> ArraySettings | None:
        """How the stream of features beside the spikes is found and read, None without one."""
        return features_of(self.features, self.features_source_id, self.grace_s)

    @property
    def detection(self) -> DetectionOptions:
        """How spikes are detected in voltage."""
        return detection_options(vars(self))


def _flags() -> dict[str, Flag]:
    hints = get_type_hints(ServeSettings, localns={"OutputSettings": object}, include_extras=True)
    found = {}
    for each in fields(ServeSettings):
        for flag in getattr(hints[each.name], "__metadata__", ()):
            own = None if each.default is MISSING else each.default
            name, default = flag.name or each.name, own if flag.default is None else flag.default
            found[name] = replace(flag, name=name, default=default, field=each.name)
    return found


#: The flags of `serve` by name, in the order of its help.
FLAGS = _flags()
