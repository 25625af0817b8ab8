"""What is said of an import: counts with the right word, and the file it came from."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from label_project import Project

from annotator.exchange import import_labels, read_csv
from annotator.import_preview import ImportPreview
from annotator.types import CellBatch
from annotator.web.data_import import imported_words
from annotator.web.data_words import describe, merge_text, removal_text

ONE = ImportPreview(
    images=1, missing=["a.jpg"], new_categories=["cup"], present=1, absent=0, unknown=0, added=1,
    confirmed=0, different=0,
)  # fmt: skip


def test_one_of_anything_is_singular() -> None:
    assert ONE.text().splitlines() == [
        "1 picture; 1 cell present, 0 absent, 0 unknown.",
        "New in the workspace: 1 cell. Known with the same state: 0. Decided otherwise: 0.",
        "1 new category: cup.",
        "1 picture not in the workspace: a.jpg.",
    ]
    more = replace(ONE, images=2, present=1_000, new_categories=["cup", "dog"])
    assert more.text().startswith("2 pictures; 1,000 cells present")
    assert "2 new categories: cup, dog." in more.text()
    nothing = replace(ONE, missing=[], new_categories=[], added=0, confirmed=1)
    assert not nothing.changes
    assert nothing.text().endswith("Importing it would change nothing.")


def test_an_import_is_named_by_its_file(project: Project, tmp_path: Path) -> None:
    file = tmp_path / "labels <b>.csv"
    file.write_text("image,cup\n1.jpg,1\n2.jpg,0\n")
    done = import_labels(project.service, read_csv(file), file_name=file.name)
    assert done.cells.added == 2
    event = project.service.category_changes.history(1)[0]
    assert describe(event) == "Imported labels <b>.csv: 1 present, 1 absent"


def test_an_import_of_what_is_known_says_that_it_changed_nothing(
    project: Project, tmp_path: Path
) -> None:
    file = tmp_path / "a.csv"
    file.write_text("image,cup\n1.jpg,1\n2.jpg,0\n")
    first = import_labels(project.service, read_csv(file), file_name=file.name)
    assert imported_words("a.csv", first).endswith("It can be taken back under Last changes.")
    again = import_labels(project.service, read_csv(file), file_name=file.name)
    assert imported_words("a.csv", again) == (
        "a.csv changed no cell: 2 known so already, 0 decided otherwise and kept. There is nothing "
        "to take back."
    )
    imports = [e for e in project.service.category_changes.history() if e.kind == "import"]
    assert len(imports) == 1


@pytest.mark.parametrize(("name", "said"), [("", "Imported: "), ("x" * 99, "Imported " + "x" * 59)])
def test_an_import_without_a_name_or_with_a_long_one_is_told_too(
    project: Project, name: str, said: str
) -> None:
    project.service.import_decisions([CellBatch.of([(1, 1, 1)])], file_name=name)
    told = describe(project.service.category_changes.history(1)[0])
    assert told.startswith(said.rstrip(": ") + ("…: 1" if name else " 1"))


def test_a_merge_and_a_removal_are_counted_in_words(project: Project) -> None:
    changes = project.service.category_changes
    project.decide(project.ana, (1, 1, 1), (2, 1, 1), (2, 2, -1), (3, 1, 1), (3, 2, 1))
    assert merge_text(changes.preview_merge(1, 2)) == (
        "1 cell to carry over; 1 known in both and agreeing; 1 contradicting: 1 present here and "
        "absent there, 0 the other way round."
    )
    assert merge_text(changes.preview_merge(3, 4)) == (
        "0 cells to carry over; 0 known in both and agreeing; none contradicting."
    )
    assert removal_text(changes.preview_removal(1)).startswith("3 known cells will be unknown")
