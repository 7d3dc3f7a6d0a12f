"""The `[output]` table of rig.toml, checked once against the model."""

from __future__ import annotations

import difflib
import math
from collections.abc import Mapping, Sequence
from typing import Any, Literal, get_args

import msgspec
import numpy as np

from rtdecode.artifact import Output
from rtdecode.errors import RtdecodeError
from rtdecode.kernels.arrays import F8, I8

Control = Literal["position", "velocity", "fusion"]


class OutputSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """How decoded values become a cursor. Lengths are in any unit, that of the workspace.

    Attributes:
        control: source of the cursor: the decoded position, the decoded velocity (integrated), or both (the
            velocity integrated and pulled towards the position).
        position, velocity: names of the model's outputs, one for each axis of the decoded movement; None
            for all outputs of that role, in the model's order.
        scale: workspace units per decoded unit, for all axes or each; instead of `matrix`.
        matrix: [out axis][decoded axis], workspace units per decoded unit.
        offset: workspace position of the decoded position 0, one for each out axis.
        names, units: of the cursor's axes, for status, LSL and recordings; None for the model's where
            they apply.
        home: position of the cursor at the start and after `reset`, and target of `leak_s`; None for the
            centre of the workspace, else the mean decoded position, else 0.
        workspace: [low, high] for each axis; the cursor never leaves it.
        dead_zone: decoded positions closer to the cursor than this do not move it.
        dead_zone_speed: speeds below this do not move it; above, only the excess does.
        leak_s: time constant of the cursor's return to home (velocity control only).
        drift_s: time constant of the running mean velocity, which is subtracted as drift.
        drift_max: limit of that drift, in workspace units per second and axis.
        fusion_s: time constant with which fusion pulls the cursor to the decoded position.
    """

    control: Control
    position: tuple[str, ...] | None = None
    velocity: tuple[str, ...] | None = None
    scale: float | tuple[float, ...] | None = None
    matrix: tuple[tuple[float, ...], ...] | None = None
    offset: tuple[float, ...] | None = None
    names: tuple[str, ...] | None = None
    units: str | None = None
    home: tuple[float, ...] | None = None
    workspace: tuple[tuple[float, float], ...] | None = None
    dead_zone: float = 0.0
    dead_zone_speed: float = 0.0
    leak_s: float | None = None
    drift_s: float | None = None
    drift_max: float | None = None
    fusion_s: float | None = None


class OutputPlan(msgspec.Struct, frozen=True, kw_only=True):
    """Settings for one model, as the kernel reads them.

    Attributes:
        position, velocity: i8, indices into the decoded value; empty if not used.
        matrix: f8[m, n], from n decoded axes to m of the workspace.
        offset, home, low, high: f8[m]; low and high are infinite without a workspace.
        rates: f8[7], see `output_step`; leak and drift are 0 without, drift_max infinite; pull is 1 in
            position control, 0 in velocity control.
        names, units: of the m axes.
    """

    position: I8
    velocity: I8
    matrix: F8
    offset: F8
    home: F8
    low: F8
    high: F8
    rates: F8
    names: tuple[str, ...]
    units: tuple[str, ...]


def read_settings(table: Mapping[str, Any], where: str) -> OutputSettings:
    """Settings from a TOML table or the JSON of a recording.

    Raises:
        RtdecodeError: an unknown key (with the most similar one), or a value of another type or out of its
            range.
    """
    for key in table:
        if key not in OutputSettings.__struct_fields__:
            raise RtdecodeError(
                f"there is no setting {key!r}",
                where=where,
                fix=nearest(key, OutputSettings.__struct_fields__),
            )
    try:
        settings = msgspec.convert(table, OutputSettings)
    except msgspec.ValidationError as error:
        raise RtdecodeError(
            str(error).replace("Object", "the table"),
            where=where,
            fix=f"control is one of {', '.join(get_args(Control))}; see docs/rig.md",
        ) from None
    _check_ranges(settings, where)
    return settings


def nearest(key: str, keys: Sequence[str]) -> str:
    """A fix that names the key most similar to `key`, or all of them."""
    near = difflib.get_close_matches(key, keys, n=1, cutoff=0.5)
    return f"did you mean {near[0]}?" if near else f"use one of {', '.join(keys)}"


def plan_output(
    settings: OutputSettings, outputs: Sequence[Output], bin_width_s: float, where: str
) -> OutputPlan:
    """Fit the settings to a model's outputs.

    Raises:
        RtdecodeError: the model does not decode what they need, or numbers of axes differ.
    """
    position = _columns(settings, outputs, "position", where)
    velocity = _columns(settings, outputs, "velocity", where)
    n_decoded = len(position or velocity)
    if position and velocity and len(position) != len(velocity):
        raise RtdecodeError(
            f"fusion needs one velocity for each position, and has {len(velocity)} for {len(position)}",
            where=where,
            fix="name them in pairs with position and velocity",
        )
    matrix = _matrix(settings, n_decoded, where)
    n_axes = len(matrix)
    offset = _vector("offset", settings.offset, n_axes, where)
    bounds = settings.workspace
    if bounds is not None and len(bounds) != n_axes:
        raise _count_error("workspace", len(bounds), n_axes, where)
    low, high = np.array([(-np.inf, np.inf)] * n_axes if bounds is None else bounds).T.copy()
    if settings.home is not None:
        home = _vector("home", settings.home, n_axes, where)
    elif bounds is not None:
        home = (low + high) / 2
    else:
        home = matrix @ np.array([outputs[i].mean for i in position]) + offset if position else offset
    names, units = _axes(settings, [outputs[i] for i in position or velocity], n_axes, where)
    return OutputPlan(
        position=np.array(position, np.int64),
        velocity=np.array(velocity, np.int64),
        matrix=matrix,
        offset=offset,
        home=np.clip(home, low, high),
        low=low,
        high=high,
        rates=_rates(settings, bin_width_s),
        names=names,
        units=units,
    )


def _check_ranges(settings: OutputSettings, where: str) -> None:
    def refuse(what: str, fix: str) -> None:
        raise RtdecodeError(what, where=where, fix=fix)

    def given(*keys: str) -> list[tuple[str, Any]]:
        return [(key, value) for key in keys if (value := getattr(settings, key)) is not None]

    for key, value in given("dead_zone", "dead_zone_speed", "drift_max"):
        if not (math.isfinite(value) and value >= 0):
            refuse(f"{key} is {value}; it must be 0 or above", "correct it, or leave it out")
    for key, value in given("leak_s", "drift_s", "fusion_s"):
        if not (math.isfinite(value) and value > 0):
            refuse(f"{key} is {value}; it must be above 0 seconds", "correct it, or leave it out")
    for key, value in given("scale", "offset", "home", "matrix", "workspace"):
        if not np.isfinite(_flat(value)).all():
            refuse(f"{key} is {value}; it must be finite", "correct it, or leave it out")
    if settings.scale is not None and settings.matrix is not None:
        refuse("scale and matrix are both set", "leave one out")
    if settings.workspace is not None and any(low >= high for low, high in settings.workspace):
        refuse("workspace has an axis without extent", "write [low, high] for each axis, low below high")
    unused = {
        "position": ("velocity", "dead_zone_speed", "leak_s", "drift_s", "drift_max", "fusion_s"),
        "velocity": ("position", "dead_zone", "fusion_s"),
        "fusion": ("leak_s",),
    }
    defaults = OutputSettings(control=settings.control)
    for key in unused[settings.control]:
        if getattr(settings, key) != getattr(defaults, key):
            refuse(f"{key} has no effect in {settings.control} control", "leave it out, or change control")
    if settings.control == "fusion" and settings.fusion_s is None:
        refuse("fusion_s is missing", "add it, such as 0.5: seconds to reach the decoded position")
    if settings.drift_max is not None and settings.drift_s is None:
        refuse("drift_max has no effect without drift_s", "add drift_s, such as 60.0")


def _flat(value: Any) -> list[float]:
    if isinstance(value, tuple):
        return [number for item in value for number in _flat(item)]
    return [float(value)]


def _columns(
    settings: OutputSettings, outputs: Sequence[Output], role: Literal["position", "velocity"], where: str
) -> list[int]:
    """Indices of the outputs that drive the cursor as `role`; none for another control."""
    if settings.control not in (role, "fusion"):
        return []
    names = [output.name for output in outputs]
    chosen: tuple[str, ...] | None = getattr(settings, role)
    if chosen is None:
        found = [i for i, output in enumerate(outputs) if output.role == role]
        if not found:
            raise RtdecodeError(
                f"{settings.control} control needs a decoded {role}; the model decodes {', '.join(names)}",
                where=where,
                fix="choose another control or model, or name the outputs",
            )
        return found
    for name in chosen:
        if name not in names:
            raise RtdecodeError(
                f"the model has no output {name!r}", where=f"{where}, {role}", fix=nearest(name, names)
            )
    if not chosen or len(set(chosen)) != len(chosen):
        raise RtdecodeError(
            f"{role} is {list(chosen)}; it must name each axis once",
            where=where,
            fix="name one output for each axis",
        )
    return [names.index(name) for name in chosen]


def _matrix(settings: OutputSettings, n_decoded: int, where: str) -> F8:
    if settings.matrix is not None:
        for row in settings.matrix:
            if len(row) != n_decoded:
                raise _count_error("each row of matrix", len(row), n_decoded, where)
        if not settings.matrix:
            raise _count_error("matrix", 0, n_decoded, where)
        return np.array(settings.matrix, np.float64)
    scale = 1.0 if settings.scale is None else settings.scale
    if isinstance(scale, tuple) and len(scale) != n_decoded:
        raise _count_error("scale", len(scale), n_decoded, where)
    return np.diag(np.broadcast_to(np.asarray(scale, np.float64), n_decoded)).copy()


def _vector(key: str, given: tuple[float, ...] | None, n_axes: int, where: str) -> F8:
    if given is None:
        return np.zeros(n_axes)
    if len(given) != n_axes:
        raise _count_error(key, len(given), n_axes, where)
    return np.array(given, np.float64)


def _count_error(key: str, found: int, needed: int, where: str) -> RtdecodeError:
    return RtdecodeError(f"{key} has {found} numbers for {needed} axes", where=where, fix="give one for each")


def _rates(settings: OutputSettings, bin_width_s: float) -> F8:
    """The `rates` of `output_step`; a time constant gives the part of an exponential approach in one bin."""
    time_constants = (settings.leak_s, settings.drift_s, settings.fusion_s)
    leak, drift, pull = (0.0 if s is None else -math.expm1(-bin_width_s / s) for s in time_constants)
    drift_max = math.inf if settings.drift_max is None else settings.drift_max
    pull = 1.0 if settings.control == "position" else pull
    dead_zones = (settings.dead_zone, settings.dead_zone_speed)
    return np.array([bin_width_s, *dead_zones, leak, drift, drift_max, pull])


def _axes(
    settings: OutputSettings, driving: Sequence[Output], n_axes: int, where: str
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Names and units of the cursor's axes: those in the settings, else those of the `driving` outputs."""
    names = settings.names
    if names is not None and (len(names) != n_axes or len(set(names)) != n_axes or not all(names)):
        raise RtdecodeError(
            f"names is {list(names)}; it must name {n_axes} axes, each once",
            where=where,
            fix="give one name for each axis",
        )
    if names is None and n_axes != len(driving):
        names = tuple(f"out{i}" for i in range(n_axes))
    elif names is None:
        # "vx" drives "x"; a velocity of another name keeps it.
        stripped = "v" if settings.control == "velocity" else ""
        names = tuple(output.name.removeprefix(stripped) or output.name for output in driving)
    if settings.units is None and settings.scale is None and settings.matrix is None:
        stripped = "/s" if settings.control == "velocity" else ""
        return names, tuple(output.units.removesuffix(stripped) for output in driving)
    return names, (settings.units or "",) * n_axes
