from collections.abc import Mapping

import pytest

from alertbridge.config.document import Document, Place, field_name
from alertbridge.config.parse import parse
from alertbridge.errors import Problem

NOTHING: Mapping[str, str] = {}


def read(text: str, environ: Mapping[str, str] = NOTHING) -> tuple[Document | None, tuple[Problem, ...]]:
    return parse(text.encode(), file="a.yaml", environ=environ, begin="begin here")


def good(text: str, environ: Mapping[str, str] = NOTHING) -> Document:
    document, problems = read(text, environ)
    assert problems == ()
    assert document is not None
    return document


def only_problem(text: str, environ: Mapping[str, str] = NOTHING) -> Problem:
    _, problems = read(text, environ)
    (problem,) = problems
    return problem


@pytest.mark.parametrize(
    ("written", "read_as"),
    [
        ("no", "no"),
        ("on", "on"),
        ("yes", "yes"),
        ("Off", "Off"),
        ("true", True),
        ("False", False),
        ("12", 12),
        ("-12", -12),
        ("010", 10),
        ("0x1F", 31),
        ("0o17", 15),
        ("1:30", "1:30"),
        ("2024-08-01", "2024-08-01"),
        ("1_000", "1_000"),
        ("1.5", 1.5),
        ("6e2", 600.0),
        (".5", 0.5),
        ("1.2.3", "1.2.3"),
        ("null", None),
        ("~", None),
        ("", None),
        ("'12'", "12"),
        ('"true"', "true"),
        ("!!str 12", "12"),
        ("!!int '12'", 12),
        ("10m", "10m"),
        ("=", "="),
        (".inf", float("inf")),
    ],
)
def test_scalars_are_those_of_yaml_1_2(written: str, read_as: object) -> None:
    value = good(f"a: {written}\n").data["a"]
    assert value == read_as
    assert type(value) is type(read_as)


def test_keys_are_text_as_they_are_written() -> None:
    assert good("1: a\ntrue: b\n0x10: c\nnull: d\n").data == {"1": "a", "true": "b", "0x10": "c", "null": "d"}


def test_an_alias_stands_for_its_anchor() -> None:
    assert good("a: &x [1, 2]\nb: *x\n").data == {"a": [1, 2], "b": [1, 2]}


def test_every_value_and_key_has_its_place() -> None:
    document = good(
        'server:\n  listen: "x"\nrules:\n  - name: a\n    when:\n      - b = c\n      - >-\n        d = e\n'
    )
    assert document.place(("server", "listen")) == (2, 12)  # inside the quotes
    assert document.place(("server", "listen"), key=True) == (2, 3)
    assert document.place(("server", "listen"), offset=3) == (2, 15)
    assert document.place(("server",)) == (1, 1)
    assert document.place(("rules", 0)) == (4, 5)
    assert document.place(("rules", 0, "when", 0), offset=2) == (6, 11)
    assert document.place(("rules", 0, "when", 1), offset=2) == (7, 9)  # a folded text: where it begins


def test_what_is_not_in_the_file_lies_at_its_deepest_ancestor() -> None:
    document = good("destinations:\n  hivel:\n    type: hivel\n")
    assert document.place(("destinations", "hivel", "token")) == Place(2, 3)
    assert document.place(("log", "level")) == Place(1, 1)


def test_a_number_keeps_its_spelling() -> None:
    document = good("a: 1.10\nb: '1.10'\n")
    assert document.spelling(("a",)) == "1.10"
    assert document.spelling(("b",)) is None


@pytest.mark.parametrize(
    ("path", "name"),
    [
        (("sources", "prod", "auth"), "sources.prod.auth"),
        (("rules", 2, "when", 0, "any", 1), "rules[2].when[0].any[1]"),
        (("severities", "a b"), 'severities["a b"]'),
        ((), ""),
    ],
)
def test_a_path_is_named_as_operators_write_it(path: tuple[str | int, ...], name: str) -> None:
    assert field_name(path) == name


@pytest.mark.parametrize(
    ("text", "line", "column", "problem", "remedy"),
    [
        ("", 0, 0, "empty", "begin here"),
        ("# only a comment\n", 0, 0, "empty", "begin here"),
        ("- a\n", 1, 1, "expected a mapping at the top, got a list", "begin here"),
        ("just text\n", 1, 1, "got text", "begin here"),
        ("a: 1\na: 2\n", 2, 1, "already on line 1", "keep one"),
        ("a:\n\tb: 1\n", 2, 1, "tab", "spaces"),
        ("a: b: c\n", 1, 5, "where none may stand", "quotes"),
        ("a: [1, 2\nb: 3\n", 1, 4, "never closed", "]"),
        ("a: {b: 1\nc: 3\n", 1, 4, "never closed", "}"),
        ('a: "text\n', 1, 4, "quote is never closed", "close it"),
        ("a: 'x' y\n", 1, 8, "does not belong", "indent"),
        ("a:\n  - b\n c: d\n", 3, 2, "does not belong", "indent"),
        ("a: 1\nb\nc: 2\n", 2, 1, "no colon", "key: value"),
        ('a: "\\d+"\n', 1, 6, "backslash", "single quotes"),
        ("a: @home\n", 1, 4, "may not begin", "quotes"),
        ("a: *home\n", 1, 4, "alias", "quotes"),
        ("a: !home x\n", 1, 4, "tag", "quotes"),
        ("a: !!int x\n", 1, 4, "tag", "remove it"),
        ("a: 1\n---\nb: 2\n", 2, 1, "more than one YAML document", "---"),
        ("a: {{ labels.team }}\n", 1, 5, "template stands without quotes", "quotes"),
        ("a:\n  - {{ labels.team }} x\n", 2, 5, "template stands without quotes", "quotes"),
        ("a: {b: ${TEAM}}\n", 1, 8, "needs quotes", "${...}"),
        ("a: [b, 'c', d${TEAM}]\n", 1, 14, "needs quotes", "${...}"),
        ("? [a]\n: b\n", 1, 3, "a key must be text", "name before the colon"),
        ("a: &x {b: 1}\nc:\n  <<: *x\n", 3, 3, "merge keys", "write the keys out"),
        ("'': a\n", 1, 1, "key is empty", "name before the colon"),
        ("a: \x07\n", 1, 4, "U+0007", "remove it"),
        ("a: &x [*x]\n", 1, 4, "levels deep", "aliases"),
    ],
)
def test_a_file_that_is_no_good_yaml_says_where_and_what_to_do(
    text: str, line: int, column: int, problem: str, remedy: str
) -> None:
    found = only_problem(text)
    assert (found.line, found.column) == (line, column)
    assert problem in found.problem
    assert remedy in found.remedy


def test_aliases_cannot_blow_up() -> None:
    levels = "".join(f"l{n + 1}: &l{n + 1} [{', '.join([f'*l{n}'] * 10)}]\n" for n in range(10))
    assert "more than 200000 values" in only_problem(f"l0: &l0 [x]\n{levels}").problem


def test_a_thousand_brackets_are_refused() -> None:
    assert "deep" in only_problem("a: " + "[" * 5000).problem


def test_a_file_in_another_encoding_is_refused() -> None:
    _, (problem,) = parse(b"a: 1\nb: \xff\n", file="a.yaml", environ={}, begin="")
    assert (problem.line, problem.problem) == (2, "the file is not UTF-8")


def test_a_file_that_is_too_large_is_refused() -> None:
    _, (problem,) = parse(b"#" * (8 * 2**20 + 1), file="a.yaml", environ={}, begin="")
    assert problem.problem == "the file is larger than 8 MiB"


def test_a_byte_order_mark_is_no_part_of_the_first_key() -> None:
    document, _ = parse(b"\xef\xbb\xbfa: 1\r\nb: 2\r\n", file="a.yaml", environ={}, begin="")
    assert document is not None
    assert document.data == {"a": 1, "b": 2}


@pytest.mark.parametrize(
    ("written", "read_as"),
    [
        ("${TEAM}", "payments"),
        ("a-${TEAM}-${TEAM}", "a-payments-payments"),
        ("${TEAM:-none}", "payments"),
        ("${ABSENT:-none}", "none"),
        ("${EMPTY:-none}", "none"),
        ("${EMPTY}", ""),
        ("${ABSENT:-}", ""),
        ("$${TEAM}", "${TEAM}"),
        ("$TEAM $1 a$", "$TEAM $1 a$"),
        ("'${NUMBER}'", "12"),
        ("${NUMBER}", "12"),
        ("'{{ labels.team }}'", "{{ labels.team }}"),
    ],
)
def test_names_are_replaced_from_the_environment(written: str, read_as: str) -> None:
    environ = {"TEAM": "payments", "EMPTY": "", "NUMBER": "12"}
    assert good(f"a: {written}\n", environ).data == {"a": read_as}


def test_the_environment_is_not_looked_into_twice() -> None:
    assert good("a: ${A}\n", {"A": "${B}", "B": "c"}).data == {"a": "${B}"}


@pytest.mark.parametrize(
    ("written", "column", "problem", "remedy"),
    [
        ("x${ABSENT}", 5, "ABSENT is not set", "${ABSENT:-default}"),
        ("'x ${1}'", 7, "begins no environment variable", "$${"),
        ("${A-b}", 4, "begins no environment variable", "${NAME:-default}"),
        ("'${'", 5, "begins no environment variable", "$${"),
    ],
)
def test_a_name_that_cannot_be_replaced_is_a_mistake(
    written: str, column: int, problem: str, remedy: str
) -> None:
    found = only_problem(f"a: {written}\n")
    assert (found.line, found.column, found.field) == (1, column, "a")
    assert problem in found.problem
    assert remedy in found.remedy


@pytest.mark.parametrize(
    "text",
    [
        "a: *canary-secret\n",
        "a: !canary-secret x\n",
        "a: canary-secret: x\n",
        "a: 'canary-secret' x\n",
        'a: "canary-secret\n',
        'a: "canary-secret\\d"\n',
        "a: @canary-secret\n",
        "a: %canary-secret\n",
        "a: !canary!secret x\n",
        "a: ${canary-secret}\n",
        "a: &canary-secret\nb: &canary-secret\n",
        "a: {canary-secret\n",
        "a: |canary-secret\n",
        "a: [canary-secret\n",
    ],
)
def test_no_message_quotes_the_file(text: str) -> None:
    _, problems = read(text)
    assert all("canary" not in str(problem) for problem in problems)
