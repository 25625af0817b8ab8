"""Which keys a person may choose."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from annotator.errors import InvalidInput
from annotator.key_settings import DEFAULT_KEYS, clean_keys, effective_keys


def test_the_defaults_are_a_valid_choice_and_nothing_of_them_is_kept() -> None:
    assert clean_keys(DEFAULT_KEYS) == {}


def test_letters_are_kept_small() -> None:
    assert clean_keys({"why": ["W"]}) == {"why": ["w"]}


def test_no_two_actions_share_a_key() -> None:
    with pytest.raises(InvalidInput, match="would mean both why and zoom"):
        clean_keys({"zoom": ["e"]})


def test_a_key_moves_when_its_former_action_gets_another() -> None:
    keys = effective_keys({"keys": clean_keys({"zoom": ["e"], "why": ["z"]})})
    assert (keys["zoom"], keys["why"]) == (("e",), ("z",))


@pytest.mark.parametrize("name", ["Tab", "Escape", "F5", "Control", "Dead", "", "ab", " ", "\x07"])
def test_keys_of_the_browser_are_refused(name: str) -> None:
    with pytest.raises(InvalidInput, match="belongs to the browser"):
        clean_keys({"why": [name]})


def test_an_action_may_have_no_key_but_the_help() -> None:
    assert clean_keys({"more": []}) == {"more": []}
    with pytest.raises(InvalidInput, match="list of keys"):
        clean_keys({"help": []})


def test_an_unknown_action_is_refused() -> None:
    with pytest.raises(InvalidInput, match="no action"):
        clean_keys({"<b>": ["x"]})


def test_a_choice_outlives_a_new_action_that_would_like_the_same_key() -> None:
    # As if "a" had been given to "why" before there was an action with "a".
    keys = effective_keys({"keys": {"why": ["a"]}})
    assert keys["why"] == ("a",)
    assert keys["attention"] == ()


@given(
    st.dictionaries(
        st.sampled_from(sorted(DEFAULT_KEYS)),
        st.lists(st.sampled_from(["a", "e", "q", "1", "Enter", "Home", "?"]), max_size=2),
        max_size=4,
    )
)
def test_what_is_accepted_is_in_force_and_without_conflict(wanted: dict[str, list[str]]) -> None:
    try:
        cleaned = clean_keys(wanted)
    except InvalidInput:
        return
    keys = effective_keys({"keys": cleaned})
    used = [name for names in keys.values() for name in names]
    assert len(used) == len(set(used))
    for action, names in wanted.items():
        assert keys[action] == tuple(dict.fromkeys(names))
