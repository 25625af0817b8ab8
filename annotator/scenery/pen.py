"""Shapes in metres, painted onto a picture or counted on a map of what hides what.

An object is written once, as a function of a `Pen`, in its own coordinates: metres, x to the
right, y up, the origin where it touches the ground. The same function then paints it (`Canvas`)
and measures how much of it can be seen (`Footprints`), so pictures and labels cannot disagree.

Frame coordinates: the top left corner is (0, 0), y runs down, the picture is 1 high and
``width / height`` wide.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from functools import lru_cache
from typing import Protocol

from PIL import Image, ImageDraw, ImageFilter

Point = tuple[float, float]
Points = Sequence[Point]
Colour = tuple[int, int, int]
Affine = tuple[float, float, float, float, float, float]
Box = tuple[float, float, float, float]

DARK: Colour = (44, 42, 54)
GLASS: Colour = (176, 208, 222)

FLAT_BELOW = 1200  # smaller shapes, in pixels of the canvas, get one colour instead of a gradient
SUPERSAMPLING = 2  # pictures are painted this much larger and averaged down
MAP_HEIGHT = 144  # pixels of the footprint map per frame height
MAP_MARGIN = 0.25  # what lies outside the frame is counted too, up to this share of the height


def mix(a: Colour, b: Colour, t: float) -> Colour:
    """Return the colour a share ``t`` (0-1) of the way from ``a`` to ``b``."""
    return (
        int(a[0] + (b[0] - a[0]) * t),
        int(a[1] + (b[1] - a[1]) * t),
        int(a[2] + (b[2] - a[2]) * t),
    )


def tone(colour: Colour, change: float) -> Colour:
    """Lighten (``change`` > 0, towards white) or darken (< 0, towards a cool black)."""
    return (
        mix(colour, (255, 252, 240), change) if change > 0 else mix(colour, (22, 18, 40), -change)
    )


@lru_cache(maxsize=8)
def unit_circle(corners: int) -> tuple[Point, ...]:
    """Return ``corners`` points on the circle of radius 1."""
    step = 2 * math.pi / corners
    return tuple((math.cos(i * step), math.sin(i * step)) for i in range(corners))


@lru_cache(maxsize=4096)
def smooth(points: tuple[Point, ...], steps: int = 5) -> tuple[Point, ...]:
    """Round a closed polygon: a Catmull-Rom curve through ``points``."""
    count = len(points)
    curve: list[Point] = []
    for i in range(count):
        (ax, ay), (bx, by) = points[i - 1], points[i]
        (cx, cy), (dx, dy) = points[(i + 1) % count], points[(i + 2) % count]
        for step in range(steps):
            t = step / steps
            wa, wb = ((2 - t) * t - 1) * t / 2, ((3 * t - 5) * t * t + 2) / 2
            wc, wd = ((4 - 3 * t) * t + 1) * t / 2, (t - 1) * t * t / 2
            curve.append(
                (wa * ax + wb * bx + wc * cx + wd * dx, wa * ay + wb * by + wc * cy + wd * dy)
            )
    return tuple(curve)


@lru_cache(maxsize=1)
def _falloff() -> Image.Image:
    """Return a 64 x 64 mask, 255 in the middle and 0 at the rim, for soft shadows and glows."""
    mask = Image.new("L", (64, 64))
    ImageDraw.Draw(mask).ellipse((13, 13, 50, 50), fill=255)
    return mask.filter(ImageFilter.GaussianBlur(7))


@lru_cache(maxsize=64)
def _falloff_scaled(strength: int) -> Image.Image:
    """Return the soft mask with ``strength`` (0-255) in the middle."""
    return _falloff().point([value * strength // 255 for value in range(256)])


class Surface(Protocol):
    """What a pen draws on. All coordinates are pixels of the surface."""

    affine: Affine  # frame coordinates to pixels

    def fill(self, flat: list[float], colour: Colour, shade: float, alpha: int) -> None:
        """Fill the polygon ``x0, y0, x1, y1, …``."""

    def stroke(self, flat: list[float], width: float, colour: Colour) -> None:
        """Draw a line through the points."""

    def soft(self, box: tuple[float, ...], colour: Colour, strength: float) -> None:
        """Lay a soft blot of colour over the box (left, top, right, bottom)."""


class Canvas:
    """Paints at twice the final size; shapes get a gradient from the light to the far side.

    Args:
        size: final width and height in pixels.
        affine: camera, frame to frame (zoom, shift and roll).
        light: where the light comes from, -1 left to 1 right.
    """

    def __init__(self, size: tuple[int, int], affine: Affine, light: float) -> None:
        self.size = (size[0] * SUPERSAMPLING, size[1] * SUPERSAMPLING)
        k = float(self.size[1])
        self.affine: Affine = tuple(k * v for v in affine)  # type: ignore[assignment]
        self.image = Image.new("RGB", self.size)
        self.light = light
        self._draw = ImageDraw.Draw(self.image)

    def fill(self, flat: list[float], colour: Colour, shade: float, alpha: int) -> None:
        """Fill a polygon, shaded by up to ``shade`` (0-1), ``alpha`` of 255 opaque."""
        xs, ys = flat[::2], flat[1::2]
        left, top, right, bottom = min(xs), min(ys), max(xs), max(ys)
        wide, high = right - left, bottom - top
        if alpha == 255 and (shade == 0 or wide * high < FLAT_BELOW):
            self._draw.polygon(flat, fill=colour)
            return
        x0, y0 = max(int(left), 0), max(int(top), 0)
        x1, y1 = min(int(right) + 1, self.size[0]), min(int(bottom) + 1, self.size[1])
        if x1 <= x0 or y1 <= y0:
            return
        size = (x1 - x0, y1 - y0)
        mask = None
        upright = len(flat) == 8 and xs[0] == xs[3] and xs[1] == xs[2] and ys[0] == ys[1]
        if alpha < 255 or not upright:
            mask = Image.new("1" if alpha == 255 else "L", size)  # "1" pastes three times as fast
            shifted = [v - (x0 if i % 2 == 0 else y0) for i, v in enumerate(flat)]
            ImageDraw.Draw(mask).polygon(shifted, fill=alpha)
        if shade == 0:
            self.image.paste(Image.new("RGB", size, colour), (x0, y0), mask)
            return
        u0, u1 = (x0 - left) / (wide + 1e-6), (x1 - left) / (wide + 1e-6)
        v0, v1 = (y0 - top) / (high + 1e-6), (y1 - top) / (high + 1e-6)
        corners = [
            tone(colour, shade * (self.light * (2 * u - 1) * 0.7 + 0.5 - 1.1 * v))
            for v in (v0, v1)
            for u in (u0, u1)
        ]
        self.image.paste(gradient(corners, size), (x0, y0), mask)

    def stroke(self, flat: list[float], width: float, colour: Colour) -> None:
        """Draw a line of ``width`` pixels, at least one."""
        self._draw.line(flat, fill=colour, width=max(1, round(width)), joint="curve")

    def soft(self, box: tuple[float, ...], colour: Colour, strength: float) -> None:
        """Lay a soft blot of ``strength`` (0-1) over the box."""
        x0, y0, x1, y1 = (int(v) for v in box)
        wide, high = x1 - x0, y1 - y0
        if wide < 2 or high < 2 or x1 < 0 or y1 < 0 or x0 > self.size[0] or y0 > self.size[1]:
            return
        left, top = max(0, -x0), max(0, -y0)
        right, bottom = min(wide, self.size[0] - x0), min(high, self.size[1] - y0)
        if right <= left or bottom <= top:
            return
        sx, sy = 64 / wide, 64 / high
        mask = _enlarge(
            _falloff_scaled(int(strength * 255)),
            (right - left, bottom - top),
            (left * sx, top * sy, right * sx, bottom * sy),
        )
        # pasting an image through a mask is twice as fast as pasting a colour
        self.image.paste(Image.new("RGB", mask.size, colour), (x0 + left, y0 + top), mask)

    def sweep(self, corners: Sequence[Colour], top: float = 0, bottom: float = 1) -> None:
        """Fill the width between two frame heights with a gradient between four corners.

        At 0 and 1 it goes on to the edge of the picture, wherever the camera looks.
        """
        a, b, e, c, d, f = self.affine
        wide = self.size[0] / self.size[1]
        top, bottom = (top if top > 0 else -0.5), (bottom if bottom < 1 else 1.5)
        y0, y1 = (int(d * y + f + c * wide / 2) for y in (top, bottom))
        slope = abs(c) * wide / 2
        first, last = max(0, int(y0 - slope)), min(self.size[1], int(y1 + slope) + 1)
        if c == 0:
            first, last = max(0, y0), min(self.size[1], y1)
        if last <= first:
            return
        colours = gradient(corners, (self.size[0], last - first))
        mask = None
        if c != 0:
            points = ((-1.0, top), (wide + 1, top), (wide + 1, bottom), (-1.0, bottom))
            mask = Image.new("1", colours.size)
            ImageDraw.Draw(mask).polygon(
                [v for x, y in points for v in (a * x + b * y + e, c * x + d * y + f - first)],
                fill=255,
            )
        self.image.paste(colours, (0, first), mask)

    def blur(self, radius: float) -> None:
        """Throw what has been painted so far out of focus; ``radius`` in frame heights."""
        small = self.image.reduce(4)
        small = small.filter(ImageFilter.BoxBlur(radius * small.size[1]))
        self.image.paste(_enlarge(small, self.size, (0, 0, *small.size)))

    def finish(self) -> Image.Image:
        """Return the picture at its final size."""
        return self.image.reduce(SUPERSAMPLING)


def gradient(corners: Sequence[Colour], size: tuple[int, int]) -> Image.Image:
    """Return a bilinear gradient: corners top left, top right, bottom left, bottom right."""
    seed = Image.frombytes("RGB", (2, 2), bytes(v for colour in corners for v in colour))
    return _enlarge(seed, size, (0.5, 0.5, 1.5, 1.5))


def _enlarge(image: Image.Image, size: tuple[int, int], box: Box) -> Image.Image:
    """Resize a smooth image: bilinear at a quarter of the size, then repeated pixels.

    Four times as fast as bilinear alone, and the steps vanish when the canvas is averaged down.
    """
    step = 4 if max(size) >= 64 else 2 if max(size) >= 24 else 1
    coarse = image.resize(
        (-(-size[0] // step), -(-size[1] // step)), Image.Resampling.BILINEAR, box=box
    )
    return coarse if step == 1 else coarse.resize(size, Image.Resampling.NEAREST)


class Footprints:
    """Counts pixels per object on a coarse map that is larger than the frame.

    `ident` is the object that shapes belong to: 1-255, or 0 for clutter, which hides others but
    is not counted.
    """

    def __init__(self, aspect: float, affine: Affine) -> None:
        k, m = float(MAP_HEIGHT), MAP_MARGIN * MAP_HEIGHT
        a, b, e, c, d, f = affine
        self.affine: Affine = (k * a, k * b, k * e + m, k * c, k * d, k * f + m)
        self.ident = 0
        self._frame = (int(m), int(m), int(m) + round(k * aspect), int(m) + int(k))
        self._map = Image.new("L", (self._frame[2] + int(m), self._frame[3] + int(m)))
        self._draw = ImageDraw.Draw(self._map)

    def fill(self, flat: list[float], colour: Colour, shade: float, alpha: int) -> None:
        """Give the polygon's pixels to the object; see-through shapes hide and own nothing."""
        if alpha > 127:
            self._draw.polygon(flat, fill=self.ident)

    def stroke(self, flat: list[float], width: float, colour: Colour) -> None:
        """Give the line's pixels to the object."""
        self._draw.line(flat, fill=self.ident, width=max(1, round(width)))

    def soft(self, box: tuple[float, ...], colour: Colour, strength: float) -> None:
        """Shadows and glows own nothing."""

    def whole(self, ident: int) -> float:
        """Return the area of an object now, also outside the frame, as a share of the frame."""
        return self._map.histogram()[ident] / self._area

    def visible(self) -> list[float]:
        """Return for each of 256 objects the area seen inside the frame, a share of the frame."""
        return [count / self._area for count in self._map.crop(self._frame).histogram()]

    @property
    def _area(self) -> int:
        return (self._frame[2] - self._frame[0]) * (self._frame[3] - self._frame[1])


class Pen:
    """Draws shapes given in an object's own coordinates: metres, y up.

    Args:
        surface: what to draw on.
        x: frame position of the origin, from the left.
        y: frame position of the origin, from the top.
        scale: frame heights per metre.
        flip: mirror left and right.
        tilt: turn counter-clockwise, radians.
    """

    def __init__(
        self, surface: Surface, x: float, y: float, scale: float, flip: bool = False,
        tilt: float = 0.0,
    ) -> None:  # fmt: skip
        self.surface = surface
        cos, sin = math.cos(tilt) * scale, math.sin(tilt) * scale
        sign = -1.0 if flip else 1.0
        # own coordinates to frame (y turns downwards), then frame to pixels
        a, b, c, d = cos * sign, -sin, -sin * sign, -cos
        p, q, e, r, s, f = surface.affine
        self._matrix: Affine = (
            p * a + q * c, p * b + q * d, p * x + q * y + e,
            r * a + s * c, r * b + s * d, r * x + s * y + f,
        )  # fmt: skip
        self._pixels = math.hypot(p, r) * scale

    @property
    def pixels(self) -> float:
        """Pixels of the surface per metre: what is worth drawing at all."""
        return self._pixels

    def _flat(self, points: Iterable[Point]) -> list[float]:
        a, b, e, c, d, f = self._matrix
        return [v for x, y in points for v in (a * x + b * y + e, c * x + d * y + f)]

    def poly(self, points: Points, colour: Colour, shade: float = 0.16, alpha: int = 255) -> None:
        """Fill a polygon."""
        self.surface.fill(self._flat(points), colour, shade, alpha)

    def blob(self, points: Points, colour: Colour, shade: float = 0.16, alpha: int = 255) -> None:
        """Fill the smooth shape through the points."""
        self.surface.fill(self._flat(smooth(tuple(points))), colour, shade, alpha)

    def box(
        self, x0: float, y0: float, x1: float, y1: float, colour: Colour, shade: float = 0.12
    ) -> None:
        """Fill a rectangle."""
        self.surface.fill(self._flat(((x0, y0), (x1, y0), (x1, y1), (x0, y1))), colour, shade, 255)

    def slab(
        self, x0: float, y0: float, x1: float, y1: float, r: float, colour: Colour,
        shade: float = 0.16,
    ) -> None:  # fmt: skip
        """Fill a rectangle with round corners of radius ``r``."""
        r = min(r, abs(x1 - x0) / 2, abs(y1 - y0) / 2)
        points: list[Point] = []
        for i, (cx, cy) in enumerate(
            ((x1 - r, y1 - r), (x0 + r, y1 - r), (x0 + r, y0 + r), (x1 - r, y0 + r))
        ):
            quarter = unit_circle(16)[4 * i : 4 * i + 4]
            points += [(cx + r * u, cy + r * v) for u, v in quarter]
            points.append((cx + r * (0, -1, 0, 1)[i], cy + r * (1, 0, -1, 0)[i]))
        self.poly(points, colour, shade)

    def disc(
        self, cx: float, cy: float, rx: float, ry: float | None, colour: Colour,
        shade: float = 0.16, alpha: int = 255,
    ) -> None:  # fmt: skip
        """Fill an ellipse; ``ry`` None makes a circle."""
        ry = rx if ry is None else ry
        size = max(rx, ry) * self._pixels
        if size < 0.4:
            return
        circle = unit_circle(10 if size < 5 else 20 if size < 25 else 40)
        self.poly([(cx + rx * u, cy + ry * v) for u, v in circle], colour, shade, alpha)

    def limb(
        self, start: Point, end: Point, w0: float, w1: float, colour: Colour, shade: float = 0.12
    ) -> None:
        """Fill a rounded bar from ``start`` (radius ``w0``) to ``end`` (radius ``w1``)."""
        (x0, y0), (x1, y1) = start, end
        angle = math.atan2(y1 - y0, x1 - x0)
        turns = (-1.571, -0.786, 0.0, 0.786, 1.571)
        points = [(x1 + w1 * math.cos(angle + t), y1 + w1 * math.sin(angle + t)) for t in turns]
        angle += math.pi
        points += [(x0 + w0 * math.cos(angle + t), y0 + w0 * math.sin(angle + t)) for t in turns]
        self.poly(points, colour, shade)

    def stroke(self, points: Points, width: float, colour: Colour) -> None:
        """Draw a line of ``width`` metres."""
        self.surface.stroke(self._flat(points), width * self._pixels, colour)

    def ring(self, cx: float, cy: float, r: float, width: float, colour: Colour) -> None:
        """Draw a circle's outline."""
        circle = unit_circle(20 if r * self._pixels < 25 else 40)
        points = [(cx + r * u, cy + r * v) for u, v in circle]
        self.stroke([*points, points[0], points[1]], width, colour)

    def shadow(self, cx: float, cy: float, rx: float, ry: float, strength: float = 0.42) -> None:
        """Lay a soft shadow; it has no effect on what counts as visible."""
        self.glow(cx, cy, rx, ry, (24, 20, 48), strength)

    def glow(
        self, cx: float, cy: float, rx: float, ry: float, colour: Colour, strength: float
    ) -> None:
        """Lay a soft blot of colour."""
        x, y = self._flat([(cx, cy)])
        rx, ry = rx * self._pixels * 1.4, ry * self._pixels * 1.4
        self.surface.soft((x - rx, y - ry, x + rx, y + ry), colour, strength)
