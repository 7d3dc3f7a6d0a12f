"""Which models may replace the one in use, and what happens if one may not."""

from __future__ import annotations

import threading
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from decoding import artifact_of

from rtdecode.artifact import ElectrodeArray, ModelArtifact, Output, write_artifact
from rtdecode.decode.load import load_decoder
from rtdecode.decode.recent import Mark
from rtdecode.decode.stage import DecodeStage
from rtdecode.errors import RtdecodeError
from rtdecode.serve import swap
from rtdecode.serve.commands import Command
from rtdecode.serve.swap import ATTEMPTS, Swapper, check_replaces

N_CHANNELS = 4
OUTPUTS = (Output("x", "mm", 5.0, 1.0, "position"), Output("vx", "mm/s", 0.0, 1.0, "velocity"))


def a_filter(gain: float = 1.0) -> ModelArtifact:
    run = {"weight": np.full((N_CHANNELS, 3, 2), gain, np.float32), "bias": np.zeros(2)}
    return artifact_of("wiener", n_channels=N_CHANNELS, outputs=OUTPUTS, run=run)


class Loop:
    """Carries out commands as the loop does; refuses the first `busy` swaps."""

    def __init__(self, busy: int = 0, answers: bool = True) -> None:
        self.stage = DecodeStage(load_decoder(a_filter()), a_filter())
        self.artifact = a_filter()
        self.commands: list[Command] = []
        self.busy, self.answers = busy, answers
        rng = np.random.default_rng(0)
        for _ in range(150):
            self.stage.step(rng.integers(0, 4, N_CHANNELS).astype(np.uint8), 0)

    def apply(self, command: Command) -> bool:
        self.commands.append(command)
        candidate = command.candidate
        if not self.answers or candidate is None:
            return self.answers
        recent = self.stage.recent
        candidate.fresh, n = recent.lag(candidate.mark)
        if command.name == "prepare":
            candidate.bins = recent.last(n)
            candidate.mark = Mark(recent.resets, recent.stepped, n)
            for _ in range(3):
                self.stage.step(np.ones(N_CHANNELS, np.uint8), 0)
        elif self.busy:
            self.busy -= 1
            command.error = "too many bins"
        else:
            self.stage.adopt(candidate.decoder, n)
            self.artifact = candidate.artifact
            command.bin = 7
        return True

    def swapper(self) -> Swapper:
        return Swapper(lambda: self.artifact, self.apply, self.commands.append)

    @property
    def names(self) -> list[str]:
        return [command.name for command in self.commands]


def saved(folder: Path, artifact: ModelArtifact) -> str:
    write_artifact(folder / "model.safetensors", artifact)
    return str(folder / "model.safetensors")


def test_a_model_is_warmed_up_on_the_last_two_seconds_and_adopted(tmp_path: Path) -> None:
    loop, new = Loop(), a_filter(2.0)
    assert loop.swapper().swap(saved(tmp_path, new)) == (7, new.model_id)
    assert loop.names == ["prepare", "swap"]
    candidate = loop.commands[0].candidate
    assert candidate is not None
    assert candidate.bins is not None
    assert candidate.bins.shape == (100, N_CHANNELS)
    assert loop.stage.decoder is candidate.decoder
    fresh = load_decoder(new)
    out = np.empty((103, 2), np.float32)
    fresh.run(loop.stage.recent.last(103), out)
    for name, array in fresh.state().items():
        np.testing.assert_array_equal(loop.stage.decoder.state()[name], array)


def test_a_candidate_too_far_behind_is_warmed_up_again(tmp_path: Path) -> None:
    loop = Loop(busy=2)
    loop.swapper().swap(saved(tmp_path, a_filter(2.0)))
    assert loop.names == ["prepare", "swap"] * 3
    loop = Loop(busy=99)
    with pytest.raises(RtdecodeError, match="too many bins"):
        loop.swapper().swap(saved(tmp_path, a_filter(2.0)))
    assert loop.names == ["prepare", "swap"] * ATTEMPTS + ["swap_refused"]


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        (
            {
                "n_channels": 5,
                "channel_mask": (True,) * 5,
                "run": {"weight": np.zeros((5, 3, 2), np.float32), "bias": np.zeros(2)},
            },
            "the model has 5 channels, the one in use 4",
        ),
        ({"bin_width_s": 0.05}, "the model has bins of 50 ms, the one in use of 20 ms"),
        ({"outputs": (OUTPUTS[1], OUTPUTS[0])}, "the model decodes vx"),
        ({"outputs": (replace(OUTPUTS[0], units="cm"), OUTPUTS[1])}, r"decodes x \(cm, position\)"),
        ({"outputs": (replace(OUTPUTS[0], role="other"), OUTPUTS[1])}, r"decodes x \(mm, other\)"),
        ({"causal": False}, "non-causal"),
        (
            {"run": {"weight": np.full((4, 3, 2), np.float32(3e38)), "bias": np.zeros(2)}},
            "contain NaN or infinity",
        ),
    ],
)
def test_a_model_that_does_not_fit_is_refused(
    changes: dict[str, object], reason: str, tmp_path: Path
) -> None:
    loop = Loop()
    path = saved(tmp_path, replace(a_filter(), **changes))  # type: ignore[arg-type]
    before = loop.stage.decoder
    with pytest.raises(RtdecodeError, match=reason) as raised:
        loop.swapper().swap(path)
    assert path in str(raised.value)
    assert loop.stage.decoder is before
    assert "swap" not in loop.names
    assert loop.commands[-1].about == {"model": path, "error": str(raised.value)}


def test_the_same_arrays_in_another_order_are_refused() -> None:
    one, two = ElectrodeArray("M1", 1), ElectrodeArray("PMd", 3)
    old, new = replace(a_filter(), arrays=(one, two)), replace(a_filter(), arrays=(two, one))
    check_replaces(old, old, "a")
    check_replaces(a_filter(), old, "a")
    with pytest.raises(RtdecodeError, match=r"the arrays PMd \(3 channels\), M1 \(1 channels\), the one in"):
        check_replaces(new, old, "a")


def test_a_broken_or_missing_file_is_refused(tmp_path: Path) -> None:
    loop = Loop()
    broken = Path(saved(tmp_path, a_filter()))
    broken.write_bytes(broken.read_bytes()[:-9])
    for path in (str(broken), str(tmp_path / "gone.safetensors"), str(tmp_path)):
        with pytest.raises(RtdecodeError, match=path):
            loop.swapper().swap(path)
    assert loop.names == ["swap_refused"] * 3


def test_an_unexpected_error_is_a_refusal_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(path: Path) -> None:
        raise KeyError("run.weight")

    monkeypatch.setattr(swap, "open_model", broken)
    loop, path = Loop(), saved(tmp_path, a_filter())
    with pytest.raises(RtdecodeError, match="internal error, KeyError: 'run"):
        loop.swapper().swap(path)
    assert loop.names == ["swap_refused"]


def test_a_loop_that_does_not_answer_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(RtdecodeError, match="did not carry out the swap within"):
        Loop(answers=False).swapper().swap(saved(tmp_path, a_filter()))


def test_one_swap_at_a_time(tmp_path: Path) -> None:
    loop, path = Loop(), saved(tmp_path, a_filter(2.0))
    inside, proceed = threading.Event(), threading.Event()

    def apply(command: Command) -> bool:
        inside.set()
        proceed.wait(20.0)
        return loop.apply(command)

    swapper = Swapper(lambda: loop.artifact, apply, loop.commands.append)
    first = threading.Thread(target=swapper.swap, args=(path,))
    first.start()
    assert inside.wait(20.0)
    with pytest.raises(RtdecodeError, match="another swap is in progress"):
        swapper.swap(path)
    # A new file in a watched folder can wait.
    waited: list[tuple[int, str]] = []
    second = threading.Thread(target=lambda: waited.append(swapper.swap(path, wait_s=20.0)))
    second.start()
    proceed.set()
    first.join(20.0)
    second.join(20.0)
    assert waited[0][0] == 7
    assert swapper.swap(path)[0] == 7
