"""A thousand contracts under the rule of the service: the promise holds as often as it says."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest
from numpy.typing import NDArray

from annotator.completion.planning import Kind, bound_after, level_of_look, plan
from hst_core.contracts import Contract, fit_contract

CONFIDENCE = 0.9
LOOKS = 3
CATEGORIES = ((0.05, 0.5, 1.0), (0.2, 0.4, 1.0), (0.1, 0.3, 1.6))
"""Per category: beta parameters of the scores, and how much too sure the model is."""


@dataclass(frozen=True)
class Cells:
    score: NDArray[np.float32]
    present: NDArray[np.bool_]


def cells(rng: np.random.Generator) -> Cells:
    """Three categories together; the model is too sure of one of them."""
    scores, present = [], []
    for a, b, too_sure in CATEGORIES:
        score = rng.beta(a, b, 700).clip(1e-4, 1 - 1e-4)
        logit = np.log(score / (1 - score)) / too_sure
        scores.append(score)
        present.append(rng.random(700) < 1 / (1 + np.exp(-logit)))
    return Cells(np.concatenate(scores).astype(np.float32), np.concatenate(present))


def draw_and_look(
    kind: Kind, target: float, unknown: Cells, rng: np.random.Generator
) -> tuple[Contract, NDArray[np.bool_]] | None:
    """What propose, the blind answers, settle and extend do; the contract and its cells."""
    planned = plan(kind, unknown.score, target=target, confidence=level_of_look(CONFIDENCE, 0))
    if planned is None:
        return None
    inside = np.zeros(len(unknown.score), dtype=bool)
    inside[planned.cells] = True
    others = rng.permutation(np.flatnonzero(~inside))[:60]
    outside = (int(unknown.present[others].sum()), len(others), int((~inside).sum()))
    order = rng.permutation(np.flatnonzero(inside))
    for look in range(LOOKS):
        audited = np.zeros(len(inside), dtype=bool)
        audited[order[: planned.answers * 2**look]] = True
        found = fit_contract(
            kind,
            unknown.score[inside],
            audited[inside],
            unknown.present[inside],
            target=target,
            confidence=level_of_look(CONFIDENCE, look),
            outside=outside if kind == "reject" else None,
        )
        if found.threshold is not None:
            beyond = unknown.score >= found.threshold
            chosen = beyond if kind == "accept" else unknown.score <= found.threshold
            return found, chosen & inside & ~audited
    return None


def is_broken(kind: Kind, target: float, unknown: Cells, decided: NDArray[np.bool_]) -> bool:
    wrong = int((decided & (unknown.present != (kind == "accept"))).sum())
    return bool(wrong > target * (decided if kind == "accept" else unknown.present).sum())


@pytest.mark.parametrize(("kind", "target"), [("accept", 0.1), ("reject", 0.15)])
def test_a_thousand_contracts_keep_their_promise(kind: Kind, target: float) -> None:
    rng = np.random.default_rng(11)
    applied = broken = 0
    for _ in range(500):
        unknown = cells(rng)
        made = draw_and_look(kind, target, unknown, rng)
        if made is not None:
            applied += 1
            broken += is_broken(kind, target, unknown, made[1])
    assert applied > 250
    assert broken <= applied * (1 - CONFIDENCE) + 3 * np.sqrt(applied * 0.09)


def test_going_on_to_audit_finds_contracts_that_became_wrong() -> None:
    """Three times the promised errors are found within a few rounds of fifty answers."""
    rng = np.random.default_rng(3)
    found = 0
    for _ in range(200):
        wrong = rng.random(2_000) < 0.06
        errors = np.cumsum(wrong[:200])
        found += any(
            bound_after(
                "accept", decided=2_000, audited=300, watched=n, errors=2 + int(errors[n - 1]),
                whole=0, level=0.96,
            ) > 0.02
            for n in (50, 100, 150, 200)
        )  # fmt: skip
    assert found >= 190


def test_going_on_to_audit_leaves_nine_of_ten_good_contracts_alone() -> None:
    rng = np.random.default_rng(4)
    withdrawn = 0
    for _ in range(200):
        errors = np.cumsum(rng.random(200) < 0.004)
        withdrawn += any(
            bound_after(
                "accept", decided=5_000, audited=300, watched=n, errors=1 + int(errors[n - 1]),
                whole=0, level=0.96,
            ) > 0.02
            for n in (50, 100, 150, 200)
        )  # fmt: skip
    assert withdrawn <= 20


def test_all_looks_together_spend_no_more_than_the_chance_of_failure() -> None:
    spent = [1 - level_of_look(0.95, look) for look in range(30)]
    assert sum(spent) == pytest.approx(0.05)
    assert spent[0] == pytest.approx(0.04)
