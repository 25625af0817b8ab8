"""Backups: one archive with labels, settings, models, newest scores and what contracts froze.

Pictures stay where they are and are not part of it; thumbnails and features are computed again
from them. The scores are, so that a restored model suggests at once what it suggested before.
"""

from __future__ import annotations

import re
import shutil
import sqlite3
import tempfile
import zipfile
import zlib
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from annotator.completion import pools
from annotator.errors import AnnotatorError, InvalidInput, WorkspaceError
from annotator.exchange import written
from annotator.service import AnnotationService
from annotator.settings import SETTINGS_FILE, Settings, Workspace
from annotator.types import ModelVersion
from hst_core.files import partial_of

_DATABASE = "labels.db"
_KEPT = re.compile(rf"models/[^/\\]+|scores/\d+/\w+\.(?:npy|json)|{pools.FOLDER}/\d+\.npz")
_COPIED_AT_ONCE = 1 << 20

Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class Backup:
    """What is in a backup.

    Attributes:
        images: pictures that the database knows.
        known: decided cells.
        inside: pictures that lie in the workspace folder and so are lost with it.
        bytes: size of the archive.
    """

    path: Path
    images: int
    known: int
    inside: int
    bytes: int


def back_up(
    workspace: Workspace, out: Path, *, overwrite: bool = False, progress: Progress | None = None
) -> Backup:
    """Write a backup; people may go on working meanwhile. It appears only after it was read back.

    Args:
        workspace: with its database in the folder.
        out: archive to write.
        overwrite: replace a file that is there.
        progress: called with (bytes done, bytes).

    Raises:
        InvalidInput: if the file is there already or cannot be written.
        WorkspaceError: if the database is elsewhere or damaged.
        AnnotatorError: if what was read back is not what was written.
    """
    if workspace.settings.database:
        raise WorkspaceError(
            f"the labels of {workspace.path} are in another database than {_DATABASE} "
            "(back that one up with its own tools, for example pg_dump)"
        )
    with written(out, overwrite) as partial, tempfile.TemporaryDirectory(dir=out.parent) as folder:
        copy = Workspace(Path(folder), workspace.settings)
        # Before and after the labels: a contract may be applied or proposed meanwhile.
        _copy_pools(workspace.path, copy.path)
        _copy_database(workspace.path / _DATABASE, copy.path / _DATABASE)
        _copy_pools(workspace.path, copy.path)
        with AnnotationService(copy) as service:
            status = service.status()
            _copy_scores(workspace, copy, status.model_version)
            inside = sum(not Path(path).is_absolute() for _, _, path in service.image_names())
            past = {f"{one}.npz" for one in service.completion.without_pool()}
        files = {SETTINGS_FILE: workspace.path / SETTINGS_FILE, _DATABASE: copy.path / _DATABASE}
        files |= {f"models/{path.name}": path for path in sorted(workspace.models.glob("[!.]*"))}
        files |= {
            path.relative_to(copy.path).as_posix(): path
            for path in sorted(copy.scores.glob("*/[!.]*"))
        }
        # One of a contract that is not in the database went with a category, and may come back.
        frozen = sorted((copy.path / pools.FOLDER).glob("[!.]*.npz"))
        files |= {f"{pools.FOLDER}/{path.name}": path for path in frozen if path.name not in past}
        _write(files, partial, progress)
    return Backup(out, status.images, status.known, inside, out.stat().st_size)


def restore(archive: Path, folder: Path) -> Workspace:
    """Make a workspace from a backup.

    Args:
        archive: as `back_up` wrote it.
        folder: empty or not there yet.

    Raises:
        InvalidInput: if the archive is no backup or damaged.
        WorkspaceError: if the folder is not empty or cannot be written.
    """
    folder = folder.expanduser().resolve()
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise WorkspaceError(f"{folder} is not empty (name a new folder for the workspace)")
    partial = partial_of(folder)
    try:
        settings = _extract(archive, partial)
        workspace = Workspace.create(partial, settings)
        AnnotationService(workspace).close()  # opens the database, so a damaged one is found
        partial.replace(folder)
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise InvalidInput(
            f"cannot restore {archive} to {folder}: {reason} (check both names)"
        ) from None
    finally:
        shutil.rmtree(partial, ignore_errors=True)
    return Workspace(folder, settings)


def _extract(archive: Path, folder: Path) -> Settings:
    """Unpack what belongs into a workspace, and nothing else; each file's sum is checked."""
    try:
        with zipfile.ZipFile(archive) as content:
            settings = Settings.from_toml(content.read(SETTINGS_FILE).decode(), SETTINGS_FILE)
            content.extract(_DATABASE, folder)
            for name in content.namelist():
                if _KEPT.fullmatch(name) and name != "models/..":
                    content.extract(name, folder)
    except (zipfile.BadZipFile, zlib.error, KeyError, UnicodeDecodeError) as error:
        raise InvalidInput(
            f"{archive} is not a whole backup of a workspace: {error} (use another backup)"
        ) from None
    return settings


def _copy_database(source: Path, target: Path) -> None:
    """Copy a consistent state of a SQLite file, also while it is written to."""
    if not source.exists():
        raise WorkspaceError(f"there is no label database at {source} (nothing to back up)")
    origin, copy = sqlite3.connect(source), sqlite3.connect(target)
    try:
        origin.backup(copy)
    except sqlite3.DatabaseError as error:
        raise WorkspaceError(f"the label database {source} cannot be read: {error}") from None
    finally:
        origin.close()
        copy.close()


def _copy_pools(source: Path, target: Path) -> None:
    """Copy the cells that contracts froze; none of them ever changes once it is there."""
    folder = target / pools.FOLDER
    folder.mkdir(exist_ok=True)
    for path in (source / pools.FOLDER).glob("[!.]*.npz"):
        # Applied a moment ago, it is not needed any more.
        with suppress(FileNotFoundError):
            shutil.copyfile(path, folder / path.name)


def _copy_scores(source: Workspace, target: Workspace, version: ModelVersion | None) -> None:
    """Copy the scores of the version in force, which never change; older ones go unasked."""
    if version is None:
        return
    name = str(version.id)
    copy = target.scores / name
    try:
        shutil.copytree(source.scores / name, copy)
    except (FileNotFoundError, shutil.Error):  # given up or too old meanwhile: computed again
        shutil.rmtree(copy, ignore_errors=True)


def _write(files: dict[str, Path], out: Path, progress: Progress | None) -> None:
    total = sum(path.stat().st_size for path in files.values())
    done = 0
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        for name, path in files.items():
            with path.open("rb") as source, archive.open(name, "w", force_zip64=True) as target:
                while part := source.read(_COPIED_AT_ONCE):
                    target.write(part)
                    done += len(part)
                    if progress:
                        progress(done, total)
    with zipfile.ZipFile(out) as archive:
        damaged = archive.testzip()
    if damaged:
        raise AnnotatorError(f"{damaged} was damaged while it was written (try another disk)")
