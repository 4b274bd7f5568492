from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from alertbridge.errors import MatcherError, PatternError, RefusedText
from alertbridge.model import Alert, AlertStatus
from alertbridge.rules.matcher import Matcher, Operator, parse_matchers
from tests.unit.rules.samples import CHECKOUT, DISK, WATCHDOG, alert


def _one(text: str) -> Matcher:
    (matcher,) = parse_matchers(text)
    return matcher


@pytest.mark.parametrize(
    ("text", "field", "name", "operator", "value"),
    [
        ("team = payments", "labels", "team", "=", "payments"),
        ("team=payments", "labels", "team", "=", "payments"),
        ("  team  !=  payments  ", "labels", "team", "!=", "payments"),
        ('severity =~ "critical|page"', "labels", "severity", "=~", "critical|page"),
        ("severity!~critical|page", "labels", "severity", "!~", "critical|page"),
        ('{statuscode=~"5.."}', "labels", "statuscode", "=~", "5.."),
        ('{ foo = "bar", }', "labels", "foo", "=", "bar"),
        ("foo=bar,", "labels", "foo", "=", "bar"),
        ('"foo" = "bar"', "labels", "foo", "=", "bar"),
        ('"foo bar" = x', "labels", "foo bar", "=", "x"),
        ('"foo.bar" = x', "labels", "foo.bar", "=", "x"),
        ("k8s.pod.name = x", "labels", "k8s.pod.name", "=", "x"),
        ("ünï = ü", "labels", "ünï", "=", "ü"),
        ("labels.foo = x", "labels", "foo", "=", "x"),
        ("labels.foo.bar = x", "labels", "foo.bar", "=", "x"),
        ('labels."foo bar" = x', "labels", "foo bar", "=", "x"),
        ("labels = x", "labels", "labels", "=", "x"),
        ('"labels.foo" = x', "labels", "labels.foo", "=", "x"),
        ("annotations.summary = x", "annotations", "summary", "=", "x"),
        ('annotations."run book" = x', "annotations", "run book", "=", "x"),
        ("group.alertname = x", "group", "alertname", "=", "x"),
        ("source = prod", "source", "", "=", "prod"),
        ("labels.source = prod", "labels", "source", "=", "prod"),
        ('"source" = prod', "labels", "source", "=", "prod"),
        ("status = resolved", "status", "", "=", "resolved"),
        ("status =~ res.*", "status", "", "=~", "res.*"),
        ("labels.status = open", "labels", "status", "=", "open"),
        ("alert.fingerprint = abc", "fingerprint", "", "=", "abc"),
        ("alert.generator_url =~ .*", "generator_url", "", "=~", ".*"),
        ("alert.external_url =~ .*", "external_url", "", "=~", ".*"),
        ("fingerprint = abc", "labels", "fingerprint", "=", "abc"),
        ("alert.name = x", "labels", "alert.name", "=", "x"),
        ('foo = ""', "labels", "foo", "=", ""),
        ('foo = "a, b} = {c"', "labels", "foo", "=", "a, b} = {c"),
        (r'foo = "say \"hi\"\n\\"', "labels", "foo", "=", 'say "hi"\n\\'),
        (r'foo =~ "web\.example"', "labels", "foo", "=~", r"web\.example"),
        (r'foo =~ "web\\.example"', "labels", "foo", "=~", r"web\.example"),
        (r"foo =~ web\.example", "labels", "foo", "=~", r"web\.example"),
        (r"foo = a\nb", "labels", "foo", "=", r"a\nb"),
        ("foo =~ [a-z]{2}", "labels", "foo", "=~", "[a-z]{2}"),
        ("{foo =~ [a-z]{2}}", "labels", "foo", "=~", "[a-z]{2}"),
        ("url = http://example/?a=b", "labels", "url", "=", "http://example/?a=b"),
        ("who = it's", "labels", "who", "=", "it's"),
        ("service = <unknown>", "labels", "service", "=", "<unknown>"),
    ],
)
def test_a_matcher_is_read_as_alertmanager_reads_it(
    text: str, field: str, name: str, operator: str, value: str
) -> None:
    assert _one(text) == Matcher(field, name, Operator(operator), value)


def test_several_matchers_are_separated_by_commas() -> None:
    assert list(map(str, parse_matchers('{foo = "a,b", dings != bums ,x=~y, }'))) == [
        'foo="a,b"',
        'dings!="bums"',
        'x=~"y"',
    ]


@pytest.mark.parametrize(
    ("text", "problem", "remedy", "offset"),
    [
        ("a => b", 'unknown label matcher operator "=>"', 'did you mean "=~"?', 2),
        ("a=>b", 'unknown label matcher operator "=>"', 'did you mean "=~"?', 1),
        ("a == b", 'unknown label matcher operator "=="', 'did you mean "="?', 2),
        ("a === b", 'unknown label matcher operator "==="', 'did you mean "="?', 2),
        ("a ~= b", 'unknown label matcher operator "~="', 'did you mean "=~"?', 2),
        ("a ~ b", 'unknown label matcher operator "~"', 'did you mean "=~"?', 2),
        ("a <> b", 'unknown label matcher operator "<>"', 'did you mean "!="?', 2),
        ("a > 3", 'unknown label matcher operator ">"', "the operators are", 2),
        ("severity critical", "no operator after severity", "write one of", 9),
        ("severity", "no operator after severity", "write one of", 8),
        ("severity: critical", "no operator after severity:", "write severity = critical", 10),
        ("severity in (a, b)", "no operator after severity", "write one of", 9),
        ('a = "b', "a double quote is never closed", 'close it with "', 4),
        (r'a = "b\"', "a double quote is never closed", 'close it with "', 4),
        ('"a = b', "a double quote is never closed", 'close it with "', 0),
        ("a = 'b'", "' does not quote here", "double quotes", 4),
        ("'a' = b", "' does not quote here", "double quotes", 0),
        ("a = `b`", "` does not quote here", "double quotes", 4),
        ("= b", "a name is missing", "name, operator, value", 0),
        (",a = b", "a name is missing", "name, operator, value", 0),
        ("a = b,, c = d", "a name is missing", "name, operator, value", 6),
        ('"" = b', "a name is empty", "before the operator", 0),
        ("labels. = b", "a name is empty", "before the operator", 0),
        ('labels."" = b', "a name is empty", "before the operator", 0),
        ("a =", "a value is missing", 'the empty text is ""', 3),
        ("a = b c", "c follows a complete matcher", "comma", 6),
        ("a = b and c = d", "and c = d follows a complete matcher", "comma", 6),
        ('a = "b""c"', '"c" follows a complete matcher', "comma", 7),
        ('a = b"c"', '"c" follows a complete matcher', "double quotes", 5),
        ("{a = b", "the opening { is never closed", "add }", 6),
        ("{a = b,", "the opening { is never closed", "add }", 7),
        ("a = b}", "} without an opening {", "leave it out", 5),
        ("{a = b} c", "text after the closing }", "leave it out", 7),
        ("", "no matcher here", "severity = critical", 0),
        ("  {}  ", "no matcher here", "severity = critical", 0),
        ("label.foo = x", 'an alert has no "label"', "did you mean labels.foo?", 0),
        ('annotation."x y" = z', 'an alert has no "annotation"', 'did you mean annotations."x y"?', 0),
        ('foo."bar" = x', 'an alert has no "foo"', "stands in double quotes", 0),
        ("status = Firing", 'a status is never "Firing"', "firing or resolved", 9),
        ('status != ""', 'a status is never ""', "labels.status", 10),
    ],
)
def test_a_matcher_that_cannot_be_read_is_refused_with_place_and_remedy(
    text: str, problem: str, remedy: str, offset: int
) -> None:
    with pytest.raises(MatcherError) as refused:
        parse_matchers(text)
    assert refused.value.problem == problem
    assert remedy in refused.value.remedy
    assert refused.value.offset == offset


@pytest.mark.parametrize(
    ("text", "offset"), [('a =~ "b(c+)+"', 7), ("a =~ b(c+)+", 6), ('x = y, a !~ "(?=b)"', 13)]
)
def test_a_bad_pattern_is_refused_where_it_stands_in_the_matcher(text: str, offset: int) -> None:
    with pytest.raises(PatternError) as refused:
        parse_matchers(text)
    assert refused.value.offset == offset


@pytest.mark.parametrize(
    ("text", "matches"),
    [
        ("team = payments", True),
        ("team = pay", False),
        ("team =~ pay", False),
        ("team =~ pay.*", True),
        ("team !~ pay.*", False),
        ("team != infra", True),
        ('pod = ""', True),
        ("pod != web-1", True),
        ('pod != ""', False),
        ("pod =~ .*", True),
        ("pod =~ .+", False),
        ("pod !~ .+", True),
        ('annotations.summary =~ "High .*"', True),
        ('annotations.runbook = ""', True),
        ("group.alertname = HighErrorRate", True),
        ('group.team = ""', True),
        ("source = prod", True),
        ("source != prod", False),
        ("status = firing", True),
        ("status != firing", False),
        ("status =~ firing|resolved", True),
        ("alert.fingerprint = bdc4a5686971790d", True),
        ("alert.generator_url =~ http://prometheus.*", True),
        ("alert.external_url =~ .*alertmanager.*", True),
    ],
)
def test_what_an_alert_lacks_compares_as_the_empty_text(text: str, *, matches: bool) -> None:
    assert _one(text).matches(alert()) is matches


def test_the_status_of_a_resolved_alert_is_resolved() -> None:
    assert _one("status = resolved").matches(alert(status=AlertStatus.RESOLVED))


def test_the_text_of_a_matcher_stays_on_one_line() -> None:
    assert str(Matcher("labels", "a", Operator.EQUAL, 'b\nc"\\')) == r'a="b\nc\"\\"'


_NAMES = st.sampled_from([*CHECKOUT, "pod", "device", "source", "status", "foo.bar", 'od"d', "", " a"])
_VALUES = st.sampled_from([*CHECKOUT.values(), *DISK.values(), "", "x", 'q"', "\\", "a\nb"])
_PATTERNS = st.sampled_from(
    ["", ".*", ".+", "critical|page", "web-.*", "[a-z]+", "/srv/.*", "a|", r"host\..*"]
)
_PATTERN_OPERATORS = st.sampled_from([Operator.MATCHES, Operator.NOT_MATCHES])
_LITERAL_OPERATORS = st.sampled_from([Operator.EQUAL, Operator.NOT_EQUAL])
_MAPPINGS = st.sampled_from(["labels", "annotations", "group"])
_LABELS = st.dictionaries(_NAMES.filter(bool), _VALUES) | st.sampled_from([CHECKOUT, DISK, WATCHDOG])
_ALERTS = st.builds(alert, _LABELS, _LABELS, st.sampled_from(AlertStatus), _LABELS)
_MATCHERS = st.one_of(
    st.builds(Matcher, _MAPPINGS, _NAMES.filter(bool), _LITERAL_OPERATORS, _VALUES),
    st.builds(Matcher, _MAPPINGS, _NAMES.filter(bool), _PATTERN_OPERATORS, _PATTERNS),
    st.builds(Matcher, st.just("source"), st.just(""), _LITERAL_OPERATORS, _VALUES),
    st.builds(Matcher, st.just("status"), st.just(""), _LITERAL_OPERATORS, st.sampled_from(AlertStatus)),
)


def _naive(matcher: Matcher, said: Alert) -> bool:
    held = {
        "labels": said.labels.get(matcher.name, ""),
        "annotations": said.annotations.get(matcher.name, ""),
        "group": said.group.get(matcher.name, ""),
        "source": said.source,
        "status": said.status.value,
    }[matcher.field]
    return {
        "=": lambda: held == matcher.value,
        "!=": lambda: held != matcher.value,
        "=~": lambda: re.fullmatch(matcher.value, held) is not None,
        "!~": lambda: re.fullmatch(matcher.value, held) is None,
    }[matcher.operator.value]()


@given(_MATCHERS, _ALERTS)
def test_a_matcher_agrees_with_the_plain_meaning_of_its_operator(matcher: Matcher, said: Alert) -> None:
    assert matcher.matches(said) is _naive(matcher, said)


_ANY_TEXT = st.text(st.characters(exclude_categories=["Cs"]))


@given(
    st.lists(
        _MATCHERS | st.builds(Matcher, _MAPPINGS, _ANY_TEXT.filter(bool), _LITERAL_OPERATORS, _ANY_TEXT),
        min_size=1,
        max_size=4,
    )
)
def test_the_text_of_matchers_reads_back_as_the_same_matchers(matchers: list[Matcher]) -> None:
    text = ", ".join(map(str, matchers))
    assert parse_matchers(text) == tuple(matchers)
    assert parse_matchers(f"{{{text},}}") == tuple(matchers)


@given(st.text("ab\"\\{}=!~, .'<>é", max_size=12))
def test_any_text_is_read_or_refused_within_itself(text: str) -> None:
    try:
        matchers = parse_matchers(text)
    except (MatcherError, PatternError) as error:
        refused: RefusedText = error
    else:
        assert parse_matchers(", ".join(map(str, matchers))) == matchers
        return
    assert 0 <= refused.offset <= len(text)
    assert refused.problem
