"""Focus at its limits: huge, tiny and odd pictures, a thousand categories, blind questions."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from browse_scores import add_version
from e2e_site import Site, add_pictures, make_workspace, next_picture, serving
from PIL import Image
from playwright.sync_api import Page, Request, Response, expect

from annotator.service import AnnotationService
from annotator.types import CellChange

pytestmark = pytest.mark.e2e

Save = Callable[[Page, str], None]

PLAIN = 6
HUGE = (9000, 6700)
ALL_NAMES = Path(__file__).parents[1] / "web" / "js" / "thousand_names.json"
# Some of the names differ in case alone, which a workspace refuses.
NAMES = tuple({name.casefold(): name for name in json.loads(ALL_NAMES.read_text())}.values())

BLACK, WHITE = (0, 0, 0), (255, 255, 255)
RED, BLUE, CYAN = (255, 0, 0), (0, 0, 255), (0, 255, 255)


def halves(mode: str, size: tuple[int, int], first: Any, second: Any) -> Image.Image:
    """The first colour in the upper left half, the second in the lower right one."""
    image = Image.new(mode, size, first)
    width, height = size
    box = (0, height // 2, width, height) if height > width else (width // 2, 0, width, height)
    image.paste(second, box)
    return image


def draw_odd_pictures(photos: Path) -> None:
    photos.mkdir()
    halves("L", HUGE, 0, 255).save(photos / "huge.jpg", quality=30)
    halves("RGB", (300, 1200), RED, BLUE).save(photos / "portrait.jpg", quality=95)
    Image.new("RGB", (1, 1), RED).save(photos / "pixel.png")
    halves("CMYK", (90, 60), (255, 0, 0, 0), (0, 255, 255, 0)).save(photos / "cmyk.jpg")
    turned = Image.Exif()
    turned[0x0112] = 6  # to be turned by a quarter, clockwise
    halves("RGB", (900, 600), RED, BLUE).save(photos / "turned.jpg", exif=turned, quality=95)


# File, size in which it is shown, colours in its upper left and lower right corner.
ODD = [
    ("huge.jpg", (2048, 1525), BLACK, WHITE),
    ("portrait.jpg", (300, 1200), RED, BLUE),
    ("pixel.png", (1, 1), RED, RED),
    ("cmyk.jpg", (90, 60), CYAN, RED),
    ("turned.jpg", (600, 900), RED, BLUE),
]


# All of the page is in the window though reasons are open, and nothing lies over the rows.
FITS = """() => {
    const list = document.querySelector(".focus .list").getBoundingClientRect();
    const below = document.querySelector(".focus .below").getBoundingClientRect();
    const page = document.documentElement;
    return [page.scrollHeight <= page.clientHeight, below.top >= list.bottom];
}"""


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """A thousand categories and a model that is sure of most cells; each odd picture is flagged."""
    workspace = make_workspace(tmp_path_factory.mktemp("extremes"), 0, NAMES)
    draw_odd_pictures(workspace.path.parent / "photos")
    add_pictures(workspace, PLAIN)
    with AnnotationService(workspace) as service:
        colleague = service.ensure_user("colleague").id
        for ident, name, _ in service.image_names():
            if name in {file for file, *_ in ODD}:
                service.set_flag(colleague, ident, "odd")
            else:
                service.decide(colleague, [CellChange(ident, 1, 1)], key=f"known-{ident}")
        add_version(service, np.random.default_rng(0), spread=8)
    with serving(workspace) as site:
        yield site


@pytest.fixture
def focus(server: Site, kept_page: Callable[[str], Page]) -> Page:
    return next_picture(kept_page(server.address))


def show(page: Page, file_name: str) -> None:
    """Open a picture by its flag."""
    page.get_by_role("button", name=re.compile(r"^\d+ flags?$")).click()
    page.get_by_role("button", name=f"Show {file_name}").click()
    expect(page.locator(".focus .file")).to_have_text(file_name)
    expect(page.get_by_role("img", name=f"Picture {file_name}", exact=True)).to_be_visible()


def drawn(page: Page, across: float, down: float) -> list[int]:
    """Size of the picture on the stage, and its colour at a place in shares of it."""
    found: list[int] = page.evaluate(
        """([across, down]) => {
            const img = document.querySelector(".focus .stage img");
            const [width, height] = [img.naturalWidth, img.naturalHeight];
            const [x, y] = [Math.floor(width * across), Math.floor(height * down)];
            const context = new OffscreenCanvas(1, 1).getContext("2d");
            context.drawImage(img, x, y, 1, 1, 0, 0, 1, 1);
            return [width, height, ...context.getImageData(0, 0, 1, 1).data.slice(0, 3)];
        }""",
        [across, down],
    )
    return found


@pytest.mark.parametrize(("file_name", "size", "first", "last"), ODD, ids=[o[0] for o in ODD])
def test_an_odd_picture_is_shown_upright_in_its_colours_and_can_be_labelled(
    focus: Page,
    picture_of: Save,
    file_name: str,
    size: tuple[int, int],
    first: tuple[int, int, int],
    last: tuple[int, int, int],
) -> None:
    show(focus, file_name)
    for place, colour in ((0.02, first), (0.98, last)):
        width, height, *seen = drawn(focus, place, place)
        assert (width, height) == size
        assert seen == pytest.approx(colour, abs=12)
    stage, picture = (
        focus.locator(f".focus .stage{inner}").bounding_box() for inner in ("", " img")
    )
    assert stage == picture  # contained in it as a whole
    row = focus.locator(".focus .row").first
    focus.keyboard.press("1")
    expect(row).to_have_attribute("data-state", "1")
    focus.keyboard.press("Backspace")
    expect(row).to_have_attribute("data-state", "0")
    expect(focus.get_by_text("All saved")).to_be_visible()
    picture_of(focus, f"focus-odd-{file_name.split('.')[0]}")


@pytest.mark.parametrize(("file_name", "size"), [("huge.jpg", HUGE), ("pixel.png", (1, 1))])
def test_enlarged_it_is_shown_with_all_its_pixels(
    focus: Page, file_name: str, size: tuple[int, int]
) -> None:
    show(focus, file_name)
    focus.keyboard.press("z")
    whole = focus.get_by_role("img", name=f"Picture {file_name}, full size")
    expect(whole).to_be_visible()
    assert tuple(drawn(focus, 0.5, 0.5)[:2]) == size
    focus.keyboard.press("z")
    expect(focus.locator(".focus .frame")).not_to_have_class(re.compile("zoomed"))


def test_a_thousand_categories_are_nine_rows_and_the_rest_a_few_letters_away(
    focus: Page, picture_of: Save
) -> None:
    rows = focus.locator(".focus .row")
    expect(rows).to_have_count(9)
    expect(focus.locator(".row.selected .why .decide")).to_be_visible()
    below = focus.get_by_role("button", name=re.compile(r"more below$"))
    expect(below).to_be_visible()
    assert focus.evaluate(FITS) == [True, True]
    focus.keyboard.press("PageDown")  # first what is further down
    expect(below).to_be_hidden()
    focus.keyboard.press("PageDown")
    expect(rows).to_have_count(18)
    focus.keyboard.type("/te")
    options = focus.get_by_label("Categories", exact=True).get_by_role("option")
    expect(options).to_have_count(8)
    picture_of(focus, "focus-thousand-typing")
    focus.keyboard.type("nnis b")
    expect(options.first.locator(".name")).to_have_text("tennis ball")
    focus.keyboard.press("1")
    chips = focus.get_by_label("Present", exact=True).locator(".name")
    expect(chips.filter(has_text="tennis ball")).to_be_visible()
    focus.keyboard.type("/zzz")
    expect(options).to_have_text(["No category matches"])
    focus.keyboard.press("Escape")


def test_hundreds_of_known_cells_stay_one_line(focus: Page, server: Site, picture_of: Save) -> None:
    file_name = focus.locator(".focus .file").inner_text()
    with AnnotationService(server.workspace) as service:
        (image,) = [ident for ident, name, _ in service.image_names() if name == file_name]
        cells = [CellChange(image, c.id, -1) for c in service.categories()[-900:]]
        ben = service.ensure_user("ben").id
        service.decide(ben, cells, key=f"hundreds-of-{file_name}")
    more = focus.get_by_role("button", name=re.compile(r"^\+ 8\d\d absent$"))
    expect(more).to_be_visible()
    assert focus.locator(".focus .chip").count() < 30
    picture_of(focus, "focus-thousand-known")


def told(bodies: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """States of pictures in what the server answered."""
    return [image for body in bodies for image in body.get("images", [])]


def test_blind_questions_show_and_fetch_nothing_that_could_sway(
    focus: Page, server: Site, picture_of: Save
) -> None:
    with AnnotationService(server.workspace) as service:
        service.completion.propose(service.ensure_user("colleague").id, "accept", target=0.1)
    bodies: list[dict[str, Any]] = []
    asked: list[str] = []
    begun: list[Request] = []

    def begin(request: Request) -> None:
        begun.append(request)

    def note(response: Response) -> None:
        if response.request not in begun:
            return  # asked for before there were blind questions
        path = response.url.split("/api/v1")[-1]
        if re.match(r"/(queues/|decisions|undo|images/)", path) and "picture" not in path:
            asked.append(path)
            if path != "/queues" and response.ok:
                bodies.append(response.json())

    queue = focus.get_by_label("Queue", exact=True)
    queue.focus()
    expect(queue.locator("option[value=audit]")).to_have_text(re.compile(r"\(\d+\)$"))
    focus.on("request", begin)
    focus.on("response", note)
    queue.select_option("audit")
    blind = focus.get_by_role("heading", name="Asked, without a suggestion")
    expect(blind).to_be_visible()
    focus.evaluate("document.activeElement.blur()")
    rows = focus.locator(".focus .row")
    expect(rows).to_have_count(9)
    picture_of(focus, "focus-blind")
    for key in ("e", "a"):  # neither reasons nor a map
        focus.keyboard.press(key)
        focus.wait_for_timeout(360)  # else the next letter would be that of a word
    focus.keyboard.type("/a")
    matches = focus.get_by_label("Categories", exact=True)
    expect(matches.get_by_role("option").first).to_be_visible()
    shares = focus.locator(".focus :is(.row .share, .row .reason, .why, .typing .share, .mapped)")
    assert "".join(shares.all_inner_texts()) == ""
    focus.keyboard.press("Escape")
    expect(matches).to_be_hidden()
    file_name = focus.locator(".focus .file").inner_text()
    focus.keyboard.press("1")
    expect(rows.first).to_have_attribute("data-state", "1")
    focus.keyboard.press("Backspace")
    expect(rows.first).to_have_attribute("data-state", "0")
    expect(focus.locator(".focus .file")).to_have_text(file_name)
    # A new model and a colleague's answer in these pictures change nothing of it.
    with AnnotationService(server.workspace) as service:
        add_version(service, np.random.default_rng(1), spread=8)
        ben = service.ensure_user("ben").id
        cells = [CellChange(image["id"], 2, 1) for image in told(bodies)[:1]]
        service.decide(ben, cells, key="a-colleague-decides")
    expect(focus.locator(".notice[data-kind=model]")).to_be_visible()
    before = focus.locator(".focus .file").inner_text()
    focus.keyboard.press("Space")
    expect(focus.locator(".focus .file")).not_to_have_text(before)
    expect(blind).to_be_visible()
    assert "".join(shares.all_inner_texts()) == ""
    expect(focus.locator(".focus .chip")).to_have_count(0)
    focus.remove_listener("request", begin)
    focus.remove_listener("response", note)
    states = told(bodies)
    assert states
    assert [state for state in states if state["known"]] == []
    assert all(
        row["probability"] is None and row["reasons"] == []
        for state in states
        for row in state["suggestions"]
    )
    assert not [path for path in asked if path.startswith("/images/")]
