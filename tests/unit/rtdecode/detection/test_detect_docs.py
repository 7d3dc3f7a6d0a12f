"""The example in docs/detect.md runs, and its table of settings is the settings and the options."""

from __future__ import annotations

import dataclasses
import re
from pathlib import Path

from rtdecode.detection.options import OPTIONS
from rtdecode.detection.settings import DetectionSettings

DOCS = (Path(__file__).parents[4] / "docs" / "detect.md").read_text("utf-8")


def test_the_example_runs() -> None:
    (example,) = re.findall(r"```python\n(.*?)```", DOCS, re.DOTALL)
    more = "assert found.power.values.shape == (5, 8) and again.measured is detector.measured"
    exec(f"{example}\n{more}", {})


def test_the_table_of_settings_is_the_settings() -> None:
    rows = re.findall(r"^\| `(--[a-z-]+)` \| (`[a-z_`, ]+`) \| (.+?) \| .+ \|$", DOCS, re.MULTILINE)
    written = {}
    for _, names, values in rows:
        for name, value in zip(re.findall(r"`(\w+)`", names), values.split(", "), strict=True):
            written[name] = value
    assert written == {
        field.name: f"{field.default:g}" if isinstance(field.default, float) else str(field.default)
        for field in dataclasses.fields(DetectionSettings)
    }
    assert {option for option, _, _ in rows} == set(OPTIONS.values())
