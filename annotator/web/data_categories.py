"""Categories on the Data page: add, rename, merge, move, delete, and take changes back."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from datetime import datetime
from typing import Any

import gradio as gr

from annotator.category_changes import CategoryChange
from annotator.errors import AnnotatorError, InvalidInput
from annotator.service import AnnotationService
from annotator.web.data_words import (
    CHANGE_COLUMNS,
    COUNT_COLUMNS,
    changes_table,
    counts_table,
    describe,
    listed,
    merge_text,
    removal_text,
    undoable,
)
from annotator.web.live import QUIET
from annotator.web.tables import table
from annotator.wording import counted

USER_COOKIE = "annotator_user"
"""Set by the pages when a person chose a name."""

WAYS = (("Rename", "rename"), ("Merge", "merge"), ("Move", "move"), ("Delete", "delete"))
CONFLICTS = (
    ("Stays as it is in the other category", "keep"),
    ("Present", "present"),
    ("Absent", "absent"),
    ("Unknown again", "unknown"),
)

_TALL = 910
"""Pixels from which on the list of categories scrolls: about 24 of them."""

Refresh = Callable[[], list[Any]]


def user_id(request: gr.Request) -> int | None:
    """The person at the page, None if none has said a name."""
    user = request.cookies.get(USER_COOKIE, "")
    return int(user) if user.isdecimal() else None


def plain_line(label: str, lines: int = 1) -> gr.Textbox:
    """A place for text that may repeat what somebody typed: shown letter by letter."""
    return gr.Textbox(
        label=label, show_label=False, container=False, interactive=False, visible=False,
        lines=lines, max_lines=12, elem_classes="plain",
    )  # fmt: skip


def tell(text: str) -> gr.Textbox:
    """Fill a `plain_line`; hidden while there is nothing to say."""
    return gr.Textbox(text, visible=bool(text))


def make_categories(service: AnnotationService) -> tuple[list[Any], Refresh]:
    """Build the part; returns what is to be refreshed with the page, and what reads it."""
    with gr.Column(elem_classes="card"):
        gr.Markdown("## Categories")
        with gr.Row(equal_height=False):
            with gr.Column(scale=3, min_width=320):
                counts = table(
                    COUNT_COLUMNS, "Cells", widths=["46%", "18%", "18%", "18%"], height=_TALL,
                    wrap=True, numbers=[1, 2, 3],
                )  # fmt: skip
            with gr.Column(scale=2, min_width=280):
                names = gr.Textbox(
                    label="Add categories", info="One name per line; their cells are unknown.",
                    lines=2, max_lines=12,
                )  # fmt: skip
                add = gr.Button("Add", scale=0, min_width=120)
                added = plain_line("What was added")
                editor = _Editor()
    with gr.Column(elem_classes="card"):
        gr.Markdown("## Last changes")
        changes = table(
            CHANGE_COLUMNS, "Last changes", widths=["19%", "15%", "43%", "10%", "13%"], height=300,
            wrap=True, numbers=[3],
        )  # fmt: skip
        with gr.Row(elem_classes="buttons"):
            event = gr.Dropdown([], label="Change", min_width=280)
            back = gr.Button("Take it back", scale=0, min_width=120)
        told = plain_line("What was taken back")

    shown = [counts, editor.category, editor.into, changes, event]

    def read() -> list[Any]:
        return _read(service)

    def add_names(text: str, request: gr.Request) -> list[Any]:
        try:
            said, left = _add(service, text, user_id(request)), ""
        except AnnotatorError as error:
            # Not as a toast: the text repeats what was typed, and toasts insert markup.
            said, left = f"Nothing was added: {error}", text
        return [tell(said), left, *read()]

    def take_back(chosen: int | None, request: gr.Request) -> list[Any]:
        return [tell(_take_back(service, chosen, user_id(request))), *read()]

    add.click(add_names, inputs=names, outputs=[added, names, *shown], **QUIET)
    back.click(take_back, inputs=event, outputs=[told, *shown], **QUIET)
    editor.connect(service, read, shown)
    return shown, read


class _Editor:
    """Choose a category and what to do with it; counts are shown before anything is done."""

    def __init__(self) -> None:
        self.category = gr.Dropdown([], label="Change a category", value=None)
        self.way = gr.Radio(list(WAYS), value="rename", label="What to do")
        self.name = gr.Textbox(label="New name", max_lines=1)
        self.into = gr.Dropdown([], label="Merge into", value=None, visible=False)
        self.conflict = gr.Radio(
            list(CONFLICTS), value="keep", label="A cell that is present in one and absent in the "
            "other", visible=False,
        )  # fmt: skip
        self.place = gr.Number(
            label="Place in the list", value=1, minimum=1, precision=0, visible=False
        )
        self.preview = plain_line("What it would do")
        self.apply = gr.Button("Rename", scale=0, min_width=120)
        self.told = plain_line("What was done")

    def connect(self, service: AnnotationService, read: Refresh, shown: list[Any]) -> None:
        """Answer what is chosen and pressed."""
        choices: list[Any] = [self.category, self.way, self.into]

        def show(category: int | None, way: str, into: int | None) -> list[Any]:
            text, different = _preview(service, category, way, into)
            return [
                gr.Textbox(visible=way == "rename"),
                gr.Dropdown(visible=way == "merge"),
                gr.Radio(visible=way == "merge" and different),
                gr.Number(visible=way == "move"),
                tell(text),
                gr.Button(way.capitalize(), variant="stop" if way == "delete" else "secondary"),
                tell(""),
            ]

        parts = [
            self.name, self.into, self.conflict, self.place, self.preview, self.apply, self.told,
        ]  # fmt: skip
        for choice in choices:
            choice.input(show, inputs=choices, outputs=parts, **QUIET)

        def carry_out(
            category: int | None,
            way: str,
            into: int | None,
            name: str,
            conflict: Any,
            place: float | None,
            request: gr.Request,
        ) -> list[Any]:
            try:
                if category is None:
                    raise InvalidInput("no category is chosen (choose one above)")
                changed = _carry_out(
                    service, way, user_id(request), category, into, name, conflict, place
                )
                said = f"{describe(service.category_changes.history(1)[0])}."
                if changed.cells:
                    said += f" {counted(changed.cells, 'cell')} changed."
            except AnnotatorError as error:
                return [tell(f"Nothing was changed: {error}"), gr.skip(), *[gr.skip()] * len(shown)]
            return [tell(said), tell(""), *read()]

        self.apply.click(
            carry_out,
            inputs=[*choices, self.name, self.conflict, self.place],
            outputs=[self.told, self.preview, *shown],
            **QUIET,
        )


def _read(service: AnnotationService) -> list[Any]:
    now = datetime.now().astimezone()
    categories = service.categories()
    choices = [(category.name, category.id) for category in categories]
    events = service.category_changes.history(30)
    people = {user.id: user.name for user in service.users()}
    takeable = [(describe(event), event.id) for event in undoable(events)]
    return [
        counts_table(categories, service.status().images),
        gr.Dropdown(choices),
        gr.Dropdown(choices),
        changes_table(events, people, now),
        gr.Dropdown(takeable, value=takeable[0][1] if takeable else None),
    ]


def _add(service: AnnotationService, text: str, user: int | None) -> str:
    wanted = [line.strip() for line in text.splitlines() if line.strip()]
    if not wanted:
        raise InvalidInput("no name was typed (write one per line)")
    before = {category.name for category in service.categories()}
    service.add_categories(wanted, user_id=user)
    new = [name for name in dict.fromkeys(wanted) if name not in before]
    return f"Added: {listed(new)}." if new else "These are there already."


def _preview(
    service: AnnotationService, category: int | None, way: str, into: int | None
) -> tuple[str, bool]:
    """What it would do, and whether cells contradict each other."""
    try:
        if category is not None and way == "delete":
            return removal_text(service.category_changes.preview_removal(category)), False
        if category is not None and into is not None and way == "merge":
            preview = service.category_changes.preview_merge(category, into)
            return merge_text(preview), preview.different > 0
    except AnnotatorError as error:
        return str(error), False
    return "", False


def _carry_out(
    service: AnnotationService,
    way: str,
    user: int | None,
    category: int,
    into: int | None,
    name: str,
    conflict: Any,
    place: float | None,
) -> CategoryChange:
    changes, key = service.category_changes, secrets.token_urlsafe(16)
    if way == "rename":
        return changes.rename(user, category, name, key=key)
    if way == "move":
        return changes.move(user, category, int(place or 1), key=key)
    if way == "delete":
        return changes.remove(user, category, key=key)
    if into is None:
        raise InvalidInput("no category to merge into is chosen (choose one above)")
    return changes.merge(user, category, into, on_conflict=conflict, key=key)


def _take_back(service: AnnotationService, chosen: int | None, user: int | None) -> str:
    try:
        if chosen is None:
            raise InvalidInput("there is nothing to take back")
        if user is None:
            raise InvalidInput("nobody has said a name on this page (reload it)")
        done = service.undo(user, key=secrets.token_urlsafe(16), event_id=chosen)
    except AnnotatorError as error:
        return f"Not taken back: {error}"
    text = f"Taken back: {counted(done.cells, 'cell')} as before."
    if done.left_count:
        text += f" Left alone, since changed in the meantime: {done.left_count:,}."
    return text
