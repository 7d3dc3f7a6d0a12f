"""The picture that a demo leaves: where the cursor went in each of its phases."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from rtdecode.session.layout import Session
from rtdecode.tools.demo.phases import Phase
from rtdecode.tools.simulator.scores import CURSOR_NAMES

if TYPE_CHECKING:
    from matplotlib.axes import Axes

#: Of the picture, mm from the middle.
EDGE_MM = 125.0

WON, FAILED, TARGET = "#1b6ca8", "#c1272d", "#888888"


def draw_demo(path: Path, phases: Sequence[Phase], sessions: Sequence[Session]) -> None:
    """Write the picture, a PNG.

    Args:
        path: of the file.
        phases: N.
        sessions: N, with the trials of each phase and the cursor on the screen.
    """
    from matplotlib.figure import Figure

    figure = Figure(figsize=(3.4 * len(phases), 4.2), dpi=150, layout="constrained")
    for place, phase, session in zip(figure.subplots(1, len(phases)), phases, sessions, strict=True):
        _draw_phase(place, phase, session)
    figure.supxlabel(
        "cursor from a target's coming to its going: blue where it was held, red where time ran out",
        fontsize=9,
    )
    figure.savefig(path, format="png")


def _draw_phase(place: Axes, phase: Phase, session: Session) -> None:
    from matplotlib.patches import Circle

    trials, behavior = session.trials, session.behavior
    assert trials is not None
    assert behavior is not None
    cursor = behavior.values[:, [behavior.names.index(name) for name in CURSOR_NAMES]]
    shown = {
        (*map(float, target), float(radius))
        for target, radius in zip(trials.columns["target"], trials.columns["radius"], strict=True)
    }
    for x, y, radius in sorted(shown):
        place.add_patch(Circle((x, y), radius, fill=False, edgecolor=TARGET, linewidth=1.2))
    first, end = np.searchsorted(behavior.time, [trials.start, trials.stop])
    for a, b, won in zip(first, end, trials.columns["success"], strict=True):
        place.plot(*cursor[a:b].T, color=WON if won else FAILED, linewidth=0.9, alpha=0.8)
    place.set_xlim(-EDGE_MM, EDGE_MM)
    place.set_ylim(-EDGE_MM, EDGE_MM)
    place.set_aspect("equal")
    place.set_xticks([])
    place.set_yticks([])
    place.set_title(caption(phase), fontsize=10)


def caption(phase: Phase) -> str:
    """What stands above a panel."""
    success = "–" if phase.success is None else f"{100 * phase.success:.0f} % of {phase.trials} targets"
    acquired = "" if phase.acquisition_time_s is None else f", {phase.acquisition_time_s:.2f} s each"
    return f"{phase.name}\n{success}{acquired}"
