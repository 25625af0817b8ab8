"""What becomes of contracts and their blind questions when categories go and come back."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from contract_project import IMAGES, Contracted, contracted
from label_project import NAMES, make_project
from typer.testing import CliRunner

from annotator.cli import app
from annotator.completion.contract_states import ContractState
from annotator.db import contracts as db
from annotator.errors import NotFound
from annotator.service import CellChange
from annotator.web.data_words import merge_text, removal_text

GOING, STAYING = 3, 1
HOSTILE = NAMES[GOING - 1]
Change = Callable[[Contracted], int]


@pytest.fixture
def made(tmp_path: Path, empty_labels: Path) -> Iterator[Contracted]:
    project = make_project(tmp_path / "w", template=empty_labels, images=IMAGES)
    yield contracted(project)
    project.check()
    project.service.close()


def remove(made: Contracted) -> int:
    changes = made.project.service.category_changes
    return changes.remove(made.project.ana, GOING, key="goes").event_id


def merge(made: Contracted) -> int:
    changes = made.project.service.category_changes
    user = made.project.ana
    return changes.merge(user, GOING, STAYING, on_conflict="keep", key="goes").event_id


def come_back(made: Contracted, event_id: int) -> None:
    made.project.service.undo(made.project.ana, key="comes-back", event_id=event_id)


def state(made: Contracted, contract_id: int = 1) -> ContractState:
    return next(s for s in made.completion.contracts() if s.contract.id == contract_id)


def asked(made: Contracted) -> set[int]:
    """Categories of the open blind questions."""
    with made.project.service.database.reading() as connection:
        return {audit.category_id for audit in db.open_audits(connection)}


goes = pytest.mark.parametrize("goes", [remove, merge])


@goes
def test_a_proposal_over_several_categories_ends_with_one_of_them(
    made: Contracted, goes: Change
) -> None:
    before = made.completion.propose(made.project.ana, "accept", target=0.1, seed=3)
    event_id = goes(made)
    ended = state(made)
    assert ended.stage == "withdrawn"
    assert "was removed or merged" in ended.words()
    assert asked(made) == set()
    assert made.project.service.next_images(made.project.bo, "audit").images == ()
    come_back(made, event_id)
    assert state(made) == before
    assert asked(made) == {1, 2, 3, 4}
    made.answer_all()
    made.completion.apply(made.project.ana, 1, key="apply")
    assert state(made).stage == "active"


@pytest.mark.parametrize("kind", ["accept", "reject", "finish"])
@goes
def test_an_applied_contract_goes_on_over_the_categories_that_stay(
    made: Contracted, goes: Change, kind: str
) -> None:
    contract_id = made.proved(kind, target=0.2).contract.id
    made.completion.apply(made.project.ana, contract_id, key="apply")
    before = state(made, contract_id).contract
    event_id = goes(made)
    after = state(made, contract_id).contract
    assert before.cells > after.cells > 0
    (gone,) = after.config["without"].values()
    assert gone["cells"] == before.cells - after.cells
    assert gone["whole"] > 0
    for _ in range(3):  # rounds of questions
        assert asked(made) <= {1, 2, 4}
        answer_round(made)
    assert state(made, contract_id).stage == "active"
    assert {one.category_id for one in made.completion.checked()} <= {1, 2, 4}
    come_back(made, event_id)
    back = state(made, contract_id).contract
    assert (back.cells, back.config) == (before.cells, before.config)
    answer_round(made)
    assert state(made, contract_id).stage == "active"


def answer_round(made: Contracted) -> None:
    with made.project.service.database.reading() as connection:
        open_ones = db.open_audits(connection)
    cells = [
        CellChange(a.image_id, a.category_id, made.state(a.image_id, a.category_id))
        for a in open_ones
    ]
    key = f"round-{next(made.project.keys)}"
    made.project.service.decide(made.project.bo, cells, key=key, source="audit")


def test_an_applied_contract_is_withdrawn_by_wrong_answers_after_a_category_went(
    made: Contracted,
) -> None:
    contract_id = made.proved("accept", target=0.1).contract.id
    made.completion.apply(made.project.ana, contract_id, key="apply")
    remove(made)
    made.answer_all(lambda state: -1)
    assert state(made, contract_id).stage == "withdrawn"


@goes
@pytest.mark.parametrize("applied", [False, True])
def test_the_contract_of_a_category_goes_and_comes_back_with_it(
    made: Contracted, goes: Change, applied: bool
) -> None:
    propose = made.completion.propose
    contract_id = propose(
        made.project.ana, "accept", target=0.3, category_id=GOING, seed=3
    ).contract.id
    if applied:
        made.answer_all()
        made.completion.apply(made.project.ana, contract_id, key="apply")
    before, states = state(made, contract_id), made.project.states()
    event_id = goes(made)
    assert made.completion.contracts() == []
    with pytest.raises(NotFound):
        made.completion.contract(contract_id)
    assert asked(made) == set()
    come_back(made, event_id)
    assert state(made, contract_id) == before
    assert made.project.states() == states
    made.answer_all()
    assert state(made, contract_id).stage in ("proved", "active")


def test_a_proposal_for_another_category_stays(made: Contracted) -> None:
    made.completion.propose(made.project.ana, "accept", target=0.1, category_id=STAYING, seed=3)
    before = state(made)
    remove(made)
    assert state(made) == before


def test_a_proposal_made_meanwhile_keeps_the_older_one_ended(made: Contracted) -> None:
    made.completion.propose(made.project.ana, "accept", target=0.1, seed=3)
    event_id = remove(made)
    made.completion.propose(made.project.ana, "accept", target=0.1, seed=3)
    come_back(made, event_id)
    assert [state(made, i).stage for i in (1, 2)] == ["withdrawn", "asking"]


def test_a_new_name_is_the_one_that_is_asked(made: Contracted) -> None:
    made.completion.propose(made.project.ana, "accept", target=0.3, category_id=GOING, seed=3)
    changes = made.project.service.category_changes
    changes.rename(made.project.ana, GOING, "<b>new</b>", key="rename")
    images = made.project.service.next_images(made.project.bo, "audit", count=5).images
    assert {s.name for image in images for s in image.suggestions} == {"<b>new</b>"}


def test_what_would_end_is_told_before(made: Contracted) -> None:
    made.completion.propose(made.project.ana, "accept", target=0.1, seed=3)
    changes = made.project.service.category_changes
    ends = "1 proposed contract over several categories will end."
    assert ends in removal_text(changes.preview_removal(GOING))
    assert ends in merge_text(changes.preview_merge(GOING, STAYING))
    at = ["-w", str(made.project.workspace.path)]
    for command in (["delete", HOSTILE], ["merge", HOSTILE, "cup"]):
        told = CliRunner().invoke(app, ["categories", *command, *at], env={"COLUMNS": "300"})
        assert ends in told.output
    made.completion.withdraw(made.project.ana, 1, key="w")
    assert ends not in removal_text(changes.preview_removal(GOING))
