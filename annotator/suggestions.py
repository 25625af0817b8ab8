"""Stored evidence + the labels of this picture known now -> ranked suggestions with reasons.

Numpy only. What a known label says of another category is a sum over this picture's known labels
(IST, reference §11), so it follows every click without the model:

    ist_i   = sum over j known now, j != i, of V[i, j] * (y_j - reference_j),   y_j in {0, 1}
    logit_i = a_i * (picture_logit_i + w * ist_i) + b_i,   probability = sigmoid(logit)

A trained network adds its pair probabilities in the same place: the log odds of the mean p_ij over
the known present j != i, as far as they lie above the usual for i (reference §3).

Contributions are in logits and relative to the typical picture: a source that says of this picture
what it says of the average one contributes nothing. `start` plus all contributions is the logit.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from annotator.scores import COOCCURRENCE, PAIRS, FittedModel, ImageScores

MAX_NAMES = 3  # categories named in one reason
TELLING = 0.1  # logits; a smaller push is not worth a word
PAIR_EDGE = 1 / 255  # pair probabilities are kept this far from 0 and 1
SHARE_OF_LARGEST = 0.25  # a further reason or name must reach this share of the largest one

FloatVector = NDArray[np.float32]


class Named(Protocol):
    """A category: id and name."""

    @property
    def id(self) -> int: ...  # noqa: D102
    @property
    def name(self) -> str: ...  # noqa: D102


@dataclass(frozen=True)
class Reason:
    """Why a category is suggested, in plain words.

    Attributes:
        source: ``ist``, ``cst`` or ``classifier``.
        text: for the person, like "with dining table, bottle".
        contribution: what it adds to the logit.
        category_ids: the known labels that spoke (IST).
        image_count: how many similar pictures with this label there are (CST).
    """

    source: str
    text: str
    contribution: float
    category_ids: tuple[int, ...] = ()
    image_count: int = 0


@dataclass(frozen=True)
class Suggestion:
    """One category of one picture: undecided, or decided and looked at again (`judge`).

    Attributes:
        probability: that it is present, 0-1.
        threshold: learned for this category; at or above it the model would say present.
        source: kind of the source that pushes most, ``ist``, ``cst`` or ``classifier``;
            ``prior`` for a category without a model.
        reasons: largest first; empty for a category without a model.
        contributions: source name -> logits relative to the typical picture.
    """

    category_id: int
    name: str
    probability: float
    threshold: float
    above: bool
    source: str
    reasons: tuple[Reason, ...]
    contributions: Mapping[str, float]


@dataclass(frozen=True)
class SourceEvidence:
    """What one source of the stack says of one cell; contribution in logits."""

    name: str
    kind: str
    weight: float
    value: float
    contribution: float


@dataclass(frozen=True)
class Term:
    """A known label of this picture that speaks for (> 0) or against (< 0); in logits."""

    category_id: int
    name: str
    state: int
    contribution: float


@dataclass(frozen=True)
class SimilarImage:
    """A near picture whose label in this category is known."""

    image_id: int
    similarity: float
    state: int


@dataclass(frozen=True)
class CellEvidence:
    """All that speaks for and against one cell.

    Attributes:
        start: logit of the category on the typical picture; with all contributions it gives
            the logit of `probability`.
        terms: known labels of this picture, largest effect first.
        neighbours: known present first, then known absent, each nearest first.
        exemplars: image ids of typical pictures labelled with this category.
        waiting: what the category waits for, None if it has a model.
    """

    category_id: int
    name: str
    probability: float
    threshold: float
    start: float
    sources: tuple[SourceEvidence, ...]
    terms: tuple[Term, ...]
    neighbours: tuple[SimilarImage, ...]
    exemplars: tuple[int, ...]
    waiting: str | None


@dataclass(frozen=True)
class _Live:
    """Evidence of one picture under the labels known now, in the column order of the fit.

    Attributes:
        labels: int8 [C].
        logits: [C] final.
        terms: [C, C] what label j adds to the logit of category i.
        parts: source name -> [C] logits relative to the typical picture.
    """

    row: ImageScores
    labels: NDArray[np.int8]
    logits: FloatVector
    terms: FloatVector
    parts: Mapping[str, FloatVector]


def rank(
    row: ImageScores,
    labels: NDArray[np.int8] | Sequence[int],
    categories: Sequence[Named],
    *,
    prior: NDArray[np.floating[Any]] | None = None,
    limit: int | None = None,
) -> list[Suggestion]:
    """Suggest the undecided categories of one picture, most probable first.

    Args:
        row: stored evidence; a picture that is not scored yet gets the prior.
        labels: [C] -1, 0, 1 as known now, in the order of ``categories``.
        categories: all of the project; those newer than the model get the prior.
        prior: [C] share of present per category, in the order of ``categories``; without it
            the one of the fit, and categories the model does not have are left out.
        limit: at most this many.
    """
    states = np.asarray(labels, dtype=np.int8)
    model = row.model
    columns = _columns(model, categories)
    live = _live(row, _to_fit_order(states, columns, model))
    modelled = np.append(model.has_model & row.scored, False)[columns]
    fitted = np.append(_sigmoid(live.logits), np.nan)[columns]
    probability = np.where(modelled, fitted, _fallback_prior(model, columns, prior))
    names = {category.id: category.name for category in categories}

    suggestions = []
    for index in _most_probable(probability, states, categories)[:limit]:
        category, column = categories[index], int(columns[index])
        if modelled[index]:
            suggestions.append(_suggest(live, category, column, names))
        else:
            threshold = _threshold(model, column)
            suggestions.append(_from_prior(category, float(probability[index]), threshold))
    return suggestions


def rank_by_prior(
    prior: NDArray[np.floating[Any]],
    labels: NDArray[np.int8] | Sequence[int],
    categories: Sequence[Named],
    *,
    limit: int | None = None,
) -> list[Suggestion]:
    """Suggestions before the first model version: the commonest categories first.

    Args:
        prior: [C] share of present per category (`annotator.scores.smoothed_prior`).
        labels: [C] as known now.
        categories: in the same order.
        limit: at most this many.
    """
    order = _most_probable(prior, np.asarray(labels, dtype=np.int8), categories)[:limit]
    return [_from_prior(categories[i], float(prior[i]), 0.5) for i in order]


def judge(
    row: ImageScores,
    labels: NDArray[np.int8] | Sequence[int],
    categories: Sequence[Named],
    category_ids: Sequence[int],
) -> list[Suggestion]:
    """What the model says of decided cells of one picture, with what speaks against the decision.

    A label never speaks for its own cell. Categories without a model are left out.

    Args:
        row: stored evidence of the picture.
        labels: [C] as known now, in the order of ``categories``.
        categories: all of the project.
        category_ids: of the cells.
    """
    states = np.asarray(labels, dtype=np.int8)
    columns = _columns(row.model, categories)
    place = {category.id: i for i, category in enumerate(categories)}
    names = {category.id: category.name for category in categories}
    wanted = [place[ident] for ident in category_ids if ident in place]
    wanted = [i for i in wanted if _has_model(row, int(columns[i]))]
    if not wanted:
        return []
    live = _live(row, _to_fit_order(states, columns, row.model))
    return [
        _suggest(live, categories[i], int(columns[i]), names, -1 if states[i] > 0 else 1)
        for i in wanted
    ]


def probabilities(
    row: ImageScores, labels: NDArray[np.int8] | Sequence[int], categories: Sequence[Named]
) -> FloatVector:
    """[C] probability of present for every category given the other labels known now.

    NaN where the model has nothing to say: not scored, newer than the model, or waiting.
    """
    columns = _columns(row.model, categories)
    live = _live(row, _to_fit_order(np.asarray(labels, dtype=np.int8), columns, row.model))
    known = np.where(row.model.has_model & row.scored, _sigmoid(live.logits), np.nan)
    return np.append(known, np.nan).astype(np.float32)[columns]


def probability_of(row: ImageScores, labels: NDArray[np.int8], column: int) -> float:
    """As `probabilities` for one category alone, which costs C instead of C x C.

    Args:
        row: stored evidence of the picture; it must be scored.
        labels: [C] as known now, in the column order of the fit.
        column: of a category that has a model.
    """
    model = row.model
    scale, shift = model.calibration[:, column]
    residual = np.where(labels != 0, (labels > 0) - row.reference, 0.0)
    ist = model.ist_weight * float(model.cooccurrence[column] @ residual)
    present = labels > 0
    present[column] = False
    if row.pairs is not None and model.pair_weight and present.any():
        mean = np.clip(row.pairs[column, present].mean(), PAIR_EDGE, 1 - PAIR_EDGE)
        ist += model.pair_weight * float(np.log(mean / (1 - mean)) - model.pair_offset[column])
    return float(_sigmoid(scale * (row.picture_logit[column] + ist) + shift))


def explain(
    row: ImageScores,
    labels: NDArray[np.int8] | Sequence[int],
    categories: Sequence[Named],
    category_id: int,
    neighbour_states: Mapping[int, int],
    *,
    prior: float | None = None,
) -> CellEvidence:
    """Everything the why panel shows of one cell, decided or not.

    Args:
        row: stored evidence of the picture.
        labels: [C] as known now, in the order of ``categories``.
        categories: all of the project.
        category_id: the cell's category; must be among ``categories``.
        neighbour_states: image id -> known state of ``row.neighbours`` in this category.
        prior: share of present in this category, for a cell without a model.
    """
    model = row.model
    columns = _columns(model, categories)
    index = next(i for i, category in enumerate(categories) if category.id == category_id)
    column = int(columns[index])
    sources: tuple[SourceEvidence, ...] = ()
    terms: tuple[Term, ...] = ()
    waiting = None
    if _has_model(row, column):
        live = _live(row, _to_fit_order(np.asarray(labels, dtype=np.int8), columns, model))
        start = float(model.calibration[0, column] * model.typical_logit[column])
        start += float(model.calibration[1, column])
        probability = float(_sigmoid(live.logits[column]))
        sources, terms = _source_evidence(live, column), _terms(live, column, categories)
    else:
        probability = (
            float(_fallback_prior(model, columns, None)[index]) if prior is None else prior
        )
        start = float(np.log(probability / (1 - probability)))
        waiting = _waits_for(row, category_id, column)
    return CellEvidence(
        category_id=category_id,
        name=categories[index].name,
        probability=probability,
        threshold=_threshold(model, column),
        start=start,
        sources=sources,
        terms=terms,
        neighbours=_similar(row, neighbour_states),
        exemplars=_exemplars(row, column),
        waiting=waiting,
    )


def plural(name: str) -> str:
    """English plural of a plain lower-case name, for reasons like "6 labelled cups"."""
    irregular = {"person": "people", "man": "men", "woman": "women", "child": "children"}
    irregular |= {"mouse": "mice", "knife": "knives", "shelf": "shelves", "leaf": "leaves"}
    unchanged = {"sheep", "fish", "aircraft", "skis", "scissors", "trousers", "glasses", "people"}
    head, space, last = name.rpartition(" ")
    if last in unchanged:
        return name
    if last in irregular:
        return f"{head}{space}{irregular[last]}"
    if last.endswith(("s", "x", "z", "ch", "sh")):
        return f"{name}es"
    if last.endswith("y") and last[-2:-1] not in set("aeiou"):
        return f"{name[:-1]}ies"
    return f"{name}s"


def _columns(model: FittedModel, categories: Sequence[Named]) -> NDArray[np.int64]:
    """Column of each category in the scores, -1 where the model does not have it."""
    place = {int(c): i for i, c in enumerate(model.category_ids)}
    return np.array([place.get(category.id, -1) for category in categories], dtype=np.int64)


def _most_probable(
    probability: NDArray[np.floating[Any]], states: NDArray[np.int8], categories: Sequence[Named]
) -> list[int]:
    """Undecided categories that have a probability; ties by id, so that chance moves nothing."""
    open_cells = np.flatnonzero((states == 0) & ~np.isnan(probability)).tolist()
    return sorted(open_cells, key=lambda i: (-float(probability[i]), categories[i].id))


def _to_fit_order(
    states: NDArray[np.int8], columns: NDArray[np.int64], model: FittedModel
) -> NDArray[np.int8]:
    ordered = np.zeros(len(model.category_ids), dtype=np.int8)
    ordered[columns[columns >= 0]] = states[columns >= 0]
    return ordered


def _has_model(row: ImageScores, column: int) -> bool:
    return row.scored and column >= 0 and bool(row.model.has_model[column])


def _threshold(model: FittedModel, column: int) -> float:
    return float(model.threshold[column]) if column >= 0 and model.has_model[column] else 0.5


def _fallback_prior(
    model: FittedModel, columns: NDArray[np.int64], prior: NDArray[np.floating[Any]] | None
) -> NDArray[np.float64]:
    """[C] the given prior, else that of the fit, NaN for categories it does not have."""
    if prior is not None:
        return np.asarray(prior, dtype=np.float64)
    return np.append(model.prior, np.nan).astype(np.float64)[columns]


def _live(row: ImageScores, labels: NDArray[np.int8]) -> _Live:
    model = row.model
    scale, shift = model.calibration
    # What each known label says beyond what the picture had already said of it.
    residual = np.where(labels != 0, (labels > 0) - row.reference, 0.0)
    terms = (model.ist_weight * scale)[:, None] * model.cooccurrence * residual
    pair_terms = scale[:, None] * _pair_terms(row, labels)
    logits = scale * row.picture_logit + shift + terms.sum(axis=1) + pair_terms.sum(axis=1)
    weights = {source.name: source.weight for source in model.stack}
    parts = {
        name: scale * weights.get(name, 0.0) * (row.values[i] - model.typical_values[i])
        for i, name in enumerate(model.sources)
    }
    parts[COOCCURRENCE] = terms.sum(axis=1)
    if row.pairs is not None:
        parts[PAIRS] = pair_terms.sum(axis=1)
    terms = terms + pair_terms
    return _Live(row, labels, logits.astype(np.float32), terms.astype(np.float32), parts)


def _pair_terms(row: ImageScores, labels: NDArray[np.int8]) -> FloatVector:
    """[C, C] what each known present label says through the network's pairs, before calibration.

    The evidence is one number per category; it is shared out by the size of the probabilities.
    """
    model = row.model
    nothing = np.zeros((len(labels), len(labels)), dtype=np.float32)
    if row.pairs is None or not model.pair_weight:
        return nothing
    speaking = np.where(labels > 0, row.pairs, 0.0)
    np.fill_diagonal(speaking, 0.0)
    others = (labels > 0).sum() - (labels > 0)
    total = speaking.sum(axis=1)
    mean = np.clip(total / np.maximum(others, 1), PAIR_EDGE, 1 - PAIR_EDGE)
    evidence = np.where(others > 0, np.log(mean / (1 - mean)) - model.pair_offset, 0.0)
    shares = speaking / np.maximum(total, PAIR_EDGE)[:, None]
    # Probabilities of 0 leave nothing to share by: then all that spoke get the same.
    even = np.where(labels > 0, 1.0, 0.0) * (1 - np.eye(len(labels)))
    shares = np.where((total > PAIR_EDGE)[:, None], shares, even / np.maximum(others, 1)[:, None])
    return np.asarray(model.pair_weight * evidence[:, None] * shares, dtype=np.float32)


def _suggest(
    live: _Live, category: Named, column: int, names: Mapping[int, str], way: int = 1
) -> Suggestion:
    probability = float(_sigmoid(live.logits[column]))
    threshold = _threshold(live.row.model, column)
    reasons = _reasons(live, category, column, names, way)
    return Suggestion(
        category_id=category.id,
        name=category.name,
        probability=probability,
        threshold=threshold,
        above=probability >= threshold,
        source=reasons[0].source,
        reasons=reasons,
        contributions={name: float(values[column]) for name, values in live.parts.items()},
    )


def _from_prior(category: Named, probability: float, threshold: float) -> Suggestion:
    return Suggestion(
        category_id=category.id,
        name=category.name,
        probability=probability,
        threshold=threshold,
        above=probability >= threshold,
        source="prior",
        reasons=(),
        contributions={},
    )


def _reasons(
    live: _Live, category: Named, column: int, names: Mapping[int, str], way: int
) -> tuple[Reason, ...]:
    """The kinds of source that push this category one way, largest first; at least the picture.

    Args:
        live: evidence of the picture.
        category: to give reasons for.
        column: of the category in the fit.
        names: of all categories.
        way: 1 for what makes it likelier, -1 for what makes it less likely.
    """
    push = {"classifier": 0.0, "ist": 0.0, "cst": 0.0}
    for source in live.row.model.stack:
        if source.kind in push and source.name in live.parts:
            push[source.kind] += way * float(live.parts[source.name][column])
    least = max(TELLING, SHARE_OF_LARGEST * max(push.values()))
    strong = sorted((kind for kind in push if push[kind] >= least), key=lambda k: -push[k])
    if strong in ([], ["classifier"]):
        return (Reason("classifier", "from the picture alone", way * push["classifier"]),)
    make = {
        "ist": lambda: _ist_reason(live, column, push["ist"], names, way),
        "cst": lambda: _cst_reason(live, category, column, push["cst"], way),
        "classifier": lambda: Reason("classifier", "from the picture", way * push["classifier"]),
    }
    return tuple(make[kind]() for kind in strong)


def _ist_reason(
    live: _Live, column: int, push: float, names: Mapping[int, str], way: int
) -> Reason:
    """Name the labels that push that way: those present, or those absent if one of them is loudest.

    Example: "with dining table, bottle"; "no car here".
    """
    terms = way * live.terms[column]
    loudest = int(terms.argmax())
    speaking = np.flatnonzero(
        (live.labels == live.labels[loudest]) & (terms >= SHARE_OF_LARGEST * terms[loudest])
    )
    speaking = speaking[np.argsort(-terms[speaking], kind="stable")][:MAX_NAMES]
    ids = tuple(int(i) for i in live.row.model.category_ids[speaking])
    listed = ", ".join(names[i] for i in ids)
    text = f"with {listed}" if live.labels[loudest] > 0 else f"no {listed} here"
    return Reason("ist", text, way * push, category_ids=ids)


def _cst_reason(live: _Live, category: Named, column: int, push: float, way: int) -> Reason:
    """Count the labelled examples among the nearest pictures: "looks like 6 labelled cups"."""
    if way < 0:
        return Reason("cst", "similar pictures speak against it", way * push)
    count = int(live.row.neighbour_present[column])
    noun = category.name if count == 1 else plural(category.name)
    text = f"looks like {count} labelled {noun}" if count else "similar pictures suggest it"
    return Reason("cst", text, push, image_count=count)


def _source_evidence(live: _Live, column: int) -> tuple[SourceEvidence, ...]:
    """Kept sources, largest effect first; the value of a live source is its sum of V * residual."""
    model = live.row.model
    stored = {name: float(live.row.values[i, column]) for i, name in enumerate(model.sources)}
    result = []
    for source in model.stack:
        if source.kept and source.name in live.parts:
            part = float(live.parts[source.name][column])
            scale = source.weight * float(model.calibration[0, column])
            value = stored.get(source.name, part / scale if scale else 0.0)
            result.append(SourceEvidence(source.name, source.kind, source.weight, value, part))
    return tuple(sorted(result, key=lambda s: -abs(s.contribution)))


def _terms(live: _Live, column: int, categories: Sequence[Named]) -> tuple[Term, ...]:
    names = {category.id: category.name for category in categories}
    terms = live.terms[column]
    order = sorted(np.flatnonzero(terms), key=lambda j: -abs(float(terms[j])))
    ids = live.row.model.category_ids
    return tuple(
        Term(int(ids[j]), names[int(ids[j])], int(live.labels[j]), float(terms[j])) for j in order
    )


def _similar(row: ImageScores, states: Mapping[int, int]) -> tuple[SimilarImage, ...]:
    known = [
        SimilarImage(int(image), float(similarity), states[int(image)])
        for image, similarity in zip(row.neighbours, row.neighbour_similarity, strict=True)
        if states.get(int(image), 0) != 0
    ]
    return tuple(sorted(known, key=lambda n: (-n.state, -n.similarity)))


def _exemplars(row: ImageScores, column: int) -> tuple[int, ...]:
    """Typical pictures of the category; the picture itself is no evidence for itself."""
    if column < 0:
        return ()
    return tuple(int(i) for i in row.model.exemplars[column] if i >= 0 and i != row.image_id)


def _waits_for(row: ImageScores, category_id: int, column: int) -> str:
    if column < 0:
        return "the model was trained before this category was added"
    if category_id in row.model.waiting:
        return row.model.waiting[category_id]
    return "the model has not seen this picture yet"


def _sigmoid(logits: FloatVector) -> FloatVector:
    """Stable for any size of logit."""
    return np.asarray(0.5 * (1.0 + np.tanh(0.5 * np.asarray(logits))), dtype=np.float32)
