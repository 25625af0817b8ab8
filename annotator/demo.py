"""The demo workspace: drawn pictures with a part of their cells known."""

from __future__ import annotations

import json
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from annotator import scenes
from annotator.errors import InvalidInput, WorkspaceError
from annotator.exchange import import_labels
from annotator.formats.table import LabelTable
from annotator.images import scan_images
from annotator.service import AnnotationService
from annotator.settings import SETTINGS_FILE, Settings, Workspace
from hst_core.files import write_atomically

MARK = "demo.json"
SHARE_WHOLE = 0.8  # of the known cells that lie in pictures known altogether
FEW_IMAGES = 2_000  # up to which pictures are drawn large; more of them are drawn fast
LARGE_PICTURES = (640, 480)
PICTURES = "pictures"

Stage = Callable[[str], AbstractContextManager[Callable[[int, int], None]]]
"""Given what is done, shows how many (done, total)."""


@dataclass(frozen=True, kw_only=True)
class Demo:
    """What the demo consists of.

    Attributes:
        images: number of pictures.
        seed: another seed, other pictures.
        known: share of cells known at the start, 0-1, chosen at random.
        feature_set: as in `Settings`.
    """

    images: int = 400
    seed: int = 0
    known: float = 0.1
    feature_set: str = "fast"

    def __post_init__(self) -> None:
        """Check every value.

        Raises:
            InvalidInput: naming the value and what was expected.
        """
        if self.images < 1:
            raise InvalidInput(f"images must be 1 or more, got {self.images}")
        if not 0 <= self.known <= 1:
            raise InvalidInput(f"known must be from 0 to 1, got {self.known} (0.1 is 10 %)")
        Settings(feature_set=self.feature_set, seed=self.seed)


def existing_demo(folder: Path) -> Demo | None:
    """What the demo in this folder consists of, finished or not; None if there is none.

    Raises:
        WorkspaceError: if the folder is a workspace of another kind.
    """
    try:
        content = json.loads((folder / MARK).read_text(encoding="utf-8"))
        return Demo(**{name: content[name] for name in asdict(Demo())})
    except FileNotFoundError:
        if (folder / SETTINGS_FILE).exists():
            raise WorkspaceError(
                f"{folder} is a workspace, but not of the demo (open it with "
                f"`annotator serve --workspace {folder}`, or name another folder for the demo)"
            ) from None
        return None
    except (OSError, ValueError, KeyError) as error:
        raise WorkspaceError(f"{folder / MARK} cannot be read: {error} (remove it)") from None


def make_demo(folder: Path, demo: Demo, stage: Stage) -> Workspace:
    """Make the demo workspace, or what is missing of it after an interruption.

    Args:
        folder: of the workspace; pictures go into a subfolder.
        demo: what it consists of.
        stage: shows progress.

    Raises:
        WorkspaceError: if the folder has a demo of another kind, or another workspace.
    """
    folder = folder.expanduser().resolve()
    there = existing_demo(folder)
    if there not in (None, demo):
        raise WorkspaceError(
            f"the demo in {folder} is another one: {_words(there)}, asked for {_words(demo)} "
            "(name another folder with --workspace, or remove that one)"
        )
    if there is not None and _is_done(folder):
        return Workspace.open(folder)
    folder.mkdir(parents=True, exist_ok=True)
    _mark(folder, demo, done=False)
    with stage("drawing pictures") as progress:
        size = LARGE_PICTURES if demo.images <= FEW_IMAGES else scenes.SIZE
        paths, labels = scenes.draw_folder(
            folder / PICTURES, demo.images, demo.seed, size=size, progress=progress
        )
    if (folder / SETTINGS_FILE).exists():
        workspace = Workspace.open(folder)
    else:
        settings = Settings(name="Demo", feature_set=demo.feature_set, seed=demo.seed)
        workspace = Workspace.create(folder, settings)
    with AnnotationService.create(workspace) as service:
        service.add_categories(scenes.CATEGORIES)
        with stage("adding pictures") as progress:
            service.add_images(
                scan_images(paths, folder / PICTURES, workspace.thumbnail, progress=progress)
            )
        chosen = known_cells(labels.shape, demo.known, demo.seed)
        table = LabelTable(
            [path.name for path in paths], scenes.CATEGORIES, np.where(chosen, labels, 0)
        )
        with stage("deciding the first cells") as progress:
            import_labels(service, table, skip_missing=True, progress=progress)
    _mark(folder, demo, done=True)
    return workspace


def known_cells(shape: tuple[int, int], known: float, seed: int) -> NDArray[np.bool_]:
    """Choose the cells that are known at the start, about a share ``known`` of them.

    Some pictures are known altogether, as after somebody went through them, and the rest is
    scattered: only labels known side by side can teach which go together.
    """
    random = np.random.default_rng(seed)
    whole = random.random((shape[0], 1)) < SHARE_WHOLE * known
    # A cell outside the whole pictures is known with what is then missing to the share.
    scattered = random.random(shape) < known * (1 - SHARE_WHOLE) / (1 - SHARE_WHOLE * known)
    return whole | scattered


def _words(demo: Demo | None) -> str:
    return ", ".join(f"{name} {value}" for name, value in asdict(demo or Demo()).items())


def _mark(folder: Path, demo: Demo, *, done: bool) -> None:
    write_atomically(folder / MARK, json.dumps(asdict(demo) | {"done": done}).encode())


def _is_done(folder: Path) -> bool:
    return bool(json.loads((folder / MARK).read_text(encoding="utf-8")).get("done"))
