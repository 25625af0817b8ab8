"""Contracts that decide all that is left, through the service."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest
from label_project import Project, make_project
from numpy.typing import NDArray

from annotator.completion import finishing
from annotator.completion.contract_questions import WATCH_ANSWERS
from annotator.completion.contract_states import ContractState
from annotator.completion.pools import Pool, another_seed
from annotator.completion.use_cases import Completion
from annotator.db import contracts as db
from annotator.db import store
from annotator.errors import Conflict, InvalidInput
from annotator.service import CellChange
from annotator.standing import next_step
from annotator.web.completion_page import facts
from benchmarks.made_scores import MadeScores

IMAGES, CATEGORIES, TARGET = 600, 4, 0.06


@dataclass
class Finishing:
    """A project whose model is right as often as it says, and the truth behind it."""

    project: Project
    truth: NDArray[np.int8]

    @property
    def completion(self) -> Completion:
        return self.project.service.completion

    def propose(self, target: float = TARGET) -> ContractState:
        return self.completion.propose(self.project.ana, "finish", target=target, seed=2)

    def state(self, contract_id: int = 1) -> ContractState:
        return self.completion.contract(contract_id)

    def answer(self, tell: Callable[[int], int] = lambda state: state, portions: int = 99) -> int:
        """Answer what is asked blind, portion after portion; returns how many."""
        project, answered = self.project, 0
        for _ in range(portions):
            images = project.service.next_images(project.bo, "audit", count=100).images
            cells = [
                CellChange(i.id, s.category_id, tell(int(self.truth[i.id - 1, s.category_id - 1])))
                for i in images
                for s in i.suggestions
            ]
            if not cells or self.completion.contracts()[0].stage == "active":
                break
            key = f"blind-{next(project.keys)}"
            project.service.decide(project.bo, cells, key=key, source="audit")
            answered += len(cells)
        return answered

    def wrong(self) -> int:
        labels = self.project.service.labels().states
        return int(((labels != self.truth) & (labels != 0)).sum())

    def applied(self) -> ContractState:
        self.propose()
        self.answer()
        return self.completion.apply(self.project.ana, 1, key="apply")


@pytest.fixture
def made(tmp_path: Path, empty_labels: Path) -> Iterator[Finishing]:
    project = make_project(tmp_path / "w", template=empty_labels, images=IMAGES)
    rng = np.random.default_rng(0)
    probability = rng.beta(0.03, 0.2, (IMAGES, CATEGORIES)).astype(np.float32)
    truth = np.where(rng.random(probability.shape) < probability, 1, -1).astype(np.int8)
    project.decide(project.ana, *((1, c + 1, int(truth[0, c])) for c in range(CATEGORIES)))
    project.add_version(replace(MadeScores.random(IMAGES, CATEGORIES, 0), probability=probability))
    yield Finishing(project, truth)
    project.check()
    project.service.close()


def test_it_decides_everything_and_keeps_its_promise(made: Finishing) -> None:
    state = made.applied()
    assert state.stage == "active"
    assert made.project.service.status().known == IMAGES * CATEGORIES
    assert made.wrong() <= TARGET * IMAGES * CATEGORIES
    assert state.answered < 600


def test_it_decides_present_and_absent(made: Finishing) -> None:
    made.applied()
    event = made.project.service.events(limit=1)[0]
    assert event.summary["present"] > 20
    assert event.summary["absent"] > 20


def test_it_is_undone_as_one(made: Finishing) -> None:
    made.propose()
    made.answer()
    before = made.project.states()
    made.completion.apply(made.project.ana, 1, key="apply")
    made.project.undo(made.project.ana)
    assert made.project.states() == before
    assert made.state().stage == "undone"


def test_a_first_portion_is_asked_and_the_next_ones_follow_by_themselves(made: Finishing) -> None:
    first = made.propose()
    planned = first.contract.config["planned"]
    assert first.asked == finishing.portion(planned, 0) < planned
    assert f"0 of about {planned:,} blind answers" in first.words()
    step = next_step(facts(made.project.service)).text
    assert step.startswith(f"Answer {first.asked} blind questions on ")
    assert f"0 of about {planned:,} answers in all are given" in step
    made.answer(portions=first.asked)
    assert made.state().stage == "proved"
    assert made.state().asked >= first.asked


def test_no_cell_is_asked_twice_and_risky_ones_are_asked_more_often(made: Finishing) -> None:
    made.propose()
    made.answer()
    with made.project.service.database.reading() as connection:
        audits = db.audits(connection, 1, db.PROPOSAL)
    assert len({(a.image_id, a.category_id) for a in audits}) == len(audits)
    risk = finishing.risks(np.array([a.score for a in audits], dtype=np.float32))
    assert risk.mean() > 0.03  # over all cells it is about 0.02


def test_answers_drawn_by_an_earlier_rule_prove_nothing_and_it_says_so(made: Finishing) -> None:
    config = dict(made.propose().contract.config)
    del config["drawn_by"]
    with made.project.service.database.writing() as connection:
        db.change(connection, 1, config=config)
    assert "drawn by another version" in made.completion.contracts()[0].trouble  # before any answer
    assert made.state().trouble == made.completion.contracts()[0].trouble
    assert made.state().stage == "asking"
    assert made.completion.waiting() == (0, 0)
    assert made.answer(portions=1) == 0  # nobody is asked in vain
    made.completion.withdraw(made.project.ana, 1, key="withdraw")
    assert made.propose().trouble == ""


def test_a_proof_does_not_outlive_an_answer_that_was_taken_back(made: Finishing) -> None:
    made.propose()
    made.answer()
    proved = made.state()
    made.project.undo(made.project.bo)
    again = made.state()
    assert (proved.stage, again.stage) == ("proved", "asking")
    assert again.contract.threshold is None
    with pytest.raises(Conflict, match="is not proved"):
        made.completion.apply(made.project.ana, 1, key="a")
    made.answer()
    assert made.state().stage == "proved"


def test_answers_are_taken_also_where_the_pool_is_lost(made: Finishing) -> None:
    asked = made.propose().asked
    (made.project.workspace.path / "contracts" / "1.npz").unlink()
    assert made.answer() == asked
    assert made.state().answered == asked
    assert "cannot be read" in made.state().words()
    assert made.completion.withdraw(made.project.ana, 1, key="w").stage == "withdrawn"


def test_answers_against_the_model_prove_nothing(made: Finishing) -> None:
    made.propose()
    made.answer(lambda state: -state)
    state = made.state()
    assert state.stage == "unproved"
    assert "disagreed with the model" in state.words()
    with pytest.raises(Conflict, match="is not proved"):
        made.completion.apply(made.project.ana, 1, key="a")


def test_a_promise_that_the_model_itself_does_not_believe_is_refused(made: Finishing) -> None:
    with pytest.raises(InvalidInput, match=r"at most 0\.1 % of all cells wrong"):
        made.propose(0.001)


def test_a_new_proposal_after_one_that_was_dropped_has_a_smaller_share_of_the_chance(
    made: Finishing,
) -> None:
    first = made.propose().contract.config["level"]
    made.completion.withdraw(made.project.ana, 1, key="w")
    second = made.propose().contract.config["level"]
    assert (first, second) == (pytest.approx(0.96), pytest.approx(0.992))


def test_it_is_withdrawn_when_later_answers_show_that_it_was_broken(made: Finishing) -> None:
    made.applied()
    project = made.project
    for _ in range(4):
        images = project.service.next_images(project.bo, "audit", count=100).images
        cells = [
            CellChange(i.id, s.category_id, -int(made.truth[i.id - 1, s.category_id - 1]))
            for i in images
            for s in i.suggestions
        ]
        if not cells:
            break
        assert len(cells) <= WATCH_ANSWERS
        project.service.decide(project.bo, cells, key=f"k-{next(project.keys)}", source="audit")
    assert made.state().stage == "withdrawn"
    assert "more is wrong" in made.state().words()


def test_what_is_checked_afterwards_owes_nothing_to_the_draw_by_risk(made: Finishing) -> None:
    contract = made.applied().contract
    with made.project.service.database.reading() as connection:
        watched = [(a.image_id, a.category_id) for a in db.audits(connection, 1, db.WATCH)]
        cells = np.concatenate(list(store.event_cells(connection, contract.event_id or 0)))
    images, categories = cells["image"].astype(np.int64), cells["category"].astype(np.int64)
    decided = Pool(images, categories, cells["after_score"], np.ones(len(cells), dtype=bool))
    first = decided.order(another_seed(contract.config["seed"]))[:WATCH_ANSWERS]
    assert watched == list(zip(images[first].tolist(), categories[first].tolist(), strict=True))


def test_risky_cells_are_checked_no_later_than_others() -> None:
    """Mean place, as a share, of risky cells that a first portion left; 0.5 if drawn evenly."""
    rng = np.random.default_rng(5)
    score = np.where(rng.random(4_000) < 0.1, 0.2, 0.001).astype(np.float32)
    ids = np.arange(1, 4_001)
    pool = Pool(ids, np.ones_like(ids), score, np.ones(4_000, dtype=bool))
    nobody = np.zeros(0, dtype=np.int64)
    places = []
    for seed in range(40):
        asked = finishing.draw(pool, nobody, allowed=160, seed=seed, number=0, count=150)
        order = pool.order(another_seed(seed))
        left = order[~np.isin(order, asked)]
        places.append(np.flatnonzero(score[left] > 0.1) / len(left))
    assert np.concatenate(places).mean() == pytest.approx(0.5, abs=0.01)


def test_a_preview_tells_the_answers_planned(made: Finishing) -> None:
    told = made.completion.preview("finish", target=TARGET)
    state = made.propose()
    assert told.questions == state.contract.config["planned"]
    assert told.cells == state.expected_cells
    assert told.words().startswith(f"About {told.questions:,} blind questions on ")
    assert f"about {told.cells:,} cells" in told.words()
    assert f"about {told.cells:,} cells" in state.words()
    assert "decided as the model says" in told.words()
    assert "of all cells wrong" in told.words()


def test_what_is_promised_says_how_many_of_the_decided_cells_may_be_wrong(made: Finishing) -> None:
    allowed = int(TARGET * IMAGES * CATEGORIES)
    told = made.completion.preview("finish", target=TARGET)
    assumed = f"(up to {allowed} of the {told.cells:,} decided; labels known before count as right)"
    assert assumed in told.words()
    assert f"(up to {allowed} of the" in made.propose().words()
    made.answer()
    proved = made.state()
    assert f"(up to {allowed} of the {proved.contract.cells:,} decided; labels" in proved.words()
    made.completion.apply(made.project.ana, 1, key="apply")
    assert "labels known before count as right" in made.state().words()
    made.project.service.category_changes.remove(made.project.ana, 1, key="goes")
    left = allowed - int(TARGET * IMAGES)
    assert f"(up to {left} of the {made.state().contract.cells:,} decided" in made.state().words()
