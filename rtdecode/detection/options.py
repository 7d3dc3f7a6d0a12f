"""Settings of spike detection as they are given on the command line, of files and live."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from rtdecode.detection.settings import DetectionSettings, Measured, PowerSettings
from rtdecode.errors import RtdecodeError

#: The option of each setting.
OPTIONS = {
    "low_hz and high_hz": "--band",
    "order": "--filter-order",
    "threshold_sd": "--threshold",
    "polarity": "--polarity",
    "refractory_s": "--refractory",
    "reference": "--reference",
    "noise_s": "--noise-seconds",
}

#: Those that `serve` and `record` have, with underscores.
DETECTION_FLAGS = (
    *(option[2:].replace("-", "_") for option in OPTIONS.values()),
    *("noise_from", "power", "power_bin", "power_band"),
)

#: Models read features of bins that are whole numbers of these: 5, 10, 20 ms.
POWER_BIN_MS = 5.0

#: Layout of streams of voltage.
BROADBAND = "broadband"

#: Nothing can be written to a session file before noise is known, and what arrives waits in memory.
LONGEST_LIVE_S = 15.0


def settings_of(given: Mapping[str, Any]) -> DetectionSettings:
    """The settings with those `given`, by the names of their fields; None for one that is not given.

    Raises:
        RtdecodeError: a value is out of its range; names the option.
    """
    try:
        return DetectionSettings(**{name: value for name, value in given.items() if value is not None})
    except RtdecodeError as error:
        option = OPTIONS[error.where or ""]
        raise RtdecodeError(error.what, where=option, fix=f"correct {option}") from error


def power_of(
    measure: str | None, bin_ms: float | None, band: tuple[float, float] | None
) -> PowerSettings | None:
    """The settings of power by `--power`, `--power-bin` and `--power-band`, None without the first.

    Raises:
        RtdecodeError: a value is out of its range, or one is given without `--power`.
    """
    if measure is None:
        for option, value in (("--power-bin", bin_ms), ("--power-band", band)):
            if value is not None:
                raise RtdecodeError("is about spike-band power", where=option, fix="add --power absolute")
        return None
    given: dict[str, Any] = {"measure": measure, "bin_width_s": (bin_ms or POWER_BIN_MS) / 1e3}
    given |= {} if band is None else {"low_hz": band[0], "high_hz": band[1]}
    try:
        return PowerSettings(**given)
    except RtdecodeError as error:
        option = {"measure": "--power", "bin_width_s": "--power-bin"}.get(error.where or "", "--power-band")
        raise RtdecodeError(error.what, where=option, fix=f"correct {option}") from error


@dataclass(frozen=True, eq=False)
class KnownNoise:
    """The detection of a session file.

    Attributes:
        path: of the file.
        rate_hz, settings, measured, power: with which its events were detected, and of its features.
    """

    path: Path
    rate_hz: float
    settings: DetectionSettings
    measured: Measured
    power: PowerSettings | None = None


def read_noise(path: str) -> KnownNoise:
    """`--noise-from`.

    Raises:
        RtdecodeError: as `read_session`, or its events were not detected in voltage.
    """
    from rtdecode.detection.recorded import detection_of
    from rtdecode.files import user_path
    from rtdecode.session.read import read_session

    file = user_path(path)
    return KnownNoise(file, *detection_of(read_session(file)))


def read_number(text: str) -> float:
    """A number of an option or of rig.toml."""
    try:
        return float(text)
    except ValueError:
        raise ValueError(f"must be a number, not {text}") from None


def read_power_bin(text: str) -> float:
    """`--power-bin`."""
    number = read_number(text)
    if not 0.1 <= number <= 1000.0:
        raise ValueError(f"must be 0.1 to 1000 ms, not {text}")
    return number


def read_order(text: str) -> int:
    """`--filter-order`."""
    if not text.isdecimal():
        raise ValueError(f"must be a whole number, such as 2, not {text}")
    return int(text)


@dataclass(frozen=True)
class Band:
    """Edges of a band-pass, Hz."""

    low_hz: float
    high_hz: float


def read_band(text: str) -> Band:
    """`--band`, such as 300,3000."""
    low, _, high = text.partition(",")
    try:
        return Band(float(low), float(high))
    except ValueError:
        raise ValueError(f"must be two frequencies with a comma, such as 300,3000, not {text}") from None


@dataclass(frozen=True, eq=False)
class DetectionOptions:
    """The detection of a live stream as it is asked for.

    Attributes:
        given: settings by the names of their fields; None for one that is not given.
        noise: `--noise-from`, None to measure noise in the first seconds.
        power: spike-band power beside the spikes, None for none.

    Raises:
        RtdecodeError: a value is out of its range, or there are two settings.
    """

    given: Mapping[str, Any] = field(default_factory=dict)
    noise: KnownNoise | None = None
    power: PowerSettings | None = None

    def __post_init__(self) -> None:
        asked = [name for name, value in self.given.items() if value is not None]
        if self.noise is not None and asked:
            raise RtdecodeError(
                f"has settings of its own, and {_option(asked[0])} is given too",
                where="--noise-from",
                fix=f"omit {_option(asked[0])}",
            )
        if self.settings.noise_s > LONGEST_LIVE_S and self.noise is None:
            raise RtdecodeError(
                f"must be up to {LONGEST_LIVE_S:g} live, not {self.settings.noise_s:g}",
                where="--noise-seconds",
                fix="give fewer, or measure the noise of a file: rtdecode detect, then --noise-from",
            )

    @property
    def settings(self) -> DetectionSettings:
        """The settings."""
        return settings_of(self.given) if self.noise is None else self.noise.settings

    def check_for(self, layout: str, where: str) -> None:
        """Check that a stream of this layout can be asked for it.

        Raises:
            RtdecodeError: an option is given, and its spikes are detected already.
        """
        asked = [_option(name) for name, value in self.given.items() if value is not None]
        asked += ["--noise-from"] if self.noise is not None else []
        asked += ["--power"] if self.power is not None else []
        if asked and layout != BROADBAND:
            raise RtdecodeError(
                f"{asked[0]} is about spikes in voltage, and its layout is {layout}",
                where=where,
                fix=f"omit {asked[0]}, or name a stream of voltage",
            )


def detection_options(values: Mapping[str, Any]) -> DetectionOptions:
    """Those among the values of a command's options, by their names with underscores; None where not given.

    Raises:
        RtdecodeError: as `DetectionOptions`.
    """
    refractory_ms, band, of_power = values.get("refractory"), values.get("band"), values.get("power_band")
    return DetectionOptions(
        {
            "reference": values.get("reference"),
            "threshold_sd": values.get("threshold"),
            "polarity": values.get("polarity"),
            "refractory_s": None if refractory_ms is None else refractory_ms / 1e3,
            "low_hz": band and band.low_hz,
            "high_hz": band and band.high_hz,
            "order": values.get("filter_order"),
            "noise_s": values.get("noise_seconds"),
        },
        values.get("noise_from"),
        power_of(
            values.get("power"), values.get("power_bin"), of_power and (of_power.low_hz, of_power.high_hz)
        ),
    )


def _option(name: str) -> str:
    return next(option for setting, option in OPTIONS.items() if name in setting.split(" and "))
