"""Labels and whole workspaces from files and to files."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from annotator.cli.program import app, group
from annotator.cli.shared import (
    HERE,
    OverwriteOption,
    UserOption,
    WorkspaceOption,
    open_workspace,
    service_of,
    user_of,
)
from annotator.wording import counted

if TYPE_CHECKING:
    from annotator.exchange import Exported, Imported
    from annotator.formats.table import LabelTable
    from annotator.service import AnnotationService

Unlisted = Literal["absent", "unknown"]

import_app = group("import", "Import labels from a file: everything, or on an error nothing.")
export_app = group("export", "Export labels to a file that is read back before it counts.")

AddCategoriesOption = Annotated[
    bool, typer.Option("--add-categories", help="Add categories that the workspace does not have.")
]
SkipMissingOption = Annotated[
    bool, typer.Option("--skip-missing", help="Leave out pictures the workspace does not have.")
]
ReplaceOption = Annotated[
    bool,
    typer.Option("--overwrite", help="Where a cell is decided otherwise already, take the file's."),
]


@import_app.command("coco")
def import_coco(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="COCO or LVIS annotations.")],
    unlisted: Annotated[
        Unlisted,
        typer.Option(
            help="What a category means that the file does not list for a picture: absent (every "
            "picture was searched for every category) or unknown (it was not)."
        ),
    ],
    add_categories: AddCategoriesOption = False,
    skip_missing: SkipMissingOption = False,
    overwrite: ReplaceOption = False,
    user: UserOption = None,
    workspace: WorkspaceOption = HERE,
) -> None:
    """Import COCO: annotations, with or without box, mean present; LVIS lists are understood."""
    from annotator.console import reading
    from annotator.exchange import read_coco

    with service_of(workspace) as service:
        with reading(f"reading {file.name}") as progress:
            table = read_coco(file, unlisted=unlisted, progress=progress)
        _import(service, file, table, add_categories, skip_missing, overwrite, user)


@import_app.command("csv")
def import_csv(
    file: Annotated[
        Path,
        typer.Argument(
            metavar="FILE",
            help="One row per picture; a column per category: 1 present, 0 absent, empty unknown.",
        ),
    ],
    image_column: Annotated[
        str, typer.Option(metavar="NAME", help="Column with the names of the pictures.")
    ] = "image",
    ignore_columns: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME,…",
            help="Columns that are neither picture nor category, like split,width,height.",
        ),
    ] = None,
    minus_one: Annotated[
        Unlisted | None,
        typer.Option(
            help="What -1 means in this file; both conventions exist.", show_default=False
        ),
    ] = None,
    unlisted: Annotated[Unlisted, typer.Option(help="What an empty cell means.")] = "unknown",
    encoding: Annotated[
        str | None,
        typer.Option(help="Encoding of the text, like cp1252.", show_default="UTF-8 or UTF-16"),
    ] = None,
    add_categories: AddCategoriesOption = False,
    skip_missing: SkipMissingOption = False,
    overwrite: ReplaceOption = False,
    user: UserOption = None,
    workspace: WorkspaceOption = HERE,
) -> None:
    """Import CSV: every column is a category but the picture's and those that are ignored."""
    from annotator.console import reading
    from annotator.exchange import read_csv

    ignored = [name.strip() for names in ignore_columns or [] for name in names.split(",")]
    with service_of(workspace) as service:
        with reading(f"reading {file.name}") as progress:
            table = read_csv(
                file,
                image_column=image_column,
                ignore_columns=ignored,
                minus_one=minus_one,
                unlisted=unlisted,
                encoding=encoding,
                progress=progress,
            )
        _import(service, file, table, add_categories, skip_missing, overwrite, user)


@export_app.command("coco")
def export_coco(
    out: Annotated[Path, typer.Argument(metavar="OUT", help="File to write.")],
    overwrite: OverwriteOption = False,
    workspace: WorkspaceOption = HERE,
) -> None:
    """Export COCO image-level labels: present, absent and unknown of every picture."""
    from annotator import exchange
    from annotator.console import counting

    with service_of(workspace) as service, counting("writing pictures") as progress:
        report = exchange.export_coco(service, out, overwrite=overwrite, progress=progress)
    _tell_exported(report, "read back by pycocotools")


@export_app.command("csv")
def export_csv(
    out: Annotated[Path, typer.Argument(metavar="OUT", help="File to write.")],
    overwrite: OverwriteOption = False,
    workspace: WorkspaceOption = HERE,
) -> None:
    """Export CSV: one row per picture, one column per category, 1, 0 or empty."""
    from annotator import exchange
    from annotator.console import counting, say

    with service_of(workspace) as service, counting("writing pictures") as progress:
        report = exchange.export_csv(service, out, overwrite=overwrite, progress=progress)
    _tell_exported(report, "read back")
    if report.image_column != "image":
        say(f"The pictures are in the column {report.image_column} (--image-column on import).")


@app.command()
def backup(
    out: Annotated[Path, typer.Argument(metavar="OUT", help="Archive to write.")],
    overwrite: OverwriteOption = False,
    workspace: WorkspaceOption = HERE,
) -> None:
    """Save labels, settings and models to one archive; pictures are not part of it."""
    from annotator.backup import back_up
    from annotator.console import reading, say, warn

    with reading("writing the backup") as progress:
        done = back_up(open_workspace(workspace), out, overwrite=overwrite, progress=progress)
    say(
        f"Saved {counted(done.known, 'known cell')} of {counted(done.images, 'picture')} to {out} "
        f"({done.bytes / 1e3:,.0f} kB); annotator restore makes a workspace of it."
    )
    if done.inside:
        warn(f"Copy as well: {counted(done.inside, 'picture')} inside the workspace itself.")


@app.command()
def restore(
    archive: Annotated[
        Path, typer.Argument(metavar="BACKUP", help="As annotator backup wrote it.")
    ],
    folder: Annotated[Path, typer.Argument(metavar="WORKSPACE", help="A new folder.")],
) -> None:
    """Make a workspace from a backup."""
    from annotator.backup import restore
    from annotator.console import say

    say(f"The restored workspace is {restore(archive, folder).path}.")


def _import(
    service: AnnotationService,
    file: Path,
    table: LabelTable,
    add_categories: bool,
    skip_missing: bool,
    overwrite: bool,
    user: str | None,
) -> None:
    from annotator.console import counting
    from annotator.exchange import import_labels

    with counting("importing cells") as progress:
        report = import_labels(
            service,
            table,
            user_id=user_of(service, user),
            add_categories=add_categories,
            skip_missing=skip_missing,
            conflict="overwrite" if overwrite else "keep",
            progress=progress,
            file_name=file.name,
        )
    _tell_imported(file, report)


def _tell_imported(file: Path, report: Imported) -> None:
    from annotator.console import listed, say, warn
    from annotator.formats.table import some

    say(
        f"{file.name}: {counted(report.images, 'picture')}; {counted(report.present, 'cell')} "
        f"present, {report.absent:,} absent, {report.unknown:,} unknown."
    )
    if report.new_categories:
        count = counted(len(report.new_categories), "new category", "new categories")
        say(f"{count}: {some(report.new_categories, 10)}.")
    listed(f"{counted(len(report.missing), 'picture')} not in the workspace", report.missing)
    cells = report.cells
    if cells.event_id is None:
        say("No cell is changed, so there is nothing to take back.")
    say(
        f"In the workspace: {counted(cells.added, 'cell')} decided, {cells.confirmed:,} known so "
        "already."
    )
    if cells.overwritten:
        changed = counted(cells.overwritten, "cell")
        warn(f"Decided otherwise and now as in the file: {changed}.")
    if cells.kept:
        kept = counted(cells.kept, "cell")
        warn(f"Decided otherwise and left so: {kept} (--overwrite takes the file's).")


def _tell_exported(report: Exported, how: str) -> None:
    from annotator.console import say, table

    rows = [
        (one.name, *(f"{d:,} / {f:,}" for d, f in zip(one.database, one.file, strict=True)))
        for one in report.categories
    ]
    sums = [sum(one.database[state] for one in report.categories) for state in range(3)]
    totals = [sum(one.file[state] for one in report.categories) for state in range(3)]
    rows.append(("Total", *(f"{d:,} / {f:,}" for d, f in zip(sums, totals, strict=True))))
    table(["Database / file", "Present", "Absent", "Unknown"], rows)
    say(f"{counted(report.images, 'picture')} in {report.path}, {how}: all counts agree.")
