"""A small real workspace and a client on its application."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from fastapi.testclient import TestClient
from PIL import Image

from annotator.images import find_images, scan_images
from annotator.service import AnnotationService
from annotator.settings import Settings, Workspace
from annotator.web.app import create_app

NAMES = ("cup", "table", "car", "<img src=x onerror=alert(1)>")
WRITE = {"X-Annotator-Client": "test"}


@dataclass(frozen=True)
class Site:
    """An application, its service, and a client with a user."""

    workspace: Workspace
    service: AnnotationService
    client: TestClient
    user: int
    photos: Path


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """One application for all tests of a module: each works on its own pictures."""
    folder = tmp_path_factory.mktemp("site")
    photos = folder / "photos"
    photos.mkdir()
    for i in range(12):
        colour = (20 * i, 255 - 20 * i, 90)
        Image.new("RGB", (64, 48), colour).save(photos / f"{i:02}.jpg", "JPEG", comment=str(i))
    workspace = Workspace.create(folder / "work", Settings(name="Tests", feature_set="tiny"))
    with AnnotationService.create(workspace) as service:
        paths = find_images(photos)
        service.add_images(scan_images(paths, photos, workspace.thumbnail, workers=1))
        service.add_categories(NAMES)
        app = create_app(workspace, service, hosts={"testserver"})
        with TestClient(app, headers=WRITE, raise_server_exceptions=False) as client:
            user = client.post("/api/v1/users", json={"name": "ana"}).json()["id"]
            client.headers["X-Annotator-User"] = str(user)
            yield Site(workspace, service, client, user, photos)
