"""Import on the Data page: choose a file, answer the one question, see what it would do, do it."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import gradio as gr

from annotator.errors import AnnotatorError, InvalidInput
from annotator.exchange import Imported, import_labels, read_coco, read_csv
from annotator.formats.table import LabelTable
from annotator.import_preview import has_minus_one, preview_import
from annotator.service import AnnotationService
from annotator.web.data_categories import plain_line, tell, user_id
from annotator.web.live import QUIET
from annotator.web.tasks import Outcome, Progress, Tasks
from annotator.wording import counted

_COCO, _CSV = "coco", "csv"
_KINDS = {".json": _COCO, ".csv": _CSV, ".tsv": _CSV, ".txt": _CSV}
_KEPT = 3

_MEANINGS = [
    ("Unknown: nobody looked for it", "unknown"),
    ("Absent: every picture was searched for every category", "absent"),
]
_QUESTIONS = {
    _COCO: "A category that the file does not list for a picture is",
    _CSV: "An empty cell is",
}


class _Checked:
    """Tables that were read and not imported yet; the newest few. Thread-safe."""

    def __init__(self) -> None:
        self._guard = threading.Lock()
        self._tables: dict[int, LabelTable] = {}
        self._number = 0

    def keep(self, table: LabelTable) -> int:
        with self._guard:
            self._number += 1
            self._tables[self._number] = table
            for old in sorted(self._tables)[:-_KEPT]:
                del self._tables[old]
            return self._number

    def take(self, number: int) -> LabelTable:
        with self._guard:
            found = self._tables.pop(number, None)
        if found is None:
            raise InvalidInput("the file is not kept any more (check it again)")
        return found


def make_import(service: AnnotationService, tasks: Tasks) -> None:
    """Build the part inside the current Gradio context."""
    part = _Import()
    part.connect(service, tasks, _Checked())


class _Import:
    """A file, the questions about it, what it would do, and the button that does it."""

    def __init__(self) -> None:
        self.file = gr.File(
            label="Labels as COCO (.json) or CSV (.csv)", file_types=list(_KINDS), height=150,
            elem_id="annotator-import",
        )  # fmt: skip
        with gr.Column(visible=False) as self.questions:
            self.unlisted = gr.Radio(_MEANINGS, value=None, label=_QUESTIONS[_COCO])
            self.minus = gr.Radio(
                _MEANINGS, value=None, label="The file has -1. It means", visible=False
            )
            with gr.Row(visible=False) as self.columns:
                self.image = gr.Textbox(
                    "image", label="Column with the pictures' names", max_lines=1
                )
                self.ignore = gr.Textbox(
                    label="Columns that are no categories", placeholder="split, width", max_lines=1
                )
            self.check = gr.Button("Check the file", scale=0, min_width=160)
        self.report = plain_line("What the file says", 2)
        with gr.Column(visible=False) as self.answers:
            self.new = gr.Checkbox(False, label="Add the new categories", visible=False)
            self.skip = gr.Checkbox(
                False, label="Leave out pictures that are not here", visible=False
            )
            self.conflict = gr.Radio(
                [("Keep what is decided here", "keep"), ("Take the file's", "overwrite")],
                value="keep", label="Cells that are decided otherwise", visible=False,
            )  # fmt: skip
            self.go = gr.Button("Import", variant="primary", scale=0, min_width=160)
        self.number = gr.State(0)

    def connect(self, service: AnnotationService, tasks: Tasks, checked: _Checked) -> None:
        """Answer what is chosen and pressed."""

        def look(path: str | None, *meant: Any) -> list[Any]:
            return _look(service, checked, path, *meant)

        def begin(
            path: str | None, number: int, new: bool, skip: bool, how: Any, request: gr.Request
        ) -> list[Any]:
            user = user_id(request)
            return _begin(service, tasks, checked, path, number, user, new, skip, how)

        self.file.change(
            _chosen,
            inputs=self.file,
            outputs=[
                self.questions, self.unlisted, self.minus, self.columns, self.report, self.answers,
            ],
            **QUIET,
        )  # fmt: skip
        self.check.click(
            look,
            inputs=[self.file, self.unlisted, self.minus, self.image, self.ignore],
            outputs=[
                self.report, self.answers, self.new, self.skip, self.conflict, self.number,
            ],
            **{**QUIET, "show_progress": "minimal"},
        )  # fmt: skip
        self.go.click(
            begin,
            inputs=[self.file, self.number, self.new, self.skip, self.conflict],
            outputs=[self.report, self.answers, self.questions, self.file],
            **QUIET,
        )


def _chosen(path: str | None) -> list[Any]:
    """The questions that a file of this kind leaves open."""
    kind = _kind(path)
    minus_one = path is not None and kind == _CSV and has_minus_one(Path(path))
    said = "" if path is None or kind else "This is neither COCO (.json) nor CSV (.csv)."
    meant = "unknown" if kind == _CSV else None
    return [
        gr.Column(visible=bool(kind)),
        gr.Radio(value=meant, label=_QUESTIONS.get(kind or _COCO)),
        gr.Radio(value=None, visible=minus_one),
        gr.Row(visible=kind == _CSV),
        tell(said),
        gr.Column(visible=False),
    ]


def _look(
    service: AnnotationService,
    checked: _Checked,
    path: str | None,
    unlisted: Any,
    minus: Any,
    image: str,
    ignore: str,
) -> list[Any]:
    """What the file would do, and the questions that this raises."""
    try:
        table = _read(path, unlisted, minus, image, ignore)
        found = preview_import(service, table)
    except AnnotatorError as error:
        # The path is a temporary one that says nothing to anybody.
        said = tell(str(error).replace(f"{path}: ", ""))
        return [said, gr.Column(visible=False), *[gr.skip()] * 4]
    first = not service.categories()
    return [
        tell(found.text()),
        gr.Column(visible=found.changes),
        gr.Checkbox(value=first, visible=bool(found.new_categories) and not first),
        gr.Checkbox(value=False, visible=bool(found.missing)),
        gr.Radio(value="keep", visible=found.different > 0),
        checked.keep(table),
    ]


def _begin(
    service: AnnotationService,
    tasks: Tasks,
    checked: _Checked,
    path: str | None,
    number: int,
    user: int | None,
    new: bool,
    skip: bool,
    conflict: Any,
) -> list[Any]:
    """Start the import of what was checked."""
    try:
        table = checked.take(number)
        name = Path(path).name if path else ""

        def work(progress: Progress) -> Outcome:
            return _import(service, table, name, user, new, skip, conflict, progress)

        tasks.start("import", "Importing", work)
    except AnnotatorError as error:
        return [tell(str(error)), gr.skip(), gr.skip(), gr.skip()]
    if path is not None:
        Path(path).unlink(missing_ok=True)  # it is read; nothing keeps a copy
    return [tell(""), gr.Column(visible=False), gr.Column(visible=False), None]


def _kind(path: str | None) -> str | None:
    return None if path is None else _KINDS.get(Path(path).suffix.lower())


def _read(path: str | None, unlisted: Any, minus: Any, image: str, ignore: str) -> LabelTable:
    kind = _kind(path)
    if path is None or kind is None:
        raise InvalidInput("no file is chosen (choose one above)")
    if unlisted is None:
        raise InvalidInput("say first what it means if the file does not list a category")
    if kind == _COCO:
        return read_coco(Path(path), unlisted=unlisted)
    if minus is None and has_minus_one(Path(path)):
        raise InvalidInput("say first what -1 means in this file")
    ignored = [name.strip() for name in ignore.split(",") if name.strip()]
    return read_csv(
        Path(path), image_column=image.strip() or "image", ignore_columns=ignored,
        minus_one=minus, unlisted=unlisted,
    )  # fmt: skip


def _import(
    service: AnnotationService,
    table: LabelTable,
    file_name: str,
    user: int | None,
    add_categories: bool,
    skip_missing: bool,
    conflict: Any,
    progress: Progress,
) -> Outcome:
    done = import_labels(
        service,
        table,
        user_id=user,
        add_categories=add_categories,
        skip_missing=skip_missing,
        conflict=conflict,
        progress=progress,
        file_name=file_name,
    )
    return Outcome(imported_words(file_name, done))


def imported_words(file_name: str, done: Imported) -> str:
    """What an import did; repeats names."""
    cells = done.cells
    if cells.event_id is None:
        text = (
            f"{file_name} changed no cell: {cells.confirmed:,} known so already, {cells.kept:,} "
            "decided otherwise and kept."
        )
        if not done.new_categories:
            return f"{text} There is nothing to take back."
        added = counted(len(done.new_categories), "new category", "new categories")
        return f"{text} {added} added; that can be taken back under Last changes."
    return (
        f"{file_name} is imported: {counted(cells.added, 'cell')} decided, {cells.confirmed:,} "
        f"known so already, {cells.overwritten:,} changed to what the file says, {cells.kept:,} "
        "decided otherwise and kept. It can be taken back under Last changes."
    )
