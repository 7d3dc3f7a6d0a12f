"""rig.toml: the settings of `serve` in a file, for a rig that is started the same way every morning.

Keys at the top are the flags of `serve` (`failsafe_after` or `failsafe-after`), the table `[output]` is
the output stage, `[trials]` the rules of trials (docs/rig.md). In paths `{date}` and `{time}` are filled in.
"""

from __future__ import annotations

import codecs
import os
import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

from rtdecode.errors import RtdecodeError
from rtdecode.files import user_path
from rtdecode.output.settings import OutputSettings, nearest, read_settings

DEFAULT_NAME = "rig.toml"
OUTPUT_TABLE = "output"
SERVE_TABLE = "serve"
TRIALS_TABLE = "trials"
ARRAYS_TABLE = "arrays"

#: Flags that may differ between arrays, in a table of each.
OF_ARRAY = ("source_id", "layout", "columns", "first_channel", "channel_map", "drop_units", "grace")

CHECK_CONFIG = "check --config or RTDECODE_CONFIG"

NAMES = {bool: "true or false", float: "a number", str: "a text", Path: "a text"}

#: What may be written in a path: a time as strftime writes it, safe in a file's name.
PLACEHOLDERS = {"date": "%Y-%m-%d", "time": "%H-%M-%S"}


@dataclass(frozen=True)
class RigFile:
    """Contents of a rig.toml.

    Attributes:
        path: of the file.
        flags: values by name of the flag, with underscores.
        output: the output stage, None if it is off.
        arrays: values of single arrays, by the name of the stream and that of the flag.
    """

    path: Path
    flags: dict[str, Any]
    output: OutputSettings | None
    arrays: dict[str, dict[str, Any]] = field(default_factory=dict)


def find_rig_file(named: Path | None) -> Path | None:
    """The given file, else rig.toml in the current folder if there is one.

    Raises:
        RtdecodeError: the name begins with `~`, and there is no home folder.
    """
    if named is not None:
        return user_path(str(named))
    here = Path(DEFAULT_NAME)
    return here if here.is_file() else None


def read_rig_file(path: Path, flags: Mapping[str, type]) -> RigFile:
    """Read and check a rig.toml.

    Args:
        path: of the file.
        flags: type of each flag that a file may set: bool, float, Path, or str (for any other text).

    Raises:
        RtdecodeError: the file cannot be read, is not TOML, or has an unknown key (the fix names the nearest
            valid one), a value of another type, or a path with an unknown placeholder.
    """
    document = _parse(path)
    table = document.pop(OUTPUT_TABLE, None)
    serve = document.pop(SERVE_TABLE, {})
    if not isinstance(serve, dict):
        raise RtdecodeError("must be a table", where=f"{path}: {SERVE_TABLE}", fix="write it as [serve]")
    of_arrays = _read_arrays(document.pop(ARRAYS_TABLE, {}), path, flags)
    found: dict[str, Any] = {}
    for key, value in (*document.items(), *serve.items()):
        name = key.replace("-", "_")
        if name not in flags:
            valid = (*flags, OUTPUT_TABLE)
            raise RtdecodeError(f"there is no setting {key!r}", where=str(path), fix=nearest(name, valid))
        if name in found:
            raise RtdecodeError(f"{name} is set twice", where=str(path), fix="delete one of them")
        if name == TRIALS_TABLE and isinstance(value, dict):
            value = _rules_text(value)
        found[name] = _checked(value, flags[name], f"{path}: {key}")
    return RigFile(path, found, None if table is None else _read_output(table, path), of_arrays)


def read_output_table(path: Path) -> OutputSettings | None:
    """The output stage of a rig.toml, None if it has none; other keys are ignored.

    Raises:
        RtdecodeError: as `read_rig_file`.
    """
    table = _parse(path).get(OUTPUT_TABLE)
    return None if table is None else _read_output(table, path)


def _rules_text(table: dict[str, Any]) -> str:
    """A table of rules as `--trials` has them: start = "go", stop = ["end", "abort"]."""
    names = {key: value if isinstance(value, list) else [value] for key, value in table.items()}
    return ",".join(f"{key}={'|'.join(map(str, values))}" for key, values in names.items())


def _read_output(table: Any, path: Path) -> OutputSettings:
    where = f"{path}: [{OUTPUT_TABLE}]"
    if not isinstance(table, dict):
        raise RtdecodeError("must be a table", where=where, fix="write it as [output]")
    return read_settings(table, where)


def _read_arrays(table: Any, path: Path, flags: Mapping[str, type]) -> dict[str, dict[str, Any]]:
    """The tables `[arrays.NAME]`."""
    if not (isinstance(table, dict) and all(isinstance(each, dict) for each in table.values())):
        raise RtdecodeError(
            "must be a table for each stream", where=f"{path}: {ARRAYS_TABLE}", fix="write it as [arrays.M1]"
        )
    found: dict[str, dict[str, Any]] = {}
    for name, values in table.items():
        where = f"{path}: [{ARRAYS_TABLE}.{name}]"
        found[name] = {}
        for key, value in values.items():
            flag = key.replace("-", "_")
            if flag not in OF_ARRAY:
                raise RtdecodeError(
                    f"there is no setting {key!r} of an array", where=where, fix=nearest(flag, OF_ARRAY)
                )
            found[name][flag] = _checked(value, flags[flag], f"{where}: {key}")
    return found


def _parse(path: Path) -> dict[str, Any]:
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        raise RtdecodeError("does not exist", where=str(path), fix=CHECK_CONFIG) from None
    except OSError as error:
        raise RtdecodeError(
            f"cannot be read ({error.strerror or error})", where=str(path), fix=CHECK_CONFIG
        ) from None
    try:
        text = _decoded(data)
        if "\0" in text:
            raise RtdecodeError("is not a text file", where=str(path), fix="name a rig.toml with --config")
        return tomllib.loads(text)
    except UnicodeDecodeError as error:
        fix = "name a rig.toml with --config" if b"\0" in data else "save it as UTF-8"
        raise RtdecodeError(f"is not TOML in UTF-8 ({error})", where=str(path), fix=fix) from None
    except tomllib.TOMLDecodeError as error:
        raise RtdecodeError(
            f"is not TOML ({error})", where=str(path), fix='write it like grace = "auto"; see docs/rig.md'
        ) from None


def _decoded(data: bytes) -> str:
    """The text; Windows editors put a byte order mark before it, or save it as UTF-16."""
    utf16 = data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
    return data.decode("utf-16" if utf16 else "utf-8-sig")


def _checked(value: Any, kind: type, where: str) -> Any:
    """The value, as text if its flag takes text; a number or numbers are allowed for a text (grace = 5).

    Of a flag that may be given several times, a list of texts; one text is a list of one.
    """
    if kind is list:
        texts = [value] if isinstance(value, str) else value
        if isinstance(texts, list) and texts and all(isinstance(each, str) for each in texts):
            return texts
        fix = 'write it like "M1", or ["M1", "PMd"]'
        raise RtdecodeError(f"must be a text, or texts, not {value!r}", where=where, fix=fix)
    if kind is str and isinstance(value, list) and all(type(each) is int for each in value):
        value = ",".join(map(str, value))
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    fits = {
        bool: isinstance(value, bool),
        float: is_number,
        str: isinstance(value, str) or is_number,
        Path: isinstance(value, str),
    }[kind]
    if not fits:
        raise RtdecodeError(
            f"must be {NAMES[kind]}, not {value!r}", where=where, fix=f"give {NAMES[kind]}; see docs/rig.md"
        )
    if kind is Path:
        return _filled(value, where)
    return str(value) if kind is str else value


def _filled(path: str, where: str) -> str:
    """The path with its placeholders filled in, by the local time now, and the user's folder for `~`."""
    now = datetime.now()

    def fill(found: re.Match[str]) -> str:
        name = found[1]
        if name not in PLACEHOLDERS:
            valid = " or ".join(f"{{{each}}}" for each in PLACEHOLDERS)
            raise RtdecodeError(f"there is no placeholder {found[0]}", where=where, fix=f"use {valid}")
        return now.strftime(PLACEHOLDERS[name])

    return os.path.expanduser(re.sub(r"\{([^{}]*)\}", fill, path))
