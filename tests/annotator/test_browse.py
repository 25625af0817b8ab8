"""Lists of pictures, deciding a selection as one event, near-duplicates."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from label_project import Project, scanned

from annotator.browse import Browser
from annotator.browse_decisions import Selection
from annotator.browsing import Condition, LabelIs, Order, SimilarTo
from annotator.db import bulk, store
from annotator.db import cells as packed
from annotator.errors import Conflict, InvalidInput, NotFound
from annotator.look_alikes import near_duplicates
from annotator.open_scores import OpenScores
from benchmarks.made_scores import MadeScores

CUP, TABLE = 1, 2
UNKNOWN_CUP = LabelIs(CUP, frozenset({0}))


@pytest.fixture
def browser(project: Project) -> Browser:
    return Browser(project.service.database, OpenScores(project.workspace.scores), project.clock)


def everything(browser: Browser, condition: Condition | None = None) -> Selection:
    """All that a filter finds."""
    found = browser.search(condition, Order())
    return Selection(found.name, ((0, found.total),), whole=True)


def ids(browser: Browser, name: str) -> list[int]:
    return [tile.image_id for tile in browser.window(name, 0, 100).tiles]


# -------------------------------------------------------------------------------------- lists


def test_a_list_stays_while_cells_change_and_shows_their_state_of_now(
    project: Project, browser: Browser
) -> None:
    found = browser.search(UNKNOWN_CUP, Order())
    project.decide(project.ana, (2, CUP, 1))
    window = browser.window(found.name, 0, 10, CUP)
    assert [tile.image_id for tile in window.tiles] == [1, 2, 3, 4, 5, 6]
    assert [tile.state for tile in window.tiles] == [0, 1, 0, 0, 0, 0]
    assert browser.search(UNKNOWN_CUP, Order()).total == 5


def test_it_can_be_asked_whether_a_list_would_be_another_one_now(
    project: Project, browser: Browser
) -> None:
    first = browser.search(UNKNOWN_CUP, Order())
    assert browser.now(first.name) == (6, True)
    project.decide(project.ana, (2, CUP, 1))
    assert browser.now(first.name) == (5, False)


def test_a_list_that_is_no_longer_kept_is_not_found(browser: Browser) -> None:
    with pytest.raises(NotFound, match="ask for it again"):
        browser.window("gone", 0, 10)


@pytest.mark.parametrize(("start", "count"), [(-1, 5), (0, 0), (0, 501)])
def test_a_window_has_bounds(browser: Browser, start: int, count: int) -> None:
    found = browser.search(None, Order())
    with pytest.raises(InvalidInput):
        browser.window(found.name, start, count)


def test_a_window_tells_probabilities_once_there_is_a_model(
    project: Project, browser: Browser
) -> None:
    found = browser.search(None, Order())
    assert browser.window(found.name, 0, 1, CUP).tiles[0].probability is None
    version = project.add_version()
    window = browser.window(found.name, 0, 1, CUP)
    assert window.model_version_id == version
    assert 0 <= window.tiles[0].probability <= 1


def test_similar_pictures_come_by_similarity_the_picture_itself_first(
    project: Project, browser: Browser
) -> None:
    project.add_version()  # each picture has the next one as its only neighbour
    found = browser.search(SimilarTo(3), Order("similarity", descending=True, image=3))
    assert ids(browser, found.name) == [3, 4]


def test_choices_name_people_and_the_sources_in_use(project: Project, browser: Browser) -> None:
    project.decide(project.ana, (1, CUP, 1))
    choices = browser.choices()
    assert [user.name for user in choices.users] == ["ana", "bo"]
    assert choices.sources == ("focus",)
    assert choices.model_version_id is None


# ------------------------------------------------------------------------ deciding a selection


def decide(
    browser: Browser, user: int, selection: Selection, state: int, *, overwrite: bool, key: str
) -> object:
    check = browser.preview(selection, CUP).check
    return browser.decide(user, selection, CUP, state, check=check, overwrite=overwrite, key=key)


def test_a_preview_counts_the_cells(project: Project, browser: Browser) -> None:
    project.decide(project.ana, (1, CUP, 1), (2, CUP, -1), (3, CUP, -1), (4, TABLE, 1))
    preview = browser.preview(everything(browser), CUP)
    assert (preview.images, preview.present, preview.absent, preview.unknown) == (6, 1, 2, 3)


def test_known_cells_are_kept_unless_told_to_overwrite(project: Project, browser: Browser) -> None:
    project.decide(project.ana, (1, CUP, 1), (2, CUP, -1))
    result = decide(browser, project.bo, everything(browser), 1, overwrite=False, key="k1")
    assert (result.added, result.overwritten, result.confirmed, result.kept) == (4, 0, 1, 1)
    assert project.states()[2, CUP] == -1
    result = decide(browser, project.bo, everything(browser), 1, overwrite=True, key="k2")
    assert (result.added, result.overwritten, result.confirmed, result.kept) == (0, 1, 5, 0)
    assert {state for (_, c), state in project.states().items() if c == CUP} == {1}


def test_one_undo_takes_a_selection_back_with_provenance(
    project: Project, browser: Browser
) -> None:
    project.decide(project.ana, (1, CUP, 1), (2, CUP, -1))
    before = project.table()
    decide(browser, project.bo, everything(browser), -1, overwrite=True, key="k1")
    assert project.table() != before
    assert project.undo(project.bo).cells == 6 - 1
    assert project.table() == before


def test_known_cells_can_be_made_unknown_together(project: Project, browser: Browser) -> None:
    project.decide(project.ana, (1, CUP, 1), (2, CUP, -1), (2, TABLE, 1))
    before = project.table()
    result = decide(browser, project.ana, everything(browser), 0, overwrite=True, key="k1")
    assert (result.overwritten, result.confirmed) == (2, 4)
    assert project.states() == {(2, TABLE): 1}
    project.undo(project.ana)
    assert project.table() == before


def test_only_the_selected_places_are_decided(project: Project, browser: Browser) -> None:
    found = browser.search(None, Order(descending=True))  # 6 5 4 3 2 1
    some = Selection(found.name, ((0, 1), (3, 5)))
    decide(browser, project.ana, some, 1, overwrite=False, key="k1")
    assert sorted(image for image, _ in project.states()) == [2, 3, 6]


def test_a_repeated_request_changes_nothing_and_answers_the_same(
    project: Project, browser: Browser
) -> None:
    selection = everything(browser)
    check = browser.preview(selection, CUP).check
    options = {"check": check, "overwrite": False, "key": "k1"}
    first = browser.decide(project.ana, selection, CUP, 1, **options)
    again = browser.decide(project.ana, selection, CUP, 1, **options)
    assert again == replace(first, repeated=True)


def test_it_is_refused_if_a_cell_changed_since_the_preview(
    project: Project, browser: Browser
) -> None:
    selection = everything(browser)
    check = browser.preview(selection, CUP).check
    project.decide(project.bo, (4, CUP, -1))
    before = project.table()
    with pytest.raises(Conflict, match="5 unknown, 0 present, 1 absent now"):
        browser.decide(project.ana, selection, CUP, 1, check=check, overwrite=True, key="k1")
    assert project.table() == before


def test_it_is_refused_if_the_filter_finds_other_pictures(
    project: Project, browser: Browser
) -> None:
    selection = everything(browser, LabelIs(TABLE, frozenset({0})))
    check = browser.preview(selection, CUP).check
    project.decide(project.bo, (4, TABLE, -1))
    with pytest.raises(Conflict, match="finds 5 pictures now and found 6"):
        browser.decide(project.ana, selection, CUP, 1, check=check, overwrite=True, key="k1")
    with pytest.raises(Conflict, match="refresh the list"):
        browser.preview(selection, CUP)


def test_pictures_chosen_one_by_one_may_have_left_the_filter(
    project: Project, browser: Browser
) -> None:
    found = browser.search(UNKNOWN_CUP, Order())
    some = Selection(found.name, ((0, 2),))
    decide(browser, project.ana, some, 1, overwrite=False, key="k1")
    decide(browser, project.ana, some, -1, overwrite=True, key="k2")
    assert project.states() == {(1, CUP): -1, (2, CUP): -1}


@pytest.mark.parametrize("ranges", [(), ((0, 7),), ((2, 2),), ((3, 4), (1, 2)), ((-1, 1),)])
def test_a_malformed_selection_is_refused(browser: Browser, ranges: tuple) -> None:
    found = browser.search(None, Order())
    with pytest.raises(InvalidInput):
        browser.preview(Selection(found.name, ranges), CUP)


def test_an_unknown_person_category_or_state_is_refused(project: Project, browser: Browser) -> None:
    selection = everything(browser)
    check = browser.preview(selection, CUP).check
    options = {"check": check, "overwrite": True}
    with pytest.raises(NotFound):
        browser.decide(99, selection, CUP, 1, key="k1", **options)
    with pytest.raises(NotFound):
        browser.preview(selection, 99)
    with pytest.raises(InvalidInput):
        browser.decide(project.ana, selection, CUP, 2, key="k2", **options)


def test_decided_cells_carry_the_probability_that_the_model_gave(
    project: Project, browser: Browser
) -> None:
    project.add_version()
    decide(browser, project.ana, everything(browser), 1, overwrite=False, key="k1")
    scores = [score for _, _, score in project.table().values()]
    assert all(score is not None for score in scores)


# ------------------------------------------------------------------------------- look-alikes


def test_near_duplicates_are_what_links_hold_together() -> None:
    neighbours = np.array([[1, 2], [0, 2], [1, 0], [4, 0], [3, 0], [0, -1]])
    similarity = np.array(
        [[0.95, 0.5], [0.95, 0.92], [0.92, 0.5], [0.99, 0.2], [0.99, 0.2], [0.89, 0.0]]
    )
    groups = near_duplicates(neighbours, similarity, 0.9)
    assert groups.rows.tolist() == [0, 1, 2, 3, 4]
    assert groups.starts.tolist() == [0, 3]
    assert groups.weakest == pytest.approx([0.92, 0.99])


def test_without_a_high_similarity_there_are_no_groups() -> None:
    groups = near_duplicates(np.array([[1], [0]]), np.array([[0.5], [0.5]]), 0.9)
    assert len(groups) == 0
    assert len(near_duplicates(np.zeros((0, 3), int), np.zeros((0, 3)), 0.9)) == 0


def pairs(project: Project) -> MadeScores:
    """Scores with the pictures (1, 2) and (5, 6) as near-duplicates."""
    plain = MadeScores.random(6, 4)
    near = np.array([1, 0, 0, 0, 5, 4], dtype=np.int32)[:, None]
    alike = np.array([0.97, 0.97, 0.3, 0.3, 0.93, 0.93], dtype=np.float32)[:, None]
    return replace(plain, neighbours=near, neighbour_similarity=alike)


def test_groups_whose_labels_differ_come_first_and_say_where(
    project: Project, browser: Browser
) -> None:
    project.add_version(pairs(project))
    project.decide(project.ana, (1, TABLE, 1), (5, TABLE, 1), (5, CUP, 1), (6, CUP, -1))
    page = browser.near_duplicates()
    assert (page.total, page.images, page.differing) == (2, 4, 1)
    first, second = page.groups
    assert [tile.image_id for tile in first.images] == [5, 6]
    assert [(g.category_id, g.states, g.differs) for g in first.labels] == [
        (CUP, (1, -1), True),
        (TABLE, (1, 0), False),
    ]
    assert [tile.image_id for tile in second.images] == [1, 2]
    assert [round(group.similarity, 2) for group in page.groups] == [0.93, 0.97]
    assert browser.near_duplicates(cut=0.95).total == 1


def test_without_a_model_there_are_no_groups_and_none_is_named(browser: Browser) -> None:
    page = browser.near_duplicates()
    assert (page.total, page.model_version_id) == (0, None)


def test_a_cut_out_of_range_is_refused(browser: Browser) -> None:
    with pytest.raises(InvalidInput, match="cut must be"):
        browser.near_duplicates(cut=0.2)


# ------------------------------------------------------------------------------- many at once


@pytest.mark.parametrize("bulk_from", [1, 500])
def test_counts_of_pictures_follow_alike_one_by_one_and_in_bulk(
    project: Project, bulk_from: int
) -> None:
    cells = packed.changes([1, 1, 2, 3], [1, 2, 1, 1], [1, -1, 0, 1], event_id=9)
    cells["before"] = [0, 0, 1, -1]
    with project.service.database.writing() as connection:
        bulk.count_images(connection, cells, bulk_from=bulk_from)
        _, known = store.known_counts(connection)
        revisions = store.revisions(connection, [1, 2, 3, 4])
        connection.rollback()
    assert known.tolist() == [2, -1, 0, 0, 0, 0]
    assert revisions == {1: 1, 2: 1, 3: 1, 4: 0}


def test_a_selection_of_hundreds_is_decided_and_taken_back_exactly(
    project: Project, browser: Browser
) -> None:
    project.service.add_images(scanned(range(7, 607), project.workspace.path / "pictures"))
    project.decide(project.ana, (3, CUP, 1), (500, CUP, -1), (600, TABLE, 1))
    before = project.table()
    result = decide(browser, project.ana, everything(browser), 1, overwrite=True, key="many")
    assert (result.added, result.overwritten, result.confirmed) == (604, 1, 1)
    project.undo(project.ana)
    assert project.table() == before
