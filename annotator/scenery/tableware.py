"""Small things that rest on tables, shelves and walls."""

from __future__ import annotations

import math
from random import Random

from annotator.scenery.look import Look, jitter
from annotator.scenery.pen import DARK, Pen, mix, tone


def clock(pen: Pen, rng: Random, look: Look) -> None:
    """A round or square wall clock, .34 m, centred on the origin."""
    rim = look.accent(rng) if rng.random() < 0.7 else DARK
    face = rng.choice(((250, 248, 240), (250, 248, 240), (236, 222, 190), (52, 54, 64)))
    hand = DARK if face[0] > 100 else (240, 238, 230)
    r = 0.17
    pen.shadow(0.02, -0.03, r * 1.15, r * 1.15, 0.3)
    if rng.random() < 0.75:
        pen.disc(0, 0, r, None, rim, 0.25)
        pen.disc(0, 0, r * 0.82, None, face, 0.06)
    else:
        pen.slab(-r, -r, r, r, 0.04, rim, 0.25)
        pen.slab(-r * 0.82, -r * 0.82, r * 0.82, r * 0.82, 0.03, face, 0.06)
    for i in range(12):
        a = i * math.pi / 6
        c, s = math.cos(a), math.sin(a)
        pen.stroke(
            [(c * r * 0.64, s * r * 0.64), (c * r * 0.74, s * r * 0.74)],
            0.014 if i % 3 else 0.024,
            hand,
        )
    for reach, width in ((0.4, 0.026), (0.62, 0.018)):
        a = rng.uniform(0, 6.28)
        pen.stroke([(0, 0), (math.cos(a) * r * reach, math.sin(a) * r * reach)], width, hand)
    pen.disc(0, 0, 0.016, None, rim, 0)


def book(pen: Pen, rng: Random, look: Look) -> None:
    """Books: a row, a pile or an open one, about .3 m wide."""
    kind = rng.random()
    pen.shadow(0, 0.005, 0.2, 0.025)
    if kind < 0.4:  # pile
        y = 0.0
        for _ in range(rng.randint(1, 4)):
            thick, half = rng.uniform(0.028, 0.05), rng.uniform(0.1, 0.15)
            x, colour = rng.uniform(-0.03, 0.03), look.accent(rng)
            pen.slab(x - half, y, x + half, y + thick, 0.008, colour, 0.14)
            pen.box(x + half * 0.9, y + 0.006, x + half, y + thick - 0.006, (244, 238, 224), 0)
            pen.stroke(
                [(x - half * 0.7, y + thick / 2), (x - half * 0.2, y + thick / 2)],
                0.008,
                tone(colour, 0.5),
            )
            y += thick
    elif kind < 0.75:  # row
        x = -0.16
        for _ in range(rng.randint(3, 7)):
            thick, high, colour = (
                rng.uniform(0.026, 0.05),
                rng.uniform(0.17, 0.26),
                look.accent(rng),
            )
            pen.box(x, 0, x + thick, high, colour, 0.16)
            pen.box(x + 0.004, high * 0.72, x + thick - 0.004, high * 0.8, tone(colour, 0.45), 0)
            x += thick + 0.002
    else:  # open
        cover, page = look.accent(rng), (248, 242, 228)
        pen.poly([(-0.21, 0), (0.21, 0), (0.17, 0.11), (-0.17, 0.11)], cover, 0.1)
        for side in (-1, 1):
            pen.blob(
                [
                    (0, 0.01),
                    (side * 0.1, 0.028),
                    (side * 0.2, 0.012),
                    (side * 0.165, 0.11),
                    (side * 0.08, 0.125),
                    (0, 0.105),
                ],
                tone(page, -0.05 if side > 0 else 0),
                0.06,
            )
            for y in (0.04, 0.06, 0.08):
                pen.stroke([(side * 0.03, y), (side * 0.15, y + 0.003)], 0.005, (176, 170, 166))


def laptop(pen: Pen, rng: Random, look: Look) -> None:
    """An open laptop, .36 m wide, its screen or its back towards the camera."""
    metal = jitter(rng.choice(((186, 190, 196), (84, 88, 96), (226, 226, 228))), rng, 6)
    pen.shadow(0, 0.005, 0.23, 0.03)
    lean = rng.uniform(-0.03, 0.05)
    screen = [(-0.17, 0.05), (0.17, 0.05), (0.175 + lean, 0.28), (-0.165 + lean, 0.28)]
    pen.poly(screen, metal if rng.random() < 0.3 else (40, 42, 50), 0.1)
    if rng.random() < 0.75:
        glow = mix(look.accent(rng), (236, 244, 250), rng.uniform(0.3, 0.9))
        pen.poly(
            [(-0.155, 0.064), (0.155, 0.064), (0.16 + lean, 0.267), (-0.152 + lean, 0.267)],
            glow,
            0.14,
        )
        for i in range(rng.randint(2, 5)):
            y = 0.24 - i * 0.035
            pen.stroke([(-0.12, y), (rng.uniform(-0.06, 0.12), y)], 0.012, tone(glow, -0.35))
    else:
        pen.disc(lean / 2, 0.17, 0.025, None, tone(metal, 0.4), 0)
    pen.poly([(-0.17, 0.055), (0.17, 0.055), (0.2, 0.0), (-0.2, 0.0)], metal, 0.1)
    pen.poly(
        [(-0.145, 0.048), (0.145, 0.048), (0.155, 0.022), (-0.155, 0.022)], tone(metal, -0.5), 0
    )
    pen.box(-0.2, -0.012, 0.2, 0.002, tone(metal, -0.25), 0)


def cup(pen: Pen, rng: Random, look: Look) -> None:
    """A mug, a tea cup on its saucer or a paper cup, about .1 m high."""
    body = look.accent(rng) if rng.random() < 0.7 else (244, 240, 232)
    kind = rng.random()
    drink = rng.choice(((88, 54, 36), (146, 88, 44), (60, 38, 30)))
    pen.shadow(0, 0.004, 0.065, 0.013)
    if kind < 0.5:  # mug
        pen.ring(0.052, 0.052, 0.026, 0.012, tone(body, -0.12))
        pen.poly(
            [(-0.045, 0.098), (0.045, 0.098), (0.04, 0.006), (0.03, 0), (-0.03, 0), (-0.04, 0.006)],
            body,
            0.3,
        )
        rim = 0.098
        half = 0.045
    elif kind < 0.78:  # saucer
        pen.disc(0, 0.008, 0.082, 0.016, tone(body, 0.15), 0.2)
        pen.ring(0.058, 0.05, 0.02, 0.01, tone(body, -0.1))
        pen.blob(
            [
                (-0.055, 0.08),
                (0.055, 0.08),
                (0.045, 0.035),
                (0.02, 0.012),
                (-0.02, 0.012),
                (-0.045, 0.035),
            ],
            body,
            0.3,
        )
        rim, half = 0.08, 0.055
    else:  # to go
        pen.poly([(-0.044, 0.125), (0.044, 0.125), (0.033, 0), (-0.033, 0)], (246, 242, 234), 0.25)
        pen.poly([(-0.042, 0.09), (0.042, 0.09), (0.037, 0.04), (-0.037, 0.04)], body, 0.25)
        pen.slab(-0.047, 0.122, 0.047, 0.138, 0.005, DARK)
        return
    pen.disc(0, rim, half, half * 0.26, tone(body, 0.25), 0)
    pen.disc(0, rim - 0.002, half * 0.86, half * 0.2, drink, 0)
    if rng.random() < 0.3:
        pen.stroke([(-0.03, 0.05), (0, 0.062), (0.03, 0.05)], 0.01, tone(body, 0.5))


def bottle(pen: Pen, rng: Random, look: Look) -> None:
    """A bottle of glass or plastic, about .28 m high."""
    glass = jitter(
        rng.choice(
            (
                (52, 94, 66),
                (112, 66, 38),
                (150, 196, 206),
                (42, 52, 70),
                (206, 90, 70),
                look.accent(rng),
            )
        ),
        rng,
        10,
    )
    half = rng.uniform(0.032, 0.045)
    shoulder, high = rng.uniform(0.14, 0.19), rng.uniform(0.25, 0.31)
    pen.shadow(0, 0.004, half * 1.4, 0.012)
    pen.poly(
        [
            (-half, 0.008),
            (-half, shoulder),
            (-half * 0.8, shoulder + 0.02),
            (-0.014, shoulder + 0.055),
            (-0.013, high),
            (0.013, high),
            (0.014, shoulder + 0.055),
            (half * 0.8, shoulder + 0.02),
            (half, shoulder),
            (half, 0.008),
            (half * 0.8, 0),
            (-half * 0.8, 0),
        ],
        glass,
        0.34,
    )
    pen.slab(-0.016, high - 0.02, 0.016, high + 0.006, 0.004, look.accent(rng))
    if rng.random() < 0.8:
        label = rng.choice(((244, 236, 214), tone(look.accent(rng), 0.2)))
        pen.box(-half, 0.045, half, 0.12, label, 0.2)
        pen.stroke([(-half * 0.6, 0.09), (half * 0.6, 0.09)], 0.012, tone(label, -0.4))
    pen.stroke([(-half * 0.6, 0.03), (-half * 0.6, shoulder)], 0.008, tone(glass, 0.55))


def bowl(pen: Pen, rng: Random, look: Look) -> None:
    """A bowl, empty or full, about .22 m wide."""
    body = look.accent(rng) if rng.random() < 0.65 else (240, 234, 222)
    half = rng.uniform(0.1, 0.125)
    high = half * rng.uniform(0.62, 0.85)
    pen.shadow(0, 0.004, half, 0.02)
    filling = rng.random()
    if filling < 0.4:  # fruit
        for _ in range(5):
            colour = rng.choice(
                ((222, 64, 50), (244, 164, 44), (132, 176, 60), (240, 204, 66), (128, 52, 88))
            )
            pen.disc(
                rng.uniform(-0.6, 0.6) * half,
                high + rng.uniform(0, 0.03),
                0.036,
                None,
                colour,
                0.25,
            )
        pen.blob(
            [
                (-half, high),
                (half, high),
                (half * 0.8, high * 0.4),
                (half * 0.3, 0),
                (-half * 0.3, 0),
                (-half * 0.8, high * 0.4),
            ],
            body,
            0.3,
        )
        return
    pen.blob(
        [
            (-half, high),
            (0, high - 0.01),
            (half, high),
            (half * 0.8, high * 0.4),
            (half * 0.3, 0),
            (-half * 0.3, 0),
            (-half * 0.8, high * 0.4),
        ],
        body,
        0.3,
    )
    pen.disc(0, high, half, half * 0.24, tone(body, 0.25), 0.1)
    inside = (
        tone(body, -0.3)
        if filling < 0.6
        else rng.choice(((226, 132, 60), (240, 226, 180), (150, 180, 84), (176, 60, 50)))
    )
    pen.disc(0, high - 0.004, half * 0.88, half * 0.19, inside, 0.1)
