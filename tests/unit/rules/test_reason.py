from __future__ import annotations

from datetime import UTC
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from alertbridge.rules.condition import read_condition, written
from alertbridge.rules.reason import Failure, Inactive, verdicts, why_not
from alertbridge.rules.window import WHOLE_DAY, Hours, Window
from tests.unit.rules.samples import CHECKOUT, DISK, STARTED, alert, enrichment, rule, rulebook


def told(failure: Failure | Inactive | None) -> Any:
    """A failure as data that is easy to compare."""
    assert isinstance(failure, Failure)
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
    found = verdicts(rulebook(*rules), alert(CHECKOUT), at=STARTED)
    assert [(verdict.rule, verdict.matched) for verdict in found] == [
        ("no", False),
        ("also", True),
        ("decides", True),
        ("late", None),
    ]
    assert told(found[0].failure) == ['team = "infra"', {"team": "payments"}]


def test_a_rule_is_judged_by_the_alert_as_earlier_rules_left_it() -> None:
    book = rulebook(
        rule("tag", send=(), sets=enrichment({"team": "web", "env": "", "x": ""}, {"runbook": "r"})),
        rule("same", send=(), sets=enrichment({"team": "web"})),
        rule("no", "team = payments"),
        rule("yes", "team = web"),
    )
    found = verdicts(book, alert(CHECKOUT), at=STARTED)
    assert [(verdict.rule, verdict.matched) for verdict in found] == [
        ("tag", True),
        ("same", True),
        ("no", False),
        ("yes", True),
    ]
    assert found[0].sets == {"labels.team": "web", "labels.env": None, "annotations.runbook": "r"}
    assert found[1].sets == {}
    assert told(found[2].failure) == ['team = "payments"', {"team": "web"}]


def test_a_rule_outside_its_windows_is_told_with_them_and_what_their_clocks_show() -> None:
    sunday = Window(frozenset([6]), (WHOLE_DAY,), UTC)
    office = Window(frozenset(range(5)), (Hours(480, 1080),), ZoneInfo("Europe/Berlin"))
    book = rulebook(
        rule("no", "team = infra", active=(sunday,)), rule("late", "team = payments", active=(sunday, office))
    )
    other, late = verdicts(book, alert(CHECKOUT), at=STARTED)
    assert isinstance(other.failure, Failure)
    assert late.failure == Inactive(
        {"sun UTC": "sat 19:38 UTC", "mon-fri 08:00-18:00 Europe/Berlin": "sat 20:38 Europe/Berlin"}
    )


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
