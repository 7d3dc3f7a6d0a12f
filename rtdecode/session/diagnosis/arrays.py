"""Whether an array is what the format says: numbers, integers of a range, of so many dimensions."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from rtdecode.errors import RtdecodeError
from rtdecode.session.schema import DOCS

#: Columns that a message lists by number.
MOST_NAMED = 3


def as_integers(values: NDArray[Any], dtype: DTypeLike, where: str) -> NDArray[Any]:
    """`values` of any numeric type as `dtype`, without loss.

    Raises:
        RtdecodeError: text, NaN, fractions, or numbers outside `dtype`'s range.
    """
    target = np.dtype(dtype)
    if values.dtype == target:
        return values
    check_numeric(values, where)
    if values.size == 0:
        return values.astype(target)
    limits = np.iinfo(target)
    inside = (values >= limits.min) & (values <= limits.max)
    fitting = inside & (values == np.floor(values)) if values.dtype.kind == "f" else inside
    if fitting.all():
        return values.astype(target)
    finite = np.isfinite(values)
    fraction = finite & (values != np.floor(values))
    no_number, outside = "store integers, such as 0 for no spikes", f"outside {limits.min} to {limits.max},"
    exported = "correct what exported the recording"
    wrong = (
        ("NaN", np.isnan(values), no_number),
        ("infinity", np.isinf(values), no_number),
        ("{}, not an integer,", fraction, "store integers, such as counts instead of rates"),
        (f"{{}}, {outside}", finite & ~fraction & (values < limits.min), exported),
        (f"{{}}, {outside}", finite & ~fraction & (values > limits.max), exported),
    )
    found = [(what.format(_number(values[at].flat[0])), at, fix) for what, at, fix in wrong if at.any()]
    told = "; ".join(places(what, at) for what, at, _ in found)
    raise RtdecodeError(f"holds {told}", where=where, fix=found[0][2])


def _number(value: np.generic) -> str:
    return f"{value:g}" if isinstance(value, np.floating) else str(value)


def places(what: str, mask: NDArray[np.bool_]) -> str:
    """Where in an array something is and how often: in a list from which row, in a table in which columns."""
    if mask.ndim != 2:
        return f"{what} at row {int(mask.argmax())} ({int(mask.sum()):,} of {mask.size:,} values)"
    return in_columns(what, mask.sum(axis=0))


def in_columns(what: str, n: NDArray[np.integer[Any]]) -> str:
    """Such as "NaN in columns 0, 5, 7 and 2 more (12 values)".

    Args:
        what: is there.
        n: number of such values in each column.
    """
    columns, total = np.flatnonzero(n), int(n.sum())
    named = ", ".join(map(str, columns[:MOST_NAMED]))
    if len(columns) > MOST_NAMED:
        named += f" and {len(columns) - MOST_NAMED} more"
    return f"{what} in column{'s' * (len(columns) > 1)} {named} ({total:,} value{'s' * (total != 1)})"


def check_numeric(values: NDArray[Any], where: str) -> None:
    """Refuse an array of anything but numbers."""
    if values.dtype.kind not in "iufb":
        raise RtdecodeError(
            f"holds {values.dtype}, not numbers", where=where, fix=f"store numbers of the dtype in {DOCS}"
        )


def check_dimensions(values: NDArray[Any], n: int, where: str) -> None:
    """Refuse an array that has not `n` dimensions."""
    if values.ndim != n:
        raise RtdecodeError(f"has shape {values.shape}", where=where, fix=f"store a {n}-dimensional array")


def check_finite(values: NDArray[Any], shape: tuple[int, ...], where: str) -> None:
    """Refuse an array that is not finite numbers of this shape."""
    check_numeric(values, where)
    if values.shape != shape or not np.isfinite(values).all():
        what = f"has shape {values.shape}" if values.shape != shape else "holds NaN or infinity"
        raise RtdecodeError(what, where=where, fix=f"store finite numbers of shape {shape}")
