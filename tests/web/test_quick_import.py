"""Importing a package without one of its steps."""

from __future__ import annotations

import importlib
import subprocess
import sys
from pathlib import Path

import pytest

from annotator.web.quick_import import importing_without

WRITES = "steps = []\ndef step(name):\n    steps.append(name)\n"
BESIDE = "from quick_pack.writes import step, steps\nstep('beside')\n"


@pytest.fixture
def pack(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A package that takes a step while it is imported."""
    folder = tmp_path / "quick_pack"
    folder.mkdir()
    (folder / "__init__.py").write_text("from quick_pack import beside\n")
    (folder / "writes.py").write_text(WRITES)
    (folder / "beside.py").write_text(BESIDE)
    monkeypatch.syspath_prepend(tmp_path)
    for name in ("quick_pack", "quick_pack.writes", "quick_pack.beside"):
        monkeypatch.delitem(sys.modules, name, raising=False)


def test_the_named_function_does_nothing_while_the_package_is_imported(pack: None) -> None:
    with importing_without("quick_pack.writes", "step"):
        assert importlib.import_module("quick_pack.beside").steps == []


@pytest.mark.parametrize(
    ("module", "function"), [("quick_pack.writes", "gone"), ("quick_pack.gone", "step")]
)
def test_a_function_or_module_that_is_not_there_changes_nothing(
    pack: None, module: str, function: str
) -> None:
    with importing_without(module, function):
        assert importlib.import_module("quick_pack.beside").steps == ["beside"]


def test_other_imports_are_as_before_afterwards(pack: None) -> None:
    finders = list(sys.meta_path)
    with importing_without("quick_pack.writes", "step"):
        pass
    assert sys.meta_path == finders
    assert importlib.import_module("quick_pack.beside").steps == ["beside"]


def test_gradio_writes_no_stubs_when_the_application_imports_it() -> None:
    code = (
        "from annotator.web.app import import_pages; import_pages(); "
        "import gradio.component_meta as meta; print(meta.create_or_modify_pyi.__module__)"
    )
    command = [sys.executable, "-W", "ignore", "-c", code]
    result = subprocess.run(command, capture_output=True, text=True, check=True)
    assert result.stdout.strip() == "annotator.web.quick_import"
