"""Contracts from proposal to withdrawal, through the service."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Literal

import numpy as np
import pytest
from contract_project import IMAGES, Contracted, contracted
from label_project import NAMES, Project, make_project
from sqlalchemy import Engine, event
from typer.testing import CliRunner

from annotator.cli import app
from annotator.completion import contracts
from annotator.completion.contract_questions import WATCH_ANSWERS
from annotator.completion.drafting import NothingSaved, Promise
from annotator.completion.planning import Kind, Plan
from annotator.completion.pools import Pool
from annotator.db import contracts as db
from annotator.errors import Conflict, InvalidInput, NotFound, OutOfReach, WorkspaceError
from annotator.service import CellChange
from annotator.standing import next_step
from annotator.web.completion_page import facts
from annotator.web.contracts_page import (
    apply_words,
    contracts_table,
    preview_of,
    preview_table,
    propose,
    said_of,
    withdraw_words,
    withdrawal_words,
)
from annotator.web.data_words import describe, undoable


@pytest.fixture
def made(tmp_path: Path, empty_labels: Path) -> Iterator[Contracted]:
    project = make_project(tmp_path / "w", template=empty_labels, images=IMAGES)
    yield contracted(project)
    project.check()
    project.service.close()


@pytest.fixture
def made_anywhere(
    request: pytest.FixtureRequest, tmp_path: Path, empty_labels: Path
) -> Iterator[Contracted]:
    url = request.getfixturevalue("postgres").new_label_database()
    project = make_project(tmp_path / "w", url=url, template=empty_labels, images=IMAGES)
    yield contracted(project)
    project.check()
    project.service.close()


def test_a_proposal_decides_nothing(made: Contracted) -> None:
    before = made.project.states()
    state = made.completion.propose(made.project.ana, "accept", target=0.1)
    assert state.stage == "asking"
    assert state.expected_cells > state.asked > 10
    assert made.project.states() == before


def test_the_sample_is_the_start_of_the_random_order_of_the_pool(made: Contracted) -> None:
    contract = made.completion.propose(made.project.ana, "accept", target=0.1, seed=5).contract
    config = contract.config
    pool = Pool.load(made.project.workspace.path, contract.id, config["digest"])
    with made.project.service.database.reading() as connection:
        audits = db.audits(connection, contract.id, db.PROPOSAL)
    first = pool.order(5)[: config["asked"]]
    assert [a.place for a in audits] == list(range(config["asked"]))
    assert [a.image_id for a in audits] == pool.image_ids[first].tolist()
    assert [a.category_id for a in audits] == pool.category_ids[first].tolist()


def test_a_damaged_pool_is_refused(made: Contracted) -> None:
    state = made.proved()
    file = made.project.workspace.path / "contracts" / f"{state.contract.id}.npz"
    pool = Pool.load(made.project.workspace.path, 1, state.contract.config["digest"])
    replace(pool, score=pool.score[::-1].copy()).save(made.project.workspace.path, 1)
    assert file.exists()
    with pytest.raises(WorkspaceError, match="not those that were drawn from"):
        made.completion.apply(made.project.ana, 1, key="a")


@pytest.mark.parametrize("content", [None, b"", b"hello", b"PK\x03\x04", b"cut"])
def test_a_contract_whose_pool_is_lost_says_so_and_can_be_dropped(
    made: Contracted, content: bytes | None
) -> None:
    ana, completion = made.project.ana, made.completion
    completion.propose(ana, "accept", target=0.1)
    completion.propose(ana, "reject", target=0.2)
    made.answer_all()
    file = made.project.workspace.path / "contracts" / "1.npz"
    whole = file.read_bytes()
    file.unlink()
    if content is not None:
        file.write_bytes(whole[: len(whole) // 2] if content == b"cut" else content)
    other, lost = completion.contracts()
    assert (other.stage, lost.stage) == ("proved", "asking")
    assert completion.contract(1) == lost
    assert "cells of contract 1 cannot be read" in lost.words()
    assert "withdraw it and propose a new one" in lost.words()
    with pytest.raises(WorkspaceError, match="cannot be read"):
        completion.apply(ana, 1, key="a")
    assert completion.withdraw(ana, 1, key="w").stage == "withdrawn"
    assert completion.preview("accept", target=0.1).questions > 0


def test_the_pool_stays_until_what_was_applied_is_committed(made: Contracted) -> None:
    contract = made.proved().contract
    path, ana = made.project.workspace.path, made.project.ana

    def apply_and_fail() -> None:
        at = made.project.clock()
        with made.project.service.database.writing() as connection:
            contracts.apply(connection, path, contract, user_id=ana, key="a", digest="d", at=at)
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        apply_and_fail()
    assert made.completion.apply(ana, contract.id, key="a").stage == "active"
    assert list((path / "contracts").iterdir()) == []


@pytest.mark.parametrize(("kind", "target"), [("accept", 0.1), ("reject", 0.2)])
def test_a_preview_tells_what_the_proposal_then_asks(
    made: Contracted, kind: Literal["accept", "reject"], target: float
) -> None:
    told = made.completion.preview(kind, target=target)
    assert made.completion.contracts() == []
    assert made.completion.waiting() == (0, 0)
    state = made.completion.propose(made.project.ana, kind, target=target)
    assert (told.questions, told.cells) == (state.asked, state.expected_cells)
    assert made.completion.waiting() == (told.questions, told.images)
    assert sum(one.cells for one in told.by_category) == told.cells
    assert sum(one.questions for one in told.by_category) == told.questions
    with made.project.service.database.reading() as connection:
        asked = [a.category_id for a in db.audits(connection, 1, db.PROPOSAL, db.OUTSIDE)]
    assert {one.category_id: one.questions for one in told.by_category if one.questions} == {
        category: asked.count(category) for category in set(asked)
    }


@pytest.mark.parametrize("kind", ["accept", "reject"])
def test_a_promise_out_of_reach_names_the_smallest_that_is_not(
    made: Contracted, kind: Kind
) -> None:
    with pytest.raises(OutOfReach) as refused:
        made.completion.preview(kind, target=0.0001)
    named = re.search(r"([\d.]+) % could be promised now, by ([\d,]+) blind", str(refused.value))
    assert named is not None
    told = made.completion.preview(kind, target=float(named[1]) / 100)
    assert f"{told.questions:,}" == named[2]
    with pytest.raises(OutOfReach, match="label more first"):
        made.completion.preview("accept", target=0.1, confidence=1 - 2**-53)


def test_what_could_be_promised_instead_is_sought_outside_the_transaction() -> None:
    tried: list[float] = []

    def planned_for(target: float) -> Plan | None:
        tried.append(target)
        return Plan(np.arange(50), 30, 1.0) if target >= 0.05 else None

    refused = NothingSaved(Promise("reject", 0.01), 70, planned_for)
    assert (tried, "label more first" in str(refused)) == ([], True)
    assert "5 % could be promised now, by 50 blind answers" in str(refused.explained())


def test_a_refused_proposal_names_the_same_as_its_preview(made: Contracted) -> None:
    with pytest.raises(OutOfReach) as previewed:
        made.completion.preview("accept", target=0.0001)
    with pytest.raises(OutOfReach, match="could be promised now") as proposed:
        made.completion.propose(made.project.ana, "accept", target=0.0001)
    assert str(proposed.value) == str(previewed.value)


def test_a_preview_is_refused_as_the_proposal_would_be(made: Contracted) -> None:
    with pytest.raises(InvalidInput, match="nothing can be decided"):
        made.completion.preview("accept", target=0.0001)
    made.completion.propose(made.project.ana, "accept", target=0.1)
    with pytest.raises(Conflict, match="is proposed already"):
        made.completion.preview("accept", target=0.2)
    assert made.completion.preview("accept", target=0.2, category_id=2).by_category[0].cells > 0


def test_the_preview_of_a_withdrawal_counts_what_is_unknown_afterwards(made: Contracted) -> None:
    state = made.proved()
    made.completion.apply(made.project.ana, state.contract.id, key="a")
    decided = sorted(set(made.project.states()))
    mine = [cell for cell in decided if cell[0] > 1][:3]
    with made.project.service.database.reading() as connection:
        asked = {(a.image_id, a.category_id) for a in db.audits(connection, 1, db.PROPOSAL)}
    changed = [cell for cell in mine if cell not in asked]
    made.project.decide(made.project.bo, *((*cell, -1) for cell in mine))
    told = made.completion.preview_withdrawal(1)
    assert told.kept == len(changed)
    assert told.waiting == WATCH_ANSWERS
    made.completion.withdraw(made.project.ana, 1, key="w")
    assert len(decided) - len(made.project.states()) == told.cells
    with pytest.raises(Conflict, match="withdrawn already"):
        made.completion.preview_withdrawal(1)


def test_dropping_a_proposal_changes_no_cell(made: Contracted) -> None:
    state = made.completion.propose(made.project.ana, "accept", target=0.1)
    told = made.completion.preview_withdrawal(state.contract.id)
    assert (told.cells, told.kept, told.waiting) == (0, 0, state.asked)


def test_blind_pages_show_nothing_that_could_sway(made: Contracted) -> None:
    made.completion.propose(made.project.ana, "accept", target=0.1)
    page = made.project.service.next_images(made.project.bo, "audit", count=5)
    assert page.blind
    for image in page.images:
        assert image.known == ()
        assert image.model_version_id is None
        assert image.suggestions
        assert all(np.isnan(s.probability) and s.reasons == () for s in image.suggestions)
    cell = CellChange(page.images[0].id, page.images[0].suggestions[0].category_id, 1)
    answer = made.project.service.decide(made.project.bo, [cell], key="b", source="audit")
    assert answer.images[0].known == ()
    assert cell.category_id not in {s.category_id for s in answer.images[0].suggestions}


def test_two_people_get_different_blind_pictures(made: Contracted) -> None:
    made.completion.propose(made.project.ana, "accept", target=0.1)
    service = made.project.service
    mine = service.next_images(made.project.ana, "audit", count=5).images
    theirs = service.next_images(made.project.bo, "audit", count=5).images
    assert not {i.id for i in mine} & {i.id for i in theirs}
    again = service.next_images(made.project.ana, "audit", count=5).images
    assert [i.id for i in again] == [i.id for i in mine]


def test_a_picture_passed_without_an_answer_comes_again(made: Contracted) -> None:
    made.completion.propose(made.project.ana, "accept", target=0.1)
    service, ana = made.project.service, made.project.ana
    seen = [service.next_images(ana, "audit").images[0].id]
    for _ in range(service.next_images(ana, "audit").total):
        made.project.clock.forward(seconds=1)
        seen.append(service.next_images(ana, "audit", after=seen[-1]).images[0].id)
    assert seen[-1] == seen[0]
    assert len(set(seen)) == len(seen) - 1 > 10


@contextmanager
def statements() -> Iterator[list[str]]:
    """What is sent to databases meanwhile."""
    sent: list[str] = []

    def note(_connection: object, _cursor: object, statement: str, *_: object) -> None:
        sent.append(statement)

    event.listen(Engine, "before_cursor_execute", note)
    try:
        yield sent
    finally:
        event.remove(Engine, "before_cursor_execute", note)


def test_listing_contracts_takes_the_same_queries_however_many_there_are(
    made: Contracted,
) -> None:
    counts = []
    for i in range(3):
        made.completion.propose(made.project.ana, "accept", target=0.1)
        made.completion.withdraw(made.project.ana, i + 1, key=f"w{i}")
        with statements() as sent:
            assert len(made.completion.contracts()) == i + 1
        counts.append(len(sent))
    assert len(set(counts)) == 1


def test_an_answer_reads_no_questions_of_other_pictures(made: Contracted) -> None:
    made.completion.propose(made.project.ana, "finish", target=0.2)
    image = made.project.service.next_images(made.project.bo, "audit").images[0]
    cell = CellChange(image.id, image.suggestions[0].category_id, 1)
    with statements() as sent:
        made.project.service.decide(made.project.bo, [cell], key="b", source="audit")
    read = [one for one in sent if one.startswith("SELECT audit.")]
    assert read
    assert all("audit.image_id IN" in one for one in read)


def test_answers_that_were_not_blind_do_not_count(made: Contracted) -> None:
    made.completion.propose(made.project.ana, "accept", target=0.1)
    page = made.project.service.next_images(made.project.bo, "audit")
    image, category = page.images[0].id, page.images[0].suggestions[0].category_id
    made.project.decide(made.project.ana, (image, category, 1))
    assert made.completion.contracts()[0].answered == 0


def test_applying_before_the_answers_are_in_is_refused(made: Contracted) -> None:
    state = made.completion.propose(made.project.ana, "accept", target=0.1)
    with pytest.raises(Conflict, match="is not proved"):
        made.completion.apply(made.project.ana, state.contract.id, key="a")


def test_a_proved_contract_decides_its_cells_as_one_event(made: Contracted) -> None:
    state = made.proved()
    assert state.stage == "proved"
    before = made.project.states()
    done = made.completion.apply(made.project.ana, state.contract.id, key="a")
    new = {cell: s for cell, s in made.project.states().items() if cell not in before}
    assert done.stage == "active"
    assert len(new) == done.contract.cells > 50
    assert set(new.values()) == {1}
    wrong = sum(made.state(*cell) != 1 for cell in new)
    assert wrong <= 0.1 * len(new)
    assert made.completion.apply(made.project.ana, state.contract.id, key="a").stage == "active"


def test_a_reject_contract_decides_absent(made: Contracted) -> None:
    state = made.proved("reject", 0.2)
    before = made.project.states()
    done = made.completion.apply(made.project.ana, state.contract.id, key="a")
    new = {cell: s for cell, s in made.project.states().items() if cell not in before}
    assert set(new.values()) == {-1}
    missed = sum(made.state(*cell) == 1 for cell in new)
    assert missed <= 0.2 * (made.truth == 1).sum()
    assert "missing at most" in done.words()


def test_undo_takes_a_contract_back_as_one(made: Contracted) -> None:
    state = made.proved()
    before = made.project.table()
    made.completion.apply(made.project.ana, state.contract.id, key="a")
    made.project.undo(made.project.ana)
    assert made.project.table() == before
    assert made.completion.contracts()[0].stage == "undone"
    assert made.completion.waiting() == (0, 0)


def test_a_contract_is_among_the_changes_that_anybody_takes_back(made: Contracted) -> None:
    state = made.proved()
    cells = made.completion.apply(made.project.ana, state.contract.id, key="a").contract.cells
    service = made.project.service
    newest = undoable(service.category_changes.history())[0]
    assert describe(newest) == f"Contract 1 decided {cells:,} cells"
    assert service.undo(made.project.bo, key="u", event_id=newest.id).cells == cells
    assert made.completion.contracts()[0].stage == "undone"
    assert newest.id not in {one.id for one in undoable(service.category_changes.history())}


def test_undoing_a_blind_answer_asks_again(made: Contracted) -> None:
    made.completion.propose(made.project.ana, "accept", target=0.1)
    page = made.project.service.next_images(made.project.bo, "audit")
    cell = CellChange(page.images[0].id, page.images[0].suggestions[0].category_id, 1)
    before = made.completion.waiting()
    made.project.service.decide(made.project.bo, [cell], key="b", source="audit")
    assert made.completion.waiting()[0] == before[0] - 1
    undone = made.project.undo(made.project.bo)
    assert made.completion.waiting() == before
    assert undone.images == ()  # what else is known of the picture would sway the second answer


def test_a_proof_does_not_outlive_an_answer_that_was_taken_back(made: Contracted) -> None:
    made.completion.propose(made.project.ana, "accept", target=0.1, seed=3)
    page = made.project.service.next_images(made.project.bo, "audit", count=100)
    cells = [CellChange(i.id, s.category_id, 1) for i in page.images for s in i.suggestions]
    made.project.service.decide(made.project.bo, cells, key="b", source="audit")
    proved = made.completion.contract(1)
    assert proved.stage == "proved"
    made.project.undo(made.project.bo)
    again = made.completion.contract(1)
    assert (again.stage, again.answered) == ("asking", 0)
    assert "would decide up to" in again.words()
    with pytest.raises(Conflict, match="is not proved"):
        made.completion.apply(made.project.ana, 1, key="a")
    made.answer_all(lambda state: -1)
    found = made.completion.contract(1)
    assert (found.stage, found.wrong) == ("unproved", found.asked)
    assert found.contract.config["level"] > proved.contract.config["level"]


def test_right_answers_afterwards_keep_a_contract_and_ask_on(made: Contracted) -> None:
    state = made.proved()
    made.completion.apply(made.project.ana, state.contract.id, key="a")
    project = made.project
    images = project.service.next_images(project.bo, "audit", count=100).images
    cells = [CellChange(i.id, s.category_id, 1) for i in images for s in i.suggestions]
    project.service.decide(project.bo, cells, key="watched", source="audit")
    found = made.completion.contracts()[0]
    assert found.stage == "active"
    assert found.watched == WATCH_ANSWERS
    assert found.contract.bound < state.contract.bound
    assert made.completion.waiting()[0] > 0


def test_wrong_answers_afterwards_withdraw_a_contract(made: Contracted) -> None:
    state = made.proved()
    before = set(made.project.states())
    made.completion.apply(made.project.ana, state.contract.id, key="a")
    made.answer_all(lambda state: -1)
    found = made.completion.contracts()[0]
    assert found.stage == "withdrawn"
    assert "blind answers disagreed" in found.contract.note
    # What people answered stays; everything else that it decided is unknown again.
    assert set(made.project.states().values()) == {1, -1}
    assert len(made.project.states()) == len(before) + WATCH_ANSWERS
    with made.project.service.database.reading() as connection:
        assert db.count_open_audits(connection) == (0, 0)


def test_a_person_can_withdraw_a_contract(made: Contracted) -> None:
    state = made.proved()
    before = made.project.table()
    made.completion.apply(made.project.ana, state.contract.id, key="a")
    found = made.completion.withdraw(made.project.bo, 1, key="w", reason="too bold")
    assert (found.stage, found.contract.note) == ("withdrawn", "too bold")
    assert made.project.table() == before
    assert made.completion.withdraw(made.project.bo, 1, key="w").stage == "withdrawn"
    with pytest.raises(Conflict, match="withdrawn already"):
        made.completion.withdraw(made.project.bo, 1, key="another")


def test_a_dropped_proposal_asks_nothing_more(made: Contracted) -> None:
    made.completion.propose(made.project.ana, "accept", target=0.1)
    made.completion.withdraw(made.project.ana, 1, key="w")
    assert made.completion.waiting() == (0, 0)
    assert made.project.service.next_images(made.project.bo, "audit").images == ()
    assert list((made.project.workspace.path / "contracts").iterdir()) == []


def test_a_second_proposal_of_a_kind_waits_for_the_first(made: Contracted) -> None:
    made.completion.propose(made.project.ana, "accept", target=0.1)
    with pytest.raises(Conflict, match="is proposed already"):
        made.completion.propose(made.project.ana, "accept", target=0.2)
    assert made.completion.propose(made.project.ana, "reject", target=0.2).stage == "asking"


def test_answers_that_prove_nothing_can_be_continued_at_a_higher_level(made: Contracted) -> None:
    made.completion.propose(made.project.ana, "accept", target=0.1)
    made.answer_all(lambda state: -1)
    found = made.completion.contracts()[0]
    assert found.stage == "unproved"
    assert "too many to promise" in found.contract.note
    first = found.contract.config["level"]
    assert made.completion.extend(1).stage == "asking"
    made.answer_all(lambda state: -1)
    assert made.completion.contracts()[0].contract.config["level"] > first > 0.95


def test_a_new_proposal_after_a_failed_one_is_held_to_a_higher_level(made: Contracted) -> None:
    made.completion.propose(made.project.ana, "accept", target=0.1)
    made.answer_all(lambda state: -1)
    made.completion.contracts()
    made.completion.withdraw(made.project.ana, 1, key="w")
    again = made.completion.propose(made.project.ana, "accept", target=0.2)
    assert again.contract.config["looks"] == 1


def test_what_was_proposed_is_known_however_many_contracts_came_after(made: Contracted) -> None:
    completion, ana = made.completion, made.project.ana
    completion.propose(ana, "accept", target=0.1)
    made.answer_all(lambda state: -1)
    completion.contracts()
    with made.project.service.database.writing() as connection:
        for _ in range(120):
            db.add(
                connection, kind="reject", category_id=2, target=0.1, confidence=0.95,
                status=db.WITHDRAWN, created_at=made.project.clock(),
                config={"looks": 0, "pool": 9, "asked": 9},
            )  # fmt: skip
    listed = completion.contracts()
    assert [one.contract.id for one in listed] == [*range(121, 21, -1), 1]
    assert len(completion.contracts(limit=None)) == completion.count() == 121
    rows = contracts_table(listed, made.project.service.categories(), completion.count())
    assert len(rows) == 102
    assert "20 older contracts not shown" in rows[-1][-1]
    with pytest.raises(Conflict, match="contract 1 of this kind is proposed already"):
        completion.preview("accept", target=0.1)
    completion.withdraw(ana, 1, key="w")
    again = completion.propose(ana, "accept", target=0.2).contract
    other = completion.propose(ana, "reject", target=0.2).contract
    assert again.config["looks"] == 1
    assert again.config["seed"] != other.config["seed"]


def test_one_category_alone(made: Contracted) -> None:
    state = made.completion.propose(made.project.ana, "accept", target=0.2, category_id=2)
    with made.project.service.database.reading() as connection:
        audits = db.audits(connection, state.contract.id, db.PROPOSAL)
    assert {audit.category_id for audit in audits} == {2}


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"target": 98.0}, "target must be between 0 and 1"),
        ({"target": 0.02, "confidence": 1.0}, "confidence must be"),
        ({"target": 0.0001}, "nothing can be decided"),
        ({"target": 0.1, "confidence": 1 - 2**-40}, "nothing can be decided"),
        ({"target": 0.1, "confidence": 1 - 2**-53}, "nothing can be decided"),
    ],
)
def test_an_impossible_promise_is_refused(
    made: Contracted, values: dict[str, float], message: str
) -> None:
    with pytest.raises(InvalidInput, match=message):
        made.completion.propose(made.project.ana, "accept", **values)
    with pytest.raises(NotFound):
        made.completion.propose(made.project.ana, "accept", target=0.1, category_id=99)


def test_without_a_model_there_is_nothing_to_decide_by(project: Project) -> None:
    with pytest.raises(Conflict, match="no model yet"):
        project.service.completion.propose(project.ana, "accept", target=0.1)


def test_a_contract_lives_on_postgresql_too(made_anywhere: Contracted) -> None:
    state = made_anywhere.proved()
    made_anywhere.completion.apply(made_anywhere.project.ana, state.contract.id, key="a")
    made_anywhere.answer_all(lambda state: -1)
    assert made_anywhere.completion.contracts()[0].stage == "withdrawn"


def test_the_service_computes_bounds_without_torch() -> None:
    code = "import sys, annotator.service; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_a_contract_can_be_proposed_listed_and_withdrawn_on_the_command_line(
    made: Contracted,
) -> None:
    at = ["-w", str(made.project.workspace.path)]
    run = CliRunner().invoke
    told = run(app, ["contract", "propose", "accept", "--target", "0.1", "--preview", *at])
    assert "blind questions on" in told.output
    assert "no contract yet" in run(app, ["contract", "list", *at]).output
    proposed = run(app, ["contract", "propose", "accept", "--target", "0.1", *at])
    assert "would decide up to" in proposed.output
    assert "asking" in run(app, ["contract", "list", *at]).output
    refused = run(app, ["contract", "apply", "1", *at])
    assert refused.exit_code == 1
    assert "does not wait for more" in run(app, ["contract", "extend", "1", *at]).output
    made.answer_all()
    cells = made.completion.contracts()[0].contract.cells
    assert "decided" in run(app, ["contract", "apply", "1", *at]).output
    before = made.project.states()
    asked = run(app, ["contract", "withdraw", "1", *at]).output
    assert asked.startswith(f"{cells} cells will be unknown again")
    assert made.project.states() == before
    assert "is withdrawn" in run(app, ["contract", "withdraw", "1", "--yes", *at]).output
    assert len(before) - len(made.project.states()) == cells


def test_the_page_proposes_applies_what_is_confirmed_and_tells_what_is_wrong(
    made: Contracted,
) -> None:
    service, ana = made.project.service, made.project.ana
    told = preview_of(service, "accept", 10, 95, 0)
    assert f"{told.questions} blind questions on" in told.words()
    assert preview_table(told, service.categories())[0][0] == NAMES[0]
    assert "Contract 1: would decide" in said_of(propose(service, ana, "accept", 10, 95, 0))
    asked = f"{told.questions} blind questions on {told.images} pictures"
    assert next_step(facts(service)).text == f"Answer {asked} to prove a contract."
    said, button = withdrawal_words(made.completion.preview_withdrawal(1))
    assert said.startswith("Contract 1 has decided nothing, so no cell changes")
    assert button == "Drop it"
    made.answer_all()
    cells = made.completion.contracts()[0].contract.cells
    assert next_step(facts(service)).text.startswith("Apply contract 1")
    with pytest.raises(InvalidInput, match=f"type {cells} to confirm"):
        apply_words(service, ana, 1, cells - 1)
    assert f"applied: {cells:,} cells decided" in apply_words(service, ana, 1, cells)
    assert {one.correct.total for one in made.completion.checked()} == {0}
    images = service.next_images(made.project.bo, "audit", count=20).images
    asked = [(image.id, s.category_id) for image in images for s in image.suggestions]
    blind = [CellChange(*cell, made.state(*cell)) for cell in asked]
    service.decide(made.project.bo, blind, key="watched", source="audit")
    checked = made.completion.checked()
    assert sum(one.correct.total for one in checked) == len(blind) > 0
    assert sum(one.correct.right for one in checked) == sum(cell.state == 1 for cell in blind)
    said, button = withdrawal_words(made.completion.preview_withdrawal(1))
    assert "would be unknown again" in said
    left = cells - len(blind)
    assert button == f"Withdraw: make {left} cells unknown"
    assert withdraw_words(service, ana, 1).endswith(f"{left} cells unknown again.")
    assert made.completion.checked() == []
