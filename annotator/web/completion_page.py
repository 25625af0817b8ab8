"""Parts of the Progress page: where the project stands, and automatic decisions under contract."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Sequence
from typing import Any, Literal

import gradio as gr

from annotator.completion.contracts import ContractState
from annotator.errors import AnnotatorError, InvalidInput
from annotator.service import AnnotationService
from annotator.standing import Facts, Sweepable, effort, effort_words, next_step, wrong_words
from annotator.types import Category
from annotator.web.data_categories import plain_line, tell, user_id
from annotator.web.live import QUIET
from annotator.web.tables import table

WRONG_COLUMNS = ["Category", "Decided", "Blind answers", "Share still wrong (95 % interval)"]
CONTRACT_COLUMNS = ["Contract", "Decides", "Of", "State", "In words"]
ALL = 0
"""Stands for all categories in the choice of one."""

_STATES = {
    "asking": "blind questions wait",
    "proved": "proved, not applied",
    "unproved": "not proved",
    "active": "applied, watched",
    "withdrawn": "withdrawn",
    "undone": "undone",
}
_DECIDES = {"accept": "present", "reject": "absent"}

Read = Callable[[], Sequence[Any]]


def make_standing(service: AnnotationService) -> tuple[Sequence[Any], Read]:
    """Build "Where it stands"; returns what is refreshed with the page, and what reads it."""
    with gr.Column(elem_classes="card"):
        gr.Markdown("## Where it stands")
        said = gr.HTML(apply_default_css=False, elem_classes="note")
        step = plain_line("Next worth doing", 2)
        gr.HTML(
            "<p>Still wrong: of the cells that a contract decided, as blind answers to a random "
            "sample since then found it. Other cells are not checked at random.</p>",
            apply_default_css=False,
            elem_classes="note",
        )
        wrong = table(WRONG_COLUMNS, "Still wrong")

    def read() -> list[Any]:
        words = effort_words(effort(service.activity()), service.status().cells)
        return [
            f"<p>{words}</p>",
            tell(f"Next: {next_step(facts(service))}"),
            wrong_table(service),
        ]

    return [said, step, wrong], read


def make_contracts(service: AnnotationService) -> tuple[Sequence[Any], Read]:
    """Build "Automatic decisions"; returns what is refreshed with the page, and what reads it."""
    with gr.Column(elem_classes="card"):
        gr.Markdown("## Automatic decisions")
        listed = table(CONTRACT_COLUMNS, "Contracts", wrap=True)
        with gr.Row():
            kind = gr.Dropdown(
                [("Accept: decide present", "accept"), ("Reject: decide absent", "reject")],
                value="accept", label="Promise", min_width=200,
            )  # fmt: skip
            target = gr.Number(2, label="At most wrong or missed, %", min_width=160)
            sure = gr.Number(95, label="Confidence, %", min_width=120)
            category = gr.Dropdown(
                [("All categories", ALL)], value=ALL, label="Decide in", min_width=180
            )
        propose = gr.Button("Propose", scale=0, min_width=120)
        with gr.Row():
            chosen = gr.Dropdown([], label="Contract", min_width=280)
            confirm = gr.Number(
                None, label="To apply, type the number of cells", precision=0, min_width=200
            )
        with gr.Row(elem_classes="buttons"):
            apply = gr.Button("Apply", scale=0, min_width=120)
            more = gr.Button("Ask more", scale=0, min_width=120)
            withdraw = gr.Button("Withdraw", scale=0, min_width=120)
        told = plain_line("What came of it", 2)
    shown = [listed, chosen, category]

    def read() -> list[Any]:
        return _contracts(service)

    def answer(work: Callable[[], str]) -> list[Any]:
        try:
            said = work()
        except AnnotatorError as error:
            return [tell(f"Nothing was changed: {error}"), *read()]
        return [tell(said), *read()]

    def on_propose(
        kind_: Any, target_: Any, sure_: Any, category_: Any, request: gr.Request
    ) -> list[Any]:
        return answer(
            lambda: propose_words(service, user_id(request), kind_, target_, sure_, category_)
        )

    def on_apply(chosen_: int | None, count: Any, request: gr.Request) -> list[Any]:
        return answer(lambda: apply_words(service, user_id(request), chosen_, count))

    def on_more(chosen_: int | None) -> list[Any]:
        return answer(lambda: _said(service.completion.extend(_id(chosen_))))

    def on_withdraw(chosen_: int | None, request: gr.Request) -> list[Any]:
        return answer(lambda: withdraw_words(service, user_id(request), chosen_))

    outputs = [told, *shown]
    propose.click(on_propose, inputs=[kind, target, sure, category], outputs=outputs, **QUIET)
    apply.click(on_apply, inputs=[chosen, confirm], outputs=outputs, **QUIET)
    more.click(on_more, inputs=chosen, outputs=outputs, **QUIET)
    withdraw.click(on_withdraw, inputs=chosen, outputs=outputs, **QUIET)
    return shown, read


def facts(service: AnnotationService) -> Facts:
    """What the next step depends on, as it is now."""
    status, found = service.status(), service.completion.contracts()
    asking = sum(one.asked - one.answered for one in found if one.stage == "asking")
    modelled, users = set(service.thresholds()), service.users()
    categories = service.categories()
    open_ = [c for c in categories if c.present + c.absent < status.images]
    sides: list[Literal["present", "absent"]] = ["present", "absent"]
    return Facts(
        images=status.images,
        categories=status.categories,
        unknown=status.cells - status.known,
        blind_to_prove=asking,
        blind_to_watch=service.completion.waiting()[0] - asking,
        ready=[(one.contract.id, one.contract.cells) for one in found if one.stage == "proved"],
        few=[(c.name, c.present) for c in open_ if c.id not in modelled],
        sweepable=[
            Sweepable(one.name, side, one.present if side == "present" else one.absent, one.share)
            for side in sides
            if users
            for one in service.sweeping.categories(users[0].id, side).categories
        ],
    )


def wrong_table(service: AnnotationService) -> list[list[str]]:
    """Per contract and category the share still wrong; "not measured yet" without any answer."""
    checked = service.completion.checked()
    by_category: dict[int, list[list[str]]] = {}
    for one in checked:
        row = [
            f"{_DECIDES[one.kind]} by contract {one.contract_id}",
            f"{one.correct.total:,}",
            wrong_words(one.correct),
        ]
        by_category.setdefault(one.category_id, []).append(row)
    nothing = [["not under a contract", "0", "not measured yet"]]
    return [
        [category.name, *row]
        for category in service.categories()
        for row in by_category.get(category.id, nothing)
    ]


def contracts_table(
    found: Sequence[ContractState], categories: Sequence[Category]
) -> list[list[str]]:
    """Contracts in words, newest first."""
    names = {category.id: category.name for category in categories}
    return [
        [
            str(one.contract.id),
            _DECIDES[one.contract.kind],
            "all categories"
            if one.contract.category_id is None
            else names.get(one.contract.category_id, "a deleted category"),
            _STATES[one.stage],
            one.words(),
        ]
        for one in found
    ]


def propose_words(
    service: AnnotationService, user: int | None, kind: Any, target: Any, sure: Any, category: Any
) -> str:
    """Propose a contract, shares in per cent; returns what it would decide.

    Raises:
        AnnotatorError: if it cannot be proposed.
    """
    if target is None or sure is None:
        raise InvalidInput("a number is missing (fill both per cents in)")
    made = service.completion.propose(
        user, kind, target=target / 100, confidence=sure / 100, category_id=category or None
    )
    return f"{_said(made)} Answer them on Focus, in the queue of blind questions."


def apply_words(
    service: AnnotationService, user: int | None, contract_id: int | None, count: Any
) -> str:
    """Apply a contract if the number of its cells was typed; returns what it did.

    Raises:
        AnnotatorError: if it cannot be applied.
    """
    state = service.completion.contract(_id(contract_id))
    if state.stage == "proved" and count != state.contract.cells:
        raise InvalidInput(
            f"contract {state.contract.id} would decide {state.contract.cells:,} cells "
            f"(type {state.contract.cells} to confirm)"
        )
    if user is None:
        raise InvalidInput("nobody has said a name on this page (reload it)")
    return _said(service.completion.apply(user, state.contract.id, key=secrets.token_urlsafe(16)))


def withdraw_words(service: AnnotationService, user: int | None, contract_id: int | None) -> str:
    """Withdraw a contract; returns what came of it.

    Raises:
        AnnotatorError: if it cannot be withdrawn.
    """
    done = service.completion.withdraw(user, _id(contract_id), key=secrets.token_urlsafe(16))
    return _said(done)


def _contracts(service: AnnotationService) -> list[Any]:
    found, categories = service.completion.contracts(), service.categories()
    live = [one for one in found if one.stage in ("asking", "proved", "unproved", "active")]
    choices = [(f"{one.contract.id}: {_STATES[one.stage]}", one.contract.id) for one in live]
    return [
        contracts_table(found, categories),
        gr.Dropdown(choices),  # the choice stays: nobody withdraws another one than they chose
        gr.Dropdown([("All categories", ALL), *((c.name, c.id) for c in categories)]),
    ]


def _id(chosen: int | None) -> int:
    if chosen is None:
        raise InvalidInput("no contract is chosen (choose one above)")
    return chosen


def _said(state: ContractState) -> str:
    return f"Contract {state.contract.id}: {state.words()}."
