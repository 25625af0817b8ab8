"""All places by name, and the close-up that can be of any of them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from random import Random
from types import MappingProxyType

from annotator.scenery import clutter
from annotator.scenery.indoors import kitchen, living_room, office
from annotator.scenery.look import Look
from annotator.scenery.outdoors import beach, cafe, farm, harbour, park, street
from annotator.scenery.pen import Canvas, mix, tone
from annotator.scenery.stage import Shelf, Stage, Weather, at, rect


def tabletop(rng: Random, look: Look, aspect: float, weather: Weather) -> Stage:
    """A close-up of a counter, a desk or a window sill; the room behind is out of focus."""
    back = rng.uniform(0.42, 0.62)
    surface = rng.choice(
        (
            look.wood,
            tone(look.wood, 0.3),
            (222, 216, 208),
            (92, 92, 102),
            mix(look.accent(rng), (230, 224, 214), 0.6),
        )
    )
    room = rng.choice((kitchen, living_room, office, cafe))
    behind = room(rng, look, aspect, weather)
    scale = rng.uniform(1.1, 2.0)
    seed = rng.getrandbits(48)

    def paint(canvas: Canvas) -> None:
        local = Random(seed)
        behind.paint(canvas)
        canvas.blur(local.uniform(0.012, 0.03))
        canvas.sweep(
            (tone(surface, -0.1), tone(surface, -0.02), surface, tone(surface, 0.1)), back, 1
        )
        if local.random() < 0.5:
            for _ in range(7):
                y = local.uniform(back, 1)
                rect(canvas, 0, y, aspect, y + 0.003, tone(surface, -0.08), 0)
        if local.random() < 0.4:
            pen, cloth = at(canvas, local.uniform(0.2, aspect - 0.2), 1, 1), look.accent(local)
            high = 1 - back
            pen.poly(
                [(-0.4, high * 0.2), (0.4, high * 0.2), (0.3, high * 0.75), (-0.3, high * 0.75)],
                tone(cloth, 0.3),
                0.06,
            )

    return Stage(
        back - 0.35,
        1.0,
        (1.2, 1.3),
        paint,
        close=True,
        shelves=[Shelf(0.02, aspect - 0.02, back + 0.06, 1.02, scale, 0.5)],
        small=(
            clutter.pan,
            clutter.kettle,
            clutter.fruit,
            clutter.plate,
            clutter.cereal,
            clutter.phone,
            clutter.paper,
            clutter.fruit,
        ),
    )


Plan = Callable[[Random, Look, float, Weather], Stage]
PLACES: Mapping[str, Plan] = MappingProxyType(
    {
        "kitchen": kitchen, "living room": living_room, "office": office, "café": cafe,
        "street": street, "park": park, "farm": farm, "harbour": harbour, "beach": beach,
        "tabletop": tabletop,
    }
)  # fmt: skip
