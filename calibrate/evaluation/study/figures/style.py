"""Size, style, colours and labels shared by the study's figures."""

from __future__ import annotations

import io
from collections.abc import Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from rtdecode.calibrate.evaluation.study.rows import CAUSALITIES, Row, name_of

if TYPE_CHECKING:
    from matplotlib.figure import Figure

#: As in the paper: red is recorded, blue is decoded. Widths and dashes distinguish them without colours.
RECORDED, DECODED = "#c1272d", "#1b5fa8"

DPI = 150

STYLE: Mapping[str, Any] = MappingProxyType(
    {
        "font.family": "sans-serif",
        "font.size": 9,
        "axes.titlesize": 9,
        # Names from files may contain "$", which does not start a formula.
        "text.parse_math": False,
        "axes.spines.top": False,
        "axes.spines.right": False,
    }
)


def new_figure(width: float, height: float) -> Figure:
    """An empty figure, its size in inches; white on a dark page, too."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), facecolor="white")
    FigureCanvasAgg(figure)
    return figure


def png_of(figure: Figure) -> bytes:
    """The figure's PNG; the same figure gives the same bytes."""
    image = io.BytesIO()
    figure.savefig(image, dpi=DPI, format="png", metadata={"Software": None})
    return image.getvalue()


def what_of(row: Row) -> str:
    """A job's causality and kind."""
    return f"{CAUSALITIES.get(row['form'], row['form'])} {name_of(row)}"


def shortened(text: str, most: int = 34) -> str:
    """A name, shortened in its middle if it is too long for a title."""
    return text if len(text) <= most else f"{text[: most - 13]}…{text[-12:]}"
