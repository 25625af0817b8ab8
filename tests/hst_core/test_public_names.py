from __future__ import annotations

import subprocess
import sys

import pytest

import hst_core


@pytest.mark.parametrize("name", hst_core.__all__)
def test_every_public_name_can_be_had(name: str) -> None:
    assert getattr(hst_core, name).__name__ == name


def test_importing_the_package_does_not_import_torch() -> None:
    code = "import sys, hst_core, hst_core.cli; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0
