from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from alertbridge.errors import PatternError
from alertbridge.rules.pattern import MAX_LENGTH, Pattern


@pytest.mark.parametrize(
    ("text", "value", "matches"),
    [
        ("critical|page", "page", True),
        ("critical|page", "pager", False),
        ("critical|page", "", False),
        ("", "", True),
        ("", "x", False),
        ("a|", "", True),
        (".*", "", True),
        (".*", "anything at all", True),
        (".*", "two\nlines", False),
        ("(?s).*", "two\nlines", True),
        ("web", "my web", False),
        ("web", "web\n", False),
        ("web.*", "web-1", True),
        ("a|ab", "ab", True),
        ("(web|db)-[0-9]+", "db-12", True),
        ("(web|db)-[0-9]+", "db-", False),
        ("(?i)PAGE", "page", True),
        (r"host\.example", "host.example", True),
        (r"host\.example", "hostxexample", False),
        (r"a\|b|c", "a|b", True),
        (r"/srv/\pL+", "/srv/ünï", True),
        ("^web$", "web", True),
    ],
)
def test_a_pattern_matches_the_whole_value(text: str, value: str, *, matches: bool) -> None:
    assert Pattern.compile(text).matches(value) is matches


def test_a_choice_between_fixed_texts_is_looked_up_in_a_set() -> None:
    assert Pattern.compile(r"page|web\.example|").literals == frozenset(["page", "web.example", ""])
    assert Pattern.compile("page|crit.*").literals is None


@given(st.lists(st.text("ab.\\|*-_ü", max_size=4), min_size=1, max_size=4), st.text("ab.\\|*-_ü", max_size=4))
def test_an_escaped_text_matches_itself_alone(texts: list[str], value: str) -> None:
    special = "\\.+*?()|[]{}^$"
    escaped = ["".join(f"\\{char}" if char in special else char for char in text) for text in texts]
    pattern = Pattern.compile("|".join(escaped))
    assert pattern.matches(value) is (value in texts)
    assert Pattern.compile(f"(?:{'|'.join(escaped)})").matches(value) is (value in texts)


def test_a_value_that_is_not_valid_unicode_is_an_ordinary_mismatch() -> None:
    assert not Pattern.compile("[a-z]+").matches("\ud800")


@pytest.mark.parametrize(
    ("text", "says", "remedy", "offset"),
    [
        ("web(?!-1).*", "look-around is not supported", "add a second matcher", 3),
        ("(?<=a)b", "look-around is not supported", "!~", 0),
        (r"(a)b\1", "backreferences are not supported", "write out", 4),
        ("a++", "possessive", "linear time", 1),
        ("(?>a)", "atomic", "plain group", 0),
        (r"web\Z", r"\Z is not supported", "anchored", 3),
        ("((a{1,100}){1,100}){1,100}", "too large", "1,000", 3),
        ("a{1001}", "too large", "1,000", 1),
        ("*", "nothing to repeat", ".*", 0),
        ("(web", "parentheses do not match", "close every group", 0),
        ("web)|(db", "parentheses do not match", "close every group", 0),
        ("x[z-a]", "invalid character class range", "RE2", 2),
        ("a" * (MAX_LENGTH + 1), "1001 characters", "several matchers", MAX_LENGTH),
        ("[\ud800]", "not valid Unicode", "", 1),
    ],
)
def test_what_re2_does_not_take_is_refused_with_a_remedy(
    text: str, says: str, remedy: str, offset: int
) -> None:
    with pytest.raises(PatternError) as refused:
        Pattern.compile(text)
    assert says in refused.value.problem
    assert remedy in refused.value.remedy
    assert refused.value.offset == offset


@pytest.mark.parametrize(
    ("text", "simpler"),
    [
        ("(a+)+", "write a+"),
        ("(a*)*", "write a*"),
        ("(a+)*", "write a*"),
        ("(.*)+", "write .*"),
        ("(a+){2,}", "write a+"),
        ("x(?:([a-z]+))+", "write [a-z]+"),
        ("(a|a)*", "one way only"),
        ("(a|ab|b)*", "one way only"),
        ("(x+x+)+y", "one way only"),
        ("(a?b?)*", "one way only"),
        ("(a{1,5})*", "one way only"),
        (r"(\w+\s?)*", "one way only"),
        (r"(.|\s)*", "one way only"),
        ("(foo.*)+", "one way only"),
        ("(?i)(a|A)*", "one way only"),
        ("((?i:a)|A)*", "one way only"),
        (r"([[:alpha:]]|\pL)+", "one way only"),
        (r"(\x61|a)*", "one way only"),
        ("((a||)b)*", "one way only"),
        ("([]a]|a)*", "one way only"),
    ],
)
def test_a_catastrophic_pattern_is_refused(text: str, simpler: str) -> None:
    with pytest.raises(PatternError, match="catastrophic pattern") as refused:
        Pattern.compile(text)
    assert simpler in refused.value.remedy
    assert text[refused.value.offset] in "(x["


def test_the_refusal_of_a_catastrophic_pattern_shows_the_repeat_that_is_at_fault() -> None:
    with pytest.raises(PatternError) as refused:
        Pattern.compile("web-(db|(b+)+)*")
    assert refused.value.problem.startswith("catastrophic pattern: (b+)+ can match")
    assert refused.value.offset == len("web-(db|")


@pytest.mark.parametrize(
    "text",
    [
        "(foo|bar)+",
        "(foo|foobar)+",
        "([a-z]+-)*[a-z]+",
        "([a-z]+(-[a-z]+)*,)+",
        r"(\d{1,3}\.){3}\d{1,3}",
        r"([a-z0-9]{1,63}\.)*[a-z]{1,63}",
        r"([a-z0-9]+(-[a-z0-9]+)*\.)+[a-z]{2,}",
        "(a+){2,5}",
        "(a|A)*",
        "(?i)((?-i:a)|(?-i:A))*",
        "((?i)a)(a|A)*",
        r"(.|\n)*",
        "((((a))))*?",
        "(a?)*",
        "()*",
        "(^|b)*",
        "(?P<name>a|b)+",
        r"(\Qa+\E)*",
        "(" * 200 + "a" + ")" * 200 + "+",
        "(" + "|".join(f"web-{number:03d}" for number in range(120)) + ")+",
        "a{,3}(b)*",
    ],
)
def test_an_ordinary_pattern_is_accepted(text: str) -> None:
    Pattern.compile(text)


def _is_code(words: list[str]) -> bool:
    """Whether every row of the words can be cut into them in one way only (Sardinas and Patterson, 1953)."""

    def rests(shorter: set[str], longer: set[str]) -> set[str]:
        return {long[len(short) :] for short in shorter for long in longer if long.startswith(short)}

    code = set(words)
    dangling = rests(code, code) - {""}
    seen: set[str] = set()
    while dangling - seen:
        seen |= dangling
        dangling = rests(code, dangling) | rests(dangling, code)
    return len(code) == len(words) and "" not in seen


@given(st.lists(st.text("ab", min_size=1, max_size=4), min_size=1, max_size=5))
def test_a_repeated_choice_is_refused_exactly_when_some_text_can_be_read_twice(words: list[str]) -> None:
    try:
        Pattern.compile(f"(?:{'|'.join(words)})*c")
    except PatternError:
        assert not _is_code(words)
    else:
        assert _is_code(words)
