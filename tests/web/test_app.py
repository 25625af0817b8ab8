"""The application as a whole: what it imports, what it serves, how it starts."""

from __future__ import annotations

import re
import subprocess
import sys

from web_site import NAMES, Site


def test_the_web_application_does_not_import_torch() -> None:
    code = (
        "import sys, annotator.web.app; "
        "print([m for m in ('torch', 'torchvision', 'sklearn', 'hst_core') if m in sys.modules])"
    )
    result = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", code], capture_output=True, text=True, check=True
    )
    assert result.stdout.strip() == "[]"


def test_the_page_contains_no_name_that_a_person_chose(site: Site) -> None:
    page = site.client.get("/").text
    assert NAMES[3] not in page
    assert "onerror" not in page


def test_the_page_loads_its_own_style_sheets(site: Site) -> None:
    sheets = re.findall(r"/static/[0-9a-f]+/css/[a-z]+\.css", site.client.get("/").text)
    assert [sheet.rsplit("/", 1)[1] for sheet in sheets] == ["app.css", "focus.css"]
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
