"""Contracts over the API."""

from __future__ import annotations

from web_site import Site

API = "/api/v1"


def test_there_are_no_contracts_at_first(site: Site) -> None:
    assert site.client.get(f"{API}/contracts").json() == []


def test_an_impossible_share_is_refused_with_its_name(site: Site) -> None:
    answer = site.client.post(f"{API}/contracts", json={"kind": "accept", "target": 98})
    assert answer.status_code == 422
    assert "target" in answer.json()["error"]


def test_an_unknown_contract_is_not_found(site: Site) -> None:
    answer = site.client.post(f"{API}/contracts/99/apply", json={"key": "a"})
    assert (answer.status_code, answer.json()["kind"]) == (404, "NotFound")


def test_previews_change_nothing_and_are_refused_like_the_thing_itself(site: Site) -> None:
    asked = {"kind": "accept", "target": 0.02}
    for path in ("", "/preview"):
        answer = site.client.post(f"{API}/contracts{path}", json=asked)
        assert (answer.status_code, answer.json()["kind"]) == (409, "Conflict")
        assert "no model yet" in answer.json()["error"]
    assert site.client.get(f"{API}/contracts/99/withdrawal").status_code == 404
    assert site.client.get(f"{API}/contracts").json() == []
