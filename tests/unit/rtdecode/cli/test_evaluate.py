"""Options of `study` that are given to `evaluate`."""

from __future__ import annotations

from typing import Any

import typer
from typer.testing import CliRunner

from rtdecode.cli import app
from rtdecode.cli.calibrate.evaluate import STUDY_OPTIONS


def test_the_options_of_study_alone_are_listed_and_called_so() -> None:
    commands: Any = typer.main.get_command(app)
    evaluate, study = (
        {
            flag
            for parameter in commands.commands[name].params
            for flag in parameter.opts
            if flag.startswith("--")
        }
        for name in ("evaluate", "study")
    )
    assert sorted(study - evaluate) == list(STUDY_OPTIONS)
    refused = CliRunner().invoke(app, ["evaluate", "day.h5", "--steps=3"], env={"COLUMNS": "200"})
    assert refused.exit_code == 2
    assert "--steps: belongs to `rtdecode study`. Fix: leave it out" in refused.output
