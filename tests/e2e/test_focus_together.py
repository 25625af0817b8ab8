"""Focus with others, with own keys, flags, maps and pictures that are not there; by keyboard."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator

import numpy as np
import pytest
from browse_scores import add_version
from e2e_site import HOSTILE, Site, in_both_themes, know_some, make_workspace, next_picture, serving
from playwright.sync_api import Page, Route, expect

from annotator.service import AnnotationService
from annotator.types import CellChange

pytestmark = pytest.mark.e2e

OpenPage = Callable[..., Page]
Save = Callable[[Page, str], None]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """Without a trainer; a first model version is there, some labels are known."""
    workspace = make_workspace(tmp_path_factory.mktemp("together"), 40)
    know_some(workspace, 0.3)
    with AnnotationService(workspace) as service:
        add_version(service, np.random.default_rng(0))
    with serving(workspace) as site:
        yield site


@pytest.fixture
def focus(server: Site, kept_page: Callable[[str], Page]) -> Page:
    """A page with a picture that no test before has seen."""
    return next_picture(kept_page(server.address))


def opened(page: Page) -> Page:
    expect(page.locator(".focus .row").first).to_be_visible()
    expect(page.locator(".focus .stage img")).to_be_visible()
    return page


def picture(page: Page) -> str:
    return page.locator(".focus .file").inner_text()


def image_of(service: AnnotationService, file_name: str) -> int:
    (image,) = [ident for ident, name, _ in service.image_names() if name == file_name]
    return image


def test_two_people_on_one_queue_have_different_pictures(server: Site, open_page: OpenPage) -> None:
    pages = [opened(open_page(server.address, user=user)) for user in ("ana", "ben")]
    seen: list[set[str]] = [set(), set()]
    for _ in range(3):
        for page, mine in zip(pages, seen, strict=True):
            before = picture(page)
            mine.add(before)
            page.keyboard.press("Space")
            expect(page.locator(".focus .file")).not_to_have_text(before)
    assert not seen[0] & seen[1]


def test_what_somebody_else_decides_appears_without_reloading_and_moves_nothing(
    focus: Page, server: Site, picture_of: Save
) -> None:
    rows = focus.locator(".focus .row .head .name").all_inner_texts()
    with AnnotationService(server.workspace) as service:
        image = image_of(service, picture(focus))
        (category,) = [c.id for c in service.categories() if c.name == rows[1]]
        ben = service.ensure_user(HOSTILE)
        service.decide(ben.id, [CellChange(image, category, 1)], key=f"appears-{image}")
    expect(focus.locator(".focus .chip[data-state='1'] .name", has_text=rows[1])).to_be_visible()
    expect(focus.locator(".notice[data-kind=others]")).to_have_text(
        f"{HOSTILE}: {rows[1]} present."
    )
    assert focus.locator(".focus .row .head .name").all_inner_texts() == rows
    picture_of(focus, "focus-changed-by-others")


def test_a_key_is_changed_used_and_reset_by_keyboard(focus: Page, picture_of: Save) -> None:
    focus.keyboard.press("?")
    card = focus.get_by_role("dialog", name="Keys")
    change = card.get_by_role("button", name="Change keys")
    change.focus()
    focus.keyboard.press("Enter")
    undo = card.get_by_role("button", name=re.compile("^take back.*Backspace, change"))
    undo.focus()
    focus.keyboard.press("Enter")
    focus.keyboard.press("z")
    expect(card.get_by_text("z already means: enlarge")).to_be_visible()
    picture_of(focus, "focus-keys-taken")
    focus.keyboard.press("u")
    expect(card.get_by_text("Saved")).to_be_visible()
    focus.keyboard.press("Escape")
    focus.reload()
    opened(focus)
    expect(focus.locator(".focus .legend")).to_contain_text("U undo")
    name = focus.locator(".focus .row .head .name").first.inner_text()
    chip = focus.locator(".focus .chip[data-state='1'] .name", has_text=name)
    focus.keyboard.press("1")
    expect(chip.first).to_be_visible()
    focus.keyboard.press("u")
    expect(chip).to_have_count(0)
    focus.keyboard.press("?")
    change.focus()
    focus.keyboard.press("Enter")
    card.get_by_role("button", name="Reset all").focus()
    focus.keyboard.press("Enter")
    expect(undo).to_be_visible()
    focus.keyboard.press("Escape")


def test_a_flag_with_a_hostile_note_is_set_found_and_closed_by_keyboard(
    focus: Page, server: Site, picture_of: Save
) -> None:
    name = picture(focus)
    focus.keyboard.press("f")
    focus.keyboard.type(HOSTILE)
    focus.keyboard.press("Enter")
    flag = focus.get_by_role("list", name="Flags of this picture")
    expect(flag).to_contain_text(f"ana: {HOSTILE}")
    focus.keyboard.press("Space")
    expect(flag).to_be_hidden()
    focus.get_by_role("button", name="1 flag").focus()
    focus.keyboard.press("Enter")
    card = focus.get_by_role("dialog", name="Flags")
    expect(card).to_contain_text(HOSTILE)
    picture_of(focus, "focus-flags")
    card.get_by_role("button", name=f"Show {name}").focus()
    focus.keyboard.press("Enter")
    expect(focus.locator(".focus .file")).to_have_text(name)
    focus.get_by_role("button", name="Close the flag of ana: it is dealt with").focus()
    focus.keyboard.press("Enter")
    expect(flag).to_be_hidden()
    expect(focus.get_by_text("All saved")).to_be_visible()
    with AnnotationService(server.workspace) as service:
        assert service.flags() == []
        assert [f.closed_by for f in service.flags(closed=True)] == ["ana"]


def test_where_the_model_looks_is_drawn_and_said(focus: Page, picture_of: Save) -> None:
    asked: list[str] = []

    def answer(route: Route) -> None:
        asked.append(route.request.url)
        if len(asked) == 1:
            route.fulfill(status=202, json={"message": "being worked out", "again": True})
            return
        values = [
            1.0 if (row, column) == (0, 1) else 0.0 for row in range(6) for column in range(8)
        ]
        body = {"rows": 6, "columns": 8, "values": values, "model_version": 1}
        route.fulfill(json={**body, "kind": "activation"})

    focus.route("**/attention", answer)
    while not asked:  # requests right after this may still reach the server
        focus.evaluate("() => fetch('/nothing/attention').then(() => null, () => null)")
    asked.clear()
    focus.keyboard.press("a")
    drawn = focus.get_by_role("img", name=re.compile("looks for .*: strongest in the upper left"))
    expect(drawn).to_be_visible()
    in_both_themes(focus, picture_of, "focus-attention")
    focus.keyboard.press("a")
    expect(drawn).to_be_hidden()


def test_a_picture_whose_file_is_gone_is_said_and_the_work_goes_on(
    focus: Page, server: Site, picture_of: Save
) -> None:
    gone = server.workspace.path.parent / "photos"
    with AnnotationService(server.workspace) as service:
        image = service.images_after(0, 40)[-1]
    (gone / image.file_name).unlink()
    with AnnotationService(server.workspace) as service:
        service.set_flag(service.ensure_user("ben").id, image.id, "is it there?")
    flags = focus.get_by_role("button", name=re.compile(r"^\d+ flags?$"))
    expect(flags).to_be_visible()
    flags.click()
    focus.get_by_role("button", name=f"Show {image.file_name}").click()
    expect(focus.get_by_role("heading", name="This picture cannot be shown")).to_be_visible()
    expect(focus.get_by_text(f"{image.file_name} is missing (put it back")).to_be_visible()
    picture_of(focus, "focus-picture-gone")
    focus.keyboard.press("Enter")
    expect(focus.locator(".notice[data-kind=error]")).to_contain_text("nothing was marked")
    focus.keyboard.press("Space")
    expect(focus.locator(".focus .stage img")).to_be_visible()


def test_another_workspace_at_the_same_address_is_said(focus: Page) -> None:
    text = "another workspace is served at this address now"
    focus.route(
        "**/api/v1/status",
        lambda route: route.fulfill(status=421, json={"error": text, "kind": "OtherWorkspace"}),
    )
    expect(focus.get_by_role("alert").filter(has_text=text)).to_be_visible()


def test_the_picture_is_enlarged_by_the_wheel_where_the_pointer_is(focus: Page) -> None:
    stage = focus.locator(".focus .stage")
    box = stage.bounding_box()
    assert box is not None
    focus.mouse.move(box["x"] + 100, box["y"] + 100)
    focus.mouse.wheel(0, -400)
    expect(focus.locator(".focus .frame")).to_have_class(re.compile("zoomed"))
    focus.keyboard.press(".")
    focus.keyboard.press("ArrowDown")
    moved = focus.locator(".focus .layer").get_attribute("style")
    assert moved is not None
    assert "scale(" in moved
    focus.keyboard.press("z")
    expect(focus.locator(".focus .frame")).not_to_have_class(re.compile("zoomed"))
