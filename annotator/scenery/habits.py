"""Which objects are found together: how often in each place, and what goes with what.

Labels of a place are drawn one category after the other. The chance of each depends on the place
(`RATES`) and on the categories drawn before it (`TIES`, in logits), so that one known label says
something about the others even when the place is known.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from random import Random
from types import MappingProxyType

from annotator.scenery.objects import DRAWINGS

CATEGORIES: tuple[str, ...] = tuple(DRAWINGS)

# Share of the pictures of a place that show each category; any other is (almost) never there.
RATES: Mapping[str, Mapping[str, float]] = MappingProxyType(
    {
        "kitchen": {
            "dining table": 0.47,
            "chair": 0.47,
            "bottle": 0.57,
            "bowl": 0.57,
            "cup": 0.52,
            "person": 0.41,
            "clock": 0.36,
            "potted plant": 0.30,
            "cat": 0.19,
            "dog": 0.13,
            "lamp": 0.15,
            "book": 0.15,
        },
        "living room": {
            "sofa": 0.71,
            "lamp": 0.57,
            "book": 0.52,
            "potted plant": 0.52,
            "cat": 0.36,
            "person": 0.41,
            "dog": 0.24,
            "clock": 0.36,
            "laptop": 0.19,
            "cup": 0.24,
            "chair": 0.30,
            "dining table": 0.24,
            "bottle": 0.10,
            "bowl": 0.13,
        },
        "office": {
            "laptop": 0.62,
            "chair": 0.67,
            "book": 0.52,
            "cup": 0.52,
            "person": 0.52,
            "lamp": 0.41,
            "clock": 0.41,
            "potted plant": 0.47,
            "bottle": 0.24,
            "dog": 0.08,
        },
        "café": {
            "dining table": 0.71,
            "chair": 0.71,
            "umbrella": 0.47,
            "cup": 0.57,
            "bottle": 0.47,
            "person": 0.67,
            "dog": 0.24,
            "bicycle": 0.30,
            "potted plant": 0.47,
            "laptop": 0.24,
            "bird": 0.24,
            "bowl": 0.24,
            "book": 0.13,
        },
        "street": {
            "car": 0.67,
            "traffic light": 0.52,
            "person": 0.67,
            "bicycle": 0.47,
            "umbrella": 0.36,
            "dog": 0.30,
            "bench": 0.30,
            "bird": 0.24,
            "cat": 0.13,
            "potted plant": 0.19,
        },
        "park": {
            "bench": 0.57,
            "person": 0.67,
            "dog": 0.52,
            "bird": 0.52,
            "bicycle": 0.41,
            "umbrella": 0.24,
            "book": 0.08,
            "sheep": 0.05,
        },
        "farm": {
            "cow": 0.52,
            "sheep": 0.52,
            "tractor": 0.52,
            "dog": 0.41,
            "person": 0.47,
            "bird": 0.41,
            "car": 0.19,
            "cat": 0.13,
            "bicycle": 0.13,
        },
        "harbour": {
            "boat": 0.84,
            "bird": 0.62,
            "person": 0.52,
            "bicycle": 0.30,
            "bench": 0.36,
            "dog": 0.24,
            "car": 0.19,
            "cat": 0.19,
            "umbrella": 0.15,
        },
        "beach": {
            "umbrella": 0.57,
            "person": 0.71,
            "boat": 0.47,
            "bird": 0.52,
            "dog": 0.36,
            "bench": 0.13,
            "chair": 0.30,
            "bottle": 0.13,
            "book": 0.10,
            "bicycle": 0.15,
        },
        "tabletop": {
            "cup": 0.67,
            "bowl": 0.52,
            "bottle": 0.52,
            "book": 0.52,
            "laptop": 0.41,
            "potted plant": 0.41,
            "lamp": 0.30,
            "cat": 0.24,
            "clock": 0.19,
        },
    }
)

# What the presence of one category adds to the logit of another, in the places where both occur.
TIES: Mapping[tuple[str, str], float] = MappingProxyType(
    {
        ("person", "dog"): 2.4, ("person", "bicycle"): 2.4, ("person", "umbrella"): 3.0,
        ("person", "laptop"): 2.4, ("person", "tractor"): 2.1, ("person", "bird"): -2.1,
        ("person", "cat"): -1.8, ("person", "bench"): 1.4, ("person", "boat"): -1.2,
        ("dog", "cat"): -3.6, ("dog", "sheep"): 3.3, ("dog", "bird"): -2.4, ("dog", "sofa"): -1.2,
        ("dog", "bicycle"): -2.1, ("dog", "bench"): 1.5, ("dog", "cow"): -1.2,
        ("cat", "bird"): -3.0, ("cat", "sofa"): 2.7, ("cat", "potted plant"): -2.4,
        ("cat", "book"): 1.8, ("cat", "boat"): 1.5, ("cat", "bowl"): 1.8,
        ("cow", "sheep"): -3.9, ("cow", "tractor"): -2.4, ("cow", "bird"): 1.8,
        ("sheep", "tractor"): -1.8, ("bird", "boat"): 2.4, ("bird", "bench"): 2.7,
        ("bird", "umbrella"): -2.4, ("bird", "tractor"): 1.8,
        ("car", "bicycle"): -2.4, ("car", "traffic light"): 3.0, ("car", "tractor"): -1.8,
        ("car", "bench"): -2.1, ("car", "umbrella"): 1.8, ("car", "person"): -0.6,
        ("bicycle", "traffic light"): -1.8, ("bicycle", "bench"): 2.4,
        ("bicycle", "umbrella"): -3.0, ("bench", "umbrella"): -2.1,
        ("umbrella", "chair"): 2.7, ("umbrella", "dining table"): 1.8,
        ("chair", "dining table"): 3.9, ("chair", "sofa"): -2.7, ("chair", "laptop"): 2.7,
        ("chair", "boat"): -1.8, ("dining table", "sofa"): -2.4, ("dining table", "bottle"): 2.7,
        ("dining table", "bowl"): 2.4, ("dining table", "clock"): -1.5,
        ("sofa", "lamp"): 2.4, ("sofa", "book"): 1.2, ("potted plant", "laptop"): -2.1,
        ("potted plant", "bottle"): -1.8, ("potted plant", "lamp"): 1.5,
        ("lamp", "book"): 3.3, ("lamp", "clock"): -2.4, ("clock", "laptop"): 2.1,
        ("clock", "bowl"): 1.8, ("book", "laptop"): -1.5, ("book", "cup"): 2.4,
        ("book", "bottle"): -3.0, ("laptop", "cup"): 2.7, ("laptop", "bowl"): -3.0,
        ("laptop", "bottle"): -1.8, ("cup", "bottle"): -2.7, ("cup", "bowl"): -0.9,
        ("bottle", "bowl"): 3.0,
    }
)  # fmt: skip

# How many more of a kind there are, as the chance of each further one, and at most how many.
COMPANY: Mapping[str, tuple[float, int]] = MappingProxyType(
    {
        "person": (0.4, 4), "bird": (0.5, 5), "cow": (0.6, 5), "sheep": (0.7, 7), "car": (0.4, 3),
        "boat": (0.45, 4), "chair": (0.55, 4), "book": (0.4, 4), "cup": (0.4, 3),
        "bottle":
        (0.5, 4), "bowl": (0.3, 2), "potted plant": (0.25, 2),
        "umbrella": (0.3, 3), "bicycle":
        (0.2, 2), "traffic light": (0.25, 2),
        "bench": (0.15, 2), "dining table": (0.15, 2), "dog": (0.1, 2), "lamp": (0.15, 2),
    }
)  # fmt: skip


def draw_counts(place: str, rng: Random) -> dict[str, int]:
    """Draw what there is in one picture of ``place``: category name -> how many."""
    rates = RATES[place]
    present: dict[str, bool] = {}
    counts: dict[str, int] = {}
    for name, rate in rates.items():
        if rate <= 0:
            continue
        logit = math.log(rate / (1 - rate))
        for other, there in present.items():
            tie = TIES.get((other, name)) or TIES.get((name, other))
            if tie:
                # centred, so that ties move labels together without moving the rates much
                logit += tie * (float(there) - rates[other])
        present[name] = rng.random() < 1 / (1 + math.exp(-logit))
        if present[name]:
            chance, most = COMPANY.get(name, (0.0, 1))
            count = 1
            while count < most and rng.random() < chance:
                count += 1
            counts[name] = count
    if rng.random() < 0.04:  # now and then something out of place
        outdoors = "boat" in rates or "car" in rates
        visitors = ("person", "bird", "dog", "cat") if outdoors else ("cat",)
        counts.setdefault(rng.choice(visitors), 1)
    return counts
