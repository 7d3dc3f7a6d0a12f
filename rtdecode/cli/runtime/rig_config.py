"""rig.toml on the command line: read before the flags, beaten by them, and printed by --print-config.

The parser itself resolves each setting (flag, environment, this file, default, in that order); here it is
only handed the file's values, and asked afterwards where each value came from.
"""

from __future__ import annotations

import inspect
import json
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Annotated, Any, get_args, get_origin, get_type_hints

import typer

from rtdecode.errors import RtdecodeError

ENVIRONMENT_PREFIX = "RTDECODE"

#: These say what to do with a rig.toml, so they are not in one.
NOT_IN_FILE = frozenset({"ctx", "config", "print_config"})


def load_config(ctx: typer.Context, value: Path | None) -> Path | None:
    """Take the values of a rig.toml as defaults of the command that is being parsed.

    Raises:
        RtdecodeError: as `read_rig_file`.
    """
    from rtdecode.rig_file import find_rig_file, read_rig_file

    path = find_rig_file(value)
    if path is None or ctx.resilient_parsing:
        return None
    rig = read_rig_file(path, flag_types(ctx))
    ctx.default_map = rig.flags
    ctx.obj = rig
    return path


def flag_types(ctx: typer.Context) -> Mapping[str, type]:
    """bool, float or str for each flag that a rig.toml may set, from the command's own signature."""
    function = inspect.unwrap(ctx.command.callback) if ctx.command.callback else None
    assert function is not None
    return _types_of(function)


def rig_settings() -> dict[str, Any]:
    """What the environment and the rig.toml in the current folder say of `serve`, for other commands.

    Raises:
        RtdecodeError: as `read_rig_file`.
    """
    from rtdecode.cli.runtime.serve import serve
    from rtdecode.rig_file import find_rig_file, read_rig_file

    types = _types_of(serve)
    path = find_rig_file(None)
    said = {} if path is None else read_rig_file(path, types).flags
    named = {name: os.environ.get(f"{ENVIRONMENT_PREFIX}_{name.upper()}") for name in types}
    return said | {name: text for name, text in named.items() if text}


def _types_of(function: Callable[..., Any]) -> Mapping[str, type]:
    hints = get_type_hints(function)
    types = {}
    for name in inspect.signature(function).parameters:
        if name not in NOT_IN_FILE:
            hint = get_args(hints[name])[0] if get_origin(hints[name]) is Annotated else hints[name]
            types[name] = hint if hint in (bool, float) else str
    return types


def config_text(ctx: typer.Context) -> str:
    """All settings as a rig.toml, each with where it comes from."""
    rows = []
    for name in flag_types(ctx):
        value, origin = ctx.params[name], _origin(ctx, name)
        rows.append((f"# {name} =" if value is None else f"{name} = {_toml(value)}", origin))
    width = max(len(setting) for setting, _ in rows)
    lines = [
        "# rtdecode serve: each setting and where it comes from.",
        "# A flag wins over the environment, that over rig.toml, that over the default.",
        *(f"{setting:<{width}}  # {origin}" for setting, origin in rows),
        "",
    ]
    lines += _output_lines(ctx)
    return "\n".join(lines) + "\n"


def from_its_origin(ctx: typer.Context, error: Exception) -> Exception:
    """An error about a flag, told of the file or variable that the flag's value came from."""
    text = error.where or "" if isinstance(error, RtdecodeError) else str(error)
    flag = text.split()[0] if text.startswith("--") else ""
    name = flag.removeprefix("--").replace("-", "_")
    if name not in ctx.params or _source(ctx, name) not in ("DEFAULT_MAP", "ENVIRONMENT"):
        return error
    where = f"{_origin(ctx, name)}: {name}" if _source(ctx, name) == "DEFAULT_MAP" else _origin(ctx, name)
    if isinstance(error, RtdecodeError):
        return RtdecodeError(error.what, where=where, fix=error.fix)
    return RtdecodeError(text.removeprefix(flag).strip(), where=where)


def _source(ctx: typer.Context, name: str) -> str:
    source = ctx.get_parameter_source(name)
    return source.name if source is not None else "DEFAULT"


def _origin(ctx: typer.Context, name: str) -> str:
    return {
        "COMMANDLINE": f"--{name.replace('_', '-')}",
        "ENVIRONMENT": f"{ENVIRONMENT_PREFIX}_{name.upper()}",
        "DEFAULT_MAP": str(ctx.params.get("config") or "rig.toml"),
    }.get(_source(ctx, name), "default")


def _output_lines(ctx: typer.Context) -> list[str]:
    output = ctx.obj.output if ctx.obj is not None else None
    if output is None:
        return ["# [output]  # off: nothing follows the decoder"]
    import msgspec

    given = {key: value for key, value in msgspec.to_builtins(output).items() if value is not None}
    return ["[output]", *(f"{key} = {_toml(value)}" for key, value in given.items())]


def _toml(value: Any) -> str:
    """A value as TOML writes it; its strings, numbers, lists and booleans are JSON's."""
    if isinstance(value, Path):
        value = str(value)
    return json.dumps(value, ensure_ascii=False)
