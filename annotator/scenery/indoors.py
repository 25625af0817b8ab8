"""Rooms: kitchen, living room and office."""

from __future__ import annotations

from random import Random

from annotator.scenery import clutter
from annotator.scenery.look import Look, jitter, pale
from annotator.scenery.pen import Box, Canvas, Colour, mix, tone
from annotator.scenery.stage import Shelf, Stage, Weather, at, rect


def _room(rng: Random) -> tuple[float, float, float]:
    """Return horizon, camera height and the foot of the wall of an indoor picture."""
    horizon = rng.uniform(0.22, 0.4)
    return horizon, rng.uniform(1.25, 1.6), rng.uniform(0.64, 0.78)


def _panes(rng: Random, aspect: float, foot: float, chance: float = 0.6) -> tuple[Box, ...]:
    """Return where a window is, or nothing."""
    if rng.random() > chance:
        return ()
    wide = rng.uniform(0.3, 0.5)
    x, y = rng.uniform(0.06, aspect - 0.06 - wide), rng.uniform(0.04, 0.1)
    return ((x, y, x + wide, y + foot * rng.uniform(0.42, 0.58)),)


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
                rect(canvas, i * 0.07, 0, i * 0.07 + 0.035, foot, tone(wall, -0.05), 0)
    elif rng.random() < 0.3:
        rect(canvas, 0, foot - 0.25, aspect, foot, tone(wall, -0.12), 0.05)
    canvas.sweep((tone(floor, -0.12),) * 2 + (tone(floor, 0.06), floor), foot, 1)
    if rng.random() < 0.6:
        for i in range(-6, 14):
            x = i * 0.16
            at(canvas, aspect / 2, 1, 1).stroke(
                [((x - aspect / 2) * 1.5, -0.02), ((x - aspect / 2) * 0.8, 1 - foot)],
                0.004,
                tone(floor, -0.18),
            )
    rect(canvas, 0, foot - 0.018, aspect, foot + 0.004, tone(wall, 0.35), 0)


def _window(canvas: Canvas, rng: Random, look: Look, pane: Box, weather: Weather) -> None:
    """A window with a view, framed by `pane` (left, top, right, bottom)."""
    x, y = pane[:2]
    w, h = pane[2] - x, pane[3] - y
    frame = rng.choice(((246, 242, 234), look.wood))
    rect(canvas, x, y, x + w, y + h, frame, 0.1)
    sky = weather.top if look.night else mix(weather.low, weather.top, 0.4)
    rect(canvas, x + 0.015, y + 0.015, x + w - 0.015, y + h - 0.015, sky, 0.2)
    pen = at(canvas, x + w / 2, y + h - 0.015, 1)
    half = w / 2 - 0.015
    pen.poly(
        [(-half, 0), (half, 0), (half, h * 0.2), (0, h * 0.36), (-half, h * 0.26)],
        mix((110, 146, 104), sky, 0.35),
        0.1,
    )
    rect(canvas, x + w / 2 - 0.007, y, x + w / 2 + 0.007, y + h, frame, 0)
    rect(canvas, x, y + h * 0.45, x + w, y + h * 0.45 + 0.01, frame, 0)
    if rng.random() < 0.55:
        cloth = tone(look.accent(rng), 0.3)
        for a, b in ((-0.05, 0.25), (0.75, 1.05)):
            at(canvas, x, y - 0.02, 1).poly(
                [(a * w, 0), (b * w, 0), ((b - 0.03) * w, -h * 1.12), (a * w, -h * 1.12)],
                cloth,
                0.16,
            )
        rect(canvas, x - 0.04, y - 0.03, x + w + 0.04, y - 0.018, tone(look.wood, -0.2), 0)


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
    open_shelf = rng.random() < 0.5
    cupboards = (x0, shelf_y - 0.65 * scale, x0 + wide, shelf_y)
    panes = _panes(rng, aspect, foot) if open_shelf else ()
    seed = rng.getrandbits(48)

    def paint(canvas: Canvas) -> None:
        local = Random(seed)
        _walls(canvas, local, look, aspect, foot, wall, floor)
        tiles = pale(look.accent(local), local)
        rect(canvas, x0, shelf_y, x0 + wide, top, tiles, 0.05)
        for i in range(1, 4):
            y = shelf_y + (top - shelf_y) * i / 4
            rect(canvas, x0, y, x0 + wide, y + 0.003, tone(tiles, -0.1), 0)
        for pane in panes:
            _window(canvas, local, look, pane, weather)
        if not open_shelf:
            x = x0
            while x < x0 + wide - 0.1:
                w = local.uniform(0.18, 0.26)
                if local.random() < 0.75:
                    rect(canvas, x, shelf_y - 0.65 * scale, x + w - 0.006, shelf_y, unit, 0.1)
                    rect(
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
            rect(canvas, x0, shelf_y, x0 + wide, shelf_y + 0.016, tone(look.wood, -0.1), 0)
        rect(canvas, x0, top, x0 + wide, foot, tone(unit, -0.1), 0.08)
        x = x0
        while x < x0 + wide - 0.1:
            w = local.uniform(0.17, 0.25)
            rect(canvas, x + 0.005, top + 0.03, x + w - 0.005, foot - 0.02, unit, 0.08)
            rect(canvas, x + w * 0.35, top + 0.05, x + w * 0.65, top + 0.058, tone(unit, -0.45), 0)
            x += w
        rect(
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
            rect(canvas, x, top + 0.02, x + w, foot - 0.01, (206, 208, 212), 0.14)
            rect(canvas, x + w * 0.12, top + 0.07, x + w * 0.88, foot - 0.06, (48, 50, 58), 0.2)
        if wide < 0.86 * aspect:
            x = x0 + wide if x0 < 0 else x0 - 0.68 * scale
            pen = at(canvas, x, foot + 0.01, scale)
            paint_ = local.choice(((232, 232, 230), (188, 192, 198), look.accent(local)))
            pen.slab(0, 0, 0.68, 1.9, 0.05, paint_, 0.16)
            pen.box(0, 1.2, 0.68, 1.22, tone(paint_, -0.3), 0)
            pen.box(0.06, 1.3, 0.1, 1.6, tone(paint_, -0.4), 0)

    shelves = [Shelf(x0 + 0.05, x0 + wide - 0.05, top - 0.003, top + 0.01, scale, foot - 0.001)]
    if open_shelf and shelf_y > 0.14:
        shelves.append(Shelf(x0 + 0.05, x0 + wide - 0.05, shelf_y, shelf_y, scale, foot - 0.002))
    return Stage(
        horizon,
        eye,
        (foot + 0.04, 1.14),
        paint,
        shelves=shelves,
        blocked=panes or (cupboards,),
        wall=((0.1, 0.06, aspect - 0.1, max(0.12, shelf_y - 0.1)), scale),
        things=(clutter.basket, clutter.bin_, clutter.crate, clutter.bag),
        small=(
            clutter.pan,
            clutter.kettle,
            clutter.fruit,
            clutter.plate,
            clutter.cereal,
            clutter.fruit,
        ),
        flat=(clutter.picture,),
    )


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
    panes = _panes(rng, aspect, foot)
    seed = rng.getrandbits(48)
    tall = rng.random() < 0.35

    def paint(canvas: Canvas) -> None:
        local = Random(seed)
        _walls(canvas, local, look, aspect, foot, wall, floor)
        for pane in panes:
            _window(canvas, local, look, pane, weather)
        if local.random() < 0.65:
            rug = look.accent(local)
            pen = at(canvas, local.uniform(0.3, aspect - 0.3), foot + (1 - foot) * 0.5, 1)
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
            rect(canvas, x0, high, x0 + board, foot + 0.01, tone(look.wood, -0.3), 0.1)
        else:
            rect(
                canvas, x0 + 0.02, top, x0 + board - 0.02, foot + 0.01, tone(look.wood, -0.14), 0.1
            )
            rect(
                canvas,
                x0 + board / 2 - 0.003,
                top,
                x0 + board / 2 + 0.003,
                foot,
                tone(look.wood, -0.4),
                0,
            )
        rect(canvas, x0, top - 0.008, x0 + board, top + 0.012, tone(look.wood, 0.1), 0)
        if tall:
            rect(canvas, x0, high, x0 + board, high + 0.014, tone(look.wood, 0.1), 0)
            mid = (high + top) / 2
            rect(canvas, x0, mid, x0 + board, mid + 0.012, tone(look.wood, 0.1), 0)

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
        horizon,
        eye,
        (foot + 0.03, 1.14),
        paint,
        shelves=shelves,
        blocked=panes,
        wall=((0.1, 0.08, aspect - 0.1, max(0.15, high)), scale),
        things=(clutter.basket, clutter.guitar, clutter.bag, clutter.crate),
        small=(clutter.phone, clutter.paper, clutter.fruit, clutter.cereal),
        flat=(clutter.picture, clutter.picture),
    )


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
    panes = _panes(rng, aspect, foot)
    seed = rng.getrandbits(48)
    shelf_y = foot - 1.75 * scale
    shelf = rng.random() < 0.6 and shelf_y > 0.14

    def paint(canvas: Canvas) -> None:
        local = Random(seed)
        _walls(canvas, local, look, aspect, foot, wall, floor)
        for pane in panes:
            _window(canvas, local, look, pane, weather)
        if not panes and local.random() < 0.6:
            x = local.uniform(0.1, aspect - 0.5)
            rect(canvas, x, 0.1, x + 0.4, 0.34, (194, 156, 108), 0.06)
            for _ in range(5):
                nx, ny = x + local.uniform(0.02, 0.33), 0.1 + local.uniform(0.02, 0.18)
                rect(canvas, nx, ny, nx + 0.05, ny + 0.05, tone(look.accent(local), 0.4), 0)
        if shelf:
            rect(canvas, x0, shelf_y, x0 + wide * 0.7, shelf_y + 0.014, look.wood, 0)
        pen = at(canvas, x0, y, 1)
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
        horizon,
        eye,
        (y + 0.05, 1.14),
        paint,
        shelves=shelves,
        blocked=panes,
        wall=((0.1, 0.07, aspect - 0.1, max(0.14, shelf_y - 0.12)), scale),
        things=(clutter.bin_, clutter.bag, clutter.crate),
        small=(clutter.monitor, clutter.keyboard, clutter.paper, clutter.phone, clutter.monitor),
        flat=(clutter.picture,),
    )
