"""Which signals are inputs beside the electrodes, and what becomes of voltage: one rule for all systems."""

from __future__ import annotations

import re

#: From this rate on signals are voltage in which spikes can be detected.
RAW_HZ = 10_000
#: Inputs that are sampled as fast as that keep about so many samples a second.
INPUT_HZ = 1000.0

_VOLTAGE = re.compile(r"^(fp|lfp|wb|spk|ad\d|ch_?\d|csc|[a-d]-\d|eeg|elec|chan)", re.IGNORECASE)

_BESIDE = re.compile(r"supply|digital|sync|temp|stim", re.IGNORECASE)


def is_input(name: str) -> bool:
    """Whether a channel is no electrode's, by its name: joystick, eye tracker, photodiode."""
    return not _VOLTAGE.match(name)


def thinned(rate_hz: float) -> tuple[int, str]:
    """Which of its samples an input keeps, every n-th, and a note of it."""
    step = max(1, round(rate_hz / INPUT_HZ)) if rate_hz >= RAW_HZ else 1
    return step, f"every {step}th of its samples at {rate_hz:g} Hz" if step > 1 else ""


def role_of(stream: str) -> str:
    """Role of a stream of inputs, as of `Series`: supply voltage and digital lines are no behaviour."""
    return "other" if _BESIDE.search(stream) else "behavior"


def why_voltage(n_channels: int, rate_hz: float) -> str:
    """Why nothing is imported of the voltage of electrodes, and what to do with it."""
    what = f"voltage of {n_channels} channel{'s' * (n_channels > 1)} at {rate_hz:g} Hz"
    if rate_hz < RAW_HZ:
        return what
    return f"{what}: find spikes in it with rtdecode detect, from its samples in a plain binary or NPY file"
