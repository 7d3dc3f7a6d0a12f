"""A job of a few-shot evaluation, whose files need not exist."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from rtdecode.calibrate.evaluation.fewshot.plan import FewShotJob


def job(**changes: Any) -> FewShotJob:
    asked: dict[str, Any] = {
        "kind": "alignnet", "test": Path("/data/today.h5"), "test_sha256": "aa", "session": "today",
        "base": Path("/models/base.safetensors"), "base_sha256": "bb", "model": "f6ffb59f",
        "train": ("day0", "day1"), "bin_width_s": 0.064, "outputs": ("x", "y"), "minutes": 2.0,
        "read_in_minutes": 4.0, "labelled": "last", "seed": 0, "steps": 200, "device": "auto",
    }  # fmt: skip
    return FewShotJob(**(asked | changes))
