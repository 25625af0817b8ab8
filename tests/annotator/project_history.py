"""Random histories on a small project: what the state machines of several tests share."""

from __future__ import annotations

import shutil
import tempfile
from itertools import count
from pathlib import Path

from hypothesis import HealthCheck, settings
from hypothesis.stateful import RuleBasedStateMachine, initialize, run_state_machine_as_test
from label_project import Project, make_project


class ProjectHistory(RuleBasedStateMachine):
    """Begins with an empty project of its own and removes it at the end.

    Attributes:
        empty_labels: an empty label database to begin with.
        images: how many pictures there are.
    """

    empty_labels: Path
    images = 2

    def __init__(self) -> None:
        super().__init__()
        self.folder = Path(tempfile.mkdtemp(prefix="history"))
        self.keys = count()

    @initialize()
    def begin(self) -> None:
        self.project: Project = make_project(
            self.folder / "workspace", template=self.empty_labels, images=self.images
        )
        self.ids = {"ana": self.project.ana, "bo": self.project.bo}
        self.service = self.project.service

    def key(self) -> str:
        return f"request-{next(self.keys)}"

    def teardown(self) -> None:
        if hasattr(self, "project"):
            self.project.service.close()
        shutil.rmtree(self.folder, ignore_errors=True)


def play(machine: type[ProjectHistory], empty_labels: Path, *, histories: int, steps: int) -> None:
    """Run a state machine on copies of an empty label database."""
    begun = type(machine.__name__, (machine,), {"empty_labels": empty_labels})
    run_state_machine_as_test(
        begun,
        settings=settings(
            max_examples=histories,
            stateful_step_count=steps,
            suppress_health_check=list(HealthCheck),
        ),
    )
