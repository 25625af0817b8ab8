"""A real browser, and a page as a person would have it."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator

import pytest
from e2e_site import ARTIFACTS
from playwright.sync_api import Browser, Page, expect, sync_playwright

ARGUMENTS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]

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


@pytest.fixture
def open_page(browser: Browser) -> Iterator[Callable[..., Page]]:
    """Open a page; what goes wrong in it fails the test at its end."""
    contexts = []
    problems: list[str] = []

    def open_at(
        address: str,
        *,
        user: str | None = "ana",
        size: tuple[int, int] = (1360, 800),
        scheme: str = "light",
        scale: float = 1,
        quiet: bool = False,
    ) -> Page:
        context = browser.new_context(
            viewport={"width": size[0], "height": size[1]},
            color_scheme=scheme,  # type: ignore[arg-type]
            device_scale_factor=scale,
        )
        contexts.append(context)
        if user is not None:
            context.add_init_script(
                f"localStorage.getItem('annotator.user') ?? "
                f"localStorage.setItem('annotator.user', {user!r})"
            )
        page = context.new_page()
        if not quiet:
            page.on("pageerror", lambda error: problems.append(str(error)))
        page.on("dialog", lambda dialog: problems.append(f"dialog: {dialog.message}"))
        page.goto(address)
        return page

    yield open_at
    for context in contexts:
        context.close()
    assert problems == []


@pytest.fixture
def picture_of(request: pytest.FixtureRequest) -> Callable[[Page, str], None]:
    """Save what a page looks like under artifacts/."""

    def save(page: Page, name: str) -> None:
        ARTIFACTS.mkdir(exist_ok=True)
        page.screenshot(path=ARTIFACTS / f"{name}.png")

    return save
