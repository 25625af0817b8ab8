"""What is said about where a project stands."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from annotator.precision import Share
from annotator.progress import Activity, people
from annotator.standing import (
    Effort,
    Facts,
    Few,
    Sweepable,
    effort,
    effort_words,
    next_step,
    wrong_words,
)

OPEN = Facts(images=100, categories=3, unknown=250)
SURE = Sweepable("person", "present", 120, Share(98, 100))


@pytest.mark.parametrize(
    ("facts", "said", "place"),
    [
        (Facts(0, 0, 0), "Add pictures", ""),
        (Facts(5, 0, 0), "Add categories", "data"),
        (
            replace(OPEN, ready=[(1, 20), (4, 1_420)], blind_to_prove=3),
            "Apply contract 4",
            "contracts",
        ),
        (
            replace(OPEN, blind_to_prove=43, blind_to_watch=9),
            "Answer 43 blind questions to prove",
            "audit",
        ),
        (
            replace(OPEN, blind_to_prove=35, blind_images=25, blind_answered=6, blind_planned=71),
            "Answer 35 blind questions on 25 pictures to prove a contract; more are asked then, "
            "6 of about 71 answers in all are given.",
            "audit",
        ),
        (
            replace(OPEN, blind_to_watch=50, blind_images=44),
            "Answer 50 blind questions on 44 pictures to check",
            "audit",
        ),
        (replace(OPEN, blind_to_prove=1), "Answer 1 blind question to prove", "audit"),
        (replace(OPEN, blind_to_watch=50, sweepable=[SURE]), "Answer 50 blind", "audit"),
        (replace(OPEN, unknown=0), "Nothing waits: every cell is known. Export", "data"),
        (
            replace(OPEN, unknown=0, contradicted=7),
            "Every cell is known. Look again at 7 pictures",
            "again",
        ),
        (
            replace(OPEN, sweepable=[SURE], few=[Few(7, "bowl", 0, 3)]),
            "Sweep “person” present: 120 cells",
            "sweep",
        ),
        (
            replace(OPEN, few=[Few(4, "cup", 4, 0), Few(7, "bowl", 0, 3)]),
            "Find “bowl”: no picture with it is known",
            "browse",
        ),
        (
            replace(OPEN, few=[Few(4, "cup", 4, 0)]),
            "Find “cup”: no picture without it is known",
            "browse",
        ),
        (replace(OPEN, few=[Few(4, "cup", 4, 2)]), "“cup” has no model yet", "browse"),
        (OPEN, "Answer the least certain cells on Focus: 250 cells wait", "focus"),
    ],
)
def test_the_next_step_in_every_situation(facts: Facts, said: str, place: str) -> None:
    step = next_step(facts)
    assert step.text.startswith(said)
    assert step.place == place


@pytest.mark.parametrize("past", [Share(0, 0), Share(5, 5), Share(85, 100)])
def test_sweep_is_not_advised_on_few_or_bad_answers(past: Share) -> None:
    assert next_step(replace(OPEN, sweepable=[replace(SURE, past=past)])).place != "sweep"


def test_without_blind_answers_no_figure_is_given() -> None:
    assert wrong_words(Share(0, 0)) == "not measured yet"
    # Clopper-Pearson for 0 of 50: 1 - 0.025 ** (1 / 50).
    assert wrong_words(Share(50, 50)) == "0 % (0 % to 7.1 %)"


SOURCES = st.sampled_from(
    ["focus", "sweep", "browse", "contract", "import", "audit", "any", "categories"]
)


@given(st.lists(st.tuples(st.integers(0, 99), SOURCES, st.integers(0, 3), st.integers(-5, 50))))
def test_every_known_cell_is_counted_once(rows: list[tuple[int, str, int, int]]) -> None:
    found = Activity.of([(*row, row[3]) for row in rows])
    done = effort(found)
    assert done.known == sum(row[3] for row in rows)
    assert done.automatic == sum(row[3] for row in rows if row[1] == "contract")
    assert done.by_hand == sum(person.decided for person in people(found).values())


def test_effort_is_told_against_asking_everything() -> None:
    assert effort_words(Effort(10, 20, 3, 1_000, 5, 2), 5_000) == (
        "To answer every cell by hand takes 5,000 answers. Known so far: 33 decided by hand (10 "
        "one at a time, 20 on pages of Sweep, 3 on Browse); 1,000 decided under contracts, without "
        "an answer for each; 5 from an import; 2 carried over from merged categories."
    )


def test_effort_does_not_speak_of_what_there_is_none_of() -> None:
    assert effort_words(Effort(brought=7), 50).endswith("Known so far: 7 from an import.")
    assert effort_words(Effort(), 1).startswith("To answer every cell by hand takes 1 answer")
    assert effort_words(Effort(), 0) == "There is nothing to ask yet."
