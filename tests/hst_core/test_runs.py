from __future__ import annotations

import csv
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from typer.testing import CliRunner

from hst_core.cli import app
from hst_core.config import ConfigError
from hst_core.runs import DataConfig, Run
from hst_core.stopping import Stopped
from hst_core.trainer import Step

SMALL = [
    "--set", "model.representation=modulation", "--set", "model.channels=16",
    "--set", "model.attention_hidden=16", "--set", "model.word_dimension=8",
    "--set", "model.graph_steps=0", "--set", "model.pair_projection=8",
    "--set", "model.pair_hidden=8", "--set", "model.prototypes=2",
    "--set", "train.epochs=3", "--set", "train.warm_up_epochs=1",
    "--set", "train.batch_size=8", "--set", "train.learning_rate=0.01",
    "--set", "data.known=0.6", "--set", "data.feature_set=tiny", "--set", "data.backbone=tiny",
]  # fmt: skip


@pytest.fixture(scope="module")
def photographs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Forty plain pictures whose red, green and blue are their labels, half of them for testing."""
    folder = tmp_path_factory.mktemp("photographs")
    random = np.random.default_rng(0)
    lines = ["image,split,red,green,blue"]
    for number in range(40):
        labels = random.integers(0, 2, 3)
        colour = 60 + 120 * labels + random.integers(-20, 20, 3)
        noise = random.integers(-15, 15, (48, 64, 3))
        Image.fromarray((colour + noise).astype(np.uint8)).save(folder / f"{number}.png")
        split = "train" if number % 2 else "val"
        lines.append(f"{number}.png,{split}," + ",".join(map(str, labels)))
    (folder / "labels.csv").write_text("\n".join(lines) + "\n")
    return folder


def prepare(run: Path, photographs: Path, *more: str) -> None:
    result = CliRunner().invoke(
        app,
        ["prepare", str(run), "--images", str(photographs), "--labels",
         str(photographs / "labels.csv"), "--device", "cpu", *SMALL, *more],
    )  # fmt: skip
    assert result.exit_code == 0, result.output


@pytest.mark.parametrize(
    "options",
    [
        (),
        ("--set", "model.skip=true"),
        ("--set", "data.inputs=maps", "--set", "model.representation=decoupling"),
        ("--set", "data.inputs=images", "--set", "data.size=32"),
    ],
    ids=["vectors", "skip", "maps", "images"],
)
def test_prepare_train_evaluate(photographs: Path, tmp_path: Path, options: tuple[str]) -> None:
    run = tmp_path / "run"
    prepare(run, photographs, *options)
    for command in ("train", "evaluate"):
        result = CliRunner().invoke(app, [command, str(run), "--device", "cpu"])
        assert result.exit_code == 0, result.output
    with (run / "history.csv").open() as file:
        assert [row["epoch"] for row in csv.DictReader(file)] == ["1", "2", "3"]
    with Image.open(run / "curves.png") as curves:
        assert curves.width > 500
    metrics = json.loads((run / "metrics.json").read_text())
    assert 0 <= metrics["test_map"] <= 1
    assert metrics["completion"]["cells"] > 10


def test_colours_are_learned(photographs: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    prepare(run, photographs, "--set", "train.epochs=30")
    made = Run.load(run)
    made.train()
    assert (made.evaluate().test_map or 0) > 0.8


def test_a_stopped_run_goes_on_to_the_same_network(photographs: Path, tmp_path: Path) -> None:
    networks: list[dict[str, torch.Tensor]] = []
    told: list[Step] = []
    for name in ("whole", "stopped"):
        prepare(tmp_path / name, photographs)
        run = Run.load(tmp_path / name)
        if name == "stopped":
            with pytest.raises(Stopped):
                run.train(
                    on_step=told.append, should_stop=lambda: bool(told) and told[-1].epoch == 2
                )
        run.train()
        state = torch.load(tmp_path / name / "network.pt", weights_only=True)
        networks.append(state["weights"])
    for key, value in networks[0].items():
        torch.testing.assert_close(networks[1][key], value, rtol=0, atol=0)


def test_the_same_folder_with_other_settings_is_refused(photographs: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    prepare(run, photographs)
    data = DataConfig(str(photographs), str(photographs / "labels.csv"), known=0.9)
    with pytest.raises(ConfigError, match="other settings"):
        Run.create(run, data)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["train", "nowhere"], "hst prepare"),
        (["evaluate", "nowhere"], "no run folder"),
        (
            ["prepare", "run", "--images", ".", "--labels", "x.csv", "--set", "train.epoch=1"],
            "train.epochs",
        ),
    ],
)
def test_errors_are_one_sentence_with_the_next_step(
    arguments: list[str], message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    result = CliRunner().invoke(app, arguments)
    assert result.exit_code == 1
    assert message in " ".join(result.output.split())
    assert "Traceback" not in result.output


@pytest.mark.slow
def test_two_processes_train_one_network(photographs: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    prepare(run, photographs)
    done = subprocess.run(
        [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node=2", "--standalone",
         "-m", "hst_core.cli", "train", str(run), "--device", "cpu"],
        capture_output=True, text=True, env=os.environ | {"OMP_NUM_THREADS": "1"}, timeout=300,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-2000:]
    assert done.stdout.count("trained 3 epochs") == 1
    made = Run.load(run)
    assert (made.evaluate().test_map or 0) > 0.5
