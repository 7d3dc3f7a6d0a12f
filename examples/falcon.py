"""A submission to the FALCON challenge: models of rtdecode, run by the challenge's evaluator.

Copy it and falcon.Dockerfile; docs/falcon.md has the way from the challenge's files to a submission. It needs
`pip install rtdecode falcon-challenge`, or rtdecode[falcon].

    EVAL_DATA_PATH=data python falcon.py --evaluation local --split m2 --phase minival --models models

`models` is a folder of model files. Each decodes the session whose tag it is called by, such as
`Run1_20201030.safetensors`; `others.safetensors` decodes all sessions without one of their own. A network
that was trained on a session has a read-in for it, which is used.

What it shows of rtdecode: `FalconDecoder` is all that lies between the evaluator and the models that `serve`
runs live. It decodes bin by bin, from the spikes of that bin and of those before.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from falcon_challenge.config import FalconConfig, FalconTask
from falcon_challenge.evaluator import FalconEvaluator

from rtdecode.calibrate.evaluation.falcon import OTHERS, FalconDecoder


def main(arguments: list[str] | None = None) -> Any:
    """Decode all sessions of a phase; scores are printed and returned, locally only."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--evaluation", choices=["local", "remote"], required=True)
    parser.add_argument("--split", choices=["h1", "m1", "m2"], required=True)
    parser.add_argument("--phase", choices=["minival", "test"], default="minival")
    parser.add_argument("--models", type=Path, required=True)
    parser.add_argument("--batch-size", type=int, default=1)
    given = parser.parse_args(arguments)

    models = {path.stem: path for path in given.models.glob("*.safetensors")}
    if "others" in models:
        models[OTHERS] = models.pop("others")
    decoder = FalconDecoder(FalconConfig(FalconTask[given.split]), models, given.batch_size)
    evaluator = FalconEvaluator(
        eval_remote=given.evaluation == "remote", split=given.split, dataloader_workers=0
    )
    return evaluator.evaluate(decoder, phase=given.phase)


if __name__ == "__main__":
    main()
