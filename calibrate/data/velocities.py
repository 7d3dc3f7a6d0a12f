"""Pair decoded positions with their decoded velocities, by name."""

from __future__ import annotations

from collections.abc import Sequence

from rtdecode.artifact import Output


def velocity_columns(outputs: Sequence[Output]) -> dict[int, int | None]:
    """For each output that is a position, the column of its velocity; None where that is not decoded.

    Names of x's velocity: vx, v_x, dx, xvel, x_vel, velx or vel_x; of pos_x or xpos, also the names with
    "vel" for "pos".
    """
    velocities = {
        _plain(output.name): column for column, output in enumerate(outputs) if output.role == "velocity"
    }
    pairs: dict[int, int | None] = {}
    for column, output in enumerate(outputs):
        if output.role == "position":
            name = _plain(output.name)
            candidates = [f"v{name}", f"d{name}", f"{name}vel", f"vel{name}", name.replace("pos", "vel")]
            pairs[column] = next((velocities.pop(other) for other in candidates if other in velocities), None)
    return pairs


def _plain(name: str) -> str:
    return name.strip().lower().replace("_", "").replace("velocity", "vel").replace("position", "pos")
