"""Where networks are trained, and in which precision."""

from __future__ import annotations

from collections.abc import Callable

import torch

from rtdecode.errors import RtdecodeError

#: Kinds that a CPU always trains in float32. With AMX, torch 2.14 computes a convolution of few channels over
#: many frames, an MLP's of behaviour, wrongly in bfloat16 (error as large as the result).
CPU_FLOAT32 = ("gru", "mlp")


def chosen_device(name: str) -> torch.device:
    """The device called `name`; "auto" is a GPU if there is one.

    Raises:
        RtdecodeError: torch knows no such device, or it is not available.
    """
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(name)
        torch.zeros(1, device=device)
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        reason = str(error).splitlines()[0]
        raise RtdecodeError(f"cannot be used ({reason})", where=f"--device {name}", fix="use cpu") from None
    return device


def multiplies_bfloat16(kind: str, device: torch.device) -> bool:
    """Whether to multiply in bfloat16 between the neurons: on a GPU, and on CPUs with instructions for it.

    Without them it is slower than float32. On a CPU some kinds stay in float32 (`CPU_FLOAT32`).
    """
    return device.type == "cuda" or (kind not in CPU_FLOAT32 and _cpu_multiplies_bfloat16())


def _cpu_multiplies_bfloat16() -> bool:
    supported: Callable[[], bool] | None = getattr(torch.cpu, "_is_avx512_bf16_supported", None)
    return supported is not None and bool(supported())
