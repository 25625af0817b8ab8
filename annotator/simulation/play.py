"""Plays whole projects against true labels, through the real service and the real worker.

A played project starts with a share of its cells known, lets a policy choose what is asked, answers
from the true labels (with errors, if asked for), trains in the foreground after each round, and
notes after each round how many answers and seconds were spent and how many cells would be wrong if
the model decided the rest now.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from annotator.errors import InvalidInput
from annotator.scores import ScoreFolder
from annotator.service import AnnotationService, CellChange
from annotator.settings import Workspace
from annotator.simulation.policies import POLICIES, Policy
from annotator.types import CellBatch, Labels

_AT_ONCE = 2_000

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
        stop_at: total error at which the project ends.
        most_rounds: at which it ends in any case.
    """

    policy: str
    seed: int = 0
    known: float = 0.1
    error_rate: float = 0.0
    per_round: float = 0.25
    stop_at: float = 0.005
    most_rounds: int = 40

    def __post_init__(self) -> None:
        """Check what was typed.

        Raises:
            InvalidInput: naming the value and what was expected.
        """
        if self.policy not in POLICIES:
            raise InvalidInput(
                f"there is no policy {self.policy!r} (choose from {', '.join(POLICIES)})"
            )
        for name in ("known", "stop_at"):
            if not 0 < getattr(self, name) < 1:
                raise InvalidInput(f"{name} must be between 0 and 1, got {getattr(self, name)}")
        if not 0 <= self.error_rate < 0.5:
            raise InvalidInput(f"error rate must be from 0 to 0.5, got {self.error_rate}")


@dataclass(frozen=True)
class Step:
    """Where a project stands after a round.

    Attributes:
        answers: human answers so far, beyond the cells known at the start.
        seconds: they took.
        wrong: cells [C] that are wrong, known or as the model would decide them now.
        found: present cells [C] that are so.
        called: cells [C] that are called present.
    """

    round: int
    answers: int
    seconds: float
    wrong: NDArray[np.int64]
    found: NDArray[np.int64]
    called: NDArray[np.int64]


def play(base: Path, truth: Labels, game: Game, folder: Path, tell: Tell) -> Iterator[Step]:
    """Play one project; a step after each round.

    Args:
        base: workspace with pictures, categories and features, without decisions.
        truth: true labels in its ids; 0 where a cell does not count.
        game: how.
        folder: for the workspace of this project; must not exist.
        tell: told what is done.
    """
    from annotator.training.worker import run_once  # torch: seconds

    shutil.copytree(base, folder)
    workspace = Workspace.open(folder)
    random = np.random.default_rng(game.seed)
    policy = POLICIES[game.policy]
    with AnnotationService(workspace) as service:
        counts = truth.states != 0
        start = (np.random.RandomState(game.seed).random(counts.shape) < game.known) & counts
        batches = CellBatch.of_matrix(
            truth.image_ids, truth.category_ids, np.where(start, truth.states, 0).astype(np.int8)
        )
        service.import_decisions(batches, key="known at the start")
        asked, answers, seconds = start.copy(), 0, 0.0
        for number in range(game.most_rounds):
            if number == 0 or policy.retrains:
                run_once(workspace, tell)
            folder_now = _newest(workspace, service)
            probability = _probability(folder_now, truth, policy)
            now = service.labels().states
            step = _step(number, answers, seconds, probability, now, truth.states)
            yield step
            total = int(step.wrong.sum()) / max(1, int(counts.sum()))
            if total <= game.stop_at or not (counts & ~asked).any():
                return
            wanted = round(game.per_round * len(truth.image_ids))
            open_ = counts & ~asked
            cells = policy.choose(probability, now, open_, wanted, random)
            asked[cells] = True
            said = _answer(truth.states[cells], game.error_rate, random)
            _decide(service, truth, cells, said, f"{number}")
            answers += len(cells[0])
            seconds += policy.seconds(probability[cells], said)


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
    answers: int,
    seconds: float,
    probability: NDArray[np.float32],
    known: NDArray[np.int8],
    truth: NDArray[np.int8],
) -> Step:
    decided = np.where(known != 0, known, np.where(probability >= 0.5, 1, -1))
    counted = truth != 0
    return Step(
        round=number,
        answers=answers,
        seconds=seconds,
        wrong=((decided != truth) & counted).sum(axis=0),
        found=((decided == 1) & (truth == 1)).sum(axis=0),
        called=((decided == 1) & counted).sum(axis=0),
    )


def _answer(
    truth: NDArray[np.int8], error_rate: float, random: np.random.Generator
) -> NDArray[np.int8]:
    wrong = random.random(len(truth)) < error_rate
    return np.where(wrong, -truth, truth).astype(np.int8)


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
