"""The value that is published instead of the decoder's: positions held, velocities zero."""

from __future__ import annotations

from typing import get_args

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rtdecode.artifact import Output, Role
from rtdecode.failsafe import HELD, FailSafe
from rtdecode.messages import Flag

OUTPUTS = (
    Output("x", "mm", 12.5, 3.0, "position"),
    Output("vx", "mm/s", 7.0, 9.0, "velocity"),
    Output("grip", "N", -2.0, 1.0, "other"),
)


def decoded(*values: float) -> np.ndarray[tuple[int], np.dtype[np.float32]]:
    return np.array(values, np.float32)


def test_every_role_is_covered_here() -> None:
    assert {output.role for output in OUTPUTS} == set(get_args(Role))


def test_the_first_value_is_the_mean_without_movement() -> None:
    failsafe = FailSafe(OUTPUTS)
    assert failsafe.value.tolist() == [12.5, 0.0, -2.0]
    assert failsafe.value.dtype == np.float32
    assert failsafe.apply(None, 0) == 0
    assert failsafe.value.tolist() == [12.5, 0.0, -2.0]


@pytest.mark.parametrize("flags", [Flag.FAILSAFE, Flag.PAUSED, Flag.FAILSAFE | Flag.PAUSED | Flag.STALE])
def test_held_positions_stay_and_velocities_are_zero(flags: Flag) -> None:
    failsafe = FailSafe(OUTPUTS)
    failsafe.apply(decoded(1, 2, 3), 0)
    for _ in range(3):
        assert failsafe.apply(decoded(7, 8, 9), flags) == flags
        assert failsafe.value.tolist() == [1, 0, 3]
    assert failsafe.apply(decoded(7, 8, 9), 0) == 0
    assert failsafe.value.tolist() == [7, 8, 9]
    assert int(Flag.FAILSAFE | Flag.PAUSED) == HELD


def test_flags_are_plain_integers() -> None:
    # msgpack and HDF5 have no IntFlag.
    assert type(FailSafe(OUTPUTS).apply(decoded(1, 2, 3), Flag.STALE)) is int


def test_the_decoders_own_array_may_be_reused() -> None:
    failsafe, value = FailSafe(OUTPUTS), decoded(1, 2, 3)
    failsafe.apply(value, 0)
    value[:] = 99
    assert failsafe.value.tolist() == [1, 2, 3]


VALUES = st.none() | st.lists(st.floats(width=32), min_size=3, max_size=3)


@given(st.lists(st.tuples(VALUES, st.integers(0, 63)), max_size=30))
def test_only_finite_values_are_published_and_unchanged(bins: list[tuple[list[float] | None, int]]) -> None:
    failsafe, held = FailSafe(OUTPUTS), [12.5, 0.0, -2.0]
    for value, flags in bins:
        out = failsafe.apply(None if value is None else decoded(*value), flags)
        if value is not None and np.isfinite(value).all() and not flags & HELD:
            held = decoded(*value).tolist()
            assert failsafe.value.tolist() == held
        else:
            assert failsafe.value.tolist() == [held[0], 0.0, held[2]]
        broken = value is not None and not np.isfinite(value).all()
        assert out == (flags | Flag.FAILSAFE if broken else flags)
