"""The settings of `serve` on the command line: as options, from rig.toml, and printed by --print-config.

The parser resolves each setting (flag, environment, rig.toml, default, in that order); this module gives it
the values of the file, and asks it afterwards where each value came from.
"""

from __future__ import annotations

import inspect
import json
import os
import shlex
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from rtdecode.cli.common import prints_unicode
from rtdecode.detection.options import DETECTION_FLAGS
from rtdecode.errors import RtdecodeError
from rtdecode.files import output_file, user_path
from rtdecode.serve.flags import Flag, read_streams
from rtdecode.serve.settings import FLAGS, ServeSettings

if TYPE_CHECKING:
    from rtdecode.rig_file import RigFile

ENVIRONMENT_PREFIX = "RTDECODE"

#: Of the rig.toml that was read, in the context of the command.
RIG = "rtdecode.rig"


def with_serve_options(command: Callable[..., None]) -> Callable[..., None]:
    """Give a command one option for each flag of `serve`, in place of its `**options`.

    They come after its positional parameters, before its keyword-only ones.
    """
    signature = inspect.signature(command, eval_str=True)
    kinds = inspect.Parameter
    own = [each for each in signature.parameters.values() if each.kind is not kinds.VAR_KEYWORD]
    before = [each for each in own if each.kind is kinds.POSITIONAL_OR_KEYWORD]
    after = [each for each in own if each.kind is kinds.KEYWORD_ONLY]
    options = [_option(flag) for flag in FLAGS.values()]
    command.__signature__ = signature.replace(parameters=[*before, *options, *after])  # type: ignore[attr-defined]
    return command


def _option(flag: Flag) -> inspect.Parameter:
    option = typer.Option(help=flag.help, metavar=flag.metavar)
    typed: Any = flag.typed if flag.default is not None else flag.typed | None
    if flag.several:
        typed = list[str] | None
    return inspect.Parameter(
        flag.name, inspect.Parameter.KEYWORD_ONLY, default=flag.default, annotation=Annotated[typed, option]
    )


def load_config(ctx: typer.Context, value: Path | None) -> Path | None:
    """Take the values of a rig.toml as defaults of the command that is being parsed.

    Raises:
        RtdecodeError: as `read_rig_file`.
    """
    from rtdecode.rig_file import find_rig_file, read_rig_file

    path = find_rig_file(value)
    if path is None or ctx.resilient_parsing:
        return None
    rig = read_rig_file(path, flag_types())
    ctx.default_map = rig.flags
    ctx.meta[RIG] = rig
    return path


def flag_types() -> dict[str, type]:
    """bool, float, Path or str for each key at the top of a rig.toml."""
    paths = {name for name, flag in FLAGS.items() if flag.read in (output_file, user_path)}
    # A model is a path, or a name.
    return {name: Path if name in {*paths, "model"} else flag.typed for name, flag in FLAGS.items()}


def rig_path(config: Path | None) -> Path | None:
    """The rig.toml that another command than `serve` reads; None without one.

    Args:
        config: the one that was named; None for that of `RTDECODE_CONFIG`, else of the current folder.
    """
    from rtdecode.rig_file import find_rig_file

    in_environment = os.environ.get(_variable("config"))
    return find_rig_file(config or (Path(in_environment) if in_environment else None))


def rig_settings(config: Path | None = None) -> dict[str, Any]:
    """Settings of `serve` in the environment and in a rig.toml, for other commands, as they are typed.

    Args:
        config: as of `rig_path`.

    Raises:
        RtdecodeError: as `read_rig_file`.
    """
    rig_file = _rig_file(config)
    in_file = {} if rig_file is None else rig_file.flags
    in_environment = {name: os.environ.get(_variable(name)) for name in FLAGS}
    given = {name: text for name, text in in_environment.items() if text}
    return in_file | {name: [text] if FLAGS[name].several else text for name, text in given.items()}


def _rig_file(config: Path | None) -> RigFile | None:
    from rtdecode.rig_file import read_rig_file

    path = rig_path(config)
    return None if path is None else read_rig_file(path, flag_types())


#: Settings that are about a stream, and that `record` and `doctor` take from rig.toml too.
STREAM_FLAGS = (
    "stream", "behavior", "source_id", "behavior_source_id", "drop_units", "layout", "timeout", "model",
    "columns", "first_channel", "channel_map", *DETECTION_FLAGS,
    "markers", "markers_source_id", "trials", "features", "features_source_id",
)  # fmt: skip


def stream_settings(config: Path | None, streams: Sequence[str]) -> dict[str, Any]:
    """Those of `rig_settings` that are about a stream, as values of `ServeSettings`, by names of flags.

    Args:
        config: as of `rig_path`.
        streams: that were typed, or none; to others than those of the rig none apply.

    Raises:
        RtdecodeError: as `rig_settings`, or a value cannot be read.
    """
    rig = rig_settings(config)
    if streams and list(streams) != rig.get("stream"):
        return {"stream": read_streams(streams)}
    values: dict[str, Any] = {}
    for name in STREAM_FLAGS:
        flag = FLAGS[name]
        try:
            if name in rig:
                typed = flag.typed(rig[name])
                values[name] = typed if flag.read is None else flag.read(typed)
        except ValueError as error:
            where = _variable(name) if os.environ.get(_variable(name)) else f"{rig_path(config)}: {name}"
            raise RtdecodeError(str(error), where=where, fix="see rtdecode serve --help") from None
    tables = {} if (rig_file := _rig_file(config)) is None else rig_file.arrays
    values["arrays"] = {
        name: read_values(table, f"{rig_path(config)}: [arrays.{name}]") for name, table in tables.items()
    }
    return values


def pinned_model(stream: str) -> str | None:
    """Why `serve` would not take the stream's current model here, a sentence; None if it would."""
    from rtdecode.model_store import CURRENT, current_model, find_model

    model = rig_settings().get("model")
    if model is None or model == CURRENT:
        return None
    try:
        if find_model(model) == current_model(stream):
            return None
    except RtdecodeError:
        pass
    where, change = "rig.toml", f'write model = "{CURRENT}" there'
    if os.environ.get(_variable("model")):
        where, change = _variable("model"), f"set that to {CURRENT}"
    return (
        f"serve keeps using {model} from {where}, not the current model of {stream}; to serve that, {change}"
    )


def now_current(stream: str) -> str:
    """The line that a command prints once it has made a model current, and how it is served."""
    line = f"now the current model of stream {stream}"
    return line if pinned_model(stream) else f"{line}: rtdecode serve --stream {shlex.quote(stream)}"


def _variable(name: str) -> str:
    return f"{ENVIRONMENT_PREFIX}_{name.upper()}"


def serve_settings(ctx: typer.Context, config: Path | None) -> ServeSettings:
    """The settings that a command line with the options of `serve` gives.

    Raises:
        RtdecodeError: a value is out of its range, or a file or variable holds one that cannot be read.
        typer.BadParameter: an option has a value that cannot be read.
    """
    values: dict[str, Any] = {}
    for name, flag in FLAGS.items():
        value = _value(ctx, name)
        try:
            values[flag.field] = value if value is None or flag.read is None else flag.read(value)
        except ValueError as error:
            where = _where(ctx, name)
            if where is None:
                raise typer.BadParameter(str(error), param_hint=_dashed(name)) from None
            fix = f"see rtdecode serve --help, {_dashed(name)}"
            raise RtdecodeError(str(error), where=where, fix=fix) from None
        except RtdecodeError as error:
            if (where := _where(ctx, name)) is None:
                raise
            raise RtdecodeError(
                f"cannot use {error.where}, which {error.what}", where=where, fix=error.fix
            ) from None
    rig: RigFile | None = ctx.meta.get(RIG)
    output = None if rig is None else rig.output
    try:
        return ServeSettings(**values, output=output, config=config, array_tables=_array_tables(ctx))
    except RtdecodeError as error:
        name = (error.where or "").removeprefix("--").replace("-", "_")
        where = _where(ctx, name) if name in FLAGS else None
        raise RtdecodeError(error.what, where=where or error.where, fix=error.fix) from None


def _array_tables(ctx: typer.Context) -> dict[str, dict[str, Any]]:
    """The tables `[arrays.NAME]` of rig.toml, as values of `ArraySettings`."""
    rig: RigFile | None = ctx.meta.get(RIG)
    tables = {} if rig is None else rig.arrays
    return {
        name: read_values(table, f"{ctx.params.get('config')}: [arrays.{name}]")
        for name, table in tables.items()
    }


def read_values(table: Mapping[str, Any], where: str) -> dict[str, Any]:
    """Values of flags as they are typed in a file, by the names of their fields.

    Raises:
        RtdecodeError: a value cannot be read.
    """
    values = {}
    for name, value in table.items():
        flag = FLAGS[name]
        try:
            values[flag.field] = value if flag.read is None else flag.read(value)
        except ValueError as error:
            fix = f"see rtdecode serve --help, {_dashed(name)}"
            raise RtdecodeError(str(error), where=f"{where}: {name}", fix=fix) from None
    return values


def config_text(ctx: typer.Context) -> str:
    """All settings as a rig.toml, each with its origin."""
    rows = []
    for name in FLAGS:
        value = _value(ctx, name)
        value = value[0] if FLAGS[name].several and value and len(value) == 1 else value
        unset = value is None or value == []
        rows.append((f"# {name} =" if unset else f"{name} = {_toml(value)}", _origin(ctx, name)))
    width = max(len(setting) for setting, _ in rows)
    lines = [
        "# rtdecode serve: each setting and its origin.",
        "# Precedence: flag, environment, rig.toml, default.",
        *(f"{setting:<{width}}  # {origin}" for setting, origin in rows),
        "",
    ]
    lines += [*_output_lines(ctx), *_array_lines(ctx)]
    return "\n".join(lines) + "\n"


def _value(ctx: typer.Context, name: str) -> Any:
    """The value of a setting; an environment variable names one stream, which may have blanks in its name."""
    if FLAGS[name].several and _source(ctx, name) == "ENVIRONMENT":
        return [os.environ[_variable(name)]]
    return ctx.params[name]


def _where(ctx: typer.Context, name: str) -> str | None:
    """Where an error about a setting points to, if its value is from a file or the environment."""
    source, origin = _source(ctx, name), _origin(ctx, name)
    return {"DEFAULT_MAP": f"{origin}: {name}", "ENVIRONMENT": origin}.get(source)


def _source(ctx: typer.Context, name: str) -> str:
    source = ctx.get_parameter_source(name)
    return source.name if source is not None else "DEFAULT"


def _origin(ctx: typer.Context, name: str) -> str:
    return {
        "COMMANDLINE": _dashed(name),
        "ENVIRONMENT": _variable(name),
        "DEFAULT_MAP": str(ctx.params.get("config") or "rig.toml"),
    }.get(_source(ctx, name), "default")


def _dashed(name: str) -> str:
    return f"--{name.replace('_', '-')}"


def _output_lines(ctx: typer.Context) -> list[str]:
    rig: RigFile | None = ctx.meta.get(RIG)
    output = None if rig is None else rig.output
    if output is None:
        return ["# [output]  # off: nothing follows the decoder"]
    import msgspec

    given = {key: value for key, value in msgspec.to_builtins(output).items() if value is not None}
    return ["[output]", *(f"{key} = {_toml(value)}" for key, value in given.items())]


def _array_lines(ctx: typer.Context) -> list[str]:
    rig: RigFile | None = ctx.meta.get(RIG)
    lines = []
    for name, table in ({} if rig is None else rig.arrays).items():
        lines += ["", f"[arrays.{_toml(name)}]", *(f"{key} = {_toml(value)}" for key, value in table.items())]
    return lines


def _toml(value: Any) -> str:
    """A value as TOML writes it; its strings, numbers, lists and booleans are JSON's."""
    return json.dumps(value, ensure_ascii=not prints_unicode())
