"""Progress, Model and Data in a browser: charts, category changes, import, export, states."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from e2e_site import HOSTILE, NAMES, Server, know_some, make_workspace
from playwright.sync_api import Page, expect

from annotator.db import model_work
from annotator.service import AnnotationService

pytestmark = pytest.mark.e2e

OpenPage = Callable[..., Page]
Save = Callable[[Page, str], None]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """Without a trainer; some cells known by a colleague's import."""
    workspace = make_workspace(tmp_path_factory.mktemp("pages"), 12)
    know_some(workspace, 0.4)
    server = Server(workspace)
    server.start()
    yield server
    server.stop()


@pytest.fixture
def at(server: Server, open_page: OpenPage) -> Callable[[str], Page]:
    def go(name: str) -> Page:
        page = open_page(server.address)
        expect(page.locator(".focus .stage img")).to_be_visible()
        page.get_by_role("tab", name=name, exact=True).click()
        return page

    return go


def choose(page: Page, label: str, option: str) -> None:
    """Choose from a list by typing, as somebody without a mouse does."""
    box = page.get_by_label(label, exact=True)
    box.click()
    box.fill(option)
    page.get_by_role("option", name=option).first.click()


def categories(server: Server) -> list[str]:
    with AnnotationService(server.workspace) as service:
        return [category.name for category in service.categories()]


def test_progress_says_and_draws_and_names_are_text(at: Callable[[str], Page]) -> None:
    page = at("Progress")
    expect(page.locator(".summary p")).to_contain_text("of 96 cells known")
    labels = page.locator(".js-plotly-plot .ytick text")
    expect(labels.filter(has_text="<img src=x onerr").first).to_be_visible()
    assert page.evaluate("document.querySelectorAll('img[src=x]').length") == 0
    page.get_by_label("Only names with").fill("knif")
    expect(page.locator(".js-plotly-plot .ytick text", has_text="road")).to_have_count(0)
    expect(page.get_by_label("Next worth doing")).to_have_value(re.compile("^Next: Find \u201c"))
    page.get_by_text("By person").click()
    expect(page.locator(".js-plotly-plot .legendtext", has_text="colleague")).to_be_visible()
    promise = page.get_by_label("Promise")
    promise.focus()
    expect(promise).to_have_attribute("aria-expanded", "true")
    page.keyboard.press("Tab")  # leaves no list open behind it
    expect(page.get_by_label("At most wrong or missed, %")).to_be_focused()
    expect(promise).to_have_attribute("aria-expanded", "false")
    page.get_by_role("button", name="Look for it on Browse").click()
    expect(page.locator(".browse .conditions .words")).to_have_text(re.compile(" unknown$"))


def test_the_model_page_tells_what_is_missing(
    server: Server, at: Callable[[str], Page], picture_of: Save
) -> None:
    page = at("Model")
    expect(page.get_by_role("heading", name="The trainer has not run yet")).to_be_visible()
    expect(page.get_by_text("annotator train learns once")).to_be_visible()
    picture_of(page, "model-not-run")
    now = datetime.now(UTC)
    with AnnotationService(server.workspace) as service, service.database.writing() as connection:
        model_work.add_job(
            connection, kind="worker", status="failed", config={}, created_at=now, finished_at=now,
            reason=f"OSError: no space left for {HOSTILE}",
        )  # fmt: skip
    (server.workspace.path / "worker.log").write_text(f"Traceback\nOSError: {HOSTILE}\n")
    expect(page.get_by_role("heading", name="Training failed")).to_be_visible()
    expect(page.get_by_label("What the trainer does")).to_have_value(
        f"OSError: no space left for {HOSTILE}. "
    )
    page.get_by_role("button", name="Log of the trainer").click()
    expect(page.get_by_label("Log of the trainer").last).to_have_value(
        f"Traceback\nOSError: {HOSTILE}"
    )
    picture_of(page, "model-failed")
    assert page.evaluate("document.querySelectorAll('img[src=x]').length") == 0


def test_a_merge_is_previewed_done_and_taken_back(
    server: Server, at: Callable[[str], Page], picture_of: Save
) -> None:
    page = at("Data")
    choose(page, "Change a category", "cup")
    page.get_by_label("Merge", exact=True).check()
    choose(page, "Merge into", "plate")
    expect(page.get_by_label("What it would do")).to_be_visible()
    expect(page.get_by_role("radio", name="Stays as it is in the other category")).to_be_visible()
    picture_of(page, "data-merge")
    page.get_by_role("button", name="Merge", exact=True).click()
    expect(page.get_by_role("gridcell", name="Merged \u201ccup\u201d")).to_be_visible()
    assert "cup" not in categories(server)
    page.get_by_role("button", name="Take it back").click()
    expect(page.get_by_role("gridcell", name="taken back")).to_be_visible()
    assert categories(server) == list(NAMES)


def test_deleting_tells_the_counts_first(server: Server, at: Callable[[str], Page]) -> None:
    page = at("Data")
    choose(page, "Change a category", "road")
    page.get_by_label("Delete", exact=True).check()
    told = re.compile(r"^\d+ known cells will be unknown: \d+ present, \d+ absent")
    expect(page.get_by_label("What it would do")).to_have_value(told)
    page.get_by_role("button", name="Delete", exact=True).click()
    expect(page.get_by_role("gridcell", name="Deleted \u201croad\u201d")).to_be_visible()
    page.get_by_role("button", name="Take it back").click()
    expect(page.get_by_role("gridcell", name="road", exact=True)).to_be_visible()
    assert categories(server) == list(NAMES)


def test_a_file_is_asked_about_previewed_and_imported(
    server: Server, at: Callable[[str], Page], tmp_path: Path, picture_of: Save
) -> None:
    names = [f"picture-{i:03}.jpg" for i in range(3)]
    content = {
        "images": [{"id": i, "file_name": name} for i, name in enumerate(names)],
        "annotations": [{"id": 1, "image_id": 0, "category_id": 1}],
        "categories": [{"id": 1, "name": "spoon"}],
    }  # fmt: skip
    file = tmp_path / "labels.json"
    file.write_text(json.dumps(content))
    page = at("Data")
    page.locator("#annotator-import input[type=file]").set_input_files(file)
    check = page.get_by_role("button", name="Check the file")
    check.click()
    report = page.get_by_label("What the file says")
    expect(report).to_have_value("say first what it means if the file does not list a category")
    page.get_by_label("Absent: every picture was searched for every category").first.check()
    check.click()
    expect(page.get_by_role("checkbox", name="Add the new categories")).to_be_visible()
    picture_of(page, "data-import")
    page.get_by_role("checkbox", name="Add the new categories").check()
    page.get_by_role("button", name="Import", exact=True).click()
    expect(page.get_by_role("heading", name="Importing: done")).to_be_visible()
    with AnnotationService(server.workspace) as service:
        spoon = service.categories()[-1]
        assert (spoon.name, spoon.present, spoon.absent) == ("spoon", 1, 2)


def test_labels_and_a_backup_are_made_and_fetched(
    at: Callable[[str], Page], picture_of: Save
) -> None:
    page = at("Data")
    for button, title in (("Make the file", "Exporting"), ("Make a backup", "Backing up")):
        page.get_by_role("button", name=button).click()
        expect(page.get_by_role("heading", name=f"{title}: done")).to_be_visible()
        with page.expect_download() as download:
            page.locator(".download a").click()
        assert download.value.path().stat().st_size > 500
    picture_of(page, "data-backup")


def test_the_first_run_says_what_to_do(
    tmp_path: Path, open_page: OpenPage, picture_of: Save
) -> None:
    server = Server(make_workspace(tmp_path, 0))
    server.start()
    try:
        page = open_page(server.address)
        page.get_by_role("tab", name="Progress").click()
        expect(page.locator(".summary p")).to_contain_text("There are no pictures yet.")
        expect(page.get_by_text("Nothing is known yet.")).to_be_visible()
        picture_of(page, "progress-first-run")
        page.get_by_role("tab", name="Model").click()
        expect(page.get_by_role("heading", name="No pictures yet").last).to_be_visible()
        picture_of(page, "model-first-run")
    finally:
        server.stop()
