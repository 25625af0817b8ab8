"""Category changes over REST."""

from __future__ import annotations

from itertools import count

from web_site import Site

from annotator.types import CellChange

KEYS = (f"category-api-{number}" for number in count())


def post(site: Site, path: str, status: int = 200, **body: object) -> dict[str, object]:
    answer = site.client.post(f"/api/v1/{path}", json={"key": next(KEYS), **body})
    assert answer.status_code == status, answer.text
    found: dict[str, object] = answer.json()
    return found


def test_rename_move_merge_remove_and_back(site: Site) -> None:
    decide = [CellChange(1, 1, 1), CellChange(2, 1, -1), CellChange(2, 2, 1)]
    site.service.decide(site.user, decide, key=next(KEYS))
    before = site.client.get("/api/v1/categories").json()
    events = [post(site, "categories/1/rename", name="mug")["event"]]
    events.append(post(site, "categories/4/move", place=1)["event"])
    preview = site.client.get("/api/v1/categories/1/merge", params={"into": 2}).json()
    assert preview.pop("proposals") == 0
    assert preview == {"carried": 1, "equal": 0, "present_absent": 0, "absent_present": 1}
    merged = post(site, "categories/1/merge", into=2, on_conflict="absent")
    assert merged["cells"] == 4
    events.append(merged["event"])
    counts = site.client.get("/api/v1/categories/2/remove").json()
    assert counts == {"present": 1, "absent": 1, "suggestions": 0, "proposals": 0}
    events.append(post(site, "categories/2/remove")["event"])
    assert len(site.client.get("/api/v1/categories").json()) == 2
    for event in reversed(events):
        assert post(site, f"events/{event}/undo")["left"] == 0
    assert site.client.get("/api/v1/categories").json() == before


def test_what_cannot_be_done_is_refused_in_words(site: Site) -> None:
    assert "into itself" in str(post(site, "categories/1/merge", 422, into=1))
    assert "category 99" in str(post(site, "categories/99/remove", 404))
    assert "looks the same" in str(post(site, "categories/1/rename", 409, name="TABLE"))
