"""Places under the sky: street, park, farm, harbour, beach and the terrace of a café."""

from __future__ import annotations

from random import Random

from annotator.scenery import clutter
from annotator.scenery.look import Look, hsv, jitter
from annotator.scenery.pen import Canvas, Colour, Pen, mix, tone
from annotator.scenery.stage import WEATHERS, Shelf, Stage, Weather, at, rect


def _sky(canvas: Canvas, weather: Weather, rng: Random, horizon: float, aspect: float) -> None:
    """Sky down to the horizon with sun or moon and a few clouds."""
    canvas.sweep((weather.top, weather.top, weather.low, weather.low), 0, min(1, horizon + 0.15))
    if rng.random() < 0.5:
        x, y = rng.uniform(0.1, aspect - 0.1), rng.uniform(0.06, horizon * 0.7)
        sun = (250, 244, 222) if weather.night else mix(weather.low, (255, 250, 220), 0.75)
        pen = at(canvas, x, y, 1)
        pen.glow(0, 0, 0.22, 0.22, sun, 0.5)
        pen.disc(0, 0, 0.04, None, sun, 0)
    cloud = mix(weather.low, (255, 255, 255), 0.15 if weather.night else 0.6)
    for _ in range(rng.randint(0, 4)):
        pen = at(
            canvas,
            rng.uniform(0, aspect),
            rng.uniform(0.04, horizon * 0.75),
            rng.uniform(0.05, 0.13),
        )
        for dx, r in ((-0.9, 0.35), (-0.4, 0.5), (0.1, 0.62), (0.6, 0.48), (1.0, 0.3)):
            pen.disc(dx * 1.3, r * 0.7, r * 1.2, r * 0.8, tone(cloud, -0.02), 0.05)
        pen.slab(-1.6, -0.05, 1.75, 0.32, 0.15, cloud, 0)


def _hills(
    canvas: Canvas, rng: Random, y: float, aspect: float, colour: Colour, rise: float
) -> None:
    """A range of hills whose foot lies at ``y``."""
    points = [(-0.4, 0.0)]
    x = -0.3
    while x < aspect + 0.3:
        points.append((x, rng.uniform(0.2, 1.0) * rise))
        x += rng.uniform(0.18, 0.4)
    points += [(aspect + 0.4, 0.0), (aspect + 0.4, -0.1), (-0.4, -0.1)]
    at(canvas, 0, y, 1).blob(points, colour, 0.08)


def _ground(canvas: Canvas, horizon: float, far: Colour, near: Colour) -> None:
    """Ground from the horizon to the bottom of the picture."""
    canvas.sweep((far, far, near, tone(near, -0.05)), horizon, 1)


def _tufts(
    canvas: Canvas, rng: Random, horizon: float, aspect: float, colour: Colour, count: int
) -> None:
    """Grass, pebbles or ripples: small strokes that grow towards the viewer."""
    for _ in range(count):
        y = horizon + (1.02 - horizon) * rng.random() ** 0.7
        s = (y - horizon) * 0.12 + 0.004
        pen = at(canvas, rng.uniform(0, aspect), y, s)
        c = tone(colour, rng.uniform(-0.15, 0.15))
        pen.poly([(-0.5, 0), (0, 0.05), (0.5, 0), (0, -0.05)], c, 0)


def _houses(canvas: Canvas, rng: Random, y: float, aspect: float, look: Look, high: float) -> None:
    """A row of house fronts standing at ``y``."""
    x = rng.uniform(-0.2, 0)
    while x < aspect:
        w, h = rng.uniform(0.16, 0.34), high * rng.uniform(0.6, 1.15)
        front = mix(look.accent(rng), (206, 190, 176), rng.uniform(0.35, 0.75))
        if look.night:
            front = tone(front, -0.35)
        rect(canvas, x, y - h, x + w, y, front, 0.08)
        rect(canvas, x - 0.006, y - h - 0.012, x + w + 0.006, y - h + 0.006, tone(front, -0.25), 0)
        if rng.random() < 0.4:
            at(canvas, x, y - h, 1).poly(
                [(-0.01, 0), (w + 0.01, 0), (w / 2, 0.08)], tone(front, -0.3), 0.1
            )
        columns = max(2, int(w / 0.075))
        step, row = w / columns, 0.085
        for i in range(columns):
            for j in range(max(1, int((h - 0.1) / row))):
                wx, wy = x + (i + 0.25) * step, y - h + 0.03 + j * row
                lit = look.night and rng.random() < 0.5
                pane = (250, 214, 130) if lit else mix((96, 116, 136), front, rng.uniform(0, 0.35))
                rect(canvas, wx, wy, wx + step * 0.5, wy + 0.045, pane, 0)
        if rng.random() < 0.6:
            awning = look.accent(rng)
            rect(canvas, x + w * 0.1, y - 0.07, x + w * 0.9, y, tone(front, -0.4), 0)
            at(canvas, x, y - 0.07, 1).poly(
                [(w * 0.05, -0.025), (w * 0.95, -0.025), (w * 0.88, 0.012), (w * 0.12, 0.012)],
                awning,
                0,
            )
        x += w + rng.choice((0, 0, 0.02))


def _outdoor(rng: Random) -> tuple[Weather, float, float]:
    """Return weather, horizon and camera height of an outdoor picture."""
    return (
        rng.choice(WEATHERS),
        rng.uniform(0.3, 0.52),
        rng.choice((1.5, 1.6, rng.uniform(1.2, 3.2))),
    )


def street(rng: Random, look: Look, aspect: float, weather: Weather) -> Stage:
    """A street with house fronts, pavement and road."""
    horizon, eye = rng.uniform(0.36, 0.52), rng.choice((1.5, rng.uniform(1.2, 2.6)))
    foot = horizon + rng.uniform(0.03, 0.07)
    kerb = foot + (1 - foot) * rng.uniform(0.1, 0.26)
    road = jitter((112, 114, 124), rng, 14)
    paving = jitter((196, 188, 178), rng, 10)
    wet = look.wet

    def paint(canvas: Canvas) -> None:
        local = Random(rng_seed)
        _sky(canvas, weather, local, horizon, aspect)
        _houses(canvas, local, foot, aspect, look, horizon * local.uniform(0.7, 1.15))
        canvas.sweep((paving, paving, tone(paving, -0.1), tone(paving, -0.1)), foot, kerb)
        near = tone(road, -0.22)
        canvas.sweep((road, road, near, near), kerb, 1)
        rect(canvas, 0, kerb, aspect, kerb + 0.012, tone(paving, 0.3), 0)
        if local.random() < 0.6:
            y = kerb + (1 - kerb) * 0.45
            for i in range(7):
                x = i * 0.28 + local.uniform(-0.02, 0.02)
                at(canvas, x, y, 1).poly(
                    [(0, 0), (0.13, 0), (0.14, 0.014), (0.015, 0.014)], (226, 224, 214), 0
                )
        elif local.random() < 0.6:
            x0 = local.uniform(0.2, aspect - 0.5)
            for i in range(6):
                x = x0 + i * 0.1
                at(canvas, x, 1, 1).poly(
                    [
                        ((x - aspect / 2) * 0.4, -0.05),
                        ((x - aspect / 2) * 0.4 + 0.06, -0.05),
                        (0.04, 1 - kerb - 0.02),
                        (0, 1 - kerb - 0.02),
                    ],
                    (228, 226, 218),
                    0,
                )
        if wet:
            for _ in range(6):
                at(canvas, local.uniform(0, aspect), local.uniform(kerb + 0.05, 1), 1).disc(
                    0, 0, local.uniform(0.06, 0.18), 0.012, mix(weather.low, road, 0.4), 0
                )

    rng_seed = rng.getrandbits(48)
    return Stage(
        horizon,
        eye,
        (kerb - 0.02, 1.12),
        paint,
        sky=(0.05, horizon * 0.6),
        things=(
            clutter.tree,
            clutter.bin_,
            clutter.road_sign,
            clutter.bus,
            clutter.crate,
            clutter.bush,
        ),
    )


def park(rng: Random, look: Look, aspect: float, weather: Weather) -> Stage:
    """Lawn, trees, a path and perhaps a pond."""
    _, horizon, eye = _outdoor(rng)
    grass = hsv(rng.uniform(0.2, 0.34), rng.uniform(0.35, 0.6), rng.uniform(0.6, 0.78))
    seed = rng.getrandbits(48)

    def paint(canvas: Canvas) -> None:
        local = Random(seed)
        _sky(canvas, weather, local, horizon, aspect)
        if local.random() < 0.4:
            _houses(canvas, local, horizon + 0.01, aspect, look, horizon * 0.4)
        _hills(
            canvas, local, horizon + 0.01, aspect, tone(mix(grass, weather.low, 0.35), -0.18), 0.2
        )
        for _ in range(local.randint(2, 6)):
            clutter.tree(
                Pen(canvas, local.uniform(0, aspect), horizon + 0.02, local.uniform(0.03, 0.06)),
                local,
                look,
            )
        _ground(canvas, horizon, mix(grass, weather.low, 0.25), tone(grass, -0.14))
        if local.random() < 0.6:
            a, b, w = (
                local.uniform(0.2, aspect - 0.2),
                local.uniform(-0.2, aspect),
                local.uniform(0.2, 0.5),
            )
            h = 1 - horizon
            at(canvas, 0, 1, 1).blob(
                [
                    (b, -0.1),
                    (b + w, -0.1),
                    (a + 0.1, h * 0.55),
                    (a + 0.03, h),
                    (a, h),
                    (a - 0.05, h * 0.55),
                ],
                mix((222, 204, 168), grass, 0.15),
                0.05,
            )
        elif local.random() < 0.6:
            x, y = local.uniform(0.2, aspect - 0.2), horizon + (1 - horizon) * 0.22
            at(canvas, x, y, 1).disc(
                0, 0, local.uniform(0.25, 0.5), 0.045, mix(weather.top, weather.low, 0.5), 0.1
            )
        _tufts(canvas, local, horizon, aspect, tone(grass, -0.1), 26)

    return Stage(
        horizon,
        eye,
        (horizon + 0.1, 1.12),
        paint,
        sky=(0.05, horizon * 0.7),
        things=(
            clutter.tree,
            clutter.bush,
            clutter.bush,
            clutter.bin_,
            clutter.rock,
            clutter.beach_ball,
            clutter.bag,
        ),
    )


def farm(rng: Random, look: Look, aspect: float, weather: Weather) -> Stage:
    """Fields, a barn, hills."""
    _, horizon, eye = _outdoor(rng)
    field_ = hsv(rng.uniform(0.13, 0.32), rng.uniform(0.35, 0.58), rng.uniform(0.62, 0.8))
    seed = rng.getrandbits(48)

    def paint(canvas: Canvas) -> None:
        local = Random(seed)
        _sky(canvas, weather, local, horizon, aspect)
        hill = mix(field_, weather.low, 0.5)
        _hills(canvas, local, horizon + 0.01, aspect, tone(hill, -0.1), 0.16)
        _hills(
            canvas, local, horizon + 0.02, aspect, tone(mix(field_, weather.low, 0.25), -0.14), 0.08
        )
        _ground(canvas, horizon, mix(field_, weather.low, 0.2), tone(field_, -0.12))
        if local.random() < 0.5:
            for i in range(9):
                x = -0.4 + i * 0.26
                at(canvas, x, 1, 1).poly(
                    [
                        (0, 0),
                        (0.09, 0),
                        ((aspect / 2 - x) * 0.8 + 0.01, 1 - horizon - 0.02),
                        ((aspect / 2 - x) * 0.8, 1 - horizon - 0.02),
                    ],
                    tone(field_, -0.2),
                    0,
                )
        if local.random() < 0.7:
            x, s = local.uniform(0, aspect - 0.2), local.uniform(0.7, 1.3)
            barn = local.choice(((158, 62, 52), (186, 158, 128), (112, 84, 70)))
            pen = at(canvas, x, horizon + 0.04, s)
            pen.box(0, 0, 0.3, 0.13, barn, 0.12)
            pen.poly(
                [(-0.02, 0.13), (0.32, 0.13), (0.24, 0.22), (0.06, 0.22)], tone(barn, -0.4), 0.1
            )
            pen.box(0.11, 0, 0.19, 0.085, tone(barn, -0.5), 0)
            if local.random() < 0.5:
                pen.box(-0.09, 0, -0.03, 0.25, (186, 188, 192), 0.25)
                pen.disc(-0.06, 0.25, 0.03, 0.03, (150, 152, 158), 0.2)
        _tufts(canvas, local, horizon, aspect, tone(field_, -0.12), 30)

    return Stage(
        horizon,
        eye,
        (horizon + 0.09, 1.12),
        paint,
        sky=(0.05, horizon * 0.7),
        things=(
            clutter.tree,
            clutter.fence,
            clutter.fence,
            clutter.hay_bale,
            clutter.bush,
            clutter.pig,
            clutter.barrel,
            clutter.rock,
        ),
    )


def harbour(rng: Random, look: Look, aspect: float, weather: Weather) -> Stage:
    """Water with a quay in front and a town or hills behind."""
    _, horizon, eye = _outdoor(rng)
    eye += 1.0
    water = mix(weather.top, (34, 96, 124), rng.uniform(0.3, 0.7))
    quay = horizon + (1 - horizon) * rng.uniform(0.5, 0.82)
    stone = jitter((176, 164, 150), rng, 16)
    seed = rng.getrandbits(48)

    def paint(canvas: Canvas) -> None:
        local = Random(seed)
        _sky(canvas, weather, local, horizon, aspect)
        if local.random() < 0.55:
            _houses(canvas, local, horizon + 0.01, aspect, look, horizon * 0.45)
        else:
            _hills(
                canvas, local, horizon + 0.01, aspect, mix((96, 124, 118), weather.low, 0.4), 0.14
            )
        if local.random() < 0.3:
            pen = at(canvas, local.uniform(0.1, aspect - 0.1), horizon + 0.01, 1)
            pen.poly([(-0.03, 0), (0.03, 0), (0.02, 0.2), (-0.02, 0.2)], (242, 236, 226), 0.2)
            pen.box(-0.025, 0.08, 0.025, 0.12, (206, 66, 56))
            pen.box(-0.016, 0.2, 0.016, 0.23, (250, 220, 120), 0)
        canvas.sweep((mix(water, weather.low, 0.5),) * 2 + (tone(water, -0.2),) * 2, horizon, quay)
        _tufts(canvas, local, horizon, aspect, mix(water, weather.low, 0.45), 36)
        canvas.sweep((stone, stone, tone(stone, -0.15), tone(stone, -0.15)), quay, 1)
        rect(canvas, 0, quay, aspect, quay + 0.02, tone(stone, 0.2), 0)
        for i in range(6):
            x = i * 0.3 + local.uniform(0, 0.1)
            at(canvas, x, 1, 1).stroke(
                [((x - aspect / 2) * 0.3, 0), (0, 1 - quay - 0.02)], 0.005, tone(stone, -0.25)
            )

    return Stage(
        horizon,
        eye,
        (quay + 0.05, 1.12),
        paint,
        sky=(0.05, horizon * 0.8),
        water=(horizon + 0.06, quay),
        things=(
            clutter.crate,
            clutter.barrel,
            clutter.bollard,
            clutter.bollard,
            clutter.bag,
            clutter.basket,
        ),
    )


def beach(rng: Random, look: Look, aspect: float, weather: Weather) -> Stage:
    """Sand, surf and the open sea."""
    _, horizon, eye = _outdoor(rng)
    water = mix(weather.top, (28, 132, 152), rng.uniform(0.3, 0.7))
    shore = horizon + (1 - horizon) * rng.uniform(0.15, 0.45)
    sand = jitter((232, 206, 158), rng, 12)
    seed = rng.getrandbits(48)

    def paint(canvas: Canvas) -> None:
        local = Random(seed)
        _sky(canvas, weather, local, horizon, aspect)
        if local.random() < 0.35:
            _hills(
                canvas, local, horizon + 0.005, aspect, mix((110, 134, 128), weather.low, 0.5), 0.1
            )
        canvas.sweep(
            (tone(water, -0.15),) * 2 + (mix(water, (190, 232, 224), 0.45),) * 2,
            horizon,
            shore + 0.03,
        )
        _tufts(canvas, local, horizon, aspect, mix(water, (255, 255, 255), 0.35), 16)
        canvas.sweep((tone(sand, -0.08),) * 2 + (sand,) * 2, shore + 0.02, 1)
        pen = at(canvas, 0, shore + 0.02, 1)
        wave = [(i * 0.16 - 0.2, local.uniform(-0.012, 0.016)) for i in range(12)]
        pen.blob([*wave, *[(x, y - 0.022) for x, y in reversed(wave)]], (250, 250, 246), 0)
        _tufts(canvas, local, shore + 0.05, aspect, tone(sand, -0.1), 26)

    return Stage(
        horizon,
        eye,
        (shore + 0.08, 1.12),
        paint,
        sky=(0.05, horizon * 0.85),
        water=(horizon + 0.02, shore - 0.01),
        things=(
            clutter.towel,
            clutter.towel,
            clutter.beach_ball,
            clutter.sand_castle,
            clutter.rock,
            clutter.bag,
            clutter.basket,
        ),
    )


def cafe(rng: Random, look: Look, aspect: float, weather: Weather) -> Stage:
    """The terrace of a café: a shop front and paving."""
    horizon, eye = rng.uniform(0.24, 0.4), rng.uniform(1.4, 1.8)
    foot = horizon + rng.uniform(0.24, 0.34)
    wall = mix(look.accent(rng), (226, 208, 186), rng.uniform(0.2, 0.7))
    paving = jitter((196, 178, 158), rng, 14)
    seed = rng.getrandbits(48)
    scale = (foot - horizon) / eye
    bar, top = rng.uniform(0.3, 0.5), foot - 0.98 * scale
    x0 = rng.uniform(-0.05, aspect - bar + 0.05)

    def paint(canvas: Canvas) -> None:
        local = Random(seed)
        canvas.sweep((tone(wall, -0.1),) * 2 + (wall,) * 2, 0, foot)
        x = local.uniform(-0.3, 0.1)
        while x < aspect:
            w = local.uniform(0.3, 0.5)
            rect(
                canvas,
                x,
                foot - 0.5,
                x + w,
                foot - local.choice((0.0, 0.12)),
                tone(look.wood, -0.2),
                0.1,
            )
            glass = (252, 222, 150) if look.night else mix((92, 116, 128), weather.low, 0.4)
            rect(canvas, x + 0.02, foot - 0.48, x + w - 0.02, foot - 0.14, glass, 0.2)
            awning = look.accent(local)
            for i in range(6):
                a = x - 0.02 + i * (w + 0.04) / 6
                b = a + (w + 0.04) / 6
                at(canvas, 0, foot - 0.46, 1).poly(
                    [(a, -0.05), (b, -0.05), (b, 0.06), (a, 0.06)],
                    awning if i % 2 else (246, 240, 228),
                    0.06,
                )
            x += w + local.uniform(0.06, 0.2)
        canvas.sweep((paving,) * 2 + (tone(paving, -0.2),) * 2, foot, 1)
        for i in range(5):
            y = foot + (1 - foot) * (i / 5) ** 1.6
            rect(canvas, 0, y, aspect, y + 0.003, tone(paving, -0.16), 0)
        rect(canvas, x0, top, x0 + bar, foot + 0.02, tone(look.wood, -0.12), 0.12)
        for i in range(1, 6):
            rect(
                canvas,
                x0 + bar * i / 6,
                top,
                x0 + bar * i / 6 + 0.003,
                foot + 0.02,
                tone(look.wood, -0.3),
                0,
            )
        rect(canvas, x0 - 0.015, top - 0.01, x0 + bar + 0.015, top + 0.014, tone(look.wood, 0.2), 0)

    return Stage(
        horizon,
        eye,
        (foot + 0.04, 1.14),
        paint,
        things=(clutter.bush, clutter.bag, clutter.bin_, clutter.barrel, clutter.bush),
        small=(clutter.plate, clutter.fruit, clutter.phone, clutter.plate),
        shelves=[Shelf(x0 + 0.02, x0 + bar - 0.02, top - 0.006, top, scale, foot + 0.01)],
        wall=((0.05, 0.03, aspect - 0.05, 0.12), 0.3),
    )
