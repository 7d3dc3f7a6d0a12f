"""Voltage is served: its spikes are those of `rtdecode detect`, and the recording decodes to the bit."""

from __future__ import annotations

from pathlib import Path

import h5py
import numpy as np
from commands import document_here
from daemon import Served
from decoding import artifact_of
from voltage import RATE_HZ, recording

from rtdecode.artifact import Feature, write_artifact
from rtdecode.session.read import read_session
from rtdecode.tools.loopback import LoopbackRig

N_CHANNELS, SECONDS, NOISE_S = 6, 5.0, 1.0


def test_voltage_is_decoded_by_the_spikes_that_detect_finds(
    rig: LoopbackRig, stream: str, tmp_path: Path
) -> None:
    samples, troughs = recording(SECONDS, N_CHANNELS, seed=1)
    samples[:, 4] = 0.0
    # Floats of their whole start: of integers the first few are taken to see that they are no raster.
    np.save(tmp_path / "voltage.npy", samples.astype(np.float32))
    weight = np.random.default_rng(1).normal(0, 0.1, (N_CHANNELS, 3, 3)).astype(np.float32)
    model = tmp_path / "m.safetensors"
    run = {"weight": weight, "bias": np.zeros(3)}
    write_artifact(model, artifact_of("wiener", n_channels=N_CHANNELS, run=run))
    rig.set_environment("PYTHONPATH", str(Path(__file__).parents[2] / "support" / "live"))
    sent = [stream, "voltage.npy", str(RATE_HZ), "2", str(SECONDS)]
    source = rig.start("source", sent, module="voltage_source")
    assert source.stdout is not None
    given = ["--record", "live.h5", "--reference", "car", "--noise-seconds", str(NOISE_S)]
    served = Served(rig, stream, model, *given)
    begun_s, n_sent = float(source.stdout.readline()), int(source.stdout.readline())
    published = served.subscriber
    published.until(lambda message: message["t_bin"] > begun_s + SECONDS)
    status = served.request(cmd="status")
    rig.end("serve")
    published.take(100)
    published.close()
    assert status["stream"]["layout"] == "broadband"
    assert status["counters"]["lost"] == 0
    said = rig.stderr("serve")
    assert "layout broadband (300 to 3000 Hz, reference car, spikes below -4.5 SD), 6 channels" in said
    assert "its noise is being measured (0 of 1 s); fail-safe output from bin 0" in said
    assert "no signal, and so no spikes, on channel 4 (1 of 6)" in said

    live_file, offline_file, again = (tmp_path / name for name in ("live.h5", "offline.h5", "again.h5"))
    live = read_session(live_file)
    options = ["--rate", RATE_HZ, "--like", live_file, "--output", offline_file]
    document_here("detect", tmp_path / "voltage.npy", *options)
    offline = read_session(offline_file)
    assert live.events is not None
    assert offline.events is not None
    assert live.detection is not None
    assert live.detection.settings["reference"] == "car"
    # Between processes of one machine LSL measures a correction of about a sample.
    clock_s = begun_s + status["stream"]["clock_correction_ms"] / 1e3
    at = (live.events.time - clock_s) * RATE_HZ
    sample = np.round(at).astype(int)
    expected = np.round(offline.events.time * RATE_HZ).astype(int)
    # Decoding began when the noise was known, which takes a while on a busy machine.
    first = int(sample[0])
    assert NOISE_S * RATE_HZ < first < (NOISE_S + 3.0) * RATE_HZ
    kept = (expected >= first) & (expected < n_sent - RATE_HZ / 50)
    n = int(kept.sum())
    np.testing.assert_array_equal(sample[:n], expected[kept])
    np.testing.assert_array_equal(live.events.channel[:n], offline.events.channel[kept])
    true = np.concatenate([each for c, each in enumerate(troughs) if c != 4])
    assert n > 0.9 * np.count_nonzero((true >= first) & (true < n_sent - RATE_HZ / 50))

    document_here("decode", live_file, "--model", model, "--output", again)
    with h5py.File(live_file) as one, h5py.File(again) as other:
        decoded, flags = one["decoded/values"][:], one["decoded/flags"][:]
        np.testing.assert_array_equal(decoded, other["decoded/values"][:])
        assert flags.tolist() == other["decoded/flags"][:].tolist()
        values = {m["bin"]: m["value"] for m in published.messages}
        for b, value in zip(one["decoded/bin"][:].tolist(), decoded.tolist(), strict=True):
            assert values.get(b, value) == value
    assert (flags == 0).any()


def test_power_is_decoded_with_the_spikes_and_is_that_of_detect(
    rig: LoopbackRig, stream: str, tmp_path: Path
) -> None:
    seconds, noise_s, n_channels = 3.0, 0.5, 4
    np.save(tmp_path / "voltage.npy", recording(seconds, n_channels, seed=2)[0].astype(np.float32))
    # As a fit names what `detect --power` wrote, in an order of its own.
    features = tuple(Feature(f"power {c}", "power", "", 4.0, 2.0) for c in (3, 0, 1, 2))
    weight = np.random.default_rng(1).normal(0, 0.1, (2 * n_channels, 3, 3)).astype(np.float32)
    run = {"weight": weight, "bias": np.zeros(3)}
    model = tmp_path / "m.safetensors"
    write_artifact(model, artifact_of("wiener", n_channels=n_channels, features=features, run=run))
    rig.set_environment("PYTHONPATH", str(Path(__file__).parents[2] / "support" / "live"))
    sent = [stream, "voltage.npy", str(RATE_HZ), "2", str(seconds)]
    source = rig.start("source", sent, module="voltage_source")
    assert source.stdout is not None
    given = ["--record", "live.h5", "--power", "rms", "--noise-seconds", str(noise_s)]
    served = Served(rig, stream, model, *given)
    begun_s = float(source.stdout.readline())
    published = served.subscriber
    published.until(lambda message: message["t_bin"] > begun_s + seconds)
    status = served.request(cmd="status")
    rig.end("serve")
    published.take(100)
    published.close()
    assert "spikes below -4.5 SD; RMS of 300 to 1000 Hz in 5 ms), 4 channels" in rig.stderr("serve")

    live_file, offline_file, again = (tmp_path / name for name in ("live.h5", "offline.h5", "again.h5"))
    options = ["--rate", RATE_HZ, "--like", live_file, "--output", offline_file]
    document_here("detect", tmp_path / "voltage.npy", *options)
    live, offline = read_session(live_file).features, read_session(offline_file).features
    assert live is not None
    assert offline is not None
    assert live.names == ("power 3", "power 0", "power 1", "power 2")
    clock_s = begun_s + status["stream"]["clock_correction_ms"] / 1e3
    at = np.round((live.time - clock_s) / 0.005).astype(int) - 1
    assert len(at) > 20
    np.testing.assert_array_equal(np.diff(at), 1)
    np.testing.assert_array_equal(live.values, offline.values[at][:, [3, 0, 1, 2]])

    document_here("decode", live_file, "--model", model, "--output", again)
    with h5py.File(live_file) as one, h5py.File(again) as other:
        decoded, codes = one["decoded/values"][:], one["decoded/codes"][:]
        np.testing.assert_array_equal(decoded, other["decoded/values"][:])
        values = {m["bin"]: m["value"] for m in published.messages}
        for b, value in zip(one["decoded/bin"][:].tolist(), decoded.tolist(), strict=True):
            assert values.get(b, value) == value
        stepped = one["decoded/flags"][:] == 0
    assert stepped.any()
    assert (codes[stepped] != 0).any(axis=0).all()
