from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from alertbridge.cli.comparison.differences import Group, Kind
from alertbridge.cli.comparison.review import Review
from alertbridge.cli.comparison.tally import Counted
from alertbridge.cli.comparison.touched import Watch
from alertbridge.model import Event
from alertbridge.parts import bridge
from alertbridge.pipeline import Bridge
from tests.support.configuration import MAIN, configure
from tests.support.payloads import captured

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)
PAYMENTS = "{name: payments, when: [team = payments], send: [elven]}"
REST = "{name: rest, send: [elven]}"
Make = Callable[..., Bridge]


@pytest.fixture
def make(tmp_path: Path) -> Make:
    """A bridge with these rules, each written as on one line."""
    number = 0

    def made(*rules: str, main: str = MAIN) -> Bridge:
        nonlocal number
        number += 1
        folder = tmp_path / str(number)
        folder.mkdir()
        return bridge(configure(folder, "\nrules:\n" + "".join(f"  - {one}\n" for one in rules), main))

    return made


def said(*alerts: Mapping[str, Any], source: str = "prod", event: str = "e1") -> Event:
    body = {"alerts": [{"status": "firing", "startsAt": "2026-01-01T11:00:00Z", **one} for one in alerts]}
    return Event(event, source, NOON, json.dumps(body).encode())


def reviewed(current: Bridge, new: Bridge, *events: Event, gone: frozenset[str] = frozenset()) -> Review:
    review = Review(current=current, new=new, gone=gone, watch=Watch(()))
    for event in events:
        review.hear(event)
    return review


def alert(**labels: str) -> dict[str, Any]:
    return {"labels": {"alertname": "Down", **labels}}


PAID = alert(team="payments", severity="critical", service="checkout")


def hivel(fields: str) -> str:
    return f"{{name: rest, send: {{hivel: {fields}}}}}"


def elven(fields: str = "", rule: str = "") -> str:
    return f"{{name: rest, {rule} send: {{elven: {{{fields}}}}}}}"


@pytest.mark.parametrize(
    ("before", "after", "expected"),
    [
        ([PAYMENTS], [PAYMENTS.replace("name: p", "name: p2p")], [Group(Kind.RULE, before="payments", after="p2payments")]),
        ([PAYMENTS], ["{name: noise, drop: true}"], [Group(Kind.DROPPED, before="payments", after="noise")]),
        (["{name: noise, drop: true}"], [REST], [Group(Kind.UNDROPPED, before="noise", after="rest")]),
        ([REST], ["{name: rest, when: [team = infra], send: [elven]}"], [Group(Kind.UNMATCHED, before="rest")]),
        (["{name: rest, when: [team = infra], send: [elven]}"], [REST], [Group(Kind.MATCHED, after="rest")]),
        (
            ["{name: a, drop: true}"],
            ["{name: a, when: [team = infra], send: [elven]}"],
            [Group(Kind.UNMATCHED, before="a")],
        ),
        (["{name: a, send: [elven]}"], ["{name: a, send: [elven, hivel]}"], [Group(Kind.ADDED, "hivel")]),
        (["{name: a, send: [elven, hivel]}"], ["{name: a, send: [hivel]}"], [Group(Kind.REMOVED, "elven")]),
        ([elven()], [elven(rule='key: "{{ labels.team }}",')], [Group(Kind.KEY, "elven")]),
        ([elven()], [elven("severity: low")], [Group(Kind.SEVERITY, "elven", "", "critical", "low")]),
        ([elven()], [elven(rule="service: shop,")], [Group(Kind.SERVICE, "elven"), Group(Kind.FIELD, "elven", "title")]),
        (
            [elven()],
            [elven(rule="reopen_window: 10m, resend: never, unknown_resolved: ignore, min_duration: 1m,")],
            [
                Group(Kind.OPTION, "elven", "min_duration", "0s", "1m"),
                Group(Kind.OPTION, "elven", "reopen_window", "0s", "10m"),
                Group(Kind.OPTION, "elven", "resend", "severity", "never"),
                Group(Kind.OPTION, "elven", "unknown_resolved", "send", "ignore"),
            ],
        ),
        ([elven()], [elven('title: "{{ labels.team }}"')], [Group(Kind.FIELD, "elven", "title")]),
        ([hivel("")], [hivel("{pr_number: none}")], [Group(Kind.FIELD, "hivel", "pr_number"), Group(Kind.HELD, "hivel", "", "", "pr_number")]),
        (
            [elven("title: x")],
            [elven('title: "{{ 1 // (labels.team | length - 8) }}"')],
            [Group(Kind.FAILURE, "", "rest: send.elven.title"), Group(Kind.FIELD, "elven", "title")],
        ),
        (
            [elven('severity: "{{ labels.team }}"')],
            [elven('severity: "{{ labels.team }}s"')],
            [],
        ),
        ([REST, PAYMENTS.replace("when: [team = payments]", "")][:1], [REST], []),
    ],
)  # fmt: skip
def test_what_differs_is_told_and_nothing_else(
    make: Make, before: list[str], after: list[str], expected: list[Group]
) -> None:
    review = reviewed(make(*before), make(*after), said(PAID))

    found = [one.group for one in review.tally.groups()]
    assert sorted(found, key=repr) == sorted(expected, key=repr)
    assert review.tally.changed == bool(expected)


def test_a_change_of_key_and_severity_is_not_told_again_as_fields_of_the_message(make: Make) -> None:
    new = make(elven("severity: low", rule='key: "{{ labels.team }}",'))

    kinds = {one.group.kind for one in reviewed(make(REST), new, said(PAID)).tally.groups()}

    assert kinds == {Kind.KEY, Kind.SEVERITY}


def test_keys_are_counted_before_and_after_with_both_in_the_examples(make: Make) -> None:
    several = [alert(team="payments", instance=str(number)) for number in range(5)]

    (one,) = reviewed(
        make(elven()), make(elven(rule='key: "{{ labels.team }}",')), said(*several)
    ).tally.groups()

    assert (one.alerts, one.keys) == (5, (5, 1))
    assert len(one.examples) == 3
    assert {example.after for example in one.examples} == {"payments"}
    assert len({example.before for example in one.examples}) == 3


def test_alerts_of_two_keys_at_one_destination_are_paired_by_their_keys(make: Make) -> None:
    first, second = "{name: a, continue: true, key: a, send: [elven]}", "{name: b, key: b, send: [elven]}"
    third = "{name: b, key: c, send: [elven]}"

    (one,) = reviewed(make(first, second), make(first, third), said(PAID)).tally.groups()

    assert (one.group.kind, one.examples[0].before, one.examples[0].after) == (Kind.KEY, "b", "c")


def test_an_alert_is_counted_once_however_often_it_is_heard(make: Make) -> None:
    events = [said(PAID, event=str(number)) for number in range(5)]
    resolved = said({**PAID, "status": "resolved", "endsAt": "2026-01-01T11:30:00Z"})

    review = reviewed(make(REST), make(PAYMENTS), *events, resolved)

    assert (review.events, review.tally.alerts, review.tally.changed) == (6, 1, 1)
    assert [one.alerts for one in review.tally.groups()] == [1]


def test_what_an_alert_says_later_is_compared_too(make: Make) -> None:
    new = make(elven('title: "{{ annotations.summary }}!"'))
    once = {**PAID, "annotations": {}}

    quiet = reviewed(
        make(elven('title: "{{ annotations.summary }}{{ annotations.excited }}"')), new, said(once)
    )
    assert [one.group.name for one in quiet.tally.groups()] == ["title"]

    same = make(elven("title: \"{{ annotations.summary or '!' }}\""))
    both = reviewed(same, new, said(once), said({**PAID, "annotations": {"summary": "x"}}))
    assert [(one.alerts, one.examples[0].after) for one in both.tally.groups()] == [(1, "x!")]


def test_the_alerts_of_a_source_that_goes_are_told_as_such(make: Make) -> None:
    review = reviewed(make(REST), make(REST), said(PAID), gone=frozenset(["prod"]))

    assert [one.group for one in review.tally.groups()] == [Group(Kind.SOURCE, name="prod")]


def test_an_event_that_cannot_be_read_is_counted_and_the_others_are_compared(make: Make) -> None:
    broken = Event("e0", "prod", NOON, b"{")

    review = reviewed(
        make(REST), make(REST), broken, broken, said(PAID), said(PAID, source="old", event="e9")
    )

    assert (review.events, review.tally.alerts) == (4, 1)
    assert {name: (one.events, one.example) for name, one in review.unread.items()} == {
        "prod": (2, "e0"),
        "old": (1, "e9"),
    }
    assert "not JSON" in review.unread["prod"].reason
    assert "not in the current configuration" in review.unread["old"].reason


def test_what_was_left_out_of_notifications_is_counted(make: Make) -> None:
    review = reviewed(make(REST), make(REST), Event("e", "prod", NOON, captured("10")))

    assert review.truncated > 0


# Properties

TEAMS, SEVERITIES = ("payments", "infra", ""), ("critical", "page", "low", "")
ALERTS = st.lists(
    st.builds(
        lambda team, severity, instance, status: {
            **alert(team=team, severity=severity, instance=instance),
            "status": status,
        },
        st.sampled_from(TEAMS),
        st.sampled_from(SEVERITIES),
        st.sampled_from("abc"),
        st.sampled_from(["firing", "resolved"]),
    ),
    max_size=8,
)
RULES = {
    "drop": "{name: noise, when: [severity = low], drop: true}",
    "both": "{name: both, continue: true, when: [team =~ .+], key: '{{ labels.team }}', send: [elven, hivel]}",
    "texts": "{name: texts, when: [severity = page], send: {elven: {title: '{{ labels.instance }}', severity: high}}}",
    "fails": "{name: fails, when: [team = infra], send: {elven: {title: '{{ 1 // 0 }}'}}}",
    "rest": "{name: rest, send: [elven]}",
}
CHOICES = st.lists(st.sampled_from([*RULES][:-1]), unique=True, max_size=4).map(lambda some: (*some, "rest"))


@pytest.fixture(scope="module")
def books(tmp_path_factory: pytest.TempPathFactory) -> Callable[[tuple[str, ...]], Bridge]:
    made: dict[tuple[str, ...], Bridge] = {}

    def book(names: tuple[str, ...]) -> Bridge:
        if names not in made:
            rules = "\nrules:\n" + "".join(f"  - {RULES[name]}\n" for name in names)
            made[names] = bridge(configure(tmp_path_factory.mktemp("book"), rules))
        return made[names]

    return book


@settings(deadline=None)
@given(names=CHOICES, heard=st.lists(ALERTS, max_size=4))
def test_a_configuration_does_not_differ_from_itself(
    books: Callable[[tuple[str, ...]], Bridge], names: tuple[str, ...], heard: list[list[dict[str, Any]]]
) -> None:
    review = reviewed(books(names), books(names), *(said(*alerts) for alerts in heard))

    assert review.tally.groups() == ()
    assert review.tally.changed == 0


@settings(deadline=None)
@given(names=st.tuples(CHOICES, CHOICES), heard=st.lists(ALERTS, max_size=4))
def test_the_counts_add_up_to_the_alerts_that_were_heard(
    books: Callable[[tuple[str, ...]], Bridge],
    names: tuple[tuple[str, ...], tuple[str, ...]],
    heard: list[list[dict[str, Any]]],
) -> None:
    before, after = (books(each) for each in names)
    tally = reviewed(before, after, *(said(*alerts) for alerts in heard)).tally

    groups = tally.groups()
    alone = [
        reviewed(before, after, said(one)).tally.changed
        for one in {str(one["labels"]): one for alerts in heard for one in alerts}.values()
    ]
    assert tally.alerts == len(alone)
    assert tally.changed == sum(alone)
    assert all(0 < one.alerts <= tally.changed for one in groups)
    assert sum(one.alerts for one in groups) >= tally.changed
    assert all(len(one.examples) == min(3, one.alerts) for one in groups)
    assert routes(groups) <= tally.changed


def routes(groups: tuple[Counted, ...]) -> int:
    """Whichever rules match is one thing for each alert."""
    kinds = (Kind.RULE, Kind.DROPPED, Kind.UNDROPPED, Kind.MATCHED, Kind.UNMATCHED)
    return sum(one.alerts for one in groups if one.group.kind in kinds)


def test_an_end_that_was_concluded_from_a_fingerprint_alone_is_compared_by_no_rule(make: Make) -> None:
    body = {"alerts": [{"status": "resolved", "labels": {}, "fingerprint": "f1"}]}
    event = Event("e1", "prod", NOON, json.dumps(body).encode(), inferred="absent on its peer")
    review = reviewed(make(PAYMENTS, REST), make(PAYMENTS), event)
    assert (review.events, review.tally.alerts, review.tally.groups()) == (1, 0, ())


OWNED = (
    MAIN
    + """
lookup: {owners: {file: ../owners.csv, by: team, missing: empty}}
"""
)
OWN = '{name: own, set: {labels: {owner: "{{ lookup.owners.owner }}"}}}'


def test_another_row_of_a_table_is_a_difference(make: Make, tmp_path: Path) -> None:
    table = tmp_path / "owners.csv"
    table.write_text("team,owner\npayments,ann\nweb,eve\n", encoding="utf-8")
    rest = elven("tags: {a: b}, description: x", 'key: "{{ labels.owner }}",')
    before = make(OWN, rest, main=OWNED)
    table.write_text("team,owner\npayments,bob\nweb,eve\n", encoding="utf-8")
    after = make(OWN, rest, main=OWNED)

    (one,) = reviewed(before, after, said(PAID, alert(team="web"))).tally.groups()

    assert (one.group, one.alerts) == (Group(Kind.KEY, "elven"), 1)
    assert (one.examples[0].before, one.examples[0].after) == ("ann", "bob")


def test_windows_count_at_the_time_at_which_an_event_was_received(make: Make) -> None:
    late = '{name: late, active: {hours: "HOURS"}, set: {annotations: {summary: late}}}'
    noon, night = (
        make(late.replace("HOURS", hours), elven("description: x"))
        for hours in ("12:00-13:00", "00:00-01:00")
    )

    found = {one.group.kind: one.group for one in reviewed(noon, night, said(PAID)).tally.groups()}

    assert (found[Kind.RULE].before, found[Kind.RULE].after) == ("late, rest", "rest")
    assert found[Kind.FIELD].name == "title"


def test_an_alert_that_becomes_a_beat_and_what_alertbridge_raises_itself_are_compared_too(make: Make) -> None:
    watched = MAIN + "heartbeats: [{name: watchdog, when: [team = ops], every: 1m, send: [elven]}]\n"
    missing = {"labels": {"alertname": "HeartbeatMissing", "heartbeat": "watchdog"}}
    current, new = make(REST), make(REST, main=watched)

    beat = reviewed(current, new, said(alert(team="ops")))
    own = reviewed(current, new, said(missing, source="alertbridge"))

    assert [one.group for one in beat.tally.groups()] == [
        Group(Kind.RULE, before="rest", after="heartbeat watchdog")
    ]
    assert [one.group for one in own.tally.groups()] == [Group(Kind.MATCHED, after="heartbeat watchdog")]
    assert own.unread == {}
