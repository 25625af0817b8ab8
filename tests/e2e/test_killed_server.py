"""A server that is killed under a typing user: nothing is lost, doubled or reordered."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator

import pytest
from e2e_site import Server, make_workspace
from playwright.sync_api import Page, expect

from annotator.db import store
from annotator.service import AnnotationService

pytestmark = pytest.mark.e2e


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    server = Server(make_workspace(tmp_path_factory.mktemp("killed"), 12))
    server.start()
    yield server
    server.stop()


def names_in_order(page: Page) -> list[str]:
    return page.locator(".focus .row .head .name").all_inner_texts()


def decided_in_order(server: Server, user: str) -> list[tuple[str, str, int]]:
    """(picture, category, state) of every decision of a person, in the order of the log."""
    with AnnotationService(server.workspace) as service:
        person = service.ensure_user(user)
        names = {category.id: category.name for category in service.categories()}
        files = {ident: name for ident, name, _ in service.image_names()}
        events = [e for e in service.events(limit=1000) if e.user_id == person.id]
        decided = []
        for event in sorted(events, key=lambda e: e.id):
            with service.database.reading() as connection:
                for cells in store.event_cells(connection, event.id):
                    decided += [
                        (files[int(c["image"])], names[int(c["category"])], int(c["after"]))
                        for c in cells
                    ]
        return decided


def test_decisions_made_while_the_server_is_killed_arrive_once_and_in_order(
    server: Server,
    open_page: Callable[..., Page],
    picture_of: Callable[[Page, str], None],
) -> None:
    page = open_page(server.address)
    expect(page.locator(".focus .row")).to_have_count(8)
    made: list[tuple[str, str, int]] = []

    def kill_and_restart() -> None:
        time.sleep(0.25)
        server.kill()
        server.start(wait=False)  # takes seconds, in which nothing answers

    helper = threading.Thread(target=kill_and_restart)
    helper.start()
    for _ in range(5):
        picture = page.locator(".focus .file").inner_text()
        rows = names_in_order(page)
        for key, state, row in (("1", 1, 0), ("2", 1, 1), ("Shift+3", -1, 2), ("Shift+1", -1, 0)):
            page.keyboard.press(key)
            made.append((picture, rows[row], state))
            page.wait_for_timeout(40)
        page.keyboard.press("Space")
    expect(page.locator("[role=status]", has_text="Connection lost")).to_be_visible()
    picture_of(page, "focus-connection-lost")
    helper.join()
    expect(page.get_by_text("All saved")).to_be_visible(timeout=30_000)
    assert decided_in_order(server, "ana") == made


def test_a_page_that_is_closed_while_the_server_is_down_sends_later(
    server: Server, open_page: Callable[..., Page]
) -> None:
    page = open_page(server.address, user="ben")
    expect(page.locator(".focus .row").first).to_be_visible()
    name = names_in_order(page)[0]
    server.kill()
    page.keyboard.press("1")
    expect(page.get_by_text("Connection lost: 1 kept here, retrying")).to_be_visible()
    server.start()
    page.goto(server.address)
    expect(page.locator(".focus .row").first).to_be_visible()
    expect(page.get_by_text("All saved")).to_be_visible()
    assert [(category, state) for _, category, state in decided_in_order(server, "ben")] == [
        (name, 1)
    ]
