"""What people sit at, sit on and put into rooms and gardens."""

from __future__ import annotations

import math
from random import Random

from annotator.scenery.look import Look, hsv
from annotator.scenery.pen import DARK, Pen, Point, mix, tone


def umbrella(pen: Pen, rng: Random, look: Look, height: float = 2.0) -> None:
    """An open umbrella, from a handle at the origin to ``height`` metres."""
    first, second = look.accent(rng), look.accent(rng)
    if rng.random() < 0.5:
        second = first
    wide = height * rng.uniform(0.36, 0.5)
    rim, top = height * 0.72, height
    pen.stroke([(0, 0), (0, top)], 0.035, (96, 84, 78))
    cuts = 6
    xs = [wide * math.sin((i / cuts - 0.5) * math.pi) for i in range(cuts + 1)]
    dome: list[list[Point]] = []
    for i in range(cuts):
        side = []
        for t in range(6):
            u = t / 5
            side.append((u, rim + (top - rim) * math.cos(u * math.pi / 2) ** 0.8))
        left = [(xs[i] * u, y) for u, y in side]
        right = [(xs[i + 1] * u, y) for u, y in reversed(side)]
        mid = ((xs[i] + xs[i + 1]) / 2, rim + (top - rim) * 0.1)
        dome.append([*left, mid, *right])
    for i, gore in enumerate(dome):
        colour = first if i % 2 else second
        pen.poly(gore, tone(colour, (-0.12, 0.06)[i % 2] - 0.03 * abs(i - 2.5)), 0.1)
    pen.stroke([(0, top), (0, top + height * 0.05)], 0.04, (96, 84, 78))


def parasol(pen: Pen, rng: Random, look: Look) -> None:
    """A sunshade on a stand, 2.4 m high."""
    pen.shadow(0.1, 0.02, 0.9, 0.12, 0.35)
    umbrella(pen, rng, look, rng.uniform(2.1, 2.6))


def bench(pen: Pen, rng: Random, look: Look) -> None:
    """A park bench from the front, 1.7 m long."""
    wood = rng.choice((look.wood, (92, 112, 84), (122, 84, 56)))
    iron = (58, 60, 66)
    pen.shadow(0, 0.03, 1.0, 0.12)
    for x in (-0.7, 0.7):
        pen.stroke([(x, 0), (x, 0.44), (x * 1.02, 0.92)], 0.06, iron)
        pen.stroke([(x * 1.12, -0.06), (x * 1.1, 0.42)], 0.06, iron)
        pen.stroke([(x * 1.12, 0.4), (x * 1.1, 0.64), (x, 0.66)], 0.05, iron)
    for y in (0.58, 0.7, 0.82):
        pen.slab(-0.86, y, 0.86, y + 0.085, 0.02, wood, 0.14)
    for i, y in enumerate((0.46, 0.41, 0.36)):
        pen.slab(
            -0.88 - i * 0.02, y, 0.88 + i * 0.02, y + 0.045, 0.015, tone(wood, 0.12 - 0.08 * i), 0.1
        )


def chair(pen: Pen, rng: Random, look: Look) -> None:
    """A chair seen from half the side, .9 m high; wooden, padded or on castors."""
    seat = look.accent(rng) if rng.random() < 0.6 else tone(look.wood, 0.15)
    kind = rng.random()
    leg = look.wood if kind < 0.7 else (70, 72, 80)
    pen.shadow(0, 0.03, 0.36, 0.09)
    if kind > 0.75:  # castors
        for x in (-0.26, 0, 0.26):
            pen.stroke([(0, 0.14), (x, 0.05)], 0.045, leg)
            pen.disc(x, 0.035, 0.035, None, DARK, 0)
        pen.stroke([(0, 0.12), (0, 0.44)], 0.06, leg)
        pen.stroke([(-0.2, 0.5), (-0.25, 0.75)], 0.05, leg)
        pen.slab(-0.3, 0.56, -0.19, 1.06, 0.06, seat)
        pen.slab(-0.26, 0.42, 0.28, 0.52, 0.05, tone(seat, 0.1))
        return
    thick = 0.022
    for a, b in (((-0.13, 0.44), (-0.16, 0.06)), ((0.25, 0.44), (0.26, 0.06))):
        pen.limb(a, b, thick, thick, tone(leg, -0.3), 0)
    if kind < 0.35:  # slats
        for x in (-0.27, -0.14):
            pen.limb((x + 0.04, 0.46), (x - 0.02, 0.92), thick, thick, leg, 0)
        for y in (0.62, 0.74, 0.86):
            pen.poly(
                [(-0.27, y), (-0.12, y + 0.03), (-0.13, y + 0.09), (-0.29, y + 0.06)],
                tone(leg, 0.1),
                0,
            )
    else:
        pen.blob(
            [(-0.25, 0.48), (-0.32, 0.9), (-0.24, 0.98), (-0.12, 0.96), (-0.1, 0.5)], seat, 0.2
        )
    pen.poly([(-0.27, 0.43), (0.2, 0.41), (0.3, 0.47), (-0.14, 0.5)], tone(seat, 0.14), 0.1)
    pen.poly([(-0.27, 0.43), (0.2, 0.41), (0.2, 0.37), (-0.27, 0.39)], tone(seat, -0.18), 0)
    pen.poly([(0.2, 0.41), (0.3, 0.47), (0.3, 0.43), (0.2, 0.37)], tone(seat, -0.3), 0)
    for a, b in (((-0.24, 0.4), (-0.28, 0.0)), ((0.18, 0.39), (0.19, 0.0))):
        pen.limb(a, b, thick, thick, leg, 0)


def dining_table(
    pen: Pen, rng: Random, look: Look, width: float = 1.6, depth: float = 0.22
) -> None:
    """A table, .74 m high, its top ``depth`` high in the picture; square or on one foot."""
    wood = look.wood
    pen.shadow(0, 0.02, width * 0.6, 0.13)
    half, top = width / 2, 0.74
    if rng.random() < 0.35:  # round, on one foot
        pen.disc(0, 0.03, half * 0.42, 0.07, tone(wood, -0.35))
        pen.box(-0.06, 0.04, 0.06, top, tone(wood, -0.2), 0.3)
        pen.disc(0, top + depth / 2 - 0.05, half, depth / 2 + 0.02, tone(wood, -0.3), 0.1)
        pen.disc(0, top + depth / 2, half, depth / 2 + 0.02, tone(wood, 0.14), 0.1)
        return
    for x in (-half * 0.86, half * 0.86):
        pen.box(x - 0.03, 0.14, x + 0.03, top, tone(wood, -0.4), 0.1)
    for x in (-half * 0.95, half * 0.95):
        pen.box(x - 0.04, 0, x + 0.04, top, tone(wood, -0.14), 0.2)
    cloth = rng.random() < 0.3
    cover = tone(look.accent(rng), 0.45) if cloth else tone(wood, 0.16)
    pen.poly(
        [(-half, top), (half, top), (half * 0.88, top + depth), (-half * 0.88, top + depth)],
        cover,
        0.12,
    )
    drop = rng.uniform(0.14, 0.26) if cloth else 0.07
    pen.box(-half, top - drop, half, top, tone(cover, -0.16), 0.1)


def sofa(pen: Pen, rng: Random, look: Look) -> None:
    """A sofa from the front, 1.9 m wide."""
    cloth = look.accent(rng)
    half = rng.uniform(0.78, 1.1)
    pen.shadow(0, 0.03, half * 1.15, 0.14)
    for x in (-half * 0.9, half * 0.9):
        pen.box(x - 0.04, 0, x + 0.04, 0.14, tone(look.wood, -0.3), 0)
    high = rng.uniform(0.78, 0.92)
    pen.slab(-half, 0.1, half, high, 0.14, tone(cloth, -0.12), 0.2)
    seats = 2 if half < 0.95 else 3
    step = (2 * half - 0.36) / seats
    for i in range(seats):
        x = -half + 0.18 + i * step
        pen.slab(x + 0.01, 0.42, x + step - 0.01, high - 0.05, 0.09, cloth, 0.18)
    for i in range(seats):
        x = -half + 0.18 + i * step
        pen.slab(x + 0.005, 0.28, x + step - 0.005, 0.47, 0.05, tone(cloth, 0.12), 0.2)
    pen.box(-half + 0.05, 0.1, half - 0.05, 0.28, tone(cloth, -0.2), 0.1)
    for side in (-1, 1):
        x = side * (half - 0.06)
        pen.slab(x - 0.13, 0.08, x + 0.13, 0.6, 0.11, tone(cloth, 0.04), 0.22)
    for _ in range(rng.randint(0, 2)):
        x = rng.uniform(-half * 0.6, half * 0.5)
        colour = look.accent(rng)
        pen.blob(
            [(x - 0.17, 0.45), (x - 0.15, 0.76), (x + 0.17, 0.78), (x + 0.18, 0.46)], colour, 0.2
        )


def potted_plant(pen: Pen, rng: Random, look: Look, height: float = 0.9) -> None:
    """A plant in a pot: broad leaves, a bush or a cactus, ``height`` metres."""
    pot = rng.choice(((196, 106, 74), (236, 230, 220), look.accent(rng)))
    green = hsv(rng.uniform(0.24, 0.42), rng.uniform(0.35, 0.7), rng.uniform(0.38, 0.66))
    p = height * 0.3
    wide = p * rng.uniform(0.5, 0.65)
    kind = rng.random()
    pen.shadow(0, 0.01, wide * 1.3, height * 0.045)
    if kind < 0.45:  # long leaves
        count = rng.randint(6, 9)
        for i in range(count):
            a = (i / (count - 1) - 0.5) * rng.uniform(2.0, 2.5) + rng.uniform(-0.1, 0.1)
            r = (height - p) * rng.uniform(0.75, 1.05)
            tip = (math.sin(a) * r * 0.9, p + math.cos(a) * r)
            mid = (math.sin(a * 0.7) * r * 0.55, p + math.cos(a * 0.7) * r * 0.62)
            w = height * 0.065
            leaf = [(0, p * 0.9), (mid[0] - w, mid[1]), tip, (mid[0] + w, mid[1] - w * 0.4)]
            pen.blob(leaf, tone(green, rng.uniform(-0.25, 0.2)), 0.1)
    elif kind < 0.85:  # bush
        for _ in range(12):
            a, r = rng.uniform(0, 6.28), (height - p) * 0.36 * math.sqrt(rng.random())
            x, y = math.cos(a) * r * 1.1, p + (height - p) * 0.5 + math.sin(a) * r * 1.2
            s = height * rng.uniform(0.09, 0.15)
            pen.disc(x, y, s, s * 0.8, tone(green, rng.uniform(-0.25, 0.22)), 0.12)
        if rng.random() < 0.35:
            petal = look.accent(rng)
            for _ in range(6):
                pen.disc(
                    rng.uniform(-0.25, 0.25) * height,
                    p + rng.uniform(0.25, 0.65) * height,
                    height * 0.04,
                    None,
                    petal,
                    0,
                )
    else:  # cactus
        pen.limb((0, p), (0, height * 0.85), height * 0.1, height * 0.1, green, 0.25)
        for side, y in ((-1, 0.5), (1, 0.6)):
            x = side * height * 0.22
            pen.stroke(
                [(0, height * y), (x, height * y), (x, height * (y + 0.2))],
                height * 0.09,
                tone(green, -0.08),
            )
    pen.poly([(-wide, p), (wide, p), (wide * 0.72, 0), (-wide * 0.72, 0)], pot, 0.28)
    pen.slab(-wide * 1.1, p * 0.82, wide * 1.1, p * 1.04, 0.01, tone(pot, 0.12), 0.2)


def lamp(pen: Pen, rng: Random, look: Look, height: float = 1.55) -> None:
    """A standing or table lamp with a shade, ``height`` metres."""
    shade = rng.choice((tone(look.accent(rng), 0.35), (246, 232, 200), look.accent(rng)))
    foot = rng.choice((look.wood, (72, 70, 76), (192, 160, 90)))
    lit = look.night or rng.random() < 0.5
    s = height * (0.3 if height > 1 else 0.45)
    pen.shadow(0, 0.01, s * 0.5, height * 0.03)
    pen.disc(0, height * 0.02, s * 0.42, height * 0.02, foot)
    if height < 1 and rng.random() < 0.6:
        pen.blob(
            [
                (-s * 0.1, 0),
                (-s * 0.3, s * 0.5),
                (-s * 0.08, height - s),
                (s * 0.08, height - s),
                (s * 0.3, s * 0.5),
                (s * 0.1, 0),
            ],
            foot,
            0.3,
        )
    pen.stroke([(0, 0), (0, height - s * 0.5)], max(0.02, height * 0.022), foot)
    narrow = rng.uniform(0.4, 0.8)
    if lit:
        pen.glow(0, height - s * 0.5, s * 1.7, s * 1.5, (255, 226, 150), 0.4)
        shade = mix(shade, (255, 240, 190), 0.55)
    pen.poly(
        [
            (-s * 0.62 * narrow, height),
            (s * 0.62 * narrow, height),
            (s * 0.62, height - s),
            (-s * 0.62, height - s),
        ],
        shade,
        0.06 if lit else 0.22,
    )
    pen.stroke([(-s * 0.62, height - s), (s * 0.62, height - s)], 0.02, tone(shade, -0.2))
