"""The program itself: groups of commands, errors as one sentence, the version."""

from __future__ import annotations

from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from annotator.errors import AnnotatorError

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


def group(name: str, help: str) -> typer.Typer:
    """Add a group of commands: ``annotator NAME …``."""
    made = _app(help)
    app.add_typer(made, name=name)
    return made


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
