"""The Sweep page by keyboard alone, by pointer and touch, in its states and themes."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator

import numpy as np
import pytest
from e2e_site import HOSTILE, Site, in_both_themes, make_workspace, serving, true_labels
from playwright.sync_api import Page, expect

from annotator.service import AnnotationService
from annotator.settings import Workspace
from annotator.types import CellChange
from benchmarks import made_scores
from benchmarks.made_scores import MadeScores

pytestmark = pytest.mark.e2e

OpenPage = Callable[..., Page]
Save = Callable[[Page, str], None]

NAMES = ("cup", HOSTILE, "fork", "plate", "car", "road", "dog", "knife")
PICTURES = 100


def add_version(workspace: Workspace, seed: int = 0) -> None:
    """A model that is right for most pictures, and knows nothing of knives yet."""
    with AnnotationService(workspace) as service:
        columns = {one.name: one.id for one in service.categories()}
        rng = np.random.default_rng(seed)
        truth = true_labels(PICTURES)
        logit = truth * 2.0 + rng.normal(0, 1.2, truth.shape)
        scores = MadeScores.of(1 / (1 + np.exp(-logit)))
        waiting = {columns["knife"]: "needs at least one present label"}
        made_scores.add_version(service, scores, waiting=waiting)


def answer(workspace: Workspace, name: str, right: int, wrong: int) -> None:
    """Past answers to what was suggested present."""
    with AnnotationService(workspace) as service:
        (category,) = [c.id for c in service.categories() if c.name == name]
        ana = service.ensure_user("colleague").id
        page = service.sweeping.page(ana, category, "present", count=right + wrong)
        for place, tile in enumerate(page.tiles):
            change = CellChange(tile.image_id, category, 1 if place < right else -1)
            service.decide(ana, [change], key=f"answer-{name}-{place}")


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    workspace = make_workspace(tmp_path_factory.mktemp("sweep"), PICTURES, NAMES)
    add_version(workspace)
    answer(workspace, "plate", 8, 0)
    answer(workspace, "fork", 3, 7)
    with serving(workspace) as site:
        yield site


@pytest.fixture
def sweep(server: Site, kept_page: Callable[[str], Page]) -> Page:
    """The Sweep page, with the class that the test before has left open."""
    return open_sweep(kept_page(server.address))


def open_sweep(page: Page) -> Page:
    page.get_by_role("tab", name="Sweep").click()
    expect(page.locator(".sweep .class").first).to_be_visible()
    page.evaluate("document.activeElement.blur()")
    return page


def open_class(page: Page, name: str) -> None:
    page.keyboard.press("/")
    page.keyboard.type(name)
    page.keyboard.press("Enter")
    expect(page.get_by_role("gridcell").first).to_be_visible()
    expect(page.locator(".sweep h2").first).to_have_text(name)


def states(server: Site, name: str) -> dict[int, int]:
    """Decided cells of a category by image."""
    with AnnotationService(server.workspace) as service:
        labels = service.labels()
        place = [c.name for c in service.categories()].index(name)
    column = labels.states[:, place]
    return {int(i): int(s) for i, s in zip(labels.image_ids, column, strict=True) if s}


def accept_all(page: Page) -> None:
    """Enter until the page is accepted: it wants to have been on screen for a moment, all of it."""
    label = page.get_by_role("grid").get_attribute("aria-label")
    first = page.locator(".sweep .tile").first.get_attribute("title")
    for _ in range(600):
        page.keyboard.press("Enter")
        page.wait_for_timeout(50)
        now = page.locator(".sweep .tile")
        if not now.count() or now.first.get_attribute("title") != first:
            return
    raise AssertionError(f"the page was not accepted: {label}")


def test_looks(sweep: Page, picture_of: Save) -> None:
    expect(sweep.get_by_role("heading", name="Choose a category")).to_be_visible()
    in_both_themes(sweep, picture_of, "sweep-choose")
    open_class(sweep, "dog")
    for key in ("ArrowRight", "ArrowRight", "Space", "ArrowDown", "u", "ArrowRight"):
        sweep.keyboard.press(key)
    for key in ("Shift+ArrowRight", "Shift+ArrowRight"):
        sweep.keyboard.press(key)
    in_both_themes(sweep, picture_of, "sweep")
    sweep.keyboard.press("z")
    expect(sweep.get_by_role("dialog", name="Enlarged picture")).to_be_visible()
    in_both_themes(sweep, picture_of, "sweep-zoom")
    sweep.keyboard.press("Escape")
    sweep.keyboard.press("?")
    expect(sweep.get_by_role("dialog", name="Keys of Sweep")).to_be_visible()
    in_both_themes(sweep, picture_of, "sweep-keys")
    sweep.keyboard.press("Escape")


def test_by_keyboard_alone_with_undo_and_a_hostile_name(
    sweep: Page, server: Site, picture_of: Save
) -> None:
    page = sweep
    page.keyboard.press("/")
    page.keyboard.type("onerror")
    page.keyboard.press("Enter")
    tiles = page.get_by_role("gridcell")
    expect(tiles.first).to_be_focused()
    expect(tiles.first).to_have_accessible_name(
        re.compile(rf"^picture 1, {re.escape(HOSTILE)} .*%, will be present$")
    )
    count = tiles.count()
    page.keyboard.press("ArrowRight")
    page.keyboard.press("Space")
    expect(tiles.nth(1)).to_have_accessible_name(re.compile("will be absent$"))
    page.keyboard.press("ArrowRight")
    page.keyboard.press("Shift+ArrowRight")
    page.keyboard.press("u")
    expect(page.locator(".sweep .counts")).to_have_text(
        f"{count - 3} present, 1 absent, 2 left unknown"
    )
    picture_of(page, "sweep-hostile")
    before = page.locator(".sweep .tile").evaluate_all("tiles => tiles.map((t) => t.ariaLabel)")
    accept_all(page)
    expect(page.get_by_text("All saved")).to_be_visible()
    known = states(server, HOSTILE)
    assert sorted(known.values()) == [-1] + [1] * (count - 3)
    page.keyboard.press("Backspace")
    expect(tiles).to_have_count(count)
    expect(page.get_by_text("All saved")).to_be_visible()
    assert states(server, HOSTILE) == {}
    after = page.locator(".sweep .tile").evaluate_all("tiles => tiles.map((t) => t.ariaLabel)")
    assert after == before
    assert page.evaluate("document.querySelectorAll('img[src=x]').length") == 0
    assert page.title() == "Kitchen photos · Annotator"


def test_a_click_and_a_tap_turn_over_and_a_long_press_enlarges(sweep: Page) -> None:
    open_class(sweep, "car")
    tile = sweep.get_by_role("gridcell").nth(3)
    tile.click()
    expect(tile).to_have_accessible_name(re.compile("will be absent$"))
    tile.click()
    expect(tile).to_have_accessible_name(re.compile("will be present$"))
    tile.click(delay=500)
    expect(sweep.get_by_role("dialog", name="Enlarged picture")).to_be_visible()
    sweep.keyboard.press("Space")
    sweep.keyboard.press("Escape")
    expect(tile).to_have_accessible_name(re.compile("will be absent$"))


def test_the_list_says_how_right_the_past_was_and_points_to_focus(
    sweep: Page, picture_of: Save
) -> None:
    page = sweep
    fork = page.locator(".sweep li", has_text="fork")
    expect(fork).to_contain_text("30 % of 10 right")
    plate = page.locator(".sweep li", has_text="plate")
    expect(plate).to_contain_text("8 of 8 right")
    expect(plate.get_by_role("button", name="ask in Focus")).to_be_hidden()
    open_class(page, "fork")
    expect(page.locator(".sweep .below")).to_contain_text("better asked in Focus")
    picture_of(page, "sweep-below")
    fork.get_by_role("button", name="fork: ask in Focus").click()
    expect(page.get_by_role("tab", name="Focus")).to_have_attribute("aria-selected", "true")
    page.get_by_role("tab", name="Sweep").click()
    page.get_by_label("Good enough from").select_option("80 %")
    open_class_without_model(page, picture_of)


def open_class_without_model(page: Page, picture_of: Save) -> None:
    page.get_by_role("searchbox", name="Find a category").fill("knife")
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name="No suggestions of knife yet")).to_be_visible()
    expect(page.locator(".sweep .message")).to_contain_text("needs at least one present label")
    picture_of(page, "sweep-no-suggestions")
    page.get_by_role("button", name="Find knife on Browse").click()
    chip = page.locator(".browse .conditions .words")
    expect(chip).to_have_text(["knife unknown"])
    expect(page.get_by_label("Show labels of")).to_have_value(re.compile(r"\d+"))


def test_a_class_ends_with_what_was_done_and_the_way_on(
    sweep: Page, server: Site, picture_of: Save
) -> None:
    page = sweep
    open_class(page, "road")
    accept_all(page)
    expect(page.get_by_role("heading", name="road is done")).to_be_visible()
    expect(page.get_by_text("All saved")).to_be_visible()
    picture_of(page, "sweep-done")
    assert set(states(server, "road").values()) == {1}
    page.get_by_role("button", name="Show suggested absent").click()
    expect(page.get_by_role("gridcell").first).to_have_accessible_name(
        re.compile("will be absent$")
    )
    page.keyboard.press("n")
    expect(page.locator(".sweep h2").first).not_to_have_text("road")


def test_without_connection_accepted_pages_are_kept_and_arrive(
    sweep: Page, server: Site, picture_of: Save
) -> None:
    page = sweep
    page.get_by_label("Suggested present").check(force=True)
    open_class(page, "dog")
    page.context.set_offline(True)
    accept_all(page)
    expect(page.get_by_text(re.compile("Connection lost: 1 kept here"))).to_be_visible()
    expect(page.locator(".sweep .message h2")).to_contain_text("The server does not answer")
    picture_of(page, "sweep-offline")
    assert states(server, "dog") == {}
    page.context.set_offline(False)
    expect(page.get_by_text("All saved")).to_be_visible()
    assert set(states(server, "dog").values()) == {1}


def test_two_people_get_different_tiles_and_see_what_the_other_decides(
    server: Site, open_page: OpenPage
) -> None:
    pages = [open_sweep(open_page(server.address, user=user)) for user in ("eva", "finn")]
    pages[1].get_by_label("Both").check(force=True)
    for page in pages:
        open_class(page, "cup")
    shown = [
        set(page.locator(".sweep .tile").evaluate_all("tiles => tiles.map((t) => t.title)"))
        for page in pages
    ]
    assert shown[0]
    assert shown[0].isdisjoint(shown[1])
    with AnnotationService(server.workspace) as service:
        finn = service.ensure_user("finn").id
        name = pages[0].locator(".sweep .tile").first.get_attribute("title")
        (image,) = [i for i, file, _ in service.image_names() if file == name]
        (cup,) = [c.id for c in service.categories() if c.name == "cup"]
        service.decide(finn, [CellChange(image, cup, -1)], key="finn-was-quicker")
    expect(pages[0].get_by_role("gridcell").first).to_have_accessible_name(
        re.compile("already absent by finn$")
    )


def decide_on_focus(page: Page) -> str:
    """The first open suggestion of the picture is present; what that is called."""
    page.get_by_role("tab", name="Focus").click()
    row = page.locator(".focus .row[data-state='0']").first
    name, file = row.locator(".name").inner_text(), page.locator(".focus .file").inner_text()
    page.keyboard.press(row.locator(".cap").inner_text())
    expect(page.get_by_role("button", name=f"{name}: present, change to absent")).to_be_visible()
    return f"{name} present in {file}"


def test_backspace_tells_what_was_done_elsewhere_and_asks_before_it_reaches_further_back(
    sweep: Page, picture_of: Save
) -> None:
    open_class(sweep, "car")
    told = sweep.locator(".sweep .notice")
    what = decide_on_focus(sweep)
    open_sweep(sweep).keyboard.press("Backspace")
    expect(told).to_have_text(f"Taken back: {what} (Focus)")
    picture_of(sweep, "sweep-undone-elsewhere")
    what = decide_on_focus(sweep)
    expect(sweep.get_by_text("All saved")).to_be_visible()
    sweep.reload()
    open_sweep(sweep).keyboard.press("Backspace")
    expect(told).to_contain_text(f"Press again to take back: {what} (Focus, ")
    picture_of(sweep, "sweep-undo-offered")
    sweep.keyboard.press("Backspace")
    expect(told).to_have_text(f"Taken back: {what} (Focus)")


def test_zoomed_to_200_percent_nothing_is_cut_off(
    server: Site, open_page: OpenPage, picture_of: Save
) -> None:
    page = open_page(server.address, size=(680, 400), scale=2)
    page.get_by_role("tab", name="Sweep").click()
    expect(page.get_by_role("heading", name="Choose a category")).to_be_visible()
    page.locator(".sweep .class").first.click()
    expect(page.get_by_role("gridcell").first).to_be_visible()
    page.mouse.wheel(0, 600)
    expect(page.get_by_role("gridcell").first).not_to_be_in_viewport()
    expect(page.locator(".sweep .accept")).to_be_in_viewport(ratio=1)
    picture_of(page, "sweep-zoom-200")
    assert page.evaluate("document.documentElement.scrollWidth") <= 680
    page.set_viewport_size({"width": 390, "height": 780})
    name = page.locator(".sweep header h2")
    expect(name).to_be_in_viewport(ratio=1)
    assert name.evaluate("name => name.scrollWidth <= name.clientWidth")


def test_before_the_first_model_it_says_what_to_do(
    server: Site, open_page: OpenPage, picture_of: Save
) -> None:
    page = open_page(server.address)
    nothing = {"categories": [], "model_version": None, "minimum": 0.95}
    page.route("**/api/v1/sweep/categories?*", lambda route: route.fulfill(json=nothing))
    page.get_by_role("tab", name="Sweep").click()
    expect(page.get_by_role("heading", name="No model yet")).to_be_visible()
    picture_of(page, "sweep-no-model")
    page.get_by_role("button", name="Go to Focus").click()
    expect(page.locator(".focus .stage img")).to_be_visible()
