"""The demo workspace: made once, taken up after an interruption, never mixed with another."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from annotator.demo import Demo, existing_demo, known_cells, make_demo
from annotator.errors import InvalidInput, WorkspaceError
from annotator.service import AnnotationService
from annotator.settings import Workspace

SMALL = Demo(images=6, seed=3, known=0.5, feature_set="tiny")
STAGES = ["drawing pictures", "adding pictures", "deciding the first cells"]


@contextmanager
def quiet(what: str) -> Iterator[Callable[[int, int], None]]:
    yield lambda done, total: None


def test_pictures_categories_and_some_cells_are_there(tmp_path: Path) -> None:
    workspace = make_demo(tmp_path / "demo", SMALL, quiet)
    assert workspace.settings.feature_set == "tiny"
    with AnnotationService(workspace) as service:
        status = service.status()
        assert status.images == 6
        assert 0.3 < status.known / status.cells < 0.7
        assert 0 < status.present < status.absent
        # Copying the folder moves the demo, pictures and all.
        assert {path for _, _, path in service.image_names()} == {
            f"pictures/scene-3-{number:06}.jpg" for number in range(6)
        }


def test_a_second_call_opens_what_is_there(tmp_path: Path) -> None:
    make_demo(tmp_path, SMALL, quiet)
    asked: list[str] = []

    @contextmanager
    def stage(what: str) -> Iterator[Callable[[int, int], None]]:
        asked.append(what)
        yield lambda done, total: None

    make_demo(tmp_path, SMALL, stage)
    assert asked == []
    assert existing_demo(tmp_path) == SMALL


@pytest.mark.parametrize("interrupted", STAGES)
def test_an_interrupted_demo_is_completed(tmp_path: Path, interrupted: str) -> None:
    @contextmanager
    def stage(what: str) -> Iterator[Callable[[int, int], None]]:
        if what == interrupted:
            raise KeyboardInterrupt
        yield lambda done, total: None

    with pytest.raises(KeyboardInterrupt):
        make_demo(tmp_path / "a", SMALL, stage)
    first, second = (make_demo(tmp_path / name, SMALL, quiet) for name in "ab")
    with AnnotationService(first) as one, AnnotationService(second) as other:
        assert one.status().known == other.status().known > 0


def test_another_demo_in_the_same_folder_is_refused(tmp_path: Path) -> None:
    make_demo(tmp_path, SMALL, quiet)
    other = Demo(images=7, seed=3, known=0.5, feature_set="tiny")
    with pytest.raises(WorkspaceError, match=r"images 6, seed 3.* asked for images 7"):
        make_demo(tmp_path, other, quiet)


def test_a_workspace_of_somebody_is_not_touched(tmp_path: Path) -> None:
    Workspace.create(tmp_path)
    with pytest.raises(WorkspaceError, match="but not of the demo"):
        make_demo(tmp_path, SMALL, quiet)
    assert not (tmp_path / "pictures").exists()


def test_wrong_values_are_named() -> None:
    with pytest.raises(InvalidInput, match="images must be 1 or more, got 0"):
        Demo(images=0)
    with pytest.raises(InvalidInput, match=r"known must be from 0 to 1, got 10 \(0\.1 is 10 %\)"):
        Demo(known=10)


@pytest.mark.parametrize("known", [0.0, 0.1, 0.5, 1.0])
def test_about_the_asked_share_of_cells_is_known_most_of_it_side_by_side(known: float) -> None:
    chosen = known_cells((4_000, 20), known, seed=1)
    assert chosen.mean() == pytest.approx(known, abs=0.03)
    assert chosen.all(axis=1).mean() >= 0.7 * known
