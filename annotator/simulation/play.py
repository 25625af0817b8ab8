"""Plays whole projects against true labels, through the real service and the real worker.

A played project starts with a share of its cells known, lets a policy choose what is asked, answers
from the true labels (with errors, if asked for), trains in the foreground after each round, and
notes after each round how many answers and seconds were spent and how many cells would be wrong if
the model decided the rest now.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from annotator.errors import InvalidInput
from annotator.scores import ScoreFolder
from annotator.service import AnnotationService, CellChange
from annotator.settings import Workspace
from annotator.simulation.policies import POLICIES, Policy, Seeking
from annotator.simulation.tool import (
    CONFIDENCE,
    LEAST_DOUBT,
    Clock,
    Spent,
    Team,
    doubt_for,
    worth_a_round,
)
from annotator.types import CellBatch, Labels

_AT_ONCE = 2_000
_GROWTH = 0.15

Tell = Callable[[str, float], None]


@dataclass(frozen=True)
class Game:
    """How a project is played.

    Attributes:
        policy: name, one of `policies.POLICIES`.
        seed: of the known cells, the order of ties and the annotator's errors.
        known: share of cells known at the start.
        error_rate: share of the annotator's answers that are wrong.
        per_round: answers per picture between two trainings.
        stop_at: total error at which the project ends; that is promised, where the policy ends with
            a contract.
        most_rounds: at which it ends in any case.
    """

    policy: str
    seed: int = 0
    known: float = 0.1
    error_rate: float = 0.0
    per_round: float = 0.25
    stop_at: float = 0.005
    most_rounds: int = 60

    def __post_init__(self) -> None:
        """Check what was typed.

        Raises:
            InvalidInput: naming the value and what was expected.
        """
        _policy(self.policy)
        for name in ("known", "stop_at"):
            if not 0 < getattr(self, name) < 1:
                raise InvalidInput(f"{name} must be between 0 and 1, got {getattr(self, name)}")
        if not 0 <= self.error_rate < 0.5:
            raise InvalidInput(f"error rate must be from 0 to 0.5, got {self.error_rate}")


def games_of(
    policies: Iterable[str], seeds: Sequence[int], targets: Sequence[float], game: Game
) -> list[Game]:
    """Games to be compared: a policy with a contract once per target, others to the lowest one.

    Args:
        policies: by name.
        seeds: each policy is played with each.
        targets: total errors.
        game: everything else.
    """
    return [
        replace(game, policy=policy, seed=seed, stop_at=target)
        for seed in seeds
        for policy in policies
        for target in (targets if _policy(policy).finishes else [min(targets)])
    ]


def _policy(name: str) -> Policy:
    if name not in POLICIES:
        raise InvalidInput(f"there is no policy {name!r} (choose from {', '.join(POLICIES)})")
    return POLICIES[name]


@dataclass(frozen=True)
class Step:
    """Where a project stands after a round.

    Attributes:
        spent: by people so far, beyond the cells known at the start.
        wrong: cells [C] that are wrong, known or as the model would decide them now.
        found: present cells [C] that are so.
        called: cells [C] that are called present.
        known: cells [C] that are decided.
    """

    round: int
    spent: Spent
    wrong: NDArray[np.int64]
    found: NDArray[np.int64]
    called: NDArray[np.int64]
    known: NDArray[np.int64]


def play(base: Path, truth: Labels, game: Game, folder: Path, tell: Tell) -> Iterator[Step]:
    """Play one project; a step after each round.

    Args:
        base: workspace with pictures, categories and features, without decisions.
        truth: true labels in its ids; 0 where a cell does not count.
        game: how.
        folder: for the workspace of this project; must not exist.
        tell: told what is done.
    """
    shutil.copytree(base, folder)
    workspace = Workspace.open(folder)
    random = np.random.default_rng(game.seed)
    clock = Clock()
    with AnnotationService(workspace, clock=clock) as service:
        project = _Project(workspace, service, truth, game, random, clock, tell)
        start = np.random.RandomState(game.seed).random(truth.states.shape) < game.known
        batches = CellBatch.of_matrix(
            truth.image_ids, truth.category_ids, np.where(start, truth.states, 0).astype(np.int8)
        )
        service.import_decisions(batches, key="known at the start")
        finishes = POLICIES[game.policy].finishes
        yield from _as_the_tool(project) if finishes else _cell_by_cell(project, start)


@dataclass(frozen=True)
class _Project:
    """One project while it is played."""

    workspace: Workspace
    service: AnnotationService
    truth: Labels
    game: Game
    random: np.random.Generator
    clock: Clock
    tell: Tell

    @property
    def policy(self) -> Policy:
        return POLICIES[self.game.policy]

    def train(self, number: int) -> NDArray[np.float32]:
        """Probability of every cell [N, C] after round ``number``; 0 without a model."""
        if not self.policy.learns:
            return np.zeros(self.truth.states.shape, dtype=np.float32)
        if number == 0 or self.policy.retrains:
            from annotator.training.worker import run_once  # torch: seconds

            run_once(self.workspace, self.tell)
            self.clock.days += 1
        scores = _newest(self.workspace, self.service)
        return _probability(scores, self.truth, self.policy)

    def wanted(self, answers: int) -> int:
        """Answers of the next round; more where many were given, so that long projects end."""
        least = self.game.per_round * len(self.truth.image_ids)
        return round(max(least, _GROWTH * answers))

    def answer(self, true: NDArray[np.int8]) -> NDArray[np.int8]:
        """What the annotator says, now and then wrongly."""
        wrong = self.random.random(len(true)) < self.game.error_rate
        return np.where(wrong, -true, true).astype(np.int8)

    def error(self, step: Step) -> float:
        """Share of the cells that is wrong."""
        return int(step.wrong.sum()) / max(1, int((self.truth.states != 0).sum()))


def _cell_by_cell(project: _Project, start: NDArray[np.bool_]) -> Iterator[Step]:
    """The policy chooses single cells, until few enough are wrong, which only the truth tells."""
    truth, policy, random = project.truth.states, project.policy, project.random
    counts = truth != 0
    asked, spent = start & counts, Spent()
    seeking = Seeking(truth.shape[1], random)
    for number in range(project.game.most_rounds):
        probability = project.train(number)
        now = project.service.labels().states
        step = _step(number, spent, probability, now, truth)
        yield step
        open_ = counts & ~asked
        if project.error(step) <= project.game.stop_at or not open_.any():
            return
        wanted = project.wanted(spent.answers)
        cells = policy.choose(probability, now, open_, wanted, random)
        if policy.seeks:
            sought = seeking.choose(probability, now, open_)
            cells = _together(sought, cells, wanted)
        asked[cells] = True
        said = project.answer(truth[cells])
        _decide(project.service, project.truth, cells, said, f"{number}")
        spent = spent.after(len(said), policy.seconds(probability[cells], said))


def _as_the_tool(project: _Project) -> Iterator[Step]:
    """The queue, perhaps Sweep, then a contract that promises the error; see `tool`."""
    truth, game = project.truth.states, project.game
    team = Team(project.service, project.truth, project.answer)
    planned: list[int | None] = []
    seeking = Seeking(truth.shape[1], project.random)
    number = 0
    while True:
        probability = project.train(number)
        now = project.service.labels().states
        yield _step(number, team.spent.copy(), probability, now, truth)
        planned.append(team.planned(game.stop_at, CONFIDENCE))
        project.tell(f"finishing now would take {planned[-1]} blind answers", 0.0)
        wanted = project.wanted(team.spent.focus)
        number += 1
        if not worth_a_round(planned, team.spent.round_of(wanted)):
            if project.policy.sweeps_present:
                team.sweep()
                probability = project.train(number)
            if team.finish(game.stop_at, CONFIDENCE, tell=lambda text: project.tell(text, 0.0)):
                break
            planned.clear()
        sought = seeking.choose(probability, now, (now == 0) & (truth != 0))
        given = team.seek(sought) if project.policy.seeks else 0
        if given < wanted:
            given += _learn(project, team, probability, wanted - given)
        if number > game.most_rounds or not given:
            break
    yield _step(number, team.spent.copy(), probability, project.service.labels().states, truth)


def _together(
    first: list[tuple[int, int]], others: tuple[NDArray[np.intp], ...], count: int
) -> tuple[NDArray[np.intp], ...]:
    """So many cells, some of them first; each once."""
    cells = dict.fromkeys([*first, *zip(*(part.tolist() for part in others), strict=True)])
    rows, columns = zip(*list(cells)[: max(count, len(first))], strict=True)
    return np.array(rows), np.array(columns)


def _learn(project: _Project, team: Team, probability: NDArray[np.float32], wanted: int) -> int:
    """Answer what is in doubt; returns how many answers."""
    open_ = project.service.labels().states == 0
    doubt, given = doubt_for(probability, open_, wanted), 0
    while given < wanted and open_.any():
        given += team.focus(wanted - given, doubt)
        project.clock.days += 1  # what was handed out can be handed out again
        if doubt <= 0.0:
            break
        doubt = doubt / 2 if doubt > LEAST_DOUBT else 0.0
    return given


def prepare(base: Path, tell: Tell) -> None:
    """Compute the features of a workspace once, for all projects to be played."""
    from annotator.training.worker import run_once

    run_once(Workspace.open(base), tell)


def truth_of(service: AnnotationService, states: dict[str, NDArray[np.int8]]) -> Labels:
    """True labels in the ids of a workspace.

    Args:
        service: of the workspace.
        states: file name -> states [C] in the order of its categories.
    """
    labels = service.labels()
    names = {image_id: name for image_id, name, _ in service.image_names()}
    found = np.zeros_like(labels.states)
    for row, image_id in enumerate(labels.image_ids.tolist()):
        found[row] = states[names[image_id]]
    return replace(labels, states=found)


def _newest(workspace: Workspace, service: AnnotationService) -> ScoreFolder:
    version = service.status().model_version
    if version is None:
        raise InvalidInput("no category has both a present and an absent label: start with more")
    return ScoreFolder.open(workspace.scores / version.folder)


def _probability(scores: ScoreFolder, truth: Labels, policy: Policy) -> NDArray[np.float32]:
    rows = scores.rows(truth.image_ids)
    columns = [scores.column(c) for c in truth.category_ids.tolist()]
    if policy.base_only:
        values = scores.source("base")[np.ix_(rows, np.array(columns))].astype(np.float32)
        return np.asarray(1 / (1 + np.exp(-values)), dtype=np.float32)
    return np.asarray(scores.probability[np.ix_(rows, np.array(columns))], dtype=np.float32)


def _step(
    number: int,
    spent: Spent,
    probability: NDArray[np.float32],
    known: NDArray[np.int8],
    truth: NDArray[np.int8],
) -> Step:
    decided = np.where(known != 0, known, np.where(probability >= 0.5, 1, -1))
    counted = truth != 0
    return Step(
        round=number,
        spent=spent,
        wrong=((decided != truth) & counted).sum(axis=0),
        found=((decided == 1) & (truth == 1)).sum(axis=0),
        called=((decided == 1) & counted).sum(axis=0),
        known=((known != 0) & counted).sum(axis=0),
    )


def _decide(
    service: AnnotationService,
    truth: Labels,
    cells: tuple[NDArray[np.intp], ...],
    said: NDArray[np.int8],
    name: str,
) -> None:
    """Answer through the service, as a page does; the order by picture makes it quick."""
    user = service.ensure_user("simulated").id
    order = np.lexsort((cells[1], cells[0]))
    images = truth.image_ids[cells[0]][order].tolist()
    categories = truth.category_ids[cells[1]][order].tolist()
    states = said[order].tolist()
    for first in range(0, len(images), _AT_ONCE):
        part = slice(first, first + _AT_ONCE)
        some = zip(images[part], categories[part], states[part], strict=True)
        changes = [CellChange(*one) for one in some]
        service.decide(user, changes, key=f"{name}-{first}", source="simulated")
