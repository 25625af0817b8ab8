"""A real browser, and a page as a person would have it."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, Literal

import pytest
from e2e_site import ARTIFACTS
from playwright.sync_api import Browser, BrowserContext, Page, expect, sync_playwright

from benchmarks.chromium import ARGUMENTS

# For a machine that does other things beside; nothing waits longer than it takes.
expect.set_options(timeout=30_000)


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    found = shutil.which("chromium")
    if found is None:
        pytest.skip("chromium is not installed (apt-get install chromium)")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=found, args=ARGUMENTS)
        yield browser
        browser.close()


# Each page begins with an empty storage, as on a first visit; a reload keeps it.
FIRST_VISIT = """(user => {
    if (sessionStorage.getItem("begun")) return;
    sessionStorage.setItem("begun", "yes");
    localStorage.clear();
    if (user !== null) localStorage.setItem("annotator.user", user);
})"""


@dataclass
class Opener:
    """Opens pages; those of one person share what the browser has loaded before."""

    browser: Browser
    contexts: dict[tuple[str | None, float], BrowserContext] = field(default_factory=dict)
    kept: Page | None = None
    problems: list[str] = field(default_factory=list)

    def open(
        self,
        address: str,
        *,
        user: str | None = "ana",
        size: tuple[int, int] = (1360, 800),
        scheme: Literal["light", "dark"] = "light",
        scale: float = 1,
    ) -> Page:
        key = (user, scale)
        if key not in self.contexts:
            self.contexts[key] = self.browser.new_context(device_scale_factor=scale)
        page = self.contexts[key].new_page()
        page.set_viewport_size({"width": size[0], "height": size[1]})
        page.emulate_media(color_scheme=scheme)
        page.add_init_script(f"{FIRST_VISIT}({json.dumps(user)})")
        page.on("pageerror", lambda error: self.problems.append(str(error)))
        page.on("dialog", lambda dialog: self.problems.append(f"dialog: {dialog.message}"))
        page.goto(address)
        return page

    def check(self) -> None:
        """No page has had an error since the last look."""
        problems, self.problems = self.problems, []
        assert problems == []


@pytest.fixture(scope="module")
def opener(browser: Browser) -> Iterator[Opener]:
    opener = Opener(browser)
    yield opener
    for context in opener.contexts.values():
        context.close()


@pytest.fixture
def open_page(opener: Opener) -> Iterator[Callable[..., Page]]:
    """Open a page of its own for this test; what goes wrong in it fails the test at its end."""
    pages = []

    def open_at(address: str, **how: Any) -> Page:
        pages.append(opener.open(address, **how))
        return pages[-1]

    yield open_at
    for page in pages:
        page.context.set_offline(False)
        page.close()
    opener.check()


@pytest.fixture
def kept_page(opener: Opener, request: pytest.FixtureRequest) -> Iterator[Callable[[str], Page]]:
    """The page that the tests of a module share, as one test after the other leaves it."""
    failed = request.session.testsfailed

    def page_at(address: str) -> Page:
        opener.kept = opener.kept or opener.open(address)
        return opener.kept

    yield page_at
    if opener.kept is None:
        return
    opener.kept.unroute_all()
    if request.session.testsfailed != failed:  # left in the middle of something
        opener.kept.close()
        opener.kept = None
    opener.check()


@pytest.fixture
def picture_of(request: pytest.FixtureRequest) -> Callable[[Page, str], None]:
    """Save what a page looks like under artifacts/."""

    def save(page: Page, name: str) -> None:
        ARTIFACTS.mkdir(exist_ok=True)
        page.screenshot(path=ARTIFACTS / f"{name}.png", animations="disabled")

    return save
