"""Sweep on a label database: pages, leases, the list of classes, and what is kept of an answer."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from label_project import Project, make_project

from annotator.answer_counts import AnswerCounts
from annotator.db import store
from annotator.errors import InvalidInput, NotFound
from annotator.precision import Answers, Share
from annotator.sweeping import SweepPage
from annotator.types import CellBatch, CellChange
from benchmarks.made_scores import MadeScores

CUP, TABLE = 1, 2
IMAGES = 30


@pytest.fixture
def swept(tmp_path: Path, empty_labels: Path) -> Iterator[Project]:
    """Thirty pictures; the model is surer of a cup the later the picture."""
    project = make_project(tmp_path / "workspace", template=empty_labels, images=IMAGES)
    add_version(project)
    yield project
    project.check()
    project.service.close()


def add_version(project: Project, cup: np.ndarray | None = None) -> int:
    scores = MadeScores.random(IMAGES, 4)
    probability = scores.probability.copy()
    probability[:, 0] = np.linspace(0.02, 0.98, IMAGES) if cup is None else cup
    logit = np.log(probability / (1 - probability))
    return project.add_version(replace(scores, probability=probability, picture_logit=logit))


def page(
    project: Project,
    user: int,
    side: str = "present",
    count: int = 5,
    without: tuple[int, ...] = (),
) -> SweepPage:
    return project.service.sweeping.page(user, CUP, side, count=count, without=without)


def images(found: SweepPage) -> list[int]:
    return [tile.image_id for tile in found.tiles]


def accept(project: Project, user: int, found: SweepPage, key: str, *flipped: int) -> None:
    """Decide a page as the browser does."""
    changes = [
        CellChange(t.image_id, CUP, -t.suggested if t.image_id in flipped else t.suggested)
        for t in found.tiles
    ]
    version = found.model_version_id
    project.service.decide(user, changes, key=key, source="sweep", model_version_id=version)


def test_a_page_has_the_surest_tiles_with_their_names(swept: Project) -> None:
    found = page(swept, swept.ana)
    assert images(found) == [30, 29, 28, 27, 26]
    assert found.tiles[0].file_name == "30.jpg"
    assert found.tiles[0].probability == pytest.approx(0.98, abs=1e-3)
    assert (found.present, found.absent, found.elsewhere) == (15, 15, 0)


def test_two_people_never_get_the_same_tiles(swept: Project) -> None:
    mine, theirs = page(swept, swept.ana), page(swept, swept.bo)
    assert set(images(mine)).isdisjoint(images(theirs))
    assert theirs.elsewhere == 5
    assert images(page(swept, swept.ana)) == images(mine)  # a reload shows the same page


def test_after_the_lease_tiles_are_everybody_s_again(swept: Project) -> None:
    mine = page(swept, swept.ana)
    swept.clock.forward(minutes=9)
    page(swept, swept.ana, without=tuple(images(mine)))  # the next page renews the lease
    swept.clock.forward(minutes=9)
    assert set(images(page(swept, swept.bo))).isdisjoint(images(mine))
    swept.clock.forward(minutes=2)
    assert images(page(swept, swept.bo, count=3)) == images(mine)[:3]


def test_tiles_given_back_are_everybody_s_but_not_those_of_others(swept: Project) -> None:
    mine = page(swept, swept.ana)
    swept.service.sweeping.release(swept.bo, CUP, images(mine))
    assert set(images(page(swept, swept.bo))).isdisjoint(images(mine))
    swept.service.sweeping.release(swept.ana, CUP, images(mine))
    assert images(page(swept, swept.bo)) == images(mine)


def test_an_accepted_page_is_one_event_and_the_next_goes_on(swept: Project) -> None:
    first = page(swept, swept.ana)
    accept(swept, swept.ana, first, "page-one", 28)
    assert {c[0]: state for c, state in swept.states().items()} == {
        30: 1, 29: 1, 28: -1, 27: 1, 26: 1,
    }  # fmt: skip
    assert images(page(swept, swept.ana)) == [25, 24, 23, 22, 21]
    swept.undo(swept.ana)
    assert swept.states() == {}
    assert images(page(swept, swept.ana)) == images(first)


def test_what_somebody_decides_meanwhile_is_not_asked(swept: Project) -> None:
    page(swept, swept.ana)
    swept.decide(swept.bo, (30, CUP, -1))
    assert images(page(swept, swept.ana)) == [29, 28, 27, 26, 25]


def test_a_new_version_takes_effect_with_the_next_page(swept: Project) -> None:
    old = page(swept, swept.ana)
    add_version(swept, np.linspace(0.98, 0.02, IMAGES))
    new = page(swept, swept.ana)
    assert images(new) == [1, 2, 3, 4, 5]
    assert new.model_version_id != old.model_version_id
    accept(swept, swept.ana, old, "page-one")  # the page on screen is still that of the old one
    answers = swept.service.answers()
    assert set(answers.version_ids.tolist()) == {old.model_version_id}
    assert set(answers.percent.tolist()) == {98, 95, 91, 88, 85}


def test_the_score_kept_is_the_one_that_was_shown(swept: Project) -> None:
    swept.decide(swept.bo, *((image, TABLE, 1) for image in range(16, 31)))
    found = page(swept, swept.ana, count=20)
    assert len(found.tiles) > 8
    accept(swept, swept.ana, found, "page-one")
    kept = {image: row[2] for (image, category), row in swept.table().items() if category == CUP}
    for tile in found.tiles:
        assert kept[tile.image_id] == pytest.approx(tile.probability, abs=1e-3)


def test_before_the_first_model_there_is_a_reason_and_no_tile(project: Project) -> None:
    found = project.service.sweeping.page(project.ana, CUP, "present", count=5)
    assert (found.tiles, found.waits_for) == ((), "there is no model yet")
    listed = project.service.sweeping.categories(project.ana, "present")
    assert listed.model_version_id is None
    assert {one.unknown for one in listed.categories} == {6}


def test_a_category_newer_than_the_model_says_so(swept: Project) -> None:
    (new,) = swept.service.add_categories(["teapot"])
    found = swept.service.sweeping.page(swept.ana, new.id, "present", count=5)
    assert "newer than the model" in found.waits_for


def test_the_list_counts_what_waits_and_how_right_the_past_was(swept: Project) -> None:
    accept(swept, swept.ana, page(swept, swept.ana), "page-one", 28)
    listed = swept.service.sweeping.categories(swept.ana, "present")
    (cup,) = [one for one in listed.categories if one.id == CUP]
    assert (cup.unknown, cup.present, cup.absent) == (25, 10, 15)
    assert (cup.share, cup.past.absent, cup.verdict) == (Share(4, 5), Share(0, 0), "open")
    assert listed.minimum == 0.95


def test_a_class_that_was_often_wrong_comes_after_the_others(swept: Project) -> None:
    found = page(swept, swept.ana, count=10)
    accept(swept, swept.ana, found, "page-one", *images(found))
    listed = swept.service.sweeping.categories(swept.ana, "present")
    waiting = [one.name for one in listed.categories if one.use]
    assert waiting[-1] == "cup"
    assert listed.categories[len(waiting) - 1].verdict == "below"


def test_the_minimum_is_a_person_s_own_setting(swept: Project) -> None:
    sweeping = swept.service.sweeping
    swept.service.set_user_settings(swept.ana, {"keys": {"why": ["w"]}})
    sweeping.set_minimum(swept.ana, 0.7)
    assert sweeping.categories(swept.ana, "both").minimum == 0.7
    assert sweeping.categories(swept.bo, "both").minimum == 0.95
    assert swept.service.user(swept.ana).settings["keys"] == {"why": ["w"]}


def test_wrong_requests_are_refused(swept: Project) -> None:
    sweeping = swept.service.sweeping
    with pytest.raises(InvalidInput, match="side"):
        sweeping.categories(swept.ana, "left")
    with pytest.raises(InvalidInput, match="count"):
        page(swept, swept.ana, count=0)
    with pytest.raises(NotFound, match="category"):
        sweeping.page(swept.ana, 99, "present", count=5)
    with pytest.raises(InvalidInput, match="minimum"):
        sweeping.set_minimum(swept.ana, 95)
    with pytest.raises(NotFound, match="user"):
        sweeping.categories(99, "present")


def rows(answers: Answers) -> set[tuple[object, ...]]:
    columns = (
        answers.category_ids,
        answers.version_ids,
        answers.sources,
        answers.percent,
        answers.states,
        answers.counts,
    )
    return set(zip(*(column.tolist() for column in columns), strict=True))


@pytest.mark.parametrize("seed", range(3))
def test_counts_that_follow_the_log_are_those_of_the_table(swept: Project, seed: int) -> None:
    rng = np.random.default_rng(seed)
    following = AnswerCounts()
    for step in range(25):
        user = swept.ana if rng.random() < 0.5 else swept.bo
        what = rng.random()
        cells = {(int(rng.integers(1, 5)), int(rng.integers(1, 5))) for _ in range(4)}
        states = [(image, category, int(rng.integers(-1, 2))) for image, category in sorted(cells)]
        if what < 0.6:
            swept.decide(user, *states)
        elif what < 0.8:
            try:
                swept.undo(user)
            except NotFound:
                continue
        else:
            batch = CellBatch.of([one for one in states if one[2]])
            swept.service.import_decisions([batch], user_id=user, conflict="overwrite")
        if step % 3 == 0:
            with swept.service.database.reading() as connection:
                assert rows(following.now(connection)) == rows(store.answers(connection))
