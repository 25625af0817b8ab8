"""The Data page: categories, import and export, backup, and who is working here."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import gradio as gr

from annotator.errors import AnnotatorError
from annotator.progress import people
from annotator.service import AnnotationService
from annotator.settings import Workspace
from annotator.web.data_categories import USER_COOKIE, make_categories, plain_line, tell
from annotator.web.data_import import make_import
from annotator.web.data_words import PEOPLE_COLUMNS, people_table
from annotator.web.downloads import FORMATS, Downloads
from annotator.web.live import QUIET, keep_fresh
from annotator.web.tables import table
from annotator.web.tasks import Outcome, Progress, Task, Tasks
from annotator.wording import counted

__all__ = ["USER_COOKIE", "make_data_page"]

REFRESH_SECONDS = 1.0

_NO_LINK = "<span></span>"
_RESTORE = (
    "<p>A backup holds labels, settings and models, not the pictures; making one disturbs nobody. "
    "<strong>Restoring</strong> makes a new folder and leaves this workspace as it is, so it can "
    "be done while this page is open: <code>annotator restore BACKUP.zip NEW-FOLDER</code>, then "
    "<code>annotator serve -w NEW-FOLDER --port 0</code> to look at it beside this one.</p>"
)


def make_data_page(
    workspace: Workspace, service: AnnotationService, downloads: Downloads, tab: gr.Tab
) -> gr.Timer:
    """Build the page inside the current Gradio context.

    Args:
        workspace: to back up.
        service: carries out what is asked.
        downloads: keeps exported files until they are fetched.
        tab: its lists are read again when it is opened.

    Returns:
        The page's timer.
    """
    tasks, reports = Tasks(), []
    shown, read = make_categories(service)
    with gr.Row(equal_height=False):
        with gr.Column(min_width=320), gr.Column(elem_classes="card"):
            gr.Markdown("## Import labels")
            make_import(service, tasks)
            reports.append(_Report("import"))
        with gr.Column(min_width=320):
            with gr.Column(elem_classes="card"):
                gr.Markdown("## Export labels")
                kind = gr.Radio(
                    [(text, name) for name, (text, _) in FORMATS.items()], value="coco",
                    label="Export", info="The file is read back and compared before you get it.",
                )  # fmt: skip
                make = gr.Button("Make the file", scale=0, min_width=160)
                refused = plain_line("Why not")
                reports.append(_Report("export"))
            with gr.Column(elem_classes="card"):
                gr.Markdown("## Backup")
                gr.HTML(_RESTORE, apply_default_css=False, elem_classes="note")
                save = gr.Button("Make a backup", scale=0, min_width=160)
                unsaved = plain_line("Why not")
                reports.append(_Report("backup"))
    with gr.Column(elem_classes="card"):
        gr.Markdown("## People")
        everybody = table(
            PEOPLE_COLUMNS, "People", widths=["40%", "18%", "18%", "24%"], wrap=True, numbers=[1, 2]
        )
    seen = gr.State("")

    def refresh(seen_: str) -> list[Any]:
        task, event = tasks.now(), service.status().event_id
        stamp = repr((task, event, len(service.users())))
        if stamp == seen_:
            return [gr.skip()] * len(outputs)
        told = [value for report in reports for value in report.values(task)]
        if task.running and seen_:
            return [*told, *[gr.skip()] * (len(outputs) - len(told) - 1), stamp]
        return [*told, *read(), _people(service), stamp]

    def export(form: str) -> gr.Textbox:
        return _start(tasks, "export", "Exporting", lambda p: _export(service, downloads, form, p))

    def back_up() -> gr.Textbox:
        return _start(tasks, "backup", "Backing up", lambda p: _back_up(workspace, downloads, p))

    outputs = [*(part for report in reports for part in report.parts), *shown, everybody, seen]
    make.click(export, inputs=kind, outputs=refused, **QUIET)
    save.click(back_up, outputs=unsaved, **QUIET)
    return keep_fresh(tab, refresh, outputs, inputs=[seen], seconds=REFRESH_SECONDS)


class _Report:
    """How far a task is and what came of it, beside the button that begins it."""

    def __init__(self, kind: str) -> None:
        self.kind = kind
        with gr.Column(visible=False) as card:
            bar = gr.HTML(apply_default_css=False, elem_classes="situation")
            said = plain_line("What was done", 2)
            link = gr.HTML(_NO_LINK, elem_classes="download", apply_default_css=False)
        self.parts = [card, bar, said, link]

    def values(self, task: Task) -> list[Any]:
        """Values of the parts; nothing while the newest task is of another kind."""
        if task.kind != self.kind:
            return [gr.Column(visible=False), "", tell(""), _NO_LINK]
        percent = round(100 * task.share)
        if task.outcome is None:
            bar = (
                f'<h3 class="state" data-tone="busy">{task.doing} \u2026</h3>'
                f'<progress max="100" value="{percent}" aria-label="{task.doing}">{percent} %'
                f'</progress><span class="share">{percent} %</span>'
            )
            return [gr.Column(visible=True), bar, tell(""), _NO_LINK]
        tone, word = ("bad", "not done") if task.failed else ("good", "done")
        bar = (
            f'<div role="status"><h3 class="state" data-tone="{tone}">{task.doing}: {word}</h3>'
            "</div>"
        )
        link, download = _NO_LINK, task.outcome.download
        if download is not None:
            # Token and name are ours; nothing that a person typed is in them.
            address = f"/api/v1/exports/{download.token}"
            link = f'<a href="{address}" download="{download.name}">Download {download.name}</a>'
        return [gr.Column(visible=True), bar, tell(task.outcome.text), link]


def _start(tasks: Tasks, kind: str, doing: str, work: Any) -> gr.Textbox:
    try:
        tasks.start(kind, doing, work)
    except AnnotatorError as error:
        return tell(str(error))
    return tell("")


def _export(
    service: AnnotationService, downloads: Downloads, form: str, progress: Progress
) -> Outcome:
    download, exported = downloads.export(service, form, progress)
    cells = sum(sum(category.database[:2]) for category in exported.categories)
    return Outcome(
        f"{counted(exported.images, 'picture')}, "
        f"{counted(len(exported.categories), 'category', 'categories')} and "
        f"{counted(cells, 'known cell')} written; read back, every count agrees.",
        download,
    )


def _back_up(workspace: Workspace, downloads: Downloads, progress: Progress) -> Outcome:
    download, done = downloads.backup(workspace, progress)
    cells, pictures = counted(done.known, "known cell"), counted(done.images, "picture")
    text = f"{cells} of {pictures}, {done.bytes / 1e6:,.1f} MB."
    if done.inside:
        text += f" Copy as well: {counted(done.inside, 'picture')} inside the workspace itself."
    return Outcome(text, download)


def _people(service: AnnotationService) -> list[list[str]]:
    return people_table(service.users(), people(service.activity()), datetime.now().astimezone())
