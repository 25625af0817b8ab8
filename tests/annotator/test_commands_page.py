"""Help, the page of commands, the README and what other pages say to type agree."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from annotator.cli.reference import Command, commands, page

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]
HINT = r"(?<!from )\bannotator ([a-z-]+)(?: ([a-z-]+))?(?=[ `.,)\"…:;])"
BY_PATH = {command.path: command for command in commands()}


def test_the_page_of_commands_is_what_the_commands_say() -> None:
    written = (ROOT / "docs" / "commands.md").read_text(encoding="utf-8")
    assert written == page(), "run: python -m annotator.cli.reference > docs/commands.md"


@pytest.mark.parametrize("command", BY_PATH.values(), ids=lambda command: "-".join(command.path))
def test_everything_that_can_be_typed_is_explained(command: Command) -> None:
    assert command.words.endswith(".")
    for one in command.parameters:
        assert one.words.rstrip("]").endswith((".", "?")), one.names


def test_the_readme_names_every_command() -> None:
    lines = (ROOT / "README.md").read_text(encoding="utf-8").splitlines()
    rows = [re.split(r"(?<!\\)\|", one)[1] for one in lines if one.startswith("| `annotator ")]
    named = {path for row in rows for path in _paths_in(row)}
    assert named == set(BY_PATH)


def _paths_in(cell: str) -> Iterator[tuple[str, ...]]:
    """Commands of one cell: "`annotator add images DIR`, `add categories`", "`contract a`, `b`"."""
    group: tuple[str, ...] = ()
    for code in re.findall("`([^`]*)`", cell):
        words = tuple(code.removeprefix("annotator ").split())
        for path in (words[:2], words[:1], (*group, *words[:1])):
            if path in BY_PATH:
                group = path[:-1]
                yield path
                break
        else:
            raise AssertionError(f"{code!r} in {cell!r} is no command")


def _typed(text: str) -> Iterator[str]:
    """Command lines in code: whole lines of blocks, and code within a sentence."""
    for block in re.findall(r"^```\w*\n(.*?)^```", text, re.MULTILINE | re.DOTALL):
        for line in block.splitlines():
            yield line.removeprefix("$ ").split(" #")[0].strip()
    yield from re.findall(r"(?<!`)`(annotator [^`\n]*)`(?!`)", text)


@pytest.mark.parametrize("file", PAGES, ids=lambda file: file.name)
def test_what_a_page_says_to_type_exists(file: Path) -> None:
    for line in _typed(file.read_text(encoding="utf-8")):
        words = line.replace("|", " ").split()
        if words[:1] != ["annotator"] or line.startswith("annotator COMMAND"):
            continue
        path = next((p for p in (tuple(words[1:3]), tuple(words[1:2])) if p in BY_PATH), None)
        assert path or words[1] in {p[0] for p in BY_PATH}, line
        if path is None:
            continue
        flags = {word.split("=")[0] for word in words if word.startswith("-") and word != "-1"}
        known = {name for one in BY_PATH[path].parameters for name in one.names}
        assert flags <= known | {"-h", "--help"}, line


def test_hints_in_messages_name_commands_that_exist() -> None:
    groups = {path[0] for path in BY_PATH}
    found = 0
    for file in [*(ROOT / "annotator").rglob("*.py"), *(ROOT / "annotator").rglob("*.js")]:
        for first, second in re.findall(HINT, file.read_text("utf-8")):
            if first not in groups or (first,) in BY_PATH:
                continue
            found += 1
            assert (first, second) in BY_PATH or not second, f"{file}: annotator {first} {second}"
    assert found > 10
