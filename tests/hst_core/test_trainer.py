from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from hst_core.config import Config, LossConfig, ModelConfig, TrainConfig
from hst_core.inputs import CachedFeatures, Photographs
from hst_core.metrics import mean_average_precision
from hst_core.model import HST
from hst_core.stopping import Stopped
from hst_core.trainer import Trainer, TrainingSet

SMALL = ModelConfig(
    representation="modulation", channels=16, attention_hidden=16, word_dimension=8,
    graph_steps=1, pair_projection=8, pair_hidden=8, prototypes=2,
)  # fmt: skip


def make_config(**train: object) -> Config:
    settings = {"epochs": 4, "warm_up_epochs": 2, "batch_size": 16, "learning_rate": 1e-2}
    return Config(SMALL, LossConfig(), TrainConfig(**(settings | train)))  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def world() -> tuple[np.ndarray, np.ndarray]:
    """Features [96, 12] from which five categories follow, and their true labels."""
    random = np.random.default_rng(0)
    features = random.normal(size=(96, 12)).astype(np.float32)
    truth = features @ random.normal(size=(12, 5)) + 0.3 * random.normal(size=(96, 5)) > 0.5
    return features, np.where(truth, 1, -1).astype(np.int8)


def hide(labels: np.ndarray, known: float, seed: int = 0) -> np.ndarray:
    keep = np.random.default_rng(seed).random(labels.shape) < known
    return np.where(keep, labels, 0).astype(np.int8)


def make_trainer(
    features: np.ndarray, labels: np.ndarray, config: Config, model: HST | None = None
) -> Trainer:
    model = model or HST(config.model, labels.shape[1], features.shape[1], seed=1)
    return Trainer(model, TrainingSet(CachedFeatures(features), labels), config)


def logits_of(trainer: Trainer, features: np.ndarray) -> np.ndarray:
    with torch.no_grad():
        return trainer.model.eval()(torch.from_numpy(features)).logits.numpy()


def test_unknown_cells_are_learned_from_known_ones(world: tuple[np.ndarray, np.ndarray]) -> None:
    features, truth = world
    labels = hide(truth, 0.6)
    trainer = make_trainer(features, labels, make_config(epochs=12))
    trainer.run()
    targets = np.where(labels == 0, truth, 0).astype(np.int8)
    assert mean_average_precision(logits_of(trainer, features), targets) > 0.8


def test_the_objective_falls(world: tuple[np.ndarray, np.ndarray]) -> None:
    features, truth = world
    history = make_trainer(features, hide(truth, 0.5), make_config(warm_up_epochs=9)).run()
    assert history.epochs[-1].losses["bce"] < 0.8 * history.epochs[0].losses["bce"]


def test_the_same_seed_gives_the_same_network(world: tuple[np.ndarray, np.ndarray]) -> None:
    features, truth = world
    first, second = (make_trainer(features, hide(truth, 0.5), make_config()) for _ in range(2))
    first.run()
    second.run()
    np.testing.assert_array_equal(logits_of(first, features), logits_of(second, features))


COMPILED = """
import numpy as np
import torch
from hst_core import HST, CachedFeatures, Config, Trainer, TrainingSet

random = np.random.default_rng(0)
features = random.normal(size=(40, 8)).astype(np.float32)
labels = random.integers(-1, 2, size=(40, 3)).astype(np.int8)
found = []
for backend in ("off", "aot_eager"):
    config = Config().replace(
        "model.representation=modulation", "model.channels=8", "model.classifier_hidden=8",
        "model.graph_steps=0", "model.pair_projection=4", "model.pair_hidden=4", "train.epochs=2",
        "train.warm_up_epochs=1", "train.learning_rate=0.01", f"train.compile={backend}",
    )
    model = HST(config.model, 3, 8, seed=1)
    Trainer(model, TrainingSet(CachedFeatures(features), labels), config).run()
    with torch.no_grad():
        found.append(model.eval()(torch.from_numpy(features)).logits.numpy())
    names = list(model.state_dict())
assert not any("orig_mod" in name for name in names), names
np.testing.assert_allclose(*found, atol=1e-4)
"""


@pytest.mark.slow
def test_a_compiled_network_learns_the_same() -> None:
    # Apart from the tests' type checks, which cannot be compiled.
    subprocess.run([sys.executable, "-c", COMPILED], check=True)


def test_a_resumed_run_equals_one_that_was_never_stopped(
    world: tuple[np.ndarray, np.ndarray], tmp_path: Path
) -> None:
    features, truth = world
    labels = hide(truth, 0.5)
    whole = make_trainer(features, labels, make_config())
    whole.run()

    saved = tmp_path / "state.pt"
    stopped = make_trainer(features, labels, make_config())
    with pytest.raises(Stopped):
        stopped.run(
            on_epoch=lambda run: torch.save(run.state_dict(), saved),
            # In the middle of the fourth epoch: three are saved.
            should_stop=lambda: len(stopped.history.epochs) == 3,
        )
    resumed = make_trainer(features, labels, make_config())
    resumed.load_state_dict(torch.load(saved, weights_only=True))
    resumed.run()
    assert len(resumed.history.epochs) == 4
    np.testing.assert_array_equal(logits_of(resumed, features), logits_of(whole, features))


def test_stops_before_the_next_step(world: tuple[np.ndarray, np.ndarray]) -> None:
    features, truth = world
    trainer = make_trainer(features, hide(truth, 0.5), make_config())
    steps: list[int] = []
    with pytest.raises(Stopped):
        trainer.run(
            on_step=lambda step: steps.append(step.step), should_stop=lambda: len(steps) == 2
        )
    assert steps == [1, 2]


def test_keeps_the_start_when_training_makes_it_worse(
    world: tuple[np.ndarray, np.ndarray],
) -> None:
    features, truth = world
    config = make_config(learning_rate=5.0, epochs=3)
    model = HST(config.model, 5, 12, seed=1)
    labels = hide(truth, 0.3)
    model.use_statistics(torch.from_numpy(labels))
    data = TrainingSet(
        CachedFeatures(features), labels, validation=np.where(labels == 0, truth, 0).astype(np.int8)
    )
    with torch.no_grad():
        before = model.eval()(torch.from_numpy(features)).logits
    trainer = Trainer(model, data, config, keep_best=True, patience=1)
    history = trainer.run()
    assert history.best_epoch == 0
    assert len(history.epochs) == 1
    np.testing.assert_allclose(logits_of(trainer, features), before.numpy(), atol=1e-6)


def test_fresh_labels_are_learned_and_old_ones_replayed(
    world: tuple[np.ndarray, np.ndarray],
) -> None:
    features, truth = world
    labels = hide(truth, 0.5)
    labels[64:] = 0
    trainer = make_trainer(features, labels, make_config(epochs=10))
    trainer.run()
    old = mean_average_precision(logits_of(trainer, features[:64]), truth[:64])
    labels[64:] = hide(truth, 0.5, seed=1)[64:]
    data = TrainingSet(CachedFeatures(features), labels, fresh=np.arange(64, 96))
    seen: list[int] = []
    again = Trainer(trainer.model, data, make_config(epochs=6, learning_rate=3e-3))
    again.run(on_step=lambda step: seen.append(step.steps))
    assert seen[0] == 4  # 32 fresh images and 32 others in batches of 16
    assert mean_average_precision(logits_of(again, features[:64]), truth[:64]) > old - 0.05


def test_new_categories_and_images_enter_a_trained_network(
    world: tuple[np.ndarray, np.ndarray],
) -> None:
    features, truth = world
    trainer = make_trainer(features[:64], hide(truth, 0.8)[:64, :4], make_config(epochs=6))
    trainer.run()
    before = logits_of(trainer, features[:64])
    trainer.model.grow(1)
    np.testing.assert_allclose(logits_of(trainer, features[:64])[:, :4], before, atol=1e-4)
    grown = make_trainer(features, hide(truth, 0.8), make_config(epochs=12), trainer.model)
    grown.run()
    assert mean_average_precision(logits_of(grown, features), truth) > 0.85


def test_nothing_known_changes_nothing_and_stays_finite() -> None:
    features = np.ones((4, 12), dtype=np.float32)
    trainer = make_trainer(features, np.zeros((4, 5), dtype=np.int8), make_config(epochs=3))
    trainer.run()
    assert np.isfinite(logits_of(trainer, features)).all()


@pytest.mark.parametrize("sign", [1, -1])
def test_one_category_of_one_sign_stays_finite(sign: int) -> None:
    features = np.random.default_rng(0).normal(size=(6, 12)).astype(np.float32)
    labels = np.full((6, 1), sign, dtype=np.int8)
    trainer = make_trainer(features, labels, make_config(epochs=4))
    trainer.run()
    assert np.isfinite(logits_of(trainer, features)).all()


@pytest.mark.parametrize("blending", ["instance", "prototype", "both"])
def test_feature_blending_trains_with_the_rest(
    blending: str, world: tuple[np.ndarray, np.ndarray]
) -> None:
    features, truth = world
    base = make_config()
    config = base.replace(f"model.blending={blending}")
    history = make_trainer(features, hide(truth, 0.5), config).run()
    assert "blending" not in history.epochs[0].losses  # warm-up
    assert np.isfinite(history.epochs[-1].losses["blending"])


def test_photographs_are_cut_and_flipped_in_training_only(tmp_path: Path) -> None:
    ramp = np.zeros((64, 64, 3), dtype=np.uint8)
    ramp[:, :, 0] = np.arange(64) * 4
    path = tmp_path / "ramp.png"
    Image.fromarray(ramp).save(path)
    inputs = Photographs([path], side=32, workers=1)
    rows = np.zeros(20, dtype=np.intp)
    plain = inputs.load(rows, None)["images"]
    drawn = inputs.load(rows, torch.Generator().manual_seed(0))["images"]
    assert plain.shape == (20, 3, 32, 32)
    assert (plain == plain[:1]).all()
    rising = (drawn[:, 0, :, -1].int() - drawn[:, 0, :, 0].int()).float().mean(dim=1) > 0
    assert 3 < int(rising.sum()) < 17


def test_categories_that_do_not_fit_say_what_to_do() -> None:
    with pytest.raises(ValueError, match="grow it first"):
        make_trainer(
            np.ones((2, 12), np.float32), np.zeros((2, 6), np.int8), make_config(),
            HST(SMALL, 5, 12),
        )  # fmt: skip
