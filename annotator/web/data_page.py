"""The Data page: cells per category, new categories, export with its report."""

from __future__ import annotations

from collections.abc import Sequence

import gradio as gr

from annotator.errors import AnnotatorError, InvalidInput
from annotator.service import AnnotationService
from annotator.web.downloads import FORMATS, Downloads

USER_COOKIE = "annotator_user"
"""Set by the pages when a person chose a name."""

_NO_LINK = "<span></span>"


def make_data_page(service: AnnotationService, downloads: Downloads, tab: gr.Tab) -> None:
    """Build the page inside the current Gradio context.

    Args:
        service: carries out what is asked.
        downloads: keeps exported files until they are fetched.
        tab: its counts are read again when it is opened.
    """
    counts = gr.Dataframe(
        headers=["Category", "Present", "Absent", "Unknown"],
        datatype="str",
        interactive=False,
        label="Cells",
        max_height=380,
    )
    with gr.Row():
        with gr.Column(min_width=280):
            names = gr.Textbox(
                label="Add categories", info="One name per line.", lines=3, max_lines=12
            )
            add = gr.Button("Add", scale=0, min_width=120)
            added = gr.Textbox(show_label=False, interactive=False, visible=False)
        with gr.Column(min_width=280):
            kind = gr.Radio(
                [(text, name) for name, (text, _) in FORMATS.items()],
                value="coco",
                label="Export",
                info="The file is read back and compared before you get it.",
            )
            make = gr.Button("Make the file", scale=0, min_width=120)
            told = gr.Textbox(show_label=False, interactive=False, visible=False)
            link = gr.HTML(_NO_LINK, elem_id="annotator-download")

    def read_counts() -> list[list[str]]:
        return _counts(service)

    def add_names(text: str, request: gr.Request) -> tuple[object, str, list[list[str]]]:
        try:
            said, left = _add(service, text, request), ""
        except AnnotatorError as error:
            # Not as a toast: the text repeats what was typed, and toasts insert markup.
            said, left = f"Nothing was added: {error}", text
        return gr.Textbox(said, visible=True), left, _counts(service)

    def export(form: str) -> tuple[object, str]:
        try:
            download, exported = downloads.export(service, form)
        except AnnotatorError as error:
            return gr.Textbox(str(error), visible=True), _NO_LINK
        cells = sum(sum(category.database[:2]) for category in exported.categories)
        said = (
            f"{exported.images:,} pictures, {len(exported.categories):,} categories and "
            f"{cells:,} known cells written; read back, every count agrees."
        )
        # Token and name are ours; nothing that a person typed is in them.
        address = f"/api/v1/exports/{download.token}"
        return (
            gr.Textbox(said, visible=True),
            f'<a href="{address}" download="{download.name}">Download {download.name}</a>',
        )

    # Without Gradio's queue: one request and its answer. In the queue an event that comes while
    # another one ends can wait for ever.
    tab.select(
        read_counts, outputs=counts, show_progress="hidden", queue=False, api_visibility="private"
    )
    add.click(
        add_names,
        inputs=names,
        outputs=[added, names, counts],
        queue=False,
        api_visibility="private",
    )
    make.click(export, inputs=kind, outputs=[told, link], queue=False, api_visibility="private")


def _add(service: AnnotationService, text: str, request: gr.Request) -> str:
    wanted = [line.strip() for line in text.splitlines() if line.strip()]
    if not wanted:
        raise InvalidInput("no name was typed (write one per line)")
    before = {category.name for category in service.categories()}
    user = request.cookies.get(USER_COOKIE, "")
    service.add_categories(wanted, user_id=int(user) if user.isdecimal() else None)
    new = [name for name in dict.fromkeys(wanted) if name not in before]
    return f"Added: {_some(new)}." if new else "These are there already."


def _some(names: Sequence[str]) -> str:
    shown = ", ".join(names[:5])
    return shown if len(names) <= 5 else f"{shown} and {len(names) - 5:,} more"


def _counts(service: AnnotationService) -> list[list[str]]:
    images = service.status().images
    return [
        [c.name, f"{c.present:,}", f"{c.absent:,}", f"{images - c.present - c.absent:,}"]
        for c in service.categories()
    ]
