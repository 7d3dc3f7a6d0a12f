"""All files of a study, with figures that are not blank."""

from __future__ import annotations

import base64
import io
from pathlib import Path

import pytest
from matplotlib.image import imread

from rtdecode.calibrate.evaluation.study.figures.scores import scores_figure
from rtdecode.calibrate.evaluation.study.frames import StudyFrames, study_frames
from rtdecode.calibrate.evaluation.study.page import About
from rtdecode.calibrate.evaluation.study.report import study_files
from rtdecode.calibrate.evaluation.study.rows import DECODING, Row, pick


@pytest.fixture(scope="module")
def files(folder: Path, frames: StudyFrames) -> dict[str, bytes]:
    return study_files(frames, folder, About(command="rtdecode study"))


def test_all_files_are_written_and_the_page_holds_the_figures(
    files: dict[str, bytes], frames: StudyFrames
) -> None:
    assert list(files) == [
        "results.csv", "summary.csv", "scores.png", "figure-5.png", "figure-6.png", "figure-7.png",
        "report.html",
    ]  # fmt: skip
    for name, data in files.items():
        if name.endswith(".png"):
            assert base64.b64encode(data) in files["report.html"]
    assert files["results.csv"].decode() == frames.results_csv()
    assert files["summary.csv"].decode() == frames.summary_csv()
    assert files["scores.png"] == scores_figure(frames)


@pytest.mark.parametrize("name", ["scores.png", "figure-5.png", "figure-6.png", "figure-7.png"])
def test_an_image_is_large_and_not_blank(files: dict[str, bytes], name: str) -> None:
    pixels = imread(io.BytesIO(files[name]), format="png")[..., :3]
    assert pixels.shape[1] > 1500
    assert pixels.shape[0] > 700
    dark = pixels.min(axis=2) < 0.7
    assert 0.005 < dark.mean() < 0.5
    # Each quarter shows something.
    half_y, half_x = pixels.shape[0] // 2, pixels.shape[1] // 2
    quarters = [dark[y : y + half_y, x : x + half_x] for y in (0, half_y) for x in (0, half_x)]
    assert all(quarter.mean() > 0.002 for quarter in quarters)


def test_a_study_with_one_job_has_fewer_figures(tmp_path: Path, rows: list[Row]) -> None:
    begun = pick(rows, direction=DECODING, name="gru")[:1]
    files = study_files(study_frames(begun), tmp_path, About(command="x"))
    assert list(files) == ["results.csv", "summary.csv", "scores.png", "report.html"]
    assert list(study_files(study_frames([]), tmp_path, About(command="x"))) == [
        "results.csv",
        "summary.csv",
        "report.html",
    ]
