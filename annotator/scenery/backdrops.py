"""The places: what is behind and around the objects, and where objects can stand.

A place is first planned (`Stage`, geometry only), and its background is painted only when a
picture is wanted, so labels can be asked for without painting.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from random import Random
from types import MappingProxyType

from annotator.scenery import clutter
from annotator.scenery.look import Look, hsv, jitter, pale
from annotator.scenery.objects import Draw
from annotator.scenery.pen import Canvas, Colour, Pen, mix, tone

Box = tuple[float, float, float, float]


@dataclass
class Shelf:
    """A level surface for small things: x range, y range (back, front), scale, depth order."""

    x0: float
    x1: float
    back: float
    front: float
    scale: float
    depth: float


@dataclass
class Stage:
    """Where things can be in one picture. Frame coordinates, y downwards.

    Attributes:
        horizon: height of the camera's eye line.
        camera_height: metres above the ground; with the horizon it sets every size.
        ground: nearest and furthest y at which things stand.
        paint: paints the background.
        shelves: surfaces for small things; tables add their own.
        wall: where flat things hang, and the scale there.
        sky: where things fly.
        water: y range in which boats float.
        things: clutter that stands on the ground; `small` on surfaces, `flat` on the wall.
        close: a close-up of one surface; the background is out of focus.
    """

    horizon: float
    camera_height: float
    ground: tuple[float, float]
    paint: Callable[[Canvas], None]
    shelves: list[Shelf] = field(default_factory=list)
    wall: tuple[Box, float] | None = None
    sky: tuple[float, float] | None = None
    water: tuple[float, float] | None = None
    things: Sequence[Draw] = ()
    small: Sequence[Draw] = ()
    flat: Sequence[Draw] = ()
    close: bool = False

    def scale(self, y: float) -> float:
        """Return frame heights per metre for something standing at ``y``."""
        return max(y - self.horizon, 0.01) / self.camera_height


@dataclass(frozen=True)
class Weather:
    """Sky, haze and the tint of everything at one time of day."""

    top: Colour
    low: Colour
    tint: Colour
    night: bool = False


WEATHERS: Sequence[Weather] = (
    Weather((92, 158, 214), (206, 230, 240), (255, 255, 250)),
    Weather((66, 138, 206), (190, 222, 240), (255, 253, 246)),
    Weather((126, 176, 204), (242, 232, 208), (255, 248, 232)),
    Weather((168, 182, 194), (218, 222, 222), (236, 240, 244)),
    Weather((238, 156, 108), (252, 216, 156), (255, 232, 206)),
    Weather((116, 104, 164), (246, 170, 130), (244, 218, 220)),
    Weather((38, 48, 92), (112, 108, 156), (176, 178, 220), night=True),
)


def _pen(canvas: Canvas, x: float, y: float, scale: float) -> Pen:
    return Pen(canvas, x, y, scale)


def _rect(
    canvas: Canvas, x0: float, y0: float, x1: float, y1: float, c: Colour, s: float = 0.1
) -> None:
    """Fill a rectangle given in frame coordinates."""
    Pen(canvas, x0, y1, 1).box(0, 0, x1 - x0, y1 - y0, c, s)


def _sky(canvas: Canvas, weather: Weather, rng: Random, horizon: float, aspect: float) -> None:
    """Sky down to the horizon with sun or moon and a few clouds."""
    canvas.sweep((weather.top, weather.top, weather.low, weather.low), 0, min(1, horizon + 0.15))
    if rng.random() < 0.5:
        x, y = rng.uniform(0.1, aspect - 0.1), rng.uniform(0.06, horizon * 0.7)
        sun = (250, 244, 222) if weather.night else mix(weather.low, (255, 250, 220), 0.75)
        pen = _pen(canvas, x, y, 1)
        pen.glow(0, 0, 0.22, 0.22, sun, 0.5)
        pen.disc(0, 0, 0.04, None, sun, 0)
    cloud = mix(weather.low, (255, 255, 255), 0.15 if weather.night else 0.6)
    for _ in range(rng.randint(0, 4)):
        pen = _pen(
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
    _pen(canvas, 0, y, 1).blob(points, colour, 0.08)


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
        pen = _pen(canvas, rng.uniform(0, aspect), y, s)
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
        _rect(canvas, x, y - h, x + w, y, front, 0.08)
        _rect(canvas, x - 0.006, y - h - 0.012, x + w + 0.006, y - h + 0.006, tone(front, -0.25), 0)
        if rng.random() < 0.4:
            _pen(canvas, x, y - h, 1).poly(
                [(-0.01, 0), (w + 0.01, 0), (w / 2, 0.08)], tone(front, -0.3), 0.1
            )
        columns = max(2, int(w / 0.075))
        step, row = w / columns, 0.085
        for i in range(columns):
            for j in range(max(1, int((h - 0.1) / row))):
                wx, wy = x + (i + 0.25) * step, y - h + 0.03 + j * row
                lit = look.night and rng.random() < 0.5
                pane = (250, 214, 130) if lit else mix((96, 116, 136), front, rng.uniform(0, 0.35))
                _rect(canvas, wx, wy, wx + step * 0.5, wy + 0.045, pane, 0)
        if rng.random() < 0.6:
            awning = look.accent(rng)
            _rect(canvas, x + w * 0.1, y - 0.07, x + w * 0.9, y, tone(front, -0.4), 0)
            _pen(canvas, x, y - 0.07, 1).poly(
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
        _rect(canvas, 0, kerb, aspect, kerb + 0.012, tone(paving, 0.3), 0)
        if local.random() < 0.6:
            y = kerb + (1 - kerb) * 0.45
            for i in range(7):
                x = i * 0.28 + local.uniform(-0.02, 0.02)
                _pen(canvas, x, y, 1).poly(
                    [(0, 0), (0.13, 0), (0.14, 0.014), (0.015, 0.014)], (226, 224, 214), 0
                )
        elif local.random() < 0.6:
            x0 = local.uniform(0.2, aspect - 0.5)
            for i in range(6):
                x = x0 + i * 0.1
                _pen(canvas, x, 1, 1).poly(
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
                _pen(canvas, local.uniform(0, aspect), local.uniform(kerb + 0.05, 1), 1).disc(
                    0, 0, local.uniform(0.06, 0.18), 0.012, mix(weather.low, road, 0.4), 0
                )

    rng_seed = rng.getrandbits(48)
    return Stage(
        horizon, eye, (kerb - 0.02, 1.12), paint, sky=(0.05, horizon * 0.6),
        things=(clutter.tree, clutter.bin_, clutter.road_sign, clutter.bus, clutter.crate, clutter.bush),
    )  # fmt: skip


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
            _pen(canvas, 0, 1, 1).blob(
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
            _pen(canvas, x, y, 1).disc(
                0, 0, local.uniform(0.25, 0.5), 0.045, mix(weather.top, weather.low, 0.5), 0.1
            )
        _tufts(canvas, local, horizon, aspect, tone(grass, -0.1), 26)

    return Stage(
        horizon, eye, (horizon + 0.1, 1.12), paint, sky=(0.05, horizon * 0.7),
        things=(clutter.tree, clutter.bush, clutter.bush, clutter.bin_, clutter.rock, clutter.beach_ball, clutter.bag),
    )  # fmt: skip


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
                _pen(canvas, x, 1, 1).poly(
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
            pen = _pen(canvas, x, horizon + 0.04, s)
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
        horizon, eye, (horizon + 0.09, 1.12), paint, sky=(0.05, horizon * 0.7),
        things=(clutter.tree, clutter.fence, clutter.fence, clutter.hay_bale, clutter.bush, clutter.pig, clutter.barrel, clutter.rock),
    )  # fmt: skip


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
            pen = _pen(canvas, local.uniform(0.1, aspect - 0.1), horizon + 0.01, 1)
            pen.poly([(-0.03, 0), (0.03, 0), (0.02, 0.2), (-0.02, 0.2)], (242, 236, 226), 0.2)
            pen.box(-0.025, 0.08, 0.025, 0.12, (206, 66, 56))
            pen.box(-0.016, 0.2, 0.016, 0.23, (250, 220, 120), 0)
        canvas.sweep((mix(water, weather.low, 0.5),) * 2 + (tone(water, -0.2),) * 2, horizon, quay)
        _tufts(canvas, local, horizon, aspect, mix(water, weather.low, 0.45), 36)
        canvas.sweep((stone, stone, tone(stone, -0.15), tone(stone, -0.15)), quay, 1)
        _rect(canvas, 0, quay, aspect, quay + 0.02, tone(stone, 0.2), 0)
        for i in range(6):
            x = i * 0.3 + local.uniform(0, 0.1)
            _pen(canvas, x, 1, 1).stroke(
                [((x - aspect / 2) * 0.3, 0), (0, 1 - quay - 0.02)], 0.005, tone(stone, -0.25)
            )

    return Stage(
        horizon, eye, (quay + 0.05, 1.12), paint, sky=(0.05, horizon * 0.8), water=(horizon + 0.06, quay),
        things=(clutter.crate, clutter.barrel, clutter.bollard, clutter.bollard, clutter.bag, clutter.basket),
    )  # fmt: skip


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
        pen = _pen(canvas, 0, shore + 0.02, 1)
        wave = [(i * 0.16 - 0.2, local.uniform(-0.012, 0.016)) for i in range(12)]
        pen.blob([*wave, *[(x, y - 0.022) for x, y in reversed(wave)]], (250, 250, 246), 0)
        _tufts(canvas, local, shore + 0.05, aspect, tone(sand, -0.1), 26)

    return Stage(
        horizon, eye, (shore + 0.08, 1.12), paint, sky=(0.05, horizon * 0.85), water=(horizon + 0.02, shore - 0.01),
        things=(clutter.towel, clutter.towel, clutter.beach_ball, clutter.sand_castle, clutter.rock, clutter.bag, clutter.basket),
    )  # fmt: skip


def cafe(rng: Random, look: Look, aspect: float, weather: Weather) -> Stage:
    """The terrace of a café: a shop front and paving."""
    horizon, eye = rng.uniform(0.24, 0.4), rng.uniform(1.4, 1.8)
    foot = horizon + rng.uniform(0.24, 0.34)
    wall = mix(look.accent(rng), (226, 208, 186), rng.uniform(0.3, 0.8))
    paving = jitter((196, 178, 158), rng, 14)
    seed = rng.getrandbits(48)

    def paint(canvas: Canvas) -> None:
        local = Random(seed)
        canvas.sweep((tone(wall, -0.1),) * 2 + (wall,) * 2, 0, foot)
        x = local.uniform(-0.3, 0.1)
        while x < aspect:
            w = local.uniform(0.3, 0.5)
            _rect(
                canvas,
                x,
                foot - 0.5,
                x + w,
                foot - local.choice((0.0, 0.12)),
                tone(look.wood, -0.2),
                0.1,
            )
            glass = (252, 222, 150) if look.night else mix((92, 116, 128), weather.low, 0.4)
            _rect(canvas, x + 0.02, foot - 0.48, x + w - 0.02, foot - 0.14, glass, 0.2)
            awning = look.accent(local)
            for i in range(6):
                a = x - 0.02 + i * (w + 0.04) / 6
                b = a + (w + 0.04) / 6
                _pen(canvas, 0, foot - 0.46, 1).poly(
                    [(a, -0.05), (b, -0.05), (b, 0.06), (a, 0.06)],
                    awning if i % 2 else (246, 240, 228),
                    0.06,
                )
            x += w + local.uniform(0.06, 0.2)
        canvas.sweep((paving,) * 2 + (tone(paving, -0.2),) * 2, foot, 1)
        for i in range(5):
            y = foot + (1 - foot) * (i / 5) ** 1.6
            _rect(canvas, 0, y, aspect, y + 0.003, tone(paving, -0.16), 0)

    return Stage(
        horizon, eye, (foot + 0.04, 1.14), paint, things=(clutter.bush, clutter.bag, clutter.bin_, clutter.barrel, clutter.bush),
        small=(clutter.plate, clutter.fruit, clutter.phone, clutter.plate), wall=((0.05, 0.03, aspect - 0.05, 0.12), 0.3),
    )  # fmt: skip


def _room(rng: Random) -> tuple[float, float, float]:
    """Return horizon, camera height and the foot of the wall of an indoor picture."""
    horizon = rng.uniform(0.22, 0.4)
    return horizon, rng.uniform(1.25, 1.6), rng.uniform(0.64, 0.78)


def _walls(
    canvas: Canvas, rng: Random, look: Look, aspect: float, foot: float, wall: Colour, floor: Colour
) -> None:
    """Wall and floor of a room, sometimes with a corner, a stripe or boards."""
    dark = -0.3 if look.night else -0.06
    left, right = (0.06, dark) if look.light < 0 else (dark, 0.06)
    canvas.sweep(
        (tone(wall, left), tone(wall, right), tone(wall, left / 2), tone(wall, right)), 0, foot
    )
    if rng.random() < 0.3:
        for i in range(24):
            if i % 2:
                _rect(canvas, i * 0.07, 0, i * 0.07 + 0.035, foot, tone(wall, -0.05), 0)
    elif rng.random() < 0.3:
        _rect(canvas, 0, foot - 0.25, aspect, foot, tone(wall, -0.12), 0.05)
    canvas.sweep((tone(floor, -0.12),) * 2 + (tone(floor, 0.06), floor), foot, 1)
    if rng.random() < 0.6:
        for i in range(-6, 14):
            x = i * 0.16
            _pen(canvas, aspect / 2, 1, 1).stroke(
                [((x - aspect / 2) * 1.5, -0.02), ((x - aspect / 2) * 0.8, 1 - foot)],
                0.004,
                tone(floor, -0.18),
            )
    _rect(canvas, 0, foot - 0.018, aspect, foot + 0.004, tone(wall, 0.35), 0)


def _window(
    canvas: Canvas,
    rng: Random,
    look: Look,
    x: float,
    y: float,
    w: float,
    h: float,
    weather: Weather,
) -> None:
    """A window with a view, its upper left corner at (x, y)."""
    frame = rng.choice(((246, 242, 234), look.wood))
    _rect(canvas, x, y, x + w, y + h, frame, 0.1)
    sky = weather.top if look.night else mix(weather.low, weather.top, 0.4)
    _rect(canvas, x + 0.015, y + 0.015, x + w - 0.015, y + h - 0.015, sky, 0.2)
    pen = _pen(canvas, x + w / 2, y + h - 0.015, 1)
    half = w / 2 - 0.015
    pen.poly(
        [(-half, 0), (half, 0), (half, h * 0.2), (0, h * 0.36), (-half, h * 0.26)],
        mix((110, 146, 104), sky, 0.35),
        0.1,
    )
    _rect(canvas, x + w / 2 - 0.007, y, x + w / 2 + 0.007, y + h, frame, 0)
    _rect(canvas, x, y + h * 0.45, x + w, y + h * 0.45 + 0.01, frame, 0)
    if rng.random() < 0.55:
        cloth = tone(look.accent(rng), 0.3)
        for a, b in ((-0.05, 0.25), (0.75, 1.05)):
            _pen(canvas, x, y - 0.02, 1).poly(
                [(a * w, 0), (b * w, 0), ((b - 0.03) * w, -h * 1.12), (a * w, -h * 1.12)],
                cloth,
                0.16,
            )
        _rect(canvas, x - 0.04, y - 0.03, x + w + 0.04, y - 0.018, tone(look.wood, -0.2), 0)


def kitchen(rng: Random, look: Look, aspect: float, weather: Weather) -> Stage:
    """Cupboards, a counter, a stove, a fridge."""
    horizon, eye, foot = _room(rng)
    scale = (foot - horizon) / eye
    top = foot - 0.9 * scale
    wall, unit = (
        pale(look.accent(rng), rng),
        mix(look.accent(rng), (238, 234, 226), rng.uniform(0.1, 0.85)),
    )
    floor = rng.choice((look.wood, (206, 200, 192), (150, 146, 150)))
    shelf_y = top - 0.55 * scale
    wide = rng.uniform(0.7, 1.0) * aspect
    x0 = rng.choice((-0.05, aspect - wide + 0.05))
    seed = rng.getrandbits(48)
    open_shelf = rng.random() < 0.5

    def paint(canvas: Canvas) -> None:
        local = Random(seed)
        _walls(canvas, local, look, aspect, foot, wall, floor)
        tiles = pale(look.accent(local), local)
        _rect(canvas, x0, shelf_y, x0 + wide, top, tiles, 0.05)
        for i in range(1, 4):
            y = shelf_y + (top - shelf_y) * i / 4
            _rect(canvas, x0, y, x0 + wide, y + 0.003, tone(tiles, -0.1), 0)
        if local.random() < 0.5:
            _window(
                canvas,
                local,
                look,
                local.uniform(0.2, aspect - 0.5),
                0.04,
                0.36,
                max(0.15, shelf_y - 0.06),
                weather,
            )
        if not open_shelf:
            x = x0
            while x < x0 + wide - 0.1:
                w = local.uniform(0.18, 0.26)
                if local.random() < 0.75:
                    _rect(canvas, x, shelf_y - 0.65 * scale, x + w - 0.006, shelf_y, unit, 0.1)
                    _rect(
                        canvas,
                        x + w * 0.8,
                        shelf_y - 0.06,
                        x + w * 0.84,
                        shelf_y - 0.02,
                        tone(unit, -0.5),
                        0,
                    )
                x += w
        else:
            _rect(canvas, x0, shelf_y, x0 + wide, shelf_y + 0.016, tone(look.wood, -0.1), 0)
        _rect(canvas, x0, top, x0 + wide, foot, tone(unit, -0.1), 0.08)
        x = x0
        while x < x0 + wide - 0.1:
            w = local.uniform(0.17, 0.25)
            _rect(canvas, x + 0.005, top + 0.03, x + w - 0.005, foot - 0.02, unit, 0.08)
            _rect(canvas, x + w * 0.35, top + 0.05, x + w * 0.65, top + 0.058, tone(unit, -0.45), 0)
            x += w
        _rect(
            canvas,
            x0 - 0.01,
            top - 0.008,
            x0 + wide + 0.01,
            top + 0.018,
            tone(look.wood, 0.2),
            0.05,
        )
        if local.random() < 0.6:
            x, w = x0 + local.uniform(0.2, 0.7) * wide, 0.6 * scale
            _rect(canvas, x, top + 0.02, x + w, foot - 0.01, (206, 208, 212), 0.14)
            _rect(canvas, x + w * 0.12, top + 0.07, x + w * 0.88, foot - 0.06, (48, 50, 58), 0.2)
        if wide < 0.86 * aspect:
            x = x0 + wide if x0 < 0 else x0 - 0.68 * scale
            pen = _pen(canvas, x, foot + 0.01, scale)
            paint_ = local.choice(((232, 232, 230), (188, 192, 198), look.accent(local)))
            pen.slab(0, 0, 0.68, 1.9, 0.05, paint_, 0.16)
            pen.box(0, 1.2, 0.68, 1.22, tone(paint_, -0.3), 0)
            pen.box(0.06, 1.3, 0.1, 1.6, tone(paint_, -0.4), 0)

    shelves = [Shelf(x0 + 0.05, x0 + wide - 0.05, top - 0.003, top + 0.01, scale, foot - 0.001)]
    if open_shelf and shelf_y > 0.14:
        shelves.append(Shelf(x0 + 0.05, x0 + wide - 0.05, shelf_y, shelf_y, scale, foot - 0.002))
    return Stage(
        horizon, eye, (foot + 0.04, 1.14), paint, shelves=shelves,
        wall=((0.1, 0.06, aspect - 0.1, max(0.12, shelf_y - 0.1)), scale),
        things=(clutter.basket, clutter.bin_, clutter.crate, clutter.bag),
        small=(clutter.pan, clutter.kettle, clutter.fruit, clutter.plate, clutter.cereal, clutter.fruit), flat=(clutter.picture,),
    )  # fmt: skip


def living_room(rng: Random, look: Look, aspect: float, weather: Weather) -> Stage:
    """A window, a low cupboard, pictures, a rug."""
    horizon, eye, foot = _room(rng)
    scale = (foot - horizon) / eye
    wall, floor = (
        pale(look.accent(rng), rng),
        rng.choice((look.wood, tone(look.wood, 0.3), (176, 164, 156))),
    )
    board, top = rng.uniform(0.35, 0.6), foot - 0.62 * scale
    x0 = rng.uniform(-0.1, aspect - board + 0.1)
    high = foot - 1.6 * scale
    seed = rng.getrandbits(48)
    tall = rng.random() < 0.35

    def paint(canvas: Canvas) -> None:
        local = Random(seed)
        _walls(canvas, local, look, aspect, foot, wall, floor)
        if local.random() < 0.6:
            _window(
                canvas,
                local,
                look,
                local.uniform(0.1, aspect - 0.5),
                0.06,
                local.uniform(0.3, 0.45),
                foot * 0.55,
                weather,
            )
        if local.random() < 0.65:
            rug = look.accent(local)
            pen = _pen(canvas, local.uniform(0.3, aspect - 0.3), foot + (1 - foot) * 0.5, 1)
            if local.random() < 0.5:
                pen.disc(0, 0, 0.5, 0.085, rug, 0.08)
                pen.disc(0, 0, 0.42, 0.07, tone(rug, 0.25), 0)
                pen.disc(0, 0, 0.34, 0.055, rug, 0)
            else:
                pen.poly([(-0.6, -0.08), (0.6, -0.08), (0.48, 0.08), (-0.48, 0.08)], rug, 0.08)
                pen.poly(
                    [(-0.53, -0.065), (0.53, -0.065), (0.43, 0.065), (-0.43, 0.065)],
                    tone(rug, 0.25),
                    0,
                )
        if tall:
            _rect(canvas, x0, high, x0 + board, foot + 0.01, tone(look.wood, -0.3), 0.1)
        else:
            _rect(
                canvas, x0 + 0.02, top, x0 + board - 0.02, foot + 0.01, tone(look.wood, -0.14), 0.1
            )
            _rect(
                canvas,
                x0 + board / 2 - 0.003,
                top,
                x0 + board / 2 + 0.003,
                foot,
                tone(look.wood, -0.4),
                0,
            )
        _rect(canvas, x0, top - 0.008, x0 + board, top + 0.012, tone(look.wood, 0.1), 0)
        if tall:
            _rect(canvas, x0, high, x0 + board, high + 0.014, tone(look.wood, 0.1), 0)
            mid = (high + top) / 2
            _rect(canvas, x0, mid, x0 + board, mid + 0.012, tone(look.wood, 0.1), 0)

    shelves = [Shelf(x0 + 0.04, x0 + board - 0.04, top - 0.004, top, scale, foot - 0.001)]
    if tall:
        shelves.append(
            Shelf(
                x0 + 0.04,
                x0 + board - 0.04,
                (high + top) / 2,
                (high + top) / 2,
                scale,
                foot - 0.002,
            )
        )
    return Stage(
        horizon, eye, (foot + 0.03, 1.14), paint, shelves=shelves, wall=((0.1, 0.08, aspect - 0.1, max(0.15, high)), scale),
        things=(clutter.basket, clutter.guitar, clutter.bag, clutter.crate),
        small=(clutter.phone, clutter.paper, clutter.fruit, clutter.cereal), flat=(clutter.picture, clutter.picture),
    )  # fmt: skip


def office(rng: Random, look: Look, aspect: float, weather: Weather) -> Stage:
    """Desks, a shelf, a notice board."""
    horizon, eye, foot = _room(rng)
    scale = (foot - horizon) / eye
    wall, floor = (
        pale(look.accent(rng), rng),
        jitter(rng.choice(((128, 132, 144), (176, 168, 160), look.wood)), rng, 10),
    )
    wide = rng.uniform(1.5, 2.6) * scale
    x0 = rng.uniform(0.0, max(0.05, aspect - wide))
    y = foot + 0.07
    s = (y - horizon) / eye
    top = y - 0.74 * s
    back = top - 0.2 * s
    seed = rng.getrandbits(48)
    shelf_y = foot - 1.75 * scale
    shelf = rng.random() < 0.6 and shelf_y > 0.14

    def paint(canvas: Canvas) -> None:
        local = Random(seed)
        _walls(canvas, local, look, aspect, foot, wall, floor)
        if local.random() < 0.6:
            _window(
                canvas,
                local,
                look,
                local.uniform(0.05, aspect - 0.6),
                0.05,
                local.uniform(0.3, 0.55),
                foot * 0.5,
                weather,
            )
        elif local.random() < 0.6:
            x = local.uniform(0.1, aspect - 0.5)
            _rect(canvas, x, 0.1, x + 0.4, 0.34, (194, 156, 108), 0.06)
            for _ in range(5):
                nx, ny = x + local.uniform(0.02, 0.33), 0.1 + local.uniform(0.02, 0.18)
                _rect(canvas, nx, ny, nx + 0.05, ny + 0.05, tone(look.accent(local), 0.4), 0)
        if shelf:
            _rect(canvas, x0, shelf_y, x0 + wide * 0.7, shelf_y + 0.014, look.wood, 0)
        pen = _pen(canvas, x0, y, 1)
        pen.shadow(wide / 2, 0, wide * 0.55, 0.04)
        height = y - top
        desk = tone(look.wood, 0.2)
        pen.box(wide * 0.66, 0, wide * 0.97, height, tone(desk, -0.2), 0.1)
        for i in range(3):
            pen.box(
                wide * 0.68,
                height * (0.05 + 0.3 * i),
                wide * 0.95,
                height * (0.3 + 0.3 * i),
                tone(desk, -0.08),
                0.08,
            )
        pen.box(wide * 0.03, 0, wide * 0.06, height, tone(desk, -0.3), 0)
        pen.poly(
            [
                (0, height),
                (wide, height),
                (wide * 0.96, height + top - back),
                (wide * 0.04, height + top - back),
            ],
            desk,
            0.08,
        )
        pen.box(0, height - 0.02, wide, height, tone(desk, -0.25), 0)

    shelves = [Shelf(x0 + 0.05, x0 + wide - 0.05, back + 0.01, top - 0.008, s, y)]
    if shelf:
        shelves.append(
            Shelf(x0 + 0.04, x0 + wide * 0.7 - 0.04, shelf_y, shelf_y, scale, foot - 0.002)
        )
    return Stage(
        horizon, eye, (y + 0.05, 1.14), paint, shelves=shelves, wall=((0.1, 0.07, aspect - 0.1, max(0.14, shelf_y - 0.12)), scale),
        things=(clutter.bin_, clutter.bag, clutter.crate),
        small=(clutter.monitor, clutter.keyboard, clutter.paper, clutter.phone, clutter.monitor), flat=(clutter.picture,),
    )  # fmt: skip


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
                _rect(canvas, 0, y, aspect, y + 0.003, tone(surface, -0.08), 0)
        if local.random() < 0.4:
            pen, cloth = _pen(canvas, local.uniform(0.2, aspect - 0.2), 1, 1), look.accent(local)
            high = 1 - back
            pen.poly(
                [(-0.4, high * 0.2), (0.4, high * 0.2), (0.3, high * 0.75), (-0.3, high * 0.75)],
                tone(cloth, 0.3),
                0.06,
            )

    return Stage(
        back - 0.35, 1.0, (1.2, 1.3), paint, close=True,
        shelves=[Shelf(0.02, aspect - 0.02, back + 0.06, 1.02, scale, 0.5)],
        small=(clutter.pan, clutter.kettle, clutter.fruit, clutter.plate, clutter.cereal, clutter.phone, clutter.paper, clutter.fruit),
    )  # fmt: skip


Plan = Callable[[Random, Look, float, Weather], Stage]
PLACES: Mapping[str, Plan] = MappingProxyType(
    {
        "kitchen": kitchen, "living room": living_room, "office": office, "café": cafe,
        "street": street, "park": park, "farm": farm, "harbour": harbour, "beach": beach,
        "tabletop": tabletop,
    }
)  # fmt: skip
