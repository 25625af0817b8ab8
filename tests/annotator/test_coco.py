"""COCO: what each kind of file means, and every way in which one can be wrong."""

from __future__ import annotations

import io
import json
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any, Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from annotator.errors import FormatError
from annotator.formats.coco import coco_to_labels, labels_to_coco
from annotator.formats.json_stream import JsonStream
from annotator.formats.table import LabelledImage, LabelTable, PresentLabel
from annotator.types import Provenance

GOLDEN = Path(__file__).parent.parent / "golden"

Unlisted = Literal["absent", "unknown"]


def coco(
    images: list[dict[str, Any]] | None = None,
    annotations: list[dict[str, Any]] | None = None,
    categories: list[dict[str, Any]] | None = None,
) -> dict[str, Any]:
    """Two pictures and three categories unless said otherwise."""
    return {
        "images": [image(10), image(20)] if images is None else images,
        "annotations": [] if annotations is None else annotations,
        "categories": categories
        or [{"id": 7, "name": "cat"}, {"id": 3, "name": "dog"}, {"id": 90, "name": "cup"}],
    }


def image(ident: int, **lists: Any) -> dict[str, Any]:
    return {"id": ident, "file_name": f"{ident}.jpg", "width": 4, "height": 3, **lists}


def label(ident: int, image_id: Any, category_id: Any, **more: Any) -> dict[str, Any]:
    return {"id": ident, "image_id": image_id, "category_id": category_id, **more}


def read(content: Any, unlisted: Unlisted = "unknown") -> LabelTable:
    text = content if isinstance(content, str) else json.dumps(content)
    return coco_to_labels(io.StringIO(text), unlisted=unlisted)


BOX = {"bbox": [0, 0, 2, 2], "area": 4, "iscrowd": 0, "segmentation": []}


@pytest.mark.parametrize(
    ("content", "unlisted", "states"),
    [
        # no annotation at all: everything is what unlisted means
        (coco(), "unknown", [[0, 0, 0], [0, 0, 0]]),
        (coco(), "absent", [[-1, -1, -1], [-1, -1, -1]]),
        # image-level annotation without box: present; category ids in any order
        (coco(annotations=[label(1, 20, 90)]), "unknown", [[0, 0, 0], [0, 0, 1]]),
        (coco(annotations=[label(1, 20, 90)]), "absent", [[-1, -1, -1], [-1, -1, 1]]),
        # boxes mean present, several of one category too, a crowd too
        (
            coco(annotations=[label(1, 10, 3, **BOX), label(2, 10, 3, **BOX)]),
            "absent",
            [[-1, 1, -1], [-1, -1, -1]],
        ),
        (coco(annotations=[label(5, 10, 7, iscrowd=1)]), "unknown", [[1, 0, 0], [0, 0, 0]]),
        # annotations need no id of their own
        (
            coco(annotations=[{"image_id": 10, "category_id": 7}]),
            "unknown",
            [[1, 0, 0], [0, 0, 0]],
        ),
        # LVIS: neg is absent, neither is what unlisted means, not_exhaustive says nothing of it
        (
            coco(
                images=[image(10, neg_category_ids=[3], not_exhaustive_category_ids=[90])],
                annotations=[label(1, 10, 90)],
            ),
            "unknown",
            [[0, -1, 1]],
        ),
        # pos is present without any annotation
        (coco(images=[image(10, pos_category_ids=[3])]), "unknown", [[0, 1, 0]]),
        # pos and annotation agree
        (
            coco(images=[image(10, pos_category_ids=[3])], annotations=[label(1, 10, 3)]),
            "unknown",
            [[0, 1, 0]],
        ),
        # lists in the file take precedence over the answer
        (coco(images=[image(10, unknown_category_ids=[3])]), "absent", [[-1, 0, -1]]),
        # an empty list and null list nothing
        (
            coco(images=[image(10, neg_category_ids=None, pos_category_ids=[])]),
            "unknown",
            [[0] * 3],
        ),
        # no pictures, no labels
        (coco(images=[]), "unknown", []),
    ],
)
def test_what_a_file_means(
    content: dict[str, Any], unlisted: Unlisted, states: list[list[int]]
) -> None:
    table = read(content, unlisted)
    assert list(table.categories) == ["cat", "dog", "cup"]
    assert list(table.images) == [entry["file_name"] for entry in content["images"]]
    assert table.states.tolist() == states


@pytest.mark.parametrize("order", [["annotations", "images", "categories"], ["categories"]])
def test_sections_come_in_any_order(order: list[str]) -> None:
    content = coco(images=[image(10, neg_category_ids=[3])], annotations=[label(1, 10, 7)])
    moved = {name: content[name] for name in order} | {"info": {}, "more": [1, 2]} | content
    assert read(moved).states.tolist() == [[1, -1, 0]]


def test_lvis_pictures_are_named_by_their_address() -> None:
    entry = {"id": 1, "coco_url": "http://images.example.org/train2017/000000000009.jpg"}
    assert list(read(coco(images=[entry])).images) == ["train2017/000000000009.jpg"]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        # references
        (
            coco(annotations=[label(1, 10, 7), label(2, 99, 7)]),
            "annotation number 2 names image id 99, which is not among the 2 image ids of the file",
        ),
        (coco(annotations=[label(1, 10, 8)]), "annotation number 1 names category id 8, which"),
        (coco(images=[image(1, neg_category_ids=[8])]), "neg_category_ids number 1 names category"),
        (coco(images=[], annotations=[label(1, 10, 7)]), "image id 10, which is not among the 0"),
        # ids twice
        (coco(images=[image(1), image(1)]), "1 image ids are there more than once: the first is 1"),
        (coco(annotations=[label(4, 10, 7), label(4, 20, 7)]), "annotation ids .* first is 4"),
        (
            coco(categories=[{"id": 1, "name": "a"}, {"id": 1, "name": "b"}]),
            "category ids .* first is 1",
        ),
        # names twice
        (
            coco(images=[image(1), image(2, file_name="1.jpg")]),
            r"the file_name '1\.jpg' is there twice",
        ),
        (
            coco(categories=[{"id": 1, "name": "a"}, {"id": 2, "name": "a"}]),
            "the category name 'a' is there twice",
        ),
        # contradictions
        (
            coco(images=[image(1, neg_category_ids=[7])], annotations=[label(1, 1, 7)]),
            r"the first is 'cat' in '1\.jpg', which the file calls present and absent",
        ),
        (
            coco(images=[image(1, neg_category_ids=[7], unknown_category_ids=[3, 7])]),
            "1 labels contradict .* absent and unknown",
        ),
        # fields
        (coco(images=[{"id": 1}]), r"image number 1 needs id .* got {\"id\": 1}"),
        (coco(images=[image(1, file_name=" ")]), "image number 1 needs"),
        (coco(images=[{"id": "1", "file_name": "a"}]), "image number 1 needs id"),
        (coco(images=[image(1, neg_category_ids=[1.5])]), "image number 1 needs"),
        (coco(images=[image(1, neg_category_ids=7)]), "image number 1 needs"),
        (coco(annotations=[label(1, None, 7)]), "annotation number 1 needs image_id and category"),
        (coco(annotations=[{"id": 1, "image_id": 10, "caption": "x"}]), "annotation number 1"),
        (coco(annotations=[label(1, 10**30, 7)]), "annotation number 1 needs"),
        (coco(categories=[{"id": 1}]), "category number 1 needs id .* and name"),
        # sections
        ({"images": [], "categories": []}, "the file has no annotations, expected"),
        ({}, "the file has no annotations and no categories and no images"),
        ({"images": {}, "annotations": [], "categories": []}, '"images" must be a list, got dict'),
        # no COCO at all
        ([{"image_id": 1}], "the file holds a list, .* may be a results file"),
        ("", "the file ends too early"),
        ("hello", "expected '{', got 'h'"),
        ('{"images": [], ', "the file ends too early"),
        ('{"images": [{"id": 1', "the file ends too early, it may be cut off at character 20"),
        ('{"images": [{"id": 1, "file_name": "abc', "it may be cut off"),
        ('{"images": [{"id": 1,, 2}]}' + " " * 99, "not valid JSON: .* at character 21"),
        ('{"images": []} {"images": []}', "goes on after its end at character 15"),
        ('{"images": [], "images": []}', "another name of a member, got 'images'"),
        ('{"a": ' + "[" * 100_000, "nested too deeply"),
    ],
)
def test_a_wrong_file_is_named_with_what_is_wrong(content: Any, message: str) -> None:
    with pytest.raises(FormatError, match=message):
        read(content)


def test_a_file_in_another_encoding_says_so() -> None:
    raw = json.dumps(coco(categories=[{"id": 1, "name": "é"}]), ensure_ascii=False)
    stream = io.TextIOWrapper(io.BytesIO(raw.encode("latin-1")), encoding="utf-8")
    with pytest.raises(FormatError, match=r"not UTF-8: .*\(save it as UTF-8\)"):
        coco_to_labels(stream, unlisted="unknown")


def test_hostile_names_are_only_text() -> None:
    name = '<img src=x onerror=alert(1)>"\\\n${7*7}{{x}}'
    assert list(read(coco(categories=[{"id": 1, "name": name}])).categories) == [name]


values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


@given(
    content=st.dictionaries(st.text(), values, max_size=4),
    chunk=st.integers(1, 12),
    indent=st.sampled_from([None, 1]),
)
def test_reading_in_pieces_gives_what_reading_at_once_gives(
    content: dict[str, Any], chunk: int, indent: int | None
) -> None:
    stream = io.StringIO(json.dumps(content, indent=indent))
    found = {
        key: value if not hasattr(value, "__next__") else list(value)
        for key, value in JsonStream(stream, chunk).members()
    }
    assert found == content


# Writing

NOON = datetime(2026, 3, 1, 13, tzinfo=timezone(timedelta(hours=1)))
ORIGIN = Provenance("focus", "Åsa", 4, NOON)
IMPORT = Provenance("import", None, None, NOON)
IMAGES = [
    LabelledImage(2, 'a/"b".jpg', 40, 30, [PresentLabel(3, ORIGIN, 0.1234567)], [2]),
    LabelledImage(
        5, "c.jpg", 10, 10,
        [PresentLabel(2, IMPORT), PresentLabel(1, IMPORT)], [],
    ),
    LabelledImage(9, "d.jpg", 10, 10, [], []),
]  # fmt: skip
CATEGORIES = [(3, "cup"), (1, "<img src=x onerror=alert(1)>"), (2, "cat")]


def written(images: list[LabelledImage], categories: list[tuple[int, str]]) -> str:
    out = io.StringIO()
    labels_to_coco(images, categories, out, description="sample")
    return out.getvalue()


def test_the_written_file_is_the_golden_one() -> None:
    assert written(IMAGES, CATEGORIES) == (GOLDEN / "labels_profile.json").read_text()


def test_every_field_of_the_profile_is_there() -> None:
    content = json.loads(written(IMAGES, CATEGORIES))
    assert content["annotations"][0] == {
        "id": 1,
        "image_id": 2,
        "category_id": 3,
        "iscrowd": 0,
        "area": 1200,
        "score": 0.123457,
        "attributes": {
            "source": "focus",
            "user": "Åsa",
            "model_version": 4,
            "decided_at": "2026-03-01T12:00:00Z",
        },
    }
    assert content["images"][0] == {
        "id": 2,
        "file_name": 'a/"b".jpg',
        "width": 40,
        "height": 30,
        "pos_category_ids": [3],
        "neg_category_ids": [2],
        "unknown_category_ids": [1],
    }
    assert [entry["id"] for entry in content["annotations"]] == [1, 2, 3]
    assert content["info"]["profile"] == "labels"


def test_pycocotools_reads_the_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    from pycocotools.coco import COCO

    (tmp_path / "out.json").write_text(written(IMAGES, CATEGORIES))
    found = COCO(tmp_path / "out.json")
    capsys.readouterr()
    assert found.getImgIds(catIds=[2]) == [5]
    assert found.getAnnIds(imgIds=[5], iscrowd=False, areaRng=[0, 1e9]) == [2, 3]
    assert found.getCatIds(catNms=["cup"]) == [3]


@st.composite
def labelled(draw: st.DrawFn) -> tuple[list[LabelledImage], list[tuple[int, str]]]:
    """Any pictures, categories and labels."""
    names = st.text(st.characters(codec="utf-8"), min_size=1).filter(str.strip)
    category_ids = draw(st.lists(st.integers(1, 10**6), unique=True, max_size=5))
    categories = list(zip(category_ids, draw(_unique_of(names, len(category_ids))), strict=True))
    image_ids = draw(st.lists(st.integers(0, 2**40), unique=True, max_size=5))
    files = draw(_unique_of(names, len(image_ids)))
    images = []
    for ident, file in zip(image_ids, files, strict=True):
        states = {c: draw(st.sampled_from([-1, 0, 1])) for c in category_ids}
        present = [PresentLabel(c, ORIGIN) for c, state in states.items() if state == 1]
        absent = [c for c, state in states.items() if state == -1]
        images.append(LabelledImage(ident, file, 1, 1, present, absent))
    return images, categories


def _unique_of(names: st.SearchStrategy[str], count: int) -> st.SearchStrategy[list[str]]:
    return st.lists(names, unique=True, min_size=count, max_size=count)


def states_of(images: list[LabelledImage], categories: list[tuple[int, str]]) -> list[list[int]]:
    return [
        [
            1 if c in {label.category_id for label in image.present} else -(c in image.absent)
            for c, _ in categories
        ]
        for image in images
    ]


@given(data=labelled(), unlisted=st.sampled_from(["absent", "unknown"]))
def test_reading_gives_what_was_written(
    data: tuple[list[LabelledImage], list[tuple[int, str]]], unlisted: Unlisted
) -> None:
    images, categories = data
    table = read(written(images, categories), unlisted)
    assert list(table.images) == [image.file_name for image in images]
    assert list(table.categories) == [name for _, name in categories]
    assert table.states.tolist() == states_of(images, categories)
