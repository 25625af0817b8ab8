"""Things that are in the pictures but in no category: they hide, distract and furnish."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from random import Random
from types import MappingProxyType

from annotator.scenery.look import Look, hsv, jitter
from annotator.scenery.pen import DARK, Colour, Pen, mix, tone


def leafage(rng: Random) -> Colour:
    """Return a green, now and then an autumn colour."""
    hue = rng.uniform(0.2, 0.42) if rng.random() < 0.8 else rng.uniform(0.05, 0.13)
    return hsv(hue, rng.uniform(0.3, 0.62), rng.uniform(0.4, 0.7))


def tree(pen: Pen, rng: Random, look: Look) -> None:
    """A round, layered or pointed tree, 4 to 6 m high."""
    green, high = leafage(rng), rng.uniform(3.6, 6.0)
    trunk = (96, 72, 58)
    pen.shadow(0.3, 0, 1.5, 0.16)
    pen.poly([(-0.16, 0), (0.16, 0), (0.1, high * 0.6), (-0.1, high * 0.6)], trunk, 0.2)
    kind = rng.random()
    if kind < 0.3:
        for i in range(4):
            y, w = high * (0.2 + 0.17 * i), 1.2 - 0.24 * i
            pen.poly([(-w, y), (w, y), (0, y + high * 0.32)], tone(green, -0.2 + 0.08 * i))
        return
    pen.stroke([(0, high * 0.42), (0.4, high * 0.6)], 0.1, trunk)
    for i in range(9):
        r = rng.uniform(0.5, 0.85)
        x, y = rng.uniform(-0.85, 0.85), high * 0.66 + rng.uniform(-0.6, 0.7)
        pen.disc(x, y, r, r * 0.85, tone(green, -0.25 + 0.05 * i), 0.18)


def bush(pen: Pen, rng: Random, look: Look) -> None:
    """A low bush, about 1 m."""
    green = leafage(rng)
    pen.shadow(0, 0, 0.8, 0.1)
    for i in range(8):
        r = rng.uniform(0.2, 0.36)
        pen.disc(
            rng.uniform(-0.55, 0.55),
            r * 0.7 + rng.uniform(0, 0.35),
            r,
            r * 0.9,
            tone(green, -0.25 + 0.05 * i),
            0.16,
        )
    if rng.random() < 0.3:
        petal = look.accent(rng)
        for _ in range(9):
            pen.disc(rng.uniform(-0.6, 0.6), rng.uniform(0.2, 0.8), 0.05, None, petal, 0)


def hay_bale(pen: Pen, rng: Random, look: Look) -> None:
    """A round bale of straw."""
    straw = jitter((222, 184, 96), rng, 12)
    pen.shadow(0, 0.02, 0.8, 0.12)
    pen.slab(-0.5, 0, 0.65, 1.15, 0.3, tone(straw, -0.12), 0.25)
    pen.disc(-0.3, 0.57, 0.45, 0.57, straw, 0.14)
    for r in (0.32, 0.2, 0.09):
        pen.ring(-0.3, 0.57, r, 0.03, tone(straw, -0.18))


def fence(pen: Pen, rng: Random, look: Look) -> None:
    """A few metres of wooden fence."""
    wood = jitter(rng.choice(((206, 190, 164), (138, 106, 80), (238, 234, 226))), rng, 8)
    half = rng.uniform(1.5, 3.0)
    for y in (0.4, 0.8):
        pen.box(-half, y, half, y + 0.1, wood, 0.1)
    x = -half
    while x <= half:
        pen.box(x - 0.06, 0, x + 0.06, 1.05, tone(wood, -0.1), 0.14)
        x += 0.9


def pig(pen: Pen, rng: Random, look: Look) -> None:
    """A pig from the side."""
    skin = jitter((232, 168, 160), rng, 12)
    pen.shadow(0, 0.02, 0.6, 0.08)
    for x, dark in ((-0.34, -0.1), (-0.24, -0.25), (0.24, -0.1), (0.34, -0.25)):
        pen.limb((x, 0.3), (x, 0.05), 0.06, 0.045, tone(skin, dark), 0)
    pen.blob(
        [(-0.55, 0.5), (-0.2, 0.72), (0.3, 0.7), (0.5, 0.5), (0.3, 0.26), (-0.3, 0.24)], skin, 0.22
    )
    pen.disc(0.52, 0.52, 0.19, 0.17, skin)
    pen.disc(0.68, 0.48, 0.06, 0.08, tone(skin, -0.2), 0)
    pen.poly([(0.4, 0.64), (0.46, 0.76), (0.55, 0.66)], tone(skin, -0.2), 0)
    pen.disc(0.57, 0.57, 0.018, None, DARK, 0)


def bus(pen: Pen, rng: Random, look: Look) -> None:
    """A city bus from the side."""
    paint = look.accent(rng)
    pen.shadow(0, 0.08, 4.2, 0.25, 0.5)
    pen.slab(-4, 0.35, 4, 2.9, 0.25, paint, 0.2)
    for i in range(6):
        x = -3.7 + i * 1.25
        pen.slab(x, 1.45, x + 1.1, 2.4, 0.08, (96, 124, 142), 0.3)
    pen.box(-4, 0.6, 4, 0.85, tone(paint, 0.5), 0)
    for x in (-2.5, 2.5):
        pen.disc(x, 0.48, 0.48, None, DARK)
        pen.disc(x, 0.48, 0.24, None, (170, 172, 178))


def road_sign(pen: Pen, rng: Random, look: Look) -> None:
    """A sign on a post."""
    pen.box(-0.035, 0, 0.035, 2.1, (150, 152, 156), 0.2)
    colour = rng.choice(((208, 58, 52), (44, 98, 172), (240, 196, 60)))
    if rng.random() < 0.6:
        pen.disc(0, 2.25, 0.33, None, colour)
        pen.disc(0, 2.25, 0.23, None, (246, 244, 240), 0)
    else:
        pen.slab(-0.4, 2.0, 0.4, 2.45, 0.05, colour)
        pen.stroke([(-0.25, 2.22), (0.25, 2.22)], 0.06, (246, 244, 240))


def bin_(pen: Pen, rng: Random, look: Look) -> None:
    """A waste bin."""
    paint = rng.choice(((76, 104, 84), (92, 96, 102), (52, 74, 100)))
    pen.shadow(0, 0.01, 0.36, 0.06)
    pen.poly([(-0.26, 0.9), (0.26, 0.9), (0.21, 0), (-0.21, 0)], paint, 0.28)
    pen.slab(-0.3, 0.86, 0.3, 0.97, 0.05, tone(paint, -0.2))


def crate(pen: Pen, rng: Random, look: Look) -> None:
    """A wooden crate or a cardboard box."""
    wood = jitter((192, 148, 100), rng, 14)
    pen.shadow(0, 0.01, 0.42, 0.06)
    pen.box(-0.35, 0, 0.35, 0.5, wood, 0.16)
    pen.poly([(-0.35, 0.5), (0.35, 0.5), (0.28, 0.6), (-0.28, 0.6)], tone(wood, 0.2), 0)
    if rng.random() < 0.6:
        for y in (0.16, 0.33):
            pen.stroke([(-0.35, y), (0.35, y)], 0.025, tone(wood, -0.3))
    else:
        pen.box(-0.05, 0, 0.05, 0.5, tone(wood, 0.3), 0)


def barrel(pen: Pen, rng: Random, look: Look) -> None:
    """A barrel."""
    wood = jitter((142, 96, 62), rng, 12)
    pen.shadow(0, 0.01, 0.4, 0.06)
    pen.blob(
        [(-0.26, 0), (-0.34, 0.42), (-0.26, 0.86), (0.26, 0.86), (0.34, 0.42), (0.26, 0)], wood, 0.3
    )
    for y in (0.2, 0.62):
        pen.stroke([(-0.31, y), (0.31, y)], 0.05, tone(wood, -0.4))


def rock(pen: Pen, rng: Random, look: Look) -> None:
    """A boulder."""
    grey = jitter((142, 138, 136), rng, 16)
    s = rng.uniform(0.3, 0.7)
    pen.shadow(0, 0.01, s * 1.2, 0.08)
    pen.blob(
        [(-s, 0), (-s * 0.8, s * 0.5), (-s * 0.1, s * 0.8), (s * 0.7, s * 0.5), (s, 0)], grey, 0.3
    )


def bag(pen: Pen, rng: Random, look: Look) -> None:
    """A bag or a suitcase."""
    colour = look.accent(rng)
    pen.shadow(0, 0.01, 0.36, 0.05)
    pen.stroke([(-0.12, 0.4), (-0.08, 0.56), (0.08, 0.56), (0.12, 0.4)], 0.035, tone(colour, -0.4))
    pen.slab(-0.3, 0, 0.3, 0.44, 0.08, colour, 0.24)
    pen.stroke([(-0.3, 0.26), (0.3, 0.26)], 0.025, tone(colour, -0.3))


def beach_ball(pen: Pen, rng: Random, look: Look) -> None:
    """A ball of coloured stripes."""
    pen.shadow(0.04, 0.01, 0.24, 0.05)
    pen.disc(0, 0.2, 0.2, None, (246, 244, 238), 0.2)
    for dx in (-0.12, 0.06):
        pen.blob([(0, 0.4), (dx, 0.2), (0, 0.0), (dx + 0.1, 0.2)], look.accent(rng), 0.1)


def sand_castle(pen: Pen, rng: Random, look: Look) -> None:
    """A castle of sand."""
    sand = (206, 170, 116)
    pen.poly([(-0.5, 0), (0.5, 0), (0.36, 0.3), (-0.36, 0.3)], sand, 0.2)
    for x in (-0.3, 0, 0.3):
        pen.poly(
            [(x - 0.12, 0.2), (x + 0.12, 0.2), (x + 0.09, 0.52), (x - 0.09, 0.52)],
            tone(sand, 0.1),
            0.2,
        )
    pen.stroke([(0, 0.5), (0, 0.8)], 0.02, (90, 70, 60))
    pen.poly([(0, 0.8), (0.2, 0.73), (0, 0.66)], look.accent(rng), 0)


def towel(pen: Pen, rng: Random, look: Look) -> None:
    """A towel on the ground."""
    a, b = look.accent(rng), (246, 242, 232)
    for i in range(6):
        x0, x1 = -0.9 + i * 0.3, -0.6 + i * 0.3
        pen.poly(
            [(x0, 0), (x1, 0), (x1 * 0.9 + 0.15, 0.3), (x0 * 0.9 + 0.15, 0.3)], a if i % 2 else b, 0
        )


def bollard(pen: Pen, rng: Random, look: Look) -> None:
    """A mooring post on the quay."""
    pen.shadow(0, 0.01, 0.3, 0.06)
    pen.slab(-0.16, 0, 0.16, 0.5, 0.05, (62, 64, 74), 0.3)
    pen.slab(-0.24, 0.42, 0.24, 0.58, 0.07, (76, 78, 88), 0.2)


def picture(pen: Pen, rng: Random, look: Look) -> None:
    """A framed picture on the wall, centred."""
    w, h = rng.uniform(0.18, 0.42), rng.uniform(0.2, 0.36)
    pen.shadow(0.02, -0.03, w * 1.1, h * 1.1, 0.22)
    pen.box(-w, -h, w, h, rng.choice((look.wood, DARK, (238, 232, 220))), 0.16)
    pen.box(-w * 0.86, -h * 0.86, w * 0.86, h * 0.86, (246, 242, 234), 0)
    a, b = look.accent(rng), look.accent(rng)
    pen.box(-w * 0.66, -h * 0.66, w * 0.66, h * 0.66, tone(a, 0.4), 0.1)
    if rng.random() < 0.5:
        pen.poly([(-w * 0.66, -h * 0.66), (-w * 0.1, h * 0.2), (w * 0.66, -h * 0.66)], b, 0.1)
    pen.disc(w * 0.25, h * 0.25, w * 0.2, None, tone(b, 0.2), 0)


def monitor(pen: Pen, rng: Random, look: Look) -> None:
    """A screen on a foot, .55 m wide."""
    pen.shadow(0, 0.005, 0.2, 0.03)
    pen.slab(-0.12, 0, 0.12, 0.02, 0.01, (70, 72, 80))
    pen.box(-0.03, 0, 0.03, 0.14, (84, 86, 94))
    pen.slab(-0.29, 0.1, 0.29, 0.46, 0.015, (40, 42, 50))
    screen = mix(look.accent(rng), (230, 240, 248), rng.uniform(0.2, 0.9))
    pen.box(-0.275, 0.12, 0.275, 0.445, screen, 0.14)
    for i in range(3):
        pen.box(
            -0.23, 0.38 - i * 0.07, rng.uniform(-0.1, 0.2), 0.4 - i * 0.07, tone(screen, -0.3), 0
        )


def keyboard(pen: Pen, rng: Random, look: Look) -> None:
    """A keyboard lying flat."""
    pen.poly(
        [(-0.22, 0), (0.22, 0), (0.2, 0.06), (-0.2, 0.06)],
        rng.choice(((228, 228, 230), (70, 72, 80))),
        0.1,
    )


def paper(pen: Pen, rng: Random, look: Look) -> None:
    """Sheets of paper."""
    for _ in range(2):
        x = rng.uniform(-0.05, 0.05)
        pen.poly(
            [(x - 0.12, 0), (x + 0.1, 0.005), (x + 0.12, 0.08), (x - 0.08, 0.08)],
            (246, 244, 238),
            0.06,
        )


def pan(pen: Pen, rng: Random, look: Look) -> None:
    """A cooking pot with a lid."""
    metal = rng.choice(((170, 174, 182), (66, 66, 74), look.accent(rng)))
    pen.shadow(0, 0.004, 0.17, 0.02)
    pen.limb((0.1, 0.11), (0.28, 0.12), 0.014, 0.012, DARK)
    pen.slab(-0.14, 0, 0.14, 0.15, 0.02, metal, 0.32)
    pen.blob([(-0.15, 0.15), (0, 0.19), (0.15, 0.15)], tone(metal, 0.15))
    pen.disc(0, 0.195, 0.02, None, DARK, 0)


def kettle(pen: Pen, rng: Random, look: Look) -> None:
    """A kettle."""
    metal = rng.choice(((178, 182, 188), look.accent(rng)))
    pen.shadow(0, 0.004, 0.13, 0.02)
    pen.stroke([(-0.09, 0.16), (-0.06, 0.27), (0.06, 0.27), (0.09, 0.16)], 0.022, DARK)
    pen.poly([(0.08, 0.08), (0.18, 0.18), (0.15, 0.19), (0.07, 0.14)], metal, 0)
    pen.blob([(-0.12, 0), (-0.11, 0.13), (0, 0.2), (0.11, 0.13), (0.12, 0)], metal, 0.32)


def fruit(pen: Pen, rng: Random, look: Look) -> None:
    """An apple, a lemon or an orange, perhaps two."""
    for x in (0.0, 0.075)[: rng.randint(1, 2)]:
        colour = rng.choice(((214, 62, 48), (240, 206, 70), (244, 156, 48), (140, 178, 66)))
        pen.shadow(x, 0.003, 0.04, 0.01)
        pen.disc(x, 0.037, 0.04, 0.037, colour, 0.28)
        pen.stroke([(x, 0.07), (x + 0.01, 0.09)], 0.008, (84, 62, 44))


def plate(pen: Pen, rng: Random, look: Look) -> None:
    """A flat plate, with or without food."""
    rim = rng.choice(((246, 244, 238), tone(look.accent(rng), 0.4)))
    pen.disc(0, 0.015, 0.13, 0.035, rim, 0.12)
    pen.disc(0, 0.018, 0.09, 0.022, tone(rim, -0.08), 0)
    if rng.random() < 0.5:
        pen.disc(
            0.01,
            0.028,
            0.06,
            0.02,
            rng.choice(((196, 128, 62), (120, 156, 74), (206, 84, 60))),
            0.1,
        )


def phone(pen: Pen, rng: Random, look: Look) -> None:
    """A telephone lying on its back."""
    pen.poly([(-0.05, 0), (0.05, 0.004), (0.07, 0.06), (-0.03, 0.056)], (40, 42, 52), 0.1)
    pen.poly([(-0.042, 0.005), (0.042, 0.008), (0.06, 0.054), (-0.024, 0.05)], look.accent(rng), 0)


def cereal(pen: Pen, rng: Random, look: Look) -> None:
    """A printed box."""
    a = look.accent(rng)
    pen.shadow(0, 0.004, 0.1, 0.015)
    pen.box(-0.08, 0, 0.08, 0.26, a, 0.16)
    pen.poly([(0.08, 0), (0.11, 0.02), (0.11, 0.27), (0.08, 0.26)], tone(a, -0.3), 0)
    pen.disc(0, 0.1, 0.05, None, tone(a, 0.5), 0)
    pen.box(-0.06, 0.19, 0.06, 0.22, (248, 244, 236), 0)


def guitar(pen: Pen, rng: Random, look: Look) -> None:
    """A guitar leaning against the wall."""
    wood = jitter((206, 134, 70), rng, 16)
    pen.limb((0, 0.5), (0.12, 1.1), 0.03, 0.025, (74, 52, 42), 0)
    pen.blob(
        [
            (-0.2, 0.18),
            (-0.1, 0.36),
            (-0.12, 0.5),
            (0.04, 0.6),
            (0.14, 0.46),
            (0.12, 0.34),
            (0.22, 0.14),
            (0, 0),
        ],
        wood,
        0.26,
    )
    pen.disc(0.03, 0.38, 0.055, None, DARK, 0)


def basket(pen: Pen, rng: Random, look: Look) -> None:
    """A wicker basket."""
    straw = jitter((194, 154, 104), rng, 12)
    pen.shadow(0, 0.01, 0.3, 0.05)
    pen.poly([(-0.27, 0.34), (0.27, 0.34), (0.21, 0), (-0.21, 0)], straw, 0.26)
    for y in (0.1, 0.2):
        pen.stroke([(-0.24, y), (0.24, y)], 0.018, tone(straw, -0.2))
    pen.slab(-0.29, 0.32, 0.29, 0.38, 0.02, tone(straw, 0.14))


# Metres wide and high of what stands on the ground.
SIZES: Mapping[Callable[[Pen, Random, Look], None], tuple[float, float]] = MappingProxyType(
    {
        tree: (2.4, 5.0),
        bush: (1.5, 1.0),
        hay_bale: (1.2, 1.2),
        fence: (4.5, 1.05),
        pig: (1.3, 0.75),
        bus: (8.0, 2.9),
        road_sign: (0.7, 2.6),
        bin_: (0.6, 0.97),
        crate: (0.7, 0.6),
        barrel: (0.7, 0.9),
        rock: (1.1, 0.5),
        bag: (0.6, 0.56),
        beach_ball: (0.4, 0.4),
        sand_castle: (1.0, 0.8),
        towel: (1.8, 0.3),
        bollard: (0.5, 0.58),
        guitar: (0.4, 1.1),
        basket: (0.6, 0.38),
    }
)
