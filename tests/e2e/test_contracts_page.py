"""Automatic decisions from Progress by keyboard: look, propose, answer blind, apply, take back."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator

import numpy as np
import pytest
from browse_scores import add_version
from e2e_site import Site, in_both_themes, know_some, make_workspace, serving
from playwright.sync_api import Locator, Page, expect

from annotator.service import AnnotationService

pytestmark = pytest.mark.e2e

Save = Callable[[Page, str], None]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """With a model that is sure of most cells."""
    workspace = make_workspace(tmp_path_factory.mktemp("contracts"), 30)
    know_some(workspace, 0.1)
    with AnnotationService(workspace) as service:
        add_version(service, np.random.default_rng(2), spread=12)
    with serving(workspace) as site:
        yield site


@pytest.fixture
def page(server: Site, kept_page: Callable[[str], Page]) -> Page:
    return kept_page(server.address)


def card(page: Page) -> Locator:
    return page.locator("#annotator-contracts")


def press(page: Page, name: str | re.Pattern[str]) -> None:
    card(page).get_by_role("button", name=name).press("Enter")


def write(page: Page, label: str | re.Pattern[str], text: str) -> None:
    field = card(page).get_by_label(label)
    field.press("Control+a")
    field.press_sequentially(text)


def open_progress(page: Page) -> None:
    page.get_by_role("tab", name="Progress", exact=True).press("Enter")
    expect(page.get_by_role("heading", name="Automatic decisions")).to_be_visible()


def known(server: Site) -> int:
    with AnnotationService(server.workspace) as service:
        return service.status().known


def choose_accept(page: Page) -> None:
    kind = card(page).get_by_label("Promise", exact=True)
    kind.click()
    kind.fill("Accept")
    page.get_by_role("option", name="Accept").click()
    expect(kind).to_have_value("Accept: decide present")


def propose(page: Page) -> int:
    """Look at a promise that few answers prove and propose it; returns how many it asks."""
    choose_accept(page)
    write(page, "At most wrong or missed, %", "30")
    write(page, "Confidence, %", "60")
    press(page, "Show what it would ask")
    button = card(page).get_by_role("button", name=re.compile("^Propose: ask"))
    expect(button).to_be_visible()
    asked = int(re.findall(r"\d+", button.inner_text())[0])
    button.press("Enter")
    expect(card(page).get_by_label("What came of it")).to_have_value(re.compile("is proposed"))
    return asked


def answer_all_present(page: Page) -> None:
    """From where the proposal has left the focus."""
    answer = card(page).get_by_role("button", name="Answer blind questions")
    expect(answer).to_be_focused()
    page.keyboard.press("Enter")
    done = page.get_by_role("heading", name="No blind question waits")
    image = page.locator(".focus .stage img")
    expect(page.locator(".focus .panel h2", has_text="Asked, without a suggestion")).to_be_visible()
    while not done.is_visible():
        expect(image.or_(done)).to_be_visible()
        for number in range(page.locator(".focus .row[data-state='0']").count()):
            page.keyboard.press(str(number + 1))
        page.keyboard.press("Space")
        page.wait_for_timeout(50)


def apply(page: Page) -> int:
    """Type the number of cells and apply; returns the number."""
    open_progress(page)
    count = card(page).get_by_label(re.compile("^To apply it, type the number"))
    expect(count).to_be_visible()
    cells = int(re.findall(r"\d+", card(page).get_by_text("To apply it").inner_text())[0])
    press(page, "Apply")
    told = card(page).get_by_label("What came of it")
    expect(told).to_have_value(re.compile(rf"type {cells} to confirm"))
    count.press_sequentially(str(cells))
    press(page, "Apply")
    expect(told).to_have_value(re.compile(f"applied: {cells} cells decided"))
    return cells


def test_a_preview_says_what_would_be_asked_and_changes_nothing(
    server: Site, page: Page, picture_of: Save
) -> None:
    before = known(server)
    open_progress(page)
    expect(card(page).get_by_text("There is no contract yet.")).to_be_visible()
    expect(card(page).get_by_label("Promise", exact=True)).to_have_value(re.compile("^Finish"))
    choose_accept(page)
    press(page, "Show what it would ask")
    expect(card(page).get_by_label("Why not")).to_have_value(re.compile("label more first"))
    write(page, "At most wrong or missed, %", "30")
    write(page, "Confidence, %", "60")
    press(page, "Show what it would ask")
    expect(card(page).get_by_label("What it would ask", exact=True)).to_have_value(
        re.compile(r"^\d+ blind questions on \d+ pictures?, then up to \d+ cells")
    )
    expect(card(page).get_by_role("gridcell", name="plate")).to_be_visible()
    card(page).scroll_into_view_if_needed()
    in_both_themes(page, picture_of, "contract-preview")
    write(page, "Confidence, %", "61")  # what was shown is not what would be asked any more
    expect(card(page).get_by_role("button", name=re.compile("^Propose"))).to_have_count(0)
    assert known(server) == before


def test_a_contract_is_proved_applied_and_undone(server: Site, page: Page) -> None:
    open_progress(page)
    before = known(server)
    asked = propose(page)
    answer_all_present(page)
    cells = apply(page)
    assert known(server) == before + asked + cells
    page.get_by_role("tab", name="Data", exact=True).press("Enter")
    expect(page.get_by_label("Change", exact=True)).not_to_have_value("")  # the list is there
    page.get_by_role("button", name="Take it back").press("Enter")
    expect(page.get_by_label("What was taken back")).to_have_value(
        re.compile(f"^Taken back: {cells}")
    )
    assert known(server) == before + asked
    open_progress(page)
    expect(card(page).get_by_role("gridcell", name="undone", exact=True)).to_be_visible()


def test_a_contract_is_withdrawn_only_after_its_cells_are_counted(
    server: Site, page: Page, picture_of: Save
) -> None:
    open_progress(page)
    before = known(server)
    asked = propose(page)
    answer_all_present(page)
    cells = apply(page)
    press(page, "Withdraw …")
    warning = card(page).get_by_label("What withdrawing would do")
    expect(warning).to_have_value(
        re.compile(rf"^Contract \d+: {cells} cells would be unknown again")
    )
    in_both_themes(page, picture_of, "contract-withdraw")
    press(page, "Keep it")
    expect(warning).not_to_be_visible()
    assert known(server) == before + asked + cells
    press(page, "Withdraw …")
    press(page, f"Withdraw: make {cells} cells unknown")
    expect(card(page).get_by_role("gridcell", name="withdrawn", exact=True)).to_be_visible()
    assert known(server) == before + asked
