from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from alertbridge.rules.condition import read_condition, written
from alertbridge.rules.reason import Failure, verdicts, why_not
from tests.unit.rules.samples import CHECKOUT, DISK, alert, rule


def told(failure: Failure | None) -> Any:
    """A failure as data that is easy to compare."""
    assert failure is not None
    said: list[Any] = [written(failure.condition), dict(failure.actual)]
    return [*said, [told(part) for part in failure.parts]] if failure.parts else said


@pytest.mark.parametrize(
    ("when", "failure"),
    [
        (["team = infra"], ['team = "infra"', {"team": "payments"}]),
        (["team = payments", 'cluster != ""', "env = dev"], ['env = "dev"', {"env": "prod"}]),
        (['tier =~ ".+"'], ['tier =~ ".+"', {"tier": None}]),
        (["status = resolved"], ['status = "resolved"', {"status": "firing"}]),
        (["annotations.runbook = x"], ['annotations.runbook = "x"', {"annotations.runbook": None}]),
        (['"app name" = x'], ['"app name" = "x"', {'"app name"': None}]),
        (
            [{"any": ["team = infra", ["env = prod", "tier = 1"]]}],
            [
                'any: [team = "infra", [env = "prod", tier = "1"]]',
                {"team": "payments", "env": "prod", "tier": None},
                [['team = "infra"', {"team": "payments"}], ['tier = "1"', {"tier": None}]],
            ],
        ),
        ([{"not": "env = prod"}], ['not: env = "prod"', {"env": "prod"}]),
        (
            [{"not": "env = prod, team = payments"}],
            ['not: [env = "prod", team = "payments"]', {"env": "prod", "team": "payments"}],
        ),
        (
            [{"not": {"any": ["env = dev", "team = payments"]}}],
            ['not: team = "payments"', {"team": "payments"}],
        ),
        ([{"not": {"not": "env = dev"}}], ['env = "dev"', {"env": "prod"}]),
    ],
)
def test_the_first_part_that_fails_is_told_with_what_the_alert_holds(when: list[Any], failure: Any) -> None:
    condition, refusals = read_condition(when, ())
    assert not refusals
    assert told(why_not(condition, alert(CHECKOUT))) == failure


def test_rules_are_judged_up_to_the_one_that_decides() -> None:
    rules = [
        rule("no", "team = infra"),
        rule("also", "team = payments", continues=True),
        rule("decides", drop=True),
        rule("late"),
    ]
    found = verdicts(rules, alert(CHECKOUT))
    assert [(verdict.rule, verdict.matched) for verdict in found] == [
        ("no", False),
        ("also", True),
        ("decides", True),
        ("late", None),
    ]
    assert told(found[0].failure) == ['team = "infra"', {"team": "payments"}]


_DOCUMENTS: st.SearchStrategy[Any] = st.recursive(
    st.sampled_from(
        ["team = payments", "team =~ pay.*", "env != prod", 'device = ""', "severity =~ none|warning"]
    ),
    lambda inner: (
        st.lists(inner, min_size=1, max_size=3)
        | st.fixed_dictionaries({"any": st.lists(inner, min_size=1, max_size=3)})
        | st.fixed_dictionaries({"not": inner})
    ),
    max_leaves=8,
)


@given(_DOCUMENTS, st.sampled_from([CHECKOUT, DISK, {}]))
def test_there_is_a_reason_exactly_where_a_condition_does_not_match(
    document: Any, labels: dict[str, str]
) -> None:
    condition, refusals = read_condition(document, ())
    assert not refusals
    one = alert(labels)
    failure = why_not(condition, one)
    assert (failure is None) is condition.matches(one)
    if failure is not None:
        assert not failure.condition.matches(one)
