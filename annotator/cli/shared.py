"""What the commands share: options, the workspace, the person at the keyboard."""

from __future__ import annotations

import getpass
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

if TYPE_CHECKING:
    from annotator.service import AnnotationService
    from annotator.settings import Workspace

FeatureSet = Literal["fast", "balanced", "best", "tiny"]
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
YesOption = Annotated[bool, typer.Option("--yes", "-y", help="Do it; without it, only tell.")]
HERE = Path()


def open_workspace(path: Path) -> Workspace:
    """The workspace in this folder.

    Raises:
        WorkspaceError: the folder is none, or one of a newer version.
    """
    from annotator.settings import Workspace

    return Workspace.open(path)


@contextmanager
def service_of(path: Path) -> Iterator[AnnotationService]:
    """The service of the workspace in this folder, for as long as a command runs."""
    workspace = open_workspace(path)
    from annotator.service import AnnotationService

    with AnnotationService(workspace) as service:
        yield service


def user_of(service: AnnotationService, name: str | None) -> int:
    """Id of the person at the keyboard."""
    if name is None:
        try:
            name = getpass.getuser()
        except (OSError, KeyError):  # a container whose user has no name
            name = "me"
    return service.ensure_user(name).id


def category_of(service: AnnotationService, name: str) -> int:
    """Id of the category of this name.

    Raises:
        NotFound: there is none.
    """
    from annotator.errors import NotFound

    for category in service.categories():
        if category.name == name.strip():
            return category.id
    raise NotFound(f"there is no category {name!r} (annotator categories list shows all)")


def new_key() -> str:
    """Idempotency key of one command."""
    return secrets.token_urlsafe(16)
