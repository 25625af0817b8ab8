"""What stands in streets, fields and harbours."""

from __future__ import annotations

import math
from random import Random

from annotator.scenery.look import Look, jitter
from annotator.scenery.pen import DARK, GLASS, Colour, Pen, mix, tone


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
    for start, end in (
        (crank, seat),
        (crank, head),
        ((-0.15, 0.58) if low else (-0.2, 0.76), head if not low else (0.38, 0.7)),
        ((-0.53, r), crank),
        ((-0.53, r), (-0.18, 0.72)),
        ((0.53, r), (0.34, 0.95)),
    ):
        pen.stroke([start, end], bar, frame)
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
            turn = i * math.pi / 6
            c, s = math.cos(turn), math.sin(turn)
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
        [
            (-long, deck),
            (-long * 0.5, deck - 0.03),
            (long * 0.5, deck),
            (long * 1.06, deck + 0.22),
            (long * 0.86, 0.1),
            (long * 0.4, -0.02),
            (-long * 0.7, -0.02),
            (-long * 0.93, 0.2),
        ],
        hull,
        0.24,
    )
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
