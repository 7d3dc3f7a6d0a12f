"""What features are worth to a decoder: held-out R² of each kind of model.

    python tests/benchmark/signals/bench_features.py counts SESSION.h5 [--kinds wiener,kalman,gru] [--seeds 1]
    python tests/benchmark/signals/bench_features.py power [--electrodes 24] [--seconds 300]
        [--bin-width 0.02] [--arrays 0,3]

`counts`: a session of counts, the same counts as float32 features, and half of the channels as each.

`power`: simulated voltage, 30 kHz, 10 µV of noise. Each electrode records one unit that crosses the threshold
of −4.5 SD and some that do not. Spikes and spike-band power (300 to 1,000 Hz) are found in it by
`rtdecode.detection`. A model reads the counts, the power, or both. Printed are the mean over arrays (seeds of
their simulation) and seeds of training, and in brackets each array.
"""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import torch

from rtdecode.calibrate.fitting.fit import fit_sessions
from rtdecode.calibrate.run import Run
from rtdecode.detection.detector import Found, SpikeDetector
from rtdecode.detection.settings import PowerSettings
from rtdecode.detection.spikes import concatenated
from rtdecode.kernels.arrays import F4, F8
from rtdecode.models.kinds.registry import NETWORKS
from rtdecode.session.bins import bin_session
from rtdecode.session.layout import Events, Features, Session
from rtdecode.session.read import read_session
from rtdecode.session.write import write_session
from rtdecode.tools.simulator.array import ArraySettings, draw_array
from rtdecode.tools.simulator.scripted import CentreOut, simulate_session

RATE_HZ, NOISE_UV, WIDTH_S = 30_000.0, 10.0, 0.02

#: Peak of the unit that is detected, and of those below the threshold, µV.
LARGE_UV, SMALL_UV = 60.0, (22.0, 18.0, 14.0)

#: Voltage is made and searched in pieces of this length.
PIECE_S = 2.0

SPIKE = -np.exp(-0.5 * ((np.arange(45) - 12) / 3.0) ** 2) + 0.35 * np.exp(
    -0.5 * ((np.arange(45) - 25) / 6.0) ** 2
)


def as_features(session: Session) -> dict[str, Session]:
    """The session's counts, as features, and every other channel as one."""
    assert session.counts is not None
    counts = session.counts
    binned = bin_session(session, counts.nominal_width_s)
    names = tuple(f"count {i}" for i in range(session.n_channels))
    own = (("count",) * len(names), ("",) * len(names))
    features = Features(binned.t_bin, binned.counts.astype(np.float32), names, *own, binned.bin_width_s)
    half = replace(
        features,
        values=features.values[:, ::2],
        **{part: getattr(features, part)[::2] for part in ("names", "kinds", "units")},
    )
    odd = replace(counts, values=counts.values[:, 1::2])
    return {
        "counts": session,
        "features": replace(session, n_channels=0, counts=None, features=features),
        "half": replace(session, n_channels=odd.values.shape[1], counts=odd, features=half),
    }


def voltage(session: Session, n_electrodes: int, seed: int) -> list[Found]:
    """What is found in the voltage of electrodes that record the session's units, 1 + len(SMALL_UV) each."""
    assert session.events is not None
    rng = np.random.default_rng(seed)
    peak_uv = np.array([LARGE_UV, *SMALL_UV])
    at = np.rint(session.events.time * RATE_HZ).astype(np.int64)
    unit = session.events.channel.astype(np.int64)
    detector = SpikeDetector(n_electrodes, RATE_HZ, power=PowerSettings(bin_width_s=WIDTH_S))
    n, piece, found = int(session.end_s * RATE_HZ), round(PIECE_S * RATE_HZ), []
    left: F4 = np.zeros((len(SPIKE), n_electrodes), np.float32)
    for begin in range(0, n, piece):
        samples = np.zeros((piece + len(SPIKE), n_electrodes), np.float32)
        samples[: len(SPIKE)] = left
        first, last = np.searchsorted(at, [begin, begin + piece])
        electrode, which = unit[first:last] % n_electrodes, unit[first:last] // n_electrodes
        rows = (at[first:last] - begin)[:, np.newaxis] + np.arange(len(SPIKE))
        np.add.at(samples, (rows, electrode[:, np.newaxis]), peak_uv[which][:, np.newaxis] * SPIKE)
        left = samples[piece:].copy()
        noise = rng.standard_normal((piece, n_electrodes), np.float32)
        found.append(detector.process(samples[:piece] + np.float32(NOISE_UV) * noise))
    found.append(detector.finish())
    return found


def with_power(n_electrodes: int, seconds: float, seed: int) -> dict[str, Session]:
    """A session of reaches as threshold crossings, spike-band power, and both."""
    n_units = n_electrodes * (1 + len(SMALL_UV))
    array = draw_array(ArraySettings(n_channels=n_units, n_noise=0), np.random.default_rng(seed))
    session = simulate_session(CentreOut(n_channels=n_units), array, seconds, seed, "power")
    found = voltage(session, n_electrodes, seed)
    crossings = concatenated([each.crossings for each in found])
    bins = np.concatenate([each.power.bin for each in found if each.power is not None])
    values = np.concatenate([each.power.values for each in found if each.power is not None])
    names = tuple(f"power {i}" for i in range(n_electrodes))
    kinds, units = ("power",) * n_electrodes, ("uV",) * n_electrodes
    time: F8 = (bins + 1) * WIDTH_S
    kept = time <= session.end_s
    features = Features(time[kept], values[kept], names, kinds, units, WIDTH_S)
    print(f"{len(crossings.sample)} crossings of {len(session.events.time) if session.events else 0} spikes")
    events = Events(crossings.sample / RATE_HZ, crossings.channel)
    both = replace(session, n_channels=n_electrodes, events=events, features=features)
    return {
        "counts": replace(both, features=None),
        "power": replace(both, n_channels=0, events=None),
        "both": both,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("what", choices=("counts", "power"))
    parser.add_argument("session", nargs="?", type=Path)
    parser.add_argument("--kinds", default="wiener,kalman,gru")
    parser.add_argument("--electrodes", type=int, default=24)
    parser.add_argument("--seconds", type=float, default=300.0)
    parser.add_argument("--bin-width", type=float, default=WIDTH_S, help="of the models, with power, seconds")
    parser.add_argument("--arrays", default="0", help="seeds of the simulated arrays")
    parser.add_argument("--seeds", type=int, default=1, help="of training that are averaged")
    parser.add_argument("--keep", type=Path, help="folder to keep the sessions in")
    asked = parser.parse_args()
    torch.set_num_threads(1)
    if asked.what == "counts":
        if asked.session is None:
            parser.error("counts needs a SESSION")
        session = read_session(asked.session)
        assert session.counts is not None
        arrays, width_s = [as_features(session)], session.counts.nominal_width_s
    else:
        seeds = [int(seed) for seed in asked.arrays.split(",")]
        arrays = [with_power(asked.electrodes, asked.seconds, seed) for seed in seeds]
        width_s = asked.bin_width
    with TemporaryDirectory() as temporary:
        folder = asked.keep or Path(temporary)
        for i, sessions in enumerate(arrays):
            for name, each in sessions.items():
                write_session(folder / f"{name}-{i}.h5", replace(each, path=None))
        for kind in asked.kinds.split(","):
            runs = [Run(seed=i) for i in range(asked.seeds if kind in NETWORKS else 1)]
            print(f"{kind:8}", end="")
            for name in arrays[0]:
                paths = [folder / f"{name}-{i}.h5" for i in range(len(arrays))]
                r2 = [
                    float(np.mean([fit_sessions([path], kind, width_s, run=run).r2.mean() for run in runs]))
                    for path in paths
                ]
                print(f"  {name} {np.mean(r2):.4f} [{' '.join(f'{x:.4f}' for x in r2)}]", end="", flush=True)
            print()


if __name__ == "__main__":
    main()
