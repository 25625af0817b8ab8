"""The command line: reads options, calls the service, says what happened.

Modules that take long to import are imported by the commands that need them, so that help and
errors come at once.
"""

from __future__ import annotations

import getpass
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer
from typer.core import TyperGroup

from annotator.errors import AnnotatorError

if TYPE_CHECKING:
    from annotator.category_changes import CategoryChange
    from annotator.exchange import Exported, Imported
    from annotator.formats.table import LabelTable
    from annotator.service import AnnotationService
    from annotator.settings import Workspace
    from annotator.types import AddReport

FeatureSet = Literal["fast", "balanced", "best", "tiny"]
Unlisted = Literal["absent", "unknown"]
OnConflict = Literal["present", "absent", "keep", "unknown"]

INTERRUPTED = 130


class _Group(TyperGroup):
    """Turns errors that are meant for people into one sentence and an exit code."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Take the workspace before the command too: ``annotator -w birds status``."""
        first = args[0] if args else ""
        size = 2 if first in ("-w", "--workspace") else 1
        if first.startswith(("-w", "--workspace")) and len(args) > size:
            args = [args[size], *args[:size], *args[size + 1 :]]
        return super().parse_args(ctx, args)

    def invoke(self, ctx: Any) -> Any:
        """Run the command that was named."""
        try:
            return super().invoke(ctx)
        except AnnotatorError as error:
            from annotator.console import fail

            fail(error)
            raise typer.Exit(1) from None
        except KeyboardInterrupt:
            from annotator.console import warn

            warn("Stopped; what was finished before is kept.")
            raise typer.Exit(INTERRUPTED) from None


def _app(help: str) -> typer.Typer:
    return typer.Typer(
        cls=_Group,
        help=help,
        no_args_is_help=True,
        add_completion=False,
        pretty_exceptions_enable=False,
        context_settings={"help_option_names": ["-h", "--help"]},
    )


app = _app(
    "Complete multi-label image label sets with a model that learns while you work.\n\n"
    "The workspace is given by --workspace (-w), else by ANNOTATOR_WORKSPACE, else it is the "
    "current folder."
)
add_app = _app("Add pictures or categories.")
import_app = _app("Import labels from a file: everything, or on an error nothing.")
export_app = _app("Export labels to a file that is read back before it counts.")
app.add_typer(add_app, name="add")
app.add_typer(import_app, name="import")
app.add_typer(export_app, name="export")
categories_app = _app("Rename, merge, delete and move categories; each can be taken back.")
app.add_typer(categories_app, name="categories")
contract_app = _app("Automatic decisions with a promise that blind answers have proved.")
app.add_typer(contract_app, name="contract")

WorkspaceOption = Annotated[
    Path,
    typer.Option(
        "--workspace",
        "-w",
        envvar="ANNOTATOR_WORKSPACE",
        metavar="FOLDER",
        help="The workspace.",
        show_default="the current folder",
    ),
]
UserOption = Annotated[
    str | None,
    typer.Option(
        "--user", metavar="NAME", help="Who does it.", show_default="your name on this computer"
    ),
]
OverwriteOption = Annotated[
    bool, typer.Option("--overwrite", help="Replace the file if it is there already.")
]
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
HERE = Path()


def main() -> None:
    """Run the command line of this process."""
    app()


def _version(wanted: bool) -> None:
    if wanted:
        from importlib.metadata import version

        typer.echo(version("hst-annotator"))
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[
        bool,
        typer.Option("--version", callback=_version, is_eager=True, help="Show the version."),
    ] = False,
) -> None:
    """Options of the program itself."""


# ---------------------------------------------------------------------- making and filling


@app.command()
def init(
    images: Annotated[Path, typer.Option(metavar="DIR", help="Folder with the pictures.")],
    folder: Annotated[
        Path | None,
        typer.Argument(
            metavar="[WORKSPACE]", help="Folder to make.", show_default="as --workspace"
        ),
    ] = None,
    categories: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Category list, one name per line.")
    ] = None,
    feature_set: Annotated[
        FeatureSet,
        typer.Option(help="How pictures are described to the model: speed against quality."),
    ] = "balanced",
    name: Annotated[str, typer.Option(help="Name of the project.", show_default="folder")] = "",
    user: UserOption = None,
    workspace: WorkspaceOption = HERE,
) -> None:
    """Make a workspace for a folder of pictures; the pictures stay where they are."""
    from annotator.console import say
    from annotator.exchange import read_categories
    from annotator.images import find_images
    from annotator.service import AnnotationService
    from annotator.settings import Settings, Workspace

    # Everything that can be wrong is looked at before anything is made.
    found = find_images(images)
    names = read_categories(categories) if categories else []
    path = (folder or workspace).expanduser().resolve()
    made = Workspace.create(path, Settings(name=name or path.name, feature_set=feature_set))
    with AnnotationService.create(made) as service:
        who = _user(service, user)
        if names:
            service.add_categories(names, who)
        _tell_added(_add_images(service, images, found, who))
    say(f"The workspace is {path}" + (f" with {len(names):,} categories." if names else "."))
    if not names:
        say("Next: annotator add categories NAME …, or annotator import …", "dim")
    say(f"Then: annotator serve --workspace {path}", "dim")


@add_app.command("images")
def add_images(
    folders: Annotated[list[Path], typer.Argument(metavar="DIR…", help="Folders with pictures.")],
    user: UserOption = None,
    workspace: WorkspaceOption = HERE,
) -> None:
    """Add pictures; those that are there already, by content, are not added again."""
    from annotator.images import find_images

    found = [(folder, find_images(folder)) for folder in folders]
    with _service(workspace) as service:
        who = _user(service, user)
        for folder, paths in found:
            _tell_added(_add_images(service, folder, paths, who))


@add_app.command("categories")
def add_categories(
    names: Annotated[
        list[str] | None, typer.Argument(metavar="[NAME…]", help="Names to add.")
    ] = None,
    file: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Category list, one name per line.")
    ] = None,
    user: UserOption = None,
    workspace: WorkspaceOption = HERE,
) -> None:
    """Add categories at the end of the list; names that are there already stay as they are."""
    from annotator.console import say
    from annotator.exchange import read_categories

    wanted = [*(names or []), *(read_categories(file) if file else [])]
    if not wanted:
        raise typer.BadParameter("name at least one category, or a list with --file")
    with _service(workspace) as service:
        before = len(service.categories())
        service.add_categories(wanted, _user(service, user))
        after = len(service.categories())
    say(f"Added {after - before:,} categories; there are {after:,} now.")


# ---------------------------------------------------------------------- import and export


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

    with _service(workspace) as service:
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
    with _service(workspace) as service:
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

    with _service(workspace) as service, counting("writing pictures") as progress:
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

    with _service(workspace) as service, counting("writing pictures") as progress:
        report = exchange.export_csv(service, out, overwrite=overwrite, progress=progress)
    _tell_exported(report, "read back")
    if report.image_column != "image":
        say(f"The pictures are in the column {report.image_column} (--image-column on import).")


# ---------------------------------------------------------------------- working with it


@app.command()
def serve(
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="0 takes a free one.")] = 7860,
    open: Annotated[
        bool, typer.Option("--open/--no-open", help="Open the page in the browser.")
    ] = False,
    workspace: WorkspaceOption = HERE,
) -> None:
    """Open the workspace in the browser, with the model learning beside it; Ctrl-C ends it."""
    _serve(_open(workspace), host, port, open)


@app.command()
def status(workspace: WorkspaceOption = HERE) -> None:
    """Show how far the labels are and what the model is doing."""
    from annotator.console import say, table

    with _service(workspace) as service:
        now = service.status()
        categories = service.categories()
        opened = service.workspace
    share = now.known / now.cells if now.cells else 0.0
    say(f"{opened.settings.name or opened.path.name}: {opened.path}", "bold")
    say(f"Pictures    {now.images:,}, {now.images_open:,} with something left to decide")
    say(
        f"Cells       {now.known:,} of {now.cells:,} known ({share:.1%}): "
        f"{now.present:,} present, {now.absent:,} absent"
    )
    model = now.model_version
    said = "none yet (annotator train, or annotator serve)"
    if model is not None:
        said = f"version {model.id} ({model.kind}), {model.created_at:%Y-%m-%d %H:%M} UTC"
    say(f"Model       {said}")
    server, worker = opened.holder("server"), opened.holder("worker")
    say(f"Server      {f'{server.address} (process {server.pid})' if server else 'not running'}")
    job = f": {now.job.message}" if worker and now.job and now.job.message else ""
    say(f"Trainer     {f'process {worker.pid}{job}' if worker else 'not running'}")
    if categories:
        say("")
        rows = [
            (c.name, *(f"{n:,}" for n in (c.present, c.absent, now.images - c.present - c.absent)))
            for c in categories
        ]
        table(["Category", "Present", "Absent", "Unknown"], rows)


@app.command()
def train(workspace: WorkspaceOption = HERE) -> None:
    """Learn from the labels as they are now; the new version is in force at the end."""
    opened = _open(workspace)
    if opened.holder("worker"):
        _train_in_the_server(opened)
        return
    from annotator.console import activity, listed, say, warn

    with activity() as tell:
        tell("starting", 0.0)
        from annotator.training.supervisor import PATIENT_THREADS

        os.environ.update(PATIENT_THREADS | os.environ)
        from annotator.training.worker import run_once  # torch: seconds

        report = run_once(opened, tell)
    listed("Could not be read", [f"{path}: {reason}" for path, reason in report.unreadable])
    if report.note:
        warn(report.note)
    if report.version is None:
        say(f"No model yet: {report.waiting}.")
        return
    say(
        f"Version {report.version} has learned from {report.known_cells:,} known cells of "
        f"{report.images:,} pictures in {report.seconds:.1f} s."
    )


@app.command()
def suggest(
    out: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="CSV to write.", show_default="standard output"),
    ] = None,
    limit: Annotated[int, typer.Option(min=1, help="At most this many per picture.")] = 10,
    min_probability: Annotated[
        float, typer.Option(min=0, max=1, help="Leave out what is less probable.")
    ] = 0.0,
    overwrite: OverwriteOption = False,
    workspace: WorkspaceOption = HERE,
) -> None:
    """List what the model suggests for undecided cells, with the reasons."""
    from annotator.console import counting, say, warn
    from annotator.exchange import export_suggestions

    with _service(workspace) as service:
        if service.status().model_version is None:
            warn("There is no model yet, so only frequencies are known (run annotator train).")
        with counting("asking about pictures") as progress:
            count = export_suggestions(
                service,
                out or sys.stdout,
                limit=limit,
                min_probability=min_probability,
                overwrite=overwrite,
                progress=progress,
            )
    say(f"{count:,} suggestions" + (f" written to {out}." if out else "."), stderr=out is None)


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
        done = back_up(_open(workspace), out, overwrite=overwrite, progress=progress)
    say(
        f"Saved {done.known:,} known cells of {done.images:,} pictures to {out} "
        f"({done.bytes / 1e3:,.0f} kB); annotator restore makes a workspace of it."
    )
    if done.inside:
        warn(f"{done.inside:,} pictures lie in the workspace itself: copy them too.")


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


@app.command()
def demo(
    images: Annotated[
        int | None, typer.Option(help="How many pictures to draw.", show_default="400")
    ] = None,
    seed: Annotated[
        int | None, typer.Option(help="Another seed, other pictures.", show_default="0")
    ] = None,
    known: Annotated[
        float | None, typer.Option(help="Share of cells known at the start.", show_default="0.1")
    ] = None,
    feature_set: Annotated[
        FeatureSet | None,
        typer.Option(help="How pictures are described to the model.", show_default="fast"),
    ] = None,
    serve: Annotated[
        bool, typer.Option("--serve/--no-serve", help="Open it afterwards, or only make it.")
    ] = True,
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="0 takes a free one.")] = 7860,
    open: Annotated[
        bool, typer.Option("--open/--no-open", help="Open the page in the browser.")
    ] = False,
    workspace: Annotated[
        Path,
        typer.Option("--workspace", "-w", metavar="FOLDER", help="Where to make it."),
    ] = Path("demo"),
) -> None:
    """Draw pictures, decide a part of their cells, and open the tool on them."""
    from dataclasses import replace

    from annotator.console import counting, say
    from annotator.demo import Demo, existing_demo, make_demo

    asked = {"images": images, "seed": seed, "known": known, "feature_set": feature_set}
    given = {name: value for name, value in asked.items() if value is not None}
    wanted: Demo = replace(existing_demo(workspace) or Demo(), **given)  # type: ignore[arg-type]
    made = make_demo(workspace, wanted, counting)
    say(f"The demo workspace is {made.path} ({wanted.images:,} pictures).")
    if serve:
        _serve(made, host, port, open)


@app.command("look-again")
def look_again(
    limit: Annotated[int, typer.Option(min=1, help="At most this many cells.")] = 30,
    workspace: WorkspaceOption = HERE,
) -> None:
    """List decided cells that the model, without having seen their label, contradicts."""
    from annotator.console import say, table

    with _service(workspace) as service:
        found = service.completion.contradicted(limit)
        names = {one.id: one.name for one in service.categories()}
        files = {one.image_id: service.image(one.image_id).file_name for one in found}
    if not found:
        say("Nothing that is decided contradicts the model, or there is no model yet.")
        return
    rows = [
        (
            files[one.image_id],
            names[one.category_id],
            "present" if one.state > 0 else "absent",
            f"{one.probability:.0%}",
        )
        for one in found
    ]
    table(["Picture", "Category", "Decided", "Probability of present"], rows)


@app.command()
def simulate(
    images: Annotated[Path, typer.Option(metavar="DIR", help="Folder with the pictures.")],
    labels: Annotated[Path, typer.Option(metavar="FILE", help="CSV with their complete labels.")],
    out: Annotated[Path, typer.Option(metavar="DIR", help="For tables, plot and workspaces.")],
    policy: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME", help="Policy to play; more than once.", show_default="stack"),
    ] = None,
    seed: Annotated[
        list[int] | None, typer.Option(help="Of what is known; more than once.", show_default="0")
    ] = None,
    known: Annotated[float, typer.Option(help="Share of cells known at the start.")] = 0.1,
    error_rate: Annotated[float, typer.Option(help="Share of wrong answers.")] = 0.0,
    per_round: Annotated[float, typer.Option(help="Answers per picture between trainings.")] = 0.25,
    feature_set: Annotated[FeatureSet, typer.Option(help="As of a workspace.")] = "balanced",
    ignore_columns: Annotated[
        str, typer.Option(metavar="NAME,…", help="Columns that are no category.")
    ] = "split,source,width,height",
    split: Annotated[
        str, typer.Option(metavar="NAME", help="Only rows whose split column says so.")
    ] = "",
) -> None:
    """Play whole projects against true labels and report what they cost in answers and seconds."""
    from annotator.console import activity, say, table
    from annotator.simulation.play import Game
    from annotator.simulation.projects import Source, play_all
    from annotator.simulation.report import TARGETS

    games = [
        Game(name, number, known, error_rate, per_round)
        for number in seed or [0]
        for name in policy or ["stack"]
    ]
    source = Source(images, labels, feature_set, tuple(ignore_columns.split(",")), split)
    with activity() as tell:
        done = play_all(source, games, out, tell)
    say(f"{done.images:,} pictures, {done.cells:,} cells; asking all that is unknown takes "
        f"{done.exhaustive:.1f} answers per picture")  # fmt: skip
    columns = ["Policy", "Seeds"]
    for target in TARGETS:
        columns += [f"Answers at {target:.1%} wrong", "Seconds"]
    table(columns, done.rows)
    say(f"Course, categories and plot are in {out}.", "dim")


# ---------------------------------------------------------------------- automatic decisions


@contract_app.command("propose")
def propose_contract(
    kind: Annotated[
        Literal["accept", "reject"],
        typer.Argument(help="Accept probable cells as present, or reject improbable ones."),
    ],
    target: Annotated[
        float,
        typer.Option(
            min=0, max=1, help="Share that may be wrong (accept) or of present cells missed."
        ),
    ] = 0.02,
    confidence: Annotated[float, typer.Option(min=0, max=1, help="Of the promise.")] = 0.95,
    category: Annotated[
        str | None, typer.Option(metavar="NAME", help="Only this one.", show_default="all together")
    ] = None,
    user: UserOption = None,
    workspace: WorkspaceOption = HERE,
) -> None:
    """Draw the cells whose blind answers would prove it; nothing is decided yet."""
    from annotator.console import say

    with _service(workspace) as service:
        chosen = None if category is None else _category(service, category)
        made = service.completion.propose(
            _user(service, user), kind, target=target, confidence=confidence, category_id=chosen
        )
    say(f"Contract {made.contract.id} {made.words()}.")
    say("Next: answer the queue of blind questions on the Focus page.", "dim")


@contract_app.command("apply")
def apply_contract(
    number: Annotated[int, typer.Argument(metavar="CONTRACT", help="Its number.")],
    user: UserOption = None,
    workspace: WorkspaceOption = HERE,
) -> None:
    """Decide its cells, as one event that undo takes back."""
    from annotator.console import say

    with _service(workspace) as service:
        done = service.completion.apply(_user(service, user), number, key=_new_key())
    say(f"Contract {number} {done.words()}.")


@contract_app.command("withdraw")
def withdraw_contract(
    number: Annotated[int, typer.Argument(metavar="CONTRACT", help="Its number.")],
    reason: Annotated[str, typer.Option(help="Kept with it.")] = "",
    user: UserOption = None,
    workspace: WorkspaceOption = HERE,
) -> None:
    """Make the cells that it decided unknown again, or drop a proposal."""
    from annotator.console import say

    with _service(workspace) as service:
        who = _user(service, user)
        service.completion.withdraw(who, number, key=_new_key(), reason=reason)
    say(f"Contract {number} is withdrawn.")


@contract_app.command("list")
def list_contracts(workspace: WorkspaceOption = HERE) -> None:
    """Show all contracts, newest first."""
    from annotator.console import say, table

    with _service(workspace) as service:
        states = service.completion.contracts()
        names = {one.id: one.name for one in service.categories()}
    if not states:
        say("There is no contract yet (annotator contract propose).")
        return
    rows = [
        (
            f"{state.contract.id} {state.contract.kind}",
            names.get(state.contract.category_id or 0, "all"),
            state.stage,
            state.words(),
        )
        for state in states
    ]
    table(["Contract", "Category", "Stage", "What it says"], rows)


# ---------------------------------------------------------------------- categories

CategoryArgument = Annotated[str, typer.Argument(metavar="NAME", help="The category.")]
YesOption = Annotated[bool, typer.Option("--yes", "-y", help="Do it; without it, only tell.")]


@categories_app.command("list")
def categories_list(workspace: WorkspaceOption = HERE) -> None:
    """List the categories in order, with their known cells."""
    from annotator.console import table

    with _service(workspace) as service:
        images = service.status().images
        rows = [
            (c.name, *(f"{n:,}" for n in (c.present, c.absent, images - c.present - c.absent)))
            for c in service.categories()
        ]
    table(["Category", "Present", "Absent", "Unknown"], rows)


@categories_app.command("rename")
def categories_rename(
    name: CategoryArgument,
    new_name: Annotated[str, typer.Argument(metavar="NEW", help="The new name.")],
    user: UserOption = None,
    workspace: WorkspaceOption = HERE,
) -> None:
    """Give a category another name; its cells stay as they are."""
    with _service(workspace) as service:
        category = _category(service, name)
        changes, who = service.category_changes, _user(service, user)
        _tell_changed(changes.rename(who, category, new_name, key=_new_key()))


@categories_app.command("merge")
def categories_merge(
    name: CategoryArgument,
    into: Annotated[str, typer.Argument(metavar="INTO", help="The category that stays.")],
    on_conflict: Annotated[
        OnConflict,
        typer.Option(help="What a cell becomes that is present in one and absent in the other."),
    ] = "keep",
    yes: YesOption = False,
    user: UserOption = None,
    workspace: WorkspaceOption = HERE,
) -> None:
    """Carry the known cells of a category over into another one, and remove it."""
    from annotator.console import say

    with _service(workspace) as service:
        going, staying = _category(service, name), _category(service, into)
        found = service.category_changes.preview_merge(going, staying)
        say(
            f"{found.carried:,} cells are carried over, {found.equal:,} agree, "
            f"{found.present_absent:,} are present in {name} and absent in {into}, "
            f"{found.absent_present:,} the other way round."
        )
        if not yes:
            say("Nothing was changed; add --yes to merge.")
            return
        _tell_changed(
            service.category_changes.merge(
                _user(service, user), going, staying, on_conflict=on_conflict, key=_new_key()
            )
        )


@categories_app.command("delete")
def categories_delete(
    name: CategoryArgument,
    yes: YesOption = False,
    user: UserOption = None,
    workspace: WorkspaceOption = HERE,
) -> None:
    """Remove a category; its cells become unknown."""
    from annotator.console import say

    with _service(workspace) as service:
        category = _category(service, name)
        found = service.category_changes.preview_removal(category)
        say(f"{found.present:,} present and {found.absent:,} absent cells become unknown.")
        if not yes:
            say("Nothing was changed; add --yes to delete.")
            return
        changes, who = service.category_changes, _user(service, user)
        _tell_changed(changes.remove(who, category, key=_new_key()))


@categories_app.command("move")
def categories_move(
    name: CategoryArgument,
    place: Annotated[int, typer.Argument(metavar="PLACE", min=1, help="From 1, the top.")],
    user: UserOption = None,
    workspace: WorkspaceOption = HERE,
) -> None:
    """Move a category to another place of the list."""
    with _service(workspace) as service:
        changes, who = service.category_changes, _user(service, user)
        _tell_changed(changes.move(who, _category(service, name), place, key=_new_key()))


@categories_app.command("undo")
def categories_undo(
    event: Annotated[int, typer.Argument(metavar="EVENT", help="As the change said.")],
    user: UserOption = None,
    workspace: WorkspaceOption = HERE,
) -> None:
    """Take a change of categories back; cells that were changed since stay as they are."""
    from annotator.console import say

    with _service(workspace) as service:
        done = service.undo(_user(service, user), key=_new_key(), event_id=event)
    say(f"Taken back; {done.cells:,} cells are as they were.")
    if done.left_count:
        say(f"{done.left_count:,} cells were changed since and stay as they are.")


def _category(service: AnnotationService, name: str) -> int:
    """Id of the category of this name."""
    from annotator.errors import NotFound

    for category in service.categories():
        if category.name == name.strip():
            return category.id
    raise NotFound(f"there is no category {name!r} (annotator categories list shows all)")


def _new_key() -> str:
    import secrets

    return secrets.token_urlsafe(16)


def _tell_changed(change: CategoryChange) -> None:
    from annotator.console import say

    say(
        f"Done; {change.cells:,} cells changed. annotator categories undo {change.event_id} "
        "takes it back."
    )


# ---------------------------------------------------------------------- what they share


def _open(path: Path) -> Workspace:
    from annotator.settings import Workspace

    return Workspace.open(path)


@contextmanager
def _service(path: Path) -> Iterator[AnnotationService]:
    workspace = _open(path)
    from annotator.service import AnnotationService

    with AnnotationService(workspace) as service:
        yield service


def _user(service: AnnotationService, name: str | None) -> int:
    """Id of the person at the keyboard."""
    if name is None:
        try:
            name = getpass.getuser()
        except (OSError, KeyError):  # a container whose user has no name
            name = "me"
    return service.ensure_user(name).id


def _add_images(
    service: AnnotationService, folder: Path, paths: list[Path], user_id: int
) -> AddReport:
    from annotator.console import counting
    from annotator.images import scan_images

    with counting("adding pictures") as progress:
        scanned = scan_images(paths, folder, service.workspace.thumbnail, progress=progress)
        return service.add_images(scanned, user_id)


def _tell_added(report: AddReport) -> None:
    from annotator.console import listed, say

    parts = [f"{report.added:,} pictures added"]
    if report.known:
        parts.append(f"{report.known:,} were there already")
    if report.moved:
        parts.append(f"{report.moved:,} have a new place")
    say(", ".join(parts) + ".")
    listed(
        f"{len(report.unreadable):,} could not be read and are left out",
        [f"{name}: {reason}" for name, reason in report.unreadable],
    )
    listed(
        f"{len(report.duplicates):,} have the same content as another picture and are left out",
        [f"{name} is the same as {other}" for name, other in report.duplicates],
    )


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
            user_id=_user(service, user),
            add_categories=add_categories,
            skip_missing=skip_missing,
            conflict="overwrite" if overwrite else "keep",
            progress=progress,
        )
    _tell_imported(file, report)


def _tell_imported(file: Path, report: Imported) -> None:
    from annotator.console import listed, say, warn
    from annotator.formats.table import some

    say(
        f"{file.name}: {report.images:,} pictures; {report.present:,} cells present, "
        f"{report.absent:,} absent, {report.unknown:,} unknown."
    )
    if report.new_categories:
        say(f"{len(report.new_categories):,} new categories: {some(report.new_categories, 10)}.")
    listed(f"{len(report.missing):,} pictures are not in the workspace", report.missing)
    cells = report.cells
    say(f"In the workspace: {cells.added:,} cells decided, {cells.confirmed:,} were so already.")
    if cells.overwritten:
        warn(f"{cells.overwritten:,} cells were decided otherwise and are now as in the file.")
    if cells.kept:
        warn(
            f"{cells.kept:,} cells were decided otherwise and stay so "
            "(--overwrite takes the file's)."
        )


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
    say(f"{report.images:,} pictures in {report.path}, {how}: all counts agree.")


def _serve(workspace: Workspace, host: str, port: int, open_browser: bool) -> None:
    from annotator.console import say

    holder = workspace.holder("server")
    if holder is None:  # else the error is there at once, without importing the web
        say("Starting …", "dim", stderr=True)
    else:
        workspace.lock("server").release()
    from annotator.web.app import run_server

    try:
        run_server(
            workspace,
            host,
            port,
            open_browser=open_browser,
            ready=lambda address: say(f"Open {address} in a browser; Ctrl-C stops.", "bold"),
        )
    except KeyboardInterrupt:  # the way to end it
        say("Stopped; every decision is saved.", stderr=True)


def _train_in_the_server(workspace: Workspace) -> None:
    """Ask the worker that runs already, and follow what it does."""
    import time

    from annotator.console import activity, say
    from annotator.errors import WorkspaceError
    from annotator.service import AnnotationService

    with AnnotationService(workspace) as service, activity() as tell:
        asked = service.request_job("train")
        while True:
            (job,) = [job for job in service.jobs(kind="train") if job.id == asked.id] or [asked]
            if job.status not in ("waiting", "running"):
                break
            worker = next(iter(service.jobs(kind="worker", status="running", limit=1)), None)
            if worker is not None:
                tell(worker.message, worker.progress)
            elif workspace.holder("worker") is None:
                raise WorkspaceError("the trainer has ended (run annotator train again)")
            time.sleep(0.3)
    if job.status == "failed":
        raise WorkspaceError(f"the trainer failed: {job.reason}")
    say(f"The running trainer is done: {job.message}.")
