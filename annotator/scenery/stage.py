"""Where things can stand in a picture, and the weather: the plan of a place before any paint."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from annotator.scenery.objects import Draw
from annotator.scenery.pen import Box, Canvas, Colour, Pen


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
        blocked: boxes of the wall that are taken, such as windows.
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
    blocked: Sequence[Box] = ()
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


def at(canvas: Canvas, x: float, y: float, scale: float) -> Pen:
    """Return a pen for frame heights, or multiples of `scale`, y up from (x, y)."""
    return Pen(canvas, x, y, scale)


def rect(
    canvas: Canvas, x0: float, y0: float, x1: float, y1: float, c: Colour, s: float = 0.1
) -> None:
    """Fill a rectangle given in frame coordinates."""
    Pen(canvas, x0, y1, 1).box(0, 0, x1 - x0, y1 - y0, c, s)


WEATHER_WEIGHTS = (3, 3, 3, 1.5, 1.5, 1, 1)
