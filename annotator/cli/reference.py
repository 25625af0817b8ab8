"""docs/commands.md from the commands themselves: ``python -m annotator.cli.reference``.

A test compares the page with what this module makes, so that help and page cannot drift apart.
"""

from __future__ import annotations

import inspect
import re
import sys
import typing
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from typer.models import ArgumentInfo, OptionInfo

from annotator.cli import app

_HEAD = """# Commands

`annotator COMMAND --help` says the same. `--workspace` (`-w`) names the workspace; it may also
stand before the command. Without it, it is the one that `ANNOTATOR_WORKSPACE` names, or the current
folder. `--user` says who does it; without it, it is your name on this computer.

This page is made by `python -m annotator.cli.reference > docs/commands.md`.
"""

_EVERYWHERE = {"--user": "Who does it.", "--workspace": "The workspace."}
"""Options that the head of the page explains, with their help."""


@dataclass(frozen=True)
class Parameter:
    """An argument or option of a command.

    Attributes:
        names: as they are typed, the long one of an option first.
        value: what stands for its value; empty for a switch.
        words: what it does, with its default.
        required: whether the command refuses to run without it.
        option: whether it begins with dashes.
    """

    names: tuple[str, ...]
    value: str
    words: str
    required: bool
    option: bool


@dataclass(frozen=True)
class Command:
    """A command, like ``("import", "csv")``."""

    path: tuple[str, ...]
    words: str
    parameters: tuple[Parameter, ...]

    @property
    def usage(self) -> str:
        """As it is typed: the arguments and the options that it cannot do without."""
        needed = [_typed(one) for one in self.parameters if one.required or not one.option]
        return " ".join(["annotator", *self.path, *needed])


def commands() -> Iterator[Command]:
    """All commands in the order in which help lists them."""
    for info in app.registered_commands:
        yield _command((), info.name, info.callback)
    for group in app.registered_groups:
        for info in group.typer_instance.registered_commands if group.typer_instance else ():
            yield _command((str(group.name),), info.name, info.callback)


def page() -> str:
    """The whole page."""
    return "\n".join([_HEAD, *(_section(command) for command in commands())])


def _section(command: Command) -> str:
    common = [one for one in command.parameters if _is_common(one)]
    rows = [one for one in command.parameters if not _is_common(one)]
    lines = [f"## `annotator {' '.join(command.path)}`", "", command.words, ""]
    lines += ["```", command.usage, "```", ""]
    if rows:
        lines += ["| | |", "|---|---|"]
        lines += [f"| {_cell(one)} | {_plain(one.words)} |" for one in rows]
        lines += [""]
    if common:
        lines += [f"Also {', '.join(f'`{one.names[0]}`' for one in common)}.", ""]
    return "\n".join(lines)


def _is_common(one: Parameter) -> bool:
    return one.words.startswith(_EVERYWHERE.get(one.names[0], "\n"))


def _cell(one: Parameter) -> str:
    names = ", ".join(f"`{name}`" for name in one.names[1:])
    first = f"`{one.names[0]}{' ' + one.value if one.option and one.value else ''}`"
    return _plain(f"{first}, {names}" if names else first)


def _typed(one: Parameter) -> str:
    return f"{one.names[0]} {one.value}".strip() if one.option else one.names[0]


def _plain(text: str) -> str:
    return text.replace("|", "\\|")


def _command(
    path: tuple[str, ...], name: str | None, callback: Callable[..., Any] | None
) -> Command:
    if callback is None:
        raise TypeError(f"the command {name} has no function")
    words = inspect.getdoc(callback) or ""
    hints = typing.get_type_hints(callback, include_extras=True)
    found = []
    for parameter in inspect.signature(callback).parameters.values():
        kind, info = typing.get_args(hints[parameter.name])[:2]
        found.append(_parameter(parameter, kind, info))
    return Command((*path, name or callback.__name__.replace("_", "-")), words, tuple(found))


def _parameter(
    parameter: inspect.Parameter, kind: Any, info: OptionInfo | ArgumentInfo
) -> Parameter:
    required = parameter.default is inspect.Parameter.empty
    words = info.help or ""
    if isinstance(info, ArgumentInfo):
        shown = info.metavar or parameter.name.upper()
        return Parameter((shown,), "", _with_default(words, parameter, info), required, False)
    switch = kind is bool
    # Typer keeps the first name that was given where a default would be.
    given = [one for one in (info.default, *(info.param_decls or ())) if isinstance(one, str)]
    names = tuple(re.split("[/ ]", " ".join(given or [f"--{parameter.name.replace('_', '-')}"])))
    value = "" if switch else info.metavar or _values(kind)
    words = words if switch else _with_default(words, parameter, info)
    return Parameter(names, value, words, required, True)


def _values(kind: Any) -> str:
    """What may be given: the choices, else the kind of value in a word."""
    choices = [one for one in typing.get_args(kind) if one is not type(None)]
    if typing.get_origin(kind) is typing.Literal:
        return "|".join(str(one) for one in choices)
    if choices:
        return _values(choices[0])
    return {int: "NUMBER", float: "NUMBER", str: "TEXT"}.get(kind, "VALUE")


def _with_default(words: str, parameter: inspect.Parameter, info: OptionInfo | ArgumentInfo) -> str:
    """The words, and what is so where the option is left out."""
    default = parameter.default
    if isinstance(info.show_default, str):
        return f"{words} Without it: {info.show_default}."
    if default is inspect.Parameter.empty or default in (None, ""):
        return words
    return f"{words} Without it: {default}."


if __name__ == "__main__":
    sys.stdout.write(page())
