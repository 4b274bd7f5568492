from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from alertbridge.errors import MatcherError, PatternError
from alertbridge.rules.condition import DEEPEST, All, AnyOf, Not, read_condition
from alertbridge.rules.matcher import parse_matchers
from tests.unit.rules.samples import CHECKOUT, DISK, WATCHDOG, alert

(CRITICAL,) = parse_matchers("severity = critical")
(PAYMENTS,) = parse_matchers("team = payments")
(DEV,) = parse_matchers("env = dev")


@pytest.mark.parametrize(
    ("document", "condition"),
    [
        ([], All(())),
        ("severity = critical", All((CRITICAL,))),
        (["severity = critical", "team = payments"], All((CRITICAL, PAYMENTS))),
        (["severity = critical, team = payments"], All((CRITICAL, PAYMENTS))),
        ([["severity = critical", "team = payments"]], All((All((CRITICAL, PAYMENTS)),))),
        ([{"all": ["severity = critical"]}], All((All((CRITICAL,)),))),
        ({"any": ["severity = critical"]}, All((AnyOf((CRITICAL,)),))),
        ([{"any": ["severity = critical", ["env = dev"]]}], All((AnyOf((CRITICAL, All((DEV,)))),))),
        (
            [{"any": ["severity = critical, team = payments", "env = dev"]}],
            All((AnyOf((All((CRITICAL, PAYMENTS)), DEV)),)),
        ),
        ([{"not": "env = dev"}], All((Not(DEV),))),
        ([{"not": "severity = critical, env = dev"}], All((Not(All((CRITICAL, DEV))),))),
        ([{"not": {"any": ["env = dev"]}}], All((Not(AnyOf((DEV,))),))),
    ],
)
def test_yaml_data_become_a_condition(document: object, condition: All) -> None:
    assert read_condition(document, ("when",)) == (condition, ())


@pytest.mark.parametrize(
    ("document", "path", "problem", "remedy"),
    [
        ("a => b", (), 'unknown label matcher operator "=>"', 'did you mean "=~"?'),
        (None, (), "nothing here", "severity = critical"),
        ([None], (0,), "nothing here", "severity = critical"),
        (["a = b", 5], (1,), "5 is not a matcher", "name, operator, value"),
        ([True], (0,), "true is not a matcher", "name, operator, value"),
        ([{"severity": "critical"}], (0,), "unknown key severity", "write severity = critical"),
        ([{"replicas": 3}], (0,), "unknown key replicas", "write replicas = 3"),
        ([{"enabled": True}], (0,), "unknown key enabled", "write enabled = true"),
        ([{"team": "site ops"}], (0,), "unknown key team", 'write team = "site ops"'),
        (
            [{"severity": "critical", "team": "ops"}],
            (0,),
            "one of any, all and not is expected here, not 2 keys",
            "write severity = critical, team = ops",
        ),
        ([{"anny": ["a = b"]}], (0,), "unknown key anny", 'did you mean "any"?'),
        ([{"or": ["a = b"]}], (0,), "unknown key or", 'did you mean "any"?'),
        ([{"and": ["a = b"]}], (0,), "unknown key and", 'did you mean "all"?'),
        ([{"labels": ["a = b"]}], (0,), "unknown key labels", "any, all and not"),
        ([{"severity = critical": None}], (0,), "unknown key severity = critical", "'severity = critical'"),
        ([{}], (0,), "one of any, all and not is expected here, not 0 keys", "list item"),
        (
            [{"any": ["a = b"], "not": "c = d"}],
            (0,),
            "one of any, all and not is expected here, not 2 keys",
            "list item",
        ),
        ([{"any": "a = b"}], (0, "any"), "any takes a list", "after a dash"),
        ([{"any": []}], (0, "any"), "an empty list", "leave it out"),
        ([[]], (0,), "an empty list", "leave it out"),
        (
            [{"any": ["a = b", ["c = d", "e ~ f"]]}],
            (0, "any", 1, 1),
            'unknown label matcher operator "~"',
            "=~",
        ),
        ([{"not": {"all": ["a"]}}], (0, "not", "all", 0), "no operator after a", "write one of"),
    ],
)
def test_a_mistake_is_refused_with_its_path_and_a_remedy(
    document: object, path: tuple[str | int, ...], problem: str, remedy: str
) -> None:
    _, refusals = read_condition(document, ("rules", 2, "when"))
    (refusal,) = refusals
    assert refusal.path == ("rules", 2, "when", *path)
    assert refusal.error.problem == problem
    assert remedy in refusal.error.remedy


def test_every_mistake_is_returned_and_the_rest_is_read() -> None:
    document = [
        "a => b",
        "severity = critical",
        {"any": ["x", {"not": "c =~ '(d'"}, "env = dev"]},
        'e =~ "(f+)+"',
    ]
    condition, refusals = read_condition(document, ())
    assert condition == All((CRITICAL, AnyOf((DEV,))))
    assert [(refusal.path, type(refusal.error)) for refusal in refusals] == [
        ((0,), MatcherError),
        ((2, "any", 0), MatcherError),
        ((2, "any", 1, "not"), MatcherError),
        ((3,), PatternError),
    ]


def _nested(document: object, levels: int) -> object:
    for _ in range(levels):
        document = [document]
    return document


def test_nesting_is_bounded() -> None:
    assert not read_condition(_nested("a = b", DEEPEST), ())[1]
    (refusal,) = read_condition(_nested("a = b", DEEPEST + 1), ())[1]
    assert refusal.error.problem == "nested deeper than 20 levels"
    assert len(read_condition(_nested("a = b", 900), ())[1]) == 1


_TEXTS = ["severity = critical", "team =~ pay.*", "env != dev", 'device = ""', "severity =~ none|warning"]
_DOCUMENTS: st.SearchStrategy[Any] = st.recursive(
    st.sampled_from(_TEXTS),
    lambda inner: (
        st.lists(inner, min_size=1, max_size=3)
        | st.fixed_dictionaries({"any": st.lists(inner, min_size=1, max_size=3)})
        | st.fixed_dictionaries({"all": st.lists(inner, min_size=1, max_size=3)})
        | st.fixed_dictionaries({"not": inner})
    ),
    max_leaves=8,
)


def _naive(document: Any, labels: dict[str, str]) -> bool:
    if isinstance(document, str):
        severity, team = labels.get("severity", ""), labels.get("team", "")
        return {
            "severity = critical": severity == "critical",
            "team =~ pay.*": team.startswith("pay"),
            "env != dev": labels.get("env", "") != "dev",
            'device = ""': not labels.get("device"),
            "severity =~ none|warning": severity in ("none", "warning"),
        }[document]
    if isinstance(document, list):
        return all(_naive(part, labels) for part in document)
    if "any" in document:
        return any(_naive(part, labels) for part in document["any"])
    if "not" in document:
        return not _naive(document["not"], labels)
    return _naive(document["all"], labels)


@given(_DOCUMENTS, st.sampled_from([CHECKOUT, DISK, WATCHDOG, {"env": "dev"}, {}]))
def test_a_condition_means_what_it_says(document: Any, labels: dict[str, str]) -> None:
    condition, refusals = read_condition(document, ())
    assert not refusals
    assert condition.matches(alert(labels)) is _naive(document, labels)
