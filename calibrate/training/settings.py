"""How a network is trained, in numbers."""

from __future__ import annotations

from dataclasses import dataclass

from rtdecode.calibrate.training.augment import Augmentation

DECODE, SIMULATE = "decode", "simulate"


@dataclass(frozen=True, kw_only=True)
class TrainingSettings:
    """How a network is trained.

    Attributes:
        steps: batches at most.
        batch: windows in each, of all ranks together.
        window_bins: length of a window.
        warmup_bins: first bins of a window that are not scored.
        learning_rate: at the height of its one cycle.
        rise: part of the steps in which it rises to there.
        weight_decay, clip: of AdamW, and of the norm of the gradient.
        validate_every: steps between looks at the validation bins, where there are any.
        patience: looks without a better one after which training stops, if the last is worse by `tolerance`.
        tolerance: R² by which an earlier look has to be better than the last one for its weights to be kept;
            a few short validation blocks say no more than that about what comes after them.
        look_first: look at them before the first step too: a training that does not better what it began with
            then ends with that.
        withhold: part of the steps for which the validation bins are kept back. If no earlier look was better
            by `tolerance` by then, they are learnt from as well, and nothing is looked at any more.
        ends_at_s: time of `time.monotonic` at which training ends with the best weights so far, by these
            looks; None for never.
        part: of the way from the weights it began with to those that were kept, at the end and in each look.
        auxiliary: weight of the paths beside the deployed one (AlignNet only). On one session they cost
            twice the time and bring the deployed path nothing, so they are left to pretraining.
        auxiliary_every: batches of which one goes through them; the others go through the deployed one only.
        contrast: weight of the contrastive loss among them.
        direction: what is deployed, "decode" or "simulate"; the other one is then among the paths beside it.
        cross: weight of the ways across: behaviour from spikes, which is what is deployed, and spikes from
            behaviour. 0 leaves it to the contrast to bring both halves together.
        frozen_norm: leave the statistics of batch normalisation alone: a few minutes of one day know less
            about them than the days before.
        settled_batches: after training, batch normalisation takes its statistics anew over so many batches,
            with nothing dropped or disturbed: dropout widens what it sees in training (Li, Chen, Hu & Yang
            2019, CVPR). 0: they stay as training left them.
        pull: weight of Σ (w − w₀)² over all weights but the read-in's, which pulls them back to where they
            were (L2-SP: Li, Grandvalet & Davoine 2018, ICML); weight decay does not pull them to 0 then.
        only: what the names of the parameters begin with that are trained; () for all of them.
        read_in_rate: the read-ins' part of the learning rate. A new day starts at a z-score, so the network
            should not come to rely on read-ins that have gone far from theirs.
        augmentation: what is done to the windows; None for nothing.
        mixed: multiply in bfloat16 between the neurons, which a GPU and some CPUs do faster; sums over time
            stay float32.
        seed: of everything drawn at random.
    """

    steps: int = 400
    batch: int = 16
    window_bins: int = 200
    warmup_bins: int = 12
    learning_rate: float = 3e-3
    rise: float = 0.2
    weight_decay: float = 1e-2
    clip: float = 1.0
    validate_every: int = 25
    patience: int = 10
    tolerance: float = 0.0
    look_first: bool = False
    withhold: float = 1.0
    ends_at_s: float | None = None
    part: float = 1.0
    auxiliary: float = 0.0
    auxiliary_every: int = 1
    contrast: float = 0.1
    direction: str = DECODE
    cross: float = 1.0
    frozen_norm: bool = False
    settled_batches: int = 0
    pull: float = 0.0
    only: tuple[str, ...] = ()
    read_in_rate: float = 1.0
    augmentation: Augmentation | None = None
    mixed: bool = False
    seed: int = 0
