"""Every recorded request body becomes the right alerts."""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from alertbridge.model import Alert, AlertStatus, Notification
from alertbridge.sources.alertmanager import Alertmanager, fingerprint

PAYLOADS = Path(__file__).parent.parent / "payloads" / "alertmanager"
INDEX: list[dict[str, Any]] = json.loads((PAYLOADS / "index.json").read_text())
RECEIVED = {entry["file"]: datetime.fromisoformat(entry["received_at"]) for entry in INDEX}


def read(start: str) -> Notification:
    (file,) = (file for file in RECEIVED if file.startswith(start))
    return Alertmanager().parse((PAYLOADS / file).read_bytes(), source="prod", received_at=RECEIVED[file])


def plainly(text: str) -> datetime:
    """RFC 3339 as Go writes it, read digit by digit instead of by the library."""
    parts = re.fullmatch(r"(\d+)-(\d+)-(\d+)T(\d+):(\d+):(\d+)(?:\.(\d+))?Z", text)
    assert parts is not None, text
    *units, fraction = parts.groups()
    year, month, day, hour, minute, second = (int(unit) for unit in units)
    return datetime(year, month, day, hour, minute, second, int(f"{fraction or '':0<6.6}"), tzinfo=UTC)


def expected(said: dict[str, Any], body: dict[str, Any]) -> Alert:
    resolved = said["status"] == "resolved"
    return Alert(
        source="prod",
        fingerprint=said["fingerprint"],
        status=AlertStatus.RESOLVED if resolved else AlertStatus.FIRING,
        labels=said["labels"],
        annotations=said["annotations"],
        starts_at=plainly(said["startsAt"]),
        ends_at=plainly(said["endsAt"]) if resolved else None,
        generator_url=said["generatorURL"],
        group=body["groupLabels"],
        external_url=body["externalURL"],
    )


def test_the_index_names_every_recorded_body() -> None:
    assert {path.name for path in PAYLOADS.glob("[0-9]*.json")} == set(RECEIVED)


@pytest.mark.parametrize("file", sorted(RECEIVED))
def test_a_recorded_body_is_read_as_it_stands(file: str) -> None:
    body = json.loads((PAYLOADS / file).read_text())

    notification = read(file)

    assert list(notification.alerts) == [expected(said, body) for said in body["alerts"]]
    assert notification.truncated == body["truncatedAlerts"]
    for alert in notification.alerts:
        for moment in (alert.starts_at, alert.ends_at):
            assert moment is None or (moment.tzinfo is UTC and moment <= RECEIVED[file])


@pytest.mark.parametrize("file", sorted(RECEIVED))
def test_the_fallback_fingerprint_is_the_one_alertmanager_computes(file: str) -> None:
    body = json.loads((PAYLOADS / file).read_text())

    assert [fingerprint(said["labels"]) for said in body["alerts"]] == [
        said["fingerprint"] for said in body["alerts"]
    ]


def test_in_a_partial_resolve_each_alert_has_its_own_status() -> None:
    web_1, web_2 = read("04").alerts

    assert (web_1.fingerprint, web_1.status) == ("bdc4a5686971790d", AlertStatus.RESOLVED)
    assert web_1.ends_at == datetime(2026, 11, 21, 19, 39, 17, 728000, tzinfo=UTC)
    assert (web_2.fingerprint, web_2.status, web_2.ends_at) == ("646bacc84fcf1060", AlertStatus.FIRING, None)


def test_an_alert_that_a_silence_hides_is_not_concluded_to_be_resolved() -> None:
    (alert,) = read("25").alerts

    assert alert.labels["instance"] == "web-1.example:8080"
    assert alert.status is AlertStatus.RESOLVED


def test_a_truncated_body_says_how_many_alerts_it_left_out() -> None:
    notification = read("36")

    assert len(notification.alerts) == 100
    assert notification.truncated == 400


def test_a_storm_is_read_whole() -> None:
    notification = read("35")

    assert len({alert.id for alert in notification.alerts}) == 500
    assert notification.truncated == 0


def test_blanks_and_unicode_in_labels_stay_as_they_are() -> None:
    assert [alert.labels["mountpoint"] for alert in read("17").alerts] == [
        "/",
        "/var/lib/data base",
        "/srv/ünï",
    ]


def test_a_resolve_by_timeout_keeps_microseconds_of_nine_digits() -> None:
    (alert,) = read("24").alerts

    assert alert.starts_at == datetime(2026, 11, 21, 19, 44, 33, 241771, tzinfo=UTC)
    assert alert.ends_at == alert.starts_at + timedelta(seconds=10)
    assert alert.generator_url == ""
