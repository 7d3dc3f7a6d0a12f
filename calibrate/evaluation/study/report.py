"""All files of a study beside its results.json.

for name, data in study_files(study_frames(rows), folder, About(command=…)).items():
    replace_file(folder / name, data)
"""

from __future__ import annotations

from pathlib import Path

from rtdecode.calibrate.evaluation.study.figures.firing import firing_figure
from rtdecode.calibrate.evaluation.study.figures.scores import scores_figure
from rtdecode.calibrate.evaluation.study.figures.traces import raster_figure, traces_figure
from rtdecode.calibrate.evaluation.study.frames import StudyFrames
from rtdecode.calibrate.evaluation.study.page import About, study_page


def study_files(frames: StudyFrames, folder: Path, about: About) -> dict[str, bytes]:
    """Files by name: results.csv, summary.csv, scores.png, figure-5.png to figure-7.png, report.html.

    A figure without data is left out. The same rows, traces and texts give the same bytes.

    Args:
        frames: of the finished jobs.
        folder: that the traces' paths are relative to.
        about: for the page.

    Raises:
        RtdecodeError: a trace cannot be read.
    """
    rows = frames.rows
    drawn = {
        "scores.png": scores_figure(frames),
        "figure-5.png": traces_figure(rows, folder),
        "figure-6.png": raster_figure(rows, folder),
        "figure-7.png": firing_figure(rows),
    }
    figures = {name: image for name, image in drawn.items() if image is not None}
    return {
        "results.csv": frames.results_csv().encode(),
        "summary.csv": frames.summary_csv().encode(),
        **figures,
        "report.html": study_page(frames, figures, about).encode(),
    }
