"""The queue "look again" by keyboard: confirm, change, undo, and Enter that touches nothing."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
import pytest
from e2e_site import HOSTILE, NAMES, Site, in_both_themes, make_workspace, rest_absent, serving
from playwright.sync_api import Page, expect

from annotator.service import AnnotationService
from annotator.types import CellBatch
from benchmarks.made_scores import MadeScores, add_version, weight

pytestmark = pytest.mark.e2e

Save = Callable[[Page, str], None]
FORK, HOSTILE_ID, CUP = (NAMES.index(name) + 1 for name in ("fork", HOSTILE, "cup"))


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """Everything is known; three decisions in two pictures contradict what the model says."""
    workspace = make_workspace(tmp_path_factory.mktemp("again"), 6)
    with AnnotationService(workspace) as service:
        bo = service.ensure_user("bo").id
        states = np.full((6, len(NAMES)), -1, np.int8)
        states[:, HOSTILE_ID - 1] = 1
        states[:, 0] = 1
        columns = np.arange(1, len(NAMES) + 1)
        batches = CellBatch.of_matrix(np.arange(1, 7), columns, states)
        service.import_decisions(batches, user_id=bo, source="focus")
        probability = np.where(states > 0, 0.9, 0.1)
        probability[3, FORK - 1], probability[3, HOSTILE_ID - 1] = 0.85, 0.2
        probability[1, CUP - 1] = 0.7
        both = np.zeros((len(NAMES), len(NAMES)), np.float32)
        both[FORK - 1, 0] = both[0, FORK - 1] = 2.0
        stack = [weight("base", "classifier"), weight("cooccurrence", "ist")]
        usual = np.full(states.shape, 0.1, np.float32)
        made = MadeScores.of(probability, reference=usual, cooccurrence=both, stack=stack)
        add_version(service, made)
    with serving(workspace) as site:
        yield site


def test_contradicted_cells_are_confirmed_and_changed_by_keyboard(
    server: Site, kept_page: Callable[[str], Page], picture_of: Save
) -> None:
    page = kept_page(server.address)
    queue = page.get_by_label("Queue")
    queue.focus()
    expect(queue.locator("option", has_text="look again (2)")).to_be_attached()
    queue.select_option("look-again")
    page.evaluate("document.activeElement.blur()")
    rows = page.locator(".focus .row")
    expect(rows).to_have_count(2)
    expect(rows.first).to_contain_text("marked absent by bo")
    expect(rows.first).to_contain_text("the model says present 97 %, from the picture, with plate")
    expect(rows.nth(1)).to_contain_text(HOSTILE)
    expect(page.get_by_text("rest absent")).to_have_count(0)
    in_both_themes(page, picture_of, "focus-again")

    page.keyboard.press("Shift+1")
    expect(rows.first).to_contain_text("confirmed: absent")
    page.keyboard.press("-")  # the next row is selected
    expect(rows.nth(1)).to_contain_text("present before, now absent")
    page.keyboard.press("Backspace")
    expect(rows.nth(1)).to_contain_text("marked present by bo")
    expect(page.get_by_text("All saved")).to_be_visible()

    page.keyboard.press("Space")
    expect(rows.first).to_contain_text("cup")
    rest_absent(page)  # nothing is marked, and the first one comes round again
    expect(rows).to_have_count(1)  # fork was answered, only the other cell is asked now
    page.keyboard.press("1")
    expect(rows.first).to_contain_text("confirmed: present")
    expect(page.get_by_text("All saved")).to_be_visible()
    with AnnotationService(server.workspace) as service:
        known = {cell.category_id: cell for cell in service.image_state(4).known}
        assert (known[FORK].state, known[FORK].source) == (-1, "look-again")
        assert (known[HOSTILE_ID].state, known[HOSTILE_ID].source) == (1, "look-again")
        assert service.image_state(2).known[CUP - 1].source == "focus"
    assert page.title() != "owned"
