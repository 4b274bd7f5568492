"""`heartbeats:` and `pings:`: what is made of them, and every mistake that is told of them."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest

from alertbridge.config.load import Configuration
from alertbridge.errors import ConfigurationError
from alertbridge.model import Severity
from tests.support.configuration import BOTH, configure

GOOD = """
heartbeats:
  - name: watchdog
    when: [alertname = Watchdog]
    every: 1m
    send: [elven]
"""


def load(folder: Path, heartbeats: str = GOOD, rules: str = BOTH) -> Configuration:
    return configure(folder, heartbeats + rules)


def test_a_heartbeat_has_sensible_defaults_and_a_rule_of_its_own(tmp_path: Path) -> None:
    book = load(tmp_path).rulebook
    (heartbeat,) = book.heartbeats

    assert (heartbeat.every, heartbeat.grace) == (timedelta(minutes=1), timedelta(minutes=1))
    assert (heartbeat.severity, heartbeat.rule) == (Severity.CRITICAL, "heartbeat watchdog")
    assert [rule.name for rule in book.rules] == ["everything"]


def test_one_holds_no_resolves_unless_told_and_then_those_of_all_alerts(tmp_path: Path) -> None:
    (plain,) = load(tmp_path).rulebook.heartbeats
    (holding,) = load(tmp_path, GOOD + "    hold_resolves: 10m\n").rulebook.heartbeats
    (some,) = load(tmp_path, GOOD + "    hold_resolves: 10m\n    holds: [cluster = eu]\n").rulebook.heartbeats

    assert (plain.hold, holding.hold) == (timedelta(0), timedelta(minutes=10))
    assert (len(holding.holds.parts), len(some.holds.parts)) == (0, 1)


def test_whatever_a_heartbeat_says_is_in_the_hash_and_what_a_ping_says_is_not(tmp_path: Path) -> None:
    before = load(tmp_path).hash

    assert load(tmp_path, GOOD.replace("1m", "2m")).hash != before
    assert load(tmp_path, GOOD + "pings: {a: {url: 'https://ping.example/a-secret'}}").hash == before


def test_a_good_one_is_no_reason_to_warn(tmp_path: Path) -> None:
    assert load(tmp_path).warnings == ()


@pytest.mark.parametrize(
    ("was", "now", "place", "problem"),
    [
        ("[elven]", "[elvn]", "heartbeats[0].send[0]", 'there is no destination "elvn"'),
        ("[elven]", "[]", "heartbeats[0].send", "the heartbeat tells nobody of its silence"),
        ("[alertname = Watchdog]", "[]", "heartbeats[0].when", "every alert would be a beat"),
        ("[alertname = Watchdog]", "", "heartbeats[0].when", "every alert would be a beat"),
        ("[alertname = Watchdog]", "[alertname Watchdog]", "heartbeats[0].when[0]", "no operator"),
        ("    when: [alertname = Watchdog]\n", "", "heartbeats[0].when", "this setting is missing"),
        ("every: 1m", "every: 1m\n    holds: [a = b]", "heartbeats[0]", "no resolve is held"),
        (
            "every: 1m",
            "every: 1m\n    hold_resolves: 1m\n    holds: [a b]",
            "heartbeats[0].holds[0]",
            "no operator",
        ),
        ("every: 1m", "every: 0s", "heartbeats[0].every", "the duration must be longer than 0s"),
        ("    every: 1m\n", "", "heartbeats[0].every", "this setting is missing"),
        ("watchdog", "a b", "heartbeats[0].name", "not a name"),
        ("[elven]", "{elven: {titel: x}}", "heartbeats[0].send.elven.titel", "unknown field"),
        ("[elven]", '{elven: {title: "{{ label.x }}"}}', "heartbeats[0].send.elven.title", "label"),
        ("[elven]", "[elven]\n    graec: 1m", "heartbeats[0].graec", "unknown key"),
        (
            "[elven]",
            "[elven]\n  - {name: watchdog, when: [a = b], every: 1m, send: [elven]}",
            "heartbeats[1].name",
            "a heartbeat of this name stands already on line",
        ),
        (
            "[elven]",
            "[elven]\npings: {a: {url: 'https://ping.example/a-secret', destinations: [evlen]}}",
            "pings.a.destinations[0]",
            'there is no destination "evlen"',
        ),
        ("[elven]", "[elven]\npings: {a: {every: 1m}}", "pings.a.url", "this secret is missing"),
        ("[elven]", "[elven]\npings: {a: {url: 'ftp://a-secret'}}", "pings.a.url", "expected a URL"),
    ],
)
def test_a_mistake_is_told_at_its_place(tmp_path: Path, was: str, now: str, place: str, problem: str) -> None:
    with pytest.raises(ConfigurationError) as raised:
        load(tmp_path, GOOD.replace(was, now))

    told = {one.field: one.problem for one in raised.value.problems}
    assert problem in told[place]
    assert "a-secret" not in str(raised.value)


def test_a_rule_for_what_a_heartbeat_takes_can_never_match(tmp_path: Path) -> None:
    rules = "rules: [{name: quiet, when: [alertname = Watchdog], drop: true}, {name: all, send: [elven]}]"
    with pytest.raises(ConfigurationError) as raised:
        load(tmp_path, rules=rules)

    (problem,) = raised.value.problems
    assert 'rule "heartbeat watchdog"' in problem.problem
    assert problem.remedy == "narrow that one, or remove this rule: heartbeats come before all rules"


def test_two_heartbeats_may_share_their_beats(tmp_path: Path) -> None:
    other = "  - {name: later, when: [alertname = Watchdog], every: 1h, send: [elven]}\n"

    assert len(load(tmp_path, GOOD + other).rulebook.heartbeats) == 2


def test_a_rule_cannot_have_the_name_of_a_heartbeats_own(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="rename the rule: this name is built in"):
        load(tmp_path, rules='rules: [{name: "heartbeat watchdog", send: [elven]}]')


def test_no_source_is_called_as_alertbridge_itself(tmp_path: Path) -> None:
    main = """
sources: {alertbridge: {type: alertmanager}}
destinations: {elven: {type: elven, url: "https://elven.example/token"}}
"""
    with pytest.raises(ConfigurationError, match="call the source otherwise"):
        configure(tmp_path, "rules: [{name: all, send: [elven]}]", main)


@pytest.mark.parametrize(
    ("was", "now", "problem"),
    [
        ("every: 1m", "every: 1m\n    grace: 0s", "a beat that comes a moment late counts as silence"),
        ("alertname = Watchdog", "source = prdo", 'there is no source "prdo"'),
    ],
)
def test_what_is_probably_not_meant_is_warned_of(tmp_path: Path, was: str, now: str, problem: str) -> None:
    assert [one.problem for one in load(tmp_path, GOOD.replace(was, now)).warnings] == [problem]


def test_a_named_template_that_only_a_heartbeat_uses_is_used(tmp_path: Path) -> None:
    send = '{elven: {title: "{{ templates.silence }}"}}'
    templates = 'templates: {silence: "{{ labels.heartbeat }} is silent"}'

    assert load(tmp_path, GOOD.replace("[elven]", send) + templates).warnings == ()
