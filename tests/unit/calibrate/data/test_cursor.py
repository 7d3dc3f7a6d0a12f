"""Which cursor the subject saw."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from closed_loop_session import BIN_S, closed_loop, decoded

from rtdecode.calibrate.data.cursor import cursor_outputs, find_cursor
from rtdecode.calibrate.data.sessions import read_labelled
from rtdecode.errors import RtdecodeError
from rtdecode.session.layout import DecodedOut
from rtdecode.session.write import write_session


def test_the_cursor_is_the_output_stage_s_before_a_decoded_before_a_recorded_one() -> None:
    plain = closed_loop()
    out = DecodedOut(np.full((200, 2), 9.0, np.float32), ("x", "y"), ("mm", "mm"), {})
    for session, source, x in (
        (plain, "/behavior", 0.0),
        (decoded(plain, None), "/decoded/values", 3.0),
        (decoded(plain, out), "/decoded/out", 9.0),
        (decoded(plain, None, ("vx", "vy")), "/behavior", 0.0),
    ):
        cursor = find_cursor(session, {})
        assert (cursor.source, cursor.samples.names) == (source, ("x", "y"))
        assert (cursor.samples.values[:, 0] == x).all()
    # The units of decoded values are the outputs', where there is no behaviour of the name.
    alone = replace(decoded(plain, None), behavior=None)
    with pytest.raises(RtdecodeError, match="has no cursor position"):
        find_cursor(alone, {})
    assert find_cursor(alone, {"x": "mm", "y": "mm"}).samples.units == ("mm", "mm")


def test_the_displayed_cursor_is_preferred() -> None:
    plain = closed_loop()
    names = ("x", "y", "cursor_x", "cursor_y")
    beside_a_hand = replace(
        plain,
        behavior=replace(
            plain.behavior,
            values=np.tile(np.float32([1.0, 2.0, 5.0, 6.0]), (len(plain.behavior.time), 1)),
            names=names,
            units=("mm",) * 4,
        ),
    )
    for session in (beside_a_hand, decoded(beside_a_hand, None)):
        cursor = find_cursor(session, {})
        assert (cursor.source, cursor.samples.names) == ("/behavior on the screen", ("x", "y"))
        np.testing.assert_array_equal(cursor.samples.values[0], [5.0, 6.0])
        assert cursor.samples.units == ("mm", "mm")


def test_a_displayed_cursor_is_a_label_only_on_request(tmp_path: Path) -> None:
    plain = closed_loop()
    renamed = replace(plain.behavior, names=("x", "y", "cursor_x", "cursor_y"), units=("mm",) * 4)
    write_session(tmp_path / "run.h5", replace(plain, behavior=renamed))
    assert read_labelled(tmp_path / "run.h5", BIN_S).names == ("x", "y")
    assert read_labelled(tmp_path / "run.h5", BIN_S, ("cursor_x",)).names == ("cursor_x",)


def test_velocities_have_their_recorded_names() -> None:
    session = closed_loop()
    for names, expected in (
        (("x", "y", "vx", "vy"), ["vx", "vy"]),
        (("x", "y", "yvel", "x_vel"), ["x_vel", "yvel"]),
        (("x", "y", "speed", "vy"), ["vx", "vy"]),
    ):
        other = replace(session, behavior=replace(session.behavior, names=names))
        outputs = cursor_outputs(other, None)
        assert [output.name for output in outputs] == expected
        assert {(output.units, output.role) for output in outputs} == {("mm/s", "velocity")}
