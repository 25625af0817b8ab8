"""The whole objective of one step (HST Eq. 16-18, reference §6)."""

from __future__ import annotations

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from hst_core.blending import Blended
from hst_core.config import LossConfig
from hst_core.cst import CrossImageTransfer, InstanceTransfer
from hst_core.ist import IntraImageTransfer
from hst_core.losses import hide_known, partial_bce, soft_bce, with_pseudo_labels
from hst_core.model import HST
from hst_core.thresholds import LearnableThreshold
from hst_core.transfer import TransferScores


class Objective(nn.Module):
    """The network with its losses as one module, so that one call serves one or many devices.

    Args:
        model: the network.
        config: weights of the terms.
    """

    def __init__(self, model: HST, config: LossConfig) -> None:
        super().__init__()
        self.model = model
        self.config = config

    def forward(
        self,
        inputs: dict[str, Tensor],
        labels: Int[Tensor, "batch categories"],
        generator: torch.Generator,
        base_logits: Float[Tensor, "batch categories"] | None = None,
        use_pseudo_labels: bool = True,
    ) -> dict[str, Tensor]:
        """Return the terms of the objective, unweighted, and ``total``, their weighted sum.

        Args:
            inputs: ``features`` or ``images``.
            labels: known labels of the batch.
            generator: on the CPU; hides labels, draws pairs and blends.
            base_logits: see :meth:`~hst_core.model.HST.forward`.
            use_pseudo_labels: False during the warm-up.
        """
        weights = self.config
        output = self.model(**inputs, base_logits=base_logits)
        features, logits = output.category_features, output.logits
        evidence, held_out = hide_known(labels, weights.held_out, generator)
        terms = {"bce": partial_bce(logits, labels)}
        if self.model.ist is not None:
            found = self.model.ist.transfer(features.detach(), evidence)
            threshold = self.model.ist_threshold
            terms["bce_ist"] = self._complete(logits, labels, found, threshold, use_pseudo_labels)
            terms["ist"] = self._pair_loss(features, evidence, generator)
            terms["dtl_ist"] = threshold.loss(found, held_out)
        if self.model.cst is not None:
            found, audited = self._across_images(
                self.model.cst, features.detach(), evidence, held_out
            )
            threshold = self.model.cst_threshold
            terms["bce_cst"] = self._complete(logits, labels, found, threshold, use_pseudo_labels)
            terms["cst"] = self.model.cst.loss(features, evidence)
            terms["dtl_cst"] = threshold.loss(audited, held_out)
        if self.model.blending is not None and use_pseudo_labels:
            terms["blending"] = self._blending_loss(features, evidence, generator, base_logits)
        terms["total"] = self._weigh(terms)
        return terms

    def _weigh(self, terms: dict[str, Tensor]) -> Tensor:
        weights = self.config
        factors = {"dtl_ist": weights.dtl, "dtl_cst": weights.dtl}
        weighted = [
            factors.get(name, getattr(weights, name, 0.0)) * term for name, term in terms.items()
        ]
        return torch.stack(weighted).sum()

    @staticmethod
    def _complete(
        logits: Tensor,
        labels: Tensor,
        found: TransferScores,
        threshold: LearnableThreshold,
        use_pseudo_labels: bool,
    ) -> Tensor:
        """Return the classifier's loss on known labels and, after the warm-up, pseudo labels."""
        if use_pseudo_labels:
            labels = with_pseudo_labels(labels, threshold.decide(found, labels))
        return partial_bce(logits, labels)

    def _pair_loss(self, features: Tensor, evidence: Tensor, generator: torch.Generator) -> Tensor:
        weights, ist = self.config, self.model.ist
        if not isinstance(ist, IntraImageTransfer):
            return features.new_zeros(())
        return ist.loss(
            features,
            evidence,
            gamma_positive=weights.gamma_positive,
            gamma_negative=weights.gamma_negative,
            margin=weights.margin,
            limit=weights.pair_limit,
            generator=generator,
        )

    def _across_images(
        self,
        cst: CrossImageTransfer | InstanceTransfer,
        features: Tensor,
        evidence: Tensor,
        held_out: Tensor,
    ) -> tuple[TransferScores, TransferScores]:
        """Return CST scores for pseudo labels and, without the cells themselves, for thresholds."""
        if isinstance(cst, CrossImageTransfer):
            audited = cst.transfer(features, held_out, leave_one_out=True)
            return cst.transfer(features, evidence), audited
        found = cst.transfer(features, evidence)
        return found, found

    def _blending_loss(
        self,
        features: Tensor,
        evidence: Tensor,
        generator: torch.Generator,
        base_logits: Tensor | None,
    ) -> Tensor:
        model, blending = self.model, self.model.blending
        level = model.config.blending
        mixed: list[Blended] = []
        if blending is not None and level in ("instance", "both"):
            mixed.append(blending.instances(features, evidence, generator))
        if (
            blending is not None
            and level in ("prototype", "both")
            and isinstance(model.cst, CrossImageTransfer)
        ):
            mixed.append(blending.prototypes(features, evidence, model.cst.prototypes, generator))
        losses = [
            soft_bce(
                model.classify(blend.category_features, base_logits), blend.targets, blend.counted
            )
            for blend in mixed
        ]
        return torch.stack(losses).mean()
