"""The pages' own tests, run by Node: state, outbox, keys, type-ahead, words."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

TESTS = sorted((Path(__file__).parent / "js").glob("*.test.mjs"))
STATIC = Path(__file__).parents[2] / "annotator" / "web" / "static"


@pytest.fixture(scope="module")
def node() -> str:
    found = shutil.which("node")
    if found is None:
        pytest.skip("node is not installed (the browser tests still run the same modules)")
    said = subprocess.run([found, "--version"], capture_output=True, text=True, check=True).stdout
    version = tuple(int(part) for part in said.strip().lstrip("v").split(".")[:2])
    if version < (20, 19):
        pytest.skip(f"node {said.strip()} does not tell modules by their syntax, 20.19 does")
    return found


@pytest.mark.parametrize("path", TESTS, ids=lambda path: path.name.removesuffix(".test.mjs"))
def test_logic_of_the_page(node: str, path: Path) -> None:
    result = subprocess.run(
        [node, "--test", "--test-reporter=spec", str(path)], capture_output=True, text=True
    )
    assert result.returncode == 0, result.stdout + result.stderr


def test_no_module_writes_markup() -> None:
    # Names are hostile; textContent is the only way for text into the document.
    forbidden = ("innerHTML", "outerHTML", "insertAdjacentHTML", "document.write", "eval(")
    for module in STATIC.rglob("*.js"):
        text = module.read_text(encoding="utf-8")
        assert not [word for word in forbidden if word in text], module.name
