"""Checkpoints come back as they were, and anything that is not one is refused with a reason."""

from __future__ import annotations

import pickle
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from hst_core.checkpoint import Checkpoint, CheckpointError, load, path_of, prune, save


def checkpoint() -> Checkpoint:
    return Checkpoint(
        model_version=3,
        event_id=17,
        feature_set="tiny",
        category_ids=(2, 1),
        category_names=("cup", "<img src=x>"),
        thresholds=(0.5, 0.25),
        exemplars=(("ab12",), ()),
        config={"folds": 5, "l2": 0.1, "kinds": ["base"]},
        tiers={
            "fast": {
                "weights": np.arange(6, dtype=np.float32).reshape(2, 3),
                "half": np.array([0.5], dtype=np.float16),
                "labels": np.array([[1, -1]], dtype=np.int8),
                "tensor": torch.tensor([1.0, 2.0]),
                "shape": (2, 3),
                "loss": np.float64(0.25),
                "nothing": None,
            }
        },
    )


def test_everything_comes_back(tmp_path: Path) -> None:
    save(tmp_path / "3.pt", checkpoint())
    back = load(tmp_path / "3.pt")
    assert replace(back, tiers={}, versions={}) == replace(checkpoint(), tiers={})
    state, expected = back.tiers["fast"], checkpoint().tiers["fast"]
    for name in ("weights", "half", "labels"):
        np.testing.assert_array_equal(state[name], expected[name])
        assert state[name].dtype == expected[name].dtype
    assert torch.equal(state["tensor"], expected["tensor"])
    assert (state["shape"], state["loss"], state["nothing"]) == ((2, 3), 0.25, None)
    assert set(back.versions) == {"python", "torch", "numpy"}


def test_writing_leaves_no_other_file_and_replaces_the_old_one(tmp_path: Path) -> None:
    save(tmp_path / "3.pt", checkpoint())
    save(tmp_path / "3.pt", replace(checkpoint(), event_id=18))
    assert [p.name for p in tmp_path.iterdir()] == ["3.pt"]
    assert load(tmp_path / "3.pt").event_id == 18


@pytest.mark.parametrize("share", [0.0, 0.01, 0.5, 0.99])
def test_a_truncated_file_is_refused(tmp_path: Path, share: float) -> None:
    path = tmp_path / "3.pt"
    save(path, checkpoint())
    whole = path.read_bytes()
    path.write_bytes(whole[: int(len(whole) * share)])
    with pytest.raises(CheckpointError, match="truncated or not a checkpoint"):
        load(path)


def test_an_altered_weight_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "3.pt"
    save(path, checkpoint())
    whole = path.read_bytes()
    weight = np.array([4.0, 5.0], dtype=np.float32).tobytes()
    assert whole.count(weight) == 1
    path.write_bytes(whole.replace(weight, np.array([4.0, 9.0], dtype=np.float32).tobytes()))
    with pytest.raises(CheckpointError, match="damaged: wrong checksum"):
        load(path)


def test_a_foreign_file_is_refused(tmp_path: Path) -> None:
    foreign = tmp_path / "weights.pt"
    torch.save({"layer": torch.zeros(3)}, foreign)
    with pytest.raises(CheckpointError, match="not a checkpoint of this program"):
        load(foreign)
    foreign.write_text("hello")
    with pytest.raises(CheckpointError, match="not a checkpoint"):
        load(foreign)
    with pytest.raises(CheckpointError, match="does not exist"):
        load(tmp_path / "none.pt")


class Malicious:
    def __reduce__(self) -> tuple[object, tuple[str]]:
        return (print, ("code ran",))


def test_no_code_in_a_file_is_run(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "evil.pt"
    torch.save({"kind": "hst checkpoint", "config": Malicious()}, path)
    with pytest.raises(CheckpointError, match="plain weights"):
        load(path)
    (tmp_path / "raw.pt").write_bytes(pickle.dumps(Malicious()))
    with pytest.raises(CheckpointError):
        load(tmp_path / "raw.pt")
    assert "code ran" not in capsys.readouterr().out


def test_a_later_format_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "9.pt"
    torch.save({"kind": "hst checkpoint", "format": 99, "versions": {"hst": "7"}}, path)
    with pytest.raises(CheckpointError, match="has format 99"):
        load(path)


def test_missing_entries_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "9.pt"
    torch.save({"kind": "hst checkpoint", "format": 1, "config": {}}, path)
    with pytest.raises(CheckpointError, match="lacks or adds entries"):
        load(path)


def test_category_axes_must_agree(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="one entry per category"):
        save(tmp_path / "3.pt", replace(checkpoint(), thresholds=(0.5,)))


def test_pruning_keeps_the_named_versions_and_removes_unfinished_files(tmp_path: Path) -> None:
    for version in (1, 2, 3):
        save(path_of(tmp_path, version), checkpoint())
    (tmp_path / ".partial-4.pt").write_bytes(b"half")
    (tmp_path / "notes.txt").write_text("mine")
    prune(tmp_path, keep=[2, 3])
    assert sorted(p.name for p in tmp_path.iterdir()) == ["2.pt", "3.pt", "notes.txt"]
