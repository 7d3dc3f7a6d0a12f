"""A stream of features is decoded live as offline, to the bit, through losses, an outage and a swap."""

from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pylsl
from commands import document_here
from daemon import assert_once_in_order
from decoding import artifact_of
from wrong_source import Playing

from rtdecode.artifact import Feature, ModelArtifact, write_artifact
from rtdecode.decode.inputs import session_inputs
from rtdecode.messages import Flag
from rtdecode.session.layout import Session
from rtdecode.session.read import read_session
from rtdecode.tools.loopback import LoopbackRig

NAMES, KINDS = ("a", "b", "c"), ("power", "count", "other")
RATE_HZ = 100.0
NO_SESSION = Session(n_channels=0)


def value_of(sample: int, column: str) -> float:
    """What is sent: another one for each sample, in float32; some unknown."""
    if column == "a" and sample % 40 < 5:
        return float("nan")
    return float(np.float32(10.0 + 3.0 * np.sin(0.37 * sample + ord(column))))


class Power:
    """The columns of a model in another order, and one more; every 50th sample is lost."""

    def __init__(self, name: str) -> None:
        info = pylsl.StreamInfo(name, "Features", 4, RATE_HZ, "float32", "power")
        columns = info.desc().append_child("channels")
        for label, kind in (("c", "other"), ("x", ""), ("a", "power"), ("b", "count")):
            column = columns.append_child("channel")
            column.append_child_value("label", label)
            column.append_child_value("unit", "uV")
            column.append_child_value("kind", kind)
        self.outlet, self._sent = pylsl.StreamOutlet(info), 0

    def push_until(self, session: Session, t: float, begun_s: float) -> None:
        while (self._sent + 1) / RATE_HZ <= t:
            n, self._sent = self._sent, self._sent + 1
            if n % 50:
                row = [value_of(n, column) for column in "cxab"]
                self.outlet.push_sample(row, begun_s + self._sent / RATE_HZ)


class Rates:
    """Rates in Hz, or fractions, that nothing describes."""

    def __init__(self, name: str, rates: bool) -> None:
        self.outlet = pylsl.StreamOutlet(pylsl.StreamInfo(name, "", 2, 50.0, "float32", name))
        self._factor, self._sent = 50.0 if rates else 0.3, 0

    def push_until(self, session: Session, t: float, begun_s: float) -> None:
        while (self._sent + 1) / 50.0 <= t:
            self._sent += 1
            row = [self._factor * (self._sent % 4), self._factor * (self._sent % 3)]
            self.outlet.push_sample(row, begun_s + self._sent / 50.0)


def model(mean: float, sd: float) -> ModelArtifact:
    weight = np.random.default_rng(3).normal(size=(3, 4, 3)).astype("f4")
    features = tuple(
        Feature(name, kind, "uV", mean * (2 if kind == "count" else 1), sd)  # type: ignore[arg-type]
        for name, kind in zip(NAMES, KINDS, strict=True)
    )
    run = {"weight": weight, "bias": np.zeros(3)}
    return artifact_of("wiener", n_channels=0, channel_mask=(), features=features, run=run)


def saved(path: Path, artifact: ModelArtifact) -> Path:
    write_artifact(path, artifact)
    return path


def test_features_are_decoded_live_as_offline_across_an_outage_and_a_swap(
    rig: LoopbackRig, serve: Any, stream: str
) -> None:
    first, second = (
        saved(rig.folder / f"{sd}.safetensors", model(mean, sd)) for mean, sd in ((10.0, 2.0), (9.0, 3.0))
    )
    recording, again = rig.folder / "live.h5", rig.folder / "again.h5"
    served = serve(first, "--record", str(recording))
    with Playing(NO_SESSION, [Power(stream)]):
        served.subscriber.until(lambda m: m["bin"] >= 100)
        status = served.request(cmd="status")
    served.subscriber.until(lambda m: m["flags"] & Flag.FAILSAFE)
    with Playing(NO_SESSION, [Power(stream)]):
        served.subscriber.until(lambda m: m["flags"] & Flag.GAP)
        served.subscriber.until(lambda m: m["flags"] == 0)
        served.subscriber.take(500)
        assert served.request(cmd="swap", path=str(second))["ok"]
        swapped = served.subscriber.until(lambda m: m["flags"] & Flag.SWAPPED)
        served.subscriber.until(lambda m: m["bin"] > swapped["bin"] + 30)
    served.end()
    assert_once_in_order(served.subscriber.messages)
    assert "layout features (1 power, 1 count, 1 other: a, b, c), 4 columns" in rig.stderr(served.name)
    assert (status["stream"]["layout"], status["stream"]["n_channels"]) == ("features", 0)
    assert (status["model"]["n_features"], status["counters"]["lost"] > 0) == (3, True)
    assert status["counters"]["not_a_count"] == status["counters"]["features_beyond"] == 0

    with h5py.File(recording) as file:
        assert file.attrs["format_version"] == 2
    session = read_session(recording)
    features, live = session.features, session.decoded
    assert features is not None
    assert live is not None
    assert live.codes is not None
    assert (features.names, features.kinds, features.units) == (NAMES, KINDS, ("uV",) * 3)
    # The second source numbers anew: each part is what it sent.
    cut = int(np.argmax(np.diff(features.time))) + 1
    for part in (slice(0, cut), slice(cut, None)):
        values = features.values[part]
        number = np.rint((features.time[part] - features.time[part][0]) * RATE_HZ).astype(int)
        start = next(
            s for s in range(400) if all(value_of(s + number[i], "b") == values[i, 1] for i in range(9))
        )
        sent = [[value_of(start + n, name) for name in NAMES] for n in number]
        np.testing.assert_array_equal(values, sent)
        assert {(start + n) % 50 for n in range(number[-1])} - {(start + n) % 50 for n in number} <= {0}

    # The file alone gives the same bins, up to the outage.
    offline = session_inputs(replace(session, decoded=None), model(10.0, 2.0))
    n = int(np.argmax(live.flags & Flag.FAILSAFE > 0)) - 1
    assert np.all(offline[live.bin[:n]] == live.codes[:n], axis=1).mean() > 0.95
    document_here("decode", recording, "--model", str(first), "--model", str(second), "--output", again)
    decoded = read_session(again).decoded
    assert decoded is not None
    np.testing.assert_array_equal(decoded.values, live.values)
    published = {m["bin"]: m["value"] for m in served.subscriber.messages}
    np.testing.assert_array_equal(live.values, [published[b] for b in live.bin.tolist()])
    assert live.models == (model(10.0, 2.0).model_id, model(9.0, 3.0).model_id)
    assert np.ptp(live.values[live.model == 1][:, 0]) > 0.1
    # By a model of other means its features are put into bins again.
    document_here("decode", recording, "--model", saved(rig.folder / "other.safetensors", model(11.0, 2.0)))


def test_features_that_nothing_describes_are_recorded_by_their_values(rig: LoopbackRig, stream: str) -> None:
    paths = {kind: rig.folder / f"{kind}.h5" for kind in ("rate", "other")}
    for kind, path in paths.items():
        rig.start(kind, ["record", "--stream", f"{stream}-{kind}", "--output", str(path)])
    with Playing(NO_SESSION, [Rates(f"{stream}-rate", True), Rates(f"{stream}-other", False)]):
        for kind in paths:
            rig.await_line(kind, "recorded as features", 30)
            rig.await_line(kind, "as features", 30)
        rig.await_line("other", "recording", 30)
        time.sleep(1.5)
        for kind in paths:
            rig.end(kind)
    for kind, path in paths.items():
        session = read_session(path)
        assert session.features is not None
        assert session.features.kinds == (kind, kind)
        assert len(session.features.time) > 40
        assert session.n_channels == 0
