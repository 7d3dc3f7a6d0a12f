"""Two processes train one network: the same weights on both, the gradient of both batches, one error."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from rtdecode.artifact import read_artifact
from rtdecode.calibrate.fitting import pretrain
from rtdecode.calibrate.fitting.pretrain import pretrain_sessions
from rtdecode.calibrate.training import build as networks
from rtdecode.calibrate.training.distributed.ranks import ALONE, Ranks
from rtdecode.calibrate.training.losses import mse
from rtdecode.calibrate.training.settings import TrainingSettings
from rtdecode.calibrate.training.sizes import Sizes
from rtdecode.errors import RtdecodeError
from rtdecode.models.networks.alignnet import AlignNet, AlignNetSettings
from rtdecode.session.write import write_session
from rtdecode.tools.loopback import free_endpoint
from rtdecode.tools.simulator.scripted import CentreOut, draw_tuning, simulate_session

N_DAYS, STEPS, KILLED_AFTER = 5, 10, 6
LIMIT_S = 140

#: What each process runs: the folder, and whether to be killed on the way.
PROGRAM = """
import json, os, signal, sys
from contextlib import nullcontext
from functools import partial
from pathlib import Path
import numpy as np, torch
from rtdecode.calibrate.training.trainer.distributed import ranks as distributed
from rtdecode.calibrate.training import build as networks
from rtdecode.calibrate.fitting import pretrain
from rtdecode.calibrate.training.trainer.distributed import sharding
from rtdecode.calibrate.training.distributed.ranks import joined
from rtdecode.calibrate.training.sizes import Sizes
from rtdecode.calibrate.training.trainer import Training
from rtdecode.calibrate.training.settings import TrainingSettings
from rtdecode.calibrate.training.distributed.batchnorm import normalised_together
from rtdecode.calibrate.training.windows import Recording
from rtdecode.cli.calibrate.pretrain import pretrain as command
from rtdecode.models.networks.alignnet import AlignNet, AlignNetSettings

networks.TrainingSettings = partial(TrainingSettings, batch=8)
pretrain.MANY_DAYS = Sizes(members=1, widths=(8, 8), dec_widths=(8,), feature_dropout=0.1)
pretrain.SAVE_EVERY_S, pretrain.SETTLED_BATCHES = 0.0, 4
torch.set_num_threads(1)
folder, killed_after, steps = Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])
paths = sorted(folder.glob("day*.h5"))
read, read_labelled = [], sharding.read_labelled


def reads(path, *rest):
    read.append(path.name)
    return read_labelled(path, *rest)


sharding.read_labelled = reads


def trained(ranks, checkpoint):
    def watched(what, done):
        if killed_after and ranks.leads and done >= 0.05 + 0.9 * killed_after / steps:
            os.kill(os.getpid(), signal.SIGKILL)

    return told_of(pretrain.pretrain_sessions(
        paths, bin_width_s=0.05, validation_days=1, steps=steps,
        checkpoint=checkpoint, progress=watched, ranks=ranks,
    ))


def commanded(ranks):
    results, pretrain_sessions = [], pretrain.pretrain_sessions
    pretrain.pretrain_sessions = lambda *args, **named: (
        results.append(pretrain_sessions(*args, **named)) or results[0]
    )
    distributed.joined = lambda device: nullcontext(ranks)
    command(
        paths, folder / "base.safetensors", kind="alignnet", bin_width=0.05, outputs=None, validation_days=1,
        steps=steps, members=None, seed=0, device="cpu", checkpoint=None, json=True,
    )
    return told_of(results[0])


def told_of(result):
    artifact = result.artifact
    return {
        "model": artifact.model_id,
        "weights": {name: tensor.tobytes().hex()[:4096] for name, tensor in artifact.train.items()},
        "validation_r2": list(result.validation_r2),
        "scales": [[output.mean, output.sd] for output in artifact.outputs],
        "notes": result.notes,
    }


def gradient(ranks):
    # Lengths differ, and with them how often a window of a session is drawn.
    rng = np.random.default_rng(5)
    recordings = []
    for name, n_bins in (("a", 300), ("b", 700)):
        counts = torch.from_numpy(rng.poisson(2.0, (6, n_bins)).astype(np.float32))
        targets = torch.from_numpy(rng.normal(size=(2, n_bins)).astype(np.float32))
        learnt = torch.from_numpy((rng.random(n_bins) < 0.7).astype(np.float32))
        recordings.append(Recording(name, counts, targets, learnt, np.zeros(n_bins, bool)))
    torch.manual_seed(1)
    sizes = {"widths": (8, 8), "dec_widths": (8,), "latent": 4, "lift": 4}
    net = AlignNet(AlignNetSettings(6, 2, 20, dropout=0.0, channel_dropout=0.0, **sizes))
    for name, each in zip("abc", [*recordings, recordings[0]]):
        net.read_in.add(name, each.counts.mean(1).numpy(), each.counts.std(1).numpy())
    before = {name: tensor.clone() for name, tensor in net.state_dict().items()}
    settings = TrainingSettings(batch=5, window_bins=40, warmup_bins=4, clip=1e9)
    with normalised_together(net, ranks):
        training = Training(net, [recordings[ranks.rank]], settings, torch.device("cpu"), ranks)
        drawn, batches = training._drawn, []
        training._drawn = lambda step: batches.append(drawn(step)[0]) or drawn(step)
        training.advance()
    (batch,) = batches
    torch.save(
        {
            "before": before,
            "norms": {name: tensor for name, tensor in net.state_dict().items() if "running" in name},
            "gradients": {name: each.grad for name, each in net.named_parameters()},
            "batch": [batch.counts, batch.targets, batch.weight],
            "sessions": batch.sessions,
            "windows": training._sampler.n_windows,
        },
        folder / f"gradient{ranks.rank}.pt",
    )


with joined("cpu") as ranks:
    told = {"resumed": trained(ranks, folder / "it.checkpoint"), "read": list(read)}
    told["whole"] = commanded(ranks)
    gradient(ranks)
    print(json.dumps(told))
"""


def start(rank: int, port: int, command: list[str]) -> subprocess.Popen[str]:
    """A process as torchrun starts it, but without torchrun."""
    of_ranks = {
        "RANK": str(rank), "LOCAL_RANK": str(rank), "WORLD_SIZE": "2", "LOCAL_WORLD_SIZE": "2",
        "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port),
    }  # fmt: skip
    return subprocess.Popen(
        [sys.executable, *command],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=os.environ | of_ranks,
    )


def two(*command: str) -> list[tuple[int, str, str]]:
    """Exit status, stdout and stderr of two ranks, both of which have to end by themselves."""
    port = int(free_endpoint().rpartition(":")[2])
    processes = [start(rank, port, list(command)) for rank in range(2)]
    try:
        outs = [process.communicate(timeout=LIMIT_S) for process in processes]
    finally:
        for process in processes:
            process.kill()
    return [(process.returncode, out, err) for process, (out, err) in zip(processes, outs, strict=True)]


@pytest.fixture(scope="module")
def days(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of simulated days, each longer than the one before."""
    torch.set_num_threads(1)
    folder = tmp_path_factory.mktemp("days")
    for day in range(N_DAYS):
        task = CentreOut(n_channels=12, mean_rate_hz=20.0)
        session = simulate_session(task, draw_tuning(task, 3), 40.0 + 10.0 * day, day, f"day{day}")
        write_session(folder / f"day{day}.h5", session)
    return folder


@pytest.fixture(scope="module")
def killed(days: Path) -> list[tuple[int, str, str]]:
    """What two ranks left when the first of them was killed in the middle."""
    return two("-c", PROGRAM, str(days), str(KILLED_AFTER), str(STEPS))


@pytest.fixture(scope="module")
def told(days: Path, killed: list[tuple[int, str, str]]) -> list[dict[str, Any]]:
    """What each rank says of the training that goes on from there, and of one without interruption."""
    assert (days / "it.checkpoint").exists(), killed
    ended = two("-c", PROGRAM, str(days), "0", str(STEPS))
    assert [status for status, _, _ in ended] == [0, 0], ended
    return [
        json.loads(out.splitlines()[-1]) | {"lines": out.splitlines()[:-1], "told": err}
        for _, out, err in ended
    ]


def test_weights_are_the_same_on_both(told: list[dict[str, Any]]) -> None:
    assert told[0]["whole"] == told[1]["whole"]
    assert np.isfinite(told[0]["whole"]["validation_r2"]).all()


def test_one_of_them_writes_and_says_so(days: Path, told: list[dict[str, Any]]) -> None:
    (line,) = told[0]["lines"]
    model = read_artifact(days / "base.safetensors").model_id
    assert json.loads(line)["model"] == model == told[0]["whole"]["model"]
    assert "100% done" in told[0]["told"]
    assert told[1]["lines"] == []
    assert told[1]["told"] == ""
    assert not (days / "base.checkpoint").exists()


def test_each_reads_its_own_sessions_only(told: list[dict[str, Any]]) -> None:
    first, second = (set(each["read"]) for each in told)
    # Rank 0 also looks up in the first session what there is to decode.
    assert (first - {"day0.h5"}) & second == set()
    assert first | second == {f"day{day}.h5" for day in range(N_DAYS)}
    assert min(len(first), len(second)) >= 2


def test_a_killed_training_ends_both_and_goes_on_to_the_same_weights(
    killed: list[tuple[int, str, str]], told: list[dict[str, Any]]
) -> None:
    assert [status for status, _, _ in killed] == [-signal.SIGKILL, 1]
    assert [out for _, out, _ in killed] == ["", ""]
    for each in told:
        assert each["resumed"]["notes"] == ["went on from 1 checkpoint"]
        assert each["resumed"] == each["whole"] | {"notes": each["resumed"]["notes"]}


def test_another_number_of_processes_is_refused(
    days: Path, told: list[dict[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(networks, "TrainingSettings", partial(TrainingSettings, batch=8))
    monkeypatch.setattr(pretrain, "SETTLED_BATCHES", 4)
    sizes = Sizes(members=1, widths=(8, 8), dec_widths=(8,), feature_dropout=0.1)
    monkeypatch.setattr(pretrain, "MANY_DAYS", sizes)
    again = {"bin_width_s": 0.05, "validation_days": 1, "steps": STEPS}
    paths = sorted(days.glob("day*.h5"))
    # All else has to agree for this to be what it is refused for, behaviour's mean and SD included.
    with pytest.raises(RtdecodeError, match=r"it\.checkpoint: is of another training \(processes 2, now 1\)"):
        pretrain_sessions(paths, checkpoint=days / "it.checkpoint", **again)
    alone = pretrain_sessions(paths, **again).artifact
    np.testing.assert_allclose(
        told[0]["whole"]["scales"], [[output.mean, output.sd] for output in alone.outputs], rtol=1e-12
    )


def test_the_mean_gradient_is_that_of_both_batches(days: Path, told: list[dict[str, Any]]) -> None:
    parts = [torch.load(days / f"gradient{rank}.pt") for rank in range(2)]
    assert [len(part["sessions"]) for part in parts] == [2, 3]
    net = AlignNet(
        AlignNetSettings(
            6, 2, 20, widths=(8, 8), dec_widths=(8,), latent=4, lift=4, dropout=0.0, channel_dropout=0.0
        )
    )
    for name in "abc":
        net.read_in.add(name, np.zeros(6), np.ones(6))
    net.load_state_dict(parts[0]["before"])
    # A window counts by how many windows its rank draws from, and how many it draws.
    counts, targets = (torch.cat([part["batch"][i] for part in parts]) for i in range(2))
    weight = torch.cat([part["batch"][2] * part["windows"] / len(part["sessions"]) for part in parts])
    sessions = [name for part in parts for name in part["sessions"]]
    net.train()
    mse(net.decode(counts, sessions), targets, weight).backward()  # type: ignore[no-untyped-call]
    own = {name: parameter.grad for name, parameter in net.named_parameters()}
    biggest = max(float(grad.abs().max()) for grad in own.values() if grad is not None)
    for part in parts:
        assert part["gradients"].keys() == own.keys()
        for name, grad in part["gradients"].items():
            if own[name] is None:
                assert grad is None, name
            else:
                assert float((grad - own[name]).abs().max()) < 1e-5 * biggest, name
        for name, tensor in part["norms"].items():
            torch.testing.assert_close(tensor, net.state_dict()[name], rtol=1e-5, atol=1e-6)
    assert own["read_in.sessions.2.scale"] is None
    assert own["read_in.sessions.0.scale"] is not None


def test_a_corrupt_session_ends_both_with_one_line(days: Path, tmp_path: Path) -> None:
    """Under torchrun itself, which adds a report of its own."""
    # The shortest of three, which is what a damaged one is taken for, goes to rank 1.
    paths = [tmp_path / f"day{day}.h5" for day in range(3)]
    for path in paths:
        path.write_bytes((days / path.name).read_bytes())
    paths[2].write_bytes(paths[2].read_bytes()[:2000])
    done = subprocess.run(
        [
            sys.executable, "-m", "torch.distributed.run", "--nproc-per-node", "2", "-m", "rtdecode.cli",
            "pretrain", *map(str, paths), "--bin-width", "0.05",
            "--output", str(tmp_path / "base.safetensors"),
        ],
        capture_output=True, text=True, timeout=LIMIT_S, check=False,
    )  # fmt: skip
    assert done.returncode == 1
    assert done.stdout == ""
    (line,) = [line for line in done.stderr.splitlines() if line.startswith("rtdecode: ")]
    assert "day2.h5" in line
    assert "rank      : 1 (local_rank: 1)\n  exitcode  : 1 " in done.stderr
    assert not (tmp_path / "base.safetensors").exists()


def test_more_processes_than_sessions_are_refused(days: Path) -> None:
    paths = sorted(days.glob("day*.h5"))
    with pytest.raises(RtdecodeError, match="6 processes for 5 sessions to learn from"):
        pretrain_sessions(paths, bin_width_s=0.05, ranks=Ranks(0, 6))


def test_parts_of_a_batch_differ_by_one_at_most() -> None:
    for n in range(1, 17):
        parts = [Ranks(rank, n).part(16) for rank in range(n)]
        assert sum(parts) == 16
        assert max(parts) - min(parts) <= 1
    assert ALONE.part(16) == 16


def test_no_two_ranks_and_no_two_steps_draw_alike() -> None:
    ranks = [Ranks(rank, 4) for rank in range(4)]
    seeds = {each.seed(0, step) for each in ranks for step in range(100)}
    assert len(seeds) == 400
    assert replace(ranks[1]).seed(0, 7) == ranks[1].seed(0, 7)


def test_alone_nothing_is_passed_on() -> None:
    loss = torch.tensor(2.0, requires_grad=True)
    assert ALONE.in_mean(loss, torch.tensor(3.0))[0] is loss
    assert ALONE.gather("a") == ["a"]
    assert ALONE.union({1: "b", 0: "a"}) == ["a", "b"]
    module = torch.nn.Linear(1, 1)
    assert ALONE.parallel(module) is module
