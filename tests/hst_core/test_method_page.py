"""The page that maps the paper to the code names only what exists."""

from __future__ import annotations

import importlib
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent.parent
PAGE = (ROOT / "docs" / "method.md").read_text(encoding="utf-8")
MODULES = {path.stem for path in (ROOT / "hst_core").glob("*.py")}


def test_every_test_named_on_the_page_exists() -> None:
    tests = "\n".join(path.read_text(encoding="utf-8") for path in ROOT.glob("tests/**/*.py"))
    missing = {name for name in re.findall(r"`(test_\w+)`", PAGE) if f"def {name}(" not in tests}
    assert not missing


@pytest.mark.parametrize(
    "name",
    sorted({n for n in re.findall(r"`(\w+(?:\.\w+)+)`", PAGE) if n.split(".")[0] in MODULES}),
)
def test_every_code_name_on_the_page_exists(name: str) -> None:
    module, *path = name.split(".")
    found = importlib.import_module(f"hst_core.{module}")
    if (module, path) == ("model", ["skip"]):
        found, path = importlib.import_module("hst_core.config").ModelConfig, ["skip"]
    for part in path:
        found = getattr(found, part)
