from __future__ import annotations

import re
from types import MappingProxyType

import pytest
from hypothesis import given
from hypothesis import strategies as st

from alertbridge.destinations.limits import clean, cut, identifier, plain
from alertbridge.model import JSON

ANY_TEXT = st.text(st.characters())  # lone surrogates and NUL included
URL = "https://runbooks.example/down?x=1#y"


@pytest.mark.parametrize(
    ("text", "limit", "expected"),
    [
        ("", 5, ""),
        ("short", 5, "short"),
        ("longer", 5, "long…"),
        ("日本語の障害", 5, "日本語の…"),
        # Inside a URL: back to before it.
        (f"see {URL}", 20, "see …"),
        (f"see {URL} and more", 4 + len(URL), "see …"),
        (f"see {URL} and more", 4 + len(URL) + 1, "see …"),
        # Whole, with the mark apart.
        (f"see {URL} and more", 4 + len(URL) + 2, f"see {URL} …"),
        # Inside the scheme.
        ("see https://a.example", 9, "see …"),
        ("see HTTPS://a.example", 9, "see …"),
        # Nothing but a URL that does not fit.
        (URL, 10, ""),
        (f"  {URL}", 10, ""),
        # A URL further on does not matter.
        (f"word word word {URL}", 10, "word word…"),
    ],
)
def test_a_text_is_cut_to_its_limit_and_a_url_never_is(text: str, limit: int, expected: str) -> None:
    assert cut(text, limit) == expected


@given(
    st.lists(st.one_of(st.just(URL), st.just("http://b.example/ü"), st.text("ab ( ", max_size=6))).map(
        " ".join
    ),
    st.integers(1, 120),
)
def test_whatever_is_cut_fits_and_holds_only_whole_urls(text: str, limit: int) -> None:
    result = cut(text, limit)
    assert len(result) <= limit
    assert result in (text, "") or result.endswith("…")
    for url in re.findall(r"https?:\S*", result):
        assert url in (URL, "http://b.example/ü")


@given(ANY_TEXT)
def test_clean_text_can_be_encoded_and_holds_no_nul(text: str) -> None:
    cleaned = clean(text)
    cleaned.encode()
    assert "\0" not in cleaned
    assert clean(cleaned) == cleaned


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (None, ""),
        ("  text\n", "text"),
        ("a\0b\ud800", "ab?"),
        (True, "true"),
        (7, "7"),
        (1.5, "1.5"),
        (["a", 1], '["a", 1]'),
        ({"ü": "b"}, '{"ü": "b"}'),
        (MappingProxyType({"a": 1}), '{"a": 1}'),
    ],
)
def test_any_value_has_a_plain_text(value: JSON, expected: str) -> None:
    assert plain(value) == expected


def test_an_identifier_that_fits_is_itself() -> None:
    assert identifier(" eu/Down ", 255) == " eu/Down "
    assert identifier("k" * 255, 255) == "k" * 255


def test_an_identifier_that_had_to_be_cleaned_is_not_taken_for_another() -> None:
    assert identifier("eu/Down\0", 255).startswith("eu/Down-")
    assert identifier("eu/Down\ud800", 255) != identifier("eu/Down\ud801", 255)


def test_an_identifier_that_is_too_long_keeps_its_beginning_and_becomes_a_hash() -> None:
    short = identifier("k" * 256, 255)
    assert len(short) == 255
    assert short.startswith("k" * 190 + "-")
    assert short == identifier("k" * 256, 255)


@given(ANY_TEXT.map(lambda text: text * 40), ANY_TEXT.map(lambda text: text * 40))
def test_two_identifiers_that_differ_still_do_when_shortened(one: str, other: str) -> None:
    assert (identifier(one, 100) == identifier(other, 100)) == (one == other)
    assert len(identifier(one, 100)) <= 100
    identifier(one, 100).encode()
