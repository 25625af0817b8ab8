"""Automatic decisions under contract: routes of /api/v1."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal, Self

from fastapi import APIRouter, Header
from pydantic import BaseModel, Field

from annotator.completion.contract_states import ContractState
from annotator.completion.drafting import Preview
from annotator.completion.planning import Kind, kind_of
from annotator.service import AnnotationService
from annotator.web.api import PREFIX

User = Annotated[int, Header(alias="X-Annotator-User", ge=1)]


class ContractOut(BaseModel):
    """A contract and how far it is."""

    id: int
    kind: Kind
    category: int | None = Field(description="null: all categories together.")
    target: float = Field(description="Share promised: wrong of its cells, or missed of present.")
    confidence: float
    stage: Literal["asking", "proved", "unproved", "active", "withdrawn", "undone"]
    cells: int = Field(description="Cells that it decides; as planned while it is asking.")
    bound: float | None = Field(description="What is proved; null while nothing is.")
    asked: int = Field(description="Blind answers wanted before it can be applied.")
    answered: int
    watched: int = Field(description="Blind answers since it was applied.")
    watched_wrong: int
    created_at: datetime
    words: str = Field(description="The same as a sentence, without any name.")

    @classmethod
    def of(cls, state: ContractState) -> Self:
        """From the service's state."""
        one = state.contract
        proved = one.threshold is not None
        return cls(
            id=one.id,
            kind=kind_of(one.kind),
            category=one.category_id,
            target=one.target,
            confidence=one.confidence,
            stage=state.stage,
            cells=one.cells if proved else state.expected_cells,
            bound=one.bound if proved else None,
            asked=state.asked,
            answered=state.answered,
            watched=state.watched,
            watched_wrong=state.watched_wrong,
            created_at=one.created_at,
            words=state.words(),
        )


class ProposeIn(BaseModel):
    """What to promise."""

    kind: Kind
    target: float = Field(gt=0, lt=1)
    confidence: float = Field(default=0.95, gt=0, lt=1)
    category: int | None = None


class CategoryPreviewOut(BaseModel):
    """The part of one category in a preview."""

    category: int
    cells: int = Field(description="That might be decided without being asked.")
    questions: int


class PreviewOut(BaseModel):
    """What a proposal would ask and might decide; nothing is changed."""

    cells: int = Field(description="That might be decided at most.")
    questions: int = Field(description="Blind questions before.")
    images: int = Field(description="Pictures on which they are asked.")
    categories: list[CategoryPreviewOut]
    words: str = Field(description="The same in words, without any name.")

    @classmethod
    def of(cls, preview: Preview) -> Self:
        """From the service's preview."""
        return cls(
            cells=preview.cells,
            questions=preview.questions,
            images=preview.images,
            categories=[
                CategoryPreviewOut(category=o.category_id, cells=o.cells, questions=o.questions)
                for o in preview.by_category
            ],
            words=preview.words(),
        )


class WithdrawalOut(BaseModel):
    """What withdrawing a contract would do now."""

    cells: int = Field(description="That would be unknown again.")
    kept: int = Field(description="That somebody changed since; they stay as they are.")
    waiting: int = Field(description="Blind questions that would not be asked any more.")


class KeyIn(BaseModel):
    """A request that changes cells."""

    key: str = Field(min_length=1, max_length=200)
    reason: str = Field(default="", max_length=1_000)


def make_contracts_router(service: AnnotationService) -> APIRouter:
    """The routes."""
    router = APIRouter(prefix=f"{PREFIX}/contracts")

    @router.get("")
    def contracts() -> list[ContractOut]:
        """The newest 100 contracts, and older ones that are proposed or active; newest first."""
        return [ContractOut.of(state) for state in service.completion.contracts()]

    @router.post("")
    def propose(body: ProposeIn, user: User) -> ContractOut:
        """Draw the cells to ask blind; nothing is decided yet."""
        made = service.completion.propose(
            user,
            body.kind,
            target=body.target,
            confidence=body.confidence,
            category_id=body.category,
        )
        return ContractOut.of(made)

    @router.post("/preview")
    def preview(body: ProposeIn) -> PreviewOut:
        """What proposing this would ask and might decide; nothing is changed."""
        return PreviewOut.of(
            service.completion.preview(
                body.kind,
                target=body.target,
                confidence=body.confidence,
                category_id=body.category,
            )
        )

    @router.get("/{contract}/withdrawal")
    def withdrawal(contract: int) -> WithdrawalOut:
        """What withdrawing it would do now; nothing is changed."""
        told = service.completion.preview_withdrawal(contract)
        return WithdrawalOut(cells=told.cells, kept=told.kept, waiting=told.waiting)

    @router.post("/{contract}/extend")
    def extend(contract: int) -> ContractOut:
        """Ask more cells, where the answers so far prove nothing."""
        return ContractOut.of(service.completion.extend(contract))

    @router.post("/{contract}/apply")
    def apply(contract: int, body: KeyIn, user: User) -> ContractOut:
        """Decide its cells as one event that undo takes back."""
        return ContractOut.of(service.completion.apply(user, contract, key=body.key))

    @router.post("/{contract}/withdraw")
    def withdraw(contract: int, body: KeyIn, user: User) -> ContractOut:
        """Make its cells unknown again, or drop a proposal."""
        done = service.completion.withdraw(user, contract, key=body.key, reason=body.reason)
        return ContractOut.of(done)

    return router
