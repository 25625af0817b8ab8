"""Import and export against a workspace: everything or nothing, and nothing is lost on the way."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from annotator.errors import Conflict, FormatError, InvalidInput
from annotator.exchange import (
    export_coco,
    export_csv,
    import_labels,
    read_categories,
    read_coco,
    read_csv,
)
from annotator.formats.table import LabelTable
from annotator.images import ScannedImage
from annotator.service import AnnotationService
from annotator.settings import Workspace
from annotator.types import CellChange

SAMPLES = Path(__file__).parent.parent.parent / "data" / "samples"
FILES = ["kitchen.jpg", "street.jpg", "farm.jpg"]


def service_with(folder: Path, names: list[str]) -> AnnotationService:
    """A workspace with pictures of these names; the files themselves do not exist."""
    service = AnnotationService.create(Workspace.create(folder))
    service.add_images(
        ScannedImage(f"{number:064x}", Path("/pictures") / name, name, 40, 30, 9, "jpeg")
        for number, name in enumerate(names)
    )
    return service


@pytest.fixture
def service(tmp_path: Path) -> Iterator[AnnotationService]:
    with service_with(tmp_path / "workspace", FILES) as opened:
        yield opened


def table(states: list[list[int]], names: list[str] | None = None) -> LabelTable:
    categories = ["cup", "car", "dining table"][: len(states[0])]
    return LabelTable(names or FILES[: len(states)], categories, np.array(states, np.int8))


def cells(service: AnnotationService) -> dict[tuple[str, str], int]:
    """All known cells by names."""
    labels = service.labels()
    files = {ident: name for ident, name, _ in service.image_names()}
    names = {category.id: category.name for category in service.categories()}
    return {
        (files[int(image)], names[int(category)]): int(labels.states[row, column])
        for row, image in enumerate(labels.image_ids)
        for column, category in enumerate(labels.category_ids)
        if labels.states[row, column]
    }


# The samples that the documentation shows


KITCHEN = {("kitchen.jpg", "cup"): 1}
STREET = {("street.jpg", "car"): 1}


def test_sample_of_boxes_with_unlisted_unknown(service: AnnotationService) -> None:
    import_labels(service, read_coco(SAMPLES / "coco_boxes.json", unlisted="unknown"))
    assert cells(service) == KITCHEN | STREET


def test_sample_of_boxes_with_unlisted_absent(service: AnnotationService) -> None:
    import_labels(service, read_coco(SAMPLES / "coco_boxes.json", unlisted="absent"))
    absent = {(file, name): -1 for file in FILES[:2] for name in ("cup", "car", "dining table")}
    assert cells(service) == absent | KITCHEN | STREET


def test_sample_of_lvis(service: AnnotationService) -> None:
    import_labels(service, read_coco(SAMPLES / "lvis.json", unlisted="unknown"))
    assert cells(service) == KITCHEN | {
        ("kitchen.jpg", "car"): -1,
        ("street.jpg", "cup"): -1,
        ("street.jpg", "dining table"): -1,
    }


def test_samples_of_csv_and_of_our_own_profile_say_the_same(tmp_path: Path) -> None:
    first, second = (service_with(tmp_path / name, FILES) for name in "ab")
    import_labels(first, read_csv(SAMPLES / "labels.csv", ignore_columns=["split"]))
    import_labels(second, read_coco(SAMPLES / "labels_profile.json", unlisted="absent"))
    assert cells(first) == cells(second)
    assert len(cells(first)) == 6


def test_sample_with_minus_one(service: AnnotationService) -> None:
    found = read_csv(SAMPLES / "labels_minus_one.csv", minus_one="absent")
    report = import_labels(service, found)
    assert (report.present, report.absent, report.unknown) == (3, 3, 0)


# Import


def test_an_import_is_one_event_that_its_user_can_undo(service: AnnotationService) -> None:
    mira = service.ensure_user("mira")
    report = import_labels(service, table([[1, -1], [0, 1]]), user_id=mira.id)
    assert (report.images, report.present, report.absent, report.unknown) == (2, 2, 1, 1)
    assert report.cells.added == 3
    service.undo(mira.id, key="u")
    assert cells(service) == {}


def test_decisions_that_are_there_stay_unless_told_otherwise(service: AnnotationService) -> None:
    import_labels(service, table([[1]]))
    kept = import_labels(service, table([[-1], [-1]]))
    assert (kept.cells.added, kept.cells.kept, kept.cells.overwritten) == (1, 1, 0)
    assert cells(service)["kitchen.jpg", "cup"] == 1
    overwritten = import_labels(service, table([[-1]]), conflict="overwrite")
    assert overwritten.cells.overwritten == 1
    assert cells(service)["kitchen.jpg", "cup"] == -1


def test_what_a_file_does_not_know_makes_nothing_unknown(service: AnnotationService) -> None:
    import_labels(service, table([[1]]))
    import_labels(service, table([[0]]), conflict="overwrite")
    assert cells(service) == KITCHEN


def test_pictures_that_are_not_there_stop_the_import(service: AnnotationService) -> None:
    found = table([[1], [1]], ["kitchen.jpg", "beach.jpg"])
    with pytest.raises(InvalidInput, match=r"1 picture .*: beach.jpg .*--skip-missing"):
        import_labels(service, found)
    assert service.categories() == []
    report = import_labels(service, found, skip_missing=True)
    assert report.missing == ["beach.jpg"]
    assert cells(service) == KITCHEN


def test_a_file_of_another_project_stops_the_import_even_when_skipping(
    service: AnnotationService,
) -> None:
    with pytest.raises(InvalidInput, match="1 picture of the file missing in the workspace"):
        import_labels(service, table([[1]], ["beach.jpg"]), skip_missing=True)


def test_a_name_that_fits_two_pictures_stops_the_import(tmp_path: Path) -> None:
    service = service_with(tmp_path, ["a/1.jpg", "b/1.jpg"])
    with pytest.raises(InvalidInput, match=r"'1.jpg' may be /pictures/a/1.jpg, /pictures/b/1.jpg"):
        import_labels(service, table([[1]], ["1.jpg"]))
    with pytest.raises(InvalidInput, match=r"'a/1.jpg' and 'c/a/1.jpg' .* are the same picture"):
        import_labels(service, table([[1], [1]], ["a/1.jpg", "c/a/1.jpg"]))
    assert cells(service) == {}


def test_new_categories_are_added_only_when_told(service: AnnotationService) -> None:
    service.add_categories(["car"])
    with pytest.raises(Conflict, match=r"1 category .*: cup \(add them with --add-categories"):
        import_labels(service, table([[1]]))
    assert import_labels(service, table([[1]]), add_categories=True).new_categories == ["cup"]


def test_who_imports_adds_the_new_categories(service: AnnotationService) -> None:
    ana = service.ensure_user("ana").id
    import_labels(service, table([[1]]), user_id=ana, add_categories=True)
    assert [event.user_id for event in service.category_changes.history()] == [ana, ana]


@pytest.mark.parametrize("names", [["Cup"], ["ｃｕｐ"]])
def test_a_category_that_only_looks_alike_stops_the_import(
    service: AnnotationService, names: list[str]
) -> None:
    service.add_categories(["cup"])
    found = LabelTable(FILES[:1], names, np.ones((1, 1), np.int8))
    with pytest.raises(Conflict, match="differs from 'cup' in case or typography only"):
        import_labels(service, found, add_categories=True)


def test_names_that_are_equal_without_spaces_stop_the_import(service: AnnotationService) -> None:
    found = LabelTable(FILES[:1], ["cup", " cup"], np.ones((1, 2), np.int8))
    with pytest.raises(FormatError, match="'cup' is there twice"):
        import_labels(service, found)


# Export


HOSTILE = "<img src=x onerror=alert(1)>"


def fill(service: AnnotationService) -> None:
    """Some of everything: hostile name, person and import, one picture untouched."""
    cup, hostile, _ = service.add_categories(["cup", HOSTILE, "=1+1"])
    ident = {name: image for image, name, _ in service.image_names()}
    mira = service.ensure_user("mira")
    changes = [
        CellChange(ident["street.jpg"], hostile.id, 1),
        CellChange(ident["street.jpg"], cup.id, -1),
    ]
    service.decide(mira.id, changes, key="d")
    import_labels(service, table([[1]]))


@pytest.mark.parametrize("kind", ["coco", "csv"])
def test_what_is_exported_can_be_imported_elsewhere(
    service: AnnotationService, tmp_path: Path, kind: str
) -> None:
    fill(service)
    fresh = service_with(tmp_path / "fresh", list(reversed(FILES)))
    if kind == "coco":
        export_coco(service, tmp_path / "out.json")
        import_labels(fresh, read_coco(tmp_path / "out.json", unlisted="absent"))
    else:
        column = export_csv(service, tmp_path / "out.csv").image_column
        import_labels(fresh, read_csv(tmp_path / "out.csv", image_column=column))
    assert cells(fresh) == cells(service)
    assert [c.name for c in fresh.categories()] == [c.name for c in service.categories()]


def test_the_report_counts_every_state_in_database_and_file(
    service: AnnotationService, tmp_path: Path
) -> None:
    fill(service)
    report = export_coco(service, tmp_path / "out.json")
    assert report.images == 3
    assert [(c.name, c.database, c.file) for c in report.categories] == [
        ("cup", (1, 1, 1), (1, 1, 1)),
        (HOSTILE, (1, 0, 2), (1, 0, 2)),
        ("=1+1", (0, 0, 3), (0, 0, 3)),
    ]


def test_each_annotation_says_where_it_comes_from(
    service: AnnotationService, tmp_path: Path
) -> None:
    fill(service)
    export_coco(service, tmp_path / "out.json")
    annotations = json.loads((tmp_path / "out.json").read_text())["annotations"]
    who = [(a["attributes"]["source"], a["attributes"]["user"]) for a in annotations]
    assert who == [("import", None), ("focus", "mira")]


def test_two_exports_are_the_same_bytes(service: AnnotationService, tmp_path: Path) -> None:
    fill(service)
    for export, name in ((export_coco, "a.json"), (export_csv, "b.csv")):
        export(service, tmp_path / name)
        first = (tmp_path / name).read_bytes()
        export(service, tmp_path / name, overwrite=True)
        assert (tmp_path / name).read_bytes() == first


def test_pictures_of_the_same_name_are_told_apart(tmp_path: Path) -> None:
    def make(folder: str) -> AnnotationService:
        service = AnnotationService.create(Workspace.create(tmp_path / folder))
        service.add_images(
            ScannedImage(f"{number:064x}", Path(f"/{root}/1.jpg"), "1.jpg", 4, 3, 9, "jpeg")
            for number, root in enumerate("ab")
        )
        return service

    def states(service: AnnotationService) -> list[Any]:
        labels = service.labels()
        return labels.states[np.argsort(labels.sha256)].tolist()  # type: ignore[no-any-return]

    service = make("first")
    (cup,) = service.add_categories(["cup"])
    ident = {path: image for image, _, path in service.image_names()}
    service.decide(
        service.ensure_user("mira").id, [CellChange(ident["/b/1.jpg"], cup.id, 1)], key="d"
    )
    export_coco(service, tmp_path / "out.json")
    fresh = make("second")
    import_labels(fresh, read_coco(tmp_path / "out.json", unlisted="unknown"))
    assert states(fresh) == states(service) == [[0], [1]]


def test_a_file_that_is_there_is_replaced_only_when_told(
    service: AnnotationService, tmp_path: Path
) -> None:
    fill(service)
    (tmp_path / "out.csv").write_text("mine")
    with pytest.raises(InvalidInput, match=r"is there already .*--overwrite"):
        export_csv(service, tmp_path / "out.csv")
    assert (tmp_path / "out.csv").read_text() == "mine"


@pytest.mark.parametrize(
    ("out", "message"),
    [("nowhere/out.json", "no such file or directory"), (".", "is a folder, expected the name")],
)
def test_a_place_that_cannot_be_written_is_named(
    service: AnnotationService, tmp_path: Path, out: str, message: str
) -> None:
    with pytest.raises(InvalidInput, match=message):
        export_coco(service, tmp_path / out)


def test_an_export_that_fails_leaves_nothing(service: AnnotationService, tmp_path: Path) -> None:
    fill(service)
    out = tmp_path / "exports"
    out.mkdir()

    def fail(done: int, total: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        export_coco(service, out / "out.json", progress=fail)
    assert list(out.iterdir()) == []


def test_a_workspace_without_categories_exports_its_pictures(
    service: AnnotationService, tmp_path: Path
) -> None:
    assert export_coco(service, tmp_path / "out.json").images == 3
    with pytest.raises(InvalidInput, match="no categories to export"):
        export_csv(service, tmp_path / "out.csv")


# Files


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_common_encodings_are_recognised(tmp_path: Path, encoding: str) -> None:
    (tmp_path / "a.csv").write_text("image;Äpfel\r\na.jpg;1\r\n", encoding=encoding)
    assert read_csv(tmp_path / "a.csv").categories == ["Äpfel"]


def test_other_encodings_are_named(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("image,Äpfel\na.jpg,1\n", encoding="cp1252")
    with pytest.raises(FormatError, match=r"a\.csv: the file is not UTF-8: byte 0xc4"):
        read_csv(tmp_path / "a.csv")
    assert read_csv(tmp_path / "a.csv", encoding="cp1252").categories == ["Äpfel"]
    with pytest.raises(InvalidInput, match="no encoding 'klingon'"):
        read_csv(tmp_path / "a.csv", encoding="klingon")


@pytest.mark.parametrize("name", ["nowhere.json", "."])
def test_a_file_that_cannot_be_read_is_named(tmp_path: Path, name: str) -> None:
    with pytest.raises(InvalidInput, match=r"cannot read .*(no such file|is a directory)"):
        read_coco(tmp_path / name, unlisted="unknown")


def test_progress_reaches_the_size_of_the_file(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("image,cup\n" + "".join(f"{n}.jpg,1\n" for n in range(9999)))
    calls: list[tuple[int, int]] = []
    read_csv(tmp_path / "a.csv", progress=lambda *call: calls.append(call))
    size = (tmp_path / "a.csv").stat().st_size
    assert calls[-1] == (size, size)
    assert 2 < len(calls) < 110


def test_a_category_list_skips_comments_and_empty_lines(tmp_path: Path) -> None:
    (tmp_path / "c.txt").write_text("\ufeff# kinds\ncup\r\n\n  dining table \n")
    assert read_categories(tmp_path / "c.txt") == ["cup", "dining table"]


@pytest.mark.parametrize(("name", "count"), [("coco80.txt", 80), ("voc20.txt", 20)])
def test_the_lists_that_come_along_are_complete(name: str, count: int) -> None:
    assert len(read_categories(SAMPLES.parent / name)) == count


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (b"cup\ncar\nCUP\n", r"c\.txt: line 3: 'CUP' is the category of line 1"),
        (b"# none\n", "names no category"),
        (b"cup\nc\x00ar\n", r"line 2: .*control character U\+0000"),
        (b"\xc4pfel\n", "not UTF-8"),
    ],
)
def test_a_wrong_category_list_names_the_line(tmp_path: Path, text: bytes, message: str) -> None:
    (tmp_path / "c.txt").write_bytes(text)
    with pytest.raises(FormatError, match=message):
        read_categories(tmp_path / "c.txt")
