"""A throw-away PostgreSQL server on a Unix socket."""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
import tempfile
import time
from itertools import count
from pathlib import Path
from typing import Any
from urllib.parse import quote

from annotator.db.engine import Database

PROGRAMS = Path("/usr/lib/postgresql/15/bin")


class PostgresServer:
    """Runs until stopped; durability is off, the data is thrown away."""

    def __init__(self, folder: Path, process: subprocess.Popen[bytes]) -> None:
        self._folder = folder
        self._process = process
        self._numbers = count(1)
        self._template = ""

    @classmethod
    def start(cls) -> PostgresServer | None:
        """Start a server, None where its programs are missing."""
        account = _account()
        try:
            import psycopg  # noqa: F401
        except ImportError:
            return None
        if not (PROGRAMS / "postgres").exists() or account is None:
            return None
        # Not below pytest's own folder, which only its user may enter.
        folder = Path(tempfile.mkdtemp(prefix="pg"))
        os.chown(folder, account["user"], account["group"])
        quiet: dict[str, Any] = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
        data = folder / "data"
        subprocess.run(
            [PROGRAMS / "initdb", "-D", data, "-U", "annotator", "-A", "trust", "-N", "-E", "UTF8"],
            check=True,
            cwd=folder,
            **quiet,
            **account,
        )
        process = subprocess.Popen(
            [PROGRAMS / "postgres", "-D", data, "-k", folder, "-c", "listen_addresses=", "-F"],
            cwd=folder,
            **quiet,
            **account,
        )
        server = cls(folder, process)
        server._wait()
        return server

    def _wait(self) -> None:
        ask = [PROGRAMS / "pg_isready", "-h", self._folder, "-U", "annotator", "-q"]
        for _ in range(300):
            if subprocess.run(ask, check=False).returncode == 0:
                return
            time.sleep(0.1)
        self.stop()
        raise RuntimeError("PostgreSQL did not start within 30 seconds")

    def new_database(self, template: str = "template0") -> str:
        """Make an empty database; returns its URL."""
        name = f"labels{next(self._numbers)}"
        make = [PROGRAMS / "createdb", "-h", self._folder, "-U", "annotator", "-T", template, name]
        subprocess.run(make, check=True)
        return f"postgresql+psycopg://annotator@/{name}?host={quote(str(self._folder))}"

    def new_label_database(self) -> str:
        """Make a database that has the tables already, since migrations take a while."""
        if not self._template:
            url = self.new_database()
            Database.create(url).close()
            self._template = url.partition("@/")[2].partition("?")[0]
        return self.new_database(self._template)

    def stop(self) -> None:
        """End the server at once and remove its data."""
        self._process.terminate()
        try:
            self._process.wait(10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        shutil.rmtree(self._folder, ignore_errors=True)


def _account() -> dict[str, int] | None:
    """User and group to run as: PostgreSQL refuses to run as root."""
    if os.getuid() != 0:
        return {"user": os.getuid(), "group": os.getgid()}
    for name in ("postgres", "nobody"):
        try:
            entry = pwd.getpwnam(name)
        except KeyError:
            continue
        return {"user": entry.pw_uid, "group": entry.pw_gid}
    return None
