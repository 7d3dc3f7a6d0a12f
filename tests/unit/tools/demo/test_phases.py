"""A demo's phases: each has its own trials and bins, and its scores agree with the session file."""

from __future__ import annotations

import math
from pathlib import Path

import matplotlib.image
import numpy as np
import pytest

from rtdecode.errors import RtdecodeError
from rtdecode.messages import Flag
from rtdecode.monitor.state import MonitorState
from rtdecode.session.layout import Session
from rtdecode.tools.capture import Cursors, Received
from rtdecode.tools.demo.figure import caption, draw_demo
from rtdecode.tools.demo.phases import score_phase, swapped_at, trials_between
from rtdecode.tools.demo.view import page
from rtdecode.tools.simulator.experiment import Experiment, Record, SimulatedDay
from rtdecode.tools.simulator.scores import score_session
from rtdecode.tools.simulator.task import TaskSettings

ORIGIN_S, BIN_TICKS = 1000.0, 20
OUTPUTS = ("x", "y", "vx", "other")


@pytest.fixture(scope="module")
def session() -> Session:
    """A subject that sees its own hand for 16 s, and then a cursor that it does not control."""
    experiment = Experiment(SimulatedDay(task=TaskSettings(timeout_s=2.0)))
    record = Record(experiment, "run")
    while experiment.tick < 24_000:
        alone = -60.0, 60.0 * math.cos(experiment.tick / 400)
        cursor = experiment.subject.hand if experiment.tick < 16_000 else alone
        record.add(experiment.advance(experiment.tick + BIN_TICKS, cursor))
    return record.session(ORIGIN_S)


@pytest.fixture(scope="module")
def cursors(session: Session) -> Cursors:
    """A daemon that decodes x and y exactly, vx badly, and another model from 16 s on."""
    behavior = session.behavior
    t_bin = ORIGIN_S + 0.02 * (1 + np.arange(1190))
    n = len(t_bin)
    hand = np.stack([np.interp(t_bin, behavior.time, behavior.values[:, i]) for i in range(2)], axis=1)
    flags = np.zeros(n, np.uint32)
    flags[799] = Flag.SWAPPED
    return Cursors(
        seq=np.arange(n) + 7,
        bin=np.arange(n),
        t_bin=t_bin,
        received_s=t_bin + np.where(np.arange(n) % 2, 0.003, 0.001),
        values=np.concatenate([hand, np.zeros((n, 1)), np.ones((n, 1))], axis=1).astype("f4"),
        flags=flags,
        models=np.where(np.arange(n) < 799, "aaaaaaaa", "bbbbbbbb"),
    )


def test_phases_split_the_trials_at_the_swap(session: Session, cursors: Cursors) -> None:
    swap_s = swapped_at(cursors)
    assert swap_s == pytest.approx(ORIGIN_S + 16.0)
    before, after = trials_between(session, -np.inf, swap_s), trials_between(session, swap_s, np.inf)
    over = (session.trials.start < swap_s) & (session.trials.stop > swap_s)
    assert len(before.trials.start) + len(after.trials.start) + over.sum() == len(session.trials.start)
    first, later = (score_phase("p", each, cursors, OUTPUTS) for each in (before, after))
    scores = score_session(before)
    assert (first.trials, first.success) == (scores.trials, scores.success)
    assert first.acquisition_time_s == scores.acquisition_time_s
    assert (first.bits_per_s, first.achieved_bits_per_s) == (scores.bits_per_s, scores.achieved_bits_per_s)
    assert first.success > 0.9
    assert (later.success, later.acquisition_time_s) == (0.0, None)
    assert later.trials >= 2
    assert (first.model, later.model) == ("aaaaaaaa", "bbbbbbbb")


def test_a_phase_is_scored_on_its_own_bins(session: Session, cursors: Cursors) -> None:
    phase = score_phase("p", session, cursors, OUTPUTS)
    assert phase.r2[:2] == [pytest.approx(1.0, abs=1e-3)] * 2
    assert phase.r2[2] < 0.1
    assert phase.r2[3] is None
    assert phase.latency_ms["p50"] in (1.0, 2.0, 3.0)
    assert phase.latency_ms["p99"] == pytest.approx(3.0)
    span_s = session.trials.stop[-1] - session.trials.start[0]
    assert phase.bins == pytest.approx(min(span_s / 0.02, 1190), abs=2)
    assert (phase.flagged, phase.missing) == (1, 0)
    held = Cursors(**{**vars(cursors), "flags": np.full(1190, Flag.PAUSED, np.uint32)})
    with pytest.raises(RtdecodeError, match="no cursor was received"):
        score_phase("p", session, held, OUTPUTS)
    with pytest.raises(RtdecodeError, match="no trial ended"):
        score_phase("p", trials_between(session, np.inf, np.inf), cursors, OUTPUTS)
    with pytest.raises(RtdecodeError, match="no cursor of the new model"):
        swapped_at(cursors.between(0.0, ORIGIN_S + 10.0))


def test_missing_cursors_are_counted(tmp_path: Path) -> None:
    message = {"t_bin": 1.0, "value": [1.0, 2.0], "flags": 0, "model": "0123abcd"}
    received = Received([{**message, "seq": seq, "bin": seq} for seq in (4, 5, 8)], [1.1, 1.2, 1.3])
    cursors = Cursors.of(received)
    assert (len(cursors), cursors.missing()) == (3, 2)
    cursors.save(tmp_path / "c.npz")
    again = Cursors.load(tmp_path / "c.npz")
    for name, column in vars(cursors).items():
        np.testing.assert_array_equal(getattr(again, name), column)
    assert (len(Cursors.of(Received())), Cursors.of(Received()).missing()) == (0, 0)


def test_the_figure_has_a_panel_for_each_phase(session: Session, cursors: Cursors, tmp_path: Path) -> None:
    swap_s = swapped_at(cursors)
    sessions = [trials_between(session, -np.inf, swap_s), trials_between(session, swap_s, np.inf)]
    phases = [score_phase(name, each, cursors, OUTPUTS) for name, each in zip("ab", sessions, strict=True)]
    assert f"0 % of {phases[1].trials} targets" in caption(phases[1])
    draw_demo(tmp_path / "demo.png", phases, sessions)
    picture = matplotlib.image.imread(tmp_path / "demo.png")[..., :3]
    left, right = np.split(picture, [picture.shape[1] // 2], axis=1)

    def inked(half: np.ndarray, channel: int) -> int:
        """Number of pixels dominated by one colour."""
        return int((half[..., channel] > np.delete(half, channel, axis=-1).max(axis=-1) + 0.15).sum())

    # Blue for successful trials, red for timeouts.
    assert inked(left, 2) > 500
    assert inked(right, 0) > 20
    assert inked(right, 2) == 0


@pytest.mark.parametrize("size", [(80, 24), (200, 60), (20, 5), (9, 2)])
def test_the_view_fits_the_terminal_and_shows_the_last_lines(size: tuple[int, int]) -> None:
    given = ("serving sim", "day 0: a simulated subject", "day 30: the tuning has drifted")
    drawn = page(given, MonitorState("tcp://127.0.0.1:5556"), 0.0, *size, True)
    lines = ["".join(part.text for part in line) for line in drawn]
    assert len(lines) <= size[1]
    assert all(len(line) <= size[0] for line in lines)
    shown = [line for line in lines if line.startswith(("serving", "day"))]
    assert shown == list(given) if size[1] > 40 else len(shown) == 1
    assert given[-1].startswith(shown[-1].rstrip(".")[:5])
