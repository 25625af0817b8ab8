"""The live formula worked by hand, the words of the reasons, and what must never speak."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from annotator.scores import FittedModel, ImageScores, SourceWeight
from annotator.suggestions import (
    explain,
    plural,
    probabilities,
    probability_of,
    rank,
    rank_by_prior,
)


@dataclass(frozen=True)
class Category:
    id: int
    name: str


CATEGORIES = [
    Category(1, "cup"),
    Category(2, "dining table"),
    Category(3, "car"),
    Category(4, "bus"),
]
STACK = (
    SourceWeight("base", "classifier", 0.8, True, 0.2, 0.5),
    SourceWeight("neighbours", "cst", 0.5, True, 0.2, 0.21),
    SourceWeight("cooccurrence", "ist", 0.5, True, 0.2, 0.22),
)
# cup: a table speaks for it, a car against it.
COOCCURRENCE = np.array(
    [[0, 4, -2, 0], [4, 0, 0, 0], [-2, 0, 0, 0], [0, 0, 0, 0]], dtype=np.float32
)


def model(**changes: Any) -> FittedModel:
    facts: dict[str, Any] = {
        "version": 1,
        "category_ids": np.array([1, 2, 3, 4]),
        "sources": ("base", "neighbours"),
        "stack": STACK,
        "cooccurrence": COOCCURRENCE,
        "calibration": np.array([[2, 1, 1, 1], [0.5, 0, 0, 0]], dtype=np.float32),
        "threshold": np.array([0.6, 0.5, 0.5, 0.5], dtype=np.float32),
        "typical_logit": np.array([-3, -1, -1, -1], dtype=np.float32),
        "typical_values": np.array([[-2, -1, -1, -1], [0, 0, 0, 0]], dtype=np.float32),
        "prior": np.array([0.2, 0.3, 0.1, 0.05], dtype=np.float32),
        "waiting": {},
        "exemplars": np.array([[11, 12], [9, 11], [-1, -1], [-1, -1]]),
    }
    return FittedModel(**(facts | changes))


def row(**changes: Any) -> ImageScores:
    facts: dict[str, Any] = {
        "image_id": 9,
        "scored": True,
        "model": model(),
        "probability": np.full(4, 0.5, dtype=np.float32),
        "picture_logit": np.array([-1, 0, 0, -2], dtype=np.float32),
        "reference": np.array([0.3, 0.25, 0.5, 0.1], dtype=np.float32),
        "values": np.array([[-2, -1, -1, -2], [0, 0, 0, 0]], dtype=np.float32),
        "fitted_labels": np.zeros(4, dtype=np.int8),
        "neighbours": np.array([11, 12, 13]),
        "neighbour_similarity": np.array([0.9, 0.8, 0.7], dtype=np.float32),
        "neighbour_present": np.array([0, 0, 0, 0]),
    }
    return ImageScores(**(facts | changes))


def sigmoid(x: float) -> float:
    return float(1 / (1 + np.exp(-x)))


def by_name(suggestions: Any) -> Mapping[str, Any]:
    return {s.name: s for s in suggestions}


def test_without_known_labels_the_picture_alone_decides() -> None:
    cup = by_name(rank(row(), [0, 0, 0, 0], CATEGORIES))["cup"]
    assert cup.probability == pytest.approx(sigmoid(2 * -1 + 0.5))
    assert cup.contributions["cooccurrence"] == 0


def test_known_labels_move_the_logit_by_the_formula() -> None:
    # ist = 4 * (1 - .25) + -2 * (0 - .5) = 3 + 1 = 4; logit = 2 * (-1 + .5 * 4) + .5 = 2.5
    cup = by_name(rank(row(), [0, 1, -1, 0], CATEGORIES))["cup"]
    assert cup.probability == pytest.approx(sigmoid(2.5), rel=1e-5)
    assert cup.contributions["cooccurrence"] == pytest.approx(4.0)
    assert cup.above


def test_start_and_contributions_give_the_logit() -> None:
    # The picture logit must be what its values give: bias -1.4, base, neighbours.
    values = np.array([[1.0, -1, -1, -2], [0.4, 0, 0, 0]], dtype=np.float32)
    typical = -1.4 + 0.8 * -2
    picture = -1.4 + 0.8 * 1.0 + 0.5 * 0.4
    made = row(
        values=values,
        picture_logit=np.array([picture, 0, 0, 0], dtype=np.float32),
        model=model(typical_logit=np.array([typical, -1, -1, -1], dtype=np.float32)),
    )
    seen = explain(made, [0, 1, -1, 0], CATEGORIES, 1, {})
    assert sum(s.contribution for s in seen.sources) + seen.start == pytest.approx(
        np.log(seen.probability / (1 - seen.probability)), rel=1e-4
    )
    assert {s.name: s.contribution for s in seen.sources} == pytest.approx(
        {"base": 2 * 0.8 * 3.0, "neighbours": 2 * 0.5 * 0.4, "cooccurrence": 4.0}
    )
    assert {s.name: s.value for s in seen.sources}["cooccurrence"] == pytest.approx(4.0)


def test_a_present_label_is_named_with() -> None:
    cup = by_name(rank(row(), [0, 1, -1, 0], CATEGORIES))["cup"]
    assert cup.source == "ist"
    assert [r.text for r in cup.reasons] == ["with dining table"]
    assert cup.reasons[0].category_ids == (2,)


def test_an_absence_that_speaks_is_named_no() -> None:
    cup = by_name(rank(row(), [0, 0, -1, 0], CATEGORIES))["cup"]
    assert [r.text for r in cup.reasons] == ["no car here"]


def test_labels_that_hardly_speak_are_not_named() -> None:
    weak = COOCCURRENCE.copy()
    weak[0, 3] = 0.5
    made = row(model=model(cooccurrence=weak))
    cup = by_name(rank(made, [0, 1, 0, 1], CATEGORIES))["cup"]
    assert cup.reasons[0].text == "with dining table"
    weak[0, 3] = 3.0
    cup = by_name(rank(row(model=model(cooccurrence=weak)), [0, 1, 0, 1], CATEGORIES))["cup"]
    assert cup.reasons[0].text == "with dining table, bus"


@pytest.mark.parametrize(
    ("count", "text"),
    [
        (6, "looks like 6 labelled cups"),
        (1, "looks like 1 labelled cup"),
        (0, "similar pictures suggest it"),
    ],
)
def test_labelled_neighbours_are_counted_in_words(count: int, text: str) -> None:
    made = row(
        values=np.array([[-2, -1, -1, -2], [3, 0, 0, 0]], dtype=np.float32),
        neighbour_present=np.array([count, 0, 0, 0]),
    )
    cup = by_name(rank(made, [0, 0, 0, 0], CATEGORIES))["cup"]
    assert cup.source == "cst"
    assert [(r.source, r.text, r.image_count) for r in cup.reasons] == [("cst", text, count)]


def test_the_picture_alone_is_said_only_when_nothing_else_spoke() -> None:
    values = np.array([[2, -1, -1, -2], [0, 0, 0, 0]], dtype=np.float32)
    alone = by_name(rank(row(values=values), [0, 0, 0, 0], CATEGORIES))["cup"]
    assert [(r.source, r.text) for r in alone.reasons] == [("classifier", "from the picture alone")]
    both = by_name(rank(row(values=values), [0, 1, 0, 0], CATEGORIES))["cup"]
    assert [r.text for r in both.reasons] == ["from the picture", "with dining table"]
    assert both.source == "classifier"


def test_a_reason_is_measured_against_the_typical_picture() -> None:
    # A base logit of -2 is typical of cups: it says nothing, although every other value is 0.
    cup = by_name(rank(row(), [0, 0, 0, 0], CATEGORIES))["cup"]
    assert cup.contributions == pytest.approx({"base": 0, "neighbours": 0, "cooccurrence": 0})


def test_suggestions_are_the_undecided_categories_most_probable_first() -> None:
    ranked = rank(row(), [0, 1, -1, 0], CATEGORIES)
    assert [s.name for s in ranked] == ["cup", "bus"]
    assert [s.name for s in rank(row(), [0, 1, -1, 0], CATEGORIES, limit=1)] == ["cup"]


def test_a_source_that_was_not_kept_says_nothing() -> None:
    dropped = tuple(replace(s, kept=False, weight=0.0) if s.kind == "ist" else s for s in STACK)
    cup = by_name(rank(row(model=model(stack=dropped)), [0, 1, -1, 0], CATEGORIES))["cup"]
    assert cup.probability == pytest.approx(sigmoid(-1.5), rel=1e-5)
    seen = explain(row(model=model(stack=dropped)), [0, 1, -1, 0], CATEGORIES, 1, {})
    assert "cooccurrence" not in {s.name for s in seen.sources}
    assert seen.terms == ()


def test_a_waiting_category_has_the_prior_and_no_reason() -> None:
    waiting = row(model=model(waiting={4: "needs at least one present label"}))
    bus = by_name(rank(waiting, [0, 0, 0, 0], CATEGORIES))["bus"]
    assert (bus.probability, bus.reasons, bus.source) == (pytest.approx(0.05), (), "prior")
    assert (
        explain(waiting, [0] * 4, CATEGORIES, 4, {}).waiting == "needs at least one present label"
    )


def test_a_picture_that_is_not_scored_has_the_prior() -> None:
    ranked = rank(row(scored=False), [0, 1, 0, 0], CATEGORIES)
    assert [s.name for s in ranked] == ["cup", "car", "bus"]
    given_prior = np.array([0.1, 0.2, 0.3, 0.4])
    ranked = rank(row(scored=False), [0, 0, 0, 0], CATEGORIES, prior=given_prior)
    assert [s.name for s in ranked] == ["bus", "car", "dining table", "cup"]


def test_a_category_newer_than_the_model_needs_a_prior() -> None:
    newer = [*CATEGORIES, Category(8, "spoon")]
    assert "spoon" not in by_name(rank(row(), [0] * 5, newer))
    prior = np.array([0.1, 0.1, 0.1, 0.1, 0.4])
    assert by_name(rank(row(), [0] * 5, newer, prior=prior))["spoon"].probability == 0.4
    assert explain(row(), [0] * 5, newer, 8, {}, prior=0.4).waiting is not None


def test_without_a_model_the_commonest_come_first() -> None:
    ranked = rank_by_prior(np.array([0.1, 0.4, 0.2, 0.3]), [0, 0, 0, 1], CATEGORIES)
    assert [s.name for s in ranked] == ["dining table", "car", "cup"]


def test_terms_for_and_against_are_sorted_by_size() -> None:
    seen = explain(row(), [0, 1, 1, 0], CATEGORIES, 1, {})
    # table: 2 * .5 * 4 * (1 - .25) = 3; car: 2 * .5 * -2 * (1 - .5) = -1
    assert [(t.name, t.state) for t in seen.terms] == [("dining table", 1), ("car", 1)]
    assert [t.contribution for t in seen.terms] == pytest.approx([3.0, -1.0])


def test_neighbours_with_known_state_come_present_first() -> None:
    seen = explain(row(), [0] * 4, CATEGORIES, 1, {11: -1, 12: 1, 13: 0})
    assert [(n.image_id, n.state) for n in seen.neighbours] == [(12, 1), (11, -1)]


def test_a_picture_is_no_exemplar_of_itself() -> None:
    assert explain(row(), [0] * 4, CATEGORIES, 2, {}).exemplars == (11,)


@pytest.mark.parametrize(
    ("one", "many"),
    [
        ("cup", "cups"),
        ("wine glass", "wine glasses"),
        ("bus", "buses"),
        ("person", "people"),
        ("potted plant", "potted plants"),
        ("sheep", "sheep"),
        ("toothbrush", "toothbrushes"),
        ("teddy", "teddies"),
        ("toy", "toys"),
    ],
)
def test_plural(one: str, many: str) -> None:
    assert plural(one) == many


states = st.lists(st.sampled_from([-1, 0, 1]), min_size=4, max_size=4)


def permuted(scores: ImageScores, order: NDArray[np.int64]) -> ImageScores:
    m = scores.model
    changed = replace(
        m,
        category_ids=m.category_ids[order],
        cooccurrence=m.cooccurrence[np.ix_(order, order)],
        calibration=m.calibration[:, order],
        threshold=m.threshold[order],
        typical_logit=m.typical_logit[order],
        typical_values=m.typical_values[:, order],
        prior=m.prior[order],
        exemplars=m.exemplars[order],
    )
    return replace(
        scores,
        model=changed,
        probability=scores.probability[order],
        picture_logit=scores.picture_logit[order],
        reference=scores.reference[order],
        values=scores.values[:, order],
        fitted_labels=scores.fitted_labels[order],
        neighbour_present=scores.neighbour_present[order],
    )


def random_row(seed: int) -> ImageScores:
    draw = np.random.default_rng(seed)
    v = draw.normal(size=(4, 4)).astype(np.float32)
    v = v + v.T
    np.fill_diagonal(v, 0)
    made = row(
        reference=draw.random(4, dtype=np.float32),
        picture_logit=draw.normal(size=4).astype(np.float32),
        values=draw.normal(size=(2, 4)).astype(np.float32),
    )
    return replace(made, model=model(cooccurrence=v))


@given(states, st.permutations(range(4)), st.integers(0, 1000))
def test_permuting_the_columns_of_the_model_changes_nothing(
    labels: list[int], order: list[int], seed: int
) -> None:
    made = random_row(seed)
    straight = rank(made, labels, CATEGORIES)
    turned = rank(permuted(made, np.array(order)), labels, CATEGORIES)
    assert [s.name for s in turned] == [s.name for s in straight]
    for one, other in zip(straight, turned, strict=True):
        assert other.probability == pytest.approx(one.probability, abs=1e-5)
        assert [r.text for r in other.reasons] == [r.text for r in one.reasons]


@given(states, st.permutations(range(4)), st.integers(0, 1000))
def test_permuting_the_categories_permutes_the_probabilities(
    labels: list[int], order: list[int], seed: int
) -> None:
    made = random_row(seed)
    straight = probabilities(made, labels, CATEGORIES)
    turned = probabilities(made, [labels[i] for i in order], [CATEGORIES[i] for i in order])
    np.testing.assert_allclose(turned, straight[order], atol=1e-6)


@given(states, st.integers(0, 3), st.integers(0, 1000))
def test_unknown_labels_contribute_nothing(labels: list[int], j: int, seed: int) -> None:
    labels[j] = 0
    made = random_row(seed)
    louder = made.model.cooccurrence.copy()
    louder[:, j] = 100.0
    louder[j, j] = 0.0
    other = replace(made, model=replace(made.model, cooccurrence=louder))
    others = [i for i in range(4) if i != j]
    np.testing.assert_array_equal(
        probabilities(made, labels, CATEGORIES)[others],
        probabilities(other, labels, CATEGORIES)[others],
    )


@given(states, st.integers(0, 3), st.integers(0, 1000))
def test_a_label_never_speaks_for_itself(labels: list[int], i: int, seed: int) -> None:
    made = random_row(seed)
    results = []
    for state in (-1, 0, 1):
        labels[i] = state
        results.append(float(probabilities(made, labels, CATEGORIES)[i]))
        assert i + 1 not in {
            t.category_id for t in explain(made, labels, CATEGORIES, i + 1, {}).terms
        }
    assert results[0] == results[1] == results[2]


def test_extreme_logits_stay_probabilities() -> None:
    made = row(picture_logit=np.array([6e4, -6e4, 0, 0], dtype=np.float32))
    values = probabilities(made, [0] * 4, CATEGORIES)
    assert values[0] == 1
    assert values[1] == 0


# -- the network's pairs


def with_pairs(weight: float = 0.5) -> ImageScores:
    """A table goes with a cup at .8, a car with a cup at .2 in this picture."""
    stack = (*STACK, SourceWeight("pairs", "ist", weight, True, 0.2, 0.21))
    pairs = np.zeros((4, 4), dtype=np.float32)
    pairs[0, 1] = pairs[1, 0] = 0.8
    pairs[0, 2] = pairs[2, 0] = 0.2
    return row(
        model=model(stack=stack, pair_offset=np.array([-1.0, 0, 0, 0], dtype=np.float32)),
        pairs=pairs,
    )


def test_pairs_add_the_log_odds_of_their_mean_above_the_usual() -> None:
    labels = [0, 1, 1, 0]
    without = probabilities(row(), labels, CATEGORIES)[0]
    # mean of .8 and .2 is .5: log odds 0, one above the usual -1; weight .5, slope 2.
    found = probabilities(with_pairs(), labels, CATEGORIES)[0]
    logit = np.log(without / (1 - without)) + 2 * 0.5 * 1.0
    assert found == pytest.approx(sigmoid(float(logit)), abs=1e-5)


def test_pairs_say_nothing_without_a_known_present_label() -> None:
    for labels in ([0, 0, 0, 0], [0, -1, -1, 0], [1, 0, 0, 0]):
        mine = probabilities(with_pairs(), labels, CATEGORIES)[0]
        assert mine == pytest.approx(probabilities(row(), labels, CATEGORIES)[0], abs=1e-6)


def test_the_terms_of_pairs_and_cooccurrence_add_up_to_their_sources() -> None:
    labels = [0, 1, 1, -1]
    evidence = explain(with_pairs(), labels, CATEGORIES, 1, {})
    live = {s.name: s.contribution for s in evidence.sources}
    assert sum(t.contribution for t in evidence.terms) == pytest.approx(
        live["pairs"] + live["cooccurrence"], abs=1e-5
    )


@given(st.lists(st.sampled_from([-1, 0, 1]), min_size=4, max_size=4), st.booleans())
def test_one_category_alone_gets_the_probability_it_has_among_all(
    states: list[int], pairs: bool
) -> None:
    labels = np.array(states, dtype=np.int8)
    evidence = with_pairs() if pairs else row()
    expected = probabilities(evidence, labels, CATEGORIES)
    found = [probability_of(evidence, labels, column) for column in range(4)]
    assert found == pytest.approx(expected, abs=1e-6)
