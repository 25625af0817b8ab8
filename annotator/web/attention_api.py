"""Where the model looks: one route of /api/v1."""

from __future__ import annotations

from typing import Literal

from fastapi import APIRouter, Response
from pydantic import BaseModel, Field

from annotator.attention_maps import AttentionMap
from annotator.service import AnnotationService
from annotator.web.api import PREFIX


class AttentionOut(BaseModel):
    """A grid over the whole upright picture."""

    rows: int
    columns: int
    values: list[float] = Field(
        description="0-1, row by row from the top left; 1 is the place that speaks most for the "
        "category, all 0 if none does."
    )
    model_version: int
    kind: Literal["activation", "attention"] = Field(
        description="`activation`: what each place adds to the classifier's logit. "
        "`attention`: where a network on feature maps looked."
    )


class NoAttentionOut(BaseModel):
    """Why there is no map now."""

    message: str
    again: bool = Field(description="Whether asking again in half a second can lead to a map.")


def make_attention_router(service: AnnotationService) -> APIRouter:
    """The route."""
    router = APIRouter(prefix=PREFIX)

    @router.get(
        "/images/{image}/categories/{category}/attention",
        responses={202: {"model": NoAttentionOut, "description": "Not there, or not yet"}},
    )
    def attention(image: int, category: int, response: Response) -> AttentionOut | NoAttentionOut:
        """Where the newest model looks for a category; worked out by the trainer when asked."""
        found = service.attention(image, category)
        if isinstance(found, AttentionMap):
            return AttentionOut(
                rows=found.rows,
                columns=found.columns,
                values=list(found.values),
                model_version=found.model_version,
                kind=found.kind,
            )
        response.status_code = 202
        return NoAttentionOut(message=found.message, again=found.again)

    return router
