"""What the study's figures have in common: size and style, colours, and words."""

from __future__ import annotations

import io
from collections.abc import Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from rtdecode.calibrate.evaluation.study.rows import FORMS, Row, name_of

if TYPE_CHECKING:
    from matplotlib.figure import Figure

#: As in the paper: red is recorded, blue is ours. Widths and dashes tell them apart without colours.
RECORDED, DECODED = "#c1272d", "#1b5fa8"

DPI = 150

STYLE: Mapping[str, Any] = MappingProxyType(
    {
        "font.family": "sans-serif",
        "font.size": 9,
        "axes.titlesize": 9,
        # Names come from files: "$" is no formula there.
        "text.parse_math": False,
        "axes.spines.top": False,
        "axes.spines.right": False,
    }
)


def new_figure(width: float, height: float) -> Figure:
    """An empty figure of so many inches, white in a dark page, too."""
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
    """A job's form and kind."""
    return f"{FORMS.get(row['form'], row['form'])} {name_of(row)}"


def shortened(text: str, most: int = 34) -> str:
    """A name, cut in its middle where it is too long for a title."""
    return text if len(text) <= most else f"{text[: most - 13]}…{text[-12:]}"
