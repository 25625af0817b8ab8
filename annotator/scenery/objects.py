"""The kinds of object that pictures are labelled with.

Each function draws one object about as large as life: metres, y up, the origin in the middle of
where it stands, hangs or floats. All their variety comes from the generator they are given.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from random import Random
from types import MappingProxyType

from annotator.scenery import creatures, furniture, tableware, vehicles
from annotator.scenery.look import Look
from annotator.scenery.pen import Pen

Draw = Callable[[Pen, Random, Look], None]

DRAWINGS: Mapping[str, Draw] = MappingProxyType(
    {
        "person": creatures.person,
        "dog": creatures.dog,
        "cat": creatures.cat,
        "bird": creatures.bird,
        "cow": creatures.cow,
        "sheep": creatures.sheep,
        "car": vehicles.car,
        "bicycle": vehicles.bicycle,
        "tractor": vehicles.tractor,
        "boat": vehicles.boat,
        "traffic light": vehicles.traffic_light,
        "bench": furniture.bench,
        "umbrella": furniture.umbrella,
        "chair": furniture.chair,
        "dining table": furniture.dining_table,
        "sofa": furniture.sofa,
        "potted plant": furniture.potted_plant,
        "lamp": furniture.lamp,
        "clock": tableware.clock,
        "book": tableware.book,
        "laptop": tableware.laptop,
        "cup": tableware.cup,
        "bottle": tableware.bottle,
        "bowl": tableware.bowl,
    }
)
