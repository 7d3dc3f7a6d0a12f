"""The terminal view: correct figures at every size, updates in place, and a clean terminal afterwards."""

from __future__ import annotations

import copy
import io
import json
import os
import re
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from monitored import STATUS_MAP
from rich.cells import cell_len
from rich.console import Console
from terminal import on_a_terminal

from rtdecode.console.counters import NAMES, count
from rtdecode.console.drawing import Drawing
from rtdecode.console.history import History, Recent
from rtdecode.console.status_rows import duration, status_rows, stream_rows
from rtdecode.console.status_view import StatusView
from rtdecode.console.text_rows import Line, line_of
from rtdecode.serve.reporting.status import PERCENTILES

TERMINAL = {"TERM": "xterm-256color"}
REFUSAL = (
    "stream M1: it has 64 channels and the model was made for 96. "
    "Fix: choose another model with --model, or let the source send 96 channels"
)
FULL = "/data/today.h5: No space left on device; decoding continues, writing is tried again"
COUNTERS = dict.fromkeys(STATUS_MAP["counters"], 0)

RUNNING: dict[str, Any] = STATUS_MAP | {
    "counters": STATUS_MAP["counters"] | {"lost": 0},
    "latency_ms": {"publish": {"p50": 1.2134, "p90": 1.41, "p99": 1.6, "p999": 2.61, "max": 4.8}},
    "stream": STATUS_MAP["stream"]
    | {
        "source_id": "nsp-7",
        "rate_hz": 0.0,
        "clock_correction_ms": -0.0123,
        "delivery_ms": {"p50": 0.35, "p99": 1.1, "p999": 1.612},
        "grace_ms": 1.65,
    },
    "out": None,
    "lsl_out": None,
}


def changed(**parts: Any) -> dict[str, Any]:
    """RUNNING with some parts replaced; maps are merged."""
    status = copy.deepcopy(RUNNING)
    for key, value in parts.items():
        merge = isinstance(value, dict) and isinstance(status[key], dict)
        status[key] = status[key] | value if merge else value
    return status


def without_stream(**parts: Any) -> dict[str, Any]:
    return changed(**parts) | {"stream": {"name": "M1", "attached": False}}


def test_each_of_several_arrays_has_its_row_and_why_it_is_away() -> None:
    m1 = RUNNING["stream"]
    pmd = {"name": "PMd", "attached": False, "reason": "its outlet is gone (source nsp-8 on rig)"}
    status = changed() | {"arrays": [m1, pmd], "stream": {"name": "M1+PMd", "attached": False}}
    shown = "\n".join(str(part) for row in stream_rows(status) for part in row.parts)
    assert "M1+PMd" not in shown
    assert "PMd" in shown
    assert "its outlet is gone" in shown


NO_BIN = dict.fromkeys(PERCENTILES)
MAPS = {
    "waiting": without_stream(
        state="waiting",
        bin=-1,
        counters=COUNTERS,
        rates={"events_hz": 0.0, "bins_hz": 0.0},
        latency_ms={"close": NO_BIN, "publish": NO_BIN},
        recording=None,
    ),
    "running": RUNNING,
    "paused": changed(state="paused", paused=True, flags=["PAUSED"]),
    "stale": changed(state="stale", flags=["STALE"], counters={"stale": 13}),
    "failsafe": changed(state="failsafe", flags=["STALE", "FAILSAFE"], counters={"failsafe": 162}),
    "reconnecting": without_stream(state="reconnecting", flags=["FAILSAFE"], warnings=[REFUSAL]),
    "judging": changed(state="reconnecting", reason="connected to rig-a on lab, its clock is being judged"),
    "not recording": changed(recording={"error": FULL, "bins": 21000}, warnings=[f"NOT RECORDING: {FULL}"]),
    "output": changed(out={"names": ["cx", "cy"], "units": ["px", "px"]}, lsl_out="cursor"),
    "lossy": changed(counters={"lost": 12, "failsafe": 7}),
    "disk full": changed(recording={"error": "disk full"}),
    "large": changed(counters={key: 123_456_789 * (i + 1) for i, key in enumerate(COUNTERS)}),
}


def lines_of(
    status: dict[str, Any], recent: Recent, width: int, height: int, *, ended: bool = False
) -> list[Line]:
    rows = status_rows(status, recent, ended=ended, width=width, height=height)
    return [line_of(row, width) for row in rows]


def draw(status: dict[str, Any], width: int, height: int) -> list[str]:
    """The lines of a daemon's first frame, without colours."""
    lines = lines_of(status, History().add(status), width, height)
    return ["".join(part.text for part in line) for line in lines]


def printed(status: dict[str, Any], recent: Recent, **options: Any) -> str:
    """The lines as rich prints them on a terminal of 80 by 24."""
    file = options.pop("file", io.StringIO())
    console = Console(file=file, width=80, height=24, force_terminal=True, _environ=TERMINAL, **options)
    console.print(Drawing(lambda width, height, _: lines_of(status, recent, width, height)))
    return file.getvalue() if isinstance(file, io.StringIO) else ""


@pytest.mark.parametrize(("width", "height"), [(80, 24), (200, 60), (40, 10)])
@pytest.mark.parametrize("name", MAPS)
def test_the_state_is_the_first_word(name: str, width: int, height: int) -> None:
    status = MAPS[name]
    assert draw(status, width, height)[0].startswith(f" {status['state'].upper()} ")


FIGURES = (
    "bin 37,711",
    "M1  events  96 channels  source nsp-7  on rig",
    "clock -0.012 ms  delivery p50 0.35",
    "p99.9 1.61 ms  grace 1.65 ms",
    r"a1b2c3d4  alignnet  20 ms bins  x, y \(mm\)  vx, vy \(mm/s\)",
    "1,432 samples/s  50.0 of 50.0 bins/s",
    "p50 1.21  p90 1.41  p99 1.60  p99.9 2.61  max 4.80  after bin end",
    "today.h5  37,587 bins  0.5 s behind  in /data",
    "12:40  cursor tcp://127.0.0.1:5556  control tcp://127.0.0.1:5557",
    r"\bbins +37,612\b",
    r"\breceived +108,?013\b",
    r"\blate carried +812\b",
    r"\blost +0\b",
)
FIRST = ("RUNNING", "M1  events", "p50 1.21  p99 1.60  max 4.80", "bins 37,612", "lost 12", "fail-safe 7")


@pytest.mark.parametrize(
    ("name", "size", "shown", "hidden"),
    [
        ("running", (80, 24), FIGURES, "^output"),
        ("running", (200, 60), FIGURES, "^output"),
        ("lossy", (40, 10), FIRST, "tcp://"),
        ("waiting", (80, 24), ("M1  searching", "no bin yet", "^recording +off"), "delivery"),
        ("not recording", (80, 24), ("^recording +NOT RECORDING .*21,000 bins  5:32 behind",), "^rec.*space"),
        ("judging", (80, 24), ("connected to rig-a on lab, its clock",), "^warning"),
        ("judging", (200, 60), ("its clock is being judged; position held, velocity 0",), "^warning"),
        ("disk full", (80, 24), ("^recording +NOT RECORDING .* disk full",), "^warning"),
        ("output", (80, 24), (r"^output +cx, cy \(px\)  LSL stream cursor",), "^warning"),
    ],
)
def test_what_is_shown(name: str, size: tuple[int, int], shown: tuple[str, ...], hidden: str) -> None:
    text = "\n".join(draw(MAPS[name], *size))
    assert [pattern for pattern in shown if not re.search(pattern, text, re.MULTILINE)] == []
    assert not re.search(hidden, text, re.MULTILINE)


@pytest.mark.parametrize(("width", "height"), [(80, 24), (200, 60), (40, 24)])
def test_a_refusal_is_shown_in_full(width: int, height: int) -> None:
    lines = draw(MAPS["reconnecting"], width, height)
    at = next(i for i, line in enumerate(lines) if line.startswith("warning"))
    shown = " ".join(line[11:] for line in lines[at:])
    assert re.sub(" +", " ", shown).replace("warning", "").strip().startswith(REFUSAL)


@pytest.mark.parametrize("key", [*COUNTERS, "brand_new"])
def test_every_counter_is_shown(key: str) -> None:
    status = changed(counters=COUNTERS | {key: 4321})
    name = NAMES.get(key, key.replace("_", " "))
    for width in (80, 200):
        assert re.search(rf"\b{name} +4,321\b", "\n".join(draw(status, width, 24)))
    if key != "spikes":
        assert any(f"{name} 4,321" in line for line in draw(status, 60, 24))


def test_current_faults_differ_from_past_ones() -> None:
    history = History()
    for second in range(1, 61):
        lost = 5 if second < 30 else 5 + second - 29
        status = changed(uptime_s=float(second), counters={"bins": 50 * second, "lost": lost, "future": 3})
        recent = history.add(status)
    assert recent.span_s == 10.0
    assert (recent.gained["bins"], recent.gained["lost"], recent.gained["future"]) == (500, 10, 0)
    text = printed(status, recent, color_system="standard")
    cells = re.findall(r"\x1b\[([0-9;]+)m(lost|future|bins|duplicates) +([\d,]+) *(\S*)\x1b", text)
    styles = {name: (style, total, gain) for style, name, total, gain in cells}
    assert styles["lost"] == ("1;31", "36", "+10")
    assert styles["future"] == ("33", "3", "")
    assert styles["duplicates"] == ("2", "0", "")
    assert re.search(r"bins +3,000 +\+500", text)


def test_gains_depend_on_time_not_on_the_number_of_reports() -> None:
    history = History()
    assert history.add({"uptime_s": 1.0, "counters": {"bins": 50}}).gained == {"bins": 50}
    assert history.add({"uptime_s": 2.0, "counters": {"bins": 100}}).span_s == 2.0
    late = history.add({"uptime_s": 40.0, "counters": {"bins": 2000, "lost": None}})
    assert (late.span_s, late.gained) == (38.0, {"bins": 1900})
    assert history.add({"counters": {"bins": 1990}}).gained == {"bins": 1890}
    assert history.add({"uptime_s": 50.0, "counters": {"bins": 2500}}).gained == {"bins": 500}


def test_the_time_in_a_state_is_measured() -> None:
    history = History()
    lasted = [
        history.add({"state": state, "uptime_s": float(i)}).state_s
        for i, state in enumerate(("running", "running", "stale", "stale", "stale", "running"), 1)
    ]
    assert lasted == [0, 1, 0, 1, 2, 0]


@given(n=st.integers(-(10**15), 10**15), room=st.integers(5, 20))
def test_a_count_fits_and_is_correct(n: int, room: int) -> None:
    text = count(n, room)
    assert len(text) <= room + (n < 0)
    scale = {"k": 1e3, "M": 1e6, "G": 1e9, "T": 1e12, "P": 1e15}.get(text[-1])
    if scale is None:
        assert int(text.replace(",", "")) == n
    else:
        assert len(str(n)) > room
        assert float(text[:-1]) * scale == pytest.approx(n, abs=scale / 2)


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.4, "0 s"), (59.9, "59 s"), (61, "1:01"), (3599, "59:59"), (3723, "1:02:03"), (90061, "1 d 1:01:01")],
)
def test_durations(seconds: float, text: str) -> None:
    assert duration(seconds) == text


def holes(value: Any) -> st.SearchStrategy[Any]:
    """The map with any of its parts, at any depth, missing or None."""
    if not isinstance(value, dict):
        return st.sampled_from((value, None))
    return st.none() | st.fixed_dictionaries({}, optional={key: holes(of) for key, of in value.items()})


@settings(max_examples=300, deadline=None)
@given(
    status=st.sampled_from(sorted(MAPS)).flatmap(lambda name: holes(MAPS[name])),
    width=st.integers(1, 220),
    height=st.integers(1, 70),
    ended=st.booleans(),
)
@example(status=RUNNING, width=80, height=24, ended=False)
@example(status=MAPS["not recording"], width=1, height=1, ended=True)
def test_any_map_fits_any_terminal(
    status: dict[str, Any] | None, width: int, height: int, ended: bool
) -> None:
    given = status or {}
    lines = lines_of(given, History().add(given), width, height, ended=ended)
    texts = ["".join(part.text for part in line) for line in lines]
    assert max(map(len, texts)) <= width
    assert 1 <= len(lines) <= max(1, height - max(1, height // 6))
    assert all(text.isprintable() and text.isascii() for text in texts)


@settings(max_examples=200, deadline=None)
@given(text=st.text(max_size=60), encoding=st.sampled_from(("utf-8", "latin-1", "ascii")))
def test_names_can_hold_anything(text: str, encoding: str) -> None:
    status = changed(
        names=[text],
        units=[text],
        model={"id": text, "kind": text},
        stream={"name": text, "layout": text, "source_id": text, "hostname": text},
        recording={"path": text, "error": text},
        endpoints={text: text},
        warnings=[text],
        lsl_out=text,
    )
    raw = io.BytesIO()
    file = io.TextIOWrapper(raw, encoding=encoding, errors="strict", newline="\n")
    printed(status, History().add(status), color_system=None, file=file)
    file.flush()
    lines = raw.getvalue().decode(encoding).split("\n")[:-1]
    assert max(map(cell_len, lines)) <= 80
    assert all(line.isprintable() for line in lines)


def test_the_state_is_emphasised_without_colour() -> None:
    text = printed(MAPS["failsafe"], Recent(), no_color=True)
    codes = {code for found in re.findall(r"\x1b\[([0-9;]*)m", text) for code in found.split(";")}
    assert codes <= {"", "0", "1", "2", "7"}
    assert "\x1b[1;7m FAILSAFE " in text


class Screen:
    """As much of a terminal as the view needs; lines are never lost at its top."""

    def __init__(self, width: int) -> None:
        self.width, self.rows, self.x, self.y, self.cursor_shown = width, [""], 0, 0, True

    def feed(self, text: str) -> None:
        for token in re.findall(r"\x1b\[[0-9;?]*[A-Za-z]|[^\x1b]", text, re.DOTALL):
            if token == "\n":
                self._down()
            elif token == "\r":
                self.x = 0
            elif token.startswith("\x1b"):
                self._control(token[2:-1], token[-1])
            else:
                if self.x == self.width:
                    self._down()
                row = self.rows[self.y].ljust(self.x)
                self.rows[self.y] = row[: self.x] + token + row[self.x + 1 :]
                self.x += 1

    def resize(self, width: int) -> None:
        """Wrap longer lines again; the cursor stays at the end of its text."""
        wrapped = [[row[i : i + width] for i in range(0, max(len(row), 1), width)] for row in self.rows]
        self.y = sum(map(len, wrapped[: self.y + 1])) - 1
        self.rows, self.width = [piece for pieces in wrapped for piece in pieces], width
        self.x = len(self.rows[self.y])

    def lines(self) -> list[str]:
        return [row.rstrip() for row in self.rows]

    def _down(self) -> None:
        self.x, self.y = 0, self.y + 1
        if self.y == len(self.rows):
            self.rows.append("")

    def _control(self, parameter: str, letter: str) -> None:
        if letter == "A":
            self.y = max(0, self.y - int(parameter))
        elif letter == "K":
            assert parameter == "2"
            self.rows[self.y] = ""
        elif letter in "hl":
            assert parameter == "?25"
            self.cursor_shown = letter == "h"
        else:
            assert letter == "m"


class Rig:
    """A view on a screen."""

    def __init__(self, width: int = 80, height: int = 24) -> None:
        self.file, self.screen = io.StringIO(), Screen(width)
        self.console = Console(
            file=self.file, width=width, height=height, force_terminal=True, _environ=TERMINAL
        )
        self.view = StatusView(self.console)

    def cursor_hidden(self) -> bool:
        return not self.screen.cursor_shown

    def lines(self) -> list[str]:
        self.screen.feed(self.file.getvalue())
        self.file.seek(0)
        self.file.truncate()
        return self.screen.lines()


def test_the_frame_is_updated_in_place_below_printed_lines() -> None:
    rig = Rig()
    with rig.view:
        rig.view.print_line("ready")
        assert rig.lines() == ["ready", ""]
        for second, name in enumerate(("waiting", "running", "reconnecting", "not recording", "large"), 1):
            rig.view.report(MAPS[name] | {"uptime_s": float(second)})
            frame = draw(MAPS[name] | {"uptime_s": float(second)}, 80, 24)
            lines = rig.lines()
            assert lines[1].split()[0] == MAPS[name]["state"].upper()
            assert [line for line in lines[2:] if line][-1] == frame[-1].rstrip()
        assert rig.cursor_hidden()
        rig.view.print_line("attached")
        rig.view.print_line("x" * 100)
        lines = rig.lines()
        assert lines[:4] == ["ready", "attached", "x" * 80, "x" * 20]
        assert lines[4].startswith(" RUNNING ")
        rig.view.report(RUNNING)
        assert sum("RUNNING" in line for line in rig.lines()) == 1
    lines = rig.lines()
    assert lines[4].startswith(" STOPPED   was RUNNING")
    assert any("p50 1.21" in line for line in lines)
    assert not rig.cursor_hidden()
    rig.view.report(RUNNING)
    rig.view.print_line("closed")
    assert [line for line in rig.lines() if line][-1] == "closed"
    assert sum("RUNNING" in line for line in rig.lines()) == 1


def test_a_terminal_that_becomes_narrower_keeps_no_wrapped_lines() -> None:
    rig = Rig(width=130, height=40)
    with rig.view:
        rig.view.print_line("ready")
        rig.view.report(RUNNING)
        rig.lines()
        for width in (60, 100, 45):
            rig.screen.resize(width)
            rig.console.size = (width, 40)
            rig.view.report(RUNNING)
            lines = rig.lines()
            assert lines[0] == "ready"
            assert [i for i, line in enumerate(lines) if "RUNNING" in line] == [1]
            assert sum("source" in line for line in lines) <= 1
        rig.screen.resize(30)
        rig.console.size = (30, 40)
        rig.view.print_line("narrow")
        assert [i for i, line in enumerate(rig.lines()) if "RUNNING" in line] == [2]
    assert [i for i, line in enumerate(rig.lines()) if "RUNNING" in line] == [2]


@pytest.fixture
def frequent_switches() -> Iterator[None]:
    """Switch between threads far more often than usual."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)
    yield
    sys.setswitchinterval(before)


@pytest.mark.usefixtures("frequent_switches")
def test_lines_from_several_threads_leave_the_frame_whole() -> None:
    rig = Rig()
    maps = [MAPS[name] for name in ("running", "reconnecting", "waiting")]

    def print_lines(who: int) -> None:
        for i in range(20):
            rig.view.print_line(f"thread {who} line {i}")

    with rig.view:
        threads = [threading.Thread(target=print_lines, args=(who,)) for who in range(3)]
        for thread in threads:
            thread.start()
        for i in range(30):
            rig.view.report(maps[i % 3])
        for thread in threads:
            thread.join(30)
        rig.view.report(RUNNING)
        lines = rig.lines()
    printed = [line for line in lines if line.startswith("thread")]
    assert sorted(printed) == sorted(f"thread {who} line {i}" for who in range(3) for i in range(20))
    assert lines[:60] == printed
    assert lines[60].startswith(" RUNNING ")
    assert sum(line.startswith("latency") for line in lines) == 1


def test_a_closed_terminal_ends_only_the_view() -> None:
    class Tty(io.StringIO):
        gone = False

        def write(self, text: str) -> int:
            if self.gone:
                raise OSError(5, "Input/output error")
            return super().write(text)

    file = Tty()
    view = StatusView(Console(file=file, width=80, height=24, force_terminal=True, _environ=TERMINAL))
    stderr = sys.stderr
    with view:
        view.report(RUNNING)
        file.gone = True
        view.report(RUNNING)
        view.print_line("unread")
        view.report(RUNNING)
    assert sys.stderr is stderr


def test_without_a_report_nothing_is_drawn() -> None:
    rig = Rig()
    with rig.view:
        pass
    assert rig.lines() == [""]


CHILD = """
import json, signal, sys, threading, time
from rich.console import Console
from rtdecode.console.status_view import StatusView

def stop(number, frame):
    raise SystemExit(0)

signal.signal(signal.SIGTERM, stop)
status, how = json.loads(sys.argv[1]), sys.argv[2]
def report():
    for second in range(1, 100000):
        view.report(status | {"uptime_s": float(second)})
        drawn.set()
        time.sleep(0.01)
with StatusView(Console(stderr=True)) as view:
    drawn = threading.Event()
    view.print_line("printed before")
    threading.Thread(target=report, daemon=True).start()
    drawn.wait()
    view.print_line("printed meanwhile")
    print("stray output", file=sys.stderr)
    if how == "exception":
        raise RuntimeError("broken")
    try:
        # One long sleep would miss an interrupt that another thread received.
        while True:
            time.sleep(0.05)
    except KeyboardInterrupt:
        view.print_line("interrupted")
print("after", file=sys.stderr)
"""


@pytest.mark.parametrize("how", ["Ctrl-C", "SIGTERM", "exception"])
def test_the_terminal_is_left_clean(how: str) -> None:
    def stop(child: subprocess.Popen[bytes], terminal: int) -> None:
        if how == "Ctrl-C":
            os.write(terminal, b"\x03")
        elif how == "SIGTERM":
            os.kill(child.pid, signal.SIGTERM)

    written, code = on_a_terminal(
        [sys.executable, "-c", CHILD, json.dumps(RUNNING), how],
        lambda text: "stray output" in text and (how == "exception" or text.count("uptime") > 5),
        stop,
    )
    assert code == (1 if how == "exception" else 0)
    hidden, shown = written.rfind("\x1b[?25l"), written.rfind("\x1b[?25h")
    assert 0 < hidden < shown
    assert "\x1b" not in written[shown + len("\x1b[?25h") :]
    assert "\x1b[?1049" not in written
    screen = Screen(80)
    screen.feed(written)
    lines = screen.lines()
    assert lines[:3] == ["printed before", "printed meanwhile", "stray output"]
    at = 3 + (how == "Ctrl-C")
    assert lines[at].startswith(" STOPPED   was RUNNING")
    assert sum("RUNNING" in line for line in lines) == 1
    end = next(i for i, line in enumerate(lines) if line.startswith("uptime"))
    assert {"SIGTERM": "", "Ctrl-C": "after", "exception": "Traceback"}[how] in lines[end + 1]
    if how == "exception":
        assert lines[-2] == "RuntimeError: broken"


def test_the_daemon_runs_without_rich() -> None:
    code = "import sys, rtdecode.serve.daemon, rtdecode.console.status_lines; sys.exit('rich' in sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True, timeout=120)
