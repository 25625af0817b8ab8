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
            "dining table": 0.4, "chair": 0.4, "bottle": 0.5, "bowl": 0.5, "cup": 0.45, "person": 0.35,
            "clock": 0.3, "potted plant": 0.25, "cat": 0.15, "dog": 0.1, "lamp": 0.12, "book": 0.12,
        },
        "living room": {
            "sofa": 0.65, "lamp": 0.5, "book": 0.45, "potted plant": 0.45, "cat": 0.3, "person": 0.35,
            "dog": 0.2, "clock": 0.3, "laptop": 0.15, "cup": 0.2, "chair": 0.25, "dining table": 0.2,
            "bottle": 0.08, "bowl": 0.1,
        },
        "office": {
            "laptop": 0.55, "chair": 0.6, "book": 0.45, "cup": 0.45, "person": 0.45, "lamp": 0.35,
            "clock": 0.35, "potted plant": 0.4, "bottle": 0.2, "dog": 0.06, "umbrella": 0.05,
        },
        "café": {
            "dining table": 0.65, "chair": 0.65, "umbrella": 0.4, "cup": 0.5, "bottle": 0.4, "person": 0.6,
            "dog": 0.2, "bicycle": 0.25, "potted plant": 0.4, "laptop": 0.2, "bird": 0.2, "bowl": 0.2,
            "book": 0.1,
        },
        "street": {
            "car": 0.6, "traffic light": 0.45, "person": 0.6, "bicycle": 0.4, "umbrella": 0.3, "dog": 0.25,
            "bench": 0.25, "bird": 0.2, "cat": 0.1, "potted plant": 0.15,
        },
        "park": {
            "bench": 0.5, "person": 0.6, "dog": 0.45, "bird": 0.45, "bicycle": 0.35, "umbrella": 0.2,
            "book": 0.06, "boat": 0.0, "sheep": 0.04,
        },
        "farm": {
            "cow": 0.45, "sheep": 0.45, "tractor": 0.45, "dog": 0.35, "person": 0.4, "bird": 0.35,
            "car": 0.15, "cat": 0.1, "bicycle": 0.1,
        },
        "harbour": {
            "boat": 0.8, "bird": 0.55, "person": 0.45, "bicycle": 0.25, "bench": 0.3, "dog": 0.2,
            "car": 0.15, "cat": 0.15, "umbrella": 0.12,
        },
        "beach": {
            "umbrella": 0.5, "person": 0.65, "boat": 0.4, "bird": 0.45, "dog": 0.3, "bench": 0.1,
            "chair": 0.25, "bottle": 0.1, "book": 0.08, "bicycle": 0.12,
        },
        "tabletop": {
            "cup": 0.6, "bowl": 0.45, "bottle": 0.45, "book": 0.45, "laptop": 0.35, "potted plant": 0.35,
            "lamp": 0.25, "cat": 0.2, "clock": 0.15, "bird": 0.03,
        },
    }
)  # fmt: skip

# What the presence of one category adds to the logit of another, in the places where both occur.
TIES: Mapping[tuple[str, str], float] = MappingProxyType(
    {
        ("person", "dog"): 1.6, ("person", "bicycle"): 1.6, ("person", "umbrella"): 2.0,
        ("person", "laptop"): 1.6, ("person", "tractor"): 1.4, ("person", "bird"): -1.4,
        ("person", "cat"): -1.2, ("person", "bench"): 0.9, ("person", "boat"): -0.8,
        ("dog", "cat"): -2.4, ("dog", "sheep"): 2.2, ("dog", "bird"): -1.6, ("dog", "sofa"): -0.8,
        ("dog", "bicycle"): -1.4, ("dog", "bench"): 1.0, ("dog", "cow"): -0.8,
        ("cat", "bird"): -2.0, ("cat", "sofa"): 1.8, ("cat", "potted plant"): -1.6,
        ("cat", "book"): 1.2, ("cat", "boat"): 1.0, ("cat", "bowl"): 1.2,
        ("cow", "sheep"): -2.6, ("cow", "tractor"): -1.6, ("cow", "bird"): 1.2,
        ("sheep", "tractor"): -1.2, ("bird", "boat"): 1.6, ("bird", "bench"): 1.8,
        ("bird", "umbrella"): -1.6, ("bird", "tractor"): 1.2,
        ("car", "bicycle"): -1.6, ("car", "traffic light"): 2.0, ("car", "tractor"): -1.2,
        ("car", "bench"): -1.4, ("car", "umbrella"): 1.2, ("car", "person"): -0.4,
        ("bicycle", "traffic light"): -1.2, ("bicycle", "bench"): 1.6,
        ("bicycle", "umbrella"): -2.0, ("bench", "umbrella"): -1.4,
        ("umbrella", "chair"): 1.8, ("umbrella", "dining table"): 1.2,
        ("chair", "dining table"): 2.6, ("chair", "sofa"): -1.8, ("chair", "laptop"): 1.8,
        ("chair", "boat"): -1.2, ("dining table", "sofa"): -1.6, ("dining table", "bottle"): 1.8,
        ("dining table", "bowl"): 1.6, ("dining table", "clock"): -1.0,
        ("sofa", "lamp"): 1.6, ("sofa", "book"): 0.8, ("potted plant", "laptop"): -1.4,
        ("potted plant", "bottle"): -1.2, ("potted plant", "lamp"): 1.0,
        ("lamp", "book"): 2.2, ("lamp", "clock"): -1.6, ("clock", "laptop"): 1.4,
        ("clock", "bowl"): 1.2, ("book", "laptop"): -1.0, ("book", "cup"): 1.6,
        ("book", "bottle"): -2.0, ("laptop", "cup"): 1.8, ("laptop", "bowl"): -2.0,
        ("laptop", "bottle"): -1.2, ("cup", "bottle"): -1.8, ("cup", "bowl"): -0.6,
        ("bottle", "bowl"): 2.0,
    }
)  # fmt: skip

# How many more of a kind there are, as the chance of each further one, and at most how many.
COMPANY: Mapping[str, tuple[float, int]] = MappingProxyType(
    {
        "person": (0.4, 4), "bird": (0.5, 5), "cow": (0.6, 5), "sheep": (0.7, 7), "car": (0.4, 3),
        "boat": (0.45, 4), "chair": (0.55, 4), "book": (0.4, 4), "cup": (0.4, 3), "bottle": (0.5, 4),
        "bowl": (0.3, 2), "potted plant": (0.25, 2), "umbrella": (0.3, 3), "bicycle": (0.2, 2),
        "traffic light": (0.25, 2), "bench": (0.15, 2), "dining table": (0.15, 2), "dog": (0.1, 2),
        "lamp": (0.15, 2),
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
        counts.setdefault(rng.choice(("cat", "dog", "bird", "person", "umbrella")), 1)
    return counts
