"""What completes a label set: automatic decisions, second looks, and playing both."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from annotator.cli.program import app, group
from annotator.cli.shared import (
    HERE,
    FeatureSet,
    UserOption,
    WorkspaceOption,
    YesOption,
    category_of,
    new_key,
    service_of,
    user_of,
)
from annotator.errors import OutOfReach
from annotator.wording import counted, per_cent

contract_app = group(
    "contract", "Automatic decisions with a promise that blind answers have proved."
)
ContractArgument = Annotated[
    int, typer.Argument(metavar="CONTRACT", help="Its number, as annotator contract list says.")
]


@app.command("look-again")
def look_again(
    limit: Annotated[int, typer.Option(min=1, help="At most this many cells.")] = 30,
    workspace: WorkspaceOption = HERE,
) -> None:
    """List decided cells that the model, without having seen their label, contradicts."""
    from annotator.console import say, table

    with service_of(workspace) as service:
        names = {one.id: one.name for one in service.categories()}
        found = service.looking_again.cells(limit)
        files = {one.image_id: service.image(one.image_id).file_name for one in found}
    if not found:
        say("Nothing that is decided contradicts the model, or there is no model yet.")
        return
    rows = [
        (
            files[one.image_id],
            names[one.category_id],
            "present" if one.state > 0 else "absent",
            per_cent(one.probability, 0),
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
        typer.Option(
            metavar="NAME",
            help="Policy to play, see docs/completion.md; more than once.",
            show_default="stack",
        ),
    ] = None,
    seed: Annotated[
        list[int] | None,
        typer.Option(help="Draws the cells known at first; more than once.", show_default="0"),
    ] = None,
    known: Annotated[float, typer.Option(help="Share of cells known at the start.")] = 0.1,
    error_rate: Annotated[float, typer.Option(help="Share of wrong answers.")] = 0.0,
    per_round: Annotated[float, typer.Option(help="Answers per picture between trainings.")] = 0.25,
    target: Annotated[
        list[float] | None,
        typer.Option(
            help="Share of all cells that may be wrong in the end; more than once.",
            show_default="0.01 and 0.005",
        ),
    ] = None,
    feature_set: Annotated[
        FeatureSet, typer.Option(help="How pictures are described to the model.")
    ] = "balanced",
    ignore_columns: Annotated[
        str, typer.Option(metavar="NAME,…", help="Columns that are no category.")
    ] = "split,source,width,height",
    split: Annotated[
        str, typer.Option(metavar="NAME", help="Only rows whose split column says so.")
    ] = "",
) -> None:
    """Play whole projects against true labels and report what they cost in answers and seconds."""
    from annotator.console import activity, say, table
    from annotator.simulation.play import Game, games_of
    from annotator.simulation.projects import Source, play_all
    from annotator.simulation.report import FINISHED, TARGETS

    setting = Game("stack", 0, known, error_rate, per_round)
    games = games_of(policy or ["stack"], seed or [0], target or list(TARGETS), setting)
    source = Source(images, labels, feature_set, tuple(ignore_columns.split(",")), split)
    with activity() as tell:
        done = play_all(source, games, out, tell)
    say(f"{done.images:,} pictures, {done.cells:,} cells; asking all that is unknown takes "
        f"{done.exhaustive:.1f} answers per picture")  # fmt: skip
    columns = ["Policy", "Seeds"]
    for wrong in TARGETS:
        columns += [f"Answers at {wrong:.1%} wrong", "Seconds"]
    if done.rows:
        table(columns, done.rows)
    if done.finished:
        table([one[0].upper() + one[1:] for one in FINISHED], done.finished)
    say(f"Course, categories and plot are in {out}.", "dim")


@contract_app.command("propose")
def propose_contract(
    kind: Annotated[
        Literal["accept", "reject", "finish"],
        typer.Argument(
            metavar="KIND",
            help="accept: decide probable cells present; reject: decide improbable ones absent; "
            "finish: decide all that is left as the model says.",
        ),
    ],
    target: Annotated[
        float,
        typer.Option(
            help="Share that may be wrong of what it decides (accept) or of all cells (finish), or "
            "of present cells missed (reject).",
        ),
    ] = 0.02,
    confidence: Annotated[float, typer.Option(help="Of the promise.")] = 0.95,
    category: Annotated[
        str | None,
        typer.Option(
            metavar="NAME", help="Only this category.", show_default="all categories together"
        ),
    ] = None,
    preview: Annotated[
        bool, typer.Option("--preview", help="Only tell what it would ask and might decide.")
    ] = False,
    user: UserOption = None,
    workspace: WorkspaceOption = HERE,
) -> None:
    """Draw the cells whose blind answers would prove it; nothing is decided yet."""
    from annotator.console import say

    with service_of(workspace) as service:
        chosen = None if category is None else category_of(service, category)
        if preview:
            try:
                told = service.completion.preview(
                    kind, target=target, confidence=confidence, category_id=chosen
                ).words()
            except OutOfReach as error:  # an answer to what was asked, too
                told = str(error)[0].upper() + str(error)[1:] + "."
            say(told)
            return
        made = service.completion.propose(
            user_of(service, user), kind, target=target, confidence=confidence, category_id=chosen
        )
    say(f"Contract {made.contract.id} {made.words()}.")
    say("Next: answer the queue of blind questions on the Focus page.", "dim")


@contract_app.command("extend")
def extend_contract(number: ContractArgument, workspace: WorkspaceOption = HERE) -> None:
    """Ask more cells blind, where the answers so far prove nothing."""
    from annotator.console import say

    with service_of(workspace) as service:
        state = service.completion.extend(number)
    say(f"Contract {number} {state.words()}.")


@contract_app.command("apply")
def apply_contract(
    number: ContractArgument,
    user: UserOption = None,
    workspace: WorkspaceOption = HERE,
) -> None:
    """Decide its cells, as one event that undo takes back."""
    from annotator.console import say

    with service_of(workspace) as service:
        done = service.completion.apply(user_of(service, user), number, key=new_key())
    say(f"Contract {number} {done.words()}.")


@contract_app.command("withdraw")
def withdraw_contract(
    number: ContractArgument,
    reason: Annotated[str, typer.Option(metavar="TEXT", help="Kept with it.")] = "",
    yes: YesOption = False,
    user: UserOption = None,
    workspace: WorkspaceOption = HERE,
) -> None:
    """Make the cells that it decided unknown again, or drop a proposal."""
    from annotator.console import say

    with service_of(workspace) as service:
        told = service.completion.preview_withdrawal(number)
        if told.cells and not yes:
            say(f"{counted(told.cells, 'cell')} will be unknown again, {told.kept:,} changed since "
                "and kept.")  # fmt: skip
            say("Nothing was changed; add --yes to withdraw.")
            return
        who = user_of(service, user)
        service.completion.withdraw(who, number, key=new_key(), reason=reason)
    say(f"Contract {number} is withdrawn.")


@contract_app.command("list")
def list_contracts(workspace: WorkspaceOption = HERE) -> None:
    """Show all contracts, newest first."""
    from annotator.console import say, table

    with service_of(workspace) as service:
        states = service.completion.contracts(limit=None)
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
