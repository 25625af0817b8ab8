"""IST, intra-image semantic transfer (HST Eq. 3-6, reference §3).

How probable is it that two categories occur together in *this* image? The pair head answers from
the two category features; what is known to be present then speaks for or against the rest.

Pairs are unordered, in row-major upper-triangle order: with four categories pair 1 is (0, 2).
The head is factorised. Concatenating the features of every pair and running a fully connected
stack over all of them is the same family of functions; but a linear layer on ``[g_i ; g_j]`` is
the sum of one on ``g_i`` and one on ``g_j``, so both are computed once per category, and only
``v . relu(A_i + B_j)`` is left to do per pair.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Literal

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from hst_core.losses import asymmetric_pair_loss
from hst_core.transfer import TransferScores, at_least_float32

#: How the pair probabilities with several known categories become one score.
PairReduction = Literal["mean", "sum"]
#: One output vector for every pair, one shared by all pairs, or per pair while that is affordable.
PairHead = Literal["per_pair", "shared", "auto"]

#: ``auto`` gives each pair its own vector up to this many weights (128 MiB of float32).
_MOST_PAIR_WEIGHTS = 2**25
#: Pairs of one call; lists of indices stay below some tens of MiB whatever the categories.
_PAIRS_AT_ONCE = 2**20


def pair_index(categories: int, device: torch.device | None = None) -> tuple[Tensor, Tensor]:
    """Return (I, J), the smaller and the larger category of every pair, each [pairs]."""
    first, second = torch.triu_indices(categories, categories, 1, device=device)
    return first, second


def pair_position(
    first: Int[Tensor, " n"], second: Int[Tensor, " n"], categories: int
) -> Int[Tensor, " n"]:
    """Return the position of pairs (first < second) in row-major upper-triangle order."""
    return first * (2 * categories - first - 1) // 2 + second - first - 1


def pair_targets(labels: Int[Tensor, "batch categories"]) -> Int[Tensor, "batch pairs"]:
    """Return 1 where both are known present, -1 where either is known absent, else 0.

    That is the smaller of the two labels. Unknown pairs are ignored: calling them negative, as
    the released code does, bounds the probability of a truly co-occurring pair by .19 at 10 %
    known labels (reference §3).
    """
    first, second = pair_index(labels.shape[1], labels.device)
    return torch.minimum(labels[:, first], labels[:, second])


def leave_one_out(
    pair_probabilities: Float[Tensor, "batch pairs"],
    labels: Int[Tensor, "batch categories"],
    reduction: PairReduction = "mean",
) -> TransferScores:
    """Score each category by its pairs with the other known positives (HST Eq. 4, reference §3).

    The sum is the paper's; it passes 1 with two labels, so that a threshold in [0, 1] means
    nothing. A category is valid where the image has another known positive.
    """
    categories = labels.shape[1]
    first, second = pair_index(categories, labels.device)
    values = at_least_float32(pair_probabilities)
    table = values.new_zeros(len(values), categories, categories)
    table[:, first, second] = values
    table[:, second, first] = values
    positive = (labels == 1).to(values.dtype)
    return _reduce(torch.einsum("bij,bj->bi", table, positive), positive, reduction)


def _reduce(total: Tensor, positive: Tensor, reduction: PairReduction) -> TransferScores:
    """Turn sums over the other known positives into scores."""
    others = positive.sum(dim=1, keepdim=True) - positive
    valid = others > 0
    scores = total / others.clamp(min=1) if reduction == "mean" else total
    return TransferScores(torch.where(valid, scores, 0.0), valid)


class _PairDots(torch.autograd.Function):
    """``v . relu(A_i + B_j)`` for a list of pairs, block by block.

    Storing ``relu(A_i + B_j)`` for every pair, as automatic differentiation does, costs gigabytes
    at 80 categories and most of the time goes to moving them. A block stays in the cache, and
    computing it again for the gradient is cheaper than fetching it.
    """

    @staticmethod
    def forward(
        ctx: Any,
        first: Tensor,  # [batch * categories, hidden]
        second: Tensor,  # the same
        vectors: Tensor,  # [hidden] or [pairs, hidden]
        rows_first: Tensor,  # [n] rows of `first`
        rows_second: Tensor,  # [n] rows of `second`
        rows_vector: Tensor | None,  # [n] rows of `vectors` if there is one per pair
    ) -> Tensor:
        ctx.save_for_backward(first, second, vectors, rows_first, rows_second, rows_vector)
        dots = first.new_empty(len(rows_first))
        room = _room(first, len(rows_first))
        for part in _blocks(first, len(rows_first)):
            hidden, spare = _hidden(room, first, second, rows_first[part], rows_second[part])
            if rows_vector is None:
                dots[part] = hidden @ vectors
            else:
                torch.index_select(vectors, 0, rows_vector[part], out=spare)
                dots[part] = torch.linalg.vecdot(hidden, spare)
        return dots

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        first, second, vectors, rows_first, rows_second, rows_vector = ctx.saved_tensors
        to_first, to_second = torch.zeros_like(first), torch.zeros_like(second)
        to_vectors = torch.zeros_like(vectors)
        room = _room(first, len(rows_first))
        for part in _blocks(first, len(rows_first)):
            outer = gradient[part, None]
            hidden, inner = _hidden(room, first, second, rows_first[part], rows_second[part])
            if rows_vector is None:
                to_vectors += gradient[part] @ hidden
                torch.mul(vectors, outer, out=inner)
            else:
                torch.index_select(vectors, 0, rows_vector[part], out=inner)
                inner.mul_(outer)
            torch.ops.aten.threshold_backward.grad_input(inner, hidden, 0, grad_input=inner)
            to_first.index_add_(0, rows_first[part], inner)
            to_second.index_add_(0, rows_second[part], inner)
            if rows_vector is not None:
                to_vectors.index_add_(0, rows_vector[part], hidden.mul_(outer))
        return to_first, to_second, to_vectors, None, None, None


def _room(values: Tensor, number: int) -> Tensor:
    """Reserve two blocks that all parts share: fresh memory for each costs more than the sums."""
    return values.new_empty(2, min(number, _block_size(values)), values.shape[1])


def _hidden(
    room: Tensor, first: Tensor, second: Tensor, rows_first: Tensor, rows_second: Tensor
) -> tuple[Tensor, Tensor]:
    """Compute ``relu(A_i + B_j)`` in the first block; the second is free afterwards."""
    hidden, spare = room[0, : len(rows_first)], room[1, : len(rows_first)]
    # index_select copies whole rows; indexing with [] is several times slower.
    torch.index_select(first, 0, rows_first, out=hidden)
    torch.index_select(second, 0, rows_second, out=spare)
    return hidden.add_(spare).relu_(), spare


def _block_size(values: Tensor) -> int:
    """Give the number of pairs that fit the cache of a CPU, or fill a GPU."""
    elements = 2**18 if values.device.type == "cpu" else 2**26
    return max(1, elements // max(1, values.shape[1]))


def _blocks(values: Tensor, number: int) -> Iterator[slice]:
    """Cut ``number`` pairs into blocks."""
    size = _block_size(values)
    for start in range(0, number, size):
        yield slice(start, min(start + size, number))


class IntraImageTransfer(nn.Module):
    """Pair probabilities of one image's categories, and the evidence that follows from them.

    Args:
        categories: number of categories.
        channels: size of a category feature.
        projection: size of the projection that each category passes once (paper 512).
        hidden: units per pair (paper 1024).
        head: one output vector per pair, one shared by all (with a bias per pair), or ``auto``:
            per pair while that costs less than 128 MiB.
        reduction: of the scores, ``mean`` or the paper's ``sum``.
        generator: for the initial weights of the pairs.
    """

    def __init__(
        self,
        categories: int,
        channels: int,
        *,
        projection: int = 512,
        hidden: int = 1024,
        head: PairHead = "auto",
        reduction: PairReduction = "mean",
        generator: torch.Generator | None = None,
    ) -> None:
        super().__init__()
        pairs = categories * (categories - 1) // 2
        self.categories = categories
        self.reduction: PairReduction = reduction
        self.project = nn.Linear(channels, projection)
        self.first = nn.Linear(projection, hidden, bias=False)
        self.second = nn.Linear(projection, hidden)
        if head == "auto":
            head = "per_pair" if pairs * hidden <= _MOST_PAIR_WEIGHTS else "shared"
        shape = (pairs, hidden) if head == "per_pair" else (hidden,)
        self.vectors = nn.Parameter(self._draw(shape, generator))
        self.bias = nn.Parameter(torch.zeros(pairs))

    @property
    def per_pair(self) -> bool:
        """Whether every pair has an output vector of its own."""
        return self.vectors.ndim == 2

    def forward(
        self, category_features: Float[Tensor, "batch categories channels"]
    ) -> Float[Tensor, "batch pairs"]:
        """Return the logits of all pairs; memory is bounded by the result and one block."""
        if not torch.is_grad_enabled():
            # With indices for some images at a time, the result is all that grows.
            size = max(1, _PAIRS_AT_ONCE // max(1, self.bias.numel()))
            parts = [self._all_pairs(part) for part in torch.split(category_features, size)]
            return torch.cat(parts)
        return self._all_pairs(category_features)

    def pair_logits(
        self,
        category_features: Float[Tensor, "batch categories channels"],
        images: Int[Tensor, " n"],
        first: Int[Tensor, " n"],
        second: Int[Tensor, " n"],
    ) -> Float[Tensor, " n"]:
        """Return the logits of chosen pairs.

        Args:
            category_features: of the images of the batch.
            images: position in the batch of each pair.
            first: the smaller category of each pair.
            second: the larger category of each pair.
        """
        projected = self.project(category_features)
        rows = images * self.categories
        position = pair_position(first, second, self.categories)
        # Sums over up to a thousand units and pairs want single precision, also under autocast.
        left = at_least_float32(self.first(projected))
        right = at_least_float32(self.second(projected))
        dots = _PairDots.apply(
            left.flatten(0, 1),
            right.flatten(0, 1),
            self.vectors.to(left.dtype),
            rows + first,
            rows + second,
            position if self.per_pair else None,
        )
        logits: Tensor = dots + self.bias[position]
        return logits

    def loss(
        self,
        category_features: Float[Tensor, "batch categories channels"],
        labels: Int[Tensor, "batch categories"],
        *,
        gamma_positive: float = 1.0,
        gamma_negative: float = 2.0,
        margin: float = 0.05,
        limit: int = 0,
        generator: torch.Generator | None = None,
    ) -> Float[Tensor, ""]:
        """Return L_ist, evaluating only the pairs whose target is not 0.

        Args:
            category_features: of the images of the batch.
            labels: evidence labels.
            gamma_positive: see :func:`~hst_core.losses.asymmetric_pair_loss`.
            gamma_negative: see there.
            margin: see there.
            limit: about how many pairs to evaluate at most, drawn at random; 0 is all. With many
                categories a sample estimates the same mean at a fraction of the cost.
            generator: of that draw, on the CPU; needed where ``limit`` is given.
        """
        images, first, second, targets = used_pairs(labels, limit, generator)
        logits = self.pair_logits(category_features, images, first, second)
        return asymmetric_pair_loss(logits, targets, gamma_positive, gamma_negative, margin)

    @torch.no_grad()
    def transfer(
        self,
        category_features: Float[Tensor, "batch categories channels"],
        labels: Int[Tensor, "batch categories"],
    ) -> TransferScores:
        """Score each category by its pairs with the other known positives of the image.

        Only those pairs are evaluated: a few per cent of all where few labels are positive.
        """
        positive = at_least_float32((labels == 1).to(category_features.dtype))
        total = torch.zeros_like(positive).flatten()
        images, known = (labels == 1).nonzero(as_tuple=True)
        for part in _slices(len(known), max(1, _PAIRS_AT_ONCE // self.categories)):
            image = images[part].repeat_interleave(self.categories)
            source = known[part].repeat_interleave(self.categories)
            target = torch.arange(self.categories, device=labels.device).repeat(len(known[part]))
            apart = source != target
            image, source, target = image[apart], source[apart], target[apart]
            logits = self.pair_logits(
                category_features, image, source.minimum(target), source.maximum(target)
            )
            probabilities = torch.sigmoid(at_least_float32(logits))
            total.index_add_(0, image * self.categories + target, probabilities.to(total.dtype))
        return _reduce(total.view_as(positive), positive, self.reduction)

    def grow(self, added: int, generator: torch.Generator | None = None) -> None:
        """Append ``added`` categories; the pairs of old ones keep their logits.

        Parameters are replaced by larger ones: build the optimiser anew.
        """
        old_first, old_second = pair_index(self.categories)
        self.categories += added
        pairs = self.categories * (self.categories - 1) // 2
        position = pair_position(old_first, old_second, self.categories).to(self.bias.device)
        bias = self.bias.new_zeros(pairs)
        bias[position] = self.bias.detach()
        self.bias = nn.Parameter(bias)
        if self.per_pair:
            vectors = self._draw((pairs, self.vectors.shape[1]), generator).to(self.vectors)
            vectors[position] = self.vectors.detach()
            self.vectors = nn.Parameter(vectors)

    def _all_pairs(self, category_features: Tensor) -> Tensor:
        first, second = pair_index(self.categories, category_features.device)
        batch = len(category_features)
        images = torch.arange(batch, device=first.device).repeat_interleave(len(first))
        logits = self.pair_logits(
            category_features, images, first.repeat(batch), second.repeat(batch)
        )
        return logits.view(batch, len(first))

    @staticmethod
    def _draw(shape: tuple[int, ...], generator: torch.Generator | None) -> Tensor:
        bound = shape[-1] ** -0.5
        return torch.empty(shape).uniform_(-bound, bound, generator=generator)


def used_pairs(
    labels: Int[Tensor, "batch categories"],
    limit: int = 0,
    generator: torch.Generator | None = None,
) -> tuple[Int[Tensor, " n"], Int[Tensor, " n"], Int[Tensor, " n"], Int[Tensor, " n"]]:
    """List the pairs whose target is not 0: image, smaller category, larger category, target.

    Args:
        labels: -1, 0 or 1.
        limit: keep about this many, each with the same probability; 0 keeps all.
        generator: of that choice, on the CPU; needed where ``limit`` is given.

    Raises:
        ValueError: if ``limit`` is given without a generator.
    """
    if limit > 0 and generator is None:
        raise ValueError(f"limit={limit} draws pairs at random and needs a generator")
    categories = labels.shape[1]
    first, second = pair_index(categories, labels.device)
    share = limit / max(limit, _number_of_used_pairs(labels)) if limit > 0 else 1.0
    parts = []
    size = max(1, 4 * _PAIRS_AT_ONCE // max(1, len(first)))
    for start in range(0, max(1, len(labels)), size):
        targets = pair_targets(labels[start : start + size])
        images, pairs = targets.nonzero(as_tuple=True)
        if share < 1.0:
            keep = torch.rand(len(images), generator=generator).to(labels.device) < share
            images, pairs = images[keep], pairs[keep]
        parts.append((images + start, first[pairs], second[pairs], targets[images, pairs]))
    image, smaller, larger, target = (torch.cat(column) for column in zip(*parts, strict=True))
    return image, smaller, larger, target


def _number_of_used_pairs(labels: Tensor) -> int:
    """Count pairs with a known negative, and pairs of two known positives, without listing them."""
    categories = labels.shape[1]
    rest = categories - (labels == -1).sum(dim=1)
    positive = (labels == 1).sum(dim=1)
    with_negative = categories * (categories - 1) // 2 - rest * (rest - 1) // 2
    return int((with_negative + positive * (positive - 1) // 2).sum())


def _slices(number: int, size: int) -> Iterator[slice]:
    for start in range(0, number, size):
        yield slice(start, start + size)


class StatisticsTransfer(nn.Module):
    """IST with the co-occurrence of the data set instead of the image's (ablation, HST Table 5).

    Args:
        conditional: ``[i, j]`` = probability of category i where j is present, see
            :func:`~hst_core.graph.cooccurrence_adjacency`.
        reduction: ``mean`` or ``sum``.
    """

    conditional: Tensor

    def __init__(
        self,
        conditional: Float[Tensor, "categories categories"],
        reduction: PairReduction = "mean",
    ) -> None:
        super().__init__()
        self.register_buffer("conditional", conditional.clone().fill_diagonal_(0.0))
        self.reduction: PairReduction = reduction

    @torch.no_grad()
    def transfer(
        self,
        category_features: Float[Tensor, "batch categories channels"],
        labels: Int[Tensor, "batch categories"],
    ) -> TransferScores:
        """Score by the labels alone; the features only say on which device to compute."""
        positive = at_least_float32((labels == 1).to(category_features.dtype))
        return _reduce(positive @ self.conditional.to(positive).T, positive, self.reduction)

    def loss(
        self,
        category_features: Float[Tensor, "batch categories channels"],
        labels: Int[Tensor, "batch categories"],
    ) -> Float[Tensor, ""]:
        """Return 0: there is nothing to learn."""
        return category_features.new_zeros(())

    def grow(self, added: int) -> None:
        """Append ``added`` categories that occur with no other so far."""
        self.conditional = nn.functional.pad(self.conditional, (0, added, 0, added))
