"""What travels over /api/v1/browse. A filter is a tree of conditions, told apart by `kind`."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, Literal, Self

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

from annotator import browse, browse_decisions
from annotator import browsing as b
from annotator.types import Category
from annotator.web.models import Key, State, UserOut
from annotator.web.source_words import SOURCES

MAX_RANGES = 20_000
MAX_NAMED = 5_000
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

StateName = Literal["present", "absent", "unknown"]
_STATES: dict[StateName, int] = {"present": 1, "absent": -1, "unknown": 0}
Id = Annotated[int, Field(ge=0, lt=2**31)]
Count = Annotated[int, Field(ge=0, lt=2**31)]
Share = Annotated[float, Field(ge=0, le=1)]


class _Condition(BaseModel):
    model_config = ConfigDict(extra="forbid")


class AllIn(_Condition):
    """Every one of these holds."""

    kind: Literal["all"]
    of: list[ConditionIn] = Field(max_length=b.MAX_PARTS)

    def condition(self) -> b.Condition:
        """For the engine."""
        return b.All(tuple(part.condition() for part in self.of))


class AnyIn(_Condition):
    """At least one of these holds."""

    kind: Literal["any"]
    of: list[ConditionIn] = Field(max_length=b.MAX_PARTS)

    def condition(self) -> b.Condition:
        """For the engine."""
        return b.AnyOf(tuple(part.condition() for part in self.of))


class NotIn(_Condition):
    """The condition does not hold."""

    kind: Literal["not"]
    of: ConditionIn

    def condition(self) -> b.Condition:
        """For the engine."""
        return b.Not(self.of.condition())


class LabelIn(_Condition):
    """The cell of this category has one of these states."""

    kind: Literal["label"]
    category: Id
    states: list[StateName] = Field(min_length=1, max_length=3)

    def condition(self) -> b.Condition:
        """For the engine."""
        return b.LabelIs(self.category, frozenset(_STATES[name] for name in self.states))


class KnownIn(_Condition):
    """The number of known cells lies in this range, both ends included."""

    kind: Literal["known"]
    least: Count | None = None
    most: Count | None = None

    def condition(self) -> b.Condition:
        """For the engine."""
        return b.KnownBetween(self.least, self.most)


class DecidedIn(_Condition):
    """Some known cell, of this category if one is named, was decided like this."""

    kind: Literal["decided"]
    category: Id | None = None
    users: list[Id] | None = Field(
        default=None, max_length=MAX_NAMED, description="One of them; 0 is no person."
    )
    sources: list[str] | None = Field(default=None, max_length=100)
    since: AwareDatetime | None = None
    until: AwareDatetime | None = Field(default=None, description="Before this time.")

    def condition(self) -> b.Condition:
        """For the engine."""
        return b.Decided(
            self.category,
            None if self.users is None else frozenset(self.users),
            None if self.sources is None else frozenset(self.sources),
            _microseconds(self.since),
            _microseconds(self.until),
        )


class ScoreIn(_Condition):
    """The model's probability of this category lies in this range, both ends included."""

    kind: Literal["score"]
    category: Id
    least: Share = 0.0
    most: Share = 1.0

    def condition(self) -> b.Condition:
        """For the engine."""
        return b.ScoreBetween(self.category, self.least, self.most)


class AddedIn(_Condition):
    """The picture was added in this time."""

    kind: Literal["added"]
    since: AwareDatetime | None = None
    until: AwareDatetime | None = Field(default=None, description="Before this time.")

    def condition(self) -> b.Condition:
        """For the engine."""
        return b.Added(_microseconds(self.since), _microseconds(self.until))


class NameIn(_Condition):
    """The file name contains this text, in upper or lower case."""

    kind: Literal["name"]
    text: str = Field(max_length=1_000)

    def condition(self) -> b.Condition:
        """For the engine."""
        return b.NameContains(self.text)


class FlaggedIn(_Condition):
    """The picture has an open flag."""

    kind: Literal["flagged"]

    def condition(self) -> b.Condition:
        """For the engine."""
        return b.Flagged()


class SimilarIn(_Condition):
    """This picture, and those of its nearest ones that are at least this similar."""

    kind: Literal["similar"]
    image: Id
    least: Share = 0.0

    def condition(self) -> b.Condition:
        """For the engine."""
        return b.SimilarTo(self.image, self.least)


class ImagesIn(_Condition):
    """One of these pictures."""

    kind: Literal["images"]
    images: list[Id] = Field(max_length=MAX_NAMED)

    def condition(self) -> b.Condition:
        """For the engine."""
        return b.OneOf(tuple(self.images))


ConditionIn = Annotated[
    AllIn
    | AnyIn
    | NotIn
    | LabelIn
    | KnownIn
    | DecidedIn
    | ScoreIn
    | AddedIn
    | NameIn
    | FlaggedIn
    | SimilarIn
    | ImagesIn,
    Field(discriminator="kind"),
]


class SortIn(_Condition):
    """What to sort by. Pictures without a value come last either way."""

    by: b.SortBy = "added"
    descending: bool = False
    category: Id | None = Field(default=None, description="Of the probability.")
    image: Id | None = Field(default=None, description="Of the similarity.")

    def order(self) -> b.Order:
        """For the engine."""
        return b.Order(self.by, self.descending, self.category, self.image)


class ListIn(BaseModel):
    """Which pictures, in which order."""

    where: ConditionIn | None = Field(default=None, description="null: all pictures.")
    sort: SortIn = SortIn()

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={
            "examples": [
                {
                    "where": {
                        "kind": "all",
                        "of": [
                            {"kind": "label", "category": 3, "states": ["unknown"]},
                            {"kind": "score", "category": 3, "least": 0.4, "most": 0.6},
                        ],
                    },
                    "sort": {"by": "probability", "category": 3, "descending": True},
                }
            ]
        },
    )


class ListOut(BaseModel):
    """A list that keeps its order under this name until many newer ones were asked for."""

    name: str
    total: int
    of: int = Field(description="Pictures in the project.")
    event: int = Field(description="Newest event that the list knows of.")
    model_version: int | None

    @classmethod
    def of_found(cls, found: browse.Found) -> Self:
        """From the service's list."""
        return cls(
            name=found.name,
            total=found.total,
            of=found.of,
            event=found.event_id,
            model_version=found.model_version_id,
        )


class TileOut(BaseModel):
    """A picture of a list; state and probability are of the category asked for."""

    image: int
    file_name: str
    known: int
    state: State | None
    probability: float | None
    similarity: float | None = Field(description="In lists sorted by similarity, cosine.")
    flagged: bool

    @classmethod
    def of(cls, tile: browse.Tile) -> Self:
        """From the service's tile."""
        facts = dict(vars(tile))
        return cls(image=facts.pop("image_id"), **facts)


class WindowOut(BaseModel):
    """Neighbouring pictures of a list, with what is known of them now."""

    start: int
    pictures: list[TileOut]
    event: int
    model_version: int | None


class NowOut(BaseModel):
    """What the filter of a list finds now."""

    total: int
    same: bool = Field(description="The same pictures in the same order as in the list.")


class PlaceOut(BaseModel):
    """Where a picture stands in a list, from 0; null if it does not."""

    place: int | None


class ChoicesOut(BaseModel):
    """What filters can name."""

    users: list[UserOut]
    sources: list[str] = Field(description="Where cells were decided so far.")
    source_words: dict[str, str] = Field(description="What people call these places.")
    model_version: int | None
    with_model: list[int] = Field(description="Categories that the model has probabilities for.")

    @classmethod
    def of(cls, choices: browse.Choices) -> Self:
        """From the service's choices."""
        return cls(
            users=[UserOut(id=user.id, name=user.name) for user in choices.users],
            sources=list(choices.sources),
            source_words=SOURCES,
            model_version=choices.model_version_id,
            with_model=list(choices.with_model),
        )


class SelectionIn(BaseModel):
    """Places in a list, and the category whose cells are meant."""

    ranges: list[tuple[int, int]] = Field(
        min_length=1,
        max_length=MAX_RANGES,
        description="First place and place after the last, from 0, ascending.",
        examples=[[[0, 60], [75, 76]]],
    )
    whole: bool = Field(
        default=False,
        description="All that the filter finds is meant; refused where it finds others now.",
    )
    category: int

    def selection(self, name: str) -> browse_decisions.Selection:
        """For the service."""
        return browse_decisions.Selection(name, tuple(self.ranges), self.whole)


class CountOut(BaseModel):
    """The cells of a selection as they are now."""

    images: int
    present: int
    absent: int
    unknown: int
    check: str = Field(description="To be sent with the decision.")


class BulkIn(SelectionIn):
    """Decide the cells of a selection as one event, undone as one."""

    key: Key
    state: State
    overwrite: bool = Field(
        default=False,
        description="Change cells known with the other state as well. Making cells unknown always "
        "changes known ones.",
    )
    check: str = Field(
        description="Of the count; if anything has changed since, it is refused with 409."
    )


class BulkOut(BaseModel):
    """What became of the cells."""

    event: int
    repeated: bool = Field(description="The same request had been carried out before.")
    added: int = Field(description="Were unknown.")
    overwritten: int = Field(description="Had the other state, or were made unknown.")
    confirmed: int = Field(description="Had this state already.")
    kept: int = Field(description="Have the other state still.")

    @classmethod
    def of(cls, result: browse_decisions.BulkResult) -> Self:
        """From the service's result."""
        facts = dict(vars(result))
        return cls(event=facts.pop("event_id"), **facts)


class GroupLabelOut(BaseModel):
    """A category with a known cell in the group; states in the order of its pictures."""

    category: int
    name: str
    states: list[State]
    differs: bool = Field(description="Present in some and absent in others: a mistake?")


class GroupOut(BaseModel):
    """Near-duplicates."""

    pictures: list[TileOut]
    similarity: float = Field(description="Lowest cosine that holds the group together.")
    labels: list[GroupLabelOut] = Field(description="Those that differ first.")

    @classmethod
    def of(cls, group: browse.Group, categories: dict[int, tuple[int, Category]]) -> Self:
        """From the service's group; ``categories`` gives place in the list and category."""
        labels = [label for label in group.labels if label.category_id in categories]
        labels.sort(key=lambda label: (not label.differs, categories[label.category_id][0]))
        return cls(
            pictures=[TileOut.of(tile) for tile in group.images],
            similarity=group.similarity,
            labels=[
                GroupLabelOut.model_validate(
                    {
                        "category": label.category_id,
                        "name": categories[label.category_id][1].name,
                        "states": label.states,
                        "differs": label.differs,
                    }
                )
                for label in labels
            ],
        )


class GroupPageOut(BaseModel):
    """Some of the groups, those with differing labels first."""

    groups: list[GroupOut]
    total: int
    pictures: int = Field(description="In all groups together.")
    differing: int = Field(description="Groups in which a label differs.")
    cut: float
    model_version: int | None = Field(description="null: no model version yet, so no groups.")


def _microseconds(time: datetime | None) -> int | None:
    if time is None:
        return None
    since = time.astimezone(UTC) - _EPOCH
    return (since.days * 86_400 + since.seconds) * 1_000_000 + since.microseconds
