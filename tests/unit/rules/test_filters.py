from __future__ import annotations

import json
import time
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from alertbridge.errors import RenderingFailed, TemplateError
from alertbridge.model import Severity, instant
from alertbridge.rules.filters import allowed_filters
from alertbridge.rules.moments import WALL_TIME
from alertbridge.rules.sandbox import Sandbox
from alertbridge.rules.severity import SeverityWords
from alertbridge.rules.template import CONTENT_NAMES, Template, Vocabulary
from docs.filter_examples import EXAMPLES, SEVERITIES, Example

WORDS = SeverityWords({word: Severity[level.upper()] for word, level in SEVERITIES.items()})


def compiled(text: str) -> Template:
    return Template.compile(text, names=CONTENT_NAMES, vocabulary=Vocabulary(severities=WORDS))


def rendered(text: str, **names: str) -> str:
    """The template for an alert with these annotations, or with `starts_at` and `ends_at`."""
    return compiled(text).render({"annotations": names, "labels": names, **names})


@pytest.mark.parametrize(
    "example", [pytest.param(each, id=each.template) for several in EXAMPLES.values() for each in several]
)
def test_the_examples_in_the_reference_are_true(example: Example) -> None:
    context: dict[str, Any] = {"labels": {}, "annotations": {}}
    for name, value in example.alert.items():
        mapping, _, key = name.rpartition(".")
        (context[mapping] if mapping else context)[key] = value

    assert compiled(example.template).render(context) == example.result


def test_every_filter_of_this_product_has_an_example_and_uses_it() -> None:
    known = allowed_filters(Sandbox())

    for name, examples in EXAMPLES.items():
        assert name in known
        assert all(f"| {name}" in each.template for each in examples)
    assert set(EXAMPLES) == {
        "duration", "json", "localtime", "regex_replace", "severity", "slug", "truncate",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("word", "call", "result"),
    [
        ("page", "severity", "critical"),
        (" WARN ", "severity", "moderate"),
        ("high", "severity('low')", "high"),
        ("", "severity('page')", "critical"),
        ("odd", "severity(fallback='info')", "informational"),
        ("odd", "severity(labels.other)", "moderate"),
    ],
)
def test_a_word_becomes_one_of_the_five_severities(word: str, call: str, result: str) -> None:
    assert rendered(f"{{{{ labels.word | {call} }}}}", word=word, other="ticket") == result


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("{{ 'odd' | severity }}", '"odd" is no known severity; explain it under `severities:`'),
        ("{{ labels.none | severity }}", "there is no severity; "),
        ("{{ 'odd' | severity(labels.x) }}", '"odd" is no known severity'),
        ("{{ 'soon' | duration }}", '"soon" is no number of seconds'),
        ("{{ 'nan' | duration }}", '"nan" is no number of seconds'),
        ("{{ '1e300' | duration }}", "is no number of seconds"),
        ("{{ 1 | duration(style='long') }}", "words or go"),
        ("{{ 5 | duration('x') }}", '"x" is no instant'),
        ("{{ '2024-08-01T12:34:56' | localtime('UTC') }}", "is no instant"),
        ("{{ 'noon' | localtime('UTC') }}", '"noon" is no instant'),
        ("{{ '2024-13-01T12:34:56Z' | localtime('UTC') }}", "is no instant"),
        ("{{ annotations | json(1) }}", "takes 1 positional argument"),
        ("{{ ['a'] | map('regex_replace', 'a', 'b') | list }}", "'regex_replace' can be applied by another"),
        ("{{ ['a'] | map('localtime', 'UTC') | list }}", "'localtime' can be applied by another"),
        ("{{ ['a'] | map('the steps of a loop', 1) | list }}", "can be applied by another"),
        ("{{ ['a'] | map('a template by its name') | list }}", "can be applied by another"),
    ],
)
def test_a_filter_that_cannot_do_it_fails_the_field_with_a_reason(text: str, reason: str) -> None:
    with pytest.raises(RenderingFailed) as failed:
        rendered(text)
    assert reason in str(failed.value)


@pytest.mark.parametrize(
    ("call", "problem", "remedy"),
    [
        ("regex_replace('(a+)+', 'b')", "catastrophic pattern", "write a+"),
        ("regex_replace('(a', 'b')", "the parentheses do not match", "close every group"),
        ("regex_replace('a(?=b)', 'b')", "look-around is not supported", "put it back by $1"),
        ("regex_replace('a\\\\Z', 'b')", "\\Z is not supported", "write \\z"),
        ("regex_replace('" + "a" * 1001 + "', 'b')", "1001 characters", "several steps"),
        (
            "regex_replace(labels.x, 'b')",
            "the pattern of regex_replace must stand there",
            "('pattern', 'repl",
        ),
        ("regex_replace('a', labels.x)", "the replacement of regex_replace must", "('pattern', 'repl"),
        ("regex_replace('a' ~ 'b', 'c')", "must stand there as a text in quotes", "('pattern', 'repl"),
        ("regex_replace('a')", "regex_replace takes pattern and replacement", "('pattern', 'repl"),
        ("regex_replace('a', 'b', 'c')", "regex_replace takes", "('pattern', 'repl"),
        ("regex_replace('a', 'b', count=1)", "regex_replace takes", "('pattern', 'repl"),
        ("regex_replace('a', '$1')", "there is no group $1: the pattern has 0 groups", "put ( ) around it"),
        ("regex_replace('(a)', '$x')", "a lone $", "$$ for a dollar sign"),
        ("regex_replace('(a)', '\\1')", "became a control character", "write $1"),
        ("regex_replace('\\bfoo', '')", "became a control character", "write \\\\b"),
        ("localtime('Europe/Berln')", "no such time zone", "did you mean Europe/Berlin?"),
        ("localtime('berlin')", "no such time zone", "did you mean Europe/Berlin?"),
        ("localtime('../../etc/passwd')", "no such time zone", "UTC"),
        ("localtime('/etc/localtime')", "no such time zone", ""),
        ("localtime('')", "no such time zone", "UTC"),
        ("localtime(labels.zone)", "the timezone of localtime must stand there", "localtime('timezone')"),
        ("localtime('UTC', labels.x)", "the format of localtime must stand there", "localtime('timezone')"),
        ("localtime()", "localtime takes timezone and format", "localtime('timezone')"),
        ("localtime('UTC', '%Q')", "%Q is not available", "there are %%"),
        ("localtime('UTC', '%99999d')", "%9 is not available", "there are %%"),
        ("localtime('UTC', '100%')", "% is not available", "there are %%"),
        ("severity('hgih')", "the fallback is no known severity", "did you mean high?"),
        ("severity(fallback='nothing')", "the fallback is no known severity", "write one of critical"),
    ],
)
def test_a_mistake_in_the_arguments_is_refused_when_the_rules_are_loaded(
    call: str, problem: str, remedy: str
) -> None:
    with pytest.raises(TemplateError) as refused:
        compiled(f"{{{{ labels.x | {call} }}}}")
    assert problem in refused.value.problem
    assert remedy in refused.value.remedy


@pytest.mark.parametrize(
    ("value", "pattern", "replacement", "result"),
    [
        ("a1b22", r"\\d+", "#", "a#b#"),
        ("a1b22", r"\d+", "<$0>", "a<1>b<22>"),
        ("ünïcode", "ï", "$$i", "ün$icode"),
        ("ab", "(a)(x)?(b)", "$3$2$10", "ba0"),
        ("abc", "", "-", "-a-b-c-"),
        ("a.b.c", "[.]", "", "abc"),
        ("lone \ud800 half", "half", "x", "lone ? x"),
        ("", "a", "b", ""),
        ("aXbX", "(?i)x", "y", "ayby"),
    ],
)
def test_every_match_is_replaced(value: str, pattern: str, replacement: str, result: str) -> None:
    assert rendered(f"{{{{ labels.x | regex_replace('{pattern}', '{replacement}') }}}}", x=value) == result


@pytest.mark.parametrize(
    ("value", "words", "go"),
    [
        ("0", "0s", "0s"),
        ("59.9", "59s", "59.9s"),
        ("60", "1m", "1m0s"),
        ("3661", "1h 1m 1s", "1h1m1s"),
        ("90000", "1d 1h", "25h0m0s"),
        ("1.5e+02", "2m 30s", "2m30s"),
        ("0.25", "250ms", "250ms"),
        ("0.0015", "1ms", "1.5ms"),
        ("-300", "-5m", "-5m0s"),
        ("1.5h", "1h 30m", "1h30m0s"),
        ("-1m30s", "-1m 30s", "-1m30s"),
        ("2w", "14d", "336h0m0s"),
        ("7µs", "7µs", "7µs"),
        ("", "", ""),
    ],
)
def test_a_span_is_said_in_both_styles(value: str, words: str, go: str) -> None:
    assert rendered("{{ labels.x | duration }}", x=value) == words
    assert rendered("{{ labels.x | duration(style='go') }}", x=value) == go


def test_what_has_no_end_yet_has_no_duration_and_no_time() -> None:
    firing = {"starts_at": "2024-08-01T12:34:56Z", "ends_at": ""}

    assert rendered("{{ starts_at | duration(ends_at) }}|{{ ends_at | localtime('UTC') }}|", **firing) == "||"


def test_an_end_before_its_start_is_said_as_it_is() -> None:
    turned = {"starts_at": "2024-08-01T12:34:56Z", "ends_at": "2024-08-01T12:30:56+00:00"}

    assert rendered("{{ starts_at | duration(ends_at) }}", **turned) == "-4m"


@given(st.datetimes(timezones=st.timezones(), min_value=datetime(1902, 1, 1), max_value=datetime(2199, 1, 1)))  # noqa: DTZ001 - hypothesis adds the zone
def test_the_local_time_is_that_of_the_zone(moment: datetime) -> None:
    template = compiled("{{ starts_at | localtime('Asia/Kathmandu') }}")
    told = template.render({"starts_at": instant(moment)})

    assert told == moment.astimezone(ZoneInfo("Asia/Kathmandu")).strftime(WALL_TIME)


@given(
    text=st.text(),
    length=st.integers(0, 40),
    killwords=st.booleans(),
    end=st.sampled_from(["...", "…", "", " [cut]"]),
)
def test_a_text_cut_short_is_never_longer_than_asked_and_keeps_its_beginning(
    *, text: str, length: int, killwords: bool, end: str
) -> None:
    call = f"truncate({length}, {str(killwords).lower()}, '{end}')"
    context = {"labels": {"x": text}}
    cut = compiled(f"[{{{{ labels.x | {call} }}}}]").render(context)[1:-1]

    assert len(cut) <= length
    assert text.startswith((cut.removesuffix(end), cut))
    assert (cut == text) is (len(text) <= length)


@given(st.text())
def test_a_slug_holds_small_letters_digits_and_single_hyphens(text: str) -> None:
    made = rendered("{{ labels.x | slug }}", x=text)

    assert all("a" <= sign <= "z" or "0" <= sign <= "9" or sign == "-" for sign in made)
    assert "--" not in f"-{made}-" or not made
    assert rendered("{{ labels.x | slug }}", x=made) == made


@given(st.dictionaries(st.text(), st.text()))
def test_json_can_be_read_back(labels: dict[str, str]) -> None:
    template = compiled("{{ labels | json }}")

    assert json.loads(template.render({"labels": labels})) == labels


@pytest.mark.parametrize(
    "text",
    [
        "{{ labels.x | regex_replace('a.*b|a', 'a') }}",
        "{{ labels.x | regex_replace('', labels_) }}".replace("labels_", "'" + "y" * 500 + "'"),
        "{{ labels.x | regex_replace('(.?){900}(b)', '') }}",
        "{{ labels.x | regex_replace('[ab]*a[ab]{200}c', '') }}" * 15,
        "{{ (labels.x ~ labels.x) | regex_replace('q', '') }}",
        "{{ (labels.x * 2) | slug }}",
        "{{ labels.x | slug }}" * 200,
        "{{ labels.x | list | json }}",
        "{{ labels.x | truncate(100000) | list | map('slug') | list }}",
        "{% for a in labels.x %}{{ 3900 | duration }}{{ 'page' | severity }}{% endfor %}",
    ],
)
def test_a_bomb_made_of_these_filters_fails_soon(text: str) -> None:
    template = compiled(text)
    began = time.process_time()
    with pytest.raises(RenderingFailed, match=r"grew beyond|too much work|too large"):
        template.render({"labels": {"x": "a" * 60_000}})
    assert time.process_time() - began < 2
