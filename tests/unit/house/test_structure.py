"""No folder is crowded, imports run in no circle, every module is reached, few functions are wide."""

from __future__ import annotations

import ast
from collections import Counter

import pytest
from source_tree import ROOMS, ROOT, imports, modules

MOST_MODULES = 15

#: Arguments from which a function is wide, and how many such there may be outside kernels and command line.
WIDE, MOST_WIDE = 8, 10

#: What no command reads yet: raw voltage and the paper's preprocessing wait for their commands.
WAITING = {
    "rtdecode.calibrate.signals.preprocess",
    "rtdecode.calibrate.signals.raw_voltage",
    "rtdecode.calibrate.signals.trial_windows",
}

#: Where a process of its own begins: `python -m …`, or a name that is imported by a user.
ENTRIES = {
    "rtdecode.cli",
    "rtdecode.__main__",
    "rtdecode.cli.__main__",
    "rtdecode.calibrate.evaluation.falcon",
    "rtdecode.client",
    "rtdecode.testing",
    "rtdecode.testing.lsl_recorder",
    "rtdecode.tools.bench.hops",
    "rtdecode.tools.bench.spike_source",
    "rtdecode.tools.capture",
    "rtdecode.tools.doctor.beacon",
    "rtdecode.tools.doctor.probe",
}


@pytest.fixture(scope="module")
def graph() -> dict[str, set[str]]:
    """What each module imports; the packages above it are imported first."""
    names = modules()
    return {name: imports(path, names) for name, path in names.items()}


def test_no_folder_is_crowded() -> None:
    folders = [*ROOMS, "tests"]
    modules_of = Counter(
        path.parent.relative_to(ROOT).as_posix()
        for folder in folders
        for path in (ROOT / folder).rglob("*.py")
        if path.name != "__init__.py"
    )
    assert {folder: n for folder, n in modules_of.items() if n > MOST_MODULES} == {}


def test_imports_run_in_no_circle(graph: dict[str, set[str]]) -> None:
    remaining = {name: set(imported) for name, imported in graph.items()}
    while free := [name for name, imported in remaining.items() if not imported & remaining.keys()]:
        for name in free:
            del remaining[name]
    assert not remaining


def test_every_module_is_reached(graph: dict[str, set[str]]) -> None:
    reached: set[str] = set()
    waiting = [name for name in ENTRIES if name in graph]
    while waiting:
        name = waiting.pop()
        if name in graph and name not in reached:
            reached.add(name)
            waiting += [*graph[name], name.rpartition(".")[0]]
    packages = {name for name in graph if any(other.startswith(f"{name}.") for other in graph)}
    assert graph.keys() - reached - packages == WAITING


def test_few_functions_are_wide() -> None:
    wide = []
    for name, path in modules().items():
        if ".kernels." in name or ".cli." in name:
            continue
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                given = [*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs]
                if len([each for each in given if each.arg not in ("self", "cls")]) >= WIDE:
                    wide.append(f"{name}.{node.name}")
    assert len(wide) <= MOST_WIDE, wide
