from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from alertbridge.model import Alert, AlertStatus
from alertbridge.rules.condition import All, read_condition
from alertbridge.rules.index import RuleIndex
from tests.unit.rules.samples import alert


def _condition(when: Any) -> All:
    condition, refusals = read_condition(when, ("when",))
    assert not refusals
    return condition


def _index(*whens: Any) -> RuleIndex:
    return RuleIndex([_condition(when) for when in whens])


def _candidates(index: RuleIndex, labels: dict[str, str], after: int = -1) -> list[int]:
    return list(index.candidates(alert(labels), after))


@pytest.mark.parametrize(
    ("when", "tried", "spared"),
    [
        (["team = web"], {"team": "web"}, {"team": "ops"}),
        (["team = web"], {"team": "web"}, {}),
        (['team = ""'], {}, {"team": "web"}),
        (["team =~ web|ops"], {"team": "ops"}, {"team": "db"}),
        (["team =~ (web|op)s?"], {"team": "ops"}, {"team": "db"}),
        (["env != dev", "team = web"], {"team": "web", "env": "dev"}, {"env": "prod"}),
        ([["severity =~ p.+", ["team = web"]]], {"team": "web"}, {"severity": "page"}),
        ([{"any": ["team = web", "env = dev"]}], {"env": "dev"}, {"env": "prod", "team": "ops"}),
        ([{"any": [["a != b", "team = web"], "env =~ x|y"]}], {"env": "y"}, {"a": "c"}),
        ([{"not": {"any": ["team != web", "a = b"]}}], {"team": "web"}, {"team": "ops"}),
        ([{"not": {"not": "team = web"}}], {"team": "web"}, {"team": "ops"}),
        (["labels.source = web"], {"source": "web"}, {"source": "ops"}),
    ],
)
def test_a_rule_is_tried_only_on_alerts_that_hold_what_it_requires(
    when: Any, tried: dict[str, str], spared: dict[str, str]
) -> None:
    assert _candidates(_index(when), tried) == [0]
    assert _candidates(_index(when), spared) == []


@pytest.mark.parametrize(
    "when",
    [
        [],
        ["team != web"],
        ["team =~ w.*"],
        [{"not": "team = web"}],
        [{"not": ["team != web", "a = b"]}],
        [{"any": ["team = web", "env != dev"]}],
    ],
)
def test_a_rule_that_requires_no_value_is_always_tried(when: Any) -> None:
    assert _candidates(_index(when), {"team": "nobody"}) == [0]


@pytest.mark.parametrize(
    ("when", "other"),
    [
        ("source = prod", "source = test"),
        ("status = firing", "status = resolved"),
        ("alert.fingerprint = bdc4a5686971790d", "alert.fingerprint = b"),
        ("annotations.summary = High", "annotations.summary = Low"),
        ("group.alertname = HighErrorRate", "group.alertname = x"),
    ],
)
def test_every_field_of_an_alert_counts(when: str, other: str) -> None:
    said = alert({}, {"summary": "High"})
    assert list(_index(other, when).candidates(said)) == [1]


def test_of_the_values_required_those_that_few_rules_ask_for_count() -> None:
    index = _index(*(f"severity = page, team = {team}" for team in ("web", "ops", "db")))
    assert _candidates(index, {"severity": "page", "team": "ops"}) == [1]


def test_each_position_comes_once_and_in_order() -> None:
    index = _index("team = web", "env != dev", {"any": ["team = web", "env = dev"]}, "env = dev", [])
    assert _candidates(index, {"team": "web", "env": "dev"}) == [0, 1, 2, 3, 4]


def test_one_may_ask_again_with_another_alert_from_where_one_was() -> None:
    index = _index("team = web", "team = ops", [], "team = web", "team = ops")
    asked = index.candidates(alert({"team": "web"}))
    assert [next(asked), next(asked)] == [0, 2]
    assert _candidates(index, {"team": "ops"}, 2) == [4]
    assert _candidates(index, {"team": "ops"}, 4) == []


_LABELS = st.dictionaries(
    st.sampled_from(["team", "env", "severity"]), st.sampled_from(["a", "b", "c", "ab", "", "A"])
)
_MATCHERS = st.builds(
    "{} {} {}".format,
    st.sampled_from(["team", "env", "severity", "annotations.team", "source", "group.env"]),
    st.sampled_from(["=", "=", "!=", "=~", "=~", "!~"]),
    st.sampled_from(["a", "b", "c", '""', '"a|b"', '"(a|b)?"', '"a.*"', '"(?i)a"', '"a|"', '"[ab]+"']),
).filter(lambda text: not text.endswith('"') or "~" in text or text.endswith('""')) | st.sampled_from(
    ["status = firing", "status != firing", "status =~ fir.*"]
)
_WHENS = st.recursive(
    _MATCHERS,
    lambda inner: (
        st.lists(inner, min_size=1, max_size=3)
        | st.fixed_dictionaries({"any": st.lists(inner, min_size=1, max_size=3)})
        | st.fixed_dictionaries({"all": st.lists(inner, min_size=1, max_size=3)})
        | st.fixed_dictionaries({"not": inner})
    ),
    max_leaves=5,
)
_CONDITIONS = st.lists((_WHENS | st.just([])).map(_condition), max_size=12)
_ALERTS = st.builds(
    alert, _LABELS, _LABELS, st.sampled_from(AlertStatus), _LABELS, st.sampled_from(["a", "prod"])
)


@given(_CONDITIONS, _ALERTS, st.integers(-1, 12))
def test_what_is_left_out_does_not_hold(conditions: list[All], said: Alert, after: int) -> None:
    found = list(RuleIndex(conditions).candidates(said, after))
    assert found == sorted(set(found))
    assert [position for position in found if conditions[position].matches(said)] == [
        position
        for position, condition in enumerate(conditions)
        if position > after and condition.matches(said)
    ]
