"""Weighted audits: worked cases, and that wealth does not grow where the promise is broken."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from hst_core.weighted_audit import WeightedAudit, design_audit


def design(risk: NDArray[np.float64], allowed: int) -> WeightedAudit:
    audit = design_audit(risk, allowed)
    assert audit is not None
    return audit


def factors(audit: WeightedAudit, wrong: NDArray[np.bool_]) -> NDArray[np.float64]:
    """By how much each cell would multiply wealth."""
    return np.exp(np.where(wrong, audit.wrong, audit.right))


def test_alike_cells_without_risk_need_three_over_the_target() -> None:
    audit = design(np.zeros(10_000), 100)
    assert audit.answers(0.95) == pytest.approx(300, rel=0.02)
    np.testing.assert_allclose(audit.weight, 1e-4)


def test_risky_cells_are_drawn_more_often() -> None:
    audit = design(np.array([0.001] * 2_000 + [0.1] * 50), 20)
    assert audit.weight[-1] > 3 * audit.weight[0]


def test_risks_above_the_promise_cannot_be_proved_away() -> None:
    assert design_audit(np.full(100, 0.021), 2) is None


@pytest.mark.parametrize(("risk", "allowed"), [([0.5, 1.1], 1), ([0.1], 0)])
def test_what_is_no_risk_or_no_promise_is_refused(risk: list[float], allowed: int) -> None:
    with pytest.raises(ValueError, match="must be"):
        design_audit(np.array(risk), allowed)


@given(st.integers(0, 2**31), st.integers(1, 8), st.sampled_from([1.0, 3.0, 20.0]))
def test_wealth_shrinks_wherever_more_than_allowed_is_wrong(
    seed: int, extra: int, sharpness: float
) -> None:
    """Exact: the mean factor of one draw, for any cells that are wrong, whatever the risks say."""
    rng = np.random.default_rng(seed)
    risk = rng.beta(1, sharpness, 60) * 0.05
    allowed = int(np.ceil(risk.sum() + 1))
    audit = design(risk, allowed)
    wrong = np.zeros(60, dtype=bool)
    wrong[rng.permutation(60)[: allowed + extra]] = True
    assert (audit.weight * factors(audit, wrong)).sum() <= 1 + 1e-6
    # So it is among the cells left when some were drawn, as long as the promise is broken there.
    left = rng.random(60) < 0.8
    if (wrong & left).sum() > allowed:
        weight = audit.weight[left] / audit.weight[left].sum()
        assert (weight * factors(audit, wrong)[left]).sum() <= 1 + 1e-6


@given(st.integers(0, 2**31))
def test_wealth_grows_as_planned_if_the_risks_are_true(seed: int) -> None:
    risk = np.random.default_rng(seed).beta(1, 30, 200).clip(1e-6)
    audit = design(risk, int(2 * risk.sum()))
    growth = audit.weight * (risk * audit.wrong + (1 - risk) * audit.right)
    assert growth.sum() == pytest.approx(audit.gain, rel=1e-3)


def test_cells_of_a_level_count_as_so_many_cells() -> None:
    each = design(np.repeat([0.001, 0.05], [300, 10]), 6)
    levels = design_audit(np.array([0.001, 0.05]), 6, np.array([300, 10]))
    assert levels is not None
    np.testing.assert_allclose(levels.weight, each.weight[[0, -1]])
    np.testing.assert_allclose(levels.wrong, each.wrong[[0, -1]])


def test_an_order_draws_every_cell_once_and_heavy_ones_first() -> None:
    audit = design(np.array([0.3] * 20 + [0.0005] * 2_000), 20)
    rng = np.random.default_rng(0)
    ranks = []
    for _ in range(20):
        order = audit.first(rng.random(2_020), np.arange(2_020), 2_020)
        assert len(np.unique(order)) == 2_020
        ranks.append(np.flatnonzero(order < 20).mean())
    assert np.mean(ranks) < 700


def test_no_more_proofs_of_a_broken_promise_than_the_confidence_allows() -> None:
    """The model is far too sure; one more than the allowed number of cells is wrong."""
    rng = np.random.default_rng(1)
    false = 0
    for _ in range(300):
        risk = rng.beta(0.3, 40, 400)
        audit = design(risk, 12)
        wrong = np.zeros(400, dtype=bool)
        wrong[rng.choice(400, 13, replace=False, p=(risk + 0.002) / (risk + 0.002).sum())] = True
        order = audit.first(rng.random(400), np.arange(400), 400)
        left = np.concatenate([[13], 13 - np.cumsum(wrong[order])[:-1]])
        proved = audit.evidence(wrong[order], order) >= np.log(10)
        false += bool((proved & (left - wrong[order] > 12)).any())
    assert false <= 30 + 3 * np.sqrt(300 * 0.09)
