"""Tables of the pages."""

from __future__ import annotations

from annotator.web.tables import table


def test_a_table_shows_text_and_cannot_be_edited() -> None:
    made = table(["Name", "Cells"], "People", widths=["70%", "30%"]).get_config()
    assert made["datatype"] == "str"  # never Markdown or HTML: cells repeat what people typed
    assert made["interactive"] is False
    assert made["buttons"] == []
    assert made["headers"] == ["Name", "Cells"]
    assert (made["label"], made["show_label"]) == ("People", False)
    assert made["column_widths"] == ["70%", "30%"]


def test_a_table_is_as_tall_as_its_page_wants() -> None:
    low, tall = table(["A"], "a"), table(["A"], "a", height=380, wrap=True)
    assert (low.max_height, low.wrap) == (300, False)
    assert (tall.max_height, tall.wrap) == (380, True)
