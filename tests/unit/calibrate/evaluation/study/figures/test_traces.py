"""The study's figures: each shows its data, and missing data leaves out its own part only."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from matplotlib.figure import Figure

from rtdecode.calibrate.evaluation.study.figures import firing, scores, traces
from rtdecode.calibrate.evaluation.study.figures.firing import firing_figure
from rtdecode.calibrate.evaluation.study.figures.scores import scores_figure
from rtdecode.calibrate.evaluation.study.figures.style import DECODED, RECORDED
from rtdecode.calibrate.evaluation.study.figures.traces import raster_figure, traces_figure
from rtdecode.calibrate.evaluation.study.frames import study_frames
from rtdecode.calibrate.evaluation.study.rows import CROSS_DAY, DECODING, SIMULATION, SINGLE_DAY, Row, pick


@pytest.fixture
def drawn(monkeypatch: pytest.MonkeyPatch) -> list[Figure]:
    """Figures instead of their images, in the order of drawing."""
    figures: list[Figure] = []

    def kept(figure: Figure) -> bytes:
        figures.append(figure)
        return b"PNG"

    for module in (traces, firing, scores):
        monkeypatch.setattr(module, "png_of", kept)
    return figures


def words(figure: Figure) -> str:
    texts = [text.get_text() for text in figure.texts]
    for legend in figure.legends:
        texts += [text.get_text() for text in legend.get_texts()]
    for axis in figure.axes:
        texts += [axis.get_title(loc="left"), axis.get_xlabel(), axis.get_ylabel()]
        texts += [text.get_text() for text in (*axis.texts, *axis.get_yticklabels())]
    return "\n".join(texts)


def test_figure_five_shows_what_was_recorded_and_decoded(
    folder: Path, rows: list[Row], drawn: list[Figure]
) -> None:
    traces_figure(rows, folder)
    (figure,) = drawn
    assert len(figure.axes) == 12
    text = words(figure)
    assert "single-day: causal alignnet" in text
    assert "decoded, causal alignnet" in text
    assert "decoded, offline alignnet" in text
    jobs = {row["job"]: row for row in rows}
    for above, below in zip(figure.axes[::2], figure.axes[1::2], strict=True):
        assert (above.get_ylabel(), below.get_ylabel()) == ("x", "y")
        assert [line.get_color() for line in above.lines[:2]] == [RECORDED, DECODED]
        assert 2.0 <= np.ptp(above.lines[0].get_xdata()) <= 10.0
        name, printed = above.get_title(loc="left").split("\n")
        session, seed = name.split(", seed ")
        alike = [
            row
            for row in pick(jobs.values(), direction=DECODING, split="chronological")
            if row["kind"] == "alignnet" and row["test"] == [session] and row["seed"] == int(seed)
        ]
        expected = {f"{row['form']} {row['r2'][0]:.2f} {row['r2'][1]:.2f}" for row in alike}
        assert all(part in expected for part in printed.removeprefix("R² of x, y: ").split("; "))


def test_figure_six_shows_a_hundred_bins_of_all_channels(
    folder: Path, rows: list[Row], drawn: list[Figure]
) -> None:
    raster_figure(rows, folder)
    (figure,) = drawn
    images = [axis.images[0].get_array() for axis in figure.axes]
    assert [image.shape for image in images] == [(20, 100)] * 12
    assert "simulated (expected spikes)" not in words(figure)
    for recorded, simulated in zip(figure.axes[::2], figure.axes[1::2], strict=True):
        assert recorded.images[0].get_clim() == simulated.images[0].get_clim()
    # The axis names rates as expected spikes.
    row = pick(rows, direction=SIMULATION, protocol=SINGLE_DAY, name="alignnet")[0]
    path = folder / "jobs" / "rates.npz"
    t_s = np.arange(150) * row["bin_width_s"]
    np.savez(path, t_s=t_s, values=np.full((150, 20), 0.3, "f4"), targets=np.ones((150, 20), "f4"))
    raster_figure([{**row, "trace": "jobs/rates.npz"}], folder)
    assert "simulated (expected spikes)" in words(drawn[1])
    # A protocol that is not in the rows takes no space, and one without traces is named.
    assert "cross-day" not in words(drawn[1])
    assert drawn[1].get_figheight() < 0.6 * figure.get_figheight()
    across = pick(rows, direction=SIMULATION, protocol=CROSS_DAY)[0]
    raster_figure([{**row, "trace": "jobs/rates.npz"}, {**across, "trace": None}], folder)
    assert "cross-day: no job has a trace" in words(drawn[2])


def test_figure_seven_has_every_channel_in_a_group_of_eight(rows: list[Row], drawn: list[Figure]) -> None:
    firing_figure(rows)
    (figure,) = drawn
    groups = [axis for axis in figure.axes if axis.patches]
    assert [len(axis.patches) for axis in groups] == [16, 16, 8] * 2
    scatters = [axis for axis in figure.axes if not axis.patches]
    for axis, protocol, title in zip(
        scatters, (SINGLE_DAY, CROSS_DAY), ("4 sessions", "2 sessions"), strict=True
    ):
        jobs = [
            row
            for row in pick(
                rows, protocol=protocol, direction=SIMULATION, split="chronological", causality="causal"
            )
            if row["kind"] == "alignnet" and row["base"] is None
        ]
        recorded = np.concatenate([np.array(row["firing"]["recorded"]) for row in jobs if row["firing"]])
        simulated = np.concatenate([np.array(row["firing"]["simulated"]) for row in jobs if row["firing"]])
        points = np.array(axis.lines[1].get_data())
        assert sorted(map(tuple, points.T)) == sorted(zip(recorded, simulated, strict=True))
        assert (
            f"{title}, {len(jobs)} jobs: r = {np.corrcoef(recorded, simulated)[0, 1]:.2f}"
            in axis.get_title(loc="left")
        )
    lengths = [patch.get_width() for axis in groups[:3] for patch in axis.patches]
    example = next(
        row
        for row in pick(rows, protocol=SINGLE_DAY, direction=SIMULATION, causality="causal", name="alignnet")
        if row["firing"] is not None and set(row["firing"]["recorded"]) <= set(lengths)
        and set(row["firing"]["simulated"]) <= set(lengths)
    )  # fmt: skip
    assert example["test"][0] in words(figure)


def test_scores_have_a_dot_for_each_session(rows: list[Row], drawn: list[Figure]) -> None:
    failed: list[Row] = [
        {**row, "r2_mean": -7.5} if row["kind"] == "gru" and row["test"] == ["indy_20161026_03"] else row
        for row in rows
    ]
    scores_figure(study_frames(failed))
    (figure,) = drawn
    titles = [axis.get_title(loc="left").split(",")[0] for axis in figure.axes]
    assert titles == ["single-day R²", "single-day PCC", "cross-day R²", "cross-day PCC"]
    names = [label.get_text() for label in figure.axes[0].get_yticklabels()]
    assert names == ["gru", "alignnet", "alignnet, pretrained"]
    # A failure is printed at the edge and does not flatten the others.
    assert "◂ -7.50" in words(figure)
    assert figure.axes[0].get_xlim()[0] >= -0.3
    dots = [line for line in figure.axes[1].lines if line.get_marker() == "o" and line.get_ydata()[0] < 0.5]
    assert [len(line.get_xdata()) for line in dots] == [4]


def test_nothing_is_drawn_without_data(folder: Path, rows: list[Row]) -> None:
    bare: list[Row] = [{**row, "trace": None, "firing": None} for row in rows]
    assert traces_figure(bare, folder) is None
    assert raster_figure(bare, folder) is None
    assert firing_figure(bare) is None
    assert scores_figure(study_frames([])) is None


def test_names_from_files_are_not_formulas_and_one_output_is_enough(
    folder: Path, rows: list[Row], drawn: list[Figure]
) -> None:
    row = pick(rows, direction=DECODING, protocol=SINGLE_DAY, name="alignnet", causality="causal")[0]
    t_s = np.arange(100) * row["bin_width_s"]
    column: Any = np.sin(t_s).astype("f4")[:, None]
    np.savez(folder / "jobs" / "one.npz", t_s=t_s, values=column, targets=column)
    strange: Row = {
        **row, "test": ["$\\frac{<b>"], "outputs": ["$^$"], "r2": [None], "pcc": [None],
        "trace": "jobs/one.npz",
    }  # fmt: skip
    assert traces_figure([strange], folder) == b"PNG"
    assert "$\\frac{<b>" in words(drawn[0])
    drawn[0].savefig(io.BytesIO(), format="png")
