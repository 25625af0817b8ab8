"""How the command line speaks: plain lines, tables, progress, and errors as one red sentence.

Results go to standard output, everything else to standard error. Names of files and categories are
hostile input: they are printed as text, without markup and without control characters.
"""

from __future__ import annotations

import time
import unicodedata
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn
from rich.table import Table
from rich.text import Text

Count = Callable[[int, int], None]
"""Called with (done, total)."""

Tell = Callable[[str, float], None]
"""Called with what is being done and the share done, 0-1."""

_SHOWN = 20
_SECONDS_BETWEEN_LINES = 10.0
_STEPS = 10_000


def say(text: str, style: str = "", *, stderr: bool = False) -> None:
    """Print a line."""
    Console(stderr=stderr).print(Text(printable(text), style=style), soft_wrap=True)


def warn(text: str) -> None:
    """Print a line that should not be overlooked."""
    say(text, "yellow", stderr=True)


def fail(error: BaseException) -> None:
    """Print an error as one red sentence."""
    say(f"Error: {error}", "red", stderr=True)


def listed(heading: str, lines: Sequence[str]) -> None:
    """Print a heading and the first few of its lines; nothing without lines."""
    if not lines:
        return
    warn(f"{heading}:")
    for line in lines[:_SHOWN]:
        say(f"  {line}", stderr=True)
    if len(lines) > _SHOWN:
        say(f"  and {len(lines) - _SHOWN:,} more", stderr=True)


def table(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Print a table; all columns but the first hold numbers."""
    shown = Table(box=None, pad_edge=False, header_style="bold")
    for index, column in enumerate(columns):
        shown.add_column(column, justify="right" if index else "left", overflow="fold")
    for row in rows:
        shown.add_row(*(Text(printable(value)) for value in row))
    Console().print(shown)


def printable(text: str) -> str:
    """Replace control characters, which could rewrite the terminal; line breaks stay."""
    return "".join(
        letter if letter == "\n" or unicodedata.category(letter) not in ("Cc", "Cs") else "�"
        for letter in text
    )


@contextmanager
def counting(what: str) -> Iterator[Count]:
    """Show how many things are done: a bar in a terminal, a line now and then elsewhere."""
    with activity() as tell:

        def count(done: int, total: int) -> None:
            tell(f"{what}: {done:,} of {total:,}", done / max(1, total))

        yield count


@contextmanager
def reading(what: str) -> Iterator[Count]:
    """As `counting`, for bytes: only the share is of interest."""
    with activity() as tell:
        yield lambda done, total: tell(what, done / max(1, total))


@contextmanager
def activity() -> Iterator[Tell]:
    """Show what is being done and how far it is."""
    console = Console(stderr=True)
    if not console.is_terminal:
        yield _lines()
        return
    columns = (
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        TaskProgressColumn(),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=console, transient=True) as bar:
        task = bar.add_task("", total=_STEPS, visible=False)

        def tell(message: str, share: float) -> None:
            shown = printable(message)
            bar.update(task, description=shown, completed=round(share * _STEPS), visible=True)

        yield tell


def _lines() -> Tell:
    """For logs: the first line after a while, so that quick commands stay silent."""
    said_at = time.monotonic()

    def tell(message: str, share: float) -> None:
        nonlocal said_at
        if time.monotonic() - said_at >= _SECONDS_BETWEEN_LINES:
            said_at = time.monotonic()
            say(f"{message} ({share:.0%})", stderr=True)

    return tell
