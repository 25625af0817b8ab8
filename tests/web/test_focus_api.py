"""Keys of a person, flags, and what others changed, over the API."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path
from uuid import uuid4

import pytest
from web_site import Site

from annotator.changes import MOST_CELLS
from annotator.key_settings import DEFAULT_KEYS
from annotator.types import CellBatch

API = "/api/v1"
SETTINGS = f"{API}/users/me/settings"
KEYS_MODULE = (
    Path(__file__).parents[2] / "annotator" / "web" / "static" / "js" / "focus" / "keys.js"
)


def decide(site: Site, image: int, category: int, state: int) -> int:
    cells = [{"image": image, "category": category, "state": state}]
    answer = site.client.post(f"{API}/decisions", json={"key": str(uuid4()), "cells": cells})
    return int(answer.json()["event"])


def newest(site: Site) -> int:
    return int(site.client.get(f"{API}/status").json()["event"])


# ---------------------------------------------------------------------------------- keys


def test_keys_are_kept_and_an_empty_body_resets_them(site: Site) -> None:
    assert site.client.get(SETTINGS).json()["keys"]["why"] == ["e"]
    changed = site.client.put(SETTINGS, json={"keys": {"why": ["w"]}}).json()
    assert changed["keys"]["why"] == ["w"]
    assert site.client.get(SETTINGS).json() == changed
    reset = site.client.put(SETTINGS, json={}).json()
    assert reset["keys"] == reset["defaults"]


def test_keys_belong_to_a_person(site: Site) -> None:
    ben = site.client.post(f"{API}/users", json={"name": "ben"}).json()["id"]
    site.client.put(SETTINGS, json={"keys": {"why": ["w"]}})
    other = site.client.get(SETTINGS, headers={"X-Annotator-User": str(ben)}).json()
    assert other["keys"]["why"] == ["e"]


@pytest.mark.parametrize(
    ("keys", "text"),
    [({"why": ["z"]}, "both why and zoom"), ({"why": ["Tab"]}, "belongs to the browser")],
)
def test_bad_keys_are_refused_in_words(site: Site, keys: dict, text: str) -> None:
    answer = site.client.put(SETTINGS, json={"keys": keys})
    assert answer.status_code == 422
    assert text in answer.json()["error"]


def test_the_page_has_the_same_defaults() -> None:
    node = shutil.which("node")
    if node is None:
        pytest.skip("node is not installed")
    address = json.dumps(KEYS_MODULE.as_uri())
    script = f"import({address}).then((m) => console.log(JSON.stringify(m.DEFAULT_KEYS)))"
    said = subprocess.run([node, "-e", script], capture_output=True, text=True, check=True).stdout
    assert json.loads(said) == {action: list(names) for action, names in DEFAULT_KEYS.items()}


# --------------------------------------------------------------------------------- flags


def test_a_flag_is_set_once_and_stays_readable_when_closed(site: Site) -> None:
    note = "<b>is this</b>\na cup?"
    flag = site.client.post(f"{API}/flags", json={"image": 4, "note": note}).json()
    again = site.client.post(f"{API}/flags", json={"image": 4, "note": note}).json()
    assert (flag["id"], flag["note"], flag["user"]) == (again["id"], note, "ana")
    assert [f["id"] for f in site.client.get(f"{API}/flags", params={"image": 4}).json()] == [
        flag["id"]
    ]
    closed = site.client.request("DELETE", f"{API}/flags/{flag['id']}", json={}).json()
    assert closed["closed_by"] == "ana"
    assert site.client.get(f"{API}/flags", params={"image": 4}).json() == []
    all_of_it = site.client.get(f"{API}/flags", params={"image": 4, "closed": True}).json()
    assert [f["id"] for f in all_of_it] == [flag["id"]]


def test_a_flag_needs_a_picture_and_a_note_that_fits(site: Site) -> None:
    assert site.client.post(f"{API}/flags", json={"image": 999}).status_code == 404
    long = {"image": 4, "note": "x" * 1001}
    assert site.client.post(f"{API}/flags", json=long).status_code == 422


def test_control_characters_do_not_enter_a_note(site: Site) -> None:
    flag = site.client.post(f"{API}/flags", json={"image": 5, "note": "a\x00b\u202ec"}).json()
    assert flag["note"] == "abc"


# ------------------------------------------------------------------------------- changes


def test_changes_name_the_pictures_and_their_newest_event(site: Site) -> None:
    before = newest(site)
    decide(site, 6, 1, 1)
    last = decide(site, 6, 2, 1)
    changes = site.client.get(f"{API}/changes", params={"after": before}).json()
    assert changes["images"] == [{"image": 6, "event": last}]
    assert (changes["event"], changes["everything"], changes["flags"]) == (last, False, False)
    assert site.client.get(f"{API}/changes", params={"after": last}).json()["images"] == []


def test_a_flag_and_a_category_are_changes_without_pictures(site: Site) -> None:
    before = newest(site)
    site.client.post(f"{API}/flags", json={"image": 7, "note": "look"})
    site.client.post(f"{API}/categories", json={"names": ["lamp"]})
    changes = site.client.get(f"{API}/changes", params={"after": before}).json()
    assert (changes["flags"], changes["categories"], changes["images"]) == (True, True, [])


def test_an_event_that_is_not_there_any_more_counts_as_everything(site: Site) -> None:
    changes = site.client.get(f"{API}/changes", params={"after": newest(site) + 5}).json()
    assert changes["everything"]


def test_a_large_import_is_not_listed(site: Site) -> None:
    before = newest(site)
    names = [f"c{i}" for i in range(MOST_CELLS // 12 + 1)]
    categories = site.service.add_categories(names)
    cells = [(image, c.id, -1) for image in range(1, 13) for c in categories]
    site.service.import_decisions([CellBatch.of(cells)])
    changes = site.client.get(f"{API}/changes", params={"after": before}).json()
    assert changes["everything"]
    assert changes["images"] == []
