"""Whole projects played against true labels."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from annotator import scenes
from annotator.cli import app
from annotator.errors import InvalidInput
from annotator.simulation.play import Game, Step
from annotator.simulation.policies import POLICIES
from annotator.simulation.report import Played


def step(number: int, answers: int, wrong: int) -> Step:
    one = np.array([wrong])
    return Step(number, answers, answers * 1.2, one, one, one)


def test_the_cost_of_a_target_lies_between_the_rounds_around_it() -> None:
    steps = [step(0, 0, 30), step(1, 100, 20), step(2, 200, 0)]
    played = Played(Game("stack"), steps, images=100, cells=1_000, present=50)
    assert played.at(0.01) == pytest.approx((1.5, 1.8))
    assert played.at(0.02) == pytest.approx((1.0, 1.2))
    assert Played(Game("stack"), steps[:1], 100, 1_000, 50).at(0.01) is None


@pytest.mark.parametrize("name", POLICIES)
def test_a_policy_asks_open_cells_only_each_once(name: str) -> None:
    random = np.random.default_rng(0)
    probability = random.random((30, 6)).astype(np.float32)
    open_ = random.random((30, 6)) < 0.3
    known = np.zeros((30, 6), np.int8)
    rows, columns = POLICIES[name].choose(probability, known, open_, 20, random)
    assert open_[rows, columns].all()
    assert len(set(zip(rows.tolist(), columns.tolist(), strict=True))) == 20


def test_the_most_uncertain_cell_is_asked_first() -> None:
    probability = np.array([[0.01, 0.45], [0.9, 0.2]], np.float32)
    open_ = np.ones((2, 2), bool)
    cells = POLICIES["stack"].choose(
        probability, np.zeros((2, 2), np.int8), open_, 1, np.random.default_rng(0)
    )
    assert [int(part[0]) for part in cells] == [0, 1]


def test_an_unknown_policy_is_named_with_those_there_are() -> None:
    with pytest.raises(InvalidInput, match=r"no policy 'magic' .*stack"):
        Game("magic")


@pytest.mark.slow
def test_a_project_is_played_through_the_tool_from_a_folder_and_a_file(tmp_path: Path) -> None:
    paths, labels = scenes.draw_folder(tmp_path / "pictures", 30, 1)
    file = tmp_path / "labels.csv"
    with file.open("w", newline="", encoding="utf-8") as text:
        writer = csv.writer(text)
        writer.writerow(["image", *scenes.CATEGORIES])
        for path, row in zip(paths, labels.tolist(), strict=True):
            writer.writerow([path.name, *(int(state > 0) for state in row)])
    out = tmp_path / "out"
    done = CliRunner().invoke(
        app,
        ["simulate", "--images", str(tmp_path / "pictures"), "--labels", str(file), "--out",
         str(out), "--policy", "stack", "--known", "0.3", "--per-round", "40",
         "--feature-set", "tiny"],
    )  # fmt: skip
    assert done.exit_code == 0, done.output
    with (out / "course.csv").open(encoding="utf-8") as text:
        rows = list(csv.DictReader(text))
    errors = [float(row["total_error"]) for row in rows]
    assert errors[-1] <= 0.005 < errors[0]
    assert (out / "course.svg").exists()
    assert not (out / "playing").exists()
