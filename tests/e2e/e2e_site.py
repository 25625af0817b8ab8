"""Servers, as a thread or as a process of its own, and small workspaces to serve."""

from __future__ import annotations

import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import uvicorn
from PIL import Image
from playwright.sync_api import Page, expect

from annotator.images import find_images, scan_images
from annotator.service import AnnotationService
from annotator.settings import Settings, Workspace
from annotator.training.supervisor import Supervisor
from annotator.types import CellBatch
from annotator.web.app import create_app

ARTIFACTS = Path(__file__).parents[2] / "artifacts"
HOSTILE = "<img src=x onerror=\"document.title='owned'\">"
KITCHEN = ("plate", "fork", "knife", "cup")
STREET = ("car", "road", "dog", HOSTILE)
NAMES = (*KITCHEN, *STREET)

_SERVE = """
import sys
from pathlib import Path
from annotator.settings import Workspace
from annotator.web.app import run_server
run_server(Workspace.open(Path(sys.argv[1])), port=int(sys.argv[2]), train=False)
"""


def draw_pictures(folder: Path, count: int, seed: int = 0) -> list[Path]:
    """Coloured noise: nothing to be seen in it, so that only other labels tell about a label."""
    folder.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(seed)
    paths = []
    for index in range(count):
        small = rng.integers(0, 255, (6, 8, 3), dtype=np.uint8)
        path = folder / f"picture-{index:03}.jpg"
        Image.fromarray(small).resize((320, 240), Image.Resampling.BICUBIC).save(path)
        paths.append(path)
    return paths


def true_labels(count: int, seed: int = 0) -> np.ndarray:
    """[count, 8] of 1 and -1: a kitchen shows kitchen things and a street street things."""
    rng = np.random.default_rng(seed)
    kitchen = rng.random(count) < 0.5
    likely = np.where(kitchen[:, None], [0.9] * 4 + [0.04] * 4, [0.04] * 4 + [0.9] * 4)
    return np.where(rng.random((count, 8)) < likely, 1, -1).astype(np.int8)


def make_workspace(folder: Path, pictures: int, names: tuple[str, ...] = NAMES) -> Workspace:
    """A workspace without labels on drawn pictures."""
    settings = Settings(name="Kitchen photos", feature_set="tiny", device="cpu")
    workspace = Workspace.create(folder / "work", settings)
    with AnnotationService.create(workspace) as service:
        service.add_categories(names)
    if pictures:
        add_pictures(workspace, pictures)
    return workspace


def add_pictures(workspace: Workspace, count: int) -> None:
    """Draw pictures beside a workspace, and take in what lies there."""
    photos = workspace.path.parent / "photos"
    draw_pictures(photos, count)
    with AnnotationService(workspace) as service:
        found = find_images(photos)
        service.add_images(scan_images(found, photos, workspace.thumbnail, workers=1))


def know_some(workspace: Workspace, share: float, seed: int = 1) -> None:
    """Decide a share of the cells rightly, as a colleague's import would."""
    with AnnotationService(workspace) as service:
        pictures = sorted(service.image_names(), key=lambda row: row[1])
        columns = {category.name: category.id for category in service.categories()}
        truth = true_labels(len(pictures))
        chosen = np.random.default_rng(seed).random(truth.shape) < share
        cells = [
            (pictures[row][0], columns[NAMES[column]], int(truth[row, column]))
            for row, column in zip(*np.nonzero(chosen), strict=True)
        ]
        colleague = service.ensure_user("colleague")
        service.import_decisions([CellBatch.of(cells)], user_id=colleague.id)


def in_both_themes(page: Page, save: Callable[[Page, str], None], name: str) -> None:
    """Pictures of a page as it is, `name-light` and `name-dark`."""
    for scheme in ("dark", "light"):
        page.emulate_media(color_scheme=scheme)
        save(page, f"{name}-{scheme}")


def next_picture(page: Page) -> Page:
    """Focus with the next picture of its queue, however the page was left."""
    tab = page.get_by_role("tab", name="Focus", exact=True)
    if tab.get_attribute("aria-selected") != "true":
        tab.click()
    file = page.locator(".focus .file")
    expect(file).not_to_be_empty()
    before = file.inner_text()
    page.evaluate("document.activeElement.blur()")
    page.keyboard.press("Space")
    expect(file).not_to_have_text(before)
    expect(page.locator(".focus .stage img")).to_be_visible()
    return page


def rest_absent(page: Page) -> None:
    """Press Enter until it counts: it wants the picture to have been on screen for a moment."""
    file = page.locator(".focus .file")
    expect(file).not_to_be_empty()
    name = file.inner_text()
    while file.inner_text() == name:
        page.keyboard.press("Enter")
        page.wait_for_timeout(30)


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


@dataclass(frozen=True)
class Site:
    """What is served, and where."""

    workspace: Workspace
    address: str


@contextmanager
def serving(workspace: Workspace, train: bool = False) -> Iterator[Site]:
    """Serve from a thread of this process, which is much quicker than to start another one."""
    port = free_port()
    with ExitStack() as stack:
        service = stack.enter_context(AnnotationService(workspace))
        trainer = "not run by this server"
        if train:
            stack.enter_context(Supervisor(workspace.path, on_death=service.worker_died))
            trainer = "running"
        config = uvicorn.Config(
            create_app(workspace, service, trainer=lambda: trainer),
            port=port,
            log_level="warning",
            timeout_graceful_shutdown=1,
        )
        server = uvicorn.Server(config)
        thread = threading.Thread(target=server.run, name="server")
        thread.start()
        try:
            while not server.started:
                assert thread.is_alive(), "the server ended"
                time.sleep(0.01)
            yield Site(workspace, f"http://127.0.0.1:{port}")
        finally:
            server.should_exit = True
            thread.join(30)


@dataclass
class Server:
    """`run_server` in a process of its own, which can be killed and started again."""

    workspace: Workspace
    port: int = field(default_factory=free_port)
    process: subprocess.Popen[bytes] | None = None

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def start(self, wait: bool = True) -> None:
        command = [sys.executable, "-c", _SERVE, str(self.workspace.path), str(self.port)]
        self.process = subprocess.Popen(command)
        while wait and not self.answers():
            assert self.process.poll() is None, "the server ended"
            time.sleep(0.1)

    def answers(self) -> bool:
        try:
            with urllib.request.urlopen(f"{self.address}/api/v1/status", timeout=5):
                return True
        except (urllib.error.URLError, OSError):
            return False

    def kill(self) -> None:
        """SIGKILL: nothing can be written any more."""
        self._end(signal.SIGKILL)

    def stop(self) -> None:
        self._end(signal.SIGTERM)

    def _end(self, how: signal.Signals) -> None:
        if self.process is not None and self.process.poll() is None:
            self.process.send_signal(how)
            self.process.wait(30)
        self.process = None
