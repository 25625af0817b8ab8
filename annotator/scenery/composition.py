"""Puts objects into a place: where each stands, how large it is, what hides what."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from random import Random
from types import MappingProxyType

from annotator.scenery import clutter, creatures, furniture
from annotator.scenery.look import Look
from annotator.scenery.objects import DRAWINGS, Draw
from annotator.scenery.pen import Affine, Box
from annotator.scenery.stage import Shelf, Stage

# Metres wide and high, to keep things from standing inside each other.
SIZES: Mapping[str, tuple[float, float]] = MappingProxyType(
    {
        "person": (0.6, 1.75),
        "dog": (0.9, 0.7),
        "cat": (0.5, 0.4),
        "bird": (0.5, 0.4),
        "cow": (2.3, 1.5),
        "sheep": (1.2, 0.95),
        "car": (4.0, 1.5),
        "bicycle": (1.8, 1.1),
        "tractor": (3.4, 2.6),
        "boat": (5.0, 3.0),
        "traffic light": (0.6, 3.2),
        "bench": (1.8, 0.95),
        "umbrella": (1.5, 2.2),
        "chair": (0.6, 0.95),
        "dining table": (1.6, 1.0),
        "sofa": (2.0, 0.9),
        "potted plant": (0.6, 0.9),
        "lamp": (0.5, 1.55),
        "clock": (0.34, 0.34),
        "book": (0.34, 0.2),
        "laptop": (0.42, 0.28),
        "cup": (0.14, 0.11),
        "bottle": (0.09, 0.3),
        "bowl": (0.24, 0.11),
    }
)
# Small things are drawn larger than life, as illustrators do; in close-ups they are life-size.
EXAGGERATION: Mapping[str, float] = MappingProxyType(
    {
        "cup": 2.6,
        "bottle": 1.9,
        "bowl": 2.3,
        "book": 1.9,
        "laptop": 1.9,
        "clock": 1.7,
        "bird": 1.9,
        "cat": 1.8,
        "dog": 1.25,
        "lamp": 1.15,
        "potted plant": 1.25,
        "sheep": 1.15,
    }
)
# Nothing may tower over the viewer: highest in frame heights, where it is not the usual .85.
TALLEST: Mapping[str, float] = MappingProxyType(
    {
        "bird": 0.24,
        "cat": 0.4,
        "dog": 0.48,
        "sheep": 0.6,
        "cow": 0.75,
        "tractor": 0.75,
        "car": 0.6,
        "bicycle": 0.6,
        "bench": 0.5,
        "potted plant": 0.6,
        "boat": 0.9,
        "traffic light": 1.05,
        "person": 1.0,
    }
)
# Furniture first: tables carry what comes later.
ORDER = (
    "dining table",
    "sofa",
    "bench",
    "tractor",
    "car",
    "boat",
    "cow",
    "sheep",
    "traffic light",
    "bicycle",
    "chair",
    "person",
    "umbrella",
    "dog",
    "lamp",
    "potted plant",
    "cat",
    "bird",
    "clock",
    "laptop",
    "bowl",
    "bottle",
    "book",
    "cup",
)
SMALL = frozenset({"cup", "bottle", "bowl", "book", "laptop"})


@dataclass
class Placed:
    """One object or piece of clutter of a picture, in frame coordinates.

    Attributes:
        name: category, empty for clutter.
        draw: how it looks; the same `seed` always gives the same drawing.
        box: rough extent (left, top, right, bottom).
        depth: what has more is painted later.
        carries: something may rest on it, so it must stay.
    """

    name: str
    draw: Draw
    x: float
    y: float
    scale: float
    depth: float
    box: Box
    seed: int
    flip: bool = False
    tilt: float = 0.0
    carries: bool = False


class Composer:
    """Finds room for things on one stage; every choice comes from ``rng``."""

    def __init__(self, stage: Stage, rng: Random, look: Look, aspect: float) -> None:
        self.stage, self.rng, self.look, self.aspect = stage, rng, look, aspect
        self.placed: list[Placed] = []
        self._taken: list[Box] = list(stage.blocked)
        self._tries = rng.choice((1, 2, 3, 5))  # with few, things hide each other more

    def compose(self, counts: Mapping[str, int]) -> list[Placed]:
        """Place everything and return it, the furthest first."""
        for name in ORDER:
            for number in range(counts.get(name, 0)):
                self._object(name, number)
        self._clutter()
        return sorted(self.placed, key=lambda thing: thing.depth)

    def _object(self, name: str, number: int) -> None:
        """Place one object of a category wherever such a thing belongs."""
        stage, rng = self.stage, self.rng
        size = 1.0 if stage.close else EXAGGERATION.get(name, 1.0)
        size *= rng.uniform(0.85, 1.2)
        draw = DRAWINGS[name]
        if name == "boat":
            if stage.water:
                self._stand(name, draw, stage.water, size)
        elif name == "clock" and stage.wall:
            self._hang(name, draw, size)
        elif name == "bird" and stage.sky and rng.random() < 0.5:
            self._fly(name, creatures.flying_bird, size)
        elif name == "umbrella":
            self._umbrella(size)
        elif name == "dining table":
            self._table(size)
        elif name in SMALL or stage.close:
            tall = {"lamp": 0.42, "potted plant": 0.34}.get(name)
            self._rest(
                name, _sized(name, tall) if tall else draw, size if tall is None else 1.0, tall
            )
        elif name == "lamp" and rng.random() < 0.4 and stage.shelves:
            self._rest(name, _sized(name, 0.55), 1.2, 0.55)
        elif name == "potted plant" and rng.random() < 0.55 and stage.shelves:
            self._rest(name, _sized(name, 0.42), 1.2, 0.42)
        elif name == "cat" and self._seat() and rng.random() < 0.6:
            self._on_seat(name, draw, size)
        elif name == "clock":
            self._rest(name, draw, size, None)
        else:
            self._stand(name, draw, stage.ground, size, near=name == "chair" and number < 3)

    def _add(
        self, name: str, draw: Draw, x: float, y: float, scale: float, depth: float,
        wide: float, high: float, tilt: float = 0.0, box: Box | None = None,
    ) -> Placed:  # fmt: skip
        box = box or (x - wide * scale / 2, y - high * scale, x + wide * scale / 2, y)
        thing = Placed(
            name,
            draw,
            x,
            y,
            scale,
            depth,
            box,
            self.rng.getrandbits(32),
            self.rng.random() < 0.5,
            tilt,
        )
        self.placed.append(thing)
        self._taken.append(box)
        return thing

    def _room(self, box: Box) -> float:
        """Return how much of ``box`` is already taken, as a share of the smaller of each pair."""
        left, top, right, bottom = box
        own = (right - left) * (bottom - top)
        taken = 0.0
        for x0, y0, x1, y1 in self._taken:
            wide = (right if right < x1 else x1) - (left if left > x0 else x0)
            high = (bottom if bottom < y1 else y1) - (top if top > y0 else y0)
            if wide > 0 and high > 0:
                taken += wide * high / (min(own, (x1 - x0) * (y1 - y0)) + 1e-6)
        return taken

    def _best(
        self, spots: list[tuple[float, float, float]], wide: float, high: float
    ) -> tuple[float, float, float]:
        """Return the spot (x, y, scale) with the most room."""

        def cost(spot: tuple[float, float, float]) -> float:
            x, y, s = spot
            return self._room((x - wide * s / 2, y - high * s, x + wide * s / 2, y))

        return min(spots, key=cost)

    def _stand(
        self, name: str, draw: Draw, ground: tuple[float, float], size: float, near: bool = False
    ) -> Placed:
        """Put something on the ground or the water; `near` a table if there is one."""
        rng = self.rng
        wide, high = SIZES.get(name) or clutter.SIZES.get(draw, (1.0, 1.0))
        wide, high = wide * size, high * size
        highest = TALLEST.get(name, 0.6 if not name else 0.85)
        tables = [thing for thing in self.placed if thing.name == "dining table"]
        spots = []
        for _ in range(self._tries):
            # more room in front than far away, but the far away is where most things are
            y = ground[0] + (ground[1] - ground[0]) * rng.random() ** 1.35
            s = self.stage.scale(y)
            if s * high > highest:  # too close to the camera: back, or as small as it may be
                nearest = self.stage.horizon + highest / high * self.stage.camera_height
                y = max(nearest, ground[0])
                s = min(self.stage.scale(y), highest / high)
            margin = 0.1 * wide * s
            x = rng.uniform(margin, self.aspect - margin)
            if near and tables:
                table = rng.choice(tables)
                half = (table.box[2] - table.box[0]) / 2
                x = table.x + rng.choice((-1, 1)) * half * rng.uniform(0.5, 1.35)
                y = table.y + rng.uniform(-0.07, 0.05)
                s = self.stage.scale(y)
            spots.append((x, y, s))
        x, y, s = self._best(spots, wide, high)
        return self._add(name, draw, x, y, s * size, y, wide / size, high / size)

    def _hang(self, name: str, draw: Draw, size: float) -> None:
        """Put something flat on the wall."""
        if self.stage.wall is None:
            return
        (x0, y0, x1, y1), scale = self.stage.wall
        wide, high = SIZES.get(name, (0.85, 0.75))
        s = scale * size
        spots = [
            (self.rng.uniform(x0, x1), self.rng.uniform(y0, max(y1, y0 + 0.02)) + high * s / 2, s)
            for _ in range(5)
        ]
        x, y, _ = self._best(spots, wide, high)
        box = (x - wide * s / 2, y - high * s, x + wide * s / 2, y)
        if not name and self._room(box) > 0.1:
            return  # clutter does not cover windows
        self._add(name, draw, x, y - high * s / 2, s, -1.0, wide, high, box=box)

    def _fly(self, name: str, draw: Draw, size: float) -> None:
        """Put something into the sky."""
        if self.stage.sky is None:
            return
        y0, y1 = self.stage.sky
        s = self.rng.uniform(0.05, 0.15)
        x, y = self.rng.uniform(0.06, self.aspect - 0.06), self.rng.uniform(y0, y1)
        box = (x - 0.6 * s, y - 0.25 * s, x + 0.6 * s, y + 0.25 * s)
        self._add(name, draw, x, y, s, 0.1, 1.2, 0.5, self.rng.uniform(-0.35, 0.35), box)

    def _umbrella(self, size: float) -> None:
        """An umbrella over someone's head, a sunshade over a table, or one on its stand."""
        rng = self.rng
        people = [thing for thing in self.placed if thing.name == "person"]
        held = [thing for thing in self.placed if thing.name == "umbrella"]
        if people and len(held) < len(people) and rng.random() < 0.75:
            owner = people[len(held)]
            height = rng.uniform(1.25, 1.45)
            self._add(
                "umbrella",
                partial(furniture.umbrella, height=height),
                owner.x + 0.28 * owner.scale * rng.choice((-1, 1)),
                owner.y - 0.95 * owner.scale,
                owner.scale,
                owner.depth + 1e-4,
                1.2,
                1.4,
                rng.uniform(-0.25, 0.25),
            )
            return
        self._stand("umbrella", furniture.parasol, self.stage.ground, size)

    def _table(self, size: float) -> None:
        """A table, which carries small things."""
        rng, stage = self.rng, self.stage
        width, depth = rng.uniform(1.1, 2.1), rng.uniform(0.14, 0.3)
        draw = partial(furniture.dining_table, width=width, depth=depth)
        spots = []
        for _ in range(5):
            y = rng.uniform(stage.ground[0] + 0.05, min(stage.ground[1], 1.12))
            s = stage.scale(y)
            spots.append((rng.uniform(0.15, self.aspect - 0.15), y, s))
        x, y, s = self._best(spots, width, 1.0)
        s *= min(size, 1.05)
        table = self._add("dining table", draw, x, y, s, y, width, 0.74 + depth)
        table.carries = True
        half, top = width * s / 2 * 0.78, y - 0.74 * s
        stage.shelves.append(
            Shelf(x - half, x + half, top - depth * s * 0.8, top - depth * s * 0.2, s, y)
        )

    def _rest(self, name: str, draw: Draw, size: float, tall: float | None) -> None:
        """Put something small on a table, a shelf, a counter; on the ground if there is none."""
        rng = self.rng
        wide, high = SIZES.get(name, (0.25, 0.2))
        if tall is not None:
            wide, high = tall * 0.6, tall
        shelves = [
            s
            for s in self.stage.shelves
            if s.x1 > s.x0 and s.x1 > 0.05 and s.x0 < self.aspect - 0.05
        ]
        if not shelves:
            self._stand(name, draw, self.stage.ground, size)
            return
        spots: list[tuple[float, float, float]] = []
        chosen: dict[tuple[float, float, float], Shelf] = {}
        for _ in range(self._tries + 2):
            shelf = rng.choice(shelves)
            y = rng.uniform(shelf.back, shelf.front)
            s = shelf.scale * size
            if self.stage.close:  # nearer is larger
                s *= 0.75 + 0.5 * (y - shelf.back) / (shelf.front - shelf.back)
            spot = (rng.uniform(max(shelf.x0, 0.0), min(shelf.x1, self.aspect)), y, s)
            spots.append(spot)
            chosen[spot] = shelf
        x, y, s = self._best(spots, wide, high)
        shelf = chosen[x, y, s]
        lift = 0.17 * s if name == "clock" else 0.0
        self._add(
            name, draw, x, y - lift, s, shelf.depth + 1e-3 + (y - shelf.back) * 1e-2, wide, high
        )

    def _seat(self) -> list[Placed]:
        return [thing for thing in self.placed if thing.name in ("sofa", "bench")]

    def _on_seat(self, name: str, draw: Draw, size: float) -> None:
        """Put an animal on a sofa or a bench."""
        seat = self.rng.choice(self._seat())
        wide, high = SIZES[name]
        x = seat.x + self.rng.uniform(-0.6, 0.6) * seat.scale
        y = seat.y - 0.45 * seat.scale
        self._add(name, draw, x, y, seat.scale * min(size, 1.3), seat.depth + 1e-4, wide, high)
        seat.carries = True

    def _clutter(self) -> None:
        """Add things that are in no category."""
        stage, rng = self.stage, self.rng
        if stage.things:
            indoors = 0.62 if stage.wall and not stage.sky else 1.0
            for draw in rng.sample(stage.things, min(rng.randint(0, 4), len(stage.things))):
                self._stand("", draw, stage.ground, indoors * rng.uniform(0.85, 1.15))
        if stage.small and stage.shelves:
            for draw in rng.sample(stage.small, min(rng.randint(0, 4), len(stage.small))):
                self._rest("", draw, 1.0 if stage.close else 1.5, None)
        if stage.flat and stage.wall:
            for _ in range(rng.randint(0, 2)):
                self._hang("", rng.choice(stage.flat), 1.0)


def _sized(name: str, height: float) -> Draw:
    """Return the drawing of a lamp or a plant of this height."""
    sized: Mapping[str, Callable[..., None]] = {
        "lamp": furniture.lamp, "potted plant": furniture.potted_plant
    }  # fmt: skip
    return partial(sized[name], height=height)


def camera(rng: Random, aspect: float) -> Affine:
    """Return a slight zoom, shift and roll of the whole picture (frame to frame)."""
    zoom = rng.choice((1.02, rng.uniform(1.02, 1.35)))
    roll = rng.gauss(0, 0.02) if rng.random() < 0.35 else 0.0
    zoom += abs(roll) * 1.4
    cos, sin = zoom * math.cos(roll), zoom * math.sin(roll)
    free = (zoom - 1 - abs(roll) * 1.4) / 2
    cx, cy = aspect / 2, 0.5
    dx, dy = rng.uniform(-free, free) * aspect, rng.uniform(-free, free)
    return (cos, -sin, cx - cos * cx + sin * cy + dx, sin, cos, cy - sin * cx - cos * cy + dy)
