"""Two processes train one network: the same weights on both, the gradient of both batches, one error."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
import torch
from simulated_days import simulated_day

from rtdecode.artifact import read_artifact
from rtdecode.calibrate.fitting.pretrain import PretrainSettings, pretrain_sessions
from rtdecode.calibrate.run import Run
from rtdecode.calibrate.training.distributed.ranks import ALONE, Ranks
from rtdecode.calibrate.training.losses import mse
from rtdecode.calibrate.training.settings import MANY_DAYS_TRAINING, Sizes
from rtdecode.errors import RtdecodeError
from rtdecode.models.networks.alignnet import AlignNet, AlignNetSettings
from rtdecode.tools.loopback import free_endpoint

N_DAYS, STEPS, KILLED_AFTER = 5, 10, 6
LIMIT_S = 140

#: Settings of the trainings, in the processes and here.
SETTINGS = PretrainSettings(
    bin_width_s=0.05,
    validation_days=1,
    steps=STEPS,
    batch=8,
    training=replace(MANY_DAYS_TRAINING, norm_batches=4),
    save_every_s=0.0,
    sizes=Sizes(members=1, widths=(8, 8), dec_widths=(8,), feature_dropout=0.1),
)

#: Program of each process; its arguments are the folder, and the step after which it is killed, or 0.
PROGRAM = """
import json, os, signal, sys
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
import msgspec, numpy as np, torch
from rtdecode.calibrate.fitting import pretrain
from rtdecode.calibrate.fitting.pretrain import PretrainSettings
from rtdecode.calibrate.run import Run
from rtdecode.calibrate.training.distributed import ranks as distributed
from rtdecode.calibrate.training.distributed import sharding
from rtdecode.calibrate.training.distributed.batchnorm import synchronised
from rtdecode.calibrate.training.distributed.ranks import connected
from rtdecode.calibrate.training.settings import Sizes, TrainingSettings
from rtdecode.calibrate.training.trainer import Training
from rtdecode.calibrate.training.windows import Recording
from rtdecode.cli.calibrate.pretrain import pretrain as command
from rtdecode.models.networks.alignnet import AlignNet, AlignNetSettings

torch.set_num_threads(1)
settings = msgspec.json.decode(sys.argv[3], type=PretrainSettings)
folder, killed_after, steps = Path(sys.argv[1]), int(sys.argv[2]), settings.steps
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

    return described(pretrain.pretrain_sessions(
        paths, settings, Run(ranks=ranks), checkpoint=checkpoint, progress=watched
    ))


def commanded(ranks):
    # The command has no options for sizes as small as these.
    results, pretrain_sessions = [], pretrain.pretrain_sessions
    pretrain.pretrain_sessions = lambda paths, asked, *args, **named: (
        results.append(pretrain_sessions(paths, replace(
            asked, batch=settings.batch, sizes=settings.sizes, training=settings.training,
            save_every_s=0.0,
        ), *args, **named)) or results[0]
    )
    distributed.connected = lambda device: nullcontext(ranks)
    command(
        paths, folder / "base.safetensors", kind="alignnet", bin_width=0.05, outputs=None, validation_days=1,
        steps=steps, members=None, seed=0, device="cpu", checkpoint=None, json=True,
    )
    return described(results[0])


def described(result):
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
        train = torch.from_numpy((rng.random(n_bins) < 0.7).astype(np.float32))
        recordings.append(Recording(name, counts, targets, train, np.zeros(n_bins, bool)))
    torch.manual_seed(1)
    sizes = {"widths": (8, 8), "dec_widths": (8,), "latent": 4, "lift": 4}
    net = AlignNet(AlignNetSettings(6, 2, 20, dropout=0.0, channel_dropout=0.0, **sizes))
    for name, each in zip("abc", [*recordings, recordings[0]]):
        net.read_in.add(name, each.counts.mean(1).numpy(), each.counts.std(1).numpy())
    before = {name: tensor.clone() for name, tensor in net.state_dict().items()}
    few = TrainingSettings(batch=5, window_bins=40, warmup_bins=4, clip=1e9)
    with synchronised(net, ranks):
        training = Training(net, [recordings[ranks.rank]], few, Run(device="cpu", ranks=ranks))
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


with connected("cpu") as ranks:
    report = {"resumed": trained(ranks, folder / "it.checkpoint"), "read": list(read)}
    report["whole"] = commanded(ranks)
    gradient(ranks)
    print(json.dumps(report))
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
    """Exit status, stdout and stderr of two ranks, which both have to end by themselves."""
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
        simulated_day(folder / f"day{day}.h5", 12, day, 40.0 + 10.0 * day, mean_rate_hz=20.0)
    return folder


@pytest.fixture(scope="module")
def killed(days: Path) -> list[tuple[int, str, str]]:
    """Output of two ranks, the first of which was killed during training."""
    return two("-c", PROGRAM, str(days), str(KILLED_AFTER), msgspec.json.encode(SETTINGS).decode())


@pytest.fixture(scope="module")
def reports(days: Path, killed: list[tuple[int, str, str]]) -> list[dict[str, Any]]:
    """Report of each rank on the resumed training, and on one without interruption."""
    assert (days / "it.checkpoint").exists(), killed
    ended = two("-c", PROGRAM, str(days), "0", msgspec.json.encode(SETTINGS).decode())
    assert [status for status, _, _ in ended] == [0, 0], ended
    return [
        json.loads(out.splitlines()[-1]) | {"lines": out.splitlines()[:-1], "stderr": err}
        for _, out, err in ended
    ]


def test_weights_are_the_same_on_both(reports: list[dict[str, Any]]) -> None:
    assert reports[0]["whole"] == reports[1]["whole"]
    assert np.isfinite(reports[0]["whole"]["validation_r2"]).all()


def test_one_of_them_writes_and_prints(days: Path, reports: list[dict[str, Any]]) -> None:
    (line,) = reports[0]["lines"]
    model = read_artifact(days / "base.safetensors").model_id
    assert json.loads(line)["model"] == model == reports[0]["whole"]["model"]
    assert "100% done" in reports[0]["stderr"]
    assert reports[1]["lines"] == []
    assert reports[1]["stderr"] == ""
    assert not (days / "base.checkpoint").exists()


def test_each_reads_its_own_sessions_only(reports: list[dict[str, Any]]) -> None:
    first, second = (set(each["read"]) for each in reports)
    # Rank 0 also reads the outputs from the first session.
    assert (first - {"day0.h5"}) & second == set()
    assert first | second == {f"day{day}.h5" for day in range(N_DAYS)}
    assert min(len(first), len(second)) >= 2


def test_a_killed_training_ends_both_and_resumes_to_the_same_weights(
    killed: list[tuple[int, str, str]], reports: list[dict[str, Any]]
) -> None:
    assert [status for status, _, _ in killed] == [-signal.SIGKILL, 1]
    assert [out for _, out, _ in killed] == ["", ""]
    for each in reports:
        assert each["resumed"]["notes"] == ["resumed from 1 checkpoint"]
        assert each["resumed"] == each["whole"] | {"notes": each["resumed"]["notes"]}


def test_another_number_of_processes_is_refused(days: Path, reports: list[dict[str, Any]]) -> None:
    paths = sorted(days.glob("day*.h5"))
    # Everything else is equal, behaviour's mean and SD included, so the number is the reason.
    with pytest.raises(RtdecodeError, match=r"to another training \(processes was 2, is now 1\)"):
        pretrain_sessions(paths, SETTINGS, checkpoint=days / "it.checkpoint")
    alone = pretrain_sessions(paths, SETTINGS).artifact
    np.testing.assert_allclose(
        reports[0]["whole"]["scales"], [[output.mean, output.sd] for output in alone.outputs], rtol=1e-12
    )


def test_the_mean_gradient_is_that_of_both_batches(days: Path, reports: list[dict[str, Any]]) -> None:
    parts = [torch.load(days / f"gradient{rank}.pt") for rank in range(2)]
    assert [len(part["sessions"]) for part in parts] == [2, 3]
    sizes: dict[str, Any] = {"widths": (8, 8), "dec_widths": (8,), "latent": 4, "lift": 4}
    net = AlignNet(AlignNetSettings(6, 2, 20, dropout=0.0, channel_dropout=0.0, **sizes))
    for name in "abc":
        net.read_in.add(name, np.zeros(6), np.ones(6))
    net.load_state_dict(parts[0]["before"])
    # The weight of a window is the number of windows its rank has, divided by how many it draws.
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
    # The shortest of three is assigned to rank 1, and a damaged one has length 0.
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
    with pytest.raises(RtdecodeError, match="6 processes cannot share 5 training sessions"):
        pretrain_sessions(paths, PretrainSettings(bin_width_s=0.05), Run(ranks=Ranks(0, 6)))


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


def test_one_process_communicates_nothing() -> None:
    loss = torch.tensor(2.0, requires_grad=True)
    assert ALONE.in_mean(loss, torch.tensor(3.0))[0] is loss
    assert ALONE.gather("a") == ["a"]
    assert ALONE.union({1: "b", 0: "a"}) == ["a", "b"]
    module = torch.nn.Linear(1, 1)
    assert ALONE.parallel(module) is module
