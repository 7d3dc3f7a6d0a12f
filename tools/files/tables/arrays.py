"""The arrays of an NPZ or NPY file, by their names; objects are never unpickled."""

from __future__ import annotations

import tokenize
import zipfile
import zlib
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rtdecode.errors import RtdecodeError
from rtdecode.tools.files.recording import F8
from rtdecode.tools.files.tables.names import Column, time_column

NPY = b"\x93NUMPY"
#: The name of the one array of an NPY file.
ONE = "array"
#: What NumPy and zipfile raise for damaged files.
DAMAGED: tuple[type[Exception], ...] = (
    OSError,
    ValueError,
    EOFError,
    KeyError,
    TypeError,
    ArithmeticError,
    MemoryError,
    RuntimeError,
)
DAMAGED += (SyntaxError, tokenize.TokenError, zipfile.BadZipFile, zlib.error)


def is_numpy(path: Path) -> bool:
    """Whether a file is NPY, or a ZIP of nothing but arrays."""
    try:
        with path.open("rb") as file:
            if file.read(len(NPY)) == NPY:
                return True
        with zipfile.ZipFile(path) as members:
            listed = members.namelist()
    except (OSError, zipfile.BadZipFile, ValueError, NotImplementedError):
        return False
    return bool(listed) and all(name.endswith(".npy") for name in listed)


class Arrays:
    """The arrays that have not been taken; their shapes are known before they are read.

    Names are compared in lower case with `_` for `/`, `.` and `-`, and without a last `_values`.

    Args:
        path: of the file.

    Raises:
        RtdecodeError: it is damaged.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._headers: dict[str, tuple[str, tuple[int, ...], np.dtype[Any]]] = {}
        try:
            with path.open("rb") as file:
                self.single = file.read(len(NPY)) == NPY
                file.seek(0)
                if self.single:
                    self._headers[ONE] = (ONE, *_header(file))
                    return
            with zipfile.ZipFile(path) as members:
                for member in members.namelist():
                    name = member.removesuffix(".npy")
                    with members.open(member) as array:
                        self._headers[_key(name)] = (name, *_header(array))
        except DAMAGED as error:
            raise damaged(path, "", error) from error

    def __contains__(self, key: str) -> bool:
        return key in self._headers and self.dtype(key).kind != "O"

    @property
    def keys(self) -> list[str]:
        """Of the arrays that are left."""
        return list(self._headers)

    def shape(self, key: str) -> tuple[int, ...]:
        """Shape of an array."""
        return self._headers[key][1]

    def dtype(self, key: str) -> np.dtype[Any]:
        """Its type."""
        return self._headers[key][2]

    def name(self, key: str) -> str:
        """Its name in the file."""
        return self._headers[key][0]

    def described(self, key: str) -> str:
        """For people: `name float64 [100, 2]`."""
        name, shape, dtype = self._headers[key]
        return f"{name} {dtype.name} {list(shape)}"

    def is_numbers(self, key: str, dimensions: Iterable[int] = (1, 2)) -> bool:
        """Whether an array holds numbers and has so many dimensions."""
        return self.dtype(key).kind in "biuf" and len(self.shape(key)) in dimensions

    def drop(self, *keys: str | None) -> None:
        """Arrays that are taken."""
        for key in keys:
            self._headers.pop(key or "", None)

    def number(self, *keys: str) -> float | None:
        """The number in the first of the names that is there, taken; one that ends in _ms is in ms."""
        for key in keys:
            for name, per_second in ((key, 1.0), (f"{key}_s", 1.0), (f"{key}_ms", 1e3)):
                if name in self and self.is_numbers(name, (0, 1, 2)) and np.prod(self.shape(name)) == 1:
                    value = float(self.read(name).ravel()[0]) / per_second
                    self.drop(name)
                    return value
        return None

    def times(self, wanted: Iterable[str]) -> tuple[str, F8] | None:
        """Name and seconds of the first 1-D array of one of the names, which may end in _ms or _us."""
        keys = [
            key
            for key in self._headers
            if self.is_numbers(key, (1, 2)) and max(self.shape(key), default=0) == np.prod(self.shape(key))
        ]
        found = time_column([Column(i, key) for i, key in enumerate(keys)], set(wanted), str(self.path))
        if found is None:
            return None
        return found[0].name, self.read(found[0].name).ravel().astype(np.float64) / found[1]

    def is_pairs(self, key: str) -> bool:
        """Whether an array holds two numbers in each row."""
        return key in self and self.is_numbers(key, (2,)) and self.shape(key)[1] == 2

    def of_length(self, n: int, keys: Iterable[str]) -> str | None:
        """The first of the names that is there and has n values."""
        return next((key for key in keys if key in self and self.shape(key) == (n,)), None)

    def texts(self, n: int | None, *keys: str) -> tuple[str, ...] | None:
        """The n labels in the first of the names that is there, taken; without n however many."""
        one = next((key for key in keys if key in self and len(self.shape(key)) == 1), None)
        key = one if n is None else self.of_length(n, keys)
        if key is None:
            return None
        labels = self.read(key).tolist()
        self.drop(key)
        return tuple(
            each.decode(errors="replace") if isinstance(each, bytes) else str(each) for each in labels
        )

    def reader(self, key: str) -> Callable[[], NDArray[Any]]:
        """Reads the array also when it has been taken; one of an NPY file is mapped, not read.

        What it gives raises `RtdecodeError` where the array is damaged or holds Python objects.
        """
        name = self._headers[key][0]

        def read() -> NDArray[Any]:
            try:
                if self.single:
                    mapped: NDArray[Any] = np.load(self.path, mmap_mode="r", allow_pickle=False)
                    return mapped
                with np.load(self.path, allow_pickle=False) as file:
                    array: NDArray[Any] = file[name]
                return array
            except DAMAGED as error:
                raise damaged(self.path, f"{name} ", error) from error

        return read

    def read(self, key: str) -> NDArray[Any]:
        """An array, which is not taken.

        Raises:
            RtdecodeError: as of `reader`.
        """
        return self.reader(key)()

    def why_left(self, key: str) -> str:
        """Why nothing can be imported of an array."""
        return "no times go with it" if key in self else "it holds Python objects, which are never read"


def damaged(path: Path, what: str, error: Exception) -> RtdecodeError:
    """The error for a file, or what in it, that cannot be read."""
    return RtdecodeError(f"{what}cannot be read: {error}", where=str(path), fix="copy or save the file again")


def _header(file: Any) -> tuple[tuple[int, ...], np.dtype[Any]]:
    version = np.lib.format.read_magic(file)
    of_version = (
        np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
    )
    shape, _, dtype = of_version(file)
    return shape, dtype


def _key(name: str) -> str:
    for sign in "/.-":
        name = name.replace(sign, "_")
    return name.lower().removesuffix("_values")
