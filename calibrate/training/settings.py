"""Training settings, and the sizes of the networks that `fit` and `pretrain` make. Without torch."""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from typing import Any

DECODE, SIMULATE = "decode", "simulate"

MOST_MEMBERS = 16

#: Length of a training window, and of the part of any window that is not scored.
WINDOW_S, WARMUP_S = 12.8, 0.8

#: Units of a GRU; a GRU model has one network.
GRU_UNITS = 128


@dataclass(frozen=True, kw_only=True)
class Augmentation:
    """How often and how strongly training windows are augmented, in SDs of each channel's counts.

    Drift and faults of a channel last for the whole window. Behaviour is unchanged.

    Attributes:
        bin_width_s: of the counts, in seconds.
        windows: fraction of the windows that are augmented; an intact array must be decoded best.
        gain: SD of the logarithm of a factor on the counts of a channel.
        baseline: SD of an offset added to them.
        dead: probability that a channel is silent. Channel dropout differs: it hides a channel as if it were
            masked.
        noisy: probability that a channel holds noise instead of spikes, uniform between 0 and `noise`.
        noise: largest value of this noise.
        artefacts_hz: rate at which artefacts of movement or chewing begin. One lasts from one bin to
            `artefact_s` and adds up to `artefact` to most channels at once, to each its own share.
        artefact, artefact_s: largest height, and longest duration in seconds.
    """

    bin_width_s: float
    windows: float = 0.25
    gain: float = 0.15
    baseline: float = 0.15
    dead: float = 0.02
    noisy: float = 0.02
    noise: float = 6.0
    artefacts_hz: float = 0.0625
    artefact: float = 8.0
    artefact_s: float = 0.256


@dataclass(frozen=True, kw_only=True)
class TrainingSettings:
    """How a network is trained.

    Attributes:
        steps: number of batches, at most.
        batch: windows per batch, over all ranks.
        window_bins: length of a window.
        warmup_bins: first bins of a window that are not scored.
        learning_rate: peak of the one-cycle schedule.
        rise: fraction of the steps before this peak.
        weight_decay, clip: of AdamW, and of the norm of the gradient.
        validate_every: steps between validations, where there are validation bins.
        patience: validations without improvement after which training stops, if the last is worse by
            `tolerance`.
        tolerance: R² by which an earlier validation has to be better than the last one for its weights to be
            kept. A few short validation blocks predict what comes after them no more precisely than that.
        validate_first: also validate before the first step: a training that improves nothing then ends with
            the initial weights.
        validate_until: fraction of the steps during which validation bins are not trained on. After that,
            unless an earlier validation was better by `tolerance`, they are, and validation ends.
        interpolation: α in w₀ + α(w − w₀), applied at each validation and at the end.
        auxiliary: weight of the losses beside the deployed path's (AlignNet only). On one session they take
            twice the time and do not improve the deployed path, so only pretraining uses them.
        auxiliary_every: they are computed in one of this many batches.
        contrast: weight of the contrastive loss among them.
        direction: the deployed path, "decode" or "simulate"; the other one is then auxiliary.
        cross: weight of the paths across: behaviour from spikes, which is deployed, and spikes from
            behaviour. At 0 only the contrast relates both halves.
        frozen_norm: keep the BatchNorm statistics: a few minutes of one day estimate them worse than the days
            before.
        norm_batches: batches over which BatchNorm statistics are re-estimated after training, without
            dropout and augmentation: dropout widens the distributions seen in training (Li, Chen, Hu & Yang
            2019, CVPR). 0 keeps the running statistics.
        pull: weight of Σ (w − w₀)² over all weights but the read-in's (L2-SP: Li, Grandvalet & Davoine 2018,
            ICML); it replaces weight decay.
        only: name prefixes of the parameters that are trained; () for all.
        read_in_rate: factor on the learning rate of the read-ins. A new day starts at a z-score, so the
            network should not rely on read-ins far from theirs.
        augmentation: of the windows; None for none.
        mixed: multiply in bfloat16 between the neurons, which is faster on a GPU and some CPUs; sums over
            time stay float32.
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
    validate_first: bool = False
    validate_until: float = 1.0
    interpolation: float = 1.0
    auxiliary: float = 0.0
    auxiliary_every: int = 1
    contrast: float = 0.1
    direction: str = DECODE
    cross: float = 1.0
    frozen_norm: bool = False
    norm_batches: int = 0
    pull: float = 0.0
    only: tuple[str, ...] = ()
    read_in_rate: float = 1.0
    augmentation: Augmentation | None = None
    mixed: bool = False

    def recorded(self, seed: int) -> dict[str, Any]:
        """The settings of a training with this seed and no deadline, as model files, checkpoints and job ids
        hold them: their keys do not change with the names of attributes.
        """
        values = {_RECORDED_AS.get(name, name): value for name, value in asdict(self).items()}
        return values | {"ends_at_s": None, "seed": seed}

    def in_windows(self, window_s: float, most_bins: int, bin_width_s: float) -> TrainingSettings:
        """The settings with windows of this length, at most `most_bins`, and their warm-up."""
        window = min(round(window_s / bin_width_s), most_bins)
        warmup = min(round(WARMUP_S / bin_width_s), window // 4)
        return replace(self, window_bins=window, warmup_bins=warmup)

    def within(self, most_bins: int) -> TrainingSettings:
        """The settings with windows of at most this many bins, and as many more of them in a batch."""
        window = min(self.window_bins, most_bins)
        return replace(
            self,
            window_bins=window,
            warmup_bins=min(self.warmup_bins, window // 4),
            batch=self.batch * (self.window_bins // window),
        )


_RECORDED_AS = {
    "validate_first": "look_first",
    "validate_until": "withhold",
    "interpolation": "part",
    "norm_batches": "settled_batches",
}


@dataclass(frozen=True, kw_only=True)
class Sizes:
    """Sizes of the networks of a model, and the dropout before their heads.

    Attributes:
        members: AlignNets in the ensemble.
        widths: neurons in each layer of each encoder level, the finest first.
        dec_widths: units in each layer of each decoder level.
        feature_dropout: see `Network`; a GRU's as well.
        latent, leaky, hidden, motion_dropout: see `AlignNet`.
        simulates: for simulated rates: read from membrane potentials, relative to each session's mean.
    """

    members: int
    widths: tuple[int, ...]
    dec_widths: tuple[int, ...]
    feature_dropout: float
    latent: int = 64
    leaky: int = 64
    hidden: int = 64
    motion_dropout: float = 0.0
    simulates: bool = False


#: For `fit`. On a few minutes a wide network learns no more than a narrow one, and four err less than two.
ONE_DAY = Sizes(members=4, widths=(80, 80, 80), dec_widths=(64, 64), feature_dropout=0.3)

#: How `fit` trains. Validation blocks are short, and choosing the best of many validations by them cost .003
#: to .011 R² on other days.
ONE_DAY_TRAINING = TrainingSettings(tolerance=0.05)

#: For `pretrain`; an ensemble of two costs the engine as much per bin as `ONE_DAY`.
MANY_DAYS = Sizes(members=2, widths=(160, 112, 112), dec_widths=(112, 112), feature_dropout=0.1)

#: How `pretrain` trains. Auxiliary losses in every batch took longer and did not improve scores on new days.
MANY_DAYS_TRAINING = replace(
    ONE_DAY_TRAINING, auxiliary=0.1, auxiliary_every=4, norm_batches=60, read_in_rate=0.1
)

#: For `pretrain --direction simulate`. The level that rates are read from is the widest: a single neuron
#: resolves a rate coarsely.
MANY_DAYS_SIMULATED = Sizes(
    members=2,
    widths=(96, 96, 96),
    dec_widths=(192, 96),
    feature_dropout=0.3,
    motion_dropout=0.3,
    simulates=True,
)
