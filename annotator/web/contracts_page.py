"""Automatic decisions on the Progress page: look at a promise, propose, apply and withdraw it."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import gradio as gr

from annotator.completion.contract_states import ContractState
from annotator.completion.drafting import Preview
from annotator.completion.use_cases import Withdrawal
from annotator.errors import AnnotatorError, InvalidInput
from annotator.service import AnnotationService
from annotator.types import Category
from annotator.web.data_categories import plain_line, tell, user_id
from annotator.web.leads import leads_to
from annotator.web.live import QUIET, Part
from annotator.web.tables import table
from annotator.wording import counted

CARD = "annotator-contracts"
"""Id of the card in the page."""

CONTRACT_COLUMNS = ["Contract", "Decides", "Of", "State", "In words"]
_WIDTHS = ["10%", "11%", "16%", "19%", "44%"]
PREVIEW_COLUMNS = ["Category", "Might be decided", "Blind questions"]
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
_KINDS = (
    ("Finish: decide the rest", "finish"),
    ("Accept: decide present", "accept"),
    ("Reject: decide absent", "reject"),
)
_LIVE = ("asking", "proved", "unproved", "active")
_FIRST = {"proved": 0, "asking": 1, "unproved": 2, "active": 3}
"""Which contract is shown first while nobody has chosen one."""

_ABOUT = (
    "<p>A contract decides many cells at once under a promise, say that at most 2 % of them are "
    "wrong. People first answer some of them without seeing what the model says; only if these "
    "answers prove the promise can it be applied. It can be withdrawn at any time.</p>"
)
_NONE = "<p>There is no contract yet.</p>"
# What was pressed is gone; the focus goes to what can be done next.
_TO_ACTIONS = (
    "() => { setTimeout(() => (document.querySelector('#annotator-contract-actions button') ?? "
    "document.querySelector('#annotator-contract-look'))?.focus(), 100); }"
)


def make_contracts(service: AnnotationService) -> Part:
    """Build the card inside the current Gradio context."""
    with gr.Column(elem_classes="card", elem_id=CARD):
        gr.Markdown("## Automatic decisions")
        gr.HTML(_ABOUT, apply_default_css=False, elem_classes="note")
        chosen = _Chosen()
        proposal = _Proposal()
    chosen.connect(service)
    proposal.connect(service, chosen)

    def read(contract_id: int, asked: int) -> list[Any]:
        categories = [("All categories", ALL), *((c.name, c.id) for c in service.categories())]
        shown = chosen.show(service, contract_id, asked, keep_question=True)
        return [*shown, gr.Dropdown(categories)]

    outputs = [*chosen.parts, proposal.category]
    return Part([chosen.current, chosen.asked], outputs, read)


class _Chosen:
    """The contracts, one that is chosen, and what can be done with it."""

    def __init__(self) -> None:
        self.none = gr.HTML(_NONE, apply_default_css=False, elem_classes="note")
        with gr.Column(visible=False) as self.some:
            self.listed = table(CONTRACT_COLUMNS, "Contracts", widths=_WIDTHS, wrap=True)
            self.contract = gr.Dropdown([], label="Contract", elem_id="annotator-contract")
            self.said = plain_line("The contract")
            self.count = gr.Number(
                None, label="To apply it, type the number of its cells", precision=0, visible=False
            )
            with gr.Row(elem_classes="buttons", elem_id="annotator-contract-actions"):
                self.answer = gr.Button("Answer blind questions", scale=0, min_width=200)
                self.apply = gr.Button("Apply", variant="primary", scale=0, min_width=120)
                self.more = gr.Button("Ask more", scale=0, min_width=120)
                self.withdraw = gr.Button("Withdraw …", scale=0, min_width=120)
            with gr.Column(visible=False) as self.sure:
                self.warning = plain_line("What withdrawing would do")
                with gr.Row(elem_classes="buttons"):
                    self.yes = gr.Button("Withdraw", variant="stop", scale=0, min_width=120)
                    self.no = gr.Button("Keep it", scale=0, min_width=120)
        self.told = plain_line("What came of it")
        # Not the choice itself: after a restart of the server Gradio refuses what was chosen.
        self.current = gr.State(0)
        """Id of the contract that is chosen, 0 without any."""
        # In the page and in one answer with its words: a refresh that was asked for before somebody
        # chose another contract comes after, and each button means what the words then say.
        self.shown = gr.Number(0, precision=0, visible=False)
        """Id of the contract that the words and buttons are about, 0 without any."""
        self.asked = gr.State(0)
        """Id of the contract that somebody is about to withdraw, 0 if nobody is."""
        self.parts = [
            self.none, self.some, self.listed, self.contract, self.said, self.count, self.answer,
            self.apply, self.more, self.withdraw, self.sure, self.asked, self.current, self.shown,
        ]  # fmt: skip

    def show(
        self,
        service: AnnotationService,
        contract_id: int,
        asked: int = 0,
        keep_question: bool = False,
    ) -> list[Any]:
        """Values of the parts.

        Args:
            service: where the contracts are.
            contract_id: the one to show; the next to deal with if it is over.
            asked: the contract whose withdrawal was being asked about, 0 if none was.
            keep_question: whether that question may stay on the screen.
        """
        found = service.completion.contracts()
        live = {one.contract.id: one for one in found if one.stage in _LIVE}
        one = live.get(contract_id) or _first(live)
        gone = one is None or one.contract.id != asked
        ident = one.contract.id if one else 0
        # Somebody may have chosen another one since a refresh was asked for: theirs stays.
        stays = keep_question and ident == contract_id
        choice: dict[str, Any] = {} if stays else {"value": ident or None}
        return [
            gr.HTML(visible=not found),
            gr.Column(visible=bool(found)),
            contracts_table(found, service.categories(), service.completion.count()),
            gr.Dropdown(
                [(f"{key}: {_STATES[state.stage]}", key) for key, state in live.items()],
                visible=bool(live),
                **choice,
            ),
            *_actions(one, service.completion.waiting()[0] > 0),
            *question(asked, gone, keep_question),
            gr.skip() if stays else ident,
            ident,
        ]

    def connect(self, service: AnnotationService) -> None:
        """Answer what is chosen and pressed."""
        outputs = [self.told, *self.parts]

        def done(work: Callable[[], str], contract_id: int) -> list[Any]:
            try:
                said = work()
            except AnnotatorError as error:
                said = f"Nothing was changed: {error}"
            return [tell(said), *self.show(service, contract_id)]

        def on_apply(contract_id: int, count: Any, request: gr.Request) -> list[Any]:
            work = lambda: apply_words(service, user_id(request), contract_id, count)  # noqa: E731
            return done(work, contract_id)

        def on_more(contract_id: int) -> list[Any]:
            return done(lambda: said_of(service.completion.extend(_id(contract_id))), contract_id)

        def on_yes(asked: int, request: gr.Request) -> list[Any]:
            return done(lambda: withdraw_words(service, user_id(request), asked), asked)

        def on_withdraw(contract_id: int) -> list[Any]:
            try:
                told = service.completion.preview_withdrawal(_id(contract_id))
            except AnnotatorError as error:
                return [tell(str(error)), gr.skip(), gr.skip(), gr.skip(), gr.skip()]
            text, button = withdrawal_words(told)
            return [tell(""), gr.Column(visible=True), tell(text), button, told.contract_id]

        acted_on = self.shown
        self.contract.input(
            lambda one: [tell(""), *self.show(service, one or 0)],
            inputs=self.contract,
            outputs=outputs,
            **QUIET,
        )
        leads_to(self.answer, "Focus", "audit")
        self.apply.click(on_apply, inputs=[acted_on, self.count], outputs=outputs, **QUIET)
        self.more.click(on_more, inputs=acted_on, outputs=outputs, **QUIET)
        self.withdraw.click(
            on_withdraw,
            inputs=acted_on,
            outputs=[self.told, self.sure, self.warning, self.yes, self.asked],
            **QUIET,
        )
        after = self.yes.click(on_yes, inputs=self.asked, outputs=outputs, **QUIET)
        after.then(None, js=_TO_ACTIONS, **QUIET)
        kept = self.no.click(
            lambda: [gr.Column(visible=False), 0], outputs=[self.sure, self.asked], **QUIET
        )
        kept.then(None, js=_TO_ACTIONS, **QUIET)


class _Proposal:
    """What to promise, what that would ask, and the button that asks it."""

    def __init__(self) -> None:
        gr.Markdown("### Propose one")
        with gr.Row():
            self.kind = gr.Dropdown(
                list(_KINDS), value=_KINDS[0][1], label="Promise", min_width=220
            )
            self.target = gr.Number(2, label="At most wrong or missed, %", min_width=160)
            self.sure = gr.Number(95, label="Confidence, %", min_width=120)
            self.category = gr.Dropdown(
                [("All categories", ALL)], value=ALL, label="Decide in", min_width=180
            )
        self.look = gr.Button(
            "Show what it would ask", scale=0, min_width=200, elem_id="annotator-contract-look"
        )
        self.refused = plain_line("Why not")
        with gr.Column(visible=False) as self.outcome:
            self.words = plain_line("What it would ask")
            self.counts = table(
                PREVIEW_COLUMNS, "What it would ask, by category", widths=["60%", "20%", "20%"],
                height=240, wrap=True,
            )  # fmt: skip
            self.propose = gr.Button("Propose", variant="primary", scale=0, min_width=200)

    def connect(self, service: AnnotationService, chosen: _Chosen) -> None:
        """Answer what is typed and pressed."""
        wanted: list[Any] = [self.kind, self.target, self.sure, self.category]

        def on_look(kind: Any, target: Any, sure: Any, category: Any) -> list[Any]:
            try:
                told = preview_of(service, kind, target, sure, category)
            except AnnotatorError as error:
                text = tell(f"Nothing was changed: {error}")
                return [text, gr.Column(visible=False), gr.skip(), gr.skip(), gr.skip()]
            return [
                tell(""),
                gr.Column(visible=True),
                tell(told.words()),
                preview_table(told, service.categories()),
                gr.Button(f"Propose: ask {counted(told.questions, 'blind question')}"),
            ]

        def on_propose(
            kind: Any, target: Any, sure: Any, category: Any, request: gr.Request
        ) -> list[Any]:
            try:
                made = propose(service, user_id(request), kind, target, sure, category)
            except AnnotatorError as error:
                text = tell(f"Nothing was changed: {error}")
                return [text, gr.skip(), gr.skip(), *[gr.skip()] * len(chosen.parts)]
            said = tell(
                f"Contract {made.contract.id} is proposed. Answer its blind questions on Focus; "
                "then it can be applied, or not."
            )
            return [tell(""), gr.Column(visible=False), said,
                    *chosen.show(service, made.contract.id)]  # fmt: skip

        self.look.click(
            on_look,
            inputs=wanted,
            outputs=[self.refused, self.outcome, self.words, self.counts, self.propose],
            **{**QUIET, "show_progress": "minimal"},
        )
        after = self.propose.click(
            on_propose,
            inputs=wanted,
            outputs=[self.refused, self.outcome, chosen.told, *chosen.parts],
            **QUIET,
        )
        after.then(None, js=_TO_ACTIONS, **QUIET)
        for one in wanted:  # what was shown is not what would be asked any more
            one.input(
                lambda: [tell(""), gr.Column(visible=False)],
                outputs=[self.refused, self.outcome],
                **QUIET,
            )


def _first(live: Mapping[int, ContractState]) -> ContractState | None:
    """The one that the next step is about: a proved one that decides most, else the newest."""
    order = sorted(
        live.values(), key=lambda s: (_FIRST[s.stage], -s.contract.cells, -s.contract.id)
    )
    return order[0] if order else None


def question(asked: int, gone: bool, keep: bool) -> list[Any]:
    """The question before a withdrawal, and the contract that it is about.

    Where it may be kept it goes only with its contract. One that has come since this was asked
    for (`asked` is 0 then) is not known here and stays.
    """
    if keep and not (asked and gone):
        return [gr.skip(), gr.skip()]
    return [gr.Column(visible=False), 0]


def _actions(one: ContractState | None, questions: bool) -> list[Any]:
    """What is said of a contract, and the buttons that mean something at its stage."""
    stage = one.stage if one else ""
    cells = one.contract.cells if one else 0
    trouble = one.trouble if one else ""
    return [
        tell(said_of(one) if one else ""),
        gr.Number(
            label=f"To apply it, type the number of its cells: {cells}", visible=stage == "proved"
        )
        if stage == "proved"
        else gr.Number(None, visible=False),
        gr.Button(visible=questions and not trouble and stage in ("asking", "active")),
        gr.Button(visible=stage == "proved"),
        gr.Button(visible=not trouble and stage == "unproved"),
        gr.Button("Withdraw …" if stage == "active" else "Drop it …", visible=bool(stage)),
    ]


def decides(kind: str) -> str:
    """The state that a kind of contract gives to its cells."""
    return {"accept": "present", "reject": "absent"}.get(kind, "as the model says")


def contracts_table(
    found: Sequence[ContractState], categories: Sequence[Category], count: int
) -> list[list[str]]:
    """Contracts in words, newest first; a last row tells how many of ``count`` are left out."""
    names = {category.id: category.name for category in categories}
    rows = [
        [
            str(one.contract.id),
            decides(one.contract.kind),
            "all categories"
            if one.contract.category_id is None
            else names.get(one.contract.category_id, "a deleted category"),
            _STATES[one.stage],
            one.words(),
        ]
        for one in found
    ]
    if count > len(found):
        older = counted(count - len(found), "older contract")
        rows.append(
            ["…", "", "", "over", f"{older} not shown here; annotator contract list shows all"]
        )
    return rows


def preview_table(told: Preview, categories: Sequence[Category]) -> list[list[str]]:
    """What a proposal would ask and might decide, by category in the order of the list."""
    parts = {one.category_id: one for one in told.by_category}
    return [
        [category.name, f"{parts[category.id].cells:,}", f"{parts[category.id].questions:,}"]
        for category in categories
        if category.id in parts
    ]


def preview_of(
    service: AnnotationService, kind: Any, target: Any, sure: Any, category: Any
) -> Preview:
    """What a proposal would ask, shares in per cent.

    Raises:
        AnnotatorError: if it could not be proposed.
    """
    share, confidence = _shares(target, sure)
    return service.completion.preview(
        kind, target=share, confidence=confidence, category_id=category or None
    )


def propose(
    service: AnnotationService, user: int | None, kind: Any, target: Any, sure: Any, category: Any
) -> ContractState:
    """Propose a contract, shares in per cent.

    Raises:
        AnnotatorError: if it cannot be proposed.
    """
    share, confidence = _shares(target, sure)
    return service.completion.propose(
        user, kind, target=share, confidence=confidence, category_id=category or None
    )


def apply_words(service: AnnotationService, user: int | None, contract_id: int, count: Any) -> str:
    """Apply a contract if the number of its cells was typed; returns what it did.

    Raises:
        AnnotatorError: if it cannot be applied.
    """
    state = service.completion.contract(_id(contract_id))
    if state.stage == "proved" and count != state.contract.cells:
        raise InvalidInput(
            f"contract {state.contract.id} would decide {counted(state.contract.cells, 'cell')} "
            f"(type {state.contract.cells} to confirm)"
        )
    if user is None:
        raise InvalidInput("nobody has said a name on this page (reload it)")
    done = service.completion.apply(user, state.contract.id, key=secrets.token_urlsafe(16))
    return (
        f"Contract {done.contract.id} is applied: {counted(done.contract.cells, 'cell')} decided. "
        "Some of them go on being asked, to watch over it."
    )


def withdrawal_words(told: Withdrawal) -> tuple[str, str]:
    """What withdrawing would do, and what the button says that does it."""
    waiting = counted(told.waiting, "blind question")
    if not told.cells and not told.kept:
        text = f"Contract {told.contract_id} has decided nothing, so no cell changes"
        stopped = f"; {waiting} would not be asked any more" if told.waiting else ""
        return f"{text}{stopped}. Answers that were given stay.", "Drop it"
    cells = counted(told.cells, "cell")
    text = f"Contract {told.contract_id}: {cells} would be unknown again"
    if told.kept:
        text += f"; {told.kept:,} that somebody changed since stay as they are"
    if told.waiting:
        text += f"; {waiting} would not be asked any more"
    return f"{text}.", f"Withdraw: make {cells} unknown"


def withdraw_words(service: AnnotationService, user: int | None, contract_id: int) -> str:
    """Withdraw a contract; returns what came of it.

    Raises:
        AnnotatorError: if it cannot be withdrawn.
    """
    told = service.completion.preview_withdrawal(_id(contract_id))
    key = secrets.token_urlsafe(16)
    state = service.completion.withdraw(user, told.contract_id, key=key)
    done = f"; {counted(told.cells, 'cell')} unknown again" if told.cells else ""
    return f"Contract {state.contract.id} is withdrawn{done}."


def said_of(state: ContractState) -> str:
    """A contract in one sentence."""
    return f"Contract {state.contract.id}: {state.words()}."


def _shares(target: Any, sure: Any) -> tuple[float, float]:
    if target is None or sure is None:
        raise InvalidInput("a number is missing (fill both per cents in)")
    for name, value in (("share that may be wrong", target), ("confidence", sure)):
        if not 0 < value < 100:
            raise InvalidInput(f"the {name} must be between 0 and 100 %, got {value:g} %")
    return target / 100, sure / 100


def _id(chosen: int) -> int:
    if not chosen:
        raise InvalidInput("no contract is chosen (choose one above)")
    return chosen
