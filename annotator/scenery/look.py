"""Colours and light of one picture: what makes its objects belong together."""

from __future__ import annotations

import colorsys
from dataclasses import dataclass
from random import Random

from annotator.scenery.pen import Colour, mix

# Five accents each, from warm to cool; one palette per picture.
PALETTES: tuple[tuple[Colour, ...], ...] = (
    ((217, 93, 57), (240, 162, 2), (241, 136, 5), (32, 44, 89), (88, 31, 24)),
    ((231, 111, 81), (244, 162, 97), (233, 196, 106), (42, 157, 143), (38, 70, 83)),
    ((239, 71, 111), (255, 209, 102), (6, 214, 160), (17, 138, 178), (7, 59, 76)),
    ((193, 102, 107), (212, 180, 131), (228, 223, 218), (72, 169, 166), (66, 129, 164)),
    ((244, 91, 105), (246, 232, 234), (69, 105, 144), (2, 128, 144), (17, 75, 95)),
    ((188, 75, 81), (244, 162, 89), (244, 226, 133), (140, 179, 105), (91, 142, 125)),
    ((219, 80, 74), (227, 181, 5), (79, 109, 122), (8, 76, 97), (86, 163, 166)),
    ((155, 93, 229), (241, 91, 181), (254, 228, 64), (0, 187, 249), (0, 245, 212)),
    ((111, 78, 124), (201, 112, 100), (240, 178, 122), (247, 220, 180), (52, 73, 102)),
    ((224, 122, 95), (244, 241, 222), (61, 64, 91), (129, 178, 154), (242, 204, 143)),
    ((45, 48, 71), (147, 181, 198), (221, 237, 170), (240, 207, 101), (215, 129, 106)),
    ((158, 42, 43), (224, 159, 62), (255, 243, 176), (51, 92, 103), (84, 11, 14)),
)
SKINS: tuple[Colour, ...] = (
    (255, 219, 190), (241, 194, 160), (224, 172, 130), (198, 134, 94), (141, 85, 54), (92, 58, 40),
)  # fmt: skip
HAIRS: tuple[Colour, ...] = (
    (38, 28, 30), (74, 46, 34), (120, 76, 44), (196, 150, 84), (150, 64, 38), (176, 172, 170),
)  # fmt: skip
WOODS: tuple[Colour, ...] = (
    (150, 98, 60), (188, 134, 84), (118, 72, 48), (206, 164, 116), (96, 66, 54), (226, 214, 198),
)  # fmt: skip


@dataclass(frozen=True)
class Look:
    """What the objects of one picture share.

    Attributes:
        accents: five colours to pick from.
        wood: furniture colour.
        light: where the light comes from, -1 left to 1 right.
        night: lamps and windows glow.
        wet: it rains.
    """

    accents: tuple[Colour, ...]
    wood: Colour
    light: float
    night: bool = False
    wet: bool = False

    def accent(self, rng: Random) -> Colour:
        """Return one of the picture's colours, slightly changed; sometimes any colour."""
        if rng.random() < 0.12:
            return hsv(rng.random(), rng.uniform(0.25, 0.75), rng.uniform(0.4, 0.95))
        return jitter(rng.choice(self.accents), rng, 14)


def jitter(colour: Colour, rng: Random, amount: int) -> Colour:
    """Move each channel by up to ``amount`` of 255."""
    r, g, b = (min(255, max(0, v + rng.randint(-amount, amount))) for v in colour)
    return (r, g, b)


def hsv(hue: float, saturation: float, value: float) -> Colour:
    """Return the colour with these coordinates (0-1)."""
    r, g, b = colorsys.hsv_to_rgb(hue % 1.0, saturation, value)
    return (int(r * 255), int(g * 255), int(b * 255))


def pale(colour: Colour, rng: Random) -> Colour:
    """Return a wall colour that goes with ``colour``."""
    return mix(colour, (248, 244, 236), rng.uniform(0.62, 0.88))
