"""The main job by keyboard: label, see the model learn, take its suggestion, undo, export."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from e2e_site import (
    KITCHEN,
    NAMES,
    Site,
    know_some,
    make_workspace,
    rest_absent,
    serving,
    true_labels,
)
from playwright.sync_api import Page, expect
from pycocotools.coco import COCO

from annotator.service import AnnotationService
from annotator.types import CellChange

pytestmark = pytest.mark.e2e

PICTURES = 80


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Site]:
    with serving(make_workspace(tmp_path, PICTURES), train=True) as site:
        yield site


def label_by_truth(page: Page, pictures: int) -> None:
    """Mark what is there by its digit, the rest absent with Enter, for some pictures."""
    truth = true_labels(PICTURES)
    for _ in range(pictures):
        name = page.locator(".focus .file").inner_text()
        present = truth[int(re.sub(r"\D", "", name))]
        rows = page.locator(".focus .row .head .name").all_inner_texts()
        for place, row in enumerate(rows, start=1):
            if present[NAMES.index(row)] > 0:
                page.keyboard.press(str(place))
        rest_absent(page)


def decide_as_colleague(server: Site, file_name: str, category: str) -> None:
    """Answer one cell rightly."""
    truth = int(true_labels(PICTURES)[int(re.sub(r"\D", "", file_name)), NAMES.index(category)])
    with AnnotationService(server.workspace) as service:
        (image,) = [ident for ident, name, _ in service.image_names() if name == file_name]
        (ident,) = [c.id for c in service.categories() if c.name == category]
        colleague = service.ensure_user("colleague")
        service.decide(colleague.id, [CellChange(image, ident, truth)], key="by-a-colleague")


def wait_for_version(server: Site, known_cells: int) -> int:
    """Number of the first model version that has learned from this many cells."""
    deadline = time.monotonic() + 180
    while time.monotonic() < deadline:
        with AnnotationService(server.workspace) as service:
            version = service.status().model_version
        if version is not None and version.metrics["known_cells"] >= known_cells:
            return version.id
        time.sleep(0.2)
    raise AssertionError("no model version came")


def test_a_person_labels_and_the_model_learns(
    server: Site,
    open_page: Callable[..., Page],
    picture_of: Callable[[Page, str], None],
    tmp_path: Path,
) -> None:
    page = open_page(server.address, user=None)

    # First visit: a name, nothing else, and the keyboard is in its field.
    expect(page.get_by_role("dialog")).to_be_visible()
    picture_of(page, "focus-first-visit")
    page.keyboard.type("ana")
    page.keyboard.press("Enter")
    expect(page.locator(".focus .row")).to_have_count(len(NAMES))
    expect(page.get_by_text("waiting: no labels yet")).to_be_visible(
        timeout=120_000
    )  # torch starts
    picture_of(page, "focus-nothing-known")

    # A few pictures by keyboard alone, and there is a model.
    label_by_truth(page, 4)
    model = page.locator(".status-chips span").first
    expect(model).to_have_text(re.compile(r"^Model \d+"), timeout=180_000)
    expect(page.get_by_text("All saved")).to_be_visible()

    # A colleague's labels arrive, and a version that learned from them: both are told, in either
    # order, and no row moves.
    page.keyboard.press("Space")
    names = page.locator(".focus .row .head .name")
    before = names.all_inner_texts()
    decide_as_colleague(server, page.locator(".focus .file").inner_text(), before[0])
    know_some(server.workspace, 0.4)
    expect(page.locator(".notice[data-kind=others]")).to_contain_text("colleague: ")
    versions = "|".join(str(wait_for_version(server, known_cells=200) + more) for more in range(9))
    ready = re.compile(f"^Model ({versions}) is ready: from the next picture on.$")
    expect(page.locator(".notice[data-kind=model]")).to_have_text(ready)
    both = re.compile(rf"^Model (\d+ here · )?({versions}) from the next picture$")
    expect(model).to_have_text(both)
    expect(page.locator(".notice[data-kind=others]")).to_contain_text("colleague: ")
    assert names.all_inner_texts()[: len(before)] == before
    picture_of(page, "focus-notices")

    # A suggestion with a reason that names a label of this picture.
    reason = page.locator(".focus .row", has_text=re.compile("with (plate|fork|knife|cup)"))
    for _ in range(PICTURES):
        if reason.count():
            break
        before_file = page.locator(".focus .file").inner_text()
        page.keyboard.press("Space")
        expect(page.locator(".focus .file")).not_to_have_text(before_file)
    row = reason.first
    name = row.locator(".head .name").inner_text()
    named = re.search("with (.+?)(;|$)", row.locator(".reason").inner_text())
    assert named is not None
    known = page.get_by_label("Present", exact=True).locator(".name").all_inner_texts()
    assert {label.strip() for label in named[1].split(",")} <= set(known)
    assert name in KITCHEN
    picture_of(page, "focus-suggestion-with-reason")

    # Accepted by its digit, undone by Backspace, accepted again.
    picture = page.locator(".focus .file").inner_text()
    digit = row.locator(".cap").inner_text()
    chip = page.get_by_role("button", name=f"{name}: present, change to absent")
    page.keyboard.press(digit)
    expect(chip).to_be_visible()
    page.keyboard.press("Space")
    page.keyboard.press("Backspace")
    expect(page.locator(".focus .file")).to_have_text(picture)
    expect(chip).to_have_count(0)
    page.keyboard.press(digit)
    expect(chip).to_be_visible()
    expect(page.get_by_text("All saved")).to_be_visible()

    # Export on the Data page, by keyboard too; pycocotools reads what was decided.
    page.get_by_role("tab", name="Data").focus()
    page.keyboard.press("Enter")
    make = page.get_by_role("button", name="Make the file")
    make.focus()
    page.keyboard.press("Enter")
    link = page.get_by_role("link", name="Download labels_coco.json")
    expect(link).to_be_visible()
    picture_of(page, "data-exported")
    with page.expect_download() as download:
        link.focus()
        page.keyboard.press("Enter")
    file = tmp_path / "labels.json"
    download.value.save_as(file)
    coco = COCO(str(file))
    (category,) = coco.getCatIds(catNms=[name])
    (image,) = [i["id"] for i in coco.loadImgs(coco.getImgIds()) if i["file_name"] == picture]
    assert image in coco.getImgIds(catIds=[category])
    with AnnotationService(server.workspace) as service:
        counts = {c.id: c.present for c in service.categories()}
    assert {c: len(coco.getAnnIds(catIds=[c])) for c in coco.getCatIds()} == counts
    page.get_by_role("tab", name="Model").click()
    expect(page.get_by_role("gridcell", name=re.compile("known cells of"))).to_be_visible()
    picture_of(page, "model")
