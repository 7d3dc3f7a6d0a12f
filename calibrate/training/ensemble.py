"""The members of an ensemble, trained in parallel: one process per core."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_EXCEPTION, Future, wait
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from joblib import cpu_count
from joblib.externals.loky import ProcessPoolExecutor

from rtdecode.artifact import Arrays
from rtdecode.calibrate.run import Run
from rtdecode.calibrate.training.devices import chosen_device
from rtdecode.calibrate.training.distributed.ranks import ALONE
from rtdecode.calibrate.training.settings import TrainingSettings
from rtdecode.calibrate.training.trainer import Checkpoint, TrainingLog, train
from rtdecode.calibrate.training.windows import Recording
from rtdecode.models.nn.network import Network

POLL_EVERY_S = 0.2

#: A worker without work ends after this time, even if the process that started it was killed.
IDLE_S = 20.0


def train_members(
    nets: Sequence[Network],
    recordings: Sequence[Recording],
    settings: TrainingSettings,
    run: Run,
    *,
    checkpoints: Sequence[Checkpoint | None] | None = None,
) -> list[TrainingLog]:
    """`train` each network in place, with a seed of its own.

    On a CPU with several cores members are trained at the same time, otherwise one after the other; the
    weights are the same. Each has one thread on a CPU: these networks are too small for more, and threads
    that share a core with another process, such as a daemon, take many times as long.

    Several ranks train one member after the other, all of them together: every rank holds a part of the
    sessions, and groups of ranks with a member each would have to hold all of them in each group.

    Args:
        nets: the members.
        recordings, settings: see `train`.
        run: see `train`; `on_validation` is called with the best R², mean over the members, once all of them
            have validated.
        checkpoints: one for each member; they are pickled where members train in processes of their own.

    Raises:
        RtdecodeError: as `train`.
    """
    device, ranks = chosen_device(run.device), run.ranks or ALONE
    runs = [replace(run, seed=seed) for seed in member_seeds(run.seed, len(nets))]
    saved = list(checkpoints) if checkpoints is not None else [None] * len(nets)
    n_workers = min(len(nets), run.at_once or cpu_count())
    if n_workers > 1 and device.type == "cpu" and not ranks.several:
        return _in_parallel(nets, recordings, settings, runs, saved, n_workers)
    logs = []
    with one_thread():
        for i, (net, own, checkpoint) in enumerate(zip(nets, runs, saved, strict=True)):
            own = replace(own, progress=_fraction(run.progress, i, len(nets)))
            logs.append(train(net, recordings, settings, own, checkpoint=checkpoint))
    return logs


def member_seeds(seed: int, n_members: int) -> list[int]:
    """Seeds of the members; of a single one, the seed itself."""
    if n_members == 1:
        return [seed]
    return [int(drawn) for drawn in np.random.SeedSequence(seed).generate_state(n_members)]


def rounds(n_members: int, device: torch.device) -> int:
    """How many members are trained one after another where they are not trained at the same time."""
    n_workers = min(n_members, cpu_count()) if device.type == "cpu" else 1
    return -(-n_members // n_workers)


@contextmanager
def one_thread() -> Iterator[None]:
    """Limit torch to one thread within the context."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def _fraction(progress: Callable[[float], None], i: int, n: int) -> Callable[[float], None]:
    """Progress of the i-th of n equal parts."""
    return lambda done: progress(i / n + done / n)


#: A network as it is sent to another process: class, settings, names of the read-ins, and state dict.
_Packed = tuple[type[Network], dict[str, Any], list[str], Arrays]


def _in_parallel(
    nets: Sequence[Network],
    recordings: Sequence[Recording],
    settings: TrainingSettings,
    runs: Sequence[Run],
    checkpoints: Sequence[Checkpoint | None],
    n_workers: int,
) -> list[TrainingLog]:
    packed, run = [_packed(recording) for recording in recordings], runs[0]
    with tempfile.TemporaryDirectory(prefix="rtdecode-") as folder:
        path = Path(folder) / "progress"
        board = np.memmap(path, np.float64, "w+", shape=(2, len(nets)))
        board[1], best = np.nan, -np.inf
        pool = ProcessPoolExecutor(n_workers, timeout=IDLE_S)
        try:
            futures: list[Future[tuple[Arrays, TrainingLog]]] = [
                pool.submit(
                    _train_member,
                    (type(net), net.settings, net.read_in.names, _arrays(net)),
                    packed,
                    settings,
                    Run(seed=own.seed, device="cpu", deadline_s=own.deadline_s),
                    checkpoint,
                    (path, i, os.getpid()),
                )
                for i, (net, own, checkpoint) in enumerate(zip(nets, runs, checkpoints, strict=True))
            ]
            pending: set[Future[Any]] = set(futures)
            while pending:
                done, pending = wait(pending, POLL_EVERY_S, FIRST_EXCEPTION)
                for future in done:
                    future.result()
                run.progress(float(board[0].mean()))
                if np.isfinite(board[1]).all() and board[1].mean() > best:
                    best = float(board[1].mean())
                    run.on_validation(best)
            results = [future.result() for future in futures]
        finally:
            pool.shutdown(wait=True, kill_workers=True)
    for net, (state, _) in zip(nets, results, strict=True):
        net.load_state_dict({name: torch.from_numpy(array) for name, array in state.items()})
        net.eval()
    run.progress(1.0)
    return [log for _, log in results]


def _train_member(
    packed: _Packed,
    recordings: list[dict[str, Any]],
    settings: TrainingSettings,
    run: Run,
    checkpoint: Checkpoint | None,
    place: tuple[Path, int, int],
) -> tuple[Arrays, TrainingLog]:
    """`train` in a process of its own.

    `place` is a file of f8[2, members], the fraction done and the best R² of each member, the number of this
    one, and the id of the process that waits for it.
    """
    torch.set_num_threads(1)
    path, member, parent = place
    board = np.memmap(path, np.float64, "r+").reshape(2, -1)

    def progress(done: float) -> None:
        board[0, member] = done
        if os.getppid() != parent:
            # The parent was killed, and whoever resumes from the checkpoint must be its only user.
            os._exit(1)

    def on_validation(best: float) -> None:
        board[1, member] = best

    kind, sizes, sessions, arrays = packed
    state = {name: torch.from_numpy(array.copy()) for name, array in arrays.items()}
    net = kind.rebuilt(sizes, sessions, state)
    run = replace(run, progress=progress, on_validation=on_validation)
    log = train(net, [_unpacked(each) for each in recordings], settings, run, checkpoint=checkpoint)
    return _arrays(net), log


def _arrays(net: Network) -> Arrays:
    return {name: tensor.detach().cpu().numpy() for name, tensor in net.state_dict().items()}


def _packed(recording: Recording) -> dict[str, Any]:
    """As arrays: tensors would be sent through shared memory, which small containers lack."""
    return {
        name: value.numpy() if isinstance(value, torch.Tensor) else value
        for name, value in vars(recording).items()
    }


def _unpacked(packed: dict[str, Any]) -> Recording:
    tensors = {name: torch.from_numpy(packed[name].copy()) for name in ("counts", "targets", "train")}
    return Recording(**(packed | tensors))
