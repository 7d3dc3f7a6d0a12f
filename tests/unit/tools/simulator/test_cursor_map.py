"""Which columns of a message are the cursor, and its position."""

from __future__ import annotations

import pytest

from rtdecode.errors import RtdecodeError
from rtdecode.tools.simulator.cursor_map import CursorMap, CursorSource, choose_source

XYV = (("vx", "x", "y", "vy"), ("mm/s", "mm", "mm", "mm/s"))


def choose(
    names: tuple[str, ...], units: tuple[str, ...], out: tuple[str, ...] = (), out_units: tuple[str, ...] = ()
) -> CursorSource:
    return choose_source(names, units, out, out_units, "tcp://here:1")


def test_the_output_stage_comes_before_positions_before_velocities() -> None:
    assert choose(*XYV, ("x", "y", "grip"), ("mm", "mm", "")) == CursorSource("out", 0, 1)
    assert choose(*XYV) == CursorSource("position", 1, 2)
    assert choose(("vx", "x", "vy"), ("mm/s", "mm", "mm/s")) == CursorSource("velocity", 0, 2)


@pytest.mark.parametrize(
    ("given", "match"),
    [
        ((("grip", "x"), ("", "mm")), "decodes grip, x, which has neither two positions nor two velocities"),
        ((("x", "y"), ("cm", "cm")), "the cursor is in 'cm', but the task is in mm"),
        ((("vx", "vy"), ("m/s", "m/s")), "the cursor is in 'm/s', but the task is in mm/s"),
        ((*XYV, ("x", "y"), ("px", "px")), "the cursor is in 'px', but the task is in mm"),
        ((*XYV, ("x",), ("mm",)), "the output stage has one axis"),
    ],
)
def test_outputs_that_the_task_cannot_show_are_refused(
    given: tuple[tuple[str, ...], ...], match: str
) -> None:
    with pytest.raises(RtdecodeError, match=match):
        choose(*given)


def test_positions_are_used_and_end_at_the_edge() -> None:
    cursor = CursorMap(CursorSource("position", 1, 2), 100.0)
    assert cursor.position == (0.0, 0.0)
    assert cursor.update([9.0, 1.0, -2.0], None, 0.02) == (1.0, -2.0)
    assert cursor.update([9.0, 1000.0, -1000.0], None, 0.02) == (100.0, -100.0)


def test_velocities_are_integrated_over_the_elapsed_time() -> None:
    cursor = CursorMap(CursorSource("velocity", 0, 1), 100.0)
    for _ in range(50):
        cursor.update([30.0, -10.0], None, 0.02)
    assert cursor.position == pytest.approx((30.0, -10.0))
    # Three bins at once: two messages were missed.
    cursor.update([30.0, -10.0], None, 0.06)
    assert cursor.position == pytest.approx((31.8, -10.6))
    for _ in range(200):
        cursor.update([30.0, 0.0], None, 0.02)
    cursor.update([-50.0, 0.0], None, 0.02)
    # No wind-up beyond the edge.
    assert cursor.position[0] == pytest.approx(99.0)
    cursor.reset()
    assert cursor.position == (0.0, 0.0)


def test_a_message_without_the_columns_moves_nothing() -> None:
    cursor = CursorMap(CursorSource("out", 0, 1), 100.0)
    assert cursor.update([1.0, 2.0], [3.0, 4.0], 0.02) == (3.0, 4.0)
    assert cursor.update([1.0, 2.0], None, 0.02) is None
    assert cursor.update([1.0, 2.0], [5.0], 0.02) is None
    assert cursor.position == (3.0, 4.0)


def test_another_centre_moves_the_start_and_the_edges() -> None:
    cursor = CursorMap(CursorSource("velocity", 0, 1), 100.0, (10.0, 60.0))
    assert cursor.position == (10.0, 60.0)
    assert cursor.update([50.0, -20.0], None, 1.0) == (60.0, 40.0)
    assert cursor.update([1e3, -1e3], None, 1.0) == (110.0, -40.0)
    cursor.reset()
    assert cursor.position == (10.0, 60.0)
