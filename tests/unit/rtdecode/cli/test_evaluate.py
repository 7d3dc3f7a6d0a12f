"""Options of `study` that are given to `evaluate`."""

from __future__ import annotations

from typing import Any

import typer

from rtdecode.cli import app
from rtdecode.cli.calibrate.evaluate import STUDY_OPTIONS


def test_the_options_of_study_alone_are_listed() -> None:
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
