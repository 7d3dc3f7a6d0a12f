"""Errors are sentences for the person at the rig: each has a verb, and each says what to do."""

from __future__ import annotations

import re

import pytest
from source_tree import ROOT, calls, literal, modules

#: One of these makes words a sentence.
VERBS = (
    "is are was were be been has have had do does did can cannot could must may might needs need will "
    "would holds hold lacks takes take came come comes ended spans reach reaches fits fit covers "
    "cover differ differs lie lies belongs names name contains contain decodes records describes ends "
    "stops starts grew grows exists exist answers answered failed fails diverged expects allow allows "
    "use uses give gives got leaves sends send prints print writes write lasts requires require fires "
    "look looks states meets"
)


def _texts() -> list[tuple[str, str | None, bool]]:
    """Of each error that is raised: where, its text if it is written there, and whether it has a fix."""
    found = []
    for path in modules().values():
        for call in calls(path, "RtdecodeError", "BadParameter"):
            where = f"{path.relative_to(ROOT)}:{call.lineno}"
            text = literal(call.args[0]) if call.args else None
            usage = getattr(call.func, "attr", "") == "BadParameter"
            fix = usage or any(keyword.arg in ("fix", None) for keyword in call.keywords)
            found.append((where, text, fix or (text is None)))
    return found


@pytest.fixture(scope="module")
def texts() -> list[tuple[str, str | None, bool]]:
    return _texts()


def test_errors_were_found(texts: list[tuple[str, str | None, bool]]) -> None:
    assert len([text for _, text, _ in texts if text]) > 300


def test_every_error_has_a_verb(texts: list[tuple[str, str | None, bool]]) -> None:
    without = [
        f"{where}: {text}"
        for where, text, _ in texts
        if text is not None and not set(VERBS.split()) & set(re.findall(r"[a-z]+", text.lower()))
    ]
    assert not without, "\n".join(without)


def test_every_error_says_what_to_do(texts: list[tuple[str, str | None, bool]]) -> None:
    without = [f"{where}: {text}" for where, text, fix in texts if not fix]
    assert not without, "\n".join(without)
