"""The list of categories: every change of it can be taken back."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Literal

import typer

from annotator.cli.program import group
from annotator.cli.shared import (
    HERE,
    UserOption,
    WorkspaceOption,
    YesOption,
    category_of,
    new_key,
    service_of,
    user_of,
)
from annotator.wording import counted

if TYPE_CHECKING:
    from annotator.category_changes import CategoryChange

OnConflict = Literal["present", "absent", "keep", "unknown"]

categories_app = group(
    "categories", "Rename, merge, delete and move categories; each can be taken back."
)


CategoryArgument = Annotated[str, typer.Argument(metavar="NAME", help="The category.")]


@categories_app.command("list")
def categories_list(workspace: WorkspaceOption = HERE) -> None:
    """List the categories in order, with their known cells."""
    from annotator.console import table

    with service_of(workspace) as service:
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
    with service_of(workspace) as service:
        category = category_of(service, name)
        changes, who = service.category_changes, user_of(service, user)
        _tell_changed(changes.rename(who, category, new_name, key=new_key()))


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
    from annotator.category_changes import ends_words
    from annotator.console import say

    with service_of(workspace) as service:
        going, staying = category_of(service, name), category_of(service, into)
        found = service.category_changes.preview_merge(going, staying)
        cells = counted(found.carried, "cell")
        conflicts = (
            f"{found.equal:,} agreeing, {found.present_absent:,} present in {name} and absent in "
            f"{into}, {found.absent_present:,} the other way round."
        )
        if not yes:
            say(f"{cells} to carry over, {conflicts}{ends_words(found.proposals)}")
            say("Nothing was changed; add --yes to merge.")
            return
        done = service.category_changes.merge(
            user_of(service, user), going, staying, on_conflict=on_conflict, key=new_key()
        )
        say(f"{cells} carried over, {conflicts}{ends_words(found.proposals, done=True)}")
        _tell_changed(done)


@categories_app.command("delete")
def categories_delete(
    name: CategoryArgument,
    yes: YesOption = False,
    user: UserOption = None,
    workspace: WorkspaceOption = HERE,
) -> None:
    """Remove a category; its cells become unknown."""
    from annotator.category_changes import ends_words
    from annotator.console import say

    with service_of(workspace) as service:
        category = category_of(service, name)
        found = service.category_changes.preview_removal(category)
        cells = counted(found.present + found.absent, "known cell")
        states = f"{found.present:,} present, {found.absent:,} absent"
        if not yes:
            say(f"{cells} will be unknown: {states}.{ends_words(found.proposals)}")
            say("Nothing was changed; add --yes to delete.")
            return
        changes, who = service.category_changes, user_of(service, user)
        done = changes.remove(who, category, key=new_key())
        became = "is" if found.present + found.absent == 1 else "are"
        say(f"{cells} {became} unknown now: {states}.{ends_words(found.proposals, done=True)}")
        _tell_changed(done)


@categories_app.command("move")
def categories_move(
    name: CategoryArgument,
    place: Annotated[int, typer.Argument(metavar="PLACE", min=1, help="From 1, the top.")],
    user: UserOption = None,
    workspace: WorkspaceOption = HERE,
) -> None:
    """Move a category to another place of the list."""
    with service_of(workspace) as service:
        changes, who = service.category_changes, user_of(service, user)
        _tell_changed(changes.move(who, category_of(service, name), place, key=new_key()))


@categories_app.command("undo")
def categories_undo(
    event: Annotated[int, typer.Argument(metavar="EVENT", help="As the change said.")],
    user: UserOption = None,
    workspace: WorkspaceOption = HERE,
) -> None:
    """Take a change of categories back; cells that were changed since stay as they are."""
    from annotator.console import say

    with service_of(workspace) as service:
        done = service.undo(user_of(service, user), key=new_key(), event_id=event)
    say(f"Taken back: {counted(done.cells, 'cell')} as before.")
    if done.left_count:
        say(f"Left alone, since changed in the meantime: {counted(done.left_count, 'cell')}.")


def _tell_changed(change: CategoryChange) -> None:
    from annotator.console import say

    changed = f"; {counted(change.cells, 'cell')} changed" if change.cells else ""
    say(f"Done{changed}. annotator categories undo {change.event_id} takes it back.")
