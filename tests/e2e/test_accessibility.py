"""axe-core over every page in both themes: no serious or critical violation."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import axe_playwright_python
import pytest
from e2e_site import NAMES, Server, know_some, make_workspace
from playwright.sync_api import Page, expect

from annotator.service import AnnotationService
from annotator.training.worker import run_once
from annotator.types import CellChange

pytestmark = pytest.mark.e2e

AXE = Path(axe_playwright_python.__file__).with_name("axe.min.js")
PAGES = ("Focus", "Sweep", "Browse", "Progress", "Model", "Data")

OpenPage = Callable[..., Page]
Save = Callable[[Page, str], None]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """With a model, decisions of two people and a change, so that every page is full."""
    workspace = make_workspace(tmp_path_factory.mktemp("axe"), 24)
    know_some(workspace, 0.4)
    run_once(workspace)
    with AnnotationService(workspace) as service:
        version = service.status().model_version
        assert version is not None
        for number, name in enumerate(("ana", "<b>bo</b>")):
            user = service.ensure_user(name)
            cells = [CellChange(image, 1 + number, 1) for image in range(1, 9)]
            service.decide(user.id, cells, key=f"axe-{number}-key", model_version_id=version.id)
        service.category_changes.rename(1, len(NAMES), NAMES[-1] + "&", key="axe-rename")
    run_once(workspace)
    server = Server(workspace)
    server.start()
    yield server
    server.stop()


def violations(page: Page, rules: list[str] | None) -> list[str]:
    """Serious and critical ones of some rules or of all, each with its first elements."""
    if not page.evaluate("typeof axe !== 'undefined'"):
        page.add_script_tag(path=AXE)
    options = {"resultTypes": ["violations"]} | ({"runOnly": rules} if rules else {})
    found: dict[str, Any] = page.evaluate("options => axe.run(document, options)", options)
    assert len(found["passes"]) >= (len(rules) if rules else 10)  # it has really looked
    return [
        f"{one['id']}: "
        + json.dumps([[n["target"], n.get("failureSummary", "")[:160]] for n in one["nodes"][:4]])
        for one in found["violations"]
        if one["impact"] in ("serious", "critical")
    ]


def ready(page: Page, name: str) -> None:
    """Wait until the page shows what it is about."""
    if name == "Progress":
        expect(page.locator(".js-plotly-plot .legendtext").first).to_be_visible()
    elif name == "Model":
        expect(page.get_by_role("heading", name="Versions")).to_be_visible()
    elif name == "Data":
        expect(page.get_by_role("gridcell", name="plate", exact=True)).to_be_visible()
    page.wait_for_timeout(500)


# The themes differ in nothing but colours, so one of them is enough for every other rule.
@pytest.mark.parametrize(("scheme", "rules"), [("light", None), ("dark", ["color-contrast"])])
def test_no_page_has_a_serious_violation(
    server: Server, open_page: OpenPage, picture_of: Save, scheme: str, rules: list[str] | None
) -> None:
    page = open_page(server.address, scheme=scheme)
    expect(page.locator(".focus .stage img")).to_be_visible()
    found = {}
    for name in PAGES:
        page.get_by_role("tab", name=name, exact=True).click()
        ready(page, name)
        found[name] = violations(page, rules)
        picture_of(page, f"{name.lower()}-page-{scheme}")
    assert {name: some for name, some in found.items() if some} == {}
