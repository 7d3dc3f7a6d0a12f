"""The project's own source as data: modules by their import name, what each imports, what each raises."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
ROOMS = {
    "rtdecode": "rtdecode",
    "models": "rtdecode.models",
    "calibrate": "rtdecode.calibrate",
    "tools": "rtdecode.tools",
}


def modules() -> dict[str, Path]:
    """Every module of the four rooms by the name it is imported by; a package by that of its `__init__`."""
    found = {}
    for room, package in ROOMS.items():
        for path in sorted((ROOT / room).rglob("*.py")):
            inside = path.relative_to(ROOT / room).with_suffix("").parts
            found[".".join((package, *inside)).removesuffix(".__init__")] = path
    return found


def imports(module: Path, names: dict[str, Path]) -> set[str]:
    """Which of `names` a module imports, anywhere in it, lazily too."""
    found = set()
    for node in ast.walk(ast.parse(module.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names if alias.name in names}
        elif isinstance(node, ast.ImportFrom) and node.module is not None and node.level == 0:
            for alias in node.names:
                whole = f"{node.module}.{alias.name}"
                found |= {
                    name
                    for name in (whole, node.module)
                    if name in names and (name == whole or whole not in names)
                }
    return found


def calls(module: Path, *names: str) -> Iterator[ast.Call]:
    """Calls of any function, class or method called one of `names`."""
    for node in ast.walk(ast.parse(module.read_text("utf-8"))):
        if isinstance(node, ast.Call) and getattr(node.func, "attr", getattr(node.func, "id", None)) in names:
            yield node


def literal(node: ast.expr) -> str | None:
    """The text of a string as it is written, with {} where a value goes in; None for any other expression.

    Of a text that depends on a condition, what holds where the condition is met.
    """
    if isinstance(node, ast.IfExp):
        return literal(node.body)
    if isinstance(node, ast.Constant):
        return node.value if isinstance(node.value, str) else None
    if isinstance(node, ast.JoinedStr):
        return "".join(part.value if isinstance(part, ast.Constant) else "{}" for part in node.values)
    if isinstance(node, ast.BinOp):
        left, right = literal(node.left), literal(node.right)
        return None if left is None or right is None else left + right
    return None
