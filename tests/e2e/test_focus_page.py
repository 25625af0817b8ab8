"""The Focus page in its states and themes, by keyboard and by pointer; hostile names as text."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from e2e_site import (
    HOSTILE,
    Site,
    add_pictures,
    in_both_themes,
    know_some,
    make_workspace,
    next_picture,
    rest_absent,
    serving,
)
from playwright.sync_api import Locator, Page, expect

from annotator.service import AnnotationService
from annotator.types import CellChange

pytestmark = pytest.mark.e2e

OpenPage = Callable[..., Page]
Save = Callable[[Page, str], None]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """Without a trainer; enough is known for the order by how common each category is."""
    workspace = make_workspace(tmp_path_factory.mktemp("focus"), 40)
    know_some(workspace, 0.3)
    with serving(workspace) as site:
        yield site


@pytest.fixture
def focus(server: Site, kept_page: Callable[[str], Page]) -> Page:
    """A page with a picture that no test before has seen."""
    return next_picture(kept_page(server.address))


def chip(page: Page, name: str, state: str) -> Locator:
    return page.get_by_role("button", name=re.compile(f"^{re.escape(name)}: {state}"))


def first_row(page: Page) -> str:
    return page.locator(".focus .row .head .name").first.inner_text()


COUNT_FRAMES = """(() => {
  const ask = requestAnimationFrame.bind(window);
  window.asked = 0;
  window.requestAnimationFrame = (draw) => ++window.asked && ask(draw);
})()"""
STILL = """async () => {
  const before = asked;
  await new Promise((resolve) => setTimeout(resolve, 300));
  return asked - before < 5;
}"""


def test_a_page_that_nobody_touches_draws_nothing(server: Site, open_page: OpenPage) -> None:
    page = open_page(server.address)
    page.add_init_script(COUNT_FRAMES)
    page.reload()
    expect(page.locator(".focus .row").first).to_be_visible()
    assert page.evaluate("asked") > 0
    page.wait_for_function(STILL, polling=100)


def test_looks(focus: Page, picture_of: Save) -> None:
    expect(focus.get_by_text("All saved")).to_be_visible()
    in_both_themes(focus, picture_of, "focus")
    focus.keyboard.press("?")
    expect(focus.get_by_role("dialog", name="Keys")).to_be_visible()
    in_both_themes(focus, picture_of, "focus-keys")
    focus.keyboard.press("Escape")
    focus.keyboard.type("ro")
    expect(focus.get_by_role("option", name="road")).to_be_visible()
    in_both_themes(focus, picture_of, "focus-typing")
    focus.keyboard.press("Escape")


def test_zoomed_to_200_percent_nothing_is_cut_off(
    server: Site, open_page: OpenPage, picture_of: Save
) -> None:
    page = open_page(server.address, size=(680, 400), scale=2)
    expect(page.locator(".focus .stage img")).to_be_visible()
    picture_of(page, "focus-zoom-200")
    width = page.evaluate("document.documentElement.scrollWidth")
    assert width <= 680
    last = page.locator(".focus .legend")
    last.scroll_into_view_if_needed()
    expect(last).to_be_in_viewport()


def test_a_hostile_name_is_text_wherever_it_is_shown(focus: Page) -> None:
    focus.keyboard.type("/img")
    focus.keyboard.press("Enter")
    expect(chip(focus, HOSTILE, "present")).to_be_visible()
    focus.get_by_role("tab", name="Data").click()
    expect(focus.get_by_role("gridcell", name=HOSTILE, exact=True)).to_be_visible()
    assert focus.title() == "Kitchen photos · Annotator"
    assert focus.evaluate("document.querySelectorAll('img[src=x]').length") == 0


def test_digits_decide_and_shift_means_absent(focus: Page) -> None:
    name = first_row(focus)
    focus.keyboard.press("1")
    expect(chip(focus, name, "present")).to_be_visible()
    focus.keyboard.press("Shift+1")
    expect(chip(focus, name, "absent")).to_be_visible()
    focus.keyboard.press("Backspace")
    focus.keyboard.press("Backspace")
    expect(chip(focus, name, "absent")).to_have_count(0)
    expect(chip(focus, name, "present")).to_have_count(0)


def test_a_chip_flips_and_clears_by_pointer_and_the_keys_still_work(focus: Page) -> None:
    name = first_row(focus)
    focus.keyboard.press("1")
    chip(focus, name, "present").click()
    expect(chip(focus, name, "absent")).to_be_visible()
    focus.get_by_role("button", name=f"{name}: make unknown again").click()
    expect(chip(focus, name, "absent")).to_have_count(0)
    picture = focus.locator(".focus .file").inner_text()
    focus.keyboard.press("Space")  # the click has not kept the keyboard
    expect(focus.locator(".focus .file")).not_to_have_text(picture)


def test_rest_absent_touches_only_what_is_shown_and_is_one_undo(focus: Page, server: Site) -> None:
    picture = focus.locator(".focus .file").inner_text()
    shown = focus.locator(".focus .row[data-state='0'] .head .name").all_inner_texts()
    with AnnotationService(server.workspace) as service:
        (image,) = [i for i, name, _ in service.image_names() if name == picture]
        before = {c.name for c in service.image_state(image).known}
    rest_absent(focus)
    expect(focus.get_by_text("All saved")).to_be_visible()
    with AnnotationService(server.workspace) as service:
        known = {c.name: c.state for c in service.image_state(image).known}
    assert {name for name in known if name not in before} == set(shown)
    assert {known[name] for name in shown} == {-1}
    focus.keyboard.press("Backspace")
    expect(focus.locator(".focus .file")).to_have_text(picture)
    expect(focus.get_by_text("All saved")).to_be_visible()
    with AnnotationService(server.workspace) as service:
        assert {c.name for c in service.image_state(image).known} == before


def test_any_category_in_a_few_letters(focus: Page) -> None:
    absent = focus.locator(".focus .chip[data-state='-1'] .name", has_text="knife")
    present = focus.locator(".focus .chip[data-state='1'] .name", has_text="knife")
    focus.keyboard.type("kn")
    focus.keyboard.press("Shift+Enter")
    expect(absent).to_be_visible()
    focus.keyboard.type("kn")
    focus.keyboard.press("Enter")
    expect(present).to_be_visible()
    expect(focus.get_by_role("combobox", name="Any category")).to_be_hidden()


def test_a_key_right_after_the_list_of_names_closes_is_not_lost(focus: Page) -> None:
    name = first_row(focus)
    focus.keyboard.type("/kn")
    expect(focus.get_by_role("combobox", name="Any category")).to_be_focused()
    focus.evaluate(
        """() => { // both before the browser draws again
            for (const [key, code] of [["Escape", "Escape"], ["1", "Digit1"]]) {
                const event = new KeyboardEvent("keydown", { key, code, bubbles: true });
                document.activeElement.dispatchEvent(event);
            }
        }"""
    )
    expect(chip(focus, name, "present")).to_be_visible()


def test_a_refused_change_is_taken_back_and_said(focus: Page, picture_of: Save) -> None:
    name = first_row(focus)
    focus.route(
        "**/api/v1/decisions",
        lambda route: route.fulfill(
            status=404, json={"error": "there is no category 99", "kind": "NotFound"}
        ),
    )
    focus.keyboard.press("1")
    notice = focus.locator(".notice[data-kind=error]")
    expect(notice).to_contain_text("there is no category 99")
    expect(chip(focus, name, "present")).to_have_count(0)
    expect(focus.get_by_text("All saved")).to_be_visible()
    picture_of(focus, "focus-refused")


def test_everything_has_a_name_and_the_focus_is_seen(focus: Page) -> None:
    unnamed = focus.evaluate(
        """() => [...document.querySelectorAll('.annotator :is(button, input, img)')]
            .filter((e) => e.checkVisibility() && !e.getAttribute('aria-label')
                && !e.textContent.trim() && !e.alt && !e.labels?.length)
            .map((e) => e.outerHTML)"""
    )
    assert unnamed == []
    focus.keyboard.press("Tab")
    outline = focus.evaluate("getComputedStyle(document.activeElement).outlineStyle")
    assert outline != "none"


def test_a_decision_of_somebody_else_is_there_when_the_picture_opens(
    focus: Page, server: Site
) -> None:
    picture = focus.locator(".focus .file").inner_text()
    name = first_row(focus)
    with AnnotationService(server.workspace) as service:
        (image,) = [i for i, file, _ in service.image_names() if file == picture]
        (category,) = [c.id for c in service.categories() if c.name == name]
        ben = service.ensure_user("ben")
        service.decide(ben.id, [CellChange(image, category, 1)], key="by-somebody-else")
    focus.keyboard.press("Shift+2")  # any answer of the server brings the picture's state
    expect(chip(focus, name, "present")).to_be_visible()


def test_a_picture_is_enlarged_moved_and_made_small_again(focus: Page) -> None:
    with focus.expect_request(re.compile("picture.*size=original")):
        focus.keyboard.press("z")
    frame = focus.locator(".focus .frame")
    expect(frame).to_have_class(re.compile("zoomed"))
    name = focus.locator(".focus .file").inner_text()
    focus.keyboard.press("ArrowRight")  # moves the picture, not on to the next
    expect(focus.locator(".focus .file")).to_have_text(name)
    focus.keyboard.press("z")
    expect(frame).not_to_have_class(re.compile("zoomed"))


def test_an_empty_project_says_what_to_do_next_until_its_queue_is_finished(
    tmp_path: Path, open_page: OpenPage, picture_of: Save
) -> None:
    workspace = make_workspace(tmp_path, 0, ())
    with serving(workspace) as site:
        page = open_page(site.address)
        expect(page.get_by_role("heading", name="No categories yet")).to_be_visible()
        picture_of(page, "focus-no-categories-yet")
        # What is added elsewhere is there on Focus without reloading.
        page.get_by_role("tab", name="Data").click()
        page.get_by_label("Add categories").fill(f"cup\n{HOSTILE}")
        page.get_by_role("button", name="Add", exact=True).click()
        expect(page.get_by_role("gridcell", name=HOSTILE, exact=True)).to_be_visible()
        page.get_by_role("tab", name="Focus").click()
        expect(page.get_by_role("heading", name="No pictures yet")).to_be_visible()
        picture_of(page, "focus-no-pictures-yet")
        add_pictures(workspace, 3)
        expect(page.locator(".focus .row")).to_have_count(2)
        for _ in range(3):
            rest_absent(page)
        expect(page.get_by_role("heading", name="This queue is finished")).to_be_visible()
        picture_of(page, "focus-finished")
        page.keyboard.press("ArrowLeft")
        expect(page.locator(".focus .stage img")).to_be_visible()
