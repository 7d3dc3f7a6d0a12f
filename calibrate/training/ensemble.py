"""The members of a model, trained side by side: one process for each core."""

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
from numpy.typing import NDArray

from rtdecode.calibrate.training.distributed.ranks import ALONE, Ranks
from rtdecode.calibrate.training.settings import TrainingSettings
from rtdecode.calibrate.training.trainer import Checkpoint, TrainingLog, train
from rtdecode.calibrate.training.windows import Recording
from rtdecode.models.nn.network import Network

LOOK_EVERY_S = 0.2

#: A worker without work ends after so long, even if whoever started it was killed.
IDLE_S = 20.0


def train_members(
    nets: Sequence[Network],
    recordings: Sequence[Recording],
    settings: TrainingSettings,
    device: torch.device,
    progress: Callable[[float], None],
    checkpoints: Sequence[Checkpoint | None] | None = None,
    looked: Callable[[float], None] | None = None,
    ranks: Ranks = ALONE,
    at_once: int | None = None,
) -> list[TrainingLog]:
    """`train` each network in place, with a seed of its own.

    On a CPU with several cores members are trained at the same time, otherwise one after the other; the
    weights are the same. Each has one thread on a CPU: these networks are too small for more, and threads
    that wait for each other on a core that something else uses, a daemon say, take many times as long.

    Several ranks train one member after the other, all of them together: every rank holds a part of the
    sessions, and groups of ranks with a member each would have to hold all of them in each group.

    Args:
        nets: the members.
        recordings, settings, device, progress: as of `train`.
        checkpoints: one for each member; they travel to another process.
        looked: called with the best mean R² so far, mean over the members that have looked.
        ranks: processes that train together.
        at_once: members that are trained at the same time on a CPU; None for one on each core.

    Raises:
        RtdecodeError: as `train`.
    """
    own = [replace(settings, seed=seed) for seed in member_seeds(settings.seed, len(nets))]
    kept = list(checkpoints) if checkpoints is not None else [None] * len(nets)
    n_workers = min(len(nets), at_once or cpu_count())
    if n_workers > 1 and device.type == "cpu" and not ranks.several:
        return _side_by_side(nets, recordings, own, progress, kept, n_workers, looked)
    with one_thread():
        return _in_turn(nets, recordings, own, device, progress, kept, looked, ranks)


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
    """Torch computes on one thread meanwhile."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def _in_turn(
    nets: Sequence[Network],
    recordings: Sequence[Recording],
    settings: Sequence[TrainingSettings],
    device: torch.device,
    progress: Callable[[float], None],
    checkpoints: Sequence[Checkpoint | None],
    looked: Callable[[float], None] | None,
    ranks: Ranks,
) -> list[TrainingLog]:
    logs = []
    for i, (net, member_settings, checkpoint) in enumerate(zip(nets, settings, checkpoints, strict=True)):
        before = i / len(nets)
        logs.append(
            train(
                net,
                recordings,
                member_settings,
                device,
                lambda done, before=before: progress(before + done / len(nets)),  # type: ignore[misc]
                checkpoint,
                looked,
                ranks,
            )
        )
    return logs


def _side_by_side(
    nets: Sequence[Network],
    recordings: Sequence[Recording],
    settings: Sequence[TrainingSettings],
    progress: Callable[[float], None],
    checkpoints: Sequence[Checkpoint | None],
    n_workers: int,
    looked: Callable[[float], None] | None,
) -> list[TrainingLog]:
    plain = [_packed(recording) for recording in recordings]
    with tempfile.TemporaryDirectory(prefix="rtdecode-") as folder:
        path = Path(folder) / "progress"
        told = np.memmap(path, np.float64, "w+", shape=(2, len(nets)))
        told[1], best = np.nan, -np.inf
        pool = ProcessPoolExecutor(n_workers, timeout=IDLE_S)
        try:
            futures: list[Future[tuple[dict[str, NDArray[Any]], TrainingLog]]] = [
                pool.submit(
                    _train_apart,
                    type(net), net.settings, net.read_in.names, _arrays(net), plain, settings[i],
                    checkpoints[i], path, i, len(nets), os.getpid(),
                )
                for i, net in enumerate(nets)
            ]  # fmt: skip
            pending: set[Future[Any]] = set(futures)
            while pending:
                done, pending = wait(pending, LOOK_EVERY_S, FIRST_EXCEPTION)
                for future in done:
                    future.result()
                progress(float(told[0].mean()))
                if looked is not None and np.isfinite(told[1]).all() and told[1].mean() > best:
                    best = float(told[1].mean())
                    looked(best)
            results = [future.result() for future in futures]
        finally:
            pool.shutdown(wait=True, kill_workers=True)
    for net, (state, _) in zip(nets, results, strict=True):
        net.load_state_dict({name: torch.from_numpy(array) for name, array in state.items()})
        net.eval()
    progress(1.0)
    return [log for _, log in results]


def _train_apart(
    kind: type[Network],
    sizes: dict[str, Any],
    sessions: list[str],
    state: dict[str, NDArray[Any]],
    recordings: list[dict[str, Any]],
    settings: TrainingSettings,
    checkpoint: Checkpoint | None,
    path: Path,
    member: int,
    n_members: int,
    parent: int,
) -> tuple[dict[str, NDArray[Any]], TrainingLog]:
    torch.set_num_threads(1)
    told = np.memmap(path, np.float64, "r+", shape=(2, n_members))

    def tell(done: float) -> None:
        told[0, member] = done
        if os.getppid() != parent:
            # Killed: nobody waits for this, and whoever goes on from the checkpoint must be alone with it.
            os._exit(1)

    net = kind.rebuilt(
        sizes, sessions, {name: torch.from_numpy(array.copy()) for name, array in state.items()}
    )

    def tell_r2(best: float) -> None:
        told[1, member] = best

    log = train(
        net,
        [_unpacked(each) for each in recordings],
        settings,
        torch.device("cpu"),
        tell,
        checkpoint,
        tell_r2,
    )
    return _arrays(net), log


def _arrays(net: Network) -> dict[str, NDArray[Any]]:
    return {name: tensor.detach().cpu().numpy() for name, tensor in net.state_dict().items()}


def _packed(recording: Recording) -> dict[str, Any]:
    """As arrays: tensors would travel through shared memory, which small containers lack."""
    return {
        name: value.numpy() if isinstance(value, torch.Tensor) else value
        for name, value in vars(recording).items()
    }


def _unpacked(packed: dict[str, Any]) -> Recording:
    tensors = {name: torch.from_numpy(packed[name].copy()) for name in ("counts", "targets", "learnt")}
    return Recording(session=packed["session"], validated=packed["validated"], **tensors)
