"""/api/v1 against a real service."""

from __future__ import annotations

import io
from pathlib import Path
from uuid import uuid4

import pytest
from PIL import Image, ImageCms
from web_site import NAMES, Site

from annotator.images import scan_image
from annotator.web.api import workspace_identity

API = "/api/v1"


def decide(site: Site, image: int, category: int, state: int, key: str | None = None) -> dict:
    body = {
        "key": key or str(uuid4()),
        "cells": [{"image": image, "category": category, "state": state}],
    }
    answer = site.client.post(f"{API}/decisions", json=body)
    assert answer.status_code == 200, answer.text
    return answer.json()


def known(image: dict) -> dict[int, int]:
    return {cell["category"]: cell["state"] for cell in image["known"]}


# ------------------------------------------------------------------------------- reading


def test_status_names_the_workspace_and_counts_cells(site: Site) -> None:
    status = site.client.get(f"{API}/status").json()
    assert status["workspace"] == {"id": workspace_identity(site.workspace), "name": "Tests"}
    assert status["counts"]["images"] == 12
    assert status["counts"]["cells"] == 48
    assert status["model"] is None


def test_categories_come_in_their_order(site: Site) -> None:
    names = [category["name"] for category in site.client.get(f"{API}/categories").json()]
    assert names == list(NAMES)


def test_a_user_of_the_same_name_is_the_same_user(site: Site) -> None:
    assert site.client.post(f"{API}/users", json={"name": "ana"}).json()["id"] == site.user


def test_the_queue_hands_out_pictures_with_suggestions(site: Site) -> None:
    page = site.client.get(f"{API}/queues/unlabelled/next", params={"count": 3}).json()
    assert len(page["images"]) == 3
    assert page["position"] == 1
    assert {s["name"] for s in page["images"][0]["suggestions"]} <= set(NAMES)


def test_the_queues_are_listed_with_what_waits_in_them(site: Site) -> None:
    queues = site.client.get(f"{API}/queues").json()
    assert {"uncertain", "unlabelled", "random"} <= {queue["name"] for queue in queues}
    for queue in queues:
        page = site.client.get(f"{API}/queues/{queue['name']}/next").json()
        assert (queue["waiting"], queue["blind"]) == (page["total"], page["blind"])


def test_an_unknown_queue_is_refused(site: Site) -> None:
    assert site.client.get(f"{API}/queues/best/next").status_code == 422


def test_times_carry_their_zone(site: Site) -> None:
    image = decide(site, 1, 1, 1)["images"][0]
    assert image["known"][0]["at"].endswith("Z")


# ------------------------------------------------------------------------------- deciding


def test_a_decision_answers_with_the_picture_and_a_higher_revision(site: Site) -> None:
    before = site.client.get(f"{API}/images/2").json()
    after = decide(site, 2, 1, -1)["images"][0]
    assert known(after) == {1: -1}
    assert after["revision"] > before["revision"]


def test_a_repeated_key_changes_nothing_and_answers_the_same(site: Site) -> None:
    first = decide(site, 3, 1, 1, key="0123456789")
    again = decide(site, 3, 1, 1, key="0123456789")
    assert again["repeated"] is True
    assert again["event"] == first["event"]
    assert again["images"][0]["revision"] == first["images"][0]["revision"]


def test_a_key_with_another_content_is_a_conflict(site: Site) -> None:
    decide(site, 4, 1, 1, key="reused-key")
    body = {"key": "reused-key", "cells": [{"image": 4, "category": 2, "state": 1}]}
    answer = site.client.post(f"{API}/decisions", json=body)
    assert answer.status_code == 409
    assert answer.json()["kind"] == "Conflict"


def test_undo_restores_and_answers_with_the_picture(site: Site) -> None:
    decide(site, 5, 1, 1)
    decide(site, 5, 1, -1)
    answer = site.client.post(f"{API}/undo", json={"key": str(uuid4())}).json()
    assert known(answer["images"][0]) == {1: 1}
    assert answer["summary"] == "Taken back: cup absent in 04.jpg (Focus)"


def test_what_undo_would_take_back_is_told_before(site: Site) -> None:
    bo = site.client.post(f"{API}/users", json={"name": "bo, who undoes"}).json()["id"]
    headers = {"X-Annotator-User": str(bo)}
    assert site.client.get(f"{API}/undo", headers=headers).json() is None
    cells = [{"image": image, "category": 1, "state": 1} for image in (9, 10)]
    body = {"key": str(uuid4()), "cells": cells, "source": "sweep"}
    event = site.client.post(f"{API}/decisions", json=body, headers=headers).json()["event"]
    told = site.client.get(f"{API}/undo", headers=headers).json()
    assert (told["event"], told["where"], told["text"]) == (event, "Sweep", "cup: 2 present")


def test_undo_takes_back_the_change_that_is_named_not_a_newer_one(site: Site) -> None:
    keys = [str(uuid4()) for _ in range(4)]
    decide(site, 6, 1, 1, key=keys[0])
    decide(site, 7, 1, 1, key=keys[1])
    body = {"key": keys[2], "of": keys[0]}
    answer = site.client.post(f"{API}/undo", json=body).json()
    assert answer["images"][0]["id"] == 6
    assert site.client.post(f"{API}/undo", json=body).json()["repeated"] is True
    again = site.client.post(f"{API}/undo", json={"key": keys[3], "of": keys[0]})
    assert again.status_code == 409
    unknown = site.client.post(f"{API}/undo", json={"key": keys[3], "of": str(uuid4())})
    assert unknown.status_code == 404


@pytest.mark.parametrize("event", [0, -1])
def test_an_event_to_undo_counts_from_one(site: Site, event: int) -> None:
    answer = site.client.post(f"{API}/undo", json={"key": str(uuid4()), "event": event})
    assert answer.status_code == 422
    assert "event" in answer.json()["error"]


def test_undo_names_the_change_in_one_way_and_else_does_nothing(site: Site) -> None:
    key = str(uuid4())
    event = decide(site, 7, 2, 1, key=key)["event"]
    body = {"key": str(uuid4()), "of": key, "event": event}
    answer = site.client.post(f"{API}/undo", json=body)
    assert answer.status_code == 422
    assert "name the change by `of` or by `event`, not by both" in answer.json()["error"]
    assert known(site.client.get(f"{API}/images/7").json())[2] == 1


@pytest.mark.parametrize(
    ("cells", "code", "kind"),
    [
        ([{"image": 999, "category": 1, "state": 1}], 404, "NotFound"),
        ([{"image": 1, "category": 999, "state": 1}], 404, "NotFound"),
        ([{"image": 1, "category": 1, "state": 2}], 422, "InvalidInput"),
        ([], 422, "InvalidInput"),
    ],
)
def test_a_refusal_says_what_is_wrong(site: Site, cells: list, code: int, kind: str) -> None:
    answer = site.client.post(f"{API}/decisions", json={"key": str(uuid4()), "cells": cells})
    assert answer.status_code == code
    assert answer.json()["kind"] == kind
    assert answer.json()["error"]


@pytest.mark.parametrize("number", [2**63, 2**70])
@pytest.mark.parametrize(
    "address", ["images/{}", "images/{}/thumbnail", "images/1/categories/{}/evidence"]
)
def test_an_id_that_no_database_can_hold_is_refused(site: Site, address: str, number: int) -> None:
    answer = site.client.get(f"{API}/{address.format(number)}")
    assert answer.status_code in (404, 422)
    assert answer.json()["error"]


def test_a_user_that_no_database_can_hold_is_refused(site: Site) -> None:
    headers = {"X-Annotator-User": str(2**63)}
    answer = site.client.post(f"{API}/undo", json={"key": str(uuid4())}, headers=headers)
    assert answer.status_code == 422
    assert "too large" in answer.json()["error"]


def test_a_caller_without_a_user_is_refused(site: Site) -> None:
    body = {"key": str(uuid4()), "cells": [{"image": 1, "category": 1, "state": 1}]}
    headers = {"X-Annotator-User": ""}
    assert site.client.post(f"{API}/decisions", json=body, headers=headers).status_code == 422


def test_a_page_of_another_workspace_may_not_write(site: Site) -> None:
    body = {"key": str(uuid4()), "cells": [{"image": 1, "category": 1, "state": 1}]}
    headers = {"X-Annotator-Workspace": "somewhere-else"}
    answer = site.client.post(f"{API}/decisions", json=body, headers=headers)
    assert answer.status_code == 421
    assert answer.json()["kind"] == "OtherWorkspace"


def test_evidence_before_the_first_model_says_what_it_waits_for(site: Site) -> None:
    evidence = site.client.get(f"{API}/images/1/categories/1/evidence").json()
    assert "not been trained" in evidence["waiting"]


def test_an_unknown_address_below_api_answers_json(site: Site) -> None:
    for method in ("GET", "POST", "PUT", "PATCH", "DELETE"):
        headers = {"Content-Type": "application/json"}
        answer = site.client.request(method, f"{API}/imagse/1", headers=headers)
        assert answer.status_code == 404
        assert answer.json()["kind"] == "NotFound"


def test_a_body_too_deep_to_read_is_refused_like_all_others(site: Site) -> None:
    headers = {"Content-Type": "application/json"}
    answer = site.client.post(f"{API}/users", content='{"name":' * 50_000, headers=headers)
    assert answer.status_code == 400
    assert set(answer.json()) == {"error", "kind"}


# ------------------------------------------------------------------------------- pictures


def test_a_small_upright_jpeg_is_sent_as_it_is(site: Site) -> None:
    answer = site.client.get(f"{API}/images/1/picture")
    assert answer.headers["content-type"] == "image/jpeg"
    assert answer.content == (site.photos / "00.jpg").read_bytes()


def test_a_picture_is_kept_forever_only_under_its_workspace(site: Site) -> None:
    identity = workspace_identity(site.workspace)
    kept = site.client.get(f"{API}/images/1/thumbnail", params={"w": identity})
    assert "immutable" in kept.headers["cache-control"]
    asked_again = site.client.get(f"{API}/images/1/thumbnail")
    assert "no-cache" in asked_again.headers["cache-control"]


def test_a_picture_that_the_browser_has_is_not_sent_again(site: Site) -> None:
    for kind in ("picture", "thumbnail"):
        tag = site.client.get(f"{API}/images/1/{kind}").headers["etag"]
        answer = site.client.get(f"{API}/images/1/{kind}", headers={"If-None-Match": tag})
        assert answer.status_code == 304
        assert not answer.content


def test_a_lost_thumbnail_is_made_again(site: Site) -> None:
    path = site.workspace.thumbnail(site.service.image(6).sha256)
    path.unlink()
    assert site.client.get(f"{API}/images/6/thumbnail").status_code == 200
    assert path.exists()


def test_a_thumbnail_that_was_cut_off_is_made_again(site: Site) -> None:
    path = site.workspace.thumbnail(site.service.image(7).sha256)
    path.write_bytes(b"")
    assert site.client.get(f"{API}/images/7/thumbnail").content == path.read_bytes() != b""


def apart(content: bytes) -> list[bytes]:
    """The files of an answer with many."""
    files = []
    while content:
        length = int.from_bytes(content[:4], "big")
        files.append(content[4 : 4 + length])
        content = content[4 + length :]
    return files


def test_many_thumbnails_come_in_one_answer_in_the_order_asked_for(site: Site) -> None:
    alone = [site.client.get(f"{API}/images/{i}/thumbnail").content for i in (3, 1)]
    answer = site.client.get(f"{API}/thumbnails", params={"images": "3,1"})
    assert apart(answer.content) == alone
    assert "no-cache" in answer.headers["cache-control"]


def test_a_thumbnail_that_is_not_there_has_no_length(site: Site) -> None:
    site.workspace.thumbnail(site.service.image(8).sha256).unlink()
    answer = site.client.get(f"{API}/thumbnails", params={"images": "8,2,999999"})
    assert [bool(file) for file in apart(answer.content)] == [False, True, False]


def test_only_a_whole_answer_of_many_thumbnails_is_kept(site: Site) -> None:
    names = {"images": "9,2", "w": workspace_identity(site.workspace)}
    path = site.workspace.thumbnail(site.service.image(9).sha256)
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])  # the disk was full
    answer = site.client.get(f"{API}/thumbnails", params=names)
    assert "no-cache" in answer.headers["cache-control"]
    assert [bool(file) for file in apart(answer.content)] == [False, True]
    assert site.client.get(f"{API}/images/9/thumbnail").content == whole
    answer = site.client.get(f"{API}/thumbnails", params=names)
    assert "immutable" in answer.headers["cache-control"]


@pytest.mark.parametrize("images", ["", "1,", "a", "1,-2", ",".join(["1"] * 201), "9" * 16])
def test_too_many_thumbnails_or_malformed_ids_are_refused(site: Site, images: str) -> None:
    answer = site.client.get(f"{API}/thumbnails", params={"images": images})
    assert answer.status_code == 422
    assert answer.json()["error"]


def add(site: Site, name: str, image: Image.Image, **options: object) -> int:
    """Save a picture of its own kind and add it; its id."""
    path = site.photos / name
    image.save(path, **options)
    scanned = scan_image(path, site.photos)
    site.service.add_images([scanned])
    return site.service.image_by_hash(scanned.sha256).id


def shown(site: Site, image: int, **params: str) -> Image.Image:
    answer = site.client.get(f"{API}/images/{image}/picture", params=params)
    assert answer.status_code == 200, answer.text
    return Image.open(io.BytesIO(answer.content))


def test_a_picture_is_turned_upright(site: Site) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    image = add(site, "turned.jpg", Image.new("RGB", (80, 40), "red"), exif=exif)
    assert shown(site, image).size == (40, 80)


def test_a_large_picture_is_sent_small_and_whole_on_demand(site: Site) -> None:
    image = add(site, "large.png", Image.new("RGB", (3000, 1500), "navy"))
    assert shown(site, image).size == (2048, 1024)
    assert shown(site, image, size="original").size == (3000, 1500)


@pytest.mark.parametrize(
    ("name", "picture", "colour"),
    [
        ("cmyk.jpg", Image.new("CMYK", (50, 40), (0, 255, 255, 0)), (255, 0, 0)),
        ("dot.png", Image.new("RGB", (1, 1), (10, 200, 30)), (10, 200, 30)),
        ("palette.gif", Image.new("P", (50, 40), 0), (0, 0, 0)),
        ("deep.png", Image.new("I;16", (50, 40), 32896), (128, 128, 128)),
        ("clear.png", Image.new("RGBA", (50, 40), (255, 0, 0, 0)), (255, 255, 255)),
    ],
)
def test_every_kind_of_picture_becomes_a_plain_jpeg(
    site: Site, name: str, picture: Image.Image, colour: tuple[int, int, int]
) -> None:
    image = shown(site, add(site, name, picture))
    assert image.format == "JPEG"
    assert image.mode == "RGB"
    centre = image.getpixel((image.width // 2, image.height // 2))
    assert max(abs(a - b) for a, b in zip(centre, colour, strict=True)) < 12


def test_a_colour_profile_is_applied(site: Site) -> None:
    lab = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    image = add(site, "profile.jpg", Image.new("RGB", (50, 40), "teal"), icc_profile=lab)
    assert "icc_profile" not in shown(site, image).info


def test_a_missing_file_says_which(site: Site) -> None:
    image = add(site, "gone.jpg", Image.new("RGB", (30, 30), "olive"))
    (site.photos / "gone.jpg").unlink()
    answer = site.client.get(f"{API}/images/{image}/picture")
    assert answer.status_code == 404
    assert "gone.jpg is missing" in answer.json()["error"]


def test_no_answer_tells_a_path_of_the_server(site: Site, tmp_path: Path) -> None:
    assert str(site.photos) not in site.client.get(f"{API}/images/1").text
    assert str(site.photos) not in site.client.get(f"{API}/status").text
