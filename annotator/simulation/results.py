"""Played projects on disk, so that an interrupted comparison goes on where it stopped."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path

import numpy as np

from annotator.simulation.play import Game, Step
from annotator.simulation.policies import POLICIES
from annotator.simulation.report import Played
from annotator.simulation.tool import RULE, Spent
from hst_core.files import write_atomically

FOLDER = "played"

_BY_CATEGORY = ("wrong", "found", "called", "known")


def path_of(out: Path, game: Game) -> Path:
    """Where the course of a game is kept; another setting or another rule, another name."""
    settings = "-".join(str(value) for value in asdict(game).values())
    rule = f"-rule-{RULE}" if POLICIES[game.policy].finishes else ""
    return out / FOLDER / f"{settings}{rule}.json"


def save(path: Path, played: Played) -> None:
    """Keep a played project."""
    steps = [
        {
            "round": step.round,
            "spent": asdict(step.spent),
            "wrong": step.wrong.tolist(),
            "found": step.found.tolist(),
            "called": step.called.tolist(),
            "known": step.known.tolist(),
        }
        for step in played.steps
    ]
    content = {
        "game": asdict(played.game),
        "steps": steps,
        "images": played.images,
        "cells": played.cells,
        "present": played.present,
    }
    write_atomically(path, json.dumps(content).encode())


def load(path: Path) -> Played:
    """What `save` kept."""
    content = json.loads(path.read_text(encoding="utf-8"))
    steps = [
        Step(
            step["round"],
            Spent(**step["spent"]),
            *(np.array(step[name], dtype=np.int64) for name in _BY_CATEGORY),
        )
        for step in content["steps"]
    ]
    game = Game(**content["game"])
    return Played(game, steps, content["images"], content["cells"], content["present"])
