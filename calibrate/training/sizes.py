"""How large networks are made: to learn one day, and to learn many."""

from __future__ import annotations

from dataclasses import dataclass

MOST_MEMBERS = 16

#: Units of a GRU, of which a model has one.
GRU_UNITS = 128


@dataclass(frozen=True, kw_only=True)
class Sizes:
    """Of the AlignNets of a model, and how much of what their heads read is dropped while they learn.

    Attributes:
        members: networks that the model is the mean of.
        widths: neurons in each layer of each level of an encoder, the finest first.
        dec_widths: units in each layer of each decoder level.
        feature_dropout: see `Network`; a GRU's as well.
        latent, leaky, hidden, motion_dropout: see `AlignNet`.
        simulates: they are to tell rates; made of charges, and about each session's mean.
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


#: For `fit`. A few minutes teach a wide network no more than a narrow one, and four err less than two.
ONE_DAY = Sizes(members=4, widths=(80, 80, 80), dec_widths=(64, 64), feature_dropout=0.3)

#: For `pretrain`, which costs the engine as much a bin.
MANY_DAYS = Sizes(members=2, widths=(160, 112, 112), dec_widths=(112, 112), feature_dropout=0.1)

#: For `pretrain --direction simulate`. The level that rates are read from is the widest: what a neuron says
#: of a rate is coarse.
MANY_DAYS_SIMULATED = Sizes(
    members=2,
    widths=(96, 96, 96),
    dec_widths=(192, 96),
    feature_dropout=0.3,
    motion_dropout=0.3,
    simulates=True,
)
