"""The command line: what it does, and that every mistake is one clear sentence."""

from __future__ import annotations

import csv
import io
import json
import os
import shutil
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from threading import Thread, Timer
from typing import Any

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

from annotator.cli import app
from annotator.db import model_work
from annotator.service import AnnotationService
from annotator.settings import Workspace
from annotator.types import CellChange

DATA = Path(__file__).parent.parent.parent / "data"
FILES = ["farm.jpg", "kitchen.jpg", "street.jpg"]


class Cli:
    """Runs commands in a folder of its own, with a wide terminal."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._runner = CliRunner(env={"COLUMNS": "300", "ANNOTATOR_WORKSPACE": None})

    def __call__(self, *arguments: object, code: int = 0) -> str:
        """Run a command and return what it wrote; a wrong exit code is an error."""
        result = self._runner.invoke(app, [str(one) for one in arguments])
        assert result.exit_code == code, result.output
        return result.output

    def refused(self, *arguments: object) -> str:
        """Run a command that must fail with one sentence."""
        output = self(*arguments, code=1)
        assert output.startswith("Error: ")
        assert output.count("\n") == 1
        return output


@pytest.fixture
def cli(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Cli:
    monkeypatch.chdir(tmp_path)
    return Cli(tmp_path)


def draw(folder: Path, names: list[str]) -> Path:
    """Small pictures of noise, each different."""
    folder.mkdir(parents=True, exist_ok=True)
    for number, name in enumerate(names):
        pixels = np.random.default_rng(number).integers(0, 255, (30, 40, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(folder / name)
    return folder


@pytest.fixture
def made(cli: Cli) -> Cli:
    """A workspace ``ws`` with three pictures and no categories; the sample files name them."""
    draw(cli.folder / "pictures", FILES)
    cli("init", "ws", "--images", "pictures")
    return cli


def cells(workspace: Path) -> dict[tuple[str, str], int]:
    """All known cells by names."""
    with AnnotationService(Workspace.open(workspace)) as service:
        labels = service.labels()
        files = {ident: name for ident, name, _ in service.image_names()}
        names = {category.id: category.name for category in service.categories()}
    return {
        (files[int(image)], names[int(category)]): int(labels.states[row, column])
        for row, image in enumerate(labels.image_ids)
        for column, category in enumerate(labels.category_ids)
        if labels.states[row, column]
    }


# Which workspace


def test_the_workspace_comes_from_option_then_environment_then_folder(
    made: Cli, monkeypatch: pytest.MonkeyPatch
) -> None:
    elsewhere = made("init", "other", "--images", "pictures")
    assert "3 pictures added" in elsewhere
    runner = CliRunner(env={"ANNOTATOR_WORKSPACE": "other"})
    assert runner.invoke(app, ["status"]).output.startswith("other:")
    assert runner.invoke(app, ["status", "-w", "ws"]).output.startswith("ws:")
    monkeypatch.chdir("ws")
    assert made("status").startswith("ws:")


@pytest.mark.parametrize(
    "arguments",
    [
        ["-w", "ws", "status"],
        ["--workspace", "ws", "status"],
        ["--workspace=ws", "status"],
        ["-wws", "status"],
        ["status", "-w", "ws"],
        ["-w", "nowhere", "status", "-w", "ws"],
    ],
)
def test_the_workspace_may_come_before_the_command(made: Cli, arguments: list[str]) -> None:
    assert made(*arguments).startswith("ws:")


def test_the_workspace_may_come_before_a_command_of_two_words(made: Cli) -> None:
    assert "Added 1 categories" in made("-w", "ws", "add", "categories", "cup")


def test_a_folder_that_is_no_workspace_says_what_to_do(cli: Cli) -> None:
    assert "annotator init FOLDER --images PICTURES" in cli.refused("status")
    assert "there is no folder" in cli.refused("status", "-w", "nowhere")


# init, add


def test_init_adds_pictures_categories_and_thumbnails(cli: Cli) -> None:
    draw(cli.folder / "pictures", FILES)
    said = cli("init", "ws", "--images", "pictures", "--categories", DATA / "voc20.txt")
    assert "3 pictures added." in said
    assert "with 20 categories" in said
    assert len(list((cli.folder / "ws" / "thumbnails").rglob("*.jpg"))) == 3


def test_init_lists_what_cannot_be_read_and_what_is_there_twice(cli: Cli) -> None:
    pictures = draw(cli.folder / "pictures", FILES)
    (pictures / "cut.jpg").write_bytes((pictures / "farm.jpg").read_bytes()[:400])
    (pictures / "letter.jpg").write_text("Dear reader")
    (pictures / "twin.jpg").write_bytes((pictures / "farm.jpg").read_bytes())
    said = cli("init", "ws", "--images", "pictures")
    assert "cut.jpg: the file is truncated" in said
    assert "letter.jpg: it is not a picture" in said
    assert "twin.jpg is the same as farm.jpg" in said
    assert "3 pictures added" in said


def test_init_twice_is_refused(made: Cli) -> None:
    assert "is a workspace already" in made.refused("init", "ws", "--images", "pictures")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--images", "nowhere"], "nowhere does not exist"),
        (["--images", "empty"], "holds no pictures"),
        (["--images", "pictures", "--categories", "nowhere.txt"], "cannot read nowhere.txt"),
        (["--images", "pictures", "--categories", "twice.txt"], "line 2: 'CUP' is the category"),
    ],
)
def test_init_makes_nothing_when_something_is_wrong(
    cli: Cli, arguments: list[str], message: str
) -> None:
    draw(cli.folder / "pictures", FILES)
    (cli.folder / "empty").mkdir()
    (cli.folder / "twice.txt").write_text("cup\nCUP\n")
    assert message in cli.refused("init", "ws", *arguments)
    assert not (cli.folder / "ws").exists()


def test_a_workspace_may_lie_among_its_pictures(cli: Cli) -> None:
    draw(cli.folder, FILES)
    cli("init", ".", "--images", ".")
    assert "0 pictures added, 3 there already." in cli("add", "images", ".")


def test_adding_the_same_folder_again_adds_nothing(made: Cli) -> None:
    assert "0 pictures added, 3 there already." in made(
        "add", "images", made.folder / "ws" / ".." / "pictures", "-w", "ws"
    )


def test_categories_are_added_once_and_not_in_two_spellings(made: Cli) -> None:
    hostile = "<img src=x onerror=alert(1)>"
    assert "Added 2 categories" in made("add", "categories", "cup", hostile, "-w", "ws")
    assert "Added 0 categories; there are 2" in made("add", "categories", hostile, "-w", "ws")
    assert "differs from 'cup'" in made.refused("add", "categories", "Cup", "-w", "ws")
    assert hostile in made("status", "-w", "ws")
    made("add", "categories", "-w", "ws", code=2)


def test_a_name_cannot_rewrite_the_terminal(made: Cli) -> None:
    draw(made.folder / "more", ["[red]\x1b[2J.jpg"])
    (made.folder / "more" / "[red]\x1b[2J.jpg").write_text("no picture")
    draw(made.folder / "more", ["good.png"])
    said = made("add", "images", "more", "-w", "ws")
    assert "[red]�[2J.jpg: it is not a picture" in said


# import, export


def test_import_coco_needs_an_answer_for_unlisted_labels(made: Cli) -> None:
    said = made("import", "coco", DATA / "samples" / "coco_boxes.json", "-w", "ws", code=2)
    assert "--unlisted" in said
    assert cells(made.folder / "ws") == {}


def test_import_coco_reports_what_it_did(made: Cli) -> None:
    file = DATA / "samples" / "coco_boxes.json"
    said = made("import", "coco", file, "--unlisted", "absent", "-w", "ws")
    assert "2 pictures; 2 cells present, 4 absent, 0 unknown." in said
    assert "6 cells decided, 0 known so already." in said
    assert "dining table" in said
    again = made("import", "coco", file, "--unlisted", "absent", "-w", "ws")
    assert "0 cells decided, 6 known so already." in again


def test_import_csv_of_the_sample(made: Cli) -> None:
    file = DATA / "samples" / "labels.csv"
    assert "--ignore-columns" in made.refused("import", "csv", file, "-w", "ws")
    made("import", "csv", file, "--ignore-columns", "split", "-w", "ws")
    assert len(cells(made.folder / "ws")) == 6


def test_import_csv_with_minus_one_needs_an_answer(made: Cli) -> None:
    file = DATA / "samples" / "labels_minus_one.csv"
    assert "--minus-one absent" in made.refused("import", "csv", file, "-w", "ws")
    made("import", "csv", file, "--minus-one", "unknown", "-w", "ws")
    assert len(cells(made.folder / "ws")) == 4


def test_an_import_that_contradicts_decisions_says_so(made: Cli) -> None:
    (made.folder / "a.csv").write_text("image,cup\nfarm.jpg,1\n")
    (made.folder / "b.csv").write_text("image,cup\nfarm.jpg,0\n")
    made("import", "csv", "a.csv", "-w", "ws")
    assert "left so: 1 cell" in made("import", "csv", "b.csv", "-w", "ws")
    assert cells(made.folder / "ws") == {("farm.jpg", "cup"): 1}
    made("import", "csv", "b.csv", "--overwrite", "-w", "ws")
    assert cells(made.folder / "ws") == {("farm.jpg", "cup"): -1}


COCO: dict[str, Any] = {
    "images": [{"id": 1, "file_name": "farm.jpg"}],
    "annotations": [{"id": 1, "image_id": 1, "category_id": 1}],
    "categories": [{"id": 1, "name": "cow"}],
}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"annotations": [{"id": 1, "image_id": 7, "category_id": 1}]}, "names image id 7"),
        ({"annotations": [{"id": 1, "image_id": 1, "category_id": 7}]}, "names category id 7"),
        ({"images": COCO["images"] * 2}, "1 image ids are there more than once"),
        ({"images": [{"id": 1, "file_name": "beach.jpg"}]}, "missing in the workspace: beach.jpg"),
        (
            {"images": [{"id": 1, "file_name": "farm.jpg", "neg_category_ids": [1]}]},
            "'cow' in 'farm.jpg', which the file calls present and absent",
        ),
    ],
)
def test_a_wrong_coco_file_changes_nothing(
    made: Cli, change: dict[str, object], message: str
) -> None:
    (made.folder / "x.json").write_text(json.dumps(COCO | change))
    arguments = ("import", "coco", "x.json", "--unlisted", "unknown", "-w", "ws")
    assert message in made.refused(*arguments)
    assert "Category" not in made("status", "-w", "ws")


def test_export_and_import_elsewhere_give_the_same_cells(made: Cli) -> None:
    made("import", "csv", DATA / "samples" / "labels.csv", "--ignore-columns=split", "-w", "ws")
    said = made("export", "coco", "out.json", "-w", "ws")
    assert "read back by pycocotools: all counts agree." in said
    made("export", "csv", "out.csv", "-w", "ws")
    for name, arguments in (
        ("a", ("import", "coco", "out.json", "--unlisted", "absent")),
        ("b", ("import", "csv", "out.csv")),
    ):
        made("init", name, "--images", "pictures")
        made(*arguments, "-w", name)
        assert cells(made.folder / name) == cells(made.folder / "ws")
    assert "pass --overwrite" in made.refused("export", "coco", "out.json", "-w", "ws")
    made("export", "coco", "out.json", "--overwrite", "-w", "ws")


# train, suggest, status


@pytest.fixture
def labelled(cli: Cli) -> Cli:
    """Forty pictures that are bright or dark, half of them labelled so."""
    folder = cli.folder / "pictures"
    folder.mkdir()
    rows = ["image,bright,dark"]
    generator = np.random.default_rng(0)
    for number in range(40):
        bright = number % 2
        pixels = generator.integers(0, 80, (32, 32, 3)) + 150 * bright
        Image.fromarray(pixels.astype(np.uint8)).save(folder / f"{number:02}.png")
        if number < 20:
            rows.append(f"{number:02}.png,{bright},{1 - bright}")
    (cli.folder / "labels.csv").write_text("\n".join(rows))
    cli("init", "ws", "--images", "pictures", "--feature-set", "tiny")
    return cli


def test_train_says_what_it_waits_for(labelled: Cli) -> None:
    assert "No model yet: no categories yet" in labelled("train", "-w", "ws")


def test_train_and_suggest_find_what_is_bright(labelled: Cli) -> None:
    labelled("import", "csv", "labels.csv", "-w", "ws")
    assert "has learned from 40 known cells of 40 pictures" in labelled("train", "-w", "ws")
    assert "version 1 (fast)" in labelled("status", "-w", "ws")
    labelled("suggest", "--out", "s.csv", "--limit", "1", "-w", "ws")
    with (labelled.folder / "s.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert {row["image"]: row["category"] for row in rows} == {
        f"{number:02}.png": "bright" if number % 2 else "dark" for number in range(20, 40)
    }
    assert all(0.5 < float(row["probability"]) <= 1 for row in rows)
    assert all(row["reasons"] for row in rows)
    shutil.rmtree(labelled.folder / "ws" / "scores" / "1")
    said = labelled("suggest", "-w", "ws")
    assert "The scores of model version 1 cannot be read, so only frequencies are known" in said


def test_suggest_without_a_model_says_so_and_gives_frequencies(labelled: Cli) -> None:
    labelled("import", "csv", "labels.csv", "-w", "ws")
    said = labelled("suggest", "-w", "ws", "--min-probability", "0.01")
    assert "There is no model yet" in said
    head = next(csv.DictReader(io.StringIO(said[said.index("image,") :])))
    assert head["source"] == "prior"


def test_train_beside_a_running_trainer_asks_that_one(labelled: Cli) -> None:
    workspace = Workspace.open(labelled.folder / "ws")

    def answer(service: AnnotationService) -> None:
        while not (asked := service.jobs(kind="train", status="waiting")):
            time.sleep(0.01)
        with service.database.writing() as connection:
            model_work.set_job(
                connection, asked[0].id, status="done", message="learned from 3 cells"
            )

    with workspace.lock("worker"), AnnotationService(workspace) as service:
        trainer = Thread(target=answer, args=(service,))
        trainer.start()
        assert "The running trainer is done: learned from 3 cells." in labelled("train", "-w", "ws")
        trainer.join()


def test_train_does_not_wait_for_a_trainer_that_has_ended(labelled: Cli) -> None:
    workspace = Workspace.open(labelled.folder / "ws")
    lock = workspace.lock("worker")
    Timer(0.5, lock.release).start()
    assert "the trainer has ended" in labelled("train", "-w", "ws", code=1)


# serve


def test_a_second_server_is_told_who_serves_and_where(made: Cli) -> None:
    workspace = Workspace.open(made.folder / "ws")
    with workspace.lock("server", "http://127.0.0.1:4711"):
        said = made.refused("serve", "-w", "ws")
        assert f"process {os.getpid()} at http://127.0.0.1:4711" in said
        assert "http://127.0.0.1:4711 (process" in made("status", "-w", "ws")


@pytest.fixture
def server(made: Cli) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """A real server on the workspace, and its address."""
    command = [sys.executable, "-m", "annotator", "serve", "-w", "ws", "--port", "0"]
    # As a shell starts its background jobs, which ignore Ctrl-C.
    heard = signal.signal(signal.SIGINT, signal.SIG_IGN)
    process = subprocess.Popen(
        command, cwd=made.folder, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    signal.signal(signal.SIGINT, heard)
    with process:
        try:
            assert process.stdout is not None
            line = process.stdout.readline()
            assert line.startswith("Open http://127.0.0.1:"), line
            yield process, line.split()[1]
        finally:
            process.kill()


def test_serve_answers_at_the_printed_address_and_ends_with_ctrl_c(
    server: tuple[subprocess.Popen[str], str],
) -> None:
    process, address = server
    with urllib.request.urlopen(f"{address}/api/v1/status", timeout=20) as answer:
        assert json.load(answer)["counts"]["images"] == 3
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=30)
    assert "Stopped; every decision is saved." in errors
    assert "Traceback" not in errors
    assert process.returncode == 0


# backup


def test_a_backup_becomes_a_workspace_again(made: Cli) -> None:
    made("import", "csv", DATA / "samples" / "labels.csv", "--ignore-columns=split", "-w", "ws")
    assert "6 known cells of 3 pictures" in made("backup", "b.zip", "-w", "ws")
    made("restore", "b.zip", "again")
    assert cells(made.folder / "again") == cells(made.folder / "ws")


# The program itself


def test_help_loads_nothing_heavy() -> None:
    code = (
        "import sys\nsys.argv = ['annotator', '--help']\nfrom annotator.cli import main\n"
        "try:\n    main()\nexcept SystemExit as end:\n    assert end.code == 0\n"
        "heavy = {'torch', 'gradio', 'numpy', 'sqlalchemy', 'PIL', 'pandas'} & set(sys.modules)\n"
        "assert not heavy, heavy"
    )
    subprocess.run([sys.executable, "-c", code], check=True, stdout=subprocess.DEVNULL)


def test_commands_on_labels_load_no_torch(made: Cli) -> None:
    code = (
        "import sys\nsys.argv = ['annotator', 'export', 'coco', 'out.json', '-w', 'ws']\n"
        "from annotator.cli import main\n"
        "try:\n    main()\nexcept SystemExit as end:\n    assert end.code == 0\n"
        "heavy = {'torch', 'gradio', 'sklearn'} & set(sys.modules)\nassert not heavy, heavy"
    )
    subprocess.run(
        [sys.executable, "-c", code], check=True, stdout=subprocess.DEVNULL, cwd=made.folder
    )


def test_the_version_is_that_of_the_distribution(cli: Cli) -> None:
    from importlib.metadata import version

    assert cli("--version").strip() == version("hst-annotator")


@pytest.mark.parametrize("arguments", [["fly"], ["status", "--fast"], ["serve", "--port", "x"]])
def test_wrong_usage_has_exit_code_2(cli: Cli, arguments: list[str]) -> None:
    cli(*arguments, code=2)


def test_an_error_goes_to_standard_error_without_traceback(cli: Cli) -> None:
    answer = subprocess.run(
        [sys.executable, "-m", "annotator", "status"], capture_output=True, text=True, check=False
    )
    assert answer.returncode == 1
    assert answer.stdout == ""
    assert answer.stderr.startswith("Error: ")
    assert "Traceback" not in answer.stderr


def test_decisions_of_people_stay_when_a_file_is_imported(made: Cli) -> None:
    made("add", "categories", "cup", "-w", "ws")
    with AnnotationService(Workspace.open(made.folder / "ws")) as service:
        mira, (cup,) = service.ensure_user("mira"), service.categories()
        first = service.image_names()[0][0]
        service.decide(mira.id, [CellChange(first, cup.id, 1)], key="k")
    (made.folder / "a.csv").write_text("image,cup\nfarm.jpg,0\nstreet.jpg,0\n")
    made("import", "csv", "a.csv", "-w", "ws")
    assert cells(made.folder / "ws") == {("farm.jpg", "cup"): 1, ("street.jpg", "cup"): -1}


@pytest.mark.parametrize(
    ("typed", "said"),
    [
        (("contract", "apply", "9"), "there is no contract 9 (it may have been removed; list"),
        (("contract", "propose", "accept", "--target", "2"), "got 2.0 (0.02 is 2 %)"),
        (("import", "coco", "c.txt", "--unlisted", "absent"), "a table is imported as CSV"),
        (("restore", "none.zip", "again"), "no such file or directory (check both names)"),
        (("categories", "rename", "cup", "plate"), "a category 'plate' already (rename that one"),
    ],
)
def test_an_error_names_the_value_and_the_next_step(
    made: Cli, typed: tuple[str, ...], said: str
) -> None:
    made("add", "categories", "cup", "plate", "-w", "ws")
    (made.folder / "c.txt").write_text("image,cup\n")
    where = () if typed[0] == "restore" else ("-w", "ws")
    assert said in made.refused(*typed, *where)
