"""What Progress, Model and Data say and draw, and work that goes on beside the answers."""

from __future__ import annotations

import json
import threading
from dataclasses import replace
from datetime import UTC, datetime

import pytest
from web_site import NAMES, Site

from annotator.errors import Conflict
from annotator.precision import Answers
from annotator.progress import Activity
from annotator.types import Job, ModelVersion, Status
from annotator.web.charts import LONGEST_IN_LEGEND, bars, keep_few, plain
from annotator.web.model_words import (
    facts,
    quality_chart,
    situation,
    sources_table,
    training_chart,
    versions_table,
)
from annotator.web.progress_charts import (
    category_chart,
    matching,
    precision_chart,
    precision_words,
    sentence,
    share,
)
from annotator.web.tasks import Outcome, Tasks

NOW = datetime(2026, 1, 2, 12, tzinfo=UTC)
NOTHING = Status(
    images=0, categories=0, users=0, cells=0, known=0, present=0, absent=0, images_open=0,
    images_untouched=0, event_id=0, model_version=None, job=None, worker_alive=False,
)  # fmt: skip
SOME = replace(NOTHING, images=12_540, categories=4, cells=50_160, known=12_340)


def job(status: str = "running", **config: object) -> Job:
    return Job(1, "worker", status, config, 0.5, "learning: fitting", "", 1, NOW, NOW, None)


def version(number: int, **metrics: object) -> ModelVersion:
    return ModelVersion(number, "fast", "ready", NOW, 1, "fast", "1", metrics, ())


@pytest.mark.parametrize(
    ("status", "trainer", "title", "step"),
    [
        (NOTHING, "", "No pictures yet", "annotator add images"),
        (replace(NOTHING, images=3), "", "No categories yet", "Data page"),
        (SOME, "", "The trainer has not run yet", "annotator serve"),
        (SOME, "the trainer runs", "The trainer starts", ""),
        (replace(SOME, job=job("done")), "", "The trainer is not running", "annotator serve"),
        (replace(SOME, job=job("failed")), "", "Training failed", "restart annotator serve"),
        (replace(SOME, job=job("failed")), "next try in 3 s", "Training failed", "by itself"),
        (replace(SOME, job=job()), "", "The trainer does not answer", "Wait a minute"),
        (replace(SOME, job=job(activity="paused"), worker_alive=True), "", "Paused", "Resume"),
        (replace(SOME, job=job(activity="learning"), worker_alive=True), "", "Learning", ""),
        (
            replace(SOME, job=job(activity="waiting"), worker_alive=True),
            "",
            "No model yet",
            "Focus",
        ),
    ],
)
def test_every_situation_of_the_trainer_has_its_words(
    status: Status, trainer: str, title: str, step: str
) -> None:
    found = situation(status, trainer)
    assert found.title == title
    assert step in found.step


def test_where_the_project_stands_in_one_line() -> None:
    minute = int(NOW.timestamp() // 60)
    activity = Activity.of([(minute, "focus", 1, 300, 300), (minute, "sweep", 2, 10, 10)])
    assert sentence(SOME, activity, NOW) == (
        "12,340 of 50,160 cells known (24.6 %). 310 decided by hand today by 2 people."
    )
    assert "Nothing decided by hand today" in sentence(SOME, Activity.of([]), NOW)
    assert sentence(NOTHING, activity, NOW) == "There are no pictures yet."


@pytest.mark.parametrize(
    ("part", "whole", "text"),
    [(0, 0, "0 %"), (1, 2, "50 %"), (1, 50_000, "less than 0.1 %"),
     (49_999, 50_000, "more than 99.9 %"), (1, 3, "33.3 %")],
)  # fmt: skip
def test_shares_never_round_to_nothing_or_all(part: int, whole: int, text: str) -> None:
    assert share(part, whole) == text


def test_versions_tell_what_changed() -> None:
    versions = [
        version(3, known_cells=150, log_loss=0.25, map=0.8, seconds=1.25),
        replace(version(2), status="failed"),
        version(1, known_cells=100, log_loss=0.5, map=0.75),
    ]
    rows = versions_table(versions)
    assert rows[0][3:] == ["150  (+50)", "0.250  (\u22120.250)", "80.0 %  (+5.0)", "1.2"]
    assert rows[1][2] == "given up"
    assert rows[2][3] == "100"
    assert versions_table([]) == []
    assert quality_chart(versions, "map") is not None
    assert quality_chart(versions[:1], "map") is None


def source(name: str, kept: bool, with_: float, without: float) -> dict[str, object]:
    return {"name": name, "kept": kept, "weight": 0.5, "loss_with": with_, "loss_without": without}


def test_a_source_is_kept_or_left_out_by_the_number_beside_it() -> None:
    sources = [
        source("cooccurrence", False, 0.4251, 0.4230),
        source("prior", True, 0.4220, 0.4240),
        source("base", True, 0.4220, 0.4201),
        source("windows", False, 0.42, 0.42001),
        source("neighbours", True, 0.4223, 0.4220),
    ]
    rows = sources_table(replace(version(1), sources=sources))
    assert rows == [
        ["how common the category is", "yes", "0.50", "0.0020 lower with it"],
        ["the picture alone", "yes", "0.50",
         "0.0019 higher with it; always kept, the others add to it"],
        ["similar pictures", "yes", "0.50", "0.0003 higher with it; kept, as it usually helps"],
        ["other labels of the picture", "no", "", "0.0021 higher with it"],
        ["the most telling part of the picture", "no", "",
         "less than 0.0001 lower with it, but it would count against what it says"],
    ]  # fmt: skip


def test_no_source_is_named_as_the_method_names_it() -> None:
    names = ["network", "network prototypes", "pairs", "fine-tuned"]  # what the deep tier adds
    sources = [source(name, True, 0.42, 0.43) for name in names]
    said = [row[0] for row in sources_table(replace(version(1), sources=sources))]
    assert not set(said) & set(names)
    assert "fine-tuned on your labels" in said[-1]


def test_the_running_training_is_drawn_before_that_of_a_version() -> None:
    curve = [{"network": 1, "epoch": 1, "loss": 1.5, "validation": None}]
    old = version(2, curve=curve)
    assert training_chart(None, []) == (None, "")
    assert training_chart(None, [version(3), old])[1].startswith("Of version 2")
    drawn, said = training_chart(job(curve=curve), [old])
    assert said.startswith("Training now")
    assert drawn is not None


def test_facts_name_device_and_memory(site: Site) -> None:
    running = job(device="CPU, 2 threads", memory=1_500_000_000, device_memory=2_000_000_000)
    found = dict(facts(replace(SOME, job=running), site.workspace))
    assert found["Device"] == "CPU, 2 threads"
    assert found["Memory of the trainer"] == "1.50 GB, and 2.00 GB on the GPU"


def test_names_in_charts_are_no_markup(site: Site) -> None:
    chart = category_chart(site.service.categories(), site.service.status().images)
    assert chart is not None
    drawn = json.loads(chart.plot)
    assert "<img" not in json.dumps(drawn["layout"])
    assert all("<img" not in json.dumps(trace["customdata"]) for trace in drawn["data"])
    assert plain(NAMES[3]) in drawn["data"][0]["customdata"][3][0]
    assert plain("$x$ & <b>") == "\u2060$x\u2060$ &amp; &lt;b&gt;"


def test_a_long_name_leaves_room_for_the_chart() -> None:
    drawn = bars("n" * 200, [1], [1], "#000")
    assert drawn["name"] == "n" * (LONGEST_IN_LEGEND - 1) + "…"


def test_categories_are_found_and_ordered(site: Site) -> None:
    categories = site.service.categories()
    assert [c.name for c in matching(categories, 12, "By name", "ca")] == ["car"]
    assert [c.id for c in matching(categories, 12, "As in the list", " ")] == [1, 2, 3, 4]
    assert matching(categories, 12, "no such order", "nothing like it") == []


def test_many_series_are_summed_up() -> None:
    kept = keep_few({str(number): [number, 1] for number in range(10)}, most=3)
    assert list(kept) == ["0", "1", "8 others"]
    assert kept["8 others"][0] == [sum(range(2, 10)), 8]


def test_one_task_at_a_time_and_its_end_is_told() -> None:
    tasks, go = Tasks(), threading.Event()

    def work(progress: object) -> Outcome:
        progress(1, 2)  # type: ignore[operator]
        go.wait(10)
        return Outcome("did it")

    tasks.start("export", "Exporting", work)
    with pytest.raises(Conflict, match="exporting is still going on"):
        tasks.start("backup", "Backing up", work)
    go.set()
    done = tasks.wait(10)
    assert (done.running, done.failed, done.outcome) == (False, False, Outcome("did it"))

    def fail(progress: object) -> Outcome:
        raise RuntimeError("broke")

    tasks.start("backup", "Backing up", fail)
    failed = tasks.wait(10)
    assert failed.failed
    assert failed.outcome == Outcome("RuntimeError: broke")


def test_few_answers_to_suggestions_are_drawn_hollow_and_told_without_a_share() -> None:
    answers = Answers.of([(1, 1, "focus", 90, 1, 1), (1, 2, "focus", 90, -1, 1)])
    drawn = precision_chart(answers, [], None, {})
    assert drawn is not None
    (few,) = json.loads(drawn.plot)["data"]
    assert few["name"] == "Suggested present, fewer than 20 answers"
    assert few["marker"]["symbol"] == "circle-open"
    assert few["customdata"] == ["versions 1 to 2<br>1 of 2 right, too few to tell"]
    assert precision_words(answers, None, {}) == (
        "Suggested present: 1 of 2 right, too few to tell."
    )
    assert precision_words(answers, 5, {}) == ""


def test_enough_answers_are_told_with_their_interval() -> None:
    answers = Answers.of([(1, 1, "sweep", 90, 1, 19), (1, 4, "sweep", 90, -1, 1)])
    drawn = precision_chart(answers, [version(1), version(4)], 1, {1: 0.5})
    assert drawn is not None
    (told,) = json.loads(drawn.plot)["data"]
    assert (told["x"], told["y"], told["error_x"]["array"]) == ([2.5], [95.0], [1.5])
    assert precision_words(answers, 1, {1: 0.5}) == (
        "Suggested present: 19 of 20 right (95 %, interval 75 to 100 %)."
    )
