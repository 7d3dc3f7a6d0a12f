"""The output stage against plain NumPy, and the purpose of each of its parts."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from rtdecode.artifact import Output
from rtdecode.errors import RtdecodeError
from rtdecode.messages import Flag
from rtdecode.output.settings import OutputPlan, OutputSettings, plan_output, read_settings
from rtdecode.output.stage import UNTRUSTED, OutputStage

WIDTH_S = 0.02
OUTPUTS = (
    Output("x", "mm", 3.0, 10.0, "position"),
    Output("vx", "mm/s", 0.0, 50.0, "velocity"),
    Output("grip", "N", 1.0, 1.0, "other"),
    Output("y", "mm", -2.0, 10.0, "position"),
    Output("vy", "mm/s", 0.0, 50.0, "velocity"),
)


def stage(**settings: Any) -> OutputStage:
    return OutputStage(read_settings(settings, "rig.toml"), OUTPUTS, WIDTH_S, "rig.toml")


def value(x: float = 0.0, y: float = 0.0, vx: float = 0.0, vy: float = 0.0) -> NDArray[np.float32]:
    return np.array([x, vx, 99.0, y, vy], np.float32)


def reference(plan: OutputPlan, values: NDArray[np.float32], flags: NDArray[np.int64]) -> NDArray[np.float32]:
    """The docstring of `output_step`, written with NumPy."""
    cursor, drift = plan.home.copy(), np.zeros_like(plan.home)
    width_s, dead_zone, dead_zone_speed, leak, drift_rate, drift_max, pull = plan.rates
    rows = []
    for row, flag in zip(values.astype(np.float64), flags, strict=True):
        if not flag & UNTRUSTED:
            if len(plan.velocity):
                speed = plan.matrix @ row[plan.velocity]
                drift = np.clip(drift + drift_rate * (speed - drift), -drift_max, drift_max)
                speed = shortened(speed - drift, dead_zone_speed)
                cursor = cursor + speed * width_s
                cursor = cursor + leak * (plan.home - cursor)
            if len(plan.position):
                error = plan.matrix @ row[plan.position] + plan.offset - cursor
                cursor = cursor + pull * shortened(error, dead_zone)
            cursor = np.clip(cursor, plan.low, plan.high)
        rows.append(cursor.astype(np.float32))
    return np.array(rows)


def shortened(vector: NDArray[np.float64], by: float) -> NDArray[np.float64]:
    length = math.sqrt(float(vector @ vector))
    return vector * (1 - by / length) if length > by else np.zeros_like(vector)


AXES = {"scale": (2.0, -3.0), "workspace": ((-80.0, 60.0), (-50.0, 50.0))}
SETTINGS: list[dict[str, Any]] = [
    {"control": "position"},
    {"control": "position", "offset": (5.0, 1.0), "dead_zone": 4.0, **AXES},
    {"control": "position", "matrix": ((0.5, 0.5), (1.0, -1.0), (0.0, 2.0)), "offset": (1.0, 2.0, 3.0)},
    {"control": "velocity"},
    {"control": "velocity", "leak_s": 0.7, "drift_s": 2.0, "drift_max": 5.0, "dead_zone_speed": 9.0, **AXES},
    {"control": "fusion", "fusion_s": 0.4, "drift_s": 1.0, "dead_zone": 2.0, "dead_zone_speed": 3.0, **AXES},
]


@pytest.mark.parametrize("settings", SETTINGS)
def test_it_follows_its_equations(settings: dict[str, Any]) -> None:
    rng = np.random.default_rng(1)
    values = np.array([value(*rng.normal(0, 40, 4)) for _ in range(600)])
    flags = rng.choice([0, 0, 0, Flag.STALE, Flag.FAILSAFE, Flag.PAUSED, Flag.CATCH_UP, Flag.GAP], 600)
    made = stage(**settings)
    assert made.value.dtype == np.float32
    rows = []
    for row, flag in zip(values, flags, strict=True):
        made.step(row, int(flag))
        rows.append(made.value.copy())
    plan = plan_output(made.settings, OUTPUTS, WIDTH_S, "rig.toml")
    np.testing.assert_allclose(np.array(rows), reference(plan, values, flags), rtol=1e-6, atol=1e-6)


def test_position_control_is_the_affine_map() -> None:
    made = stage(control="position", matrix=((0.0, 2.0), (1.0, 0.0)), offset=(100.0, 200.0), units="px")
    made.step(value(x=3.0, y=4.0), 0)
    assert made.value.tolist() == [108.0, 203.0]
    assert (made.names, made.units) == (("x", "y"), ("px", "px"))


def test_velocity_is_integrated_per_second() -> None:
    made = stage(control="velocity", scale=10.0)
    for _ in range(50):
        made.step(value(vx=2.0, vy=-1.0), 0)
    np.testing.assert_allclose(made.value, [20.0, -10.0], rtol=1e-6)
    assert (made.names, made.units) == (("x", "y"), ("", ""))


def test_a_leak_returns_the_cursor_home() -> None:
    made = stage(control="velocity", leak_s=1.0, home=(5.0, 5.0))
    made.step(value(vx=1000.0), 0)
    away = float(made.value[0])
    for _ in range(50):
        made.step(value(), 0)
    assert made.value[0] - 5.0 == pytest.approx((away - 5.0) * math.exp(-1.0), rel=1e-4)


def test_the_drift_guard_removes_a_bias_but_not_a_movement() -> None:
    guarded, plain = stage(control="velocity", drift_s=5.0), stage(control="velocity")
    t = np.arange(0, 120, WIDTH_S)
    moves = 60 * np.sin(2 * np.pi * t)
    end = []
    for i in range(len(t)):
        for made in (guarded, plain):
            made.step(value(vx=4.0 + moves[i]), 0)
        end.append((float(guarded.value[0]), float(plain.value[0])))
    drifted = np.array(end[-1]) - np.array(end[len(end) // 2])
    assert drifted[1] == pytest.approx(4.0 * 60, rel=0.05)
    assert abs(drifted[0]) < 2.0
    last = np.array(end[-50:])
    assert np.ptp(last[:, 0]) == pytest.approx(np.ptp(last[:, 1] - 4.0 * t[-50:]), rel=0.1)


def test_fusion_follows_velocity_first_and_position_later() -> None:
    made = stage(control="fusion", fusion_s=0.5, home=(0.0, 0.0))
    made.step(value(vx=100.0), 0)
    assert made.value[0] == pytest.approx(2.0, rel=0.05)
    for _ in range(300):
        made.step(value(x=30.0), 0)
    assert made.value[0] == pytest.approx(30.0, rel=1e-3)


@pytest.mark.parametrize("flag", [Flag.STALE, Flag.FAILSAFE, Flag.PAUSED])
def test_an_untrusted_value_does_not_move_the_cursor(flag: Flag) -> None:
    made = stage(control="velocity", leak_s=1.0)
    made.step(value(vx=50.0), 0)
    held = made.value.copy()
    for _ in range(10):
        made.step(value(vx=50.0), int(flag | Flag.CATCH_UP))
    assert made.value.tolist() == held.tolist()
    made.reset()
    assert made.value.tolist() == [0.0, 0.0]


@given(
    st.lists(st.tuples(*[st.floats(-1e6, 1e6, width=32)] * 4), max_size=40),
    st.sampled_from([s for s in SETTINGS if "workspace" in s]),
)
def test_it_never_leaves_the_workspace(rows: list[tuple[float, ...]], settings: dict[str, Any]) -> None:
    made = stage(**settings)
    for row in rows:
        made.step(value(*row), 0)
        for got, (low, high) in zip(made.value, settings["workspace"], strict=True):
            assert low <= got <= high


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"contrl": "position"}, "did you mean control?"),
        ({}, "control"),
        ({"control": "speed"}, "speed"),
        ({"control": "velocity", "leak": 3.0}, "did you mean leak_s?"),
        ({"control": "velocity", "leak_s": 0.0}, "leak_s is 0.0; it must be above 0"),
        ({"control": "velocity", "leak_s": "soon"}, "leak_s"),
        ({"control": "velocity", "fusion_s": 1.0}, "fusion_s has no effect in velocity control"),
        ({"control": "position", "drift_s": 1.0}, "drift_s has no effect in position control"),
        ({"control": "velocity", "drift_max": 1.0}, "drift_max has no effect without drift_s"),
        ({"control": "fusion"}, "fusion_s is missing"),
        (
            {"control": "position", "scale": 2.0, "matrix": ((1.0, 0.0), (0.0, 1.0))},
            "scale and matrix are both set",
        ),
        ({"control": "position", "scale": (1.0, 2.0, 3.0)}, "scale has 3 numbers for 2 axes"),
        ({"control": "position", "scale": float("nan")}, "scale is nan; it must be finite"),
        ({"control": "position", "offset": (1.0,)}, "offset has 1 numbers for 2 axes"),
        ({"control": "position", "home": (1.0,)}, "home has 1 numbers for 2 axes"),
        ({"control": "position", "matrix": ((1.0,), (2.0,))}, "each row of matrix has 1 numbers for 2"),
        ({"control": "position", "matrix": ()}, "matrix has 0 numbers"),
        ({"control": "position", "workspace": ((0.0, 1.0),)}, "workspace has 1 numbers for 2 axes"),
        ({"control": "position", "workspace": ((1.0, 0.0), (0.0, 1.0))}, "low below high"),
        ({"control": "position", "position": ("x", "z")}, "no output 'z'"),
        (
            {"control": "position", "position": ("x", "x")},
            "position is ['x', 'x']; it must name each axis once",
        ),
        ({"control": "position", "names": ("a",)}, "names is ['a']; it must name 2 axes"),
        ({"control": "fusion", "fusion_s": 1.0, "velocity": ("vx",)}, "one velocity for each position"),
        ({"control": "velocity", "dead_zone_speed": -1.0}, "dead_zone_speed is -1.0; it must be 0 or above"),
    ],
)
def test_invalid_settings_are_refused_in_one_line(settings: dict[str, Any], words: str) -> None:
    with pytest.raises(RtdecodeError) as refusal:
        stage(**settings)
    assert words in str(refusal.value)
    assert "rig.toml" in str(refusal.value)
    assert "\n" not in str(refusal.value)
    assert refusal.value.fix


def test_a_model_without_the_needed_output_is_refused() -> None:
    with pytest.raises(RtdecodeError, match="needs a decoded velocity; the model decodes x, y"):
        OutputStage(OutputSettings(control="velocity"), (OUTPUTS[0], OUTPUTS[3]), WIDTH_S, "rig.toml")


def test_the_home_position() -> None:
    assert stage(control="velocity").value.tolist() == [0.0, 0.0]
    assert stage(control="position", scale=2.0, offset=(1.0, 1.0)).value.tolist() == [7.0, -3.0]
    assert stage(control="velocity", workspace=((0.0, 10.0), (2.0, 4.0))).value.tolist() == [5.0, 3.0]
    assert stage(control="velocity", home=(1.0, 2.0)).value.tolist() == [1.0, 2.0]
    assert stage(control="velocity", velocity=("vy",)).names == ("y",)
