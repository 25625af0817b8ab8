"""The Browse page: filter, select, decide many, undo; near-duplicates; hostile names."""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable, Iterator

import numpy as np
import pytest
from browse_scores import add_version
from e2e_site import HOSTILE, KITCHEN, Site, in_both_themes, know_some, make_workspace, serving
from playwright.sync_api import Locator, Page, expect

from annotator.images import scan_image
from annotator.service import AnnotationService
from annotator.types import CellChange

pytestmark = pytest.mark.e2e

OpenPage = Callable[..., Page]
Save = Callable[[Page, str], None]
PICTURES = 60
HOSTILE_FILE = "<img src=x onerror=\"document.title='owned'\">.jpg"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """Without a trainer; a first model version is there, some labels are known."""
    folder = tmp_path_factory.mktemp("browse")
    workspace = make_workspace(folder, PICTURES - 1)
    know_some(workspace, 0.3)
    hostile = folder / "photos" / HOSTILE_FILE
    shutil.copy(folder / "photos" / "picture-000.jpg", hostile)
    with hostile.open("ab") as file:
        file.write(b"another content")
    with AnnotationService(workspace) as service:
        scanned = scan_image(hostile, folder / "photos", workspace.thumbnail)
        service.add_images([scanned])
        add_version(service, np.random.default_rng(0))
    with serving(workspace) as site:
        yield site


@pytest.fixture
def browse(server: Site, kept_page: Callable[[str], Page]) -> Page:
    """The page with all pictures in their first order, however the test before has left it."""
    page = kept_page(server.address)
    page.get_by_role("tab", name="Browse").click()
    page.evaluate("document.activeElement.blur()")
    for _ in range(2):  # a card or a picture that is open, then what is selected
        page.keyboard.press("Escape")
    opened(page)
    if page.locator(".browse .conditions li").count():
        page.get_by_role("button", name="Clear", exact=True).first.click()
    page.get_by_label("Order").select_option("oldest first")
    expect(counted(page)).to_have_text(f"{PICTURES} pictures")
    settled(page)
    tiles(page).first.focus()
    return page


def settled(page: Page) -> None:
    """The list in sight is the one asked for, and its tiles have come."""
    expect(page.get_by_role("grid", name="Pictures")).to_have_attribute("aria-busy", "false")
    expect(tiles(page).first).to_have_attribute("aria-label", re.compile("cells known"))


def opened(page: Page) -> Page:
    page.get_by_role("tab", name="Browse").click()
    expect(tiles(page).first).to_be_visible()
    # Alone from its address, or out of an answer for many.
    source = re.compile("thumbnail|^data:image/jpeg")
    expect(tiles(page).first.locator("img")).to_have_attribute("src", source)
    return page


def tiles(page: Page) -> Locator:
    return page.locator(".browse .tile")


def counted(page: Page) -> Locator:
    return page.locator(".browse .counted")


def states(server: Site, name: str) -> dict[str, int]:
    """Known states of a category by file name."""
    with AnnotationService(server.workspace) as service, service.export() as export:
        (category,) = [c.id for c in export.categories if c.name == name]
        found = {}
        for image in export.images():
            for ident, state in zip(image.category_ids, image.states, strict=True):
                if ident == category:
                    found[image.image.file_name] = int(state)
        return found


def test_many_cells_are_decided_and_taken_back_by_keyboard(
    browse: Page, server: Site, picture_of: Save
) -> None:
    before = states(server, "cup")
    expect(counted(browse)).to_have_text(f"{PICTURES} pictures")
    browse.keyboard.press("n")
    editor = browse.get_by_role("form", name="Filter")
    editor.get_by_label("category", exact=True).select_option("cup")
    editor.get_by_label("unknown").press("Enter")
    expect(counted(browse)).to_have_text(f"{PICTURES - len(before)} of {PICTURES} pictures")
    browse.keyboard.press("Control+a")
    expect(browse.get_by_role("region", name="Selection")).to_contain_text("selected")
    picture_of(browse, "browse-selected")
    browse.keyboard.press("p")
    card = browse.get_by_role("dialog")
    expect(card).to_contain_text(f"Sets {PICTURES - len(before)} unknown cells.")
    picture_of(browse, "browse-bulk")
    browse.keyboard.press("Enter")
    expect(browse.get_by_text(f"{PICTURES - len(before)} cells set.")).to_be_visible()
    assert len(states(server, "cup")) == PICTURES
    expect(browse.get_by_text("The filter finds 0 pictures now")).to_be_visible()
    expect(tiles(browse).first.locator(".mark")).to_have_text("present")
    picture_of(browse, "browse-decided")
    browse.keyboard.press("Backspace")
    expect(browse.get_by_text(re.compile("Taken back"))).to_be_visible()
    assert states(server, "cup") == before
    expect(tiles(browse).first.locator(".mark")).to_have_text("")
    # The filter outlives the page, and the address alone brings it back.
    browse.reload()
    expect(counted(browse)).to_have_text(f"{PICTURES - len(before)} of {PICTURES} pictures")


def test_known_cells_are_counted_and_kept_or_changed_as_chosen(
    browse: Page, server: Site, picture_of: Save
) -> None:
    known = list(states(server, "fork").values())
    browse.get_by_label("Labels of").select_option("fork")
    tiles(browse).first.click()
    browse.keyboard.press("Control+a")
    browse.keyboard.press("a")
    card = browse.get_by_role("dialog")
    expect(card).to_contain_text(f"Sets {PICTURES - len(known)} unknown cells.")
    expect(card).to_contain_text(f"{known.count(1)} cells are present:")
    card.get_by_label("change them too").check()
    expect(card).to_contain_text(f"Overwrites {known.count(1)} cells now present.")
    expect(
        card.get_by_role("button", name=f"Set {PICTURES - known.count(-1)} cells")
    ).to_be_enabled()
    picture_of(browse, "browse-bulk-overwrite")
    browse.keyboard.press("Escape")
    assert list(states(server, "fork").values()) == known


def test_somebody_who_changes_a_cell_meanwhile_stops_a_bulk_decision(
    browse: Page, server: Site
) -> None:
    browse.get_by_label("Labels of").select_option("knife")
    tiles(browse).first.click()
    browse.keyboard.press("Control+a")
    browse.keyboard.press("p")
    card = browse.get_by_role("dialog")
    expect(card.get_by_role("button", name=re.compile(r"^Set \d"))).to_be_enabled()
    before = states(server, "knife")
    with AnnotationService(server.workspace) as service:
        (category,) = [c.id for c in service.categories() if c.name == "knife"]
        free = next(i for i, name, _ in service.image_names() if name not in before)
        ben = service.ensure_user("ben")
        service.decide(ben.id, [CellChange(free, category, -1)], key="ben-was-quicker")
    browse.keyboard.press("Enter")
    expect(card.get_by_role("alert")).to_contain_text("nothing was changed")
    assert len(states(server, "knife")) == len(before) + 1
    # It has counted anew, and can be confirmed now.
    expect(card.get_by_role("button", name=re.compile(r"^Set \d"))).to_be_enabled()
    browse.keyboard.press("Escape")


def test_a_picture_opens_with_its_cells_and_their_makers(browse: Page, picture_of: Save) -> None:
    tiles(browse).first.click()
    browse.keyboard.press("ArrowRight")
    browse.keyboard.press("Enter")
    panel = browse.get_by_role("region", name="Picture")
    expect(panel.get_by_role("heading", level=2)).to_have_text("picture-001.jpg")
    expect(panel.locator(".cells .from", has_text="colleague · Import").first).to_be_visible()
    expect(panel.get_by_text("Similar pictures", exact=True)).to_be_visible()
    expect(panel.locator(".similar img").first).to_be_visible()
    picture_of(browse, "browse-picture")
    browse.keyboard.press("/")
    browse.keyboard.type("plate")
    browse.keyboard.press("ArrowDown")
    row = panel.locator(".cells li", has_text="plate")
    was = row.get_attribute("data-state")
    browse.keyboard.press("a" if was != "-1" else "p")
    expect(row).to_have_attribute("data-state", "-1" if was != "-1" else "1")
    expect(row.locator(".from")).to_contain_text("ana · Browse")
    browse.keyboard.press("Backspace")
    expect(row).to_have_attribute("data-state", was)
    browse.keyboard.press("ArrowRight")
    expect(panel.get_by_role("heading", level=2)).to_have_text("picture-002.jpg")
    browse.keyboard.press("Escape")
    expect(tiles(browse).nth(2)).to_be_focused()
    browse.keyboard.press("s")
    expect(browse.locator(".browse .conditions")).to_contain_text("similar to picture-002.jpg")
    expect(tiles(browse).first.locator(".share")).to_have_text("this one")
    browse.keyboard.press("f")
    expect(browse.locator(".focus .file")).to_have_text("picture-002.jpg")


def test_hostile_names_are_text(browse: Page, picture_of: Save) -> None:
    browse.get_by_label("Labels of").select_option(HOSTILE)
    browse.keyboard.press("/")
    browse.keyboard.type("onerror")
    browse.keyboard.press("Enter")
    expect(counted(browse)).to_have_text(f"1 of {PICTURES} pictures")
    expect(tiles(browse).first.locator(".name")).to_have_text(HOSTILE_FILE)
    picture_of(browse, "browse-hostile")
    tiles(browse).first.click()
    browse.keyboard.press("Enter")
    expect(browse.get_by_role("heading", name=HOSTILE_FILE)).to_be_visible()
    assert browse.title() == "Kitchen photos · Annotator"
    assert browse.evaluate("document.querySelectorAll('img[src=x]').length") == 0


def test_near_duplicates_are_shown_and_decided_together(
    browse: Page, server: Site, picture_of: Save
) -> None:
    tiles(browse).first.click()
    browse.keyboard.press("d")
    expect(browse.get_by_text(re.compile("groups?, .* pictures"))).to_be_visible()
    group = browse.locator(".browse .group").first
    picture_of(browse, "browse-duplicates")
    group.get_by_label(re.compile("Category for all")).select_option("plate")
    before = states(server, "plate")
    group.get_by_role("button", name="unknown").click()
    expect(browse.get_by_text("All saved")).to_be_visible()
    expect(group.get_by_role("button", name="unknown")).to_be_visible()
    browse.wait_for_timeout(300)
    browse.keyboard.press("Backspace")
    expect(browse.get_by_text(re.compile("Taken back"))).to_be_visible()
    assert states(server, "plate") == before
    browse.keyboard.press("Escape")
    expect(tiles(browse).first).to_be_visible()


def test_looks(browse: Page, picture_of: Save) -> None:
    browse.get_by_label("Labels of").select_option(KITCHEN[0])
    browse.get_by_label("Order").select_option("most likely first")
    settled(browse)
    expect(tiles(browse).first.locator(".share")).to_have_text(re.compile("%"))
    browse.keyboard.press("n")
    expect(browse.get_by_role("form", name="Filter")).to_be_visible()
    in_both_themes(browse, picture_of, "browse-filter")
    browse.keyboard.press("Escape")
    for key in ("ArrowRight", "Space", "Shift+ArrowDown"):
        browse.keyboard.press(key)
    expect(browse.get_by_role("region", name="Selection")).to_contain_text("selected")
    in_both_themes(browse, picture_of, "browse")
    browse.keyboard.press("?")
    in_both_themes(browse, picture_of, "browse-keys")
    browse.keyboard.press("Escape")
    browse.keyboard.press("Enter")
    expect(browse.locator(".browse .similar img").first).to_be_visible()
    in_both_themes(browse, picture_of, "browse-picture")


def test_zoomed_to_200_percent_nothing_is_cut_off(
    server: Site, open_page: OpenPage, picture_of: Save
) -> None:
    page = opened(open_page(server.address, size=(680, 400), scale=2))
    picture_of(page, "browse-zoom-200")
    assert page.evaluate("document.documentElement.scrollWidth") <= 680
    unnamed = page.evaluate(
        """() => [...document.querySelectorAll('.browse :is(button, input, select)')]
            .filter((e) => e.checkVisibility() && !e.getAttribute('aria-label')
                && !e.textContent.trim() && !e.labels?.length)
            .map((e) => e.outerHTML)"""
    )
    assert unnamed == []


def test_a_lost_connection_is_said_and_the_list_comes_back(
    server: Site, open_page: OpenPage, picture_of: Save
) -> None:
    page = open_page(server.address)
    expect(page.locator(".focus .stage img")).to_be_visible()
    page.route("**/api/v1/**", lambda route: route.abort())
    page.get_by_role("tab", name="Browse").click()
    expect(page.get_by_role("heading", name="The server does not answer")).to_be_visible()
    picture_of(page, "browse-lost")
    page.unroute("**/api/v1/**")
    expect(tiles(page).first).to_be_visible()
