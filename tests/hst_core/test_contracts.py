from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import hypergeom

from hst_core.contracts import (
    answers_needed,
    clopper_pearson,
    fewest_errors,
    fit_contract,
    most_errors,
    plan_answers,
)


def test_clopper_pearson_matches_published_values() -> None:
    # 0 of 20 and 5 of 20 at 95 %: standard tables.
    assert clopper_pearson(0, 20) == pytest.approx((0.0, 0.16843), abs=1e-5)
    assert clopper_pearson(5, 20) == pytest.approx((0.08657, 0.49105), abs=1e-5)
    assert clopper_pearson(0, 0) == (0.0, 1.0)


def test_three_hundred_faultless_answers_prove_one_percent() -> None:
    assert answers_needed(0.01, 0.95) == 299


def test_auditing_every_cell_leaves_no_doubt() -> None:
    assert most_errors(3, 50, 50, 0.95) == 3
    assert fewest_errors(3, 50, 50, 0.95) == 3


def test_a_plan_without_expected_errors_is_the_rule_of_three() -> None:
    assert plan_answers(0.0, 0.01) == pytest.approx(answers_needed(0.01), abs=1)


@pytest.mark.parametrize(("expected", "allowed"), [(0.002, 0.01), (0.01, 0.02), (0.0, 0.05)])
def test_a_plan_succeeds_as_often_as_its_power_says(expected: float, allowed: float) -> None:
    answers = plan_answers(expected, allowed, 0.95, power=0.8)
    errors = np.random.default_rng(0).binomial(answers, expected, 400)
    proved = [most_errors(int(e), answers, 200_000, 0.95) <= allowed * 200_000 for e in errors]
    assert np.mean(proved) >= 0.8 - 3 * np.sqrt(0.16 / 400)


def test_rates_that_cannot_be_told_apart_are_refused() -> None:
    with pytest.raises(ValueError, match="too close"):
        plan_answers(0.0099, 0.01)


@settings(max_examples=40)
@given(st.integers(2, 60), st.data())
def test_most_errors_is_the_last_count_that_the_audit_cannot_exclude(
    cells: int, data: st.DataObject
) -> None:
    answers = data.draw(st.integers(1, cells))
    errors = data.draw(st.integers(0, answers))
    bound = most_errors(errors, answers, cells, 0.9017)
    plausible = [
        k
        for k in range(errors, cells - (answers - errors) + 1)
        if hypergeom.cdf(errors, cells, k, answers) > 1 - 0.9017
    ]
    assert bound == max([errors, *plausible])


def test_without_answers_nothing_is_decided() -> None:
    probability = np.linspace(0, 1, 50)
    nobody = np.zeros(50, dtype=bool)
    contract = fit_contract("accept", probability, nobody, nobody, target=0.05)
    assert not contract.holds
    assert contract.cells == 0


def test_a_perfect_ranking_is_accepted_down_to_where_errors_begin() -> None:
    probability = np.linspace(1, 0, 2_000)
    present = np.arange(2_000) < 1_000
    audited = np.zeros(2_000, dtype=bool)
    audited[::2] = True
    contract = fit_contract("accept", probability, audited, present, target=0.02)
    assert contract.holds
    assert 450 <= contract.cells <= 520
    assert contract.bound <= 0.02


def test_equal_scores_are_never_split() -> None:
    probability = np.full(100, 0.9)
    audited = np.arange(100) < 60
    contract = fit_contract("accept", probability, audited, np.ones(100, bool), target=0.1)
    assert contract.cells == 40
    assert contract.threshold == 0.9


@pytest.mark.parametrize("kind", ["accept", "reject"])
def test_the_promise_holds_at_least_as_often_as_its_confidence(kind: str) -> None:
    """Many contracts on synthetic calibrated scores, audited at random."""
    rng = np.random.default_rng(7)
    broken = decided = 0
    for _ in range(400):
        probability = rng.beta(0.15, 0.3, 1_500)
        present = rng.random(1_500) < probability
        audited = rng.random(1_500) < 0.4
        contract = fit_contract(
            kind,  # type: ignore[arg-type]
            probability, audited, present, target=0.05, confidence=0.9,
        )  # fmt: skip
        if contract.threshold is None:
            continue
        decided += 1
        if kind == "accept":
            chosen = (probability >= contract.threshold) & ~audited
            share = 1 - present[chosen].mean() if chosen.any() else 0.0
        else:
            chosen = (probability <= contract.threshold) & ~audited
            share = (present & chosen).sum() / present.sum()
        broken += bool(share > 0.05)
    assert decided > 200
    assert broken <= 40 + 3 * np.sqrt(400 * 0.1 * 0.9)


def test_out_of_range_target_names_the_value() -> None:
    nothing = np.zeros(1)
    with pytest.raises(ValueError, match=r"target must be in \(0, 1\), got 98.0"):
        fit_contract("accept", nothing, nothing > 0, nothing > 0, target=98.0)
