from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from alertbridge.errors import MalformedBody
from alertbridge.model import Alert, AlertStatus, Notification
from alertbridge.sources.alertmanager import Alertmanager

NOW = datetime(2026, 11, 21, 20, 0, 0, 123456, tzinfo=UTC)
EARLIER = datetime(2026, 11, 21, 19, 0, tzinfo=UTC)
ZERO = "0001-01-01T00:00:00Z"


def alert(**fields: Any) -> dict[str, Any]:
    return {"status": "firing", "labels": {"alertname": "Down"}, **fields}


def parse(body: Any) -> Notification:
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    return Alertmanager().parse(raw, source="prod", received_at=NOW)


def one(**fields: Any) -> Alert:
    (only,) = parse({"alerts": [alert(**fields)]}).alerts
    return only


def test_what_may_be_absent_has_a_default() -> None:
    assert parse({"alerts": [alert()]}) == Notification(
        (
            Alert(
                source="prod",
                fingerprint="6accfd3d0992a914",
                status=AlertStatus.FIRING,
                labels={"alertname": "Down"},
                annotations={},
                starts_at=NOW,
                ends_at=None,
            ),
        ),
        truncated=0,
    )


def test_null_stands_for_absent() -> None:
    nothing = dict.fromkeys(["annotations", "startsAt", "endsAt", "fingerprint", "generatorURL"])
    body = {"alerts": [alert(**nothing)], "groupLabels": None, "externalURL": None, "truncatedAlerts": None}

    assert parse(body) == parse({"alerts": [alert()]})


def test_unknown_fields_are_ignored() -> None:
    assert parse({"alerts": [alert(values=[1])], "version": 5, "routeLabels": {"a": 1}}) == parse(
        {"alerts": [alert()]}
    )


def test_a_notification_may_hold_no_alert() -> None:
    assert parse({"alerts": []}) == Notification(())


def test_an_alert_listed_twice_is_read_twice_in_order() -> None:
    body = {"alerts": [alert(status="resolved"), alert(), alert(status="resolved")]}

    assert [each.status.value for each in parse(body).alerts] == ["resolved", "firing", "resolved"]


def test_the_status_of_the_group_is_not_asked() -> None:
    assert parse({"status": "resolved", "alerts": [alert()]}).alerts[0].firing


@pytest.mark.parametrize("sent", ["", None])
def test_without_a_fingerprint_the_labels_in_any_order_make_one(sent: str | None) -> None:
    first = one(fingerprint=sent, labels={"a": "1", "b": "ü"})
    second = one(fingerprint=sent, labels={"b": "ü", "a": "1"})

    assert first.fingerprint == second.fingerprint
    assert first.fingerprint != one(labels={"a": "1", "b": "u"}).fingerprint
    assert first.fingerprint != one(labels={"a": "1b", "": "ü"}).fingerprint
    assert len(first.fingerprint) == 16


@pytest.mark.parametrize(
    ("text", "microsecond"),
    [
        ("19:00:00Z", 0),
        ("19:00:00.7Z", 700000),
        ("19:00:00.728Z", 728000),
        ("19:00:00.123456Z", 123456),
        ("19:00:00.1234567Z", 123456),
        ("19:00:00.999999999Z", 999999),
        ("21:00:00.5+02:00", 500000),
        ("13:30:00.000000001-05:30", 0),
        ("19:00:00+00:00", 0),
    ],
)
def test_times_of_any_precision_and_offset_become_utc(text: str, microsecond: int) -> None:
    started = one(startsAt=f"2026-11-21T{text}").starts_at

    assert started == EARLIER.replace(microsecond=microsecond)
    assert started.tzinfo is UTC


@pytest.mark.parametrize("zero", [ZERO, "0001-01-01T00:00:00+05:00", None])
def test_no_start_means_the_moment_of_receipt(zero: str | None) -> None:
    assert one(startsAt=zero).starts_at == NOW


def test_a_start_that_the_clocks_put_in_the_future_is_the_moment_of_receipt() -> None:
    assert one(startsAt="2026-11-21T20:00:07Z").starts_at == NOW


@pytest.mark.parametrize("said", [ZERO, "2026-11-21T19:30:00Z", "2026-11-21T21:00:00Z", "never", 7])
def test_a_firing_alert_has_no_end_whatever_is_said(said: Any) -> None:
    assert one(endsAt=said).ends_at is None


@pytest.mark.parametrize(
    ("said", "ended"),
    [
        ("2026-11-21T19:30:00Z", EARLIER + timedelta(minutes=30)),
        ("2026-11-21T21:00:00Z", NOW),
        ("2026-11-21T18:00:00Z", EARLIER),
        (ZERO, NOW),
        (None, NOW),
    ],
    ids=["in between", "in the future", "before the start", "zero", "absent"],
)
def test_a_resolved_alert_ends_between_its_start_and_the_moment_of_receipt(
    said: str | None, ended: datetime
) -> None:
    assert one(status="resolved", startsAt="2026-11-21T19:00:00Z", endsAt=said).ends_at == ended


MALFORMED: list[tuple[Any, str, str]] = [
    (b"", "", "the body is empty"),
    (b"{", "", "not JSON"),
    (b"alerts: []", "", "not JSON"),
    (b"\xff\xfe", "", "not JSON"),
    (b'{"alerts": [NaN]}', "", "not JSON"),
    (b'{"alerts": "\\ud800"}', "", "not JSON"),
    (b"[" * 100_000, "", "not JSON"),
    (b'{"alerts":' * 100_000, "", "not JSON"),
    ([alert()], "", "found an array, which is how Prometheus itself talks to an Alertmanager"),
    ([], "", "`webhook_configs`"),
    ("firing", "", "expected a JSON object, found a text"),
    (None, "", "expected a JSON object, found nothing"),
    ({}, "alerts", "expected a list of alerts, found nothing"),
    ({"alerts": {}}, "alerts", "expected a list of alerts, found a map"),
    ({"alerts": [alert(), 3]}, "alerts[1]", "expected an alert, found a number"),
    ({"alerts": [{}]}, "alerts[0].status", 'expected "firing" or "resolved", found nothing'),
    ({"alerts": [alert(status="Firing")]}, "alerts[0].status", "found another text"),
    ({"alerts": [alert(status=["firing"])]}, "alerts[0].status", "found a list"),
    ({"alerts": [{"status": "firing"}]}, "alerts[0].labels", "expected a map of texts, found nothing"),
    ({"alerts": [alert(labels=None)]}, "alerts[0].labels", "expected a map of texts, found nothing"),
    ({"alerts": [alert(labels=["a"])]}, "alerts[0].labels", "expected a map of texts, found a list"),
    ({"alerts": [alert(labels={"a": 1})]}, "alerts[0].labels.a", "expected a text, found a number"),
    ({"alerts": [alert(labels={"a": True})]}, "alerts[0].labels.a", "expected a text, found true or false"),
    ({"alerts": [alert(labels={"a" * 500: {}})]}, "alerts[0].labels." + "a" * 60, "found a map"),
    ({"alerts": [alert(annotations={"a": None})]}, "alerts[0].annotations.a", "found nothing"),
    ({"alerts": [alert(annotations="text")]}, "alerts[0].annotations", "found a text"),
    (
        {"alerts": [alert(), alert(startsAt="yesterday")]},
        "alerts[1].startsAt",
        "such as 2024-08-01T12:34:56Z",
    ),
    ({"alerts": [alert(startsAt="2024-08-01T12:34:56")]}, "alerts[0].startsAt", "with an offset"),
    ({"alerts": [alert(startsAt="2024-08-01")]}, "alerts[0].startsAt", "with an offset"),
    ({"alerts": [alert(startsAt="9999-12-31T23:59:59-05:00")]}, "alerts[0].startsAt", "expected a time"),
    ({"alerts": [alert(startsAt=1722515696)]}, "alerts[0].startsAt", "found a number"),
    ({"alerts": [alert(status="resolved", endsAt="soon")]}, "alerts[0].endsAt", "expected a time"),
    ({"alerts": [alert(fingerprint=7)]}, "alerts[0].fingerprint", "expected a text, found a number"),
    ({"alerts": [alert(generatorURL=[])]}, "alerts[0].generatorURL", "expected a text, found a list"),
    ({"alerts": [], "groupLabels": {"a": 1.5}}, "groupLabels.a", "expected a text, found a number"),
    ({"alerts": [], "externalURL": {}}, "externalURL", "expected a text, found a map"),
    ({"alerts": [], "truncatedAlerts": -1}, "truncatedAlerts", "how many alerts were left out"),
    ({"alerts": [], "truncatedAlerts": True}, "truncatedAlerts", "found true or false"),
    ({"alerts": [], "truncatedAlerts": "4"}, "truncatedAlerts", "found a text"),
    ({"alerts": [], "truncatedAlerts": 10**40}, "truncatedAlerts", "how many alerts were left out"),
    ({"alerts": [], "truncatedAlerts": 2**63}, "truncatedAlerts", "how many alerts were left out"),
]


@pytest.mark.parametrize(("body", "place", "problem"), MALFORMED)
def test_what_is_malformed_is_refused_with_place_and_problem(body: Any, place: str, problem: str) -> None:
    with pytest.raises(MalformedBody) as caught:
        parse(body)

    assert caught.value.place == place
    assert problem in caught.value.problem
    assert len(str(caught.value)) < 500


def test_of_a_key_given_twice_the_last_one_counts() -> None:
    (only,) = parse(b'{"alerts":[],"alerts":[{"status":"firing","labels":{"a":"1","a":"2"}}]}').alerts

    assert only.labels == {"a": "2"}


def is_sound(notification: Notification) -> bool:
    return notification.truncated >= 0 and all(
        each.starts_at <= NOW
        and each.starts_at.tzinfo is UTC
        and each.fingerprint != ""
        and (each.ends_at is None) is each.firing
        and (each.ends_at is None or each.starts_at <= each.ends_at <= NOW)
        for each in notification.alerts
    )


def read_or_refuse(body: bytes) -> None:
    try:
        notification = parse(body)
    except MalformedBody:
        return
    assert is_sound(notification)


@given(st.binary(max_size=300))
@example(b'{"alerts":' + b"[" * 5000)
@example(b"1" * 5000)
def test_any_bytes_are_read_or_refused(body: bytes) -> None:
    read_or_refuse(body)


JUNK = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=6,
)
TIMES = (
    st.datetimes(timezones=st.timezones()).map(lambda moment: moment.isoformat())
    | st.datetimes().map(lambda moment: f"{moment.isoformat()}789Z")
    | st.just(ZERO)
    | JUNK
)
TEXTS = st.dictionaries(st.text(max_size=5), st.text(max_size=5), max_size=3) | JUNK
ALERTS = st.fixed_dictionaries(
    {"status": st.sampled_from(["firing", "resolved"]) | JUNK, "labels": TEXTS},
    optional={"annotations": TEXTS, "startsAt": TIMES, "endsAt": TIMES, "fingerprint": st.text() | JUNK},
)
BODIES = st.fixed_dictionaries(
    {"alerts": st.lists(ALERTS, max_size=3) | JUNK},
    optional={"groupLabels": TEXTS, "externalURL": JUNK, "truncatedAlerts": st.integers() | JUNK},
)


@given(BODIES)
def test_anything_shaped_like_a_notification_is_read_or_refused(body: Any) -> None:
    read_or_refuse(json.dumps(body).encode())


GOOD_TIMES = st.datetimes(min_value=datetime(2, 1, 2), timezones=st.just(UTC))  # noqa: DTZ001 - hypothesis wants it naive


@given(starts=GOOD_TIMES, ends=GOOD_TIMES, status=st.sampled_from(["firing", "resolved"]))
def test_no_instant_lies_after_the_receipt_or_an_end_before_its_start(
    starts: datetime, ends: datetime, status: str
) -> None:
    notification = parse(
        {"alerts": [alert(status=status, startsAt=starts.isoformat(), endsAt=ends.isoformat())]}
    )

    assert is_sound(notification)
    assert notification.alerts[0].starts_at == min(starts, NOW)
