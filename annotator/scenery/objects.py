"""The kinds of object that pictures are labelled with.

Each function draws one object about as large as life: metres, y up, the origin in the middle of
where it stands, hangs or floats. All their variety comes from the generator they are given.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from random import Random
from types import MappingProxyType

from annotator.scenery.look import HAIRS, SKINS, Look, hsv, jitter
from annotator.scenery.pen import Colour, Pen, Point, mix, tone

Draw = Callable[[Pen, Random, Look], None]
DARK: Colour = (44, 42, 54)
GLASS: Colour = (176, 208, 222)


def person(pen: Pen, rng: Random, look: Look) -> None:
    """Someone standing or walking, in trousers, a skirt or a coat, 1.7 m."""
    skin, hair = rng.choice(SKINS), rng.choice(HAIRS)
    top, bottom = look.accent(rng), mix(look.accent(rng), DARK, rng.uniform(0.15, 0.6))
    stride = rng.choice((0.05, rng.uniform(0.12, 0.3)))
    dress = rng.random()
    leg = skin if dress < 0.35 else bottom
    pen.shadow(0, 0.02, 0.34, 0.07)
    for side, dark in ((1, 0.18), (-1, 0.0)):
        foot = (side * (stride + 0.03), 0.06 + (0.03 if side > 0 and stride > 0.1 else 0))
        knee = (side * (stride * 0.55 + 0.05) + 0.03, 0.47)
        pen.limb((side * 0.07, 0.86), knee, 0.095, 0.065, tone(leg, -dark), 0)
        pen.limb(knee, foot, 0.065, 0.045, tone(leg, -dark), 0)
        pen.limb((foot[0] - 0.03, 0.035), (foot[0] + 0.1, 0.03), 0.045, 0.03, tone(bottom, -0.5), 0)
    pose = rng.random()
    hands = (
        [(-0.3, 0.86), (0.3, 0.88)] if pose < 0.5
        else [(-0.26 - stride, 0.95), (0.26 + stride, 0.97)] if pose < 0.75
        else [(-0.3, 0.86), (0.42, 1.62 if rng.random() < 0.4 else 1.12)]
    )  # fmt: skip
    sleeve = skin if rng.random() < 0.35 else top

    def arm(side: int, colour: Colour) -> None:
        hand = hands[side > 0]
        elbow = ((side * 0.24 + hand[0]) / 2 + side * 0.07, (1.36 + hand[1]) / 2 - 0.03)
        pen.limb((side * 0.19, 1.36), elbow, 0.07, 0.055, tone(top, -0.2 if side > 0 else 0), 0)
        pen.limb(elbow, hand, 0.052, 0.04, colour, 0)
        pen.disc(hand[0], hand[1], 0.05, None, skin, 0)

    if rng.random() < 0.35:  # long hair behind
        pen.blob([(-0.16, 1.6), (0, 1.75), (0.16, 1.6), (0.15, 1.25), (-0.15, 1.25)], hair, 0.1)
    arm(1, tone(sleeve, -0.2))
    if dress < 0.3:  # skirt
        flare = rng.uniform(0.22, 0.36)
        pen.poly([(-0.16, 1.0), (0.16, 1.0), (flare, 0.5), (-flare, 0.5)], bottom)
    elif dress < 0.5:  # coat
        pen.poly([(-0.2, 1.1), (0.2, 1.1), (0.26, 0.55), (-0.26, 0.55)], top)
    else:
        pen.poly([(-0.18, 1.0), (0.18, 1.0), (0.19, 0.78), (-0.19, 0.78)], bottom)
    wide = rng.uniform(0.19, 0.24)
    pen.blob(
        [(-0.08, 1.46), (0.08, 1.46), (wide, 1.38), (wide - 0.03, 1.1), (0.19, 0.87),
         (-0.19, 0.87), (0.03 - wide, 1.1), (-wide, 1.38)], top, 0.2,
    )  # fmt: skip
    arm(-1, sleeve)
    pen.limb((0, 1.44), (0.01, 1.55), 0.06, 0.055, tone(skin, -0.15), 0)
    pen.disc(0.01, 1.61, 0.115, 0.14, skin, 0.14)
    _hair(pen, rng, hair, look)


def _hair(pen: Pen, rng: Random, hair: Colour, look: Look) -> None:
    """Hair or a hat on a head of radius .12 at (0, 1.61)."""
    style = rng.random()
    if style < 0.8:
        pen.blob(
            [(-0.125, 1.56), (-0.12, 1.7), (0, 1.775), (0.13, 1.71), (0.13, 1.64), (0.02, 1.7),
             (-0.06, 1.66)], hair, 0.1,
        )  # fmt: skip
        if style < 0.2:
            pen.disc(-0.08, 1.8, 0.065, None, hair)
    else:
        colour = look.accent(rng)
        pen.blob([(-0.13, 1.66), (-0.1, 1.77), (0.05, 1.79), (0.13, 1.7), (0.13, 1.66)], colour)
        pen.limb((-0.16 if style < 0.9 else 0, 1.66), (0.2, 1.66), 0.02, 0.02, tone(colour, -0.2))


def _four_legs(
    pen: Pen, xs: tuple[float, ...], hip: float, thick: float, colour: Colour, hoof: Colour
) -> None:
    """Four legs; the second pair is further away and darker."""
    for i, x in enumerate(xs):
        shade = tone(colour, -0.22) if i % 2 else colour
        lift = 0.02 if i % 2 else 0.0
        pen.limb((x, hip), (x + 0.02, lift + thick), thick * 1.25, thick * 0.75, shade, 0)
        pen.limb(
            (x + 0.02, lift + thick * 0.6), (x + 0.05, lift + thick * 0.6), thick, thick, hoof, 0
        )


def cow(pen: Pen, rng: Random, look: Look) -> None:
    """A cow from the side, standing or grazing, 1.45 m high."""
    coat, patch = rng.choice(
        (((240, 236, 228), (48, 42, 46)), ((238, 228, 214), (140, 84, 52)), ((150, 94, 60), (128, 76, 48)),
         ((62, 52, 52), (50, 42, 44)), ((214, 178, 134), (236, 222, 204)))
    )  # fmt: skip
    coat = jitter(coat, rng, 8)
    pen.shadow(0, 0.03, 1.0, 0.13)
    _four_legs(pen, (-0.62, -0.45, 0.5, 0.66), 0.6, 0.075, coat, (58, 46, 44))
    pen.stroke([(-0.92, 1.22), (-1.0, 1.0), (-0.97, 0.55)], 0.04, tone(coat, -0.2))
    pen.disc(-0.98, 0.52, 0.045, 0.09, patch, 0)
    pen.disc(-0.45, 0.55, 0.14, 0.1, (232, 176, 168), 0.1)
    pen.blob(
        [(-0.95, 1.2), (-0.5, 1.36), (0.3, 1.34), (0.8, 1.38), (0.9, 1.05), (0.66, 0.66), (0, 0.56),
         (-0.6, 0.6), (-0.9, 0.82)], coat, 0.24,
    )  # fmt: skip
    for _ in range(rng.randint(2, 4)):
        x, y, r = rng.uniform(-0.65, 0.5), rng.uniform(0.85, 1.12), rng.uniform(0.1, 0.2)
        pen.blob(
            [(x - r, y), (x, y + r * 0.9), (x + r * 1.2, y + 0.05), (x + 0.05, y - r)], patch, 0.1
        )
    down = rng.random() < 0.4
    hx, hy = (1.15, 0.62) if down else (1.12, 1.35)
    pen.limb((0.75, 1.18), (hx - 0.08, hy + 0.04), 0.24, 0.15, coat, 0.15)
    pen.limb((hx - 0.05, hy + 0.16), (hx - 0.24, hy + 0.2), 0.035, 0.06, patch, 0)
    pen.stroke(
        [(hx - 0.02, hy + 0.2), (hx + 0.02, hy + 0.32), (hx + 0.1, hy + 0.34)],
        0.04,
        (226, 214, 190),
    )
    pen.limb(
        (hx, hy + 0.06),
        (hx + 0.22, hy - 0.12),
        0.17,
        0.11,
        patch if rng.random() < 0.5 else coat,
        0.1,
    )
    pen.disc(hx + 0.27, hy - 0.15, 0.11, 0.09, (226, 176, 164), 0.1)
    pen.disc(hx + 0.05, hy + 0.08, 0.024, None, (26, 22, 24), 0)


def sheep(pen: Pen, rng: Random, look: Look) -> None:
    """A woolly sheep from the side, .9 m high."""
    wool = jitter(
        rng.choice(((244, 238, 226), (232, 222, 204), (246, 242, 236), (96, 84, 78))), rng, 6
    )
    face = rng.choice(((52, 46, 50), (226, 200, 178), (84, 66, 58)))
    pen.shadow(0, 0.02, 0.55, 0.09)
    _four_legs(pen, (-0.33, -0.23, 0.25, 0.35), 0.36, 0.045, face, tone(face, -0.3))
    bumps = [(-0.42, 0.6), (-0.3, 0.76), (-0.08, 0.83), (0.16, 0.82), (0.36, 0.74), (0.46, 0.58),
             (0.36, 0.42), (0.14, 0.36), (-0.1, 0.35), (-0.32, 0.42)]  # fmt: skip
    for x, y in bumps:
        r = rng.uniform(0.13, 0.17)
        pen.disc(x, y, r, r, tone(wool, -0.1 if y < 0.6 else 0), 0.1)
    pen.disc(0, 0.6, 0.42, 0.24, wool, 0.14)
    for x, y in ((-0.2, 0.62), (0.05, 0.7), (0.22, 0.56), (-0.02, 0.5)):
        pen.stroke([(x - 0.06, y), (x, y - 0.04), (x + 0.06, y)], 0.02, tone(wool, -0.14))
    hy = 0.34 if rng.random() < 0.35 else 0.76
    pen.limb((0.5, hy + 0.05), (0.66, hy - 0.08), 0.12, 0.075, face, 0.1)
    pen.limb((0.46, hy + 0.08), (0.34, hy + 0.05), 0.03, 0.045, tone(face, -0.15), 0)
    pen.disc(0.46, hy + 0.15, 0.11, 0.08, wool, 0.1)
    pen.disc(0.57, hy + 0.04, 0.018, None, (250, 250, 250) if face[0] < 100 else DARK, 0)


def dog(pen: Pen, rng: Random, look: Look) -> None:
    """A dog, standing, sitting or short-legged, about .6 m high."""
    coat = jitter(
        rng.choice(((196, 142, 82), (92, 62, 46), (58, 52, 56), (232, 214, 186), (168, 98, 54))), rng, 8
    )  # fmt: skip
    light = tone(coat, 0.4)
    leg = rng.choice((0.18, 0.3, 0.36))
    y = leg + 0.14
    pen.shadow(0, 0.02, 0.4, 0.07)
    if rng.random() < 0.35:  # sitting
        pen.stroke([(-0.2, 0.08), (-0.36, 0.1), (-0.42, 0.22)], 0.055, coat)
        pen.blob([(-0.24, 0.02), (-0.26, 0.25), (0.0, 0.6), (0.16, 0.55), (0.16, 0.02)], coat, 0.22)
        pen.limb((0.12, 0.35), (0.14, 0.05), 0.06, 0.045, tone(coat, 0.1), 0)
        pen.disc(-0.12, 0.13, 0.15, 0.13, tone(coat, -0.1))
        hx, hy = 0.14, 0.68
    else:
        tail = rng.uniform(-0.1, 0.2)
        pen.stroke([(-0.36, y + 0.08), (-0.48, y + 0.16), (-0.54, y + 0.2 + tail)], 0.055, coat)
        _four_legs(pen, (-0.3, -0.2, 0.18, 0.28), y, 0.05, coat, tone(coat, 0.2))
        pen.blob(
            [(-0.38, y + 0.08), (-0.15, y + 0.13), (0.2, y + 0.16), (0.38, y + 0.2), (0.38, y - 0.06),
             (0.12, y - 0.15), (-0.15, y - 0.08), (-0.36, y - 0.1)], coat, 0.22,
        )  # fmt: skip
        pen.limb((0.3, y + 0.08), (0.42, y + 0.24), 0.12, 0.1, coat, 0.1)
        hx, hy = 0.44, y + 0.3
    pen.disc(hx, hy, 0.14, 0.13, coat, 0.16)
    pen.limb((hx + 0.08, hy - 0.04), (hx + 0.21, hy - 0.06), 0.075, 0.055, light, 0.1)
    pen.disc(hx + 0.26, hy - 0.03, 0.03, None, DARK, 0)
    pen.disc(hx + 0.06, hy + 0.04, 0.02, None, DARK, 0)
    ear = tone(coat, -0.3)
    if rng.random() < 0.6:
        pen.blob(
            [
                (hx - 0.04, hy + 0.12),
                (hx - 0.15, hy + 0.04),
                (hx - 0.13, hy - 0.13),
                (hx - 0.04, hy - 0.05),
            ],
            ear,
            0,
        )
    else:
        pen.poly([(hx - 0.12, hy + 0.06), (hx - 0.09, hy + 0.24), (hx + 0.02, hy + 0.1)], ear, 0)
    if rng.random() < 0.5:
        pen.stroke([(hx - 0.13, hy - 0.12), (hx + 0.02, hy - 0.15)], 0.045, look.accent(rng))


def cat(pen: Pen, rng: Random, look: Look) -> None:
    """A cat, sitting, lying or walking, about .35 m high."""
    coat = jitter(
        rng.choice(((70, 66, 72), (212, 136, 70), (150, 142, 140), (240, 232, 222), (108, 84, 66))), rng, 8
    )  # fmt: skip
    dark, pose = tone(coat, -0.3), rng.random()
    pen.shadow(0, 0.01, 0.22, 0.04)
    if pose < 0.5:  # sitting
        pen.stroke([(-0.1, 0.03), (-0.22, 0.03), (-0.27, 0.1), (-0.22, 0.16)], 0.04, dark)
        pen.blob([(-0.13, 0.0), (-0.14, 0.12), (-0.04, 0.3), (0.08, 0.28), (0.11, 0.0)], coat, 0.22)
        pen.limb((0.05, 0.14), (0.07, 0.03), 0.03, 0.028, tone(coat, 0.12), 0)
        hx, hy = 0.03, 0.34
    elif pose < 0.75:  # lying
        pen.stroke([(-0.25, 0.05), (-0.36, 0.03), (-0.4, 0.1)], 0.045, dark)
        pen.blob([(-0.3, 0.0), (-0.3, 0.12), (-0.1, 0.19), (0.14, 0.15), (0.26, 0.0)], coat, 0.22)
        hx, hy = 0.2, 0.19
    else:
        pen.stroke([(-0.2, 0.22), (-0.3, 0.32), (-0.28, 0.44)], 0.035, dark)
        _four_legs(pen, (-0.18, -0.12, 0.1, 0.16), 0.18, 0.026, coat, coat)
        pen.blob(
            [(-0.23, 0.22), (-0.05, 0.26), (0.2, 0.26), (0.2, 0.15), (-0.02, 0.14), (-0.22, 0.14)],
            coat,
            0.2,
        )
        hx, hy = 0.25, 0.29
    for side in (-1, 1):
        pen.poly(
            [(hx + side * 0.085, hy + 0.02), (hx + side * 0.08, hy + 0.14), (hx + side * 0.01, hy + 0.07)],
            tone(coat, -0.08), 0,
        )  # fmt: skip
    pen.disc(hx, hy, 0.095, 0.08, coat, 0.14)
    if rng.random() < 0.5:
        for x in (-0.18, -0.08) if pose >= 0.5 else (-0.1, -0.06):
            pen.stroke([(x, 0.16), (x + 0.01, 0.1)], 0.018, dark)
    eye = rng.choice(((236, 208, 74), (132, 190, 96), (128, 188, 214)))
    for side in (-1, 1):
        pen.disc(hx + side * 0.038, hy + 0.012, 0.017, 0.02, eye, 0)
        pen.disc(hx + side * 0.038, hy + 0.012, 0.007, 0.018, DARK, 0)
    pen.disc(hx, hy - 0.022, 0.012, 0.009, (224, 150, 142), 0)


def bird(pen: Pen, rng: Random, look: Look) -> None:
    """A perched or standing bird, a gull or a small coloured one, about .4 m long."""
    gull = rng.random() < 0.5
    coat = (
        (244, 244, 242)
        if gull
        else jitter(
            rng.choice(
                ((104, 110, 122), (128, 96, 72), (68, 116, 168), (196, 84, 60), (54, 54, 60))
            ),
            rng,
            10,
        )
    )
    wing = (150, 160, 172) if gull else tone(coat, -0.28)
    bill = (238, 172, 52)
    pen.shadow(0, 0.0, 0.15, 0.025)
    for x in (-0.01, 0.04):
        pen.stroke([(x, 0.12), (x + 0.01, 0.0), (x + 0.04, 0.0)], 0.014, tone(bill, -0.15))
    pen.poly([(-0.14, 0.2), (-0.34, 0.13), (-0.33, 0.19), (-0.1, 0.27)], wing, 0)
    pen.blob(
        [(-0.2, 0.17), (-0.1, 0.27), (0.08, 0.31), (0.15, 0.2), (0.04, 0.1), (-0.1, 0.11)],
        coat,
        0.2,
    )
    pen.blob([(-0.27, 0.15), (-0.08, 0.26), (0.05, 0.24), (0.0, 0.15), (-0.1, 0.13)], wing, 0.1)
    pen.disc(0.13, 0.33, 0.075, 0.07, coat, 0.12)
    pen.poly([(0.19, 0.35), (0.29, 0.32), (0.19, 0.305)], bill, 0)
    pen.disc(0.155, 0.345, 0.013, None, DARK, 0)


def flying_bird(pen: Pen, rng: Random, look: Look) -> None:
    """A bird in flight, wings spread, 1.1 m across."""
    coat = jitter(
        rng.choice(((246, 246, 244), (246, 246, 244), (84, 86, 98), (52, 50, 60))), rng, 5
    )
    lift = rng.uniform(-0.1, 0.35)
    tip = tone(coat, -0.45)
    for side in (-1, 1):
        mid, end = (side * 0.3, lift * 0.8 + 0.12), (side * 0.62, lift * 0.5)
        wing = [
            (side * 0.03, 0.05),
            mid,
            end,
            (side * 0.3, lift * 0.8 - 0.02),
            (side * 0.05, -0.07),
        ]
        pen.poly(wing, tone(coat, -0.1 if side > 0 else -0.02), 0.12)
        pen.poly(
            [
                (end[0] * 0.8, end[1] + 0.045 + lift * 0.06),
                end,
                (end[0] * 0.78, end[1] - 0.01 + lift * 0.06),
            ],
            tip,
            0,
        )
    pen.poly([(-0.05, 0), (-0.2, -0.12), (-0.08, -0.14)], tone(coat, -0.15), 0)
    pen.blob([(-0.13, -0.07), (0.02, 0.05), (0.16, 0.06), (0.18, 0.0), (0.02, -0.09)], coat, 0.14)
    pen.poly([(0.17, 0.055), (0.25, 0.02), (0.17, 0.01)], (238, 172, 52), 0)


def car(pen: Pen, rng: Random, look: Look) -> None:
    """A small, a family or an estate car from the side, 4 m long; sometimes from the front."""
    paint = (
        look.accent(rng)
        if rng.random() < 0.7
        else jitter(rng.choice(((236, 236, 232), (60, 64, 72), (168, 172, 178))), rng, 6)
    )
    if rng.random() < 0.3:
        _car_front(pen, rng, paint, look)
        return
    long = rng.uniform(1.75, 2.15)
    roof = rng.uniform(1.36, 1.55)
    back = rng.choice((-0.55, -0.8, -0.97)) * long
    pen.shadow(0, 0.08, long * 1.05, 0.2, 0.55)
    pen.blob(
        [(-long, 0.42), (-long * 0.99, 0.8), (back, 0.98), (long * 0.42, 0.98), (long * 0.92, 0.86),
         (long, 0.6), (long * 0.98, 0.34), (0, 0.3), (-long * 0.96, 0.3)], paint, 0.26,
    )  # fmt: skip
    pen.poly(
        [(back, 0.94), (back + 0.3, roof), (long * 0.14, roof), (long * 0.5, 0.94)], paint, 0.1
    )
    pillar = back * 0.38 + long * 0.1
    for x0, x1, x2, x3 in (
        (back + 0.14, back + 0.36, pillar - 0.05, pillar - 0.05),
        (pillar + 0.05, pillar + 0.05, long * 0.11, long * 0.38),
    ):
        pen.poly(
            [(x0, 0.96), (x1, roof - 0.09), (x2, roof - 0.09), (x3, 0.96)],
            mix(GLASS, (50, 66, 84), 0.35),
            0.3,
        )
    pen.stroke([(pillar, 0.92), (pillar, 0.42)], 0.02, tone(paint, -0.3))
    pen.limb((pillar - 0.3, 0.82), (pillar - 0.16, 0.82), 0.02, 0.02, tone(paint, -0.4), 0)
    pen.box(-long * 0.97, 0.32, long * 0.97, 0.4, tone(paint, -0.55), 0)
    pen.disc(long * 0.93, 0.7, 0.09, 0.07, (255, 244, 196), 0)
    pen.box(-long, 0.66, -long * 0.95, 0.82, (208, 58, 48), 0)
    for x in (-long * 0.6, long * 0.6):
        _wheel(pen, x, 0.34)
    if look.night:
        pen.glow(long * 1.25, 0.55, 0.7, 0.3, (255, 236, 170), 0.5)


def _wheel(pen: Pen, x: float, r: float) -> None:
    """A tyre with a rim, standing on the ground."""
    pen.disc(x, r, r, None, (38, 38, 44), 0.1)
    pen.disc(x, r, r * 0.58, None, (176, 180, 186), 0.2)
    pen.disc(x, r, r * 0.2, None, (90, 92, 98), 0)


def _car_front(pen: Pen, rng: Random, paint: Colour, look: Look) -> None:
    """A car coming towards the camera, 1.75 m wide."""
    pen.shadow(0, 0.05, 1.0, 0.16, 0.55)
    for x in (-0.68, 0.68):
        pen.slab(x - 0.14, 0, x + 0.14, 0.5, 0.06, (36, 36, 42))
    pen.blob([(-0.6, 0.95), (-0.5, 1.42), (0.5, 1.42), (0.6, 0.95)], paint)
    pen.poly(
        [(-0.62, 0.93), (-0.5, 1.34), (0.5, 1.34), (0.62, 0.93)],
        mix(GLASS, (40, 56, 74), 0.3),
        0.35,
    )
    pen.slab(-0.88, 0.25, 0.88, 0.97, 0.16, paint, 0.26)
    pen.slab(-0.4, 0.42, 0.4, 0.6, 0.05, (40, 42, 50))
    pen.slab(-0.86, 0.24, 0.86, 0.36, 0.05, tone(paint, -0.4))
    for x in (-0.66, 0.66):
        pen.disc(x, 0.68, 0.15, 0.1, (255, 246, 208), 0.1)
        if look.night:
            pen.glow(x, 0.68, 0.5, 0.4, (255, 236, 170), 0.7)
    pen.box(-0.22, 0.28, 0.22, 0.38, (240, 240, 232), 0)


def bicycle(pen: Pen, rng: Random, look: Look) -> None:
    """A bicycle from the side, 1.75 m long."""
    frame = look.accent(rng)
    tyre = (48, 46, 52)
    r = 0.34
    pen.shadow(0, 0.02, 0.9, 0.07, 0.35)
    for x in (-0.53, 0.53):
        pen.ring(x, r, r, 0.045, tyre)
        pen.ring(x, r, r - 0.035, 0.018, (186, 188, 192))
        if pen.pixels > 90:
            for i in range(6):
                a = i * math.pi / 6 + 0.2
                dx, dy = (r - 0.03) * math.cos(a), (r - 0.03) * math.sin(a)
                pen.stroke([(x - dx, r - dy), (x + dx, r + dy)], 0.008, (186, 188, 192))
    seat, head, crank = (-0.22, 0.86), (0.36, 0.84), (-0.08, 0.3)
    low = rng.random() < 0.4
    bar = 0.055
    for a, b in (
        (crank, seat), (crank, head), ((-0.15, 0.58) if low else (-0.2, 0.76), head if not low else (0.38, 0.7)),
        ((-0.53, r), crank), ((-0.53, r), (-0.18, 0.72)), ((0.53, r), (0.34, 0.95)),
    ):  # fmt: skip
        pen.stroke([a, b], bar, frame)
    pen.disc(crank[0], crank[1], 0.085, None, (84, 84, 92), 0)
    pen.stroke([(crank[0] - 0.08, crank[1] - 0.14), (crank[0] + 0.08, crank[1] + 0.14)], 0.03, tyre)
    pen.limb((seat[0] - 0.13, 0.92), (seat[0] + 0.1, 0.91), 0.045, 0.025, (58, 44, 40), 0)
    pen.stroke([(0.34, 0.93), (0.32, 1.02), (0.44, 1.06), (0.47, 0.98)], 0.035, (70, 70, 78))
    if rng.random() < 0.45:
        pen.poly([(0.42, 0.96), (0.72, 0.96), (0.68, 0.72), (0.46, 0.72)], (178, 136, 88), 0.2)
    if rng.random() < 0.4:
        pen.stroke(
            [(-0.9, 0.42), (-0.75, 0.66), (-0.53, 0.73), (-0.35, 0.68)], 0.03, tone(frame, -0.3)
        )


def traffic_light(pen: Pen, rng: Random, look: Look) -> None:
    """A traffic light on its post, 3 m high."""
    lit = rng.randrange(3)
    pen.shadow(0, 0.03, 0.22, 0.06)
    pole = rng.choice(((72, 78, 84), (54, 62, 58), (120, 124, 128)))
    pen.box(-0.06, 0, 0.06, 2.3, pole, 0.3)
    pen.box(-0.13, 0, 0.13, 0.22, tone(pole, -0.2))
    if rng.random() < 0.3:
        pen.slab(-0.29, 2.0, 0.29, 3.22, 0.08, (232, 230, 222))
    pen.slab(-0.23, 2.06, 0.23, 3.16, 0.1, (38, 42, 44), 0.2)
    for i, colour in enumerate(((232, 56, 46), (250, 190, 44), (64, 196, 106))):
        y = 2.96 - i * 0.35
        pen.disc(0, y, 0.145, None, colour if i == lit else mix(colour, (30, 32, 36), 0.72), 0.1)
        if i == lit:
            pen.glow(0, y, 0.3, 0.3, colour, 0.6 if look.night else 0.28)
        pen.stroke(
            [(-0.17, y + 0.06), (-0.1, y + 0.16), (0.1, y + 0.16), (0.17, y + 0.06)],
            0.03,
            (24, 26, 28),
        )
    if rng.random() < 0.4:
        pen.slab(0.06, 1.35, 0.34, 1.95, 0.06, (38, 42, 44), 0.2)
        pen.disc(0.2, 1.77, 0.09, None, (214, 60, 50), 0)
        pen.disc(0.2, 1.53, 0.09, None, (44, 84, 60), 0)


def tractor(pen: Pen, rng: Random, look: Look) -> None:
    """A tractor from the side, 3.4 m long."""
    paint = rng.choice(
        ((58, 124, 62), (204, 52, 42), (36, 96, 160), (232, 150, 40), look.accent(rng))
    )
    hub = rng.choice(((242, 206, 72), (238, 236, 228), tone(paint, 0.4)))
    pen.shadow(0, 0.06, 2.0, 0.22, 0.5)
    if rng.random() < 0.75:  # cab
        pen.poly(
            [(-1.1, 1.3), (-1.0, 2.5), (-0.02, 2.5), (0.12, 1.3)],
            mix(GLASS, (70, 92, 104), 0.3),
            0.3,
        )
        for a, b in (
            ((-1.1, 1.25), (-1.0, 2.5)),
            ((-0.02, 2.5), (0.12, 1.25)),
            ((-0.5, 1.3), (-0.48, 2.5)),
        ):
            pen.stroke([a, b], 0.08, tone(paint, -0.15))
        pen.slab(-1.14, 2.45, 0.1, 2.62, 0.06, paint)
    else:
        pen.slab(-0.75, 1.2, -0.25, 1.3, 0.04, DARK)
        pen.limb((-0.75, 1.25), (-0.82, 1.65), 0.07, 0.06, DARK, 0)
        pen.stroke([(0.1, 1.35), (-0.15, 1.65)], 0.05, DARK)
    pen.box(0.2, 0.6, 1.6, 0.85, (60, 60, 64))
    pen.slab(0.05, 0.78, 1.65, 1.5, 0.14, paint, 0.26)
    pen.slab(-1.2, 0.8, 0.3, 1.4, 0.1, tone(paint, -0.08), 0.2)
    for x in (0.6, 0.8, 1.0):
        pen.stroke([(x, 0.98), (x, 1.32)], 0.05, tone(paint, -0.4))
    pen.box(1.56, 0.86, 1.66, 1.4, (52, 54, 58), 0)
    pen.stroke([(0.75, 1.5), (0.75, 2.15)], 0.08, (66, 66, 72))
    pen.disc(-0.7, 0.86, 0.92, None, tone(paint, -0.1), 0.1)
    for x, r in ((-0.7, 0.82), (1.25, 0.48)):
        for i in range(12):
            a = i * math.pi / 6
            c, s = math.cos(a), math.sin(a)
            pen.limb(
                (x + c * r * 0.86, r + s * r * 0.86),
                (x + c * r * 0.98, r + s * r * 0.98),
                r * 0.1,
                r * 0.08,
                (34, 34, 40),
                0,
            )
        pen.disc(x, r, r * 0.94, None, (42, 42, 48), 0.12)
        pen.disc(x, r, r * 0.55, None, hub, 0.2)
        pen.disc(x, r, r * 0.2, None, tone(hub, -0.45), 0)


def boat(pen: Pen, rng: Random, look: Look) -> None:
    """A sailing, fishing or rowing boat on the water, 4 to 6 m long."""
    hull = look.accent(rng) if rng.random() < 0.7 else (240, 238, 232)
    kind = rng.random()
    long = rng.uniform(2.2, 3.0) if kind < 0.75 else 1.9
    deck = 0.75 if kind < 0.75 else 0.5
    pen.shadow(0, -0.05, long * 1.05, 0.22, 0.35)
    if kind < 0.42:  # sails
        mast = rng.uniform(4.2, 5.6)
        sail = rng.choice(((250, 246, 236), (250, 246, 236), look.accent(rng)))
        pen.stroke([(0.1, deck), (0.1, mast)], 0.08, (122, 92, 66))
        pen.poly(
            [
                (0.2, mast - 0.1),
                (0.2, deck + 0.35),
                (-long * 0.85, deck + 0.35),
                (-long * 0.2, mast * 0.55),
            ],
            sail,
            0.16,
        )
        if rng.random() < 0.7:
            pen.poly(
                [(0.3, mast * 0.9), (0.3, deck + 0.3), (long * 0.85, deck + 0.2)],
                tone(sail, -0.08),
                0.16,
            )
    elif kind < 0.75:  # cabin
        pen.slab(-long * 0.45, deck - 0.1, long * 0.15, deck + 0.85, 0.1, (244, 240, 230), 0.14)
        for x in (-long * 0.35, -long * 0.12):
            pen.slab(x, deck + 0.35, x + 0.42, deck + 0.65, 0.06, (72, 104, 124), 0.2)
        pen.slab(-long * 0.5, deck + 0.8, long * 0.2, deck + 0.95, 0.05, look.accent(rng))
        pen.stroke(
            [(long * 0.3, deck), (long * 0.3, deck + 1.9), (-long * 0.3, deck + 0.9)],
            0.05,
            (92, 80, 72),
        )
    pen.blob(
        [(-long, deck), (-long * 0.5, deck - 0.03), (long * 0.5, deck), (long * 1.06, deck + 0.22),
         (long * 0.86, 0.1), (long * 0.4, -0.02), (-long * 0.7, -0.02), (-long * 0.93, 0.2)], hull, 0.24,
    )  # fmt: skip
    pen.stroke(
        [(-long * 0.99, deck - 0.1), (0, deck - 0.15), (long * 0.98, deck + 0.08)],
        0.09,
        tone(hull, 0.55),
    )
    pen.poly(
        [(-long * 0.86, 0.1), (long * 0.85, 0.14), (long * 0.6, -0.06), (-long * 0.75, -0.06)],
        tone(hull, -0.4),
        0,
    )
    if kind >= 0.75:
        pen.stroke([(-0.5, deck + 0.1), (0.9, -0.1)], 0.06, (170, 128, 86))
    for _ in range(3):
        x = rng.uniform(-long, long * 0.6)
        pen.stroke([(x, -0.1), (x + rng.uniform(0.5, 1.2), -0.1)], 0.05, (236, 246, 248))


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
        pen.glow(0, height - s * 0.5, s * 1.7, s * 1.5, (255, 226, 150), 0.55)
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
        [(-half, 0.008), (-half, shoulder), (-half * 0.8, shoulder + 0.02), (-0.014, shoulder + 0.055), (-0.013, high),
         (0.013, high), (0.014, shoulder + 0.055), (half * 0.8, shoulder + 0.02), (half, shoulder), (half, 0.008),
         (half * 0.8, 0), (-half * 0.8, 0)], glass, 0.34,
    )  # fmt: skip
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


DRAWINGS: Mapping[str, Draw] = MappingProxyType(
    {
        "person": person, "dog": dog, "cat": cat, "bird": bird, "cow": cow, "sheep": sheep,
        "car": car, "bicycle": bicycle, "tractor": tractor, "boat": boat,
        "traffic light": traffic_light, "bench": bench, "umbrella": umbrella, "chair": chair,
        "dining table": dining_table, "sofa": sofa, "potted plant": potted_plant, "lamp": lamp,
        "clock": clock, "book": book, "laptop": laptop, "cup": cup, "bottle": bottle, "bowl": bowl,
    }
)  # fmt: skip
