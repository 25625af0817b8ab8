"""Fixtures shared by all tests."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from annotator.training.supervisor import PATIENT_THREADS

# Before torch is imported: on a busy machine the suite would take several times as long.
os.environ.update(PATIENT_THREADS | os.environ)

# How long an example takes says how busy the machine is, and nothing about the code.
settings.register_profile(
    "any machine", deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("any machine")

SHARED = Path(__file__).resolve().parent.parent.parent / "shared" / "data"


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """Folder of real photographs and label matrices beside the checkout."""
    if not SHARED.is_dir():
        pytest.skip(f"reference data not found at {SHARED.parent.name}/{SHARED.name}")
    return SHARED
