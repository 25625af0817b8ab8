"""People and animals."""

from __future__ import annotations

from random import Random

from annotator.scenery.look import HAIRS, SKINS, Look, jitter
from annotator.scenery.pen import DARK, Colour, Pen, mix, tone


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
        (
            ((240, 236, 228), (48, 42, 46)),
            ((238, 228, 214), (140, 84, 52)),
            ((150, 94, 60), (128, 76, 48)),
            ((62, 52, 52), (50, 42, 44)),
            ((214, 178, 134), (236, 222, 204)),
        )
    )
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
        rng.choice(((196, 142, 82), (92, 62, 46), (58, 52, 56), (232, 214, 186), (168, 98, 54))),
        rng,
        8,
    )
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
            [
                (-0.38, y + 0.08),
                (-0.15, y + 0.13),
                (0.2, y + 0.16),
                (0.38, y + 0.2),
                (0.38, y - 0.06),
                (0.12, y - 0.15),
                (-0.15, y - 0.08),
                (-0.36, y - 0.1),
            ],
            coat,
            0.22,
        )
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
        rng.choice(((70, 66, 72), (212, 136, 70), (150, 142, 140), (240, 232, 222), (108, 84, 66))),
        rng,
        8,
    )
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
            [
                (hx + side * 0.085, hy + 0.02),
                (hx + side * 0.08, hy + 0.14),
                (hx + side * 0.01, hy + 0.07),
            ],
            tone(coat, -0.08),
            0,
        )
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
