"""CST evidence of the fast tier: what the images that look most alike are known to show."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float, Float32, Int8, Int32
from numpy.typing import NDArray
from scipy import sparse
from torch import Tensor
from torch.nn import functional

from hst_core.files import replacing
from hst_core.projection import FeatureSpace
from hst_core.stopping import ShouldStop, check_stop

#: Similarities computed at a time: 2**24 floats are 64 MiB.
_BLOCK = 2**24
#: Numbers that are read once and used at once: little enough to stay near a cache.
_CACHED = 2**20


class NeighbourGraph:
    """The nearest images of each image by cosine; depends on features only.

    Cosines are taken in a :class:`~hst_core.projection.FeatureSpace` whose leading axes are damped
    by the square root of their spread: that finds more images of the same category than the raw
    vectors do, at a fifth of the cost.

    Attributes:
        space: made from the images present at :meth:`build`.
        coordinates: of every image in that space, as the base uses them.
        indices: rows of the nearest images, nearest first; -1 where there are fewer.
        similarities: their cosines; 0 where there is none.
    """

    def __init__(
        self,
        space: FeatureSpace,
        coordinates: Float[Tensor, "images coordinates"],
        indices: Int32[np.ndarray, "images neighbours"],
        similarities: Float32[np.ndarray, "images neighbours"],
    ) -> None:
        self.space = space
        self.coordinates = coordinates
        self.indices = indices
        self.similarities = similarities

    @classmethod
    def build(
        cls,
        vectors: Float[np.ndarray, "images channels"],
        neighbours: int = 100,
        *,
        coordinates: int = 256,
        progress: Callable[[int, int], None] | None = None,
        should_stop: ShouldStop | None = None,
    ) -> NeighbourGraph:
        """Find the neighbours of every image.

        Args:
            vectors: pooled features, at least one image; read a few thousand at a time, so that
                a memory map stays on disk.
            neighbours: K, kept per image.
            coordinates: axes of the space.
            progress: told the images done and their number.
            should_stop: asked between blocks of images.

        Raises:
            Stopped: if ``should_stop`` says so.
        """
        space = FeatureSpace.fit(vectors, coordinates)
        empty = np.zeros((0, neighbours))
        graph = cls(
            space,
            torch.zeros(0, space.axes.shape[1]),
            empty.astype(np.int32),
            empty.astype(np.float32),
        )
        graph.extend(vectors, progress=progress, should_stop=should_stop)
        return graph

    def __len__(self) -> int:
        return len(self.indices)

    @property
    def neighbours(self) -> int:
        """K, the number of neighbours kept per image."""
        count: int = self.indices.shape[1]
        return count

    def outgrown(self) -> bool:
        """Tell whether so many images came since :meth:`build` that it should be repeated."""
        return len(self) > 2 * self.space.images

    def extend(
        self,
        vectors: Float[np.ndarray, "images channels"],
        *,
        progress: Callable[[int, int], None] | None = None,
        should_stop: ShouldStop | None = None,
    ) -> None:
        """Append images; those present get the new ones as neighbours where they are nearer.

        The graph is unchanged if the call is stopped.
        """
        before, added = len(self), len(vectors)
        if added == 0:
            return
        coordinates = torch.cat([self.coordinates, self.space.apply(vectors)])
        units = self._units(coordinates)
        indices = np.full((before + added, self.neighbours), -1, dtype=np.int32)
        similarities = np.zeros((before + added, self.neighbours), dtype=np.float32)
        rows = max(1, _BLOCK // len(units))
        for start in range(before, before + added, rows):
            check_stop(should_stop)
            part = slice(start, min(start + rows, before + added))
            found = _nearest(units[part], units, self.neighbours, first_row=start)
            indices[part], similarities[part] = found
            if progress is not None:
                progress(part.stop - before, added)
        self._insert(units, before, indices, similarities, should_stop)
        self.coordinates, self.indices, self.similarities = coordinates, indices, similarities

    def query(
        self, vectors: Float[np.ndarray, "queries channels"], neighbours: int | None = None
    ) -> tuple[Int32[np.ndarray, "queries neighbours"], Float32[np.ndarray, "queries neighbours"]]:
        """Return rows and cosines of the images nearest to others, which are not in the graph."""
        count = self.neighbours if neighbours is None else neighbours
        units, queries = self._units(self.coordinates), self._units(self.space.apply(vectors))
        rows = max(1, _BLOCK // max(1, len(units)))
        found = [_nearest(part, units, count) for part in torch.split(queries, rows)]
        if not found:
            empty = np.zeros((0, count))
            return empty.astype(np.int32), empty.astype(np.float32)
        return np.concatenate([f[0] for f in found]), np.concatenate([f[1] for f in found])

    def save(self, folder: Path) -> None:
        """Write the graph into ``folder``, beside the features; replaces an older one whole."""
        with replacing(folder / "neighbours.pt") as file:
            torch.save(
                {
                    "space": self.space.state_dict(),
                    "indices": torch.from_numpy(self.indices),
                    "similarities": torch.from_numpy(self.similarities),
                },
                file,
            )

    @classmethod
    def load(cls, folder: Path, vectors: Float[np.ndarray, "images channels"]) -> NeighbourGraph:
        """Read the graph of :meth:`save`; images beyond those saved are appended.

        Args:
            folder: where it was saved.
            vectors: the features of the saved images in the same order, and any newer ones.

        Raises:
            FileNotFoundError: if there is none.
            ValueError: if it belongs to other features; build it anew then.
        """
        state = torch.load(folder / "neighbours.pt", weights_only=True)
        space = FeatureSpace.from_state_dict(state["space"])
        indices, similarities = state["indices"].numpy(), state["similarities"].numpy()
        saved = len(indices)
        if len(vectors) < saved:
            raise ValueError(
                f"the saved neighbours are of {saved} images, got features of {len(vectors)} "
                "(build them anew)"
            )
        graph = cls(space, space.apply(vectors[:saved]), indices, similarities)
        graph.extend(vectors[saved:])
        return graph

    def _units(self, coordinates: Tensor) -> Tensor:
        damping = self.space.spread.clamp(min=1e-6).rsqrt()
        return functional.normalize(coordinates * damping, dim=1)

    def _insert(
        self,
        units: Tensor,
        before: int,
        indices: NDArray[np.int32],
        similarities: NDArray[np.float32],
        should_stop: ShouldStop | None,
    ) -> None:
        """Fill the rows of the images present before: old neighbours, or new ones where nearer."""
        indices[:before], similarities[:before] = self.indices, self.similarities
        rows = max(1, _BLOCK // len(units))
        fresh = units[before:]
        for start in range(0, before, rows):
            check_stop(should_stop)
            part = slice(start, min(start + rows, before))
            new_indices, new_similarities = _nearest(units[part], fresh, self.neighbours)
            new_indices = np.where(new_indices >= 0, new_indices + before, -1)
            both = np.concatenate([indices[part], new_indices], axis=1)
            cosine = np.concatenate([similarities[part], new_similarities], axis=1)
            order = np.argsort(np.where(both >= 0, -cosine, 9.0), axis=1, kind="stable")
            order = order[:, : self.neighbours]
            indices[part] = np.take_along_axis(both, order, axis=1)
            similarities[part] = np.take_along_axis(cosine, order, axis=1)


def _nearest(
    queries: Tensor, units: Tensor, count: int, first_row: int | None = None
) -> tuple[NDArray[np.int32], NDArray[np.float32]]:
    """Return the ``count`` nearest of ``units``; query i is not compared to row first_row + i."""
    cosine = queries @ units.T
    available = len(units)
    if first_row is not None:
        own = torch.arange(len(queries))
        cosine[own, first_row + own] = -2.0
        available -= 1
    found = min(count, available)
    indices = np.full((len(queries), count), -1, dtype=np.int32)
    similarities = np.zeros((len(queries), count), dtype=np.float32)
    if found > 0:
        top = cosine.topk(found, dim=1)
        indices[:, :found], similarities[:, :found] = top.indices.numpy(), top.values.numpy()
    return indices, similarities


class LearnedMetric:
    """What the labels say of which images are alike: the cosine of their standardised logits.

    Two images of the same category may look quite different. The cosine is added to the similarity
    of those neighbours that the graph keeps, so that among them the telling ones vote.

    Args:
        logits: of the base for the images that vote, only of categories that have a model.
        strength: factor of the cosine; 0 leaves the neighbours as they are.
    """

    def __init__(
        self, logits: Float32[np.ndarray, "images categories"], strength: float = 0.3
    ) -> None:
        self.strength = strength if logits.shape[1] else 0.0
        values = torch.from_numpy(logits)
        self._mean = values.mean(dim=0)
        # A category whose logits are all alike says nothing; dividing by its 0 would.
        deviation = (values - self._mean).square().mean(dim=0).sqrt()
        self._scale = torch.where(deviation > 1e-4, 1.0 / deviation.clamp(min=1e-4), 0.0)
        self._voters = self._units(values)

    def nearest(
        self,
        logits: Float32[np.ndarray, "queries categories"],
        indices: Int32[np.ndarray, "queries neighbours"],
        similarities: Float32[np.ndarray, "queries neighbours"],
        count: int,
    ) -> tuple[Int32[np.ndarray, "queries chosen"], Float32[np.ndarray, "queries chosen"]]:
        """Return the ``count`` nearest of the neighbours, nearest first.

        Args:
            logits: of the queries, from the same fit as those of the voters.
            indices: rows of the neighbours among the voters, -1 = none.
            similarities: their cosines.
            count: how many to keep.

        Returns:
            Rows, -1 where there is none, and what their similarity is now.
        """
        if not self.strength:
            return indices[:, :count], similarities[:, :count]
        queries = self._units(torch.from_numpy(logits))
        found_rows, found_values = [], []
        step = max(1, _CACHED // max(1, indices.shape[1] * queries.shape[1]))
        for start in range(0, len(indices), step):
            part = slice(start, start + step)
            rows = torch.from_numpy(indices[part])
            there = rows >= 0
            near = self._voters.index_select(0, rows.clamp(min=0).flatten())
            near = near.view(*rows.shape, -1)
            cosine = torch.bmm(near, queries[part, :, None])[..., 0]
            value = torch.from_numpy(similarities[part]) + self.strength * cosine
            value = torch.where(there, value, -9.0)
            best = value.topk(min(count, value.shape[1]), dim=1)
            found_rows.append(rows.gather(1, best.indices))
            found_values.append(torch.where(best.values > -9.0, best.values, 0.0))
        if not found_rows:
            return indices[:, :count], similarities[:, :count]
        return torch.cat(found_rows).numpy(), torch.cat(found_values).numpy()

    def _units(self, logits: Tensor) -> Tensor:
        return functional.normalize((logits - self._mean) * self._scale, dim=1, eps=1e-6)


class NeighbourTransfer:
    """Similarity-weighted vote of the nearest images on every category (reference §11).

    A neighbour votes with what is known of it, else with the base's probability.

    Args:
        indices: rows of the neighbours, -1 = none.
        similarities: their cosines.
        images: number of images that vote.
        count: k, how many of the neighbours vote.
        temperature: a neighbour this much less similar than the nearest weighs 1/e of it.
    """

    def __init__(
        self,
        indices: Int32[np.ndarray, "queries neighbours"],
        similarities: Float32[np.ndarray, "queries neighbours"],
        images: int,
        *,
        count: int = 40,
        temperature: float = 0.1,
    ) -> None:
        indices, similarities = indices[:, :count], similarities[:, :count]
        there = indices >= 0
        weight = np.exp((similarities - similarities[:, :1]) / temperature) * there
        weight /= np.maximum(weight.sum(axis=1, keepdims=True), 1e-12)
        starts = np.append(0, np.cumsum(there.sum(axis=1)))
        self._matrix = sparse.csr_array(
            (weight[there].astype(np.float32), indices[there], starts),
            shape=(len(indices), images),
        )
        self._alone = ~there.any(axis=1)

    def vote(
        self,
        probabilities: Float32[np.ndarray, "images categories"],
        labels: Int8[np.ndarray, "images categories"],
        prior_logit: Float32[np.ndarray, " categories"],
    ) -> Float32[np.ndarray, "queries categories"]:
        """Return how much the vote differs from the category's prior, in log odds.

        Args:
            probabilities: of the base, for cells that are not known.
            labels: what is known, -1, 0 or 1.
            prior_logit: log odds of each category.

        Returns:
            0 where an image has no neighbour; finite always, since the prior votes with weight .02.
        """
        votes = np.where(labels == 0, probabilities, labels == 1).astype(np.float32)
        share: NDArray[np.float32] = self._matrix @ votes
        prior = 1 / (1 + np.exp(-prior_logit))
        smoothed = (share + 0.02 * prior) / 1.02
        value = np.log(smoothed / (1 - smoothed)) - prior_logit
        value[self._alone] = 0.0
        result: NDArray[np.float32] = value.astype(np.float32)
        return result
