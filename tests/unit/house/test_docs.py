"""The pages name files that are there, and link to pages that are there."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest
from source_tree import ROOMS, ROOT

PAGES = [*sorted((ROOT / "docs").glob("*.md")), ROOT / "README.md", ROOT / "CONTRIBUTING.md"]

#: A path in backticks; a first folder may be left out that stands for `rtdecode/` or `calibrate/`.
PATH = re.compile(r"`((?:[\w.-]+/)+[\w.-]+\.py|tests/[\w/]+)`")
LINK = re.compile(r"\]\((?!https?:|#)([^)#]+)")


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_files_that_are_named_exist(page: Path) -> None:
    bases = (ROOT, *(ROOT / room for room in ROOMS))
    named = set(PATH.findall(page.read_text("utf-8")))
    missing = [path for path in named if not any((base / path).exists() for base in bases)]
    assert not missing


@pytest.mark.parametrize("example", sorted((ROOT / "examples").glob("*.py")), ids=lambda path: path.name)
def test_examples_compile_and_are_explained(example: Path) -> None:
    text = example.read_text("utf-8")
    compile(text, example.name, "exec")
    assert len(ast.get_docstring(ast.parse(text)) or "") > 300


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page: Path) -> None:
    links = {link.strip() for link in LINK.findall(page.read_text("utf-8"))}
    assert not [link for link in links if not (page.parent / link).exists()]
