"""Names that people give."""

from __future__ import annotations

import pytest

from annotator.errors import InvalidInput
from annotator.names import clean_name


@pytest.mark.parametrize("name", ["", "  ", "\u200b", "\u200e \u200f", "\ufeff"])
def test_a_name_that_nobody_can_see_is_refused(name: str) -> None:
    with pytest.raises(InvalidInput, match="must not be empty"):
        clean_name(name, "category")


def test_invisible_letters_around_a_name_are_dropped() -> None:
    assert clean_name("\ufeff cup\u200b ", "category") == "cup"


def test_letters_that_join_emoji_stay() -> None:
    family = "\N{MAN}\u200d\N{WOMAN}"
    assert clean_name(family, "category") == family


def test_a_mark_that_turns_text_around_is_named() -> None:
    with pytest.raises(InvalidInput, match=r"U\+202E"):
        clean_name("cup\u202e", "category")
