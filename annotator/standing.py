"""Where a project stands: pure functions of what the service counts.

*Single answers* are known cells that somebody decided one at a time; *pages* those decided on pages
of Sweep; *browse* those decided on Browse, alone or as a selection: these three are by hand.
*Automatic* are those decided under a contract; *brought* those that were there already, from an
import; *merged* those carried over when categories were merged. Each cell counts where its label
comes from now, and together they are the known cells. Asking everything would take one answer per
cell.

*Still wrong* speaks only of cells that a contract decided, since only these are checked by blind
answers to a random sample. Each contract and category stands alone: two contracts are checked at
different rates, so their answers must not be added up. The interval is that of Clopper and Pearson.
It takes the blind answers themselves for right, and supposes that nobody leaves out the hard ones.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from annotator.precision import Share
from annotator.progress import AUTOMATIC, IMPORTED, MERGED, Activity
from annotator.wording import counted, per_cent

PAGES, BROWSE = "sweep", "browse"

SURE = 0.9
"""Lower end of the interval of past suggestions from which a page of Sweep is advised."""


@dataclass(frozen=True)
class Effort:
    """Known cells by how they were decided; see the module."""

    single: int = 0
    pages: int = 0
    browse: int = 0
    automatic: int = 0
    brought: int = 0
    merged: int = 0

    @property
    def by_hand(self) -> int:
        """Those that a person decided."""
        return self.single + self.pages + self.browse

    @property
    def known(self) -> int:
        """All of them."""
        return self.by_hand + self.automatic + self.brought + self.merged


@dataclass(frozen=True)
class Checked:
    """Blind answers to cells that a contract decided, of one category.

    Attributes:
        kind: of the contract, ``accept`` (decided present) or ``reject`` (absent).
        correct: that agreed with the decision, of all.
    """

    contract_id: int
    kind: str
    category_id: int
    correct: Share


@dataclass(frozen=True)
class Sweepable:
    """Cells of a category that wait on pages of Sweep, and how right past suggestions were."""

    name: str
    side: str
    waiting: int
    past: Share


@dataclass(frozen=True)
class Few:
    """A category that has no model, and how many of its cells are known."""

    category_id: int
    name: str
    present: int
    absent: int


@dataclass(frozen=True)
class Facts:
    """What the next step depends on.

    Attributes:
        images: number of pictures.
        categories: number of categories.
        unknown: cells that wait.
        blind_to_prove: blind questions that wait before contracts can be applied.
        blind_to_watch: blind questions that wait about cells decided already.
        blind_images: pictures on which these wait.
        blind_answered: blind answers that were given to prove the same contracts.
        blind_planned: blind answers that it takes in all, as planned.
        ready: (contract id, cells) of contracts that can be applied.
        few: categories without a model, though some of their cells wait.
        sweepable: of categories with a model.
        contradicted: pictures with a known cell that the evidence contradicts.
    """

    images: int
    categories: int
    unknown: int
    blind_to_prove: int = 0
    blind_to_watch: int = 0
    blind_images: int = 0
    blind_answered: int = 0
    blind_planned: int = 0
    ready: Sequence[tuple[int, int]] = ()
    few: Sequence[Few] = ()
    sweepable: Sequence[Sweepable] = ()
    contradicted: int = 0


Place = Literal["", "data", "contracts", "audit", "sweep", "browse", "focus", "again"]


@dataclass(frozen=True)
class Step:
    """The next thing worth doing.

    Attributes:
        text: one sentence. It can hold a name: show it as plain text.
        place: where it is done: a page, the queue of blind questions or of contradicted cells, the
            contracts on Progress; empty where no page can.
        category_id: what it is about, where that page can be opened for one category.
    """

    text: str
    place: Place = ""
    category_id: int = 0


def effort(activity: Activity) -> Effort:
    """Known cells by how they were decided."""

    def of(source: str) -> int:
        return int(activity.net[activity.sources == source].sum())

    by_hand = int(activity.net[activity.by_hand].sum())
    return Effort(
        single=by_hand - of(PAGES) - of(BROWSE),
        pages=of(PAGES),
        browse=of(BROWSE),
        automatic=of(AUTOMATIC),
        brought=of(IMPORTED),
        merged=of(MERGED),
    )


def effort_words(done: Effort, cells: int) -> str:
    """Answers given against asking everything, in words without any name."""
    if not cells:
        return "There is nothing to ask yet."
    asking = f"To answer every cell by hand takes {counted(cells, 'answer')}."
    hand = [
        (done.single, f"{done.single:,} one at a time"),
        (done.pages, f"{done.pages:,} on pages of Sweep"),
        (done.browse, f"{done.browse:,} on Browse"),
    ]
    by_hand = ", ".join(text for count, text in hand if count)
    parts = [
        (done.by_hand, f"{done.by_hand:,} decided by hand ({by_hand})"),
        (done.automatic, f"{done.automatic:,} decided under contracts, without an answer for each"),
        (done.brought, f"{done.brought:,} from an import"),
        (done.merged, f"{done.merged:,} carried over from merged categories"),
    ]
    told = "; ".join(text for count, text in parts if count)
    return f"{asking} Known so far: {told}." if told else f"{asking} None is known yet."


def wrong_words(correct: Share) -> str:
    """Share still wrong with its 95 % interval; without answers no figure."""
    if correct.value is None:
        return "not measured yet"
    low, high = correct.interval()
    return f"{per_cent(1 - correct.value)} ({per_cent(1 - high)} to {per_cent(1 - low)})"


def next_step(facts: Facts) -> Step:
    """The next thing worth doing."""
    if not facts.images:
        return Step("Add pictures: annotator add images FOLDER.")
    if not facts.categories:
        return Step("Add categories on the Data page.", "data")
    # What has been proved is free, and its cells need no answer any more.
    if facts.ready:
        contract, cells = max(facts.ready, key=lambda one: one[1])
        text = f"Apply contract {contract}: it can decide {counted(cells, 'cell')}."
        return Step(text, "contracts")
    if facts.blind_to_prove:
        text = f"Answer {_blind(facts.blind_to_prove, facts)} to prove a contract"
        if facts.blind_planned > facts.blind_answered + facts.blind_to_prove:
            given = f"{facts.blind_answered:,} of about {facts.blind_planned:,}"
            text += f"; more are asked then, {given} answers in all are given"
        return Step(f"{text}.", "audit")
    if facts.blind_to_watch:
        asked = _blind(facts.blind_to_watch, facts)
        return Step(f"Answer {asked} to check what was decided automatically.", "audit")
    if not facts.unknown and facts.contradicted:
        doubtful = counted(facts.contradicted, "picture")
        text = f"Every cell is known. Look again at {doubtful} that the evidence contradicts."
        return Step(text, "again")
    if not facts.unknown:
        return Step("Nothing waits: every cell is known. Export them on the Data page.", "data")
    sure = [one for one in facts.sweepable if one.waiting and one.past.interval()[0] >= SURE]
    if sure:
        best = max(sure, key=lambda one: one.waiting)
        waiting = counted(best.waiting, "cell")
        return Step(
            f"Sweep \u201c{best.name}\u201d {best.side}: {waiting} wait; past suggestions were "
            f"right in {best.past.right:,} of {best.past.total:,} answers.",
            "sweep",
        )
    if facts.few:
        return _find(min(facts.few, key=lambda one: (one.present, one.absent)))
    waiting = counted(facts.unknown, "cell")
    return Step(f"Answer the least certain cells on Focus: {waiting} wait.", "focus")


def _blind(questions: int, facts: Facts) -> str:
    """Questions, and on how many pictures where these alone wait."""
    asked = counted(questions, "blind question")
    alone = questions == facts.blind_to_prove + facts.blind_to_watch
    pictures = counted(facts.blind_images, "picture")
    return f"{asked} on {pictures}" if alone and facts.blind_images else asked


def _find(one: Few) -> Step:
    """Where a category has no model, nothing can say which pictures hold it: the eye is quickest.

    A page of Browse shows dozens of pictures at once; Focus one, Sweep none without suggestions.
    """
    if one.present and one.absent:
        text = f"\u201c{one.name}\u201d has no model yet. Decide more of its cells on Browse."
    else:
        missing = "without" if one.present else "with"
        text = (
            f"Find \u201c{one.name}\u201d: no picture {missing} it is known, so the model cannot "
            f"learn it. Select some on Browse and press {'A' if one.present else 'P'}."
        )
    return Step(text, "browse", one.category_id)
