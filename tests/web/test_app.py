"""The application as a whole: what it imports, what it serves, how it starts."""

from __future__ import annotations

import inspect
import re
import socket
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

import gradio
import pytest
from gradio.queueing import Queue
from web_site import NAMES, Site

from annotator.errors import WorkspaceError
from annotator.web.app import STATIC, run_server


def test_the_web_application_does_not_import_torch() -> None:
    code = (
        "import sys; from annotator.web.app import import_pages; import_pages(); "
        "heavy = [m for m in ('torch', 'torchvision', 'sklearn') if m in sys.modules]; "
        "method = {m for m in sys.modules if m.startswith('hst_core.')}; "
        "print(heavy, sorted(method - {'hst_core.contracts', 'hst_core.files'}))"
    )
    result = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", code], capture_output=True, text=True, check=True
    )
    assert result.stdout.strip() == "[] []"


def test_the_page_contains_no_name_that_a_person_chose(site: Site) -> None:
    page = site.client.get("/").text
    assert NAMES[3] not in page
    assert "onerror" not in page


def test_the_page_loads_its_own_style_sheets(site: Site) -> None:
    sheets = re.findall(r"/static/[0-9a-f]+/css/[a-z]+\.css", site.client.get("/").text)
    there = sorted(sheet.name for sheet in (STATIC / "css").glob("*.css"))
    assert [sheet.rsplit("/", 1)[1] for sheet in sheets] == there
    for sheet in sheets:
        answer = site.client.get(sheet)
        assert answer.status_code == 200
        assert "immutable" in answer.headers["cache-control"]


def test_the_page_loads_nothing_from_elsewhere(site: Site) -> None:
    page = site.client.get("/").text
    hosts = set(re.findall(r'(?:src|href)="https?://([^/"]+)', page))
    assert hosts <= {"testserver"}


def test_the_api_is_described_with_examples(site: Site) -> None:
    described = site.client.get("/api/v1/openapi.json").json()
    assert "/api/v1/decisions" in described["paths"]
    assert described["components"]["schemas"]["DecisionIn"]["examples"]
    undocumented = [
        f"{method} {path}"
        for path, methods in described["paths"].items()
        for method, route in methods.items()
        if not route.get("description")
    ]
    assert undocumented == []


def test_the_description_is_found_at_the_root_too(site: Site) -> None:
    described = site.client.get("/openapi.json").json()
    assert (described["info"]["title"], described["info"]["version"]) == (
        "hst-annotator",
        version("hst-annotator"),
    )


def test_gradio_does_not_look_for_events_a_thousand_times_a_second(site: Site) -> None:
    mounted = [getattr(route, "app", None) for route in site.client.app.routes]
    (pages,) = (app for app in mounted if hasattr(app, "get_blocks"))
    for name in ("sleep_when_free", "progress_update_sleep_when_free"):
        assert f"self.{name} =" in inspect.getsource(Queue)  # it is still called so
        assert getattr(pages.get_blocks()._queue, name) >= 0.05  # seconds


def test_the_page_keeps_gradios_loader_still(site: Site) -> None:
    page = site.client.get("/").text
    first = page.index("<script")
    assert page[first:].startswith("<script>(() => {")
    assert page.count("/statustracker") == 1
    assets = Path(gradio.__file__).parent / "templates" / "frontend"
    assert list(assets.rglob("statustracker*.js"))  # it is still called so


def test_a_second_server_on_the_workspace_names_the_first(site: Site) -> None:
    with (
        site.workspace.lock("server", "http://localhost:1234"),
        pytest.raises(WorkspaceError, match=r"served already .* at http://localhost:1234"),
    ):
        run_server(site.workspace, port=0)


def test_a_port_that_is_taken_is_named(site: Site) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(WorkspaceError, match=f"port {port}.*--port"):
            run_server(site.workspace, port=port)


def test_the_server_answers_when_it_says_so_and_ends_cleanly(site: Site) -> None:
    code = """
import os, signal, sys
from pathlib import Path
from annotator.settings import Workspace
from annotator.web.app import STATIC, run_server

def said(address):
    print(address, flush=True)
    os.kill(os.getpid(), signal.SIGTERM)

try:
    run_server(Workspace.open(Path(sys.argv[1])), port=0, train=False, ready=said)
except KeyboardInterrupt:
    print("ended", flush=True)
"""
    command = [sys.executable, "-W", "ignore", "-c", code, str(site.workspace.path)]
    result = subprocess.run(command, capture_output=True, text=True, timeout=120)
    address, ended = result.stdout.split()
    assert address.startswith("http://127.0.0.1:")
    assert ended == "ended", result.stderr
    assert result.returncode == 0
