"""What the style sheets say once and for all pages."""

from __future__ import annotations

import re

from annotator.web.app import STATIC


def test_the_look_of_a_key_is_written_once() -> None:
    """Elsewhere a key may be placed or coloured, never drawn again."""
    drawn = {
        sheet.name
        for sheet in (STATIC / "css").glob("*.css")
        for selector, body in re.findall(r"([^{}]+)\{([^{}]*)\}", sheet.read_text("utf-8"))
        if re.search(r"\bkbd\b", selector) and "border-radius" in body
    }
    assert drawn == {"app.css"}


def test_every_rule_is_closed() -> None:
    """A brace that is missing puts all the rules after it into the one before."""
    open_ = {
        sheet.name: sheet.read_text("utf-8").count("{") - sheet.read_text("utf-8").count("}")
        for sheet in (STATIC / "css").glob("*.css")
    }
    assert set(open_.values()) == {0}, open_
