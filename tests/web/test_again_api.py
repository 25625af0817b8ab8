"""The queue "look again" over the API: what a page needs to show a contradicted decision."""

from __future__ import annotations

from uuid import uuid4

import numpy as np
import pytest
from web_site import NAMES, Site

from annotator.web.completion_page import facts
from benchmarks.made_scores import MadeScores, add_version

API = "/api/v1"
NEXT = f"{API}/queues/look-again/next"
HOSTILE = NAMES.index("<img src=x onerror=alert(1)>")


def decide(site: Site, image: int, category: int, state: int, source: str = "focus") -> dict:
    cells = [{"image": image, "category": category, "state": state}]
    body = {"key": str(uuid4()), "cells": cells, "source": source}
    answer = site.client.post(f"{API}/decisions", json=body)
    assert answer.status_code == 200, answer.text
    return dict(answer.json())


@pytest.fixture(scope="module")
def doubtful(site: Site) -> Site:
    """Picture 3 was marked without the category with the hostile name; the model sees it."""
    ids = [category["id"] for category in site.client.get(f"{API}/categories").json()]
    for image in (1, 2, 3):
        decide(site, image, ids[HOSTILE], -1)
    probability = np.full((12, len(ids)), 0.2)
    probability[2, HOSTILE] = 0.96
    add_version(site.service, MadeScores.of(probability))
    return site


def test_a_contradicted_cell_is_asked_confirmed_and_gone(doubtful: Site) -> None:
    queues = {queue["name"]: queue for queue in doubtful.client.get(f"{API}/queues").json()}
    assert (queues["look-again"]["waiting"], queues["look-again"]["blind"]) == (1, False)
    page = doubtful.client.get(NEXT, params={"count": 5}).json()
    (image,) = page["images"]
    (row,) = image["again"]
    assert (image["id"], page["total"], row["name"]) == (3, 1, NAMES[HOSTILE])
    assert row["probability"] == pytest.approx(0.96, abs=0.01)
    assert row["reasons"] == [{"source": "classifier", "text": "from the picture alone"}]
    assert [(k["state"], k["user"]) for k in image["known"]] == [(-1, "ana")]
    reply = decide(doubtful, 3, row["category"], -1, "look-again")
    assert reply["images"][0]["again"] is None
    assert reply["images"][0]["known"][0]["source"] == "look-again"
    assert doubtful.client.get(NEXT).json()["images"] == []
    assert doubtful.client.post(f"{API}/undo", json={"key": str(uuid4())}).status_code == 200
    assert [one["id"] for one in doubtful.client.get(NEXT).json()["images"]] == [3]


def test_other_queues_ask_nothing_again(doubtful: Site) -> None:
    page = doubtful.client.get(f"{API}/queues/random/next", params={"count": 5}).json()
    assert {image["again"] for image in page["images"]} == {None}


def test_progress_counts_the_pictures_that_are_contradicted(doubtful: Site) -> None:
    assert facts(doubtful.service).contradicted == 1
    image = doubtful.client.get(NEXT).json()["images"][0]
    decide(doubtful, image["id"], image["again"][0]["category"], -1, "look-again")
    assert facts(doubtful.service).contradicted == 0
