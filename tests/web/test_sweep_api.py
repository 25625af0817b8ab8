"""/api/v1/sweep: what a page of tiles and the list of classes say."""

from __future__ import annotations

import numpy as np
import pytest
from web_site import NAMES, Site

from benchmarks.made_scores import MadeScores, add_version

PAGE = "/api/v1/sweep/categories/{}/page"


@pytest.fixture(scope="module")
def swept(site: Site) -> Site:
    """With a model version in which later pictures more probably show each category."""
    probability = np.tile(np.linspace(0.04, 0.96, 12)[:, None], (1, len(NAMES)))
    add_version(site.service, MadeScores.of(probability))
    return site


def category(site: Site, place: int) -> int:
    return int(site.client.get("/api/v1/categories").json()[place]["id"])


def test_a_page_can_be_accepted_and_taken_back_as_one(swept: Site) -> None:
    cup = category(swept, 0)
    page = swept.client.get(PAGE.format(cup), params={"count": 3}).json()
    assert [tile["image"] for tile in page["tiles"]] == [12, 11, 10]
    assert (page["side"], page["present"], page["absent"]) == ("present", 6, 6)
    body = {
        "key": "key-of-a-page",
        "source": "sweep",
        "model_version": page["model_version"],
        "cells": [
            {"image": tile["image"], "category": cup, "state": tile["suggested"]}
            for tile in page["tiles"]
        ],
    }
    event = swept.client.post("/api/v1/decisions", json=body).json()["event"]
    listed = swept.client.get("/api/v1/sweep/categories").json()
    mine = next(one for one in listed["categories"] if one["id"] == cup)
    assert mine["present"] == 3
    assert mine["share"] == {
        "right": 3, "total": 3, "low": pytest.approx(0.2924, abs=1e-4), "high": 1.0,
    }  # fmt: skip
    taken = swept.client.post("/api/v1/undo", json={"key": "take-it-back"}).json()
    assert taken["undone"] == event
    again = swept.client.get(PAGE.format(cup), params={"count": 3}).json()
    assert again == page


def test_pictures_on_another_page_are_left_out(swept: Site) -> None:
    table = category(swept, 1)
    page = swept.client.get(
        PAGE.format(table), params={"side": "absent", "count": 2, "without": "1,3"}
    ).json()
    assert [tile["image"] for tile in page["tiles"]] == [2, 4]
    assert {tile["suggested"] for tile in page["tiles"]} == {-1}


def test_tiles_are_leased_and_can_be_given_back(swept: Site) -> None:
    car = category(swept, 2)
    bo = swept.client.post("/api/v1/users", json={"name": "bo"}).json()["id"]
    as_bo = {"X-Annotator-User": str(bo)}
    swept.client.get(PAGE.format(car), params={"count": 2})
    theirs = swept.client.get(PAGE.format(car), params={"count": 2}, headers=as_bo).json()
    assert [tile["image"] for tile in theirs["tiles"]] == [10, 9]
    assert theirs["elsewhere"] == 2
    swept.client.post(f"/api/v1/sweep/categories/{car}/release", json={"images": [12, 11]})
    theirs = swept.client.get(PAGE.format(car), params={"count": 2}, headers=as_bo).json()
    assert [tile["image"] for tile in theirs["tiles"]] == [12, 11]


def test_the_minimum_is_kept_per_person(swept: Site) -> None:
    assert swept.client.get("/api/v1/sweep/categories").json()["minimum"] == 0.95
    swept.client.post("/api/v1/sweep/minimum", json={"minimum": 0.8})
    assert swept.client.get("/api/v1/sweep/categories").json()["minimum"] == 0.8


@pytest.mark.parametrize(
    ("path", "code"),
    [
        (PAGE.format(1) + "?side=left", 422),
        (PAGE.format(1) + "?count=0", 422),
        (PAGE.format(1) + "?without=1,,2", 422),
        (PAGE.format(1) + "?without=" + "9" * 30, 422),
        (PAGE.format(999), 404),
        ("/api/v1/sweep/categories?side=up", 422),
    ],
)
def test_wrong_requests_are_refused_in_words(swept: Site, path: str, code: int) -> None:
    answer = swept.client.get(path)
    assert answer.status_code == code
    assert answer.json()["error"]


def test_a_page_of_another_workspace_is_refused(swept: Site) -> None:
    answer = swept.client.get(PAGE.format(1), headers={"X-Annotator-Workspace": "another"})
    assert answer.status_code == 421
