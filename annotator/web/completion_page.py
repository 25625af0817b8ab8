"""Part of the Progress page: where the project stands, and the next thing worth doing."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

import gradio as gr

from annotator.contradictions import QUEUE as LOOK_AGAIN
from annotator.service import AnnotationService
from annotator.standing import (
    Checked,
    Facts,
    Few,
    Place,
    Sweepable,
    effort,
    effort_words,
    next_step,
    wrong_words,
)
from annotator.web.contracts_page import CARD, decides
from annotator.web.data_categories import plain_line, tell
from annotator.web.leads import leads_to, leads_to_category, make_mark, mark, shows
from annotator.web.live import Part
from annotator.web.tables import table

WRONG_COLUMNS = ["Category", "Decided", "Blind answers", "Share still wrong (95 % interval)"]

_WRONG = (
    "<p>Still wrong: of the cells that a contract decided, as blind answers to a random sample "
    "since then found it. Other cells are not checked at random.</p>"
)

_BUTTONS: dict[Place, str] = {
    "audit": "Answer blind questions",
    "contracts": "Show the contract",
    "sweep": "Open Sweep",
    "browse": "Look for it on Browse",
    "focus": "Open Focus",
    "again": "Look again",
    "data": "Open Data",
}


def make_standing(service: AnnotationService) -> Part:
    """Build "Where it stands" inside the current Gradio context."""
    with gr.Column(elem_classes="card"):
        gr.Markdown("## Where it stands")
        said = gr.HTML(apply_default_css=False, elem_classes="note")
        step = plain_line("Next worth doing")
        with gr.Row(elem_classes="buttons"):
            buttons = {
                place: gr.Button(text, scale=0, min_width=200, visible=False)
                for place, text in _BUTTONS.items()
            }
        meant = make_mark()
        about = gr.HTML(_WRONG, apply_default_css=False, elem_classes="note", visible=False)
        wrong = table(WRONG_COLUMNS, "Still wrong", widths=["34%", "22%", "14%", "30%"], wrap=True)
    leads_to(buttons["audit"], "Focus", "audit")
    leads_to(buttons["sweep"], "Sweep")
    leads_to_category(buttons["browse"], "Browse")
    leads_to(buttons["focus"], "Focus")
    leads_to(buttons["again"], "Focus", LOOK_AGAIN)
    leads_to(buttons["data"], "Data")
    shows(buttons["contracts"], CARD)

    def read() -> list[Any]:
        words = effort_words(effort(service.activity()), service.status().cells)
        next_, measured = next_step(facts(service)), service.completion.checked()
        return [
            f"<p>{words}</p>",
            tell(f"Next: {next_.text}"),
            *(gr.Button(visible=place == next_.place) for place in buttons),
            mark(next_.category_id),
            gr.HTML(visible=bool(measured)),
            gr.Dataframe(wrong_table(service, measured), visible=bool(measured)),
        ]

    return Part([], [said, step, *buttons.values(), meant, about, wrong], read)


def facts(service: AnnotationService) -> Facts:
    """What the next step depends on, as it is now."""
    status, found = service.status(), service.completion.contracts()
    proposed = [one for one in found if one.stage == "asking"]
    asking = sum(one.asked - one.answered for one in proposed)
    open_questions, pictures = service.completion.waiting()
    modelled, users = set(service.thresholds()), service.users()
    categories = service.categories()
    open_ = [c for c in categories if c.present + c.absent < status.images]
    sides: list[Literal["present", "absent"]] = ["present", "absent"]
    waiting = {queue.name: queue.waiting for queue in service.queues()}
    return Facts(
        images=status.images,
        categories=status.categories,
        unknown=status.cells - status.known,
        blind_to_prove=asking,
        blind_to_watch=open_questions - asking,
        blind_images=pictures,
        blind_answered=sum(one.answered for one in proposed),
        blind_planned=sum(one.planned for one in proposed),
        ready=[(one.contract.id, one.contract.cells) for one in found if one.stage == "proved"],
        few=[Few(c.id, c.name, c.present, c.absent) for c in open_ if c.id not in modelled],
        sweepable=[
            Sweepable(one.name, side, one.present if side == "present" else one.absent, one.share)
            for side in sides
            if users
            for one in service.sweeping.categories(users[0].id, side).categories
        ],
        contradicted=waiting[LOOK_AGAIN],
    )


def wrong_table(service: AnnotationService, checked: Sequence[Checked]) -> list[list[str]]:
    """Per category and contract the share still wrong; "not measured yet" without any answer."""
    return [
        [
            category.name,
            f"{decides(one.kind)} by contract {one.contract_id}",
            f"{one.correct.total:,}",
            wrong_words(one.correct),
        ]
        for category in service.categories()
        for one in checked
        if one.category_id == category.id
    ]
