"""Counts and shares in words."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from annotator.wording import at_least, at_most, counted, moment, per_cent


@pytest.mark.parametrize(
    ("number", "said"), [(0, "0 cells"), (1, "1 cell"), (2, "2 cells"), (1_420, "1,420 cells")]
)
def test_one_is_singular_and_anything_else_is_not(number: int, said: str) -> None:
    assert counted(number, "cell") == said


def test_a_plural_that_is_not_regular_is_given() -> None:
    assert counted(1, "category", "categories") == "1 category"
    assert counted(80, "category", "categories") == "80 categories"


@pytest.mark.parametrize(
    ("share", "digits", "said"),
    [
        (0.0, 1, "0 %"), (0.02, 1, "2 %"), (0.246, 1, "24.6 %"), (1.0, 1, "100 %"),
        (0.00001, 1, "less than 0.1 %"), (0.99999, 1, "more than 99.9 %"),
        (0.0125, 2, "1.25 %"), (0.95, 0, "95 %"), (0.999, 0, "more than 99 %"), (0.1, 0, "10 %"),
    ],
)  # fmt: skip
def test_shares_in_per_cent(share: float, digits: int, said: str) -> None:
    assert per_cent(share, digits) == said


@given(st.floats(0, 1), st.integers(0, 3))
def test_only_nothing_is_0_and_only_all_is_100(share: float, digits: int) -> None:
    said = per_cent(share, digits)
    assert (said == "0 %") == (share == 0)
    assert (said == "100 %") == (share == 1)


@pytest.mark.parametrize(
    ("share", "most", "least"),
    [
        (0.02, "2 %", "2 %"),
        (0.07, "7 %", "7 %"),
        (0.01231, "1.24 %", "1.23 %"),
        (0.0, "0 %", "0 %"),
    ],
)
def test_bounds_are_rounded_to_the_safe_side(share: float, most: str, least: str) -> None:
    assert at_most(share) == most
    assert at_least(share) == least


def test_a_moment_is_told_in_the_zone_asked_for() -> None:
    at = datetime(2026, 11, 3, 23, 5, tzinfo=UTC)
    assert moment(at, timezone(timedelta(hours=1))) == "4 Nov 2026, 00:05"
