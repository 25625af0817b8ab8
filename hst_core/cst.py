"""CST, cross-image semantic transfer (HST Eq. 7-11, reference §4).

A category is described by prototypes: the centres of the features of images known to show it. An
image that lies close to them probably shows the category too. All modules here take features
shared by all categories, ``[images, channels]`` (a pooled backbone vector), as well as features of
their own for each category, ``[images, categories, channels]`` (the network's).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Literal, NamedTuple

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn
from torch.nn import functional

from hst_core.transfer import TransferScores, at_least_float32

#: How the cosines to the prototypes of a category become one score.
Similarity = Literal["mean", "max", "logsumexp"]

Features = Float[Tensor, "images channels"] | Float[Tensor, "images categories channels"]

#: Softness of ``logsumexp``: cosines closer than this count about equally.
_LOGSUMEXP_TEMPERATURE = 0.1
#: Values of a temporary [rows, categories, prototypes] block; 2**23 floats are 32 MiB.
_BLOCK = 2**23


class Clusters(NamedTuple):
    """Result of :func:`spherical_kmeans`.

    Attributes:
        centroids: unit vectors, one per cluster; no cluster is empty.
        assignment: cluster of each example.
        cosine: cosine of each example with the centroid of its cluster.
    """

    centroids: Float[Tensor, "clusters channels"]
    assignment: Int[Tensor, " examples"]
    cosine: Float[Tensor, " examples"]


def spherical_kmeans(
    vectors: Float[Tensor, "examples channels"],
    clusters: int,
    generator: torch.Generator,
    *,
    start: Float[Tensor, "known channels"] | None = None,
    iterations: int = 30,
    sample: int = 4096,
) -> Clusters:
    """Group unit vectors by cosine: greedy k-means++ seeding, then Lloyd steps.

    Faster than scikit-learn's Euclidean k-means on the same vectors, with the same mean cosine
    (``benchmarks/core_ist.py``), and it runs where the vectors are.

    Args:
        vectors: unit vectors, at least ``clusters`` of them.
        clusters: number of clusters.
        generator: source of seeding and sample; on the CPU, whatever the device of ``vectors``.
        start: unit centroids to start from; seeding adds those that are missing.
        iterations: most Lloyd steps; they end when less than .1 % of the examples move.
        sample: most examples that these steps look at; a last one takes in all.
    """
    some = vectors
    if len(vectors) > sample:
        chosen = torch.randperm(len(vectors), generator=generator)[:sample].sort().values
        some = vectors[chosen.to(vectors.device)]
    centroids = _seed_centroids(some, clusters, generator, start)
    assignment = torch.full((len(some),), -1, device=vectors.device)
    for _ in range(iterations):
        before = assignment
        centroids, assignment = _lloyd_step(some, centroids)
        if int((assignment != before).sum()) * 1000 < len(some):
            break
    if some is not vectors:
        centroids, assignment = _lloyd_step(vectors, centroids)
    cosine = (vectors @ centroids.T).gather(1, assignment[:, None])[:, 0]
    return Clusters(centroids, assignment, cosine)


def _lloyd_step(vectors: Tensor, centroids: Tensor) -> tuple[Tensor, Tensor]:
    """Assign every example to its nearest centroid and move the centroids to their members."""
    cosine, assignment = (vectors @ centroids.T).max(dim=1)
    assignment = _fill_empty(assignment, cosine, len(centroids))
    sums = torch.zeros_like(centroids).index_add_(0, assignment, vectors)
    return functional.normalize(sums, dim=1), assignment


def _seed_centroids(
    vectors: Tensor, clusters: int, generator: torch.Generator, start: Tensor | None
) -> Tensor:
    """Choose examples far from those chosen before (greedy k-means++).

    Each is the best of a few, drawn with probability by distance.
    """
    chosen = vectors.new_zeros((0, vectors.shape[1])) if start is None else start[:clusters]
    if len(chosen):
        distance = 1.0 - (vectors @ chosen.T).amax(dim=1)
    else:
        distance = torch.ones_like(vectors[:, 0])
    rows = [chosen]
    missing = clusters - len(chosen)
    draws = torch.rand(missing, 2 + int(math.log(clusters)), generator=generator)
    for draw in draws.to(vectors.device, torch.float64):
        weight = distance.clamp(min=0.0).double().cumsum(dim=0)
        # All examples alike: every weight is 0, and the last example is as good as any.
        index = torch.searchsorted(weight, draw * weight[-1], right=True)
        index = index.clamp(max=len(vectors) - 1)
        apart = torch.minimum(distance[:, None], 1.0 - vectors @ vectors[index].T)
        best = int(apart.sum(dim=0).argmin())
        rows.append(vectors[index[best]][None])
        distance = apart[:, best]
    return torch.cat(rows)


def _fill_empty(assignment: Tensor, cosine: Tensor, clusters: int) -> Tensor:
    """Give every empty cluster the example that fits worst where it is and is not alone there."""
    sizes = torch.bincount(assignment, minlength=clusters)
    if bool((sizes > 0).all()):
        return assignment
    assignment = assignment.clone()
    for index in cosine.argsort().tolist():
        empty = (sizes == 0).nonzero()
        if not len(empty):
            break
        home = int(assignment[index])
        if sizes[home] > 1:
            assignment[index] = empty[0, 0]
            sizes[home] -= 1
            sizes[empty[0, 0]] = 1
    return assignment


class CategoryPrototypes(nn.Module):
    """Up to K prototypes per category with the images nearest to each (reference §4).

    Everything is a buffer: saved, loaded and moved with the model. A category with n known
    positives has min(K, n) prototypes, one without any is invalid.

    Args:
        categories: number of categories.
        channels: size of a feature.
        prototypes: K, the most prototypes per category.
        exemplars: number of nearest images remembered per prototype.
    """

    centroids: Tensor  # [categories, prototypes, channels], unit vectors, 0 where there is none
    lengths: Tensor  # [categories, prototypes], norm of the sum of the members' unit vectors
    counts: Tensor  # [categories, prototypes], number of members
    exemplars: Tensor  # [categories, prototypes, exemplars], image ids, -1 where there is none
    exemplar_similarity: Tensor  # the same shape, cosine to the prototype

    def __init__(
        self, categories: int, channels: int, prototypes: int = 10, exemplars: int = 3
    ) -> None:
        super().__init__()
        if prototypes < 1:
            raise ValueError(f"prototypes must be at least 1, got {prototypes} (paper: 10)")
        for name, value in self._empty(categories, channels, prototypes, exemplars).items():
            self.register_buffer(name, value)

    @staticmethod
    def _empty(
        categories: int, channels: int, prototypes: int, exemplars: int
    ) -> dict[str, Tensor]:
        shape = (categories, prototypes)
        return {
            "centroids": torch.zeros(*shape, channels),
            "lengths": torch.zeros(shape),
            "counts": torch.zeros(shape, dtype=torch.int64),
            "exemplars": torch.full((*shape, exemplars), -1, dtype=torch.int64),
            "exemplar_similarity": torch.zeros(*shape, exemplars),
        }

    @property
    def number(self) -> Int[Tensor, " categories"]:
        """K_c, the number of prototypes that each category has."""
        return (self.counts > 0).sum(dim=1)

    @property
    def valid(self) -> Bool[Tensor, " categories"]:
        """Categories that have a prototype."""
        return self.number > 0

    @torch.no_grad()
    def fit(
        self,
        features: Features,
        labels: Int[Tensor, "images categories"],
        image_ids: Int[Tensor, " images"] | None = None,
        *,
        seed: int = 0,
        categories: Sequence[int] | None = None,
        warm_start: bool = False,
    ) -> None:
        """Compute the prototypes from the images known to show each category.

        Args:
            features: any floating dtype; k-means runs in float32.
            labels: -1, 0 or 1; only 1 takes part.
            image_ids: what to remember exemplars by; row numbers if None.
            seed: each category draws from its own generator with this seed, so that its
                prototypes depend neither on the other categories nor on their order.
            categories: those to compute, all if None. The others keep what they have.
            warm_start: start from the present prototypes instead of seeding anew, which is what
                to do after labels were added or withdrawn.
        """
        ids = self._ids(labels, image_ids)
        for category in range(len(self.counts)) if categories is None else categories:
            rows = (labels[:, category] == 1).nonzero()[:, 0]
            self.fit_category(
                category,
                features[rows] if features.ndim == 2 else features[rows, category],
                ids[rows],
                seed=seed,
                warm_start=warm_start,
            )

    @torch.no_grad()
    def fit_category(
        self,
        category: int,
        examples: Float[Tensor, "examples channels"],
        image_ids: Int[Tensor, " examples"],
        *,
        seed: int = 0,
        warm_start: bool = False,
    ) -> None:
        """Compute the prototypes of one category from the features of its known positives.

        For callers that keep only those features, since a whole ``[images, categories,
        channels]`` array seldom fits in memory.
        """
        start = self.centroids[category][self.counts[category] > 0].float() if warm_start else None
        self._clear(category)
        if not len(examples):
            return
        vectors = functional.normalize(examples.float(), dim=1).to(self.centroids.device)
        clusters = min(self.counts.shape[1], len(vectors))
        generator = torch.Generator().manual_seed(seed)
        found = spherical_kmeans(vectors, clusters, generator, start=start)
        self.centroids[category, :clusters] = found.centroids.to(self.centroids.dtype)
        self.counts[category, :clusters] = torch.bincount(found.assignment, minlength=clusters)
        # The members' cosines with the centroid add up to the length of their sum.
        self.lengths[category].index_add_(0, found.assignment, found.cosine.to(self.lengths.dtype))
        self._remember(category, found.assignment, found.cosine, image_ids)

    @torch.no_grad()
    def add(
        self,
        features: Features,
        labels: Int[Tensor, "images categories"],
        image_ids: Int[Tensor, " images"],
    ) -> None:
        """Take in new known positives without looking at the old ones again.

        While a category has fewer than K prototypes, each example becomes one, which is what
        :meth:`fit` would do; later ones move the nearest prototype to the mean of its members.
        Withdrawn labels need :meth:`fit` with ``warm_start`` on the categories concerned.
        """
        for row, category in (labels == 1).nonzero().tolist():
            vector = features[row] if features.ndim == 2 else features[row, category]
            vector = functional.normalize(vector.float(), dim=0).to(self.centroids.device)
            counts = self.counts[category]
            free = (counts == 0).nonzero()
            cosines = self.centroids[category].float() @ vector
            nearest = cosines.masked_fill(counts == 0, -math.inf).argmax()
            slot = int(free[0, 0]) if len(free) else int(nearest)
            total = self.centroids[category, slot] * self.lengths[category, slot] + vector
            self.lengths[category, slot] = total.norm()
            self.centroids[category, slot] = functional.normalize(total, dim=0)
            self.counts[category, slot] += 1
            similarity = self.centroids[category, slot].float() @ vector
            self._remember(
                category, torch.tensor([slot]), similarity[None], image_ids[row : row + 1]
            )

    def cosines(
        self, features: Features, categories: slice = slice(None)
    ) -> Float[Tensor, "images categories prototypes"]:
        """Return the cosine with every prototype; 0 where there is none."""
        unit = functional.normalize(at_least_float32(features), dim=-1)
        centroids = self.centroids[categories].to(unit.dtype)
        if unit.ndim == 2:
            return torch.einsum("nd,ckd->nck", unit, centroids)
        return torch.einsum("ncd,ckd->nck", unit[:, categories], centroids)

    def similarity(
        self,
        features: Features,
        labels: Int[Tensor, "images categories"] | None = None,
        reduction: Similarity = "mean",
    ) -> TransferScores:
        """Score every category by the similarity to its prototypes (HST Eq. 8-9).

        Args:
            features: of the images to score.
            labels: the labels that :meth:`fit` saw, if these images took part in it. Their known
                positives are then scored as if the image had not been there (leave-one-out, exact
                for given clusters); a category with no other example is invalid for that image.
            reduction: over the prototypes of a category.

        Returns:
            Scores in [-1, 1]; categories without a prototype are invalid and score 0.
        """
        if reduction == "mean":
            scores = self._mean_similarity(features)
        else:
            rows = max(1, _BLOCK // max(1, self.counts.numel()))
            blocks = [
                self._reduce(self.cosines(part), reduction) for part in torch.split(features, rows)
            ]
            scores = torch.cat(blocks)
        valid = self.valid.expand(scores.shape)
        if labels is None:
            return TransferScores(scores, valid.clone())
        return self._leave_one_out(TransferScores(scores, valid), features, labels, reduction)

    def grow(self, added: int) -> None:
        """Append ``added`` categories without prototypes."""
        _, prototypes, channels = self.centroids.shape
        for name, value in self._empty(
            added, channels, prototypes, self.exemplars.shape[2]
        ).items():
            old: Tensor = getattr(self, name)
            setattr(self, name, torch.cat([old, value.to(old)]))

    def nearest_images(self, limit: int = 12) -> Int[Tensor, "categories limit"]:
        """Return the exemplars of each category, best of every prototype first; -1 = none."""
        ids = self.exemplars.transpose(1, 2).flatten(1)
        order = (ids < 0).to(torch.int8).argsort(dim=1, stable=True)
        ids = ids.gather(1, order)[:, :limit]
        return functional.pad(ids, (0, limit - ids.shape[1]), value=-1)

    def extra_repr(self) -> str:
        """Describe the module in ``print(model)``."""
        categories, prototypes, channels = self.centroids.shape
        return f"categories={categories}, channels={channels}, prototypes={prototypes}"

    def _mean_similarity(self, features: Tensor) -> Tensor:
        """Mean cosine through one vector per category: mean_k cos(f, p_k) = f/|f| . mean_k p_k."""
        number = self.number.clamp(min=1)[:, None]
        query = self.centroids.sum(dim=1, dtype=torch.float32) / number
        rows = max(1, _BLOCK // max(1, features[:1].numel()))
        blocks = []
        for part in torch.split(features, rows):
            values = at_least_float32(part)
            norm = values.norm(dim=-1, keepdim=True).clamp(min=1e-12)
            equation = "nd,cd->nc" if values.ndim == 2 else "ncd,cd->nc"
            dots = torch.einsum(equation, values, query.to(values.dtype))
            blocks.append(dots / (norm if values.ndim == 2 else norm[..., 0]))
        return torch.cat(blocks)

    def _reduce(self, cosines: Tensor, reduction: Similarity, live: Tensor | None = None) -> Tensor:
        """Reduce over the last axis, prototypes that are live only; 0 where none is."""
        live = (self.counts > 0).expand(cosines.shape) if live is None else live
        number = live.sum(dim=-1).clamp(min=1)
        if reduction == "mean":
            return torch.where(live, cosines, 0.0).sum(dim=-1) / number
        # -2 lies below every cosine; unlike -inf it keeps gradients of invalid cells finite.
        masked = torch.where(live, cosines, -2.0)
        if reduction == "max":
            scores = masked.amax(dim=-1)
        else:
            scaled = torch.where(live, cosines / _LOGSUMEXP_TEMPERATURE, -1e4)
            scores = _LOGSUMEXP_TEMPERATURE * (scaled.logsumexp(dim=-1) - number.log())
        return torch.where(live.any(dim=-1), scores, 0.0)

    def _leave_one_out(
        self,
        evidence: TransferScores,
        features: Tensor,
        labels: Tensor,
        reduction: Similarity,
    ) -> TransferScores:
        """Score known positives again, with their own vector taken out of its prototype."""
        scores, valid = evidence.scores.clone(), evidence.valid.clone()
        for category in (labels == 1).any(dim=0).nonzero()[:, 0].tolist():
            rows = (labels[:, category] == 1).nonzero()[:, 0]
            own = features[rows] if features.ndim == 2 else features[rows, category]
            one = slice(category, category + 1)
            cosines = self.cosines(own, one)[:, 0]
            cosines, live = self._without_self(cosines, category)
            scores[rows, category] = self._reduce(cosines, reduction, live).to(scores.dtype)
            valid[rows, category] = live.any(dim=1)
        return TransferScores(scores, valid)

    def _without_self(self, cosines: Tensor, category: int) -> tuple[Tensor, Tensor]:
        """Take each example (rows) out of its nearest prototype.

        With S the sum of the members of that prototype and x the example, the cosine becomes
        x.(S - x) / |S - x|, and both follow from |S| and cos(x, S) alone.
        """
        live = (self.counts[category] > 0).expand(cosines.shape).clone()
        home = cosines.masked_fill(~live, -math.inf).argmax(dim=1, keepdim=True)
        length = self.lengths[category].to(cosines.dtype)[home]
        dot = length * cosines.gather(1, home)
        remaining = (length.square() - 2 * dot + 1).clamp(min=1e-12).sqrt()
        alone = self.counts[category][home] <= 1
        without = torch.where(alone, 0.0, ((dot - 1) / remaining).clamp(-1.0, 1.0))
        return cosines.scatter(1, home, without), live.scatter(1, home, ~alone)

    def _ids(self, labels: Tensor, image_ids: Tensor | None) -> Tensor:
        if image_ids is None:
            return torch.arange(len(labels), device=labels.device)
        return image_ids

    def _clear(self, category: int) -> None:
        for values in (self.centroids, self.lengths, self.counts, self.exemplar_similarity):
            values[category] = 0
        self.exemplars[category] = -1

    def _remember(self, category: int, slots: Tensor, cosine: Tensor, image_ids: Tensor) -> None:
        """Keep the images nearest to each prototype, those remembered before included."""
        keep = self.exemplars.shape[2]
        device = self.exemplars.device
        for slot in torch.unique(slots).tolist():
            member = slots == slot
            old = self.exemplars[category, slot] >= 0
            ids = torch.cat(
                [
                    self.exemplars[category, slot][old],
                    image_ids[member.to(image_ids.device)].to(device),
                ]
            )
            near = torch.cat(
                [
                    self.exemplar_similarity[category, slot][old],
                    cosine[member.to(cosine.device)].to(self.exemplar_similarity),
                ]
            )
            best = near.argsort(descending=True, stable=True)[:keep]
            self.exemplars[category, slot, : len(best)] = ids[best]
            self.exemplar_similarity[category, slot, : len(best)] = near[best]


def pair_similarity_loss(
    category_features: Float[Tensor, "batch categories channels"],
    labels: Int[Tensor, "batch categories"],
) -> Float[Tensor, ""]:
    """Draw images of the same category together, push known others away (HST Eq. 10-11).

    Per category: two known positives cost 1 - cos, a known positive and a known negative cost
    1 + cos, any other pair is ignored (two absent categories have nothing in common).

    The sum over pairs follows from two sums over images, since sum_ij u_i.u_j = |sum u|^2: the
    cost grows with the batch, not with its square.

    Returns:
        Mean over the counted pairs of all categories; 0 if there is none.
    """
    unit = functional.normalize(at_least_float32(category_features), dim=-1)
    positive = (labels == 1).to(unit.dtype)
    negative = (labels == -1).to(unit.dtype)
    positive_sum = torch.einsum("bc,bcd->cd", positive, unit)
    negative_sum = torch.einsum("bc,bcd->cd", negative, unit)
    itself = (positive * unit.square().sum(dim=-1)).sum()
    cosine_together = (positive_sum.square().sum() - itself) / 2
    cosine_apart = (positive_sum * negative_sum).sum()
    number_positive, number_negative = positive.sum(dim=0), negative.sum(dim=0)
    together = (number_positive * (number_positive - 1)).sum() / 2
    apart = (number_positive * number_negative).sum()
    total = (together - cosine_together) + (apart + cosine_apart)
    return total / (together + apart).clamp(min=1)


class CrossImageTransfer(nn.Module):
    """CST of the network: prototypes per category and the loss that shapes their space.

    Args:
        categories: number of categories.
        channels: size of a category feature.
        prototypes: K, the most prototypes per category.
        similarity: how cosines to several prototypes become one score.
    """

    def __init__(
        self,
        categories: int,
        channels: int,
        prototypes: int = 10,
        similarity: Similarity = "mean",
    ) -> None:
        super().__init__()
        self.prototypes = CategoryPrototypes(categories, channels, prototypes)
        self.similarity: Similarity = similarity

    @torch.no_grad()
    def transfer(
        self,
        category_features: Float[Tensor, "batch categories channels"],
        labels: Int[Tensor, "batch categories"],
        *,
        leave_one_out: bool = False,
    ) -> TransferScores:
        """Score the categories of each image by their prototypes.

        Args:
            category_features: of the images to score.
            labels: evidence labels; used only with ``leave_one_out``.
            leave_one_out: the known positives in ``labels`` took part in the prototypes and are
                to be scored without themselves.
        """
        return self.prototypes.similarity(
            category_features, labels if leave_one_out else None, self.similarity
        )

    def loss(
        self,
        category_features: Float[Tensor, "batch categories channels"],
        labels: Int[Tensor, "batch categories"],
    ) -> Float[Tensor, ""]:
        """Return L_cst of the batch."""
        return pair_similarity_loss(category_features, labels)

    def grow(self, added: int) -> None:
        """Append ``added`` categories without prototypes."""
        self.prototypes.grow(added)


class InstanceTransfer(nn.Module):
    """Instance-level CST of SST, for the ablation: other images of the batch as prototypes."""

    @torch.no_grad()
    def transfer(
        self,
        category_features: Float[Tensor, "batch categories channels"],
        labels: Int[Tensor, "batch categories"],
    ) -> TransferScores:
        """Score by the mean cosine to the other images known to show the category."""
        unit = functional.normalize(at_least_float32(category_features), dim=-1)
        positive = (labels == 1).to(unit.dtype)
        total = torch.einsum("bc,bcd->cd", positive, unit)
        itself = positive * unit.square().sum(dim=-1)
        others = positive.sum(dim=0) - positive
        dots = torch.einsum("bcd,cd->bc", unit, total) - itself
        valid = others > 0
        return TransferScores(torch.where(valid, dots / others.clamp(min=1), 0.0), valid)

    def loss(
        self,
        category_features: Float[Tensor, "batch categories channels"],
        labels: Int[Tensor, "batch categories"],
    ) -> Float[Tensor, ""]:
        """Return L_cst of the batch."""
        return pair_similarity_loss(category_features, labels)

    def grow(self, added: int) -> None:
        """Do nothing: there is no state per category."""
