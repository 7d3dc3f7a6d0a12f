"""A table in a text file: its separator, names and numbers, read in pieces."""

from __future__ import annotations

import codecs
import csv
import itertools
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TextIO

import numpy as np

from rtdecode.errors import RtdecodeError
from rtdecode.tools.files.recording import F8

HEAD_BYTES = 1 << 18
SAMPLE_ROWS = 200
PIECE_CELLS = 2_000_000
MOST_LINES_OF_A_ROW = 100
MISSING = frozenset({"", "na", "n/a", "nan", "null", "none", "missing", "-"})
HEADER = "write a first line with the name of each column, such as time,channel or time,x,y"

_COMMENT = re.compile(r"\s*(#|%|//|sep=.\s*$)")
_DECIMAL_COMMA = re.compile(r"\s*[+-]?\d*,\d+(e[+-]?\d+)?\s*$", re.IGNORECASE)


@dataclass(frozen=True)
class TextTable:
    """A text file of a line of names and a line of values for each row.

    Attributes:
        path: of the file.
        encoding: of its text.
        separator: of its columns; " " for any white space.
        decimal_comma: whether numbers are written 1,5.
        names: header of each column.
        comments: the lines of comment before the first row, without their mark.
        sample: cells of the first rows.
        first_row: whether the first line that is no comment is a row (its names are in a comment).
    """

    path: Path
    encoding: str
    separator: str
    decimal_comma: bool
    names: tuple[str, ...]
    comments: tuple[str, ...]
    sample: tuple[tuple[str, ...], ...]
    first_row: bool

    def is_text(self, index: int) -> bool:
        """Whether no cell of a column is a number, in the first rows, and one is a text."""
        cells = [row[index] for row in self.sample if not _missing(row[index])]
        return bool(cells) and all(self.number(cell) is None for cell in cells)

    def number(self, cell: str) -> float | None:
        """The number in a cell, NaN where it is empty, None where it holds something else."""
        if _missing(cell):
            return float("nan")
        try:
            # Python's own grouping of digits, 1_000, is a name in every table.
            return None if "_" in cell else float(cell.replace(",", ".") if self.decimal_comma else cell)
        except ValueError:
            return None

    def rows(self) -> Iterator[tuple[int, tuple[str, ...]]]:
        """Number of the line and cells of each row.

        Raises:
            RtdecodeError: a row has more or fewer cells than there are names; the file cannot be read.
        """
        for line, text in self._lines():
            yield line, self._cells(line, text)

    def numbers(self, columns: Sequence[int]) -> F8:
        """f8[T, n], the numbers of some columns, NaN where a cell is empty.

        Raises:
            RtdecodeError: a cell holds no number, or as of `rows`.
        """
        lines = self._lines()
        pieces: list[F8] = [np.empty((0, len(columns)))]
        while piece := list(itertools.islice(lines, max(1, PIECE_CELLS // len(self.names)))):
            parsed = self._fast([text for _, text in piece], columns)
            pieces.append(self._slow(piece, columns) if parsed is None else parsed)
        return np.concatenate(pieces)

    def _fast(self, texts: list[str], columns: Sequence[int]) -> F8 | None:
        commas = len(self.names) - 1
        if any(text.count(self.separator) != commas or '"' in text or "_" in text for text in texts):
            return None
        if self.decimal_comma:
            texts = [text.replace(",", ".") for text in texts]
        try:
            return np.loadtxt(texts, delimiter=self.separator, usecols=columns, ndmin=2, comments=None)
        except ValueError:
            return None  # an empty cell, or a text: which, and where, is found cell by cell

    def _slow(self, piece: list[tuple[int, str]], columns: Sequence[int]) -> F8:
        values = np.empty((len(piece), len(columns)))
        for row, (line, text) in enumerate(piece):
            cells = self._cells(line, text)
            for place, index in enumerate(columns):
                value = self.number(cells[index])
                if value is None:
                    raise RtdecodeError(
                        f"column {self.names[index]} holds {cells[index].strip()[:40]!r}, not a number",
                        where=f"{self.path}, line {line}",
                        fix="write a number, or leave the cell empty where there is none",
                    )
                values[row, place] = value
        return values

    def _cells(self, line: int, text: str) -> tuple[str, ...]:
        cells = split(text, self.separator, f"{self.path}, line {line}")
        n = len(self.names)
        if len(cells) == n + 1 and not cells[-1].strip():
            cells.pop()
        if len(cells) != n:
            raise RtdecodeError(
                f"has {len(cells)} values for {n} names",
                where=f"{self.path}, line {line}",
                fix="export it again; where numbers have decimal commas, separate columns by semicolons",
            )
        return tuple(cells)

    def _lines(self) -> Iterator[tuple[int, str]]:
        with opened(self.path, self.encoding) as file:
            lines = records(file, self.separator)
            if not self.first_row:
                next(lines, None)
            yield from lines


def read_header(path: Path) -> TextTable:
    """The names, separator and first rows of a table.

    Raises:
        RtdecodeError: it is no text, holds no table, or has no line of names.
    """
    opened(path, "utf-8").close()  # names why it cannot be opened
    encoding = text_encoding(path)
    if encoding is None:
        raise RtdecodeError("is not text", where=str(path), fix="export it as CSV")
    comments = []
    with opened(path, encoding) as file:
        first = None
        for line in file:
            if _COMMENT.match(line):
                comments.append(line.strip().lstrip("#%/ "))
            elif line.strip():
                first = line
                break
    if first is None:
        raise RtdecodeError("is empty", where=str(path), fix="export it again")
    separator = separator_of(first)
    names = split(_spaced(first.strip("\r\n"), separator), separator, str(path))
    table = TextTable(path, encoding, separator, False, tuple(names), tuple(comments), (), False)
    if all(_is_number(name) for name in names):
        # NumPy's savetxt writes its header as a comment.
        named = split(_spaced(comments[-1], separator), separator, str(path)) if comments else []
        if len(named) != len(names):
            raise RtdecodeError(
                f"has no names of columns: it begins {first.strip()[:40]!r}", where=str(path), fix=HEADER
            )
        table = TextTable(path, encoding, separator, False, tuple(named), tuple(comments), (), True)
    while len(table.names) > 1 and not table.names[-1].strip():
        table = TextTable(
            path, encoding, separator, False, table.names[:-1], table.comments, (), table.first_row
        )
    repeated = [name for name in table.names if name.strip() and table.names.count(name) > 1]
    if repeated:
        raise RtdecodeError(f"names two columns {repeated[0]}", where=str(path), fix="give each its own name")
    sample = tuple(cells for _, cells in itertools.islice(table.rows(), SAMPLE_ROWS))
    commas = separator != "," and any(_DECIMAL_COMMA.match(cell) for row in sample for cell in row)
    return TextTable(path, encoding, separator, commas, table.names, table.comments, sample, table.first_row)


def looks_like_table(path: Path) -> bool:
    """Whether a text file begins with a line of names or numbers and a line of as many, one a number."""
    encoding = text_encoding(path)
    if encoding is None:
        return False
    try:
        with opened(path, encoding) as file:
            lines = [line for line in file.read(HEAD_BYTES).splitlines() if line.strip()]
        first, second = [line for line in lines if not _COMMENT.match(line)][:2]
        separator = separator_of(first)
        names, cells = (split(_spaced(line, separator), separator, str(path)) for line in (first, second))
    except (RtdecodeError, ValueError):
        return False
    return len(names) == len(cells) > 1 and any(_is_number(cell) for cell in cells)


def text_encoding(path: Path) -> str | None:
    """The encoding of a text file by its first bytes, None where it is not text."""
    try:
        with path.open("rb") as file:
            head = file.read(HEAD_BYTES)
    except OSError:
        return None
    if head.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return "utf-16"
    if b"\0" in head or head[:1] in (b"<", b"{"):
        return None
    try:
        codecs.getincrementaldecoder("utf-8")().decode(head)
    except UnicodeDecodeError:
        return "cp1252"
    return "utf-8-sig"


def opened(path: Path, encoding: str) -> TextIO:
    """A text file open for reading; what is not of its encoding reads as �."""
    try:
        return path.open(encoding=encoding, errors="replace", newline="")
    except OSError as error:
        what = f"cannot be read: {error.strerror}"
        raise RtdecodeError(what, where=str(path), fix="check the path and its permissions") from error


def records(file: TextIO, separator: str) -> Iterator[tuple[int, str]]:
    """Number of the line and text of each row, without comments; a quoted cell may hold line ends."""
    numbered = enumerate(file, 1)
    for number, line in numbered:
        if line.isspace() or _COMMENT.match(line):
            continue
        row = line
        if '"' in row and row.count('"') % 2:
            for _, more in itertools.islice(numbered, MOST_LINES_OF_A_ROW):
                row += more
                if not row.count('"') % 2:
                    break
        yield number, _spaced(row.rstrip("\r\n"), separator)


def separator_of(header: str) -> str:
    """The separator of a line of names."""
    best = max("\t;,|", key=header.count)
    return best if best in header else " "


def split(text: str, separator: str, where: str) -> list[str]:
    """The cells of a row.

    Raises:
        RtdecodeError: its quotes do not match.
    """
    if '"' not in text:
        return [cell.strip() for cell in text.split(separator)]  # twenty times as fast
    try:
        return next(csv.reader([text], delimiter=separator, skipinitialspace=True), [])
    except csv.Error as error:
        raise RtdecodeError(f"is no row of a table: {error}", where=where, fix="export it again") from error


def _spaced(text: str, separator: str) -> str:
    return " ".join(text.split()) if separator == " " else text


def _missing(cell: str) -> bool:
    return cell.strip().lower() in MISSING


def _is_number(cell: str) -> bool:
    try:
        float(cell.replace(",", "."))
    except ValueError:
        return False
    return True
