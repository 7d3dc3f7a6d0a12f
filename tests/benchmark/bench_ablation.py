"""What each part of pretraining brings: one network without it, on days that it has not seen.

    python tests/benchmark/bench_ablation.py DATA/indy [--steps N] [--only NAME,…] [--workers N]

Trains on the Indy days that are not among the six of `TESTED`, 64-ms bins, seed 0, one network for each
variant. Printed is the mean R² of x, y, vx, vy over these six, on the last fifth, from spikes alone and
after the 4 minutes of labels before it; networks run in torch, in one pass, since one that rectifies is
nothing that `serve` could step.
"""

from __future__ import annotations

import argparse
import copy
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from joblib import Parallel, delayed
from numpy.typing import NDArray
from torch import Tensor, nn

from rtdecode.calibrate.adaptation.finetune import NewDay, adapt
from rtdecode.calibrate.adaptation.finetune_settings import FINETUNING
from rtdecode.calibrate.data.metrics import r2
from rtdecode.calibrate.data.sessions import LabelledSession, describe_outputs, read_all
from rtdecode.calibrate.data.splits import LAST_FIFTH, chronological_split
from rtdecode.calibrate.fitting.pretrain import PretrainSettings, recordings_of
from rtdecode.calibrate.run import Run
from rtdecode.calibrate.training.build import (
    add_session,
    clipped_counts,
    new_members,
    training_settings,
    z_scored,
)
from rtdecode.calibrate.training.settings import MANY_DAYS
from rtdecode.calibrate.training.trainer import train
from rtdecode.calibrate.training.windows import Recording
from rtdecode.models.nn.layers import ConvUnit
from rtdecode.models.nn.lif import LIF, Fired
from rtdecode.models.nn.network import Network

TESTED = ("20160930_02", "20161014_04", "20161026_03", "20161207_02", "20161220_02", "20170123_02")
OUTPUTS = ("x", "y", "vx", "vy")
BIN_WIDTH_S, LABELLED_S, SEED = 0.064, 240.0, 0
CPU, RUN = torch.device("cpu"), Run(seed=SEED, device="cpu")


@dataclass(frozen=True, kw_only=True)
class Variant:
    """A way to train.

    Attributes:
        settings: what differs from those of `PretrainSettings`.
        network: what is done to the network before it is trained.
        pretrained: False to start from nothing on the four minutes.
    """

    settings: Mapping[str, Any] = field(default_factory=dict)
    network: Callable[[Network], None] = lambda net: None
    pretrained: bool = True


def rectifying(net: Network) -> None:
    """ReLU where neurons would fire."""
    for module in net.modules():
        if isinstance(module, ConvUnit):
            module.neuron = nn.ReLU()


class SpikesAcross(LIF):
    """Neurons that tell the decoder whether they fired, and not how far they were charged."""

    def fire(self, current: Tensor) -> Fired:
        fired = super().fire(current)
        return fired._replace(potential=fired.spikes)


def spikes_across(net: Network) -> None:
    """Skips and latent read spikes, as the paper's do."""
    for module in net.modules():
        if isinstance(module, ConvUnit) and isinstance(module.neuron, LIF):
            module.neuron = SpikesAcross()


def all_channels(net: Network) -> None:
    """No channel is ever hidden."""
    net.read_in.channel_dropout.p = 0.0


VARIANTS: dict[str, Variant] = {
    "as pretrain does": Variant(),
    "all paths in every batch": Variant(settings={"auxiliary_every": 1}),
    "without contrast": Variant(settings={"auxiliary_every": 1, "contrast": 0.0}),
    "without the paths across": Variant(settings={"auxiliary_every": 1, "auxiliary": 1.0, "cross": 0.0}),
    "the deployed path alone": Variant(settings={"auxiliary": 0.0}),
    "without channel dropout": Variant(network=all_channels),
    "without augmentation": Variant(settings={"augmentation": None}),
    "without pretraining": Variant(pretrained=False),
    "ReLU for LIF": Variant(network=rectifying),
    "spikes for membrane potentials": Variant(network=spikes_across),
}


def run(name: str, folder: Path, steps: int) -> str:
    """The row of one variant."""
    torch.set_num_threads(1)
    paths = sorted(folder.glob("indy_*.h5"))
    tested = [path for path in paths if path.stem.removeprefix("indy_") in TESTED]
    learnt = read_all([path for path in paths if path not in tested], BIN_WIDTH_S, OUTPUTS)
    bins = [day.labelled_bins for day in learnt]
    described = describe_outputs(learnt, bins)
    torch.manual_seed(SEED)
    (net,) = new_members("alignnet", 96, described, BIN_WIDTH_S, SEED, replace(MANY_DAYS, members=1))
    variant = VARIANTS[name]
    variant.network(net)
    if variant.pretrained:
        recordings = recordings_of([net], [day.session.name for day in learnt], learnt, bins, described)
        settings = PretrainSettings(bin_width_s=BIN_WIDTH_S, steps=steps).training_on(recordings, CPU)
        train(net, recordings, replace(settings, **variant.settings), RUN)
    scores = np.array([score(net, day, variant.pretrained) for day in read_all(tested, BIN_WIDTH_S, OUTPUTS)])
    zero, tuned = scores.mean(axis=0)
    return f"{name:32}{zero:10.3f}{tuned:10.3f}   " + " ".join(f"{a:.3f}/{b:.3f}" for a, b in scores)


def score(net: Network, day: LabelledSession, pretrained: bool) -> tuple[float, float]:
    """Mean R² from spikes alone, and after the labels."""
    before, held_out = chronological_split(day.labelled_bins, LAST_FIFTH)
    stop = int(np.flatnonzero(before)[-1]) + 1
    bins = slice(max(0, stop - round(LABELLED_S / BIN_WIDTH_S)), stop)
    counts, targets, name = day.binned.counts[bins], day.targets[bins], day.session.name
    own = copy.deepcopy(net)
    add_session([own], name, counts, BIN_WIDTH_S, where=name)
    zero = decoded(own, day, held_out) if pretrained else float("nan")
    if pretrained:
        adapt([own], NewDay(name, counts, targets, BIN_WIDTH_S), RUN, FINETUNING)
    else:
        _from_nothing(own, day, bins)
    return zero, decoded(own, day, held_out)


def decoded(net: Network, day: LabelledSession, held_out: NDArray[np.bool_]) -> float:
    counts = np.minimum(day.binned.counts, net.read_in.count_max).astype(np.float32)
    with torch.no_grad():
        read = torch.from_numpy(counts.T.copy())[None]
        values = net.eval().in_units(net.decode(read, day.session.name))[0].T.numpy()
    return float(r2(values[held_out], day.targets[held_out]).mean())


def _from_nothing(net: Network, day: LabelledSession, bins: slice) -> None:
    learnt = np.zeros_like(day.labelled_bins)
    learnt[bins] = day.labelled_bins[bins]
    described = describe_outputs([day], [learnt])
    net.set_output_scale([output.mean for output in described], [output.sd for output in described])
    counts = clipped_counts(day.binned.counts[bins], net.read_in.count_max)
    z = z_scored(day.targets[bins], described)
    recording = Recording.of(day.session.name, counts, z, np.ones(len(counts), np.bool_))
    train(net, [recording], training_settings([recording], BIN_WIDTH_S), RUN)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folder", type=Path)
    parser.add_argument("--steps", type=int, default=PretrainSettings().steps)
    parser.add_argument("--only", default=",".join(VARIANTS))
    parser.add_argument("--workers", type=int, default=2)
    given = parser.parse_args()
    names = given.only.split(",")
    print(f"{'':32}{'spikes':>10}{'4 min':>10}   days", flush=True)
    rows = Parallel(n_jobs=given.workers, return_as="generator")(
        delayed(run)(name, given.folder, given.steps) for name in names
    )
    for row in rows:
        print(row, flush=True)


if __name__ == "__main__":
    main()
