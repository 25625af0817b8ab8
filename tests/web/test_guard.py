"""What other sites, other hosts and file requests get."""

from __future__ import annotations

import pytest
from web_site import Site

USERS = "/api/v1/users"


def test_another_host_name_is_refused(site: Site) -> None:
    # A page of evil.example whose name points to 127.0.0.1 sends its own name.
    assert site.client.get("/api/v1/status", headers={"Host": "evil.example"}).status_code == 403


@pytest.mark.parametrize(
    ("headers", "code"),
    [
        ({"Origin": "http://evil.example"}, 403),
        ({"Origin": "null"}, 403),
        ({"Sec-Fetch-Site": "cross-site"}, 403),
        ({"Sec-Fetch-Site": "same-site"}, 403),
        ({"Origin": "http://testserver", "Sec-Fetch-Site": "same-origin"}, 200),
        ({}, 200),
    ],
)
def test_only_our_own_pages_and_programs_may_write(
    site: Site, headers: dict[str, str], code: int
) -> None:
    answer = site.client.post(USERS, json={"name": "ben"}, headers=headers)
    assert answer.status_code == code


def test_a_form_of_another_site_cannot_write(site: Site) -> None:
    headers = {"Content-Type": "text/plain"}
    answer = site.client.post(USERS, content='{"name": "eve"}', headers=headers)
    assert answer.status_code == 415


def test_a_write_without_our_header_is_refused(site: Site) -> None:
    client = site.client
    kept = client.headers.pop("X-Annotator-Client")
    try:
        assert client.post(USERS, json={"name": "eve"}).status_code == 403
    finally:
        client.headers["X-Annotator-Client"] = kept


def test_other_sites_cannot_write_to_gradio_either(site: Site) -> None:
    headers = {"Origin": "http://evil.example"}
    answer = site.client.post("/gradio_api/queue/join", json={}, headers=headers)
    assert answer.status_code == 403


def test_no_file_of_the_workspace_can_be_read_by_address(site: Site) -> None:
    path = site.workspace.path / "labels.db"
    for address in (f"/gradio_api/file={path}", f"/file={path}", f"/gradio_api/file/{path}"):
        answer = site.client.get(address)
        assert answer.status_code == 404
        assert b"SQLite" not in answer.content


def test_answers_cannot_be_embedded_or_guessed(site: Site) -> None:
    headers = site.client.get("/api/v1/status").headers
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["x-frame-options"] == "SAMEORIGIN"
