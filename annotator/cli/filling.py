"""Making a workspace and adding pictures and categories to it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from annotator.cli.program import app, group
from annotator.cli.shared import HERE, FeatureSet, UserOption, WorkspaceOption, service_of, user_of
from annotator.wording import counted

if TYPE_CHECKING:
    from annotator.service import AnnotationService
    from annotator.types import AddReport

add_app = group("add", "Add pictures or categories.")


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
    name: Annotated[
        str, typer.Option(help="Name of the project.", show_default="the name of the folder")
    ] = "",
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
        who = user_of(service, user)
        if names:
            service.add_categories(names, who)
        _tell_added(_add_images(service, images, found, who))
    say(
        f"The workspace is {path}"
        + (f" with {counted(len(names), 'category', 'categories')}." if names else ".")
    )
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
    with service_of(workspace) as service:
        who = user_of(service, user)
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
    with service_of(workspace) as service:
        before = len(service.categories())
        service.add_categories(wanted, user_of(service, user))
        after = len(service.categories())
    say(f"Added {after - before:,} categories; there are {after:,} now.")


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

    parts = [f"{counted(report.added, 'picture')} added"]
    if report.known:
        parts.append(f"{report.known:,} there already")
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
