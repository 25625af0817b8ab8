"""What Progress says of contracts, and what its buttons do."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any

import gradio as gr
import pytest
from web_site import NAMES, Site

from annotator.completion.contract_states import ContractState, Stage
from annotator.errors import AnnotatorError, Conflict, InvalidInput, NotFound
from annotator.precision import Share
from annotator.standing import Checked, next_step
from annotator.types import Contract
from annotator.web.completion_page import facts, wrong_table
from annotator.web.contracts_page import (
    _Chosen,
    apply_words,
    contracts_table,
    preview_of,
    propose,
    question,
    withdraw_words,
)


def test_nothing_is_measured_before_a_contract(site: Site) -> None:
    assert site.service.completion.checked() == []
    assert wrong_table(site.service, []) == []


def test_the_share_still_wrong_is_told_by_category_and_contract(site: Site) -> None:
    first, second = (category.id for category in site.service.categories()[:2])
    checked = [
        Checked(3, "accept", second, Share(50, 50)),
        Checked(1, "reject", first, Share(0, 0)),
    ]
    assert wrong_table(site.service, checked) == [
        [NAMES[0], "absent by contract 1", "0", "not measured yet"],
        [NAMES[1], "present by contract 3", "50", "0 % (0 % to 7.1 %)"],
    ]


def test_the_next_step_of_a_new_project_is_to_label(site: Site) -> None:
    step = next_step(facts(site.service))
    assert step.text.startswith("Find \u201ccup\u201d: no picture with it is known")
    assert (step.place, step.category_id) == ("browse", site.service.categories()[0].id)


def test_what_cannot_be_done_is_said_in_words(site: Site) -> None:
    with pytest.raises(Conflict, match="no model yet"):
        propose(site.service, site.user, "accept", 2, 95, 0)
    with pytest.raises(Conflict, match="no model yet"):
        preview_of(site.service, "accept", 2, 95, 0)
    with pytest.raises(InvalidInput, match="number is missing"):
        propose(site.service, site.user, "accept", None, 95, 0)
    with pytest.raises(InvalidInput, match=r"confidence must be between 0 and 100 %, got 100 %"):
        preview_of(site.service, "accept", 2, 100, 0)
    with pytest.raises(InvalidInput, match="no contract is chosen"):
        apply_words(site.service, site.user, 0, None)
    with pytest.raises(NotFound):
        withdraw_words(site.service, site.user, 99)
    assert issubclass(InvalidInput, AnnotatorError)
    assert contracts_table([], site.service.categories(), 0) == []


def proposed(ident: int, stage: Stage) -> ContractState:
    at = datetime(2026, 1, 1, tzinfo=UTC)
    contract = Contract(
        ident, "accept", None, 0.02, 0.95, "proposed", None, 10, 1.0, None, 1, None,
        None, at, "proves nothing", {},
    )  # fmt: skip
    return ContractState(contract, stage, 5, 5, 3, 0, 0, 10)


async def built(service: Any) -> tuple[gr.Blocks, _Chosen]:
    """In an event loop, as Gradio else makes one that it never closes."""
    with gr.Blocks(analytics_enabled=False) as page:
        chosen = _Chosen()
        chosen.connect(service)
    return page, chosen


def test_a_late_refresh_leaves_the_choice_and_buttons_act_on_what_their_words_say() -> None:
    found = [proposed(2, "asking"), proposed(1, "unproved")]
    completion = SimpleNamespace(
        contracts=lambda: found, count=lambda: len(found), waiting=lambda: (5, 5)
    )
    service: Any = SimpleNamespace(completion=completion, categories=list)
    with ThreadPoolExecutor(1) as thread:  # where no loop runs, as one may after browser tests
        page, chosen = thread.submit(lambda: asyncio.run(built(service))).result()
    late = dict(zip(chosen.parts, chosen.show(service, 1, keep_question=True), strict=True))
    assert "value" not in late[chosen.contract].constructor_args
    assert late[chosen.current] == gr.skip()
    assert late[chosen.said].value.startswith("Contract 1:")
    assert late[chosen.shown] == 1
    for button in (chosen.apply, chosen.more, chosen.withdraw):
        (pressed,) = [f for f in page.fns.values() if (button._id, "click") in f.targets]
        assert pressed.inputs[0] is chosen.shown


def test_a_refresh_that_was_asked_for_before_a_question_does_not_close_it() -> None:
    stays = [gr.skip(), gr.skip()]
    assert question(asked=0, gone=True, keep=True) == stays
    assert question(asked=7, gone=False, keep=True) == stays
    assert question(asked=7, gone=True, keep=True)[1] == 0
    assert question(asked=0, gone=True, keep=False)[1] == 0  # something was done meanwhile
