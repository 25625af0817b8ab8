"""/api/v1/browse against a real service."""

from __future__ import annotations

from typing import Any
from uuid import uuid4

import pytest
from web_site import Site

from annotator.web.source_words import SOURCES

API = "/api/v1/browse"


def ask(site: Site, where: dict | None = None, **sort: Any) -> dict:
    answer = site.client.post(f"{API}/lists", json={"where": where, "sort": sort})
    assert answer.status_code == 200, answer.text
    return answer.json()


def pictures(site: Site, where: dict | None = None, **sort: Any) -> list[int]:
    name = ask(site, where, **sort)["name"]
    window = site.client.get(f"{API}/lists/{name}", params={"count": 100}).json()
    return [picture["image"] for picture in window["pictures"]]


def decide(site: Site, image: int, category: int, state: int) -> None:
    body = {
        "key": str(uuid4()),
        "source": "sweep",
        "cells": [{"image": image, "category": category, "state": state}],
    }
    assert site.client.post("/api/v1/decisions", json=body).status_code == 200


def test_without_a_filter_all_pictures_come_in_the_order_they_were_added(site: Site) -> None:
    assert pictures(site) == list(range(1, 13))
    assert pictures(site, descending=True) == list(range(12, 0, -1))


@pytest.mark.parametrize(
    ("where", "found"),
    [
        ({"kind": "label", "category": 1, "states": ["present"]}, [1]),
        ({"kind": "label", "category": 1, "states": ["present", "absent"]}, [1, 2]),
        ({"kind": "not", "of": {"kind": "known", "least": 0, "most": 0}}, [1, 2]),
        ({"kind": "known", "least": 2}, [2]),
        ({"kind": "name", "text": "0.JPG"}, [1, 11]),
        ({"kind": "decided", "sources": ["sweep"], "category": 2}, [2]),
        ({"kind": "decided", "users": [0]}, []),
        ({"kind": "decided", "since": "2000-01-01T00:00:00Z"}, [1, 2]),
        ({"kind": "decided", "until": "2000-01-01T00:00:00+02:00"}, []),
        ({"kind": "added", "until": "2000-01-01T00:00:00Z"}, []),
        ({"kind": "score", "category": 1, "least": 0.1}, []),
        ({"kind": "flagged"}, []),
        ({"kind": "similar", "image": 4}, [4]),
        ({"kind": "images", "images": [3, 99]}, [3]),
        ({"kind": "any", "of": [{"kind": "name", "text": "03"}, {"kind": "known", "least": 2}]},
         [2, 4]),
        ({"kind": "all", "of": [{"kind": "known", "least": 1}, {"kind": "name", "text": "01"}]},
         [2]),
    ],
)  # fmt: skip
def test_every_kind_of_filter_can_be_asked(site: Site, where: dict, found: list[int]) -> None:
    decide(site, 1, 1, 1)
    decide(site, 2, 1, -1)
    decide(site, 2, 2, 1)
    assert pictures(site, where) == found


@pytest.mark.parametrize(
    ("where", "code"),
    [
        ({"kind": "colour", "of": "red"}, 422),
        ({"kind": "label", "category": 1, "states": ["maybe"]}, 422),
        ({"kind": "label", "category": 1, "states": []}, 422),
        ({"kind": "label", "category": 99, "states": ["present"]}, 404),
        ({"kind": "score", "category": 1, "least": 2}, 422),
        ({"kind": "known", "least": -1}, 422),
        ({"kind": "known", "more": 1}, 422),
        ({"kind": "added", "since": "2026-01-01T00:00:00"}, 422),
        ({"kind": "similar", "image": 99}, 404),
    ],
)
def test_a_malformed_filter_is_refused_with_a_text(site: Site, where: dict, code: int) -> None:
    answer = site.client.post(f"{API}/lists", json={"where": where})
    assert answer.status_code == code
    assert answer.json()["error"]


def test_a_filter_nested_too_deeply_is_refused(site: Site) -> None:
    where: dict = {"kind": "flagged"}
    for _ in range(60):
        where = {"kind": "not", "of": where}
    answer = site.client.post(f"{API}/lists", json={"where": where})
    assert answer.status_code == 422
    assert "levels deep" in answer.json()["error"]


def test_a_window_tells_state_and_name_of_each_picture(site: Site) -> None:
    decide(site, 3, 2, -1)
    name = ask(site)["name"]
    params = {"start": 2, "count": 1, "category": 2}
    window = site.client.get(f"{API}/lists/{name}", params=params).json()
    (picture,) = window["pictures"]
    assert picture["image"] == 3
    assert picture["file_name"] == "02.jpg"
    assert picture["state"] == -1
    assert picture["probability"] is None
    assert window["model_version"] is None
    assert site.client.get(f"{API}/lists/{name}/place", params={"image": 3}).json() == {"place": 2}


def test_a_list_that_is_gone_is_404(site: Site) -> None:
    assert site.client.get(f"{API}/lists/gone").status_code == 404


def test_choices_name_people_and_sources(site: Site) -> None:
    decide(site, 1, 1, 1)
    choices = site.client.get(f"{API}/choices").json()
    assert [user["name"] for user in choices["users"]] == ["ana"]
    assert choices["sources"] == ["sweep"]
    assert choices["source_words"] == SOURCES
    assert choices["with_model"] == []


def test_a_selection_is_counted_decided_and_taken_back_as_one(site: Site) -> None:
    decide(site, 5, 3, -1)
    name = ask(site)["name"]
    selection = {"ranges": [[3, 6], [8, 9]], "category": 3}
    counted = site.client.post(f"{API}/lists/{name}/count", json=selection).json()
    assert (counted["images"], counted["unknown"], counted["absent"]) == (4, 3, 1)
    body = {**selection, "key": str(uuid4()), "state": 1, "check": counted["check"]}
    done = site.client.post(f"{API}/lists/{name}/decisions", json=body).json()
    assert (done["added"], done["kept"]) == (3, 1)
    again = site.client.post(f"{API}/lists/{name}/decisions", json=body).json()
    assert again == {**done, "repeated": True}
    assert pictures(site, {"kind": "label", "category": 3, "states": ["present"]}) == [4, 6, 9]
    undo = site.client.post("/api/v1/undo", json={"key": str(uuid4())}).json()
    assert undo["summary"] == "Taken back: car: 3 present (Browse)"
    assert pictures(site, {"kind": "label", "category": 3, "states": ["present"]}) == []


def test_a_selection_that_changed_since_it_was_counted_is_409(site: Site) -> None:
    name = ask(site)["name"]
    selection = {"ranges": [[0, 12]], "whole": True, "category": 4}
    counted = site.client.post(f"{API}/lists/{name}/count", json=selection).json()
    decide(site, 7, 4, 1)
    body = {**selection, "key": str(uuid4()), "state": 1, "check": counted["check"]}
    answer = site.client.post(f"{API}/lists/{name}/decisions", json=body)
    assert answer.status_code == 409
    assert answer.json()["kind"] == "Conflict"
    assert "11 unknown, 1 present, 0 absent now" in answer.json()["error"]


def test_near_duplicates_wait_for_the_first_model(site: Site) -> None:
    page = site.client.get(f"{API}/near-duplicates").json()
    assert page["model_version"] is None
    assert page["groups"] == []


def test_every_route_and_condition_is_described(site: Site) -> None:
    schema = site.client.get("/api/v1/openapi.json").json()
    for path, methods in schema["paths"].items():
        if path.startswith(API):
            assert all(method["description"] for method in methods.values()), path
    kinds = {
        part["properties"]["kind"]["const"]
        for part in schema["components"]["schemas"].values()
        if "const" in part.get("properties", {}).get("kind", {})
    }
    assert {"all", "any", "not", "label", "known", "decided", "score"} <= kinds


def test_a_page_of_another_workspace_may_not_decide(site: Site) -> None:
    headers = {"X-Annotator-Workspace": "somewhere-else"}
    answer = site.client.post(f"{API}/lists", json={"where": None}, headers=headers)
    assert answer.status_code == 421
