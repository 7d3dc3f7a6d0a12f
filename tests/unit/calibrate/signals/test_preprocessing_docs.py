"""The examples in docs/preprocessing.md run."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

DOCS = (Path(__file__).parents[4] / "docs" / "preprocessing.md").read_text("utf-8")


def test_the_examples_run_and_give_the_shapes_they_say(tmp_path: Path) -> None:
    examples = re.findall(r"```python\n(.*?)```", DOCS, re.DOTALL)
    assert len(examples) == 2
    more = "assert counts.shape == (500, 8) and labels.shape == (500, 2) and cut.n_short == 1\n"
    done = subprocess.run(
        [sys.executable, "-c", "\n".join([*examples, more])],
        cwd=tmp_path,
        check=True,
        capture_output=True,
        text=True,
    )
    assert done.stdout.strip() == "(3, 8, 100) (3, 2, 100)"
