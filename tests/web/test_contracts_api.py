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
