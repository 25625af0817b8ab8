"""What is read ahead of the first page that needs it."""

from __future__ import annotations

import pytest
from label_project import Project

from annotator.browsing import Order


@pytest.mark.parametrize("with_model", [False, True])
def test_pages_after_it_show_what_was_decided_since(project: Project, with_model: bool) -> None:
    if with_model:
        project.add_version()
    project.service.prepare()
    before = {
        c.id: c.unknown for c in project.service.sweeping.categories(project.ana, "both").categories
    }
    project.decide(project.ana, (1, 1, 1))
    after = project.service.sweeping.categories(project.ana, "both").categories
    assert {c.id: before[c.id] - c.unknown for c in after} == {1: 1, 2: 0, 3: 0, 4: 0}
    found = project.service.browser.search(None, Order("known", descending=True))
    window = project.service.browser.window(found.name, 0, 1)
    assert [tile.image_id for tile in window.tiles] == [1]
