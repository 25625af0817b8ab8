"""Whole projects played against true labels."""

from __future__ import annotations

import csv
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from label_project import make_project
from typer.testing import CliRunner

from annotator import scenes
from annotator.cli import app
from annotator.errors import InvalidInput
from annotator.simulation import results
from annotator.simulation.play import Game, Step, games_of
from annotator.simulation.policies import POLICIES, Seeking
from annotator.simulation.report import Played, finished, summary
from annotator.simulation.tool import RULE, Spent, Team, doubt_for, worth_a_round
from benchmarks.made_scores import MadeScores


def step(number: int, answers: int, wrong: int, **spent: int) -> Step:
    one = np.array([wrong])
    return Step(number, Spent(focus=answers, **spent), one, one, one, one)


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


def test_categories_with_hardly_any_present_cell_are_sought_where_they_are_most_probable() -> None:
    probability = np.tile(np.linspace(0, 0.4, 200, dtype=np.float32)[:, None], 2)
    known = np.zeros((200, 2), np.int8)
    known[:5, 1] = 1
    seeking = Seeking(2, np.random.default_rng(0))
    cells = seeking.choose(probability, known, known == 0)
    assert [column for _, column in cells] == [0] * Seeking.EACH
    assert sorted(row for row, _ in cells) == list(range(190, 200))


def test_what_cannot_be_found_is_not_sought_for_ever() -> None:
    seeking = Seeking(1, np.random.default_rng(0))
    known, open_ = np.zeros((500, 1), np.int8), np.ones((500, 1), bool)
    asked = 0
    while cells := seeking.choose(np.full((500, 1), 0.01, np.float32), known, open_):
        asked += len(cells)
    assert asked == Seeking.MOST


def test_an_unknown_policy_is_named_with_those_there_are() -> None:
    with pytest.raises(InvalidInput, match=r"no policy 'magic' .*stack"):
        Game("magic")


def test_what_answers_take_counts_tiles_flips_and_single_answers() -> None:
    spent = Spent(focus=10, blind=5, tiles=60, flips=2)
    assert (spent.answers, spent.seconds) == (75, pytest.approx(1.2 * 15 + 0.2 * 60 + 1.2 * 2))
    naive = Spent().after(10, seconds=16.0)
    assert (naive.answers, naive.seconds) == (10, pytest.approx(16.0))


def test_a_contract_is_played_once_per_target_and_others_to_the_lowest() -> None:
    games = games_of(["stack", "tool"], [3], [0.01, 0.005], Game("stack", known=0.2))
    found = [(game.policy, game.stop_at, game.seed, game.known) for game in games]
    assert found == [
        ("stack", 0.005, 3, 0.2), ("tool", 0.01, 3, 0.2), ("tool", 0.005, 3, 0.2),
    ]  # fmt: skip


def test_another_round_is_played_only_while_it_spares_more_blind_answers_than_it_takes() -> None:
    assert worth_a_round([700], 600)  # nothing tells yet what a round brings
    assert not worth_a_round([500], 600)
    assert worth_a_round([None, None], 100)
    assert worth_a_round([None, 5_000, 2_000], 600)
    assert worth_a_round([6_000, 2_000], 600)
    assert not worth_a_round([6_000, 2_000, 1_000], 600)
    assert not worth_a_round([1_000, 1_100], 50)
    assert not worth_a_round([None, 500], 600)


def test_doubt_leaves_a_few_more_cells_than_are_to_be_answered() -> None:
    probability = np.linspace(0, 0.5, 101, dtype=np.float32)[None]
    open_ = np.ones(probability.shape, dtype=bool)
    cut = doubt_for(probability, open_, 10)
    assert int((probability >= cut).sum()) == 11
    assert doubt_for(probability, ~open_, 10) > 0


def test_projects_that_end_with_a_contract_have_a_table_of_their_own() -> None:
    ended = [step(0, 0, 30), step(1, 90, 4, blind=10, automatic=800)]
    played = [
        Played(Game("tool", stop_at=0.01), ended, images=100, cells=1_000, present=50),
        Played(Game("stack"), [step(0, 0, 30), step(1, 100, 0)], 100, 1_000, 50),
    ]
    assert [row[0] for row in summary(played)] == ["stack"]
    assert finished(played) == [
        ("tool 1.00%", "1 of 1", "1.00", "1.20", "0.10", "0.00", "0.40%", "0.40%")
    ]


def test_a_played_project_is_kept_and_read_back(tmp_path: Path) -> None:
    played = Played(Game("tool", seed=2), [step(0, 3, 5, blind=2)], 100, 1_000, 50)
    path = results.path_of(tmp_path, played.game)
    results.save(path, played)
    back = results.load(path)
    assert back.game == played.game
    assert back.steps[0].spent == played.steps[0].spent
    assert back.steps[0].wrong.tolist() == [5]
    assert results.path_of(tmp_path, Game("tool", seed=3)) != path
    assert f"rule-{RULE}" in path.name  # played by another rule it is another game
    assert "rule" not in results.path_of(tmp_path, Game("stack")).name


def test_a_round_counts_questions_about_cells_without_a_true_state_as_a_plan_does() -> None:
    assert Spent().round_of(600) == 600
    assert Spent(focus=900, blind=100, uncounted=50).round_of(600) == 630


def test_answers_to_cells_without_a_true_state_are_told_apart(
    tmp_path: Path, empty_labels: Path
) -> None:
    project = make_project(tmp_path / "w", template=empty_labels, images=4)
    labels = project.service.labels()
    images, categories = labels.states.shape
    project.decide(project.ana, *((images, one, 1) for one in labels.category_ids.tolist()))
    project.add_version(MadeScores.random(images, categories, 0))
    states = np.ones_like(labels.states)
    states[0, :2] = 0
    team = Team(project.service, replace(labels, states=states), lambda true: true)
    given = team.focus(wanted=100, doubt=0.0)
    assert (given, team.spent.answers, team.spent.uncounted) == (
        states.size - categories - 2, given, 2,
    )  # fmt: skip
    assert (project.service.labels().states != 0).all()
    project.service.close()


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
         str(out), "--policy", "tool-sweep", "--known", "0.3", "--per-round", "5",
         "--feature-set", "tiny", "--target", "0.08"],
    )  # fmt: skip
    assert done.exit_code == 0, done.output
    with (out / "course.csv").open(encoding="utf-8") as text:
        rows = list(csv.DictReader(text))
    last = rows[-1]
    assert float(last["total_error"]) <= 0.08 < float(rows[0]["total_error"])
    assert int(last["blind"]) > 0
    assert int(last["automatic"]) > 0
    assert (out / "course.svg").exists()
    assert not list(out.glob("playing*"))
