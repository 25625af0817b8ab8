"""Routes of /api/v1 around labelling: a person's keys, flags, what others changed."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Self

from fastapi import APIRouter, Query, Request
from pydantic import BaseModel, Field

from annotator import types
from annotator.flags import NOTE_LENGTH
from annotator.key_settings import DEFAULT_KEYS, effective_keys
from annotator.service import AnnotationService
from annotator.web.api import PREFIX, User, check_workspace


class SettingsIn(BaseModel):
    """A person's settings; what is left out is reset to its default."""

    keys: dict[str, list[str]] = Field(
        default_factory=dict,
        max_length=100,
        description="Keys by action, those that are left out have the defaults.",
        examples=[{"why": ["w"], "next": ["Space"]}],
    )


class SettingsOut(BaseModel):
    """A person's settings as they are in force."""

    keys: dict[str, list[str]] = Field(description="Keys of every action.")
    defaults: dict[str, list[str]]

    @classmethod
    def of(cls, user: types.User) -> Self:
        """From what is stored."""
        return cls(
            keys={action: list(names) for action, names in effective_keys(user.settings).items()},
            defaults={action: list(names) for action, names in DEFAULT_KEYS.items()},
        )


class FlagIn(BaseModel):
    """A picture to flag, with a note for whoever looks at it."""

    image: int
    note: str = Field(default="", max_length=NOTE_LENGTH)


class FlagOut(BaseModel):
    """A flag on a picture, open until somebody closes it."""

    id: int
    image: int
    file_name: str
    note: str
    user: str
    at: datetime
    closed_at: datetime | None
    closed_by: str | None

    @classmethod
    def of(cls, flag: types.Flag) -> Self:
        """From the service's flag."""
        facts = dict(vars(flag))
        return cls(image=facts.pop("image_id"), **facts)


class ChangedImageOut(BaseModel):
    """A picture of which a cell changed."""

    image: int
    event: int = Field(description="The newest event that changed it.")


class ChangesOut(BaseModel):
    """What has changed since an event."""

    event: int = Field(description="Newest event; ask with it the next time.")
    images: list[ChangedImageOut]
    everything: bool = Field(description="Too much has changed to be listed.")
    categories: bool
    pictures: bool
    flags: bool


def make_focus_router(service: AnnotationService, identity: str) -> APIRouter:
    """The routes.

    Args:
        service: carries out every request.
        identity: of the workspace served.
    """
    router = APIRouter(prefix=PREFIX)

    @router.get("/users/me/settings")
    def settings(user: User) -> SettingsOut:
        """The caller's keys, and the default ones."""
        return SettingsOut.of(service.user(user))

    @router.put("/users/me/settings")
    def set_settings(body: SettingsIn, user: User) -> SettingsOut:
        """Change the caller's keys; an empty body resets them."""
        return SettingsOut.of(service.set_user_keys(user, body.keys))

    @router.get("/changes")
    def changes(after: Annotated[int, Query(ge=0)]) -> ChangesOut:
        """What has changed since an event (the status names the newest)."""
        found = service.changes(after)
        return ChangesOut(
            event=found.event_id,
            images=[ChangedImageOut(image=i, event=event) for i, event in found.images.items()],
            everything=found.everything,
            categories=found.categories,
            pictures=found.pictures,
            flags=found.flags,
        )

    @router.get("/flags")
    def flags(
        image: int | None = None,
        closed: bool = False,
        limit: Annotated[int, Query(ge=1, le=1000)] = 200,
    ) -> list[FlagOut]:
        """Flags, newest first; with `closed` also those that were dealt with."""
        found = service.flags(image, closed=closed, limit=limit)
        return [FlagOut.of(flag) for flag in found]

    @router.post("/flags")
    def flag(body: FlagIn, user: User, request: Request) -> FlagOut:
        """Flag a picture. Asked twice with the same note, it is flagged once."""
        check_workspace(request, identity)
        return FlagOut.of(service.set_flag(user, body.image, body.note))

    @router.delete("/flags/{flag_id}")
    def close_flag(flag_id: int, user: User, request: Request) -> FlagOut:
        """Close a flag; it stays readable with `closed`."""
        check_workspace(request, identity)
        return FlagOut.of(service.close_flag(user, flag_id))

    return router
