"""Options of `study` that are given to `evaluate`."""

from __future__ import annotations

from typing import Any

import pytest
import typer
from typer.testing import CliRunner

from rtdecode.cli.commands import app


def test_each_option_of_study_alone_is_called_so() -> None:
    commands: Any = typer.main.get_command(app)
    evaluate, study = (
        {flag for option in commands.commands[name].params for flag in option.opts if flag.startswith("--")}
        for name in ("evaluate", "study")
    )
    assert study - evaluate >= {"--causality", "--forms", "--splits", "--steps"}
    for flag in study - evaluate:
        refused = CliRunner().invoke(app, ["evaluate", "day.h5", f"{flag}=3"], env={"COLUMNS": "200"})
        assert refused.exit_code == 2
        assert f"{flag}: belongs to `rtdecode study`. Fix: leave it out" in refused.output


@pytest.mark.parametrize("flag", ["--nonsense", "--step"])
def test_an_option_of_neither_is_unknown(flag: str) -> None:
    refused = CliRunner().invoke(app, ["evaluate", "day.h5", flag, "3"], env={"COLUMNS": "200"})
    assert refused.exit_code == 2
    assert f"No such option: {flag}" in refused.output
