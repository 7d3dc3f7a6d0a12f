"""First-seconds scores: averages over seeds, the reference, and ids of jobs."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from rtdecode.calibrate.evaluation.first_seconds.plan import FirstSecondsJob
from rtdecode.calibrate.evaluation.first_seconds.reference import of_day, read_reference
from rtdecode.calibrate.evaluation.first_seconds.report import FirstSecondsScore, scores_csv, table_rows
from rtdecode.calibrate.evaluation.scores import Score
from rtdecode.calibrate.fitting.training_set import FitSettings
from rtdecode.calibrate.training.settings import TrainingSettings
from rtdecode.errors import RtdecodeError

JOB = FirstSecondsJob(
    kind="gru", rung=None, test=Path("/data/a.h5"), test_sha256="aa", session="indy_a", base=None,
    base_sha256=None, model=None, train=("indy_a",), bin_width_s=0.064, outputs=("x", "y"), seconds=320.0,
    seed=0, device="auto", fit=FitSettings(), finetune=TrainingSettings(),
)  # fmt: skip
FROM_BASE = replace(JOB, base=Path("/b.safetensors"), base_sha256="bb", model="f6ffb59f", rung="full")


def score(r2: float, **changes: Any) -> FirstSecondsScore:
    values = np.array([r2, r2 + 0.2])
    return Score(replace(JOB, **changes), values, values, 0.0)


SCORES = [
    score(0.1), score(0.3, seed=1), score(0.6, session="indy_b"),
    score(0.5, kind="wiener"), score(0.5, kind="wiener", session="indy_b"), score(0.5, session="indy_c"),
]  # fmt: skip
REFERENCE = {"a": np.array([0.4, 0.4]), "indy_b": np.array([0.9, 0.9])}


def test_the_table_has_days_means_and_days_ahead() -> None:
    headings, rows = table_rows(SCORES, REFERENCE)
    assert headings == ["day", "reference", "gru", "wiener"]
    assert rows == [
        ["indy_a", "0.400", "0.300", "0.600"],
        ["indy_b", "0.900", "0.700", "0.600"],
        ["indy_c", "–", "0.600", "–"],
        ["mean", "0.650", "0.533", "0.600"],
        ["days ahead of the reference", "", "0 of 2", "1 of 2"],
    ]
    assert table_rows(SCORES, {})[0] == ["day", "gru", "wiener"]
    assert scores_csv(SCORES, REFERENCE).splitlines()[1] == "indy_a,gru,0.2000,0.4000,0.3000,0.4000"


def test_a_reference_is_read_by_output_and_found_by_the_end_of_a_name(tmp_path: Path) -> None:
    path = tmp_path / "published.csv"
    path.write_text("session,y,n,x\n2016_02,0.5,7,0.25\n")
    reference = read_reference(path, ("x", "y"))
    for name, found in (("indy_2016_02", True), ("2016_02", True), ("12016_02", False), ("2016", False)):
        r2 = of_day(reference, name)
        assert (r2 is not None) == found
        assert r2 is None or r2.tolist() == [0.25, 0.5]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("session,x\na,1\n", "has no column y. Fix: give a CSV file with the columns session,x,y"),
        ("", "has no column session, x, y"),
        ("session,x,y\na,1,none\n", "line 2: y is 'none', which is no number"),
        ("session,x,y\na,1\n", "line 2: y is None, which is no number"),
        ("session,x,y\na,1,1\na,1,1\n", "line 3: names a again"),
        ("session,x,y\n" + "a" * 200_000, "is no CSV file"),
        (None, "cannot be read"),
    ],
)
def test_a_reference_that_is_none_is_refused(tmp_path: Path, text: str | None, message: str) -> None:
    if text is not None:
        (tmp_path / "r.csv").write_text(text)
    with pytest.raises(RtdecodeError, match=message):
        read_reference(tmp_path / "r.csv", ("x", "y"))


def test_an_id_depends_on_contents_and_settings_and_not_on_paths_and_names() -> None:
    elsewhere = replace(FROM_BASE, test=Path("/b.h5"), session="b", base=Path("/c"), train=())
    assert elsewhere.id == FROM_BASE.id
    changes: list[dict[str, Any]] = [
        {"kind": "alignnet"}, {"rung": "readin"}, {"test_sha256": "ab"}, {"base_sha256": "bc"},
        {"model": "00000000"}, {"bin_width_s": 0.02}, {"outputs": ("x",)}, {"seconds": 60.0}, {"seed": 1},
        {"device": "cpu"}, {"finetune": TrainingSettings(steps=3)},
    ]  # fmt: skip
    others = {replace(FROM_BASE, **change).id for change in changes}
    assert len(others | {FROM_BASE.id}) == len(changes) + 1
    scratch = {JOB.id, replace(JOB, fit=FitSettings(training=TrainingSettings(steps=3))).id}
    assert len(scratch) == 2
    assert replace(JOB, kind="wiener").described()["recipe"] == {}
