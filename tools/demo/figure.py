"""The figure of a demo: cursor trajectories in each of its phases."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from rtdecode.session.layout import Session
from rtdecode.tools.demo.phases import Phase
from rtdecode.tools.simulator.scores import percent, screen_cursor

if TYPE_CHECKING:
    from matplotlib.axes import Axes

#: Half the width of a panel, mm.
EDGE_MM = 125.0

SUCCESS, FAILURE, TARGET = "#1b6ca8", "#c1272d", "#888888"


def draw_demo(path: Path, phases: Sequence[Phase], sessions: Sequence[Session]) -> None:
    """Write the figure as a PNG, one panel per phase.

    Args:
        path: file to write.
        phases: N phases.
        sessions: N sessions, each with the trials of its phase and the cursor on the screen.
    """
    from matplotlib.figure import Figure

    figure = Figure(figsize=(3.4 * len(phases), 4.2), dpi=150, layout="constrained")
    for axes, phase, session in zip(figure.subplots(1, len(phases)), phases, sessions, strict=True):
        _draw_phase(axes, phase, session)
    figure.supxlabel("cursor while a target was shown: blue successful trials, red timeouts", fontsize=9)
    figure.savefig(path, format="png")


def _draw_phase(axes: Axes, phase: Phase, session: Session) -> None:
    from matplotlib.patches import Circle

    trials, behavior = session.trials, session.behavior
    assert trials is not None
    assert behavior is not None
    cursor = screen_cursor(behavior)
    targets = {
        (*map(float, target), float(radius))
        for target, radius in zip(trials.columns["target"], trials.columns["radius"], strict=True)
    }
    for x, y, radius in sorted(targets):
        axes.add_patch(Circle((x, y), radius, fill=False, edgecolor=TARGET, linewidth=1.2))
    first, end = np.searchsorted(behavior.time, [trials.start, trials.stop])
    for a, b, success in zip(first, end, trials.columns["success"], strict=True):
        axes.plot(*cursor[a:b].T, color=SUCCESS if success else FAILURE, linewidth=0.9, alpha=0.8)
    axes.set(xlim=(-EDGE_MM, EDGE_MM), ylim=(-EDGE_MM, EDGE_MM), aspect="equal", xticks=[], yticks=[])
    axes.set_title(caption(phase), fontsize=10)


def caption(phase: Phase) -> str:
    """Title of a panel."""
    acquired = "" if phase.acquisition_time_s is None else f", {phase.acquisition_time_s:.2f} s each"
    return f"{phase.name}\n{percent(phase.success)} of {phase.trials} targets{acquired}"
