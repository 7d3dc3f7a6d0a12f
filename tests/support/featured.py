"""Simulated sessions whose channels are features, or half of them."""

from __future__ import annotations

from dataclasses import replace

from rtdecode.session.bins import bin_session
from rtdecode.session.layout import Features, Session


def featured(day: Session, width_s: float) -> dict[str, Session]:
    """A session's events as such, as features, every other channel as one, and without those channels."""
    assert day.events is not None
    binned, n = bin_session(day, width_s), day.n_channels
    names = tuple(f"e{i}" for i in range(n))
    values = binned.counts.astype("f4")
    kinds, units = ("count",) * n, ("",) * n
    features = Features(binned.t_bin, values, names, kinds, units, width_s)
    half = replace(features, values=values[:, ::2], names=names[::2], kinds=kinds[::2], units=units[::2])
    odd = day.events.channel % 2 == 1
    kept = replace(day.events, time=day.events.time[odd], channel=day.events.channel[odd] // 2)
    return {
        "counts": replace(day, path=None),
        "features": replace(day, n_channels=0, events=None, features=features, path=None),
        "mixed": replace(day, n_channels=n // 2, events=kept, features=half, path=None),
        "fewer": replace(day, n_channels=n // 2, events=kept, path=None),
    }
