"""HST: the network, assembled from its parts (reference §2 to §5).

Feature map -> projection -> one feature per category (SARL) -> graph -> per-category classifier.
The same category features feed the pair head (IST) and the prototypes (CST). Nothing is computed
here that is not named here; every part has a module and tests of its own.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any, NamedTuple

import torch
from jaxtyping import Float, Int, Num
from torch import Tensor, nn
from torch.nn import functional

from hst_core.blending import FeatureBlending
from hst_core.config import ModelConfig, TrainConfig, read_section, section_to_dict
from hst_core.cst import CrossImageTransfer, InstanceTransfer
from hst_core.graph import GatedGraph, cooccurrence_adjacency
from hst_core.ist import IntraImageTransfer, PairHead, StatisticsTransfer
from hst_core.semantic import SemanticAttention, SemanticDecoupling, SemanticModulation
from hst_core.thresholds import LearnableThreshold

Features = Float[Tensor, "batch channels rows columns"] | Float[Tensor, "batch channels"]


class HSTOutput(NamedTuple):
    """What the network says of a batch of images.

    Attributes:
        logits: classifier output z; probability = sigmoid.
        category_features: f, one feature per category, what IST and CST work on.
        base_logits: of the skip connection, a part of ``logits``, if there is one.
        attention: on request, where each category looked; ``[batch, categories, rows, columns]``
            for maps, one column for pooled vectors. Sums to 1 over the locations for SD.
        pair_logits: on request, of all pairs in row-major upper-triangle order.
    """

    logits: Float[Tensor, "batch categories"]
    category_features: Float[Tensor, "batch categories channels"]
    base_logits: Float[Tensor, "batch categories"] | None
    attention: Float[Tensor, "batch categories rows columns"] | None
    pair_logits: Float[Tensor, "batch pairs"] | None


class Projection(nn.Module):
    """1x1 convolution and normalisation from the backbone's channels to D.

    Args:
        feature_channels: D0.
        channels: D; 0 leaves the features as they are, apart from the normalisation.
        normalisation: ``layer`` (per location), ``batch`` or ``none``.
    """

    def __init__(self, feature_channels: int, channels: int, normalisation: str) -> None:
        super().__init__()
        self.channels = channels or feature_channels
        self.linear = nn.Linear(feature_channels, channels) if channels else nn.Identity()
        self.layer_norm = nn.LayerNorm(self.channels) if normalisation == "layer" else None
        self.batch_norm = nn.BatchNorm1d(self.channels) if normalisation == "batch" else None

    def forward(
        self, features: Float[Tensor, "batch inputs locations"]
    ) -> Float[Tensor, "batch channels locations"]:
        """Project every location."""
        places = self.linear(features.transpose(1, 2))
        if self.layer_norm is not None:
            places = self.layer_norm(places)
        projected: Tensor = places.transpose(1, 2)
        if self.batch_norm is not None:
            projected = self.batch_norm(projected)
        return projected


class CategoryClassifier(nn.Module):
    """``z_c = w_c . tanh(FC [h_c ; f_c]) + b_c``: shared layer, one classifier per category.

    Args:
        categories: number of categories.
        channels: D.
        hidden: units of the shared layer.
    """

    def __init__(self, categories: int, channels: int, hidden: int) -> None:
        super().__init__()
        self.shared = nn.Linear(2 * channels, hidden)
        self.weight = nn.Parameter(self._draw(categories))
        self.bias = nn.Parameter(torch.zeros(categories))

    def forward(
        self,
        states: Float[Tensor, "batch categories channels"],
        category_features: Float[Tensor, "batch categories channels"],
    ) -> Float[Tensor, "batch categories"]:
        """Return the logits."""
        if states is category_features:
            # Without a graph both halves see the same: one product with the sum of their weights.
            first, second = self.shared.weight.chunk(2, dim=1)
            hidden = functional.linear(category_features, first + second, self.shared.bias)
        else:
            hidden = self.shared(torch.cat([states, category_features], dim=2))
        hidden = torch.tanh(hidden)
        logits: Tensor = torch.linalg.vecdot(hidden, self.weight.to(hidden.dtype)) + self.bias
        return logits

    def grow(self, added: int) -> None:
        """Append classifiers for ``added`` categories; the old ones stay."""
        fresh = self._draw(added).to(self.weight)
        self.weight = nn.Parameter(torch.cat([self.weight.detach(), fresh]))
        self.bias = nn.Parameter(functional.pad(self.bias.detach(), (0, added)))

    def _draw(self, categories: int) -> Tensor:
        bound = self.shared.out_features**-0.5
        return torch.empty(categories, self.shared.out_features).uniform_(-bound, bound)


class HST(nn.Module):
    """The network of heterogeneous semantic transfer.

    Args:
        config: what it is made of.
        categories: number of categories.
        feature_channels: D0 of the backbone's features.
        word_vectors: one semantic vector per category, constant; None lets the network learn
            them, as ``config.word_vectors = "learned"`` asks.
        backbone: images -> feature map, if the network is to see images; a part of the network
            then, with its parameters and their ``requires_grad``.
        seed: of the initial weights; the global generator is neither read nor moved.
    """

    adjacency: Tensor

    def __init__(
        self,
        config: ModelConfig,
        categories: int,
        feature_channels: int,
        *,
        word_vectors: Float[Tensor, "categories word_dimension"] | None = None,
        backbone: nn.Module | None = None,
        seed: int = 0,
    ) -> None:
        super().__init__()
        if word_vectors is None and config.word_vectors != "learned":
            raise ValueError(
                f"model.word_vectors is {config.word_vectors!r}, so the vectors must be given "
                "(look them up with hst_core.word_vectors.word_vectors)"
            )
        self.categories = categories
        self.feature_channels = feature_channels
        self.backbone = backbone
        self.register_buffer("adjacency", torch.eye(categories))
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            self._build(config, word_vectors)
        # "auto" is decided once: growing must not change the kind of head.
        if isinstance(self.ist, IntraImageTransfer):
            head: PairHead = "per_pair" if self.ist.per_pair else "shared"
            config = dataclasses.replace(config, pair_head=head)
        self.config = config

    def _build(self, config: ModelConfig, word_vectors: Tensor | None) -> None:
        self.projection = Projection(self.feature_channels, config.channels, config.normalisation)
        channels = self.projection.channels
        if word_vectors is None:
            drawn = torch.randn(self.categories, config.word_dimension)
            self.word_vectors: Tensor = nn.Parameter(functional.normalize(drawn, dim=1))
        else:
            self.register_buffer("word_vectors", word_vectors.detach().clone())
        self.representation = _representation(
            config, self.categories, channels, self.word_vectors.shape[1]
        )
        self.graph = GatedGraph(channels, config.graph_steps) if config.graph_steps else None
        hidden = config.classifier_hidden or channels
        self.classifier = CategoryClassifier(self.categories, channels, hidden)
        self.base = nn.Linear(self.feature_channels, self.categories) if config.skip else None
        if self.base is not None:
            nn.init.zeros_(self.base.weight)
            nn.init.zeros_(self.base.bias)
            self.base.requires_grad_(False)
        self.ist = _intra_image_transfer(config, self.categories, channels)
        self.cst = _cross_image_transfer(config, self.categories, channels)
        self.ist_threshold = self._threshold(config)
        self.cst_threshold = self._threshold(config)
        self.blending = FeatureBlending(self.categories) if config.blending != "none" else None

    def _threshold(self, config: ModelConfig) -> LearnableThreshold:
        return LearnableThreshold(
            self.categories if config.thresholds == "per_category" else None,
            initial=0.5 if config.fixed_threshold is None else config.fixed_threshold,
            temperature=config.threshold_temperature,
            fixed=config.fixed_threshold is not None,
        )

    def forward(
        self,
        features: Features | None = None,
        *,
        images: Num[Tensor, "batch planes height width"] | None = None,
        base_logits: Float[Tensor, "batch categories"] | None = None,
        with_attention: bool = False,
        with_pairs: bool = False,
    ) -> HSTOutput:
        """Score a batch of images.

        Args:
            features: feature maps or pooled vectors of the backbone.
            images: what the network's backbone reads instead: pixels, or for a last stage the
                activations before it.
            base_logits: logits of the base for these images, where they come from elsewhere:
                in training, from a fit that had not seen the labels (reference §11). None uses
                the network's own base, if it has one.
            with_attention: return the attention maps too.
            with_pairs: return the logits of all pairs too.

        Raises:
            ValueError: unless exactly one of ``features`` and ``images`` is given.
        """
        features = self._features(features, images)
        flat = features.flatten(2) if features.ndim == 4 else features[..., None]
        category_features, attention = self.representation(self.projection(flat), self.word_vectors)
        if base_logits is None and self.base is not None:
            base_logits = self.base(flat.mean(dim=2))
        shape = features.shape[2:] if features.ndim == 4 else (1, 1)
        return HSTOutput(
            logits=self.classify(category_features, base_logits),
            category_features=category_features,
            base_logits=base_logits,
            attention=attention.unflatten(2, shape) if with_attention else None,
            pair_logits=self.pair_logits(category_features) if with_pairs else None,
        )

    def classify(
        self,
        category_features: Float[Tensor, "batch categories channels"],
        base_logits: Float[Tensor, "batch categories"] | None = None,
    ) -> Float[Tensor, "batch categories"]:
        """Return logits from category features: graph, classifier, and the base added."""
        states = category_features
        if self.graph is not None:
            states = self.graph(category_features, self.adjacency)
        logits: Tensor = self.classifier(states, category_features)
        return logits if base_logits is None else logits + base_logits

    def pair_logits(
        self, category_features: Float[Tensor, "batch categories channels"]
    ) -> Float[Tensor, "batch pairs"]:
        """Return the logits of all pairs.

        Raises:
            ValueError: if the network has no pair head.
        """
        if not isinstance(self.ist, IntraImageTransfer):
            raise ValueError(f"model.ist is {self.config.ist!r}: there is no pair head to ask")
        logits: Tensor = self.ist(category_features)
        return logits

    @torch.no_grad()
    def use_statistics(
        self, labels: Int[Tensor, "images categories"], smoothing: float = 0.0
    ) -> None:
        """Take the co-occurrence of the training labels into the graph and the IST ablation."""
        self.adjacency = cooccurrence_adjacency(labels, smoothing).to(self.adjacency)
        if isinstance(self.ist, StatisticsTransfer):
            self.ist.conditional = self.adjacency.clone().fill_diagonal_(0.0)

    @torch.no_grad()
    def start_from_base(
        self,
        weight: Float[Tensor, "categories inputs"],
        bias: Float[Tensor, " categories"],
        *,
        trainable: bool = False,
    ) -> None:
        """Begin as the base: its linear classifier in the skip connection, the rest silent.

        The per-category classifiers are set to 0, so that the logits are the base's until
        training finds something to add.

        Raises:
            ValueError: if the network was built without ``model.skip``.
        """
        if self.base is None:
            raise ValueError("the network has no skip connection (set model.skip = true)")
        self.base.weight.copy_(weight)
        self.base.bias.copy_(bias)
        self.base.requires_grad_(trainable)
        nn.init.zeros_(self.classifier.weight)
        nn.init.zeros_(self.classifier.bias)

    def grow(
        self,
        added: int,
        *,
        word_vectors: Float[Tensor, "added word_dimension"] | None = None,
        seed: int = 0,
    ) -> None:
        """Append ``added`` categories; the old ones keep their scores.

        New categories are not linked to old ones in the graph until :meth:`use_statistics`.
        Parameters are replaced by larger ones: build the optimiser anew.

        Args:
            added: how many.
            word_vectors: their semantic vectors; needed unless those are learned.
            seed: of their initial weights.
        """
        learned = isinstance(self.word_vectors, nn.Parameter)
        if word_vectors is None and not learned:
            raise ValueError(f"word_vectors of the {added} new categories must be given")
        self.categories += added
        with torch.random.fork_rng(devices=[]), torch.no_grad():
            torch.manual_seed(seed)
            if word_vectors is None:
                drawn = torch.randn(added, self.word_vectors.shape[1])
                word_vectors = functional.normalize(drawn, dim=1)
            words = torch.cat([self.word_vectors.detach(), word_vectors.to(self.word_vectors)])
            self.word_vectors = nn.Parameter(words) if learned else words
            self.adjacency = functional.pad(self.adjacency, (0, added, 0, added))
            self.adjacency.fill_diagonal_(1.0)
            self._grow_parts(added)

    def _grow_parts(self, added: int) -> None:
        if isinstance(self.representation, SemanticAttention):
            self.representation.grow(added)
        self.classifier.grow(added)
        if self.base is not None:
            trainable = self.base.weight.requires_grad
            grown = nn.Linear(self.feature_channels, self.categories).to(self.base.weight)
            grown.weight.copy_(functional.pad(self.base.weight, (0, 0, 0, added)))
            grown.bias.copy_(functional.pad(self.base.bias, (0, added)))
            self.base = grown.requires_grad_(trainable)
        for part in (self.ist, self.cst, self.ist_threshold, self.cst_threshold, self.blending):
            if part is not None:
                part.grow(added)

    def compile_parts(self, backend: str) -> None:
        """Compile what computes on shapes that only the batch changes.

        Pairs and prototypes work on lists whose length differs at every step; compiling those would
        compile for ever.

        Args:
            backend: of ``torch.compile``.
        """
        for part in (self.projection, self.representation, self.graph, self.classifier):
            if part is not None:
                part.compile(backend=backend, dynamic=True)

    def parameter_groups(self, train: TrainConfig) -> list[dict[str, Any]]:
        """Return the optimiser's groups: network, backbone, and thresholds on their own terms."""
        thresholds = [self.ist_threshold, self.cst_threshold]
        backbone = [] if self.backbone is None else list(self.backbone.parameters())
        apart = {id(p) for p in [*backbone, *(threshold.theta for threshold in thresholds)]}
        rest = [p for p in self.parameters() if p.requires_grad and id(p) not in apart]
        groups: list[dict[str, Any]] = [
            {"params": rest, "lr": train.learning_rate, "weight_decay": train.weight_decay}
        ]
        tuned = [p for p in backbone if p.requires_grad]
        if tuned:
            rate = train.backbone_factor * train.learning_rate
            groups.append({"params": tuned, "lr": rate, "weight_decay": train.weight_decay})
        groups += [
            threshold.optimiser_group(train.threshold_learning_rate)
            for threshold in thresholds
            if not threshold.fixed
        ]
        return groups

    def to_state(self) -> dict[str, Any]:
        """Return everything that :meth:`from_state` needs: sizes, config, weights and buffers.

        The backbone's weights are included if it is a part of the network.
        """
        return {
            "config": section_to_dict(self.config),
            "categories": self.categories,
            "feature_channels": self.feature_channels,
            "weights": {name: value.cpu() for name, value in self.state_dict().items()},
        }

    @classmethod
    def from_state(cls, state: Mapping[str, Any], backbone: nn.Module | None = None) -> HST:
        """Build the network that :meth:`to_state` described."""
        config = read_section(ModelConfig, state["config"], "model")
        weights: Mapping[str, Tensor] = state["weights"]
        model = cls(
            config,
            state["categories"],
            state["feature_channels"],
            word_vectors=None if config.word_vectors == "learned" else weights["word_vectors"],
            backbone=backbone,
        )
        model.load_state_dict(weights)
        return model

    def _features(self, features: Tensor | None, images: Tensor | None) -> Tensor:
        if (features is None) == (images is None):
            raise ValueError("give either features or images")
        if features is not None:
            return features
        if self.backbone is None:
            raise ValueError("images need a network with a backbone (HST(..., backbone=...))")
        found: Tensor = self.backbone(images)
        return found


def _representation(
    config: ModelConfig, categories: int, channels: int, word_dimension: int
) -> SemanticDecoupling | SemanticAttention | SemanticModulation:
    if config.representation == "attention":
        return SemanticAttention(categories, channels, config.attention_weights)
    if config.representation == "modulation":
        return SemanticModulation(channels, word_dimension, config.attention_hidden)
    return SemanticDecoupling(channels, word_dimension, config.attention_hidden)


def _intra_image_transfer(
    config: ModelConfig, categories: int, channels: int
) -> IntraImageTransfer | StatisticsTransfer | None:
    if config.ist == "none":
        return None
    if config.ist == "statistics":
        return StatisticsTransfer(torch.eye(categories), config.pair_reduction)
    return IntraImageTransfer(
        categories,
        channels,
        projection=config.pair_projection,
        hidden=config.pair_hidden,
        head=config.pair_head,
        reduction=config.pair_reduction,
    )


def _cross_image_transfer(
    config: ModelConfig, categories: int, channels: int
) -> CrossImageTransfer | InstanceTransfer | None:
    if config.cst == "none":
        return None
    if config.cst == "instances":
        return InstanceTransfer()
    return CrossImageTransfer(categories, channels, config.prototypes, config.prototype_similarity)
