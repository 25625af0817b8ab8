"""Backups hold everything that cannot be computed again, and are whole or refused."""

from __future__ import annotations

import shutil
import zipfile
from pathlib import Path

import numpy as np
import pytest
from contract_project import IMAGES, contracted
from label_project import make_project

from annotator.backup import back_up, restore
from annotator.completion.pools import Pool
from annotator.errors import InvalidInput, WorkspaceError
from annotator.images import ScannedImage
from annotator.scores import ScoreFolder
from annotator.service import AnnotationService
from annotator.settings import Settings, Workspace
from annotator.types import CellChange
from benchmarks import made_scores
from hst_core.files import partial_of


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    workspace = Workspace.create(tmp_path / "w", Settings(name="birds", seed=7))
    with AnnotationService.create(workspace) as service:
        scanned = ScannedImage("0" * 64, Path("/p/a.jpg"), "a.jpg", 4, 3, 9, "jpeg")
        service.add_images([scanned])
        (wren,) = service.add_categories(["wren"])
        mira = service.ensure_user("mira")
        service.decide(mira.id, [CellChange(1, wren.id, 1)], key="k")
    (workspace.models / "3.pt").write_bytes(b"weights")
    (workspace.scores / "3").mkdir()
    return workspace


def test_labels_settings_and_models_come_back(workspace: Workspace, tmp_path: Path) -> None:
    report = back_up(workspace, tmp_path / "b.zip")
    assert (report.images, report.known, report.inside) == (1, 1, 0)
    again = restore(tmp_path / "b.zip", tmp_path / "again")
    assert again.settings == workspace.settings
    assert Workspace.open(again.path) == again
    assert (again.models / "3.pt").read_bytes() == b"weights"
    with AnnotationService(again) as service:
        assert service.status().known == 1
        assert service.undo(service.ensure_user("mira").id, key="u").cells == 1


def test_pictures_that_would_be_lost_are_counted(workspace: Workspace, tmp_path: Path) -> None:
    with AnnotationService(workspace) as service:
        path = workspace.path / "pictures" / "b.jpg"
        service.add_images([ScannedImage("1" * 64, path, "b.jpg", 4, 3, 9, "jpeg")])
    assert back_up(workspace, tmp_path / "b.zip").inside == 1


def test_what_can_be_computed_again_is_left_out(workspace: Workspace, tmp_path: Path) -> None:
    back_up(workspace, tmp_path / "b.zip")
    with zipfile.ZipFile(tmp_path / "b.zip") as archive:
        assert archive.namelist() == ["workspace.toml", "labels.db", "models/3.pt"]


def test_a_restored_model_suggests_what_it_suggested(workspace: Workspace, tmp_path: Path) -> None:
    with AnnotationService(workspace) as service:
        _, newest = [made_scores.add_version(service) for _ in range(2)]
    back_up(workspace, tmp_path / "b.zip")
    again = restore(tmp_path / "b.zip", tmp_path / "again")
    assert [path.name for path in again.scores.iterdir()] == [str(newest)]
    before, after = (ScoreFolder.open(one.scores / str(newest)) for one in (workspace, again))
    assert (after.probability[:] == before.probability[:]).all()


def test_a_version_without_its_scores_is_backed_up_without_them(
    workspace: Workspace, tmp_path: Path
) -> None:
    with AnnotationService(workspace) as service:
        version = made_scores.add_version(service)
    shutil.rmtree(workspace.scores / str(version))
    back_up(workspace, tmp_path / "b.zip")
    assert list(restore(tmp_path / "b.zip", tmp_path / "again").scores.iterdir()) == []


def test_what_contracts_froze_comes_back(workspace: Workspace, tmp_path: Path) -> None:
    pool = Pool(
        np.array([1, 2]), np.array([1, 1]), np.array([0.5, 0.25], np.float32), np.ones(2, bool)
    )
    pool.save(workspace.path, 12)
    partial_of(workspace.path / "contracts" / "13.npz").write_bytes(b"being written")
    back_up(workspace, tmp_path / "b.zip")
    again = restore(tmp_path / "b.zip", tmp_path / "again")
    assert [path.name for path in (again.path / "contracts").iterdir()] == ["12.npz"]
    found = Pool.load(again.path, 12, pool.digest())
    assert (found.keys == pool.keys).all()


def test_only_what_may_still_be_needed_of_contracts_is_kept(
    tmp_path: Path, empty_labels: Path
) -> None:
    made = contracted(make_project(tmp_path / "w", template=empty_labels, images=IMAGES))
    ana, completion = made.project.ana, made.completion
    completion.propose(ana, "accept", target=0.1)
    completion.propose(ana, "accept", target=0.3, category_id=3)
    made.project.service.category_changes.remove(ana, 3, key="goes")  # and may come back
    completion.propose(ana, "reject", target=0.3)
    folder = made.project.workspace.path / "contracts"
    completion.propose(ana, "accept", target=0.1)
    completion.withdraw(ana, 4, key="w")
    shutil.copyfile(folder / "3.npz", folder / "4.npz")  # as an interruption leaves it
    back_up(made.project.workspace, tmp_path / "b.zip")
    made.project.service.close()
    with zipfile.ZipFile(tmp_path / "b.zip") as archive:
        kept = [name for name in archive.namelist() if name.startswith("contracts/")]
    assert kept == ["contracts/1.npz", "contracts/2.npz", "contracts/3.npz"]


def test_a_backup_can_be_made_while_people_work(workspace: Workspace, tmp_path: Path) -> None:
    with AnnotationService(workspace) as service:
        service.add_categories(["robin"])
        back_up(workspace, tmp_path / "b.zip")
        service.add_categories(["owl"])
    with AnnotationService(restore(tmp_path / "b.zip", tmp_path / "again")) as service:
        assert [category.name for category in service.categories()] == ["wren", "robin"]


def test_nothing_but_the_archive_is_left_beside_it(workspace: Workspace, tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    back_up(workspace, tmp_path / "out" / "b.zip")
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["b.zip"]


def test_a_file_that_is_there_is_not_replaced(workspace: Workspace, tmp_path: Path) -> None:
    (tmp_path / "b.zip").write_text("mine")
    with pytest.raises(InvalidInput, match="is there already"):
        back_up(workspace, tmp_path / "b.zip")


def test_a_database_elsewhere_is_left_to_its_own_tools(tmp_path: Path) -> None:
    workspace = Workspace.create(tmp_path / "w", Settings(database="postgresql://x/y"))
    with pytest.raises(WorkspaceError, match="pg_dump"):
        back_up(workspace, tmp_path / "b.zip")


def test_a_folder_that_is_not_empty_is_left_alone(workspace: Workspace, tmp_path: Path) -> None:
    back_up(workspace, tmp_path / "b.zip")
    with pytest.raises(WorkspaceError, match="is not empty"):
        restore(tmp_path / "b.zip", workspace.path)


@pytest.mark.parametrize("damage", ["text", "cut", "flipped", "empty"])
def test_a_damaged_archive_is_refused_and_makes_nothing(
    workspace: Workspace, tmp_path: Path, damage: str
) -> None:
    back_up(workspace, tmp_path / "b.zip")
    content = bytearray((tmp_path / "b.zip").read_bytes())
    content[len(content) // 2] ^= 255
    changed = {"text": b"hello", "cut": content[:900], "flipped": content, "empty": b""}
    (tmp_path / "b.zip").write_bytes(bytes(changed[damage]))
    with pytest.raises(InvalidInput, match="not a whole backup"):
        restore(tmp_path / "b.zip", tmp_path / "again")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["b.zip", "w"]


def test_an_archive_cannot_write_outside_the_folder(workspace: Workspace, tmp_path: Path) -> None:
    back_up(workspace, tmp_path / "b.zip")
    with zipfile.ZipFile(tmp_path / "b.zip", "a") as archive:
        archive.writestr("../evil.txt", "x")
        archive.writestr("models/../../evil.txt", "x")
        archive.writestr("contracts/../../evil.txt", "x")
        archive.writestr("contracts/evil.txt", "x")
        archive.writestr("evil.txt", "x")
    again = restore(tmp_path / "b.zip", tmp_path / "again")
    assert not list(tmp_path.rglob("evil.txt"))
    assert (again.path / "labels.db").exists()
