"""Plays a project as the tool is used: the queue on Focus, pages of Sweep, a contract to finish.

People answer what the model is unsure of, picture by picture in the order of the queue; each takes
a hundred pictures, and on the next day others go on in the order of the newest model. After each
training it is looked up how many blind answers would prove that the rest may be decided by
the model. While a further round of answers spares more of these than it takes, the round is worth
it; then the contract is proposed, its blind questions are answered, and it is applied.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta

import numpy as np
from numpy.typing import NDArray

from annotator.errors import InvalidInput
from annotator.service import AnnotationService, CellChange
from annotator.simulation.policies import FLIP_SECONDS, FOCUS_SECONDS, SWEEP_SECONDS
from annotator.types import Labels

TILES = 60
"""On a page of Sweep."""

_AT_ONCE = 100  # pictures that one person takes; more are not handed out at once
_SPARE = 1.1  # as many cells are in doubt as are to be answered, times this
LEAST_DOUBT = 0.002
"""Doubt below which a cell is answered only where nothing else is left."""

CONFIDENCE = 0.95

RULE = 2
"""Number of the rule by which a project is played; one more whenever its course may change."""

Answer = Callable[[NDArray[np.int8]], NDArray[np.int8]]
"""What the annotator says to cells of these true states [n]."""


@dataclass
class Spent:
    """What a project has taken so far.

    Attributes:
        focus: answers to single cells with the suggestion in sight, on Focus or Browse.
        blind: answers to blind questions.
        tiles: cells looked at on pages of Sweep.
        flips: of these, turned over.
        automatic: cells that a contract decided.
        uncounted: answers to cells that have no true state; in no other number.
        other_seconds: taken otherwise.
    """

    focus: int = 0
    blind: int = 0
    tiles: int = 0
    flips: int = 0
    automatic: int = 0
    uncounted: int = 0
    other_seconds: float = 0.0

    def after(self, answers: int, seconds: float) -> Spent:
        """With further single answers that took so long."""
        usual = FOCUS_SECONDS * answers
        other = self.other_seconds + seconds - usual
        return replace(self, focus=self.focus + answers, other_seconds=other)

    def round_of(self, counted: int) -> int:
        """All answers of a round in which so many count, at the share so far."""
        return counted + round(counted * self.uncounted / max(self.answers, 1))

    def copy(self) -> Spent:
        """As it is now."""
        return replace(self)

    @property
    def answers(self) -> int:
        """All cells that a person answered, a tile being one."""
        return self.focus + self.blind + self.tiles

    @property
    def seconds(self) -> float:
        """They took a person."""
        single = FOCUS_SECONDS * (self.focus + self.blind) + self.other_seconds
        return single + SWEEP_SECONDS * self.tiles + FLIP_SECONDS * self.flips


@dataclass
class Clock:
    """Tells the service the time; days pass while nothing happens."""

    days: int = 0

    def __call__(self) -> datetime:
        """Now, aware."""
        return datetime.now(UTC) + timedelta(days=self.days)


@dataclass
class Team:
    """Works on a project through the service and knows the truth.

    Attributes:
        service: of the workspace.
        truth: 0 where a cell does not count. On Focus and among blind questions such a cell is
            asked about like any other and answered as the model suggests, on Browse and Sweep it
            is passed over; a contract decides what is left of them. They are never wrong, and
            their answers are told apart: no other policy is charged for them.
        answer: turns the truth into what is said.
        name: of everybody in it, with a number.
        spent: so far.
    """

    service: AnnotationService
    truth: Labels
    answer: Answer
    name: str = "simulated"
    spent: Spent = field(default_factory=Spent)
    _keys: int = 0

    def __post_init__(self) -> None:
        """Let the first person in."""
        self._column = {c: i for i, c in enumerate(self.truth.category_ids.tolist())}
        self._people = 0
        self._user = self._next_person()

    def focus(self, wanted: int, doubt: float) -> int:
        """Go through the queue and answer what is in doubt there; returns how many answers.

        Args:
            wanted: answers after which to stop.
            doubt: smallest probability of being wrong that is answered.
        """
        given = 0
        while given < wanted:
            self._user = self._next_person()  # what the others have is not handed out again
            page = self.service.next_images(self._user, "valuable", count=_AT_ONCE)
            if not page.images:
                break
            unsure = [
                (image.id, s.category_id)
                for image in page.images
                for s in image.suggestions
                if min(s.probability, 1 - s.probability) >= doubt
            ]
            given += self._count(self._say(unsure[: wanted - given], "focus", all_of_them=True))
        self.spent.focus += given
        return given

    def seek(self, cells: Sequence[tuple[int, int]]) -> int:
        """Answer these cells (row and column of the truth) on Browse; returns how many answers."""
        ids = self.truth.image_ids.tolist(), self.truth.category_ids.tolist()
        said = self._say([(ids[0][row], ids[1][column]) for row, column in cells], "browse")
        given = self._count(said)
        self.spent.focus += given
        return given

    def sweep(self) -> None:
        """Go through every page of what is suggested present, category by category."""
        listed = self.service.sweeping.categories(self._user, "present")
        for category in listed.categories:
            left_out: set[int] = set()
            while category.present:
                page = self.service.sweeping.page(
                    self._user, category.id, "present", count=TILES, without=sorted(left_out)
                )
                if not page.tiles:
                    break
                cells = [(tile.image_id, category.id) for tile in page.tiles]
                left_out |= {image_id for image_id, _ in cells}
                self.spent.tiles += self._count(self._say(cells, "sweep", suggested=1))

    def blind(self) -> int:
        """Answer the blind questions that wait, up to a page of pictures; returns how many."""
        page = self.service.next_images(self._user, "audit", count=_AT_ONCE)
        cells = [(i.id, s.category_id) for i in page.images for s in i.suggestions]
        said = self._say(cells, "audit", all_of_them=True)
        self.spent.blind += self._count(said)
        return len(said)

    def finish(self, target: float, confidence: float, *, tell: Callable[[str], None]) -> bool:
        """Prove that the rest may be decided, and let it be decided; False if that failed."""
        completion = self.service.completion
        made = completion.propose(self._user, "finish", target=target, confidence=confidence)
        tell(f"proposed: {made.words()}")
        while completion.contract(made.contract.id).stage == "asking" and self.blind():
            pass
        state = completion.contract(made.contract.id)
        tell(f"answered: {state.words()}")
        if state.stage != "proved":
            completion.withdraw(self._user, made.contract.id, key=self._key())
            return False
        done = completion.apply(self._user, made.contract.id, key=self._key())
        self.spent.automatic += done.contract.cells
        self.blind()  # the first round of checks of what was decided
        return completion.contract(made.contract.id).stage == "active"

    def planned(self, target: float, confidence: float) -> int | None:
        """Blind answers that finishing now would take; None if the model does not believe in it."""
        try:
            drafted = self.service.completion.preview(
                "finish", target=target, confidence=confidence
            )
        except InvalidInput:
            return None
        return drafted.questions

    def _say(
        self,
        cells: Sequence[tuple[int, int]],
        source: str,
        *,
        suggested: int = 0,
        all_of_them: bool = False,
    ) -> NDArray[np.bool_]:
        """Answer these cells as one decision.

        Returns:
            For each cell that was answered whether it has a true state [answers].
        """
        if not cells:
            return np.zeros(0, dtype=bool)
        rows = np.searchsorted(self.truth.image_ids, [image_id for image_id, _ in cells])
        columns = np.array([self._column[category_id] for _, category_id in cells])
        true = self.truth.states[rows, columns]
        counts = true != 0
        if all_of_them:
            true = np.where(true == 0, self._modelled(rows, columns), true).astype(np.int8)
        said = self.answer(true)
        said[true == 0] = 0
        changes = [
            CellChange(*cell, state)
            for cell, state in zip(cells, said.tolist(), strict=True)
            if state
        ]
        if changes:
            self.service.decide(self._user, changes, key=self._key(), source=source)
        self.spent.flips += int((said == -suggested).sum()) if suggested else 0
        return np.asarray(counts[said != 0])

    def _count(self, said: NDArray[np.bool_]) -> int:
        """How many answers count, of those that `_say` gave; the others are noted."""
        self.spent.uncounted += int((~said).sum())
        return int(said.sum())

    def _modelled(self, rows: NDArray[np.intp], columns: NDArray[np.intp]) -> NDArray[np.int8]:
        """What the model says of cells that have no true state."""
        states = []
        for row, column in zip(rows.tolist(), columns.tolist(), strict=True):
            image_id, category_id = (
                int(self.truth.image_ids[row]),
                int(self.truth.category_ids[column]),
            )
            found = self.service.evidence(image_id, category_id).probability
            states.append(1 if found >= 0.5 else -1)
        return np.array(states, dtype=np.int8)

    def _next_person(self) -> int:
        self._people += 1
        return self.service.ensure_user(f"{self.name} {self._people}").id

    def _key(self) -> str:
        self._keys += 1
        return f"{self.name}-{self._keys}"


def doubt_for(probability: NDArray[np.float32], open_: NDArray[np.bool_], wanted: int) -> float:
    """Doubt from which on a cell is answered, so that some more than ``wanted`` cells are."""
    risk = np.minimum(probability, 1 - probability)[open_]
    count = min(len(risk), round(_SPARE * wanted))
    if not count:
        return LEAST_DOUBT
    return max(LEAST_DOUBT, float(np.partition(risk, len(risk) - count)[len(risk) - count]))


def worth_a_round(planned: Sequence[int | None], answers: int) -> bool:
    """Whether a further round of answers should spare more blind answers than it takes.

    A proof takes about one over the square of what lies between the share promised and the share
    expected to be wrong. So the root of that is what a round adds to, and each round adds less
    than the one before: seven tenths of it, where most of what is in doubt is gone.

    Args:
        planned: blind answers that finishing would take, after each training so far; None where
            no number would do.
        answers: of a round, those to cells without a true state included as they are in a plan.
    """
    if not planned or planned[-1] is None:
        return True
    if len(planned) == 1:  # nothing tells yet what a round brings: at most all of them
        return planned[-1] > answers
    now, before = (0.0 if n is None else max(n, 1) ** -0.5 for n in (planned[-1], planned[-2]))
    later = (now + _LESS_EACH_ROUND * max(now - before, 0.0)) ** -2
    return bool(now**-2 - later > answers)


_LESS_EACH_ROUND = 0.7
