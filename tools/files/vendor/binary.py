"""Headers of binary files: read whole, or refused in one line."""

from __future__ import annotations

from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from rtdecode.errors import RtdecodeError


def records(path: Path, file: BinaryIO, dtype: np.dtype[Any], count: int) -> NDArray[Any]:
    """The next `count` records of a file.

    Raises:
        RtdecodeError: it ends before.
    """
    data = file.read(dtype.itemsize * count) if count >= 0 else b""
    if count < 0 or len(data) < dtype.itemsize * count:
        raise broken(path, "its header is cut or damaged")
    return np.frombuffer(data, dtype, count)


def broken(path: Path, what: str) -> RtdecodeError:
    """The error for a file whose bytes are not as its format has them."""
    return RtdecodeError(
        f"cannot be read: {what}", where=str(path), fix="copy it again from the recording system"
    )


def text(value: bytes) -> str:
    """A text of fixed length, to its first zero byte."""
    return value.split(b"\0", 1)[0].decode("latin-1").strip()


def date(fields: NDArray[np.uint16]) -> dict[str, str]:
    """The day of Windows' SYSTEMTIME, as `Recording.attrs` has it; nothing where it is no day."""
    year, month, _, day = (int(each) for each in fields[:4])
    return {"date": f"{year:04}-{month:02}-{day:02}"} if 1990 < year < 2200 and month and day else {}


def first_bytes(path: Path, n: int) -> bytes:
    """The first bytes of a file, none where it cannot be read."""
    try:
        with path.open("rb") as file:
            return file.read(n)
    except OSError:
        return b""
