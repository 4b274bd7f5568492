"""What a peer's answers are read as."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from alertbridge.reconcile.answer import Told, Unknown, understand

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)
GRACE = timedelta(minutes=15)
# As Alertmanager 0.25.0 answers, shortened.
ALERT: dict[str, Any] = {
    "annotations": {"summary": "x"},
    "endsAt": "2026-01-01T12:04:45.077Z",
    "fingerprint": "6f40bd3242c6ff27",
    "receivers": [{"name": "bridge.x+y"}],
    "startsAt": "2026-01-01T11:43:45.077Z",
    "status": {"inhibitedBy": [], "silencedBy": [], "state": "active"},
    "updatedAt": "2026-01-01T11:43:45.077Z",
    "generatorURL": "http://prometheus.example/graph",
    "labels": {"alertname": "Boss", "severity": "page"},
}
STATUS: dict[str, Any] = {
    "cluster": {"name": "01M8", "peers": [], "status": "ready"},
    "config": {"original": "global: {}"},
    "uptime": "2026-01-01T10:00:00.088Z",
    "versionInfo": {"version": "0.25.0"},
}


def read(alerts: object = (ALERT,), status: object = STATUS) -> Told | Unknown:
    said = [one if isinstance(one, bytes) else json.dumps(one).encode() for one in (alerts, status)]
    return understand("am:9093", alerts=said[0], status=said[1], now=NOON, grace=GRACE)


def test_what_an_alertmanager_lists_is_read() -> None:
    answer = read()
    assert isinstance(answer, Told)
    alert = answer.alerts["6f40bd3242c6ff27"]
    assert (alert.active, alert.suppressed) == (True, False)
    assert alert.labels == {"alertname": "Boss", "severity": "page"}
    assert alert.annotations == {"summary": "x"}
    assert alert.receivers == {"bridge.x+y"}
    assert alert.starts_at == datetime(2026, 1, 1, 11, 43, 45, 77000, UTC)
    assert alert.generator_url == "http://prometheus.example/graph"


def test_what_newer_versions_add_is_passed_over() -> None:
    muted = {**ALERT, "status": {"state": "active", "mutedBy": []}, "new": 1}
    assert isinstance(read([muted]), Told)


@pytest.mark.parametrize("word", ["ready", "disabled"])
def test_a_peer_alone_or_in_a_cluster_counts(word: str) -> None:
    assert isinstance(read(status={**STATUS, "cluster": {"status": word}}), Told)


@pytest.mark.parametrize(
    ("alerts", "status", "reason"),
    [
        ([], {**STATUS, "cluster": {"status": "settling"}}, "its cluster is settling"),
        ([], {**STATUS, "uptime": "2026-01-01T11:59:00Z"}, "it is up for 60 s only, within grace"),
        ([], {**STATUS, "uptime": "2026-01-01T13:00:00Z"}, "it is up for 0 s only, within grace"),
        (
            [],
            {**STATUS, "uptime": "2026-01-01T10:00:00"},
            "its status is not that of an Alertmanager: uptime: unexpected",
        ),
        ([], {}, "its status is not that of an Alertmanager: uptime: missing"),
        ([], b"<html>", "its status is not that of an Alertmanager: not JSON"),
        ([], [], "its status is not that of an Alertmanager: unexpected"),
        (b"", STATUS, "its alerts are not those of an Alertmanager: not JSON"),
        ({}, STATUS, "its alerts are not those of an Alertmanager: unexpected"),
        (None, STATUS, "its alerts are not those of an Alertmanager: unexpected"),
        (
            [ALERT, {**ALERT, "fingerprint": ""}],
            STATUS,
            "its alerts are not those of an Alertmanager: 1.fingerprint: unexpected",
        ),
        (
            [{**ALERT, "labels": {"a": 1}}],
            STATUS,
            "its alerts are not those of an Alertmanager: 0.labels.a: unexpected",
        ),
        (
            [{**ALERT, "status": {}}],
            STATUS,
            "its alerts are not those of an Alertmanager: 0.status.state: missing",
        ),
    ],
)
def test_whatever_does_not_count_is_unknown_with_the_reason(
    alerts: object, status: object, reason: str
) -> None:
    assert read(alerts, status) == Unknown("am:9093", reason)


@given(st.binary(max_size=200), st.binary(max_size=200))
def test_garbage_is_unknown(alerts: bytes, status: bytes) -> None:
    assert isinstance(read(alerts, status), Unknown)


@given(st.recursive(st.none() | st.booleans() | st.text(max_size=5) | st.integers(), st.lists, max_leaves=5))
def test_any_json_in_the_place_of_an_alert_is_unknown(thing: object) -> None:
    assert isinstance(read([thing]), Unknown)
