"""Everything that `rtdecode evaluate` leaves of a study beside its results.json.

for name, data in study_files(rows, folder, About(command=…)).items():
    replace_file(folder / name, data)
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from rtdecode.calibrate.evaluation.study.csvfiles import results_csv, summary_csv
from rtdecode.calibrate.evaluation.study.figures.firing import firing_figure
from rtdecode.calibrate.evaluation.study.figures.scores import scores_figure
from rtdecode.calibrate.evaluation.study.figures.traces import raster_figure, traces_figure
from rtdecode.calibrate.evaluation.study.page import About, study_page
from rtdecode.calibrate.evaluation.study.rows import Row


def study_files(rows: Sequence[Row], folder: Path, about: About) -> dict[str, bytes]:
    """Files by name: results.csv, summary.csv, scores.png, figure-5.png to figure-7.png, report.html.

    A figure that no job left anything to draw for is not among them. The same rows, traces and words
    give the same bytes.

    Args:
        rows: of the finished jobs.
        folder: that the traces' paths start from.
        about: for the page.

    Raises:
        RtdecodeError: a trace cannot be read.
    """
    drawn = {
        "scores.png": scores_figure(rows),
        "figure-5.png": traces_figure(rows, folder),
        "figure-6.png": raster_figure(rows, folder),
        "figure-7.png": firing_figure(rows),
    }
    figures = {name: image for name, image in drawn.items() if image is not None}
    return {
        "results.csv": results_csv(rows).encode(),
        "summary.csv": summary_csv(rows).encode(),
        **figures,
        "report.html": study_page(rows, figures, about).encode(),
    }
