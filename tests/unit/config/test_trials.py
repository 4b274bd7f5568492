"""A mistake in a test of rules is reported like any other: file, line, field, problem and remedy."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import NamedTuple

import pytest
from pydantic import ValidationError

from alertbridge.config.load import Configuration, load
from alertbridge.config.moments import Moment
from alertbridge.config.trial_settings import TrialAlert, TrialStep
from alertbridge.errors import ConfigurationError, Problem

GOOD = """\
sources:
  prod: {type: alertmanager}
destinations:
  elven: {type: elven, url: "https://elven.example/hook"}
  hivel: {type: hivel, token: hunter22}
rules:
  - {name: noise, when: [env = dev], drop: true}
  - {name: everything-else, send: [elven, hivel]}
tests:
  - name: shown
"""
LINES = GOOD.count("\n")  # `name: shown` stands on the last of them


class Case(NamedTuple):
    text: str
    line: int
    field: str
    problem: str
    remedy: str


ALERT = "    alert: {labels: {alertname: Down}}\n"
EXPECT = "    expect: {rule: noise}\n"
BROKEN = [
    Case(ALERT, 0, "", "the test expects nothing", "add `expect:`"),
    Case(ALERT + "    expect: {}\n", 2, ".expect", "nothing is expected", "add `rule:`"),
    Case(EXPECT, 0, "", "nothing is heard", "alert, alerts, payload, sequence"),
    Case(ALERT + EXPECT + "    payload: x.json\n", 0, "", "`alert` and `payload` stand side by side", "keep one"),
    Case(ALERT + EXPECT + "    alrets: []\n", 3, ".alrets", "unknown key", 'did you mean "alerts"?'),
    Case("    alert: {}\n" + EXPECT, 1, ".alert", "no labels", "add `labels:"),
    Case("    alert: Down\n" + EXPECT, 1, ".alert", "expected a mapping, got text", "key: value"),
    Case("    alert: {labels: {a: 5}}\n" + EXPECT, 1, ".alert.labels.a", "got a number", "in quotes"),
    Case("    alert: {labels: {a: b}, status: fireing}\n" + EXPECT, 1, ".alert.status", "not one of the words", 'did you mean "firing"?'),
    Case("    alert: {labels: {a: b}, ends_at: 5m}\n" + EXPECT, 1, ".alert", "has no end", "status: resolved"),
    Case("    alert: {labels: {a: b}, starts_at: 2026-01-01T09:00:00}\n" + EXPECT, 1, ".alert.starts_at", "no offset", "end it in Z"),
    Case("    alert: {labels: {a: b}, starts_at: Today}\n" + EXPECT, 1, ".alert.starts_at", "not an instant", "-1h before it"),
    Case("    alert: {labels: {a: b}, starts_at: 5}\n" + EXPECT, 1, ".alert.starts_at", "needs a unit", "write 5s"),
    Case("    alert: {labels: {a: b}, sorce: prod}\n" + EXPECT, 1, ".alert.sorce", "unknown key", 'did you mean "source"?'),
    Case("    alert: {labels: {a: b}, source: prd}\n" + EXPECT, 1, ".alert.source", 'no source "prd"', 'did you mean "prod"?'),
    Case(ALERT + EXPECT + "    start: 10m\n", 3, ".start", "not an instant", "2026-01-05T08:30:00+01:00"),
    Case(ALERT + EXPECT + "    start: 2026-01-05T08:30:00\n", 3, ".start", "no offset", "end it in Z"),
    Case(ALERT + EXPECT + "    start: 5\n", 3, ".start", "expected an instant", "2026-01-05T08:30:00+01:00"),
    Case("    payload: x.json\n    source: prd\n" + EXPECT, 2, ".source", 'no source "prd"', 'did you mean "prod"?'),
    Case("    payload: [x]\n" + EXPECT, 1, ".payload", "expected text, got a list", "one piece of text"),
    Case(ALERT + "    expect: {rule: nose}\n", 2, ".expect.rule", 'no rule "nose"', 'did you mean "noise"?'),
    Case(ALERT + "    expect: {rule: [noise, x]}\n", 2, ".expect.rule[1]", 'no rule "x"', "known rules: noise, everything-else"),
    Case(ALERT + "    expect: {rule: {a: b}}\n", 2, ".expect.rule", "got a mapping", "list of names"),
    Case(ALERT + "    expect: {dropped: on}\n", 2, ".expect.dropped", "true or false", "without quotes"),
    Case(ALERT + "    expect:\n      elvn: {}\n", 3, ".expect.elvn", 'no destination "elvn"', 'did you mean "elven"?'),
    Case(ALERT + "    expect: {droped: true}\n", 2, ".expect.droped", "no destination", 'did you mean "dropped"?'),
    Case(ALERT + "    expect: {elven: alarmed}\n", 2, ".expect.elven", "expected a mapping, got text", "write none"),
    Case(ALERT + "    expect: {elven: }\n", 2, ".expect.elven", "got nothing", "write none"),
    Case(ALERT + "    expect: {elven: [{action: alarmed}, resolved]}\n", 2, ".expect.elven[1]", "got text", "key: value"),
    Case(ALERT + "    expect: {hivel: {held: pr_number}}\n", 2, ".expect.hivel.held", "list of names", "[pr_number]"),
    Case(ALERT + "    expect: {hivel: [{skipped: 1}]}\n", 2, ".expect.hivel[0].skipped", "true or false", "skipped: true"),
    Case("    sequence: {at: 0s}\n" + EXPECT, 1, ".sequence", "expected a list", "- "),
    Case("    sequence:\n    - {at: 5}\n" + EXPECT, 2, ".sequence[0].at", "needs a unit", "write 5s"),
    Case("    sequence:\n    - {at: -5m}\n" + EXPECT, 2, ".sequence[0].at", "before the start", "+10m"),
    Case("    sequence:\n    - {at: +later}\n" + EXPECT, 2, ".sequence[0].at", "not a duration", "5m"),
    Case("    sequence:\n    - {resolve: all}\n" + EXPECT, 2, ".sequence[0].resolve", "nothing was heard", "begin with"),
    Case("    sequence:\n    - {payload: a}\n    - {resolve: some}\n" + EXPECT, 3, ".sequence[1].resolve", "not one of the words", "all"),
    Case("    sequence:\n    - {alert: {status: firing}}\n" + EXPECT, 2, ".sequence[0].alert", "no labels", "add `labels:"),
    Case("    sequence:\n    - {alerts: [{labels: {a: b}}], fire: all}\n" + EXPECT, 2, ".sequence[0]", "`alerts` and `fire`", "keep one"),
    Case("    sequence:\n    - {at: +10m, payload: a}\n    - {at: 5m}\n" + EXPECT, 3, ".sequence[1].at", "earlier than the one before", "order of time"),
    Case("    sequence:\n    - {payload: a, expect: {elvn: none}}\n", 2, ".sequence[0].expect.elvn", "no destination", 'did you mean "elven"?'),
    Case("    sequence:\n    - {payload: a, source: prd}\n" + EXPECT, 2, ".sequence[0].source", "no source", 'did you mean "prod"?'),
]  # fmt: skip


def read(folder: Path, text: str) -> Configuration:
    path = folder / "main.yaml"
    path.write_text(text, encoding="utf-8")
    return load(path, environ={})


@pytest.mark.parametrize("case", BROKEN, ids=str)
def test_a_mistake_in_a_test_is_named(tmp_path: Path, case: Case) -> None:
    with pytest.raises(ConfigurationError) as refused:
        read(tmp_path, GOOD + case.text)

    found: Problem
    (found,) = refused.value.problems
    assert found.file == str(tmp_path / "main.yaml")
    assert (found.line, found.field) == (LINES + case.line, f"tests[0]{case.field}"), str(found)
    assert found.column > 0
    assert case.problem in found.problem
    assert case.remedy in found.remedy


def test_mistakes_in_tests_hide_no_others(tmp_path: Path) -> None:
    text = (
        GOOD + ALERT + "    expect: {rule: nose}\n  - {name: a, alert: {labels: 5}, expect: {elvn: none}}\n"
    )
    with pytest.raises(ConfigurationError) as refused:
        read(tmp_path, text.replace("drop: true", "dorp: true"))

    fields = [problem.field for problem in refused.value.problems]
    assert {"rules[0].dorp", "tests[0].expect.rule", "tests[1].alert.labels", "tests[1].expect.elvn"} <= set(
        fields
    )


def test_an_instant_is_since_the_start_or_absolute() -> None:
    instants = {
        "10m": timedelta(minutes=10),
        "-1h": timedelta(hours=-1),
        "2026-01-01T09:00:00+02:00": datetime(2026, 1, 1, 7, tzinfo=UTC),
    }
    for written, meant in instants.items():
        assert TrialAlert.model_validate({"starts_at": written}).starts_at == meant
    with pytest.raises(ValidationError):
        TrialAlert.model_validate({"starts_at": "-later"})


def test_a_moment_is_since_the_start_or_the_step_before() -> None:
    assert TrialStep.model_validate({"at": "10m"}).at == Moment(timedelta(minutes=10), after_previous=False)
    assert TrialStep.model_validate({"at": "+3m"}).at == Moment(timedelta(minutes=3), after_previous=True)
    assert TrialStep.model_validate({"at": 0}).at == Moment(timedelta(0), after_previous=False)
