"""A workspace: one folder with everything of a project except the pictures themselves.

```
workspace.toml   name, feature set, seed, database (this module)
labels.db        decisions, events, jobs, users
features/        one folder per feature set
scores/          one folder per model version
models/          one checkpoint per model version
thumbnails/      small pictures by content hash
attention/       maps of where the model looked, a few hundred; can be removed at any time
```

Copying the folder moves the project. Pictures inside the folder are named relative to it, all
others by their absolute path.
"""

from __future__ import annotations

import json
import os
import time
import tomllib
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from types import TracebackType
from typing import IO, Any, Literal, Self

from annotator.errors import InvalidInput, WorkspaceError
from hst_core.files import try_lock, write_atomically

SETTINGS_FILE = "workspace.toml"
FORMAT = 1
"""Grows when an older program could no longer read a workspace."""

FEATURE_SETS = ("fast", "balanced", "best", "tiny")
SWITCHES = ("auto", "on", "all", "off")
DEVICES = ("auto", "cpu", "cuda")
FOLDERS = ("features", "scores", "models", "thumbnails")

Role = Literal["server", "worker"]
_WHAT_IT_DOES = {"server": "served", "worker": "trained"}
_LOCK_TRIES, _LOCK_PAUSE_SECONDS = 4, 0.05


@dataclass(frozen=True, kw_only=True)
class Settings:
    """What holds for a whole workspace; stored in workspace.toml.

    Attributes:
        name: shown in the title.
        feature_set: which pooled features the fast tier reads: ``fast``, ``balanced``, ``best``,
            or ``tiny`` (no weights; for tests).
        device: where features are computed: ``auto``, ``cpu`` or ``cuda``.
        deep_tier: whether the deep tier is trained when nobody labels: ``auto`` (on a GPU, from a
            thousand known cells on), ``on``, ``all`` (on, with networks on frozen features too,
            which ``on`` trains on a GPU only) or ``off``.
        seed: of every random choice in this workspace.
        database: SQLAlchemy URL of the label database; empty: labels.db in the workspace.
    """

    name: str = ""
    feature_set: str = "balanced"
    device: str = "auto"
    deep_tier: str = "auto"
    seed: int = 0
    database: str = ""

    def __post_init__(self) -> None:
        """Check every value.

        Raises:
            InvalidInput: naming the setting, its value and what was expected.
        """
        for field in fields(self):
            value, expected = getattr(self, field.name), type(field.default)
            if type(value) is not expected:
                raise InvalidInput(
                    f"setting {field.name} must be {expected.__name__}, got {value!r}"
                )
        for name, allowed in (
            ("feature_set", FEATURE_SETS),
            ("device", DEVICES),
            ("deep_tier", SWITCHES),
        ):
            if getattr(self, name) not in allowed:
                raise InvalidInput(
                    f"{name} must be one of {', '.join(allowed)}, got {getattr(self, name)!r}"
                )
        if self.seed < 0:
            raise InvalidInput(f"seed must be 0 or more, got {self.seed}")

    def to_toml(self) -> str:
        """Text of workspace.toml."""
        # Every JSON string, number and boolean of ours is a TOML value too.
        values = {"format": FORMAT} | asdict(self)
        lines = [f"{k} = {json.dumps(v, ensure_ascii=False)}" for k, v in values.items()]
        return "\n".join(lines) + "\n"

    @classmethod
    def from_toml(cls, text: str, origin: str = SETTINGS_FILE) -> Settings:
        """Read the text of workspace.toml.

        Args:
            text: content of the file.
            origin: its name, for messages.

        Raises:
            WorkspaceError: if it is not TOML, made by a newer program, or a value is wrong.
        """
        try:
            values: dict[str, Any] = tomllib.loads(text)
        except tomllib.TOMLDecodeError as error:
            raise WorkspaceError(
                f"{origin} is not valid TOML: {error} (correct that line)"
            ) from None
        version = values.pop("format", None)
        if not isinstance(version, int) or version < 1:
            raise WorkspaceError(
                f"{origin} has format {version!r}, expected {FORMAT} "
                f"(add the line format = {FORMAT})"
            )
        if version > FORMAT:
            raise WorkspaceError(
                f"{origin} has format {version}, this program reads up to {FORMAT} "
                "(install a newer hst-annotator)"
            )
        unknown = sorted(values.keys() - {field.name for field in fields(cls)})
        if unknown:
            raise WorkspaceError(
                f"{origin} has unknown settings: {', '.join(unknown)} (remove them)"
            )
        try:
            return cls(**values)
        except InvalidInput as error:
            raise WorkspaceError(f"{origin}: {error}") from None


@dataclass(frozen=True)
class LockHolder:
    """The process that serves or trains a workspace.

    Attributes:
        pid: its process id; 0 if it has not written it yet.
        address: where it listens; empty for a worker.
    """

    pid: int
    address: str


@dataclass(frozen=True)
class Workspace:
    """Paths of one workspace and its settings; opening it touches nothing on disk."""

    path: Path
    settings: Settings

    @classmethod
    def create(cls, path: Path, settings: Settings | None = None) -> Workspace:
        """Make the folder, its subfolders and workspace.toml; other files in it are left alone.

        Raises:
            WorkspaceError: if there is a workspace already or the folder cannot be written.
        """
        path = path.expanduser().resolve()
        settings = settings or Settings(name=path.name)
        if (path / SETTINGS_FILE).exists():
            raise WorkspaceError(
                f"{path} is a workspace already (add pictures with "
                f"`annotator add images FOLDER --workspace {path}`)"
            )
        try:
            for name in FOLDERS:
                (path / name).mkdir(parents=True, exist_ok=True)
            write_atomically(path / SETTINGS_FILE, settings.to_toml().encode())
        except OSError as error:
            raise WorkspaceError(
                f"cannot make a workspace at {path}: {error.strerror} "
                "(choose a folder that can be written)"
            ) from None
        return cls(path, settings)

    @classmethod
    def open(cls, path: Path) -> Workspace:
        """Read workspace.toml of an existing workspace.

        Raises:
            WorkspaceError: if the folder is missing, is no workspace, or is newer than the program.
        """
        path = path.expanduser().resolve()
        file = path / SETTINGS_FILE
        advice = (
            "(make one with `annotator init FOLDER --images PICTURES`, "
            "or name one with --workspace)"
        )
        if not path.is_dir():
            raise WorkspaceError(f"there is no folder {path} {advice}")
        try:
            text = file.read_text(encoding="utf-8")
        except FileNotFoundError:
            raise WorkspaceError(
                f"{path} is not a workspace: it has no {SETTINGS_FILE} {advice}"
            ) from None
        except (OSError, UnicodeDecodeError) as error:
            raise WorkspaceError(f"cannot read {file}: {error}") from None
        return cls(path, Settings.from_toml(text, str(file)))

    @property
    def database_url(self) -> str:
        """SQLAlchemy URL of the label database."""
        return self.settings.database or f"sqlite:///{self.path / 'labels.db'}"

    @property
    def features(self) -> Path:
        """Folder of the feature stores, one subfolder per feature set."""
        return self.path / "features"

    @property
    def scores(self) -> Path:
        """Folder of the score folders, one per model version."""
        return self.path / "scores"

    @property
    def models(self) -> Path:
        """Folder of the checkpoints."""
        return self.path / "models"

    @property
    def thumbnails(self) -> Path:
        """Folder of the thumbnails."""
        return self.path / "thumbnails"

    def thumbnail(self, sha256: str) -> Path:
        """Where the thumbnail of a picture is; 256 subfolders keep each of them small."""
        return self.thumbnails / sha256[:2] / f"{sha256}.jpg"

    def stored_path(self, image: Path) -> str:
        """Name a picture for the database: relative inside the workspace, absolute elsewhere."""
        image = image.absolute()
        if image.is_relative_to(self.path):
            return image.relative_to(self.path).as_posix()
        return str(image)

    def image_path(self, stored: str) -> Path:
        """Path of a picture from what `stored_path` gave."""
        return self.path / stored

    def lock(self, role: Role, address: str = "") -> WorkspaceLock:
        """Claim the workspace for this process as its server or worker.

        The claim ends with the process, however it ends, or with `WorkspaceLock.release`.

        Args:
            role: each role has its own lock.
            address: told to whoever comes second.

        Raises:
            WorkspaceError: naming the process that has the workspace and its address.
        """
        return WorkspaceLock(self.path, role, address)

    def holder(self, role: Role) -> LockHolder | None:
        """Which process serves or trains the workspace now, None if no process does."""
        try:
            file = _lock_path(self.path, role).open("r+b")
        except FileNotFoundError:
            return None
        with file:
            if try_lock(file):
                return None
            return _read_holder(file)


class WorkspaceLock:
    """A claim on a workspace; see `Workspace.lock`. Also a context manager."""

    def __init__(self, folder: Path, role: Role, address: str = "") -> None:
        self._file: IO[bytes] = _lock_path(folder, role).open("a+b")
        # `Workspace.holder` takes the lock for a moment to see whether it is free.
        for attempt in range(_LOCK_TRIES):
            if try_lock(self._file):
                break
            if attempt < _LOCK_TRIES - 1:
                time.sleep(_LOCK_PAUSE_SECONDS)
        else:
            holder = _read_holder(self._file)
            self._file.close()
            where = f" at {holder.address}" if holder.address else ""
            advice = "open that address" if holder.address else "wait for it"
            raise WorkspaceError(
                f"{folder} is {_WHAT_IT_DOES[role]} already by process {holder.pid}{where} "
                f"({advice}, or stop that process first)"
            )
        self.set_address(address)

    def set_address(self, address: str) -> None:
        """Write who holds the lock and where it listens, for the message to a second process."""
        self._file.seek(0)
        self._file.truncate()
        self._file.write(json.dumps({"pid": os.getpid(), "address": address}).encode())
        self._file.flush()

    def release(self) -> None:
        """Give the workspace free; a second call does nothing."""
        # The file stays: removing it could remove the one that a next process has just locked.
        self._file.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.release()


def _lock_path(folder: Path, role: Role) -> Path:
    return folder / f"{role}.lock"


def _read_holder(file: IO[bytes]) -> LockHolder:
    file.seek(0)
    try:
        values = json.loads(file.read())
        return LockHolder(int(values["pid"]), str(values["address"]))
    except (ValueError, KeyError):
        return LockHolder(0, "")  # locked a moment ago, not written yet
