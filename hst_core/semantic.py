"""SARL, semantic-aware representation learning: one feature per category (HST Eq. 1, reference §2).

Three modules behind one interface, ``module(features, word_vectors) -> (category_features,
attention)``. The attention maps say where each category looked; the tool shows them.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Literal

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.autograd.function import once_differentiable
from torch.nn import functional

from hst_core.transfer import at_least_float32

#: How the maps of :class:`SemanticAttention` become weights.
AttentionWeights = Literal["sigmoid", "softmax"]


def pool_by_attention(
    features: Float[Tensor, "batch channels locations"],
    attention: Float[Tensor, "batch categories locations"],
) -> Float[Tensor, "batch categories channels"]:
    """Average the feature map once per category (HST Eq. 1), without a map per category."""
    return torch.einsum("bcl,bdl->bcd", attention.to(features.dtype), features)


class _BilinearScores(torch.autograd.Function):
    """``w . tanh(P_bl * Q_c)`` for every image, category and location, image by image.

    Automatic differentiation would keep [batch, categories, locations, channels] several times;
    here a block is computed, reduced and dropped, and computed again for the gradient.
    """

    @staticmethod
    def forward(
        ctx: Any,
        places: Tensor,  # [batch, locations, channels]
        words: Tensor,  # [categories, channels]
        weight: Tensor,  # [channels]
    ) -> Tensor:
        ctx.save_for_backward(places, words, weight)
        scores = places.new_empty(len(places), len(words), places.shape[1])
        room = _room(places, words)
        for image, some in _blocks(places, words):
            scores[image, some] = _hidden(room[0], places[image], words[some]) @ weight
        return scores

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        places, words, weight = ctx.saved_tensors
        to_places, to_words = torch.zeros_like(places), torch.zeros_like(words)
        to_weight = torch.zeros_like(weight)
        room = _room(places, words)
        for image, some in _blocks(places, words):
            outer = gradient[image, some]
            hidden = _hidden(room[0], places[image], words[some])
            to_weight += outer.flatten() @ hidden.flatten(0, -2)
            # d tanh = 1 - tanh^2, times the two outer factors, in place of `hidden`.
            inner = hidden.square_().neg_().add_(1.0).mul_(weight).mul_(outer[..., None])
            product = room[1, : inner.numel()].view(inner.shape)
            torch.mul(inner, words[some, None], out=product)
            to_places[image] += product.sum(dim=1)
            torch.mul(inner, places[image, None], out=product)
            to_words[some] += product.sum(dim=(0, 2))
        return to_places, to_words, to_weight


def _hidden(room: Tensor, places: Tensor, words: Tensor) -> Tensor:
    """Compute ``tanh(P_bl * Q_c)`` of one block [images, categories, locations, channels]."""
    images, locations, channels = places.shape
    shape = (images, len(words), locations, channels)
    block = room[: images * len(words) * locations * channels].view(shape)
    return torch.mul(places[:, None], words[:, None], out=block).tanh_()


def _room(places: Tensor, words: Tensor) -> Tensor:
    """Reserve two blocks that all parts share."""
    images, some = _block_shape(places, words)
    return places.new_empty(2, images * some * places.shape[1] * places.shape[2])


def _block_shape(places: Tensor, words: Tensor) -> tuple[int, int]:
    """Give images and categories of a block that fits a CPU's cache, or fills a GPU."""
    elements = 2**18 if places.device.type == "cpu" else 2**26
    row = max(1, places.shape[1] * places.shape[2])
    some = max(1, min(len(words), elements // row))
    return max(1, min(len(places), elements // (row * some))), some


def _blocks(places: Tensor, words: Tensor) -> Iterator[tuple[slice, slice]]:
    """Cut batch and categories into blocks."""
    images, some = _block_shape(places, words)
    for start in range(0, len(places), images):
        for first in range(0, len(words), some):
            yield slice(start, start + images), slice(first, first + some)


class SemanticDecoupling(nn.Module):
    """SD: a low-rank bilinear match of every location with every category's word vector.

    ``a[b,c,l] = softmax_l( w . tanh( (U F[b,:,l]) * (V x_c) ) )``, then the average of the map
    under these weights. A constant map gives the same feature for every category.

    Args:
        channels: D, of the feature map.
        word_dimension: size of a semantic vector.
        hidden: d, the rank of the match (paper 512 to 1024).
    """

    def __init__(self, channels: int, word_dimension: int, hidden: int = 512) -> None:
        super().__init__()
        self.from_features = nn.Linear(channels, hidden, bias=False)
        self.from_words = nn.Linear(word_dimension, hidden, bias=False)
        self.weight = nn.Parameter(torch.empty(hidden).uniform_(-(hidden**-0.5), hidden**-0.5))

    def forward(
        self,
        features: Float[Tensor, "batch channels locations"],
        word_vectors: Float[Tensor, "categories word_dimension"],
    ) -> tuple[
        Float[Tensor, "batch categories channels"], Float[Tensor, "batch categories locations"]
    ]:
        """Return the category features and the attention, which sums to 1 over the locations."""
        places = at_least_float32(self.from_features(features.transpose(1, 2)))
        words = at_least_float32(self.from_words(word_vectors))
        scores = _BilinearScores.apply(places, words, self.weight.to(places.dtype))
        attention = torch.softmax(scores, dim=2)
        return pool_by_attention(features, attention), attention


class SemanticAttention(nn.Module):
    """SA, the paper's second SARL: class activation maps choose the locations.

    A 1x1 convolution classifies every location; its maps weigh a transformed feature map. The
    convolution grows with the categories, and the word vectors are not used.

    Args:
        categories: number of categories.
        channels: D, of the feature map.
        weights: ``sigmoid`` lets a category look at several places with full weight, ``softmax``
            spreads one unit of attention.
    """

    def __init__(
        self, categories: int, channels: int, weights: AttentionWeights = "sigmoid"
    ) -> None:
        super().__init__()
        self.weights: AttentionWeights = weights
        self.classify = nn.Linear(channels, categories)
        self.transform = nn.Linear(channels, channels)

    def forward(
        self,
        features: Float[Tensor, "batch channels locations"],
        word_vectors: Float[Tensor, "categories word_dimension"],
    ) -> tuple[
        Float[Tensor, "batch categories channels"], Float[Tensor, "batch categories locations"]
    ]:
        """Return the category features and the attention.

        Sigmoid weights are divided by the number of locations, so that features do not grow with
        the size of the picture.
        """
        places = features.transpose(1, 2)
        maps = at_least_float32(self.classify(places)).transpose(1, 2)
        if self.weights == "softmax":
            attention = torch.softmax(maps, dim=2)
        else:
            attention = torch.sigmoid(maps) / maps.shape[2]
        transformed = self.transform(places).transpose(1, 2)
        return pool_by_attention(transformed, attention), attention

    def grow(self, added: int, generator: torch.Generator | None = None) -> None:
        """Append ``added`` categories; the maps of the old ones stay."""
        self.classify = grow_linear(self.classify, added, generator)


class SemanticModulation(nn.Module):
    """SD without locations, for pooled vectors: each category scales the channels its own way.

    On one location the attention is 1 and SD gives every category the same feature. The bilinear
    match itself is kept instead: ``f_c = F * (1 + W tanh( (U F) * (V x_c) ))``, which starts as
    the plain feature since W starts at 0. Maps are averaged over their locations first.

    Args:
        channels: D, of the feature.
        word_dimension: size of a semantic vector.
        hidden: d, the rank of the match.
    """

    def __init__(self, channels: int, word_dimension: int, hidden: int = 512) -> None:
        super().__init__()
        self.from_features = nn.Linear(channels, hidden, bias=False)
        self.from_words = nn.Linear(word_dimension, hidden, bias=False)
        self.scale = nn.Linear(hidden, channels)
        nn.init.zeros_(self.scale.weight)
        nn.init.zeros_(self.scale.bias)

    def forward(
        self,
        features: Float[Tensor, "batch channels locations"],
        word_vectors: Float[Tensor, "categories word_dimension"],
    ) -> tuple[
        Float[Tensor, "batch categories channels"], Float[Tensor, "batch categories locations"]
    ]:
        """Return the category features and an even attention."""
        pooled = features.mean(dim=2)
        match = self.from_features(pooled)[:, None] * self.from_words(word_vectors)
        scaled = pooled[:, None] * (1.0 + self.scale(torch.tanh(match)))
        batch, categories, locations = len(features), len(word_vectors), features.shape[2]
        even = features.new_full((), 1.0 / max(1, locations))
        return scaled, even.expand(batch, categories, locations)


def grow_linear(
    layer: nn.Linear, added: int, generator: torch.Generator | None = None
) -> nn.Linear:
    """Return a layer with ``added`` more outputs; the old ones compute what they did."""
    grown = nn.Linear(
        layer.in_features, layer.out_features + added, bias=layer.bias is not None
    ).to(layer.weight)
    bound = layer.in_features**-0.5
    fresh = torch.empty(added, layer.in_features).uniform_(-bound, bound, generator=generator)
    with torch.no_grad():
        grown.weight.copy_(torch.cat([layer.weight, fresh.to(layer.weight)]))
        if layer.bias is not None:
            grown.bias.copy_(functional.pad(layer.bias, (0, added)))
    return grown
