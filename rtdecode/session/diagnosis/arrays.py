"""Whether an array is what the format says: numbers, integers of a range, of so many dimensions."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from rtdecode.errors import RtdecodeError
from rtdecode.session.schema import DOCS


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
    if values.dtype.kind == "f":
        if not np.isfinite(values).all():
            bad = int((~np.isfinite(values)).sum())
            raise RtdecodeError(
                f"{bad} values are NaN or infinite",
                where=where,
                fix="store integers, such as 0 for no spikes",
            )
        if (values != np.floor(values)).any():
            raise RtdecodeError(
                f"holds {values[values != np.floor(values)].flat[0]}, not an integer",
                where=where,
                fix="store integers, such as counts instead of rates",
            )
    low, high = values.min(), values.max()
    limits = np.iinfo(target)
    if int(low) < limits.min or int(high) > limits.max:
        wrong = int(low) if int(low) < limits.min else int(high)
        fix = "correct what exported the recording"
        raise RtdecodeError(f"holds {wrong}, outside {limits.min} to {limits.max}", where=where, fix=fix)
    return values.astype(target)


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
