"""Draws the demo's pictures and knows their true labels.

A picture is a function of its index and a seed: picture 7 of seed 0 is the same whether ten or a
hundred thousand are drawn, in whatever order and process. Its labels follow from what can be seen:
a category is present if one object of it covers at least `MIN_AREA` of the picture after
everything in front of it, with at least `MIN_SHARE` of the object inside the frame and unhidden.
Objects that fail this are left out, so nothing is half there.
"""

from __future__ import annotations

import os
import re
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import lru_cache
from itertools import islice
from multiprocessing import get_context
from pathlib import Path
from random import Random

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageChops

from annotator.errors import InvalidInput
from annotator.scenery.backdrops import PLACES
from annotator.scenery.composition import Composer, Placed, camera
from annotator.scenery.habits import CATEGORIES, draw_counts
from annotator.scenery.look import PALETTES, WOODS, Look
from annotator.scenery.pen import Affine, Canvas, Colour, Footprints, Pen, gradient, mix, tone
from annotator.scenery.stage import WEATHER_WEIGHTS, WEATHERS, Stage, Weather
from hst_core.files import replacing

__all__ = [
    "CATEGORIES",
    "KINDS",
    "Scene",
    "draw_folder",
    "draw_scene",
    "labels_of",
    "picture_name",
    "true_labels",
]

KINDS: tuple[str, ...] = tuple(PLACES)
# Places that alone show some categories come more often.
_WEIGHTS = tuple({"farm": 1.7, "street": 1.6, "living room": 1.2}.get(kind, 1.0) for kind in KINDS)
SIZE = (384, 288)
MIN_AREA = 0.0018  # of the picture: about 14 x 14 pixels at 384 x 288
MIN_SHARE = 0.3  # of the object's own outline
QUALITY = 88  # JPEG
# At most 255 things are told apart on the footprint map; pictures have about 10.

Labels = npt.NDArray[np.int8]


@dataclass(frozen=True)
class Scene:
    """One planned picture: everything but the paint.

    Attributes:
        kind: the place, one of `KINDS`.
        labels: [C] of 1 (present) and -1 (absent), in the order of `CATEGORIES`.
    """

    kind: str
    labels: Labels
    _stage: Stage
    _things: tuple[Placed, ...]
    _look: Look
    _weather: Weather
    _camera: Affine
    _finish: int

    @classmethod
    def plan(cls, index: int, seed: int, aspect: float = SIZE[0] / SIZE[1]) -> Scene:
        """Decide what picture ``index`` of ``seed`` shows; ``aspect`` is width over height."""
        if index < 0 or seed < 0:
            raise InvalidInput(f"index and seed must be 0 or more, got {index} and {seed}")
        rng = Random(f"{seed}:{index}")
        (kind,) = rng.choices(KINDS, _WEIGHTS)
        counts = draw_counts(kind, rng)
        outdoors = kind in ("street", "park", "farm", "harbour", "beach")
        wet = (
            outdoors and kind != "beach" and rng.random() < (0.45 if "umbrella" in counts else 0.04)
        )
        weather = WEATHERS[3] if wet else rng.choices(WEATHERS, WEATHER_WEIGHTS)[0]
        look = Look(
            rng.choice(PALETTES),
            rng.choice(WOODS),
            rng.choice((-1.0, 1.0)) * rng.uniform(0.3, 1.0),
            weather.night,
            wet,
        )
        stage = PLACES[kind](rng, look, aspect, weather)
        things = Composer(stage, rng, look, aspect).compose(counts)
        view = camera(rng, aspect)
        kept, labels = _look_at(things, look, view, aspect)
        return cls(kind, labels, stage, tuple(kept), look, weather, view, rng.getrandbits(32))

    def paint(self, size: tuple[int, int] = SIZE) -> Image.Image:
        """Return the picture, ``size`` pixels wide and high."""
        canvas = Canvas(size, self._camera, self._look.light)
        self._stage.paint(canvas)
        for thing in self._things:
            thing.draw(_pen(canvas, thing), Random(thing.seed), self._look)
        return _finish(canvas, self, Random(self._finish))


def _pen(surface: Canvas | Footprints, thing: Placed) -> Pen:
    return Pen(surface, thing.x, thing.y, thing.scale, thing.flip, thing.tilt)


def _look_at(
    things: Sequence[Placed], look: Look, view: Affine, aspect: float
) -> tuple[list[Placed], Labels]:
    """Return the things that can be seen well enough, and the labels of the picture."""
    footprints = Footprints(aspect, view)
    whole = [0.0]
    for ident, thing in enumerate(things, start=1):
        footprints.ident = ident if thing.name else 0
        thing.draw(_pen(footprints, thing), Random(thing.seed), look)
        whole.append(footprints.whole(ident) if thing.name else 1.0)
    seen = footprints.visible()
    labels = np.full(len(CATEGORIES), -1, np.int8)
    kept = []
    for ident, thing in enumerate(things, start=1):
        clear = seen[ident] >= MIN_AREA and seen[ident] >= MIN_SHARE * whole[ident]
        if thing.name and clear:
            labels[CATEGORIES.index(thing.name)] = 1
        if not thing.name or clear or thing.carries:
            kept.append(thing)
    return kept, labels


def _finish(canvas: Canvas, scene: Scene, rng: Random) -> Image.Image:
    """Rain, the tint of the hour, a gradient of light and a little grain."""
    aspect = canvas.size[0] / canvas.size[1]
    if scene._look.wet:
        for _ in range(70):
            pen = Pen(canvas, rng.uniform(0, aspect), rng.uniform(0, 1), rng.uniform(0.02, 0.05))
            pen.stroke([(0, 0), (0.2, 1)], 0.03, (222, 230, 238))
    picture = canvas.finish()
    outdoors = scene._stage.sky is not None
    tint = scene._weather.tint if outdoors else mix(scene._weather.tint, (255, 250, 240), 0.5)
    lit, dim = tint, tone(tint, -rng.uniform(0.04, 0.24))
    side = scene._look.light < 0
    corners: list[Colour] = [lit if side else dim, dim if side else lit, mix(lit, dim, 0.5), dim]
    if not side:
        corners[2], corners[3] = dim, mix(lit, dim, 0.5)
    picture = ImageChops.multiply(picture, gradient(corners, picture.size))
    contrast, lift = rng.uniform(0.92, 1.18), rng.uniform(0, 14)
    curve = [round((v - 128) * contrast + 128 + lift) for v in range(256)]
    tile = _grain(rng.choice((5, 5, 8, 12)), picture.size)
    x, y = rng.randrange(tile.width // 2), rng.randrange(tile.height // 2)
    grain = tile.crop((x, y, x + picture.width, y + picture.height))
    return ImageChops.add(picture.point(curve * 3), grain, 1, -128)


@lru_cache(maxsize=8)
def _grain(strength: int, size: tuple[int, int]) -> Image.Image:
    """Return a tile of film grain around 128, which also keeps smooth gradients from banding."""
    noise = np.random.default_rng(strength).normal(128, strength / 3, (2 * size[1], 2 * size[0]))
    return Image.fromarray(noise.clip(0, 255).astype(np.uint8)).convert("RGB")


def draw_scene(
    index: int, seed: int = 0, size: tuple[int, int] = SIZE
) -> tuple[Image.Image, Labels]:
    """Return picture ``index`` of ``seed`` and its labels, [C] of 1 and -1."""
    scene = Scene.plan(index, seed, size[0] / size[1])
    return scene.paint(size), scene.labels


def true_labels(count: int, seed: int = 0, size: tuple[int, int] = SIZE) -> Labels:
    """Return the labels of the first ``count`` pictures, [N, C] of 1 and -1, without painting."""
    rows = [Scene.plan(index, seed, size[0] / size[1]).labels for index in range(count)]
    return np.stack(rows) if rows else np.empty((0, len(CATEGORIES)), np.int8)


def picture_name(index: int, seed: int = 0) -> str:
    """Return the file name of picture ``index`` of ``seed``."""
    return f"scene-{seed}-{index:06d}.jpg"


def labels_of(name: str, size: tuple[int, int] = SIZE) -> Labels | None:
    """Return the true labels [C] of the picture with this file name, None for other files."""
    found = re.fullmatch(r"scene-(\d+)-(\d+)\.jpg", name)
    if found is None:
        return None
    return Scene.plan(int(found[2]), int(found[1]), size[0] / size[1]).labels


def draw_folder(
    folder: Path,
    count: int,
    seed: int = 0,
    *,
    size: tuple[int, int] = SIZE,
    progress: Callable[[int, int], None] | None = None,
    workers: int | None = None,
) -> tuple[list[Path], Labels]:
    """Draw the first ``count`` pictures into ``folder``; files that are there are kept.

    Args:
        folder: made if it does not exist.
        count: how many pictures.
        seed: another seed gives other pictures under other names.
        size: width and height in pixels; keep one size per folder.
        progress: called with (done, count) after every `BLOCK` pictures.
        workers: processes; None takes one per processor where that is worth the start, 1 draws
            in this process.

    Returns:
        The paths in order of index, and the true labels [N, C] of 1 and -1.
    """
    if count < 0:
        raise InvalidInput(f"count must be 0 or more, got {count}")
    folder.mkdir(parents=True, exist_ok=True)
    labels = np.full((count, len(CATEGORIES)), -1, np.int8)
    done = 0
    for start, rows in _blocks(folder, count, seed, size, workers):
        labels[start : start + len(rows)] = rows
        done += len(rows)
        if progress is not None:
            progress(done, count)
    return [folder / picture_name(index, seed) for index in range(count)], labels


BLOCK = 32  # pictures per task of a worker process
WORTH_PROCESSES = 128  # starting processes takes longer than drawing fewer pictures


def _blocks(
    folder: Path, count: int, seed: int, size: tuple[int, int], workers: int | None
) -> Iterator[tuple[int, Labels]]:
    """Draw block by block, in parallel if asked; yield (first index, labels of the block)."""
    tasks = (
        (folder, start, min(start + BLOCK, count), seed, size) for start in range(0, count, BLOCK)
    )
    if workers is None:
        workers = (os.cpu_count() or 1) if count >= WORTH_PROCESSES else 1
    workers = min(workers, -(-count // BLOCK))
    if workers <= 1:
        yield from map(_draw_block, tasks)
        return
    # spawned, not forked: the caller may have threads
    with ProcessPoolExecutor(workers, mp_context=get_context("spawn")) as pool:
        # a few tasks ahead, so that a hundred thousand pictures need no long list of futures
        waiting = deque(pool.submit(_draw_block, task) for task in islice(tasks, 2 * workers))
        while waiting:
            yield waiting.popleft().result()
            waiting.extend(pool.submit(_draw_block, task) for task in islice(tasks, 1))


def _draw_block(task: tuple[Path, int, int, int, tuple[int, int]]) -> tuple[int, Labels]:
    """Write the missing pictures of one block and return (first index, labels)."""
    folder, start, stop, seed, size = task
    rows = []
    for index in range(start, stop):
        scene = Scene.plan(index, seed, size[0] / size[1])
        rows.append(scene.labels)
        path = folder / picture_name(index, seed)
        if path.exists():
            continue
        # renamed when complete, so that an interrupted run leaves no half-written picture
        with replacing(path, durable=False) as file:
            scene.paint(size).save(file, "JPEG", quality=QUALITY)
    return start, np.stack(rows)
