from __future__ import annotations

import tomllib
from pathlib import Path

import pytest

from hst_core.config import Config, ConfigError, LossConfig, ModelConfig, TrainConfig


def test_defaults_are_the_reference_values() -> None:
    loss, train = LossConfig(), TrainConfig()
    assert (loss.ist, loss.cst, loss.dtl) == (10.0, 0.05, 0.1)
    assert (loss.gamma_positive, loss.gamma_negative, loss.margin) == (1.0, 2.0, 0.05)
    assert (train.learning_rate, train.weight_decay, train.warm_up_epochs) == (1e-5, 5e-4, 5)


def test_settings_survive_toml() -> None:
    config = Config(model=ModelConfig(fixed_threshold=0.3, graph_steps=0))
    assert Config.from_dict(tomllib.loads(config.to_toml())) == config
    assert Config.from_dict(tomllib.loads(Config().to_toml())) == Config()


def test_a_file_changes_only_what_it_names(tmp_path: Path) -> None:
    path = tmp_path / "run.toml"
    path.write_text("[train]\nepochs = 3\nlearning_rate = 1\n", encoding="utf-8")
    assert Config.load(path) == Config(train=TrainConfig(epochs=3, learning_rate=1.0))


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("train.epoch=3", r"unknown setting 'train.epoch': did you mean train.epochs\?"),
        ("training.epochs=3", r"unknown setting 'training': did you mean train\?"),
        ("train.epochs=many", "train.epochs must be a whole number, got 'many'"),
        ("train.epochs=2.5", "train.epochs must be a whole number, got 2.5"),
        ("train.batch_size=true", "train.batch_size must be a whole number, got True"),
        ("train.batch_size=0", "train.batch_size must be at least 1, got 0"),
        ("train.learning_rate=nan", "train.learning_rate must be a finite number, got nan"),
        ("train.learning_rate=-1", "train.learning_rate must be above 0, got -1.0"),
        ("model.ist=all", "model.ist must be one of 'image', 'statistics', 'none', got 'all'"),
        ("model.fixed_threshold=2", r"model.fixed_threshold must be in \[0, 1\].*got 2.0"),
        ("loss.margin=1", r"loss.margin must be in \[0, 1\).*got 1.0"),
        ("loss.ist=-1", "loss.ist must be 0 or more, got -1.0"),
        ("epochs=3", "an override must read section.key=value, got 'epochs=3'"),
        ("train.epochs", "an override must read section.key=value, got 'train.epochs'"),
    ],
)
def test_errors_name_the_setting_the_value_and_what_was_expected(
    override: str, message: str
) -> None:
    with pytest.raises(ConfigError, match=message):
        Config().replace(override)


def test_overrides_read_numbers_texts_and_nothing() -> None:
    config = Config().replace("--train.epochs=7", "model.ist=none", "model.fixed_threshold=.5")
    assert (config.train.epochs, config.model.ist) == (7, "none")
    with pytest.raises(ConfigError, match="fixed_threshold"):
        Config().replace("model.fixed_threshold=high")
    assert config.replace("model.fixed_threshold=").model.fixed_threshold is None


def test_prototype_blending_needs_prototypes() -> None:
    with pytest.raises(ConfigError, match=r"model.blending must be .* where model.cst is 'none'"):
        ModelConfig(cst="none", blending="both")


def test_files_that_are_no_toml_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "run.toml"
    path.write_text("epochs: 3", encoding="utf-8")
    with pytest.raises(ConfigError, match=r"run\.toml is not a TOML file"):
        Config.load(path)
    with pytest.raises(ConfigError, match="config file not found"):
        Config.load(tmp_path / "missing.toml")


def test_a_section_must_be_a_table() -> None:
    with pytest.raises(ConfigError, match="train must be a table, got 3"):
        Config.from_dict({"train": 3})
