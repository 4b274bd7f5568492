from __future__ import annotations

from dataclasses import replace

import pytest

from alertbridge.cli.comparison.touched import (
    Ground,
    OpenIncident,
    Turn,
    Watch,
    stranded,
)
from alertbridge.model import AlertId, Intent, Reporting, Severity
from alertbridge.rules.rulebook import Plan

A, B = AlertId("prod", "a"), AlertId("staging", "b")
INCIDENT = OpenIncident("i1", "elven", "k", "rest", "high", "2026-01-01T12:00:00Z", (A, B))
BOTH = Ground({"prod": "alertmanager", "staging": "alertmanager"}, {"elven": "elven", "hivel": "hivel"})


def plan(*places: tuple[str, str], rule: str = "rest", dropped: bool = False) -> Plan:
    intents = tuple(Intent(to, Reporting.LIFECYCLE, key, rule, Severity.HIGH) for to, key in places)
    return Plan((rule,) if places or dropped else (), dropped, intents, {})


HERE = plan(("elven", "k"))


# Stranded


@pytest.mark.parametrize(
    ("new", "reasons"),
    [
        (BOTH, []),
        (replace(BOTH, destinations={"elven": "elven"}), []),
        (replace(BOTH, destinations={"hivel": "hivel"}), ["destination elven is gone"]),
        (replace(BOTH, destinations={"elven": "hivel"}), ["destination elven becomes another type"]),
        (replace(BOTH, sources={"prod": "alertmanager"}), ["source staging is gone: 1 of 2 alerts"]),
        (
            replace(BOTH, sources={**BOTH.sources, "prod": "grafana"}),
            ["source prod becomes another type: 1 of 2"],
        ),
        (Ground({}, {}), ["destination elven is gone", "source prod is gone", "source staging is gone"]),
    ],
)
def test_an_incident_is_stranded_where_nobody_can_be_told_or_nobody_can_say_that_it_is_over(
    new: Ground, reasons: list[str]
) -> None:
    found = [one for lost in stranded([INCIDENT], current=BOTH, new=new) for one in lost.reasons]

    assert len(found) == len(reasons)
    assert all(one.startswith(reason) for one, reason in zip(found, reasons, strict=True))


def test_what_is_stranded_already_is_not_laid_to_the_new_configuration() -> None:
    less = replace(BOTH, destinations={"hivel": "hivel"})

    (one,) = stranded([INCIDENT], current=less, new=less)
    assert one.already
    (one,) = stranded([INCIDENT], current=less, new=replace(less, sources={"prod": "alertmanager"}))
    assert not one.already
    assert not list(stranded([INCIDENT], current=less, new=BOTH))


# Re-keyed


@pytest.mark.parametrize(
    ("before", "after", "turn", "places"),
    [
        (HERE, HERE, None, ()),
        (HERE, plan(("elven", "k"), rule="renamed"), None, ()),
        (HERE, plan(("elven", "x"), ("elven", "k")), None, ()),
        (HERE, plan(("elven", "x")), Turn.REKEYED, (("elven", "x"),)),
        (HERE, plan(("elven", "x"), ("hivel", "y")), Turn.REKEYED, (("elven", "x"),)),
        (HERE, plan(("hivel", "y")), Turn.LEFT, (("hivel", "y"),)),
        (HERE, plan(), Turn.LEFT, ()),
        (HERE, plan(dropped=True), Turn.LEFT, ()),
        (HERE, plan(("elven", "k"), ("hivel", "y")), Turn.BESIDE, (("hivel", "y"),)),
        # The current rules have moved on since it opened, and the new ones change nothing about that.
        (plan(("elven", "x")), plan(("elven", "x")), None, ()),
        (plan(), plan(), None, ()),
        (plan(("elven", "x")), plan(("elven", "y")), Turn.REKEYED, (("elven", "y"),)),
        (plan(("elven", "x")), HERE, None, ()),
    ],
)
def test_an_incident_is_re_keyed_where_its_alerts_would_go_elsewhere_than_now(
    before: Plan, after: Plan, turn: Turn | None, places: tuple[tuple[str, str], ...]
) -> None:
    watch = Watch([INCIDENT])
    watch.hear(A, HERE, HERE)
    watch.hear(B, before, after)

    found = [(one.turn, one.alerts, one.places) for one in watch.rekeyed()]

    assert found == ([(turn, 1, places)] if turn else [])


def test_what_was_heard_last_is_what_counts_and_it_comes_first() -> None:
    watch = Watch([replace(INCIDENT, firing=(A,))])
    assert watch.misses(A)
    watch.hear(A, HERE, plan(("elven", "x")))
    watch.hear(A, HERE, HERE)

    assert not watch.missing
    assert [one.places for one in watch.rekeyed()] == [(("elven", "x"),)]


def test_nothing_is_concluded_of_alerts_that_no_stored_event_tells_of() -> None:
    watch = Watch([INCIDENT])
    watch.hear(A, HERE, HERE)

    assert watch.missing
    assert [(one.incident.id, one.alerts) for one in watch.unknown()] == [("i1", 1)]
    assert list(watch.rekeyed()) == []


def test_an_alert_with_incidents_at_two_destinations_gets_a_third_told_once() -> None:
    incidents = [replace(INCIDENT, firing=(A,)), replace(INCIDENT, id="i2", destination="hivel", firing=(A,))]
    both = (("elven", "k"), ("hivel", "k"))
    watch = Watch(incidents)
    watch.hear(A, plan(*both), plan(*both, ("pager", "p")))

    assert [(one.incident.id, one.turn) for one in watch.rekeyed()] == [("i1", Turn.BESIDE)]


def test_a_destination_where_the_alert_has_an_incident_already_opens_no_other() -> None:
    incidents = [replace(INCIDENT, firing=(A,)), replace(INCIDENT, id="i2", destination="hivel", firing=(A,))]
    watch = Watch(incidents)
    watch.hear(A, HERE, plan(("elven", "k"), ("hivel", "k")))

    assert list(watch.rekeyed()) == []
