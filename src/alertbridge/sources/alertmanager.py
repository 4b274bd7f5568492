"""Prometheus Alertmanager: the body of its `webhook_configs`, version 4.

Every body is read twice, before it is acknowledged and when it is decided, so this goes straight from orjson to the
domain's values. Unknown fields are ignored, since newer versions add some; null stands for an absent field, as Go
writes an empty map.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import NamedTuple

import orjson

from alertbridge.errors import MalformedBody
from alertbridge.model import Alert, AlertStatus, Notification

_STATUSES = {status.value: status for status in AlertStatus}
_NAME_SHOWN = 60  # characters of a label name that an error repeats
_TRUNCATED_MOST = 2**63 - 1
_ARRAY_REMEDY = (
    "expected a JSON object, found an array, which is how Prometheus itself talks to an Alertmanager "
    "(POST /api/v2/alerts): list an Alertmanager under Prometheus' `alerting:`, and give this address as the "
    "`url` of a `webhook_configs` entry of that Alertmanager"
)


class _Surroundings(NamedTuple):
    """What all alerts of one body share."""

    source: str
    received_at: datetime
    group: Mapping[str, str]
    external_url: str


class Alertmanager:
    """Reads what Alertmanager posts to a webhook; keeps nothing between two bodies."""

    def parse(self, body: bytes, *, source: str, received_at: datetime) -> Notification:
        """The alerts of one notification, in body order, each with its own status.

        The group's status is not looked at: it is computed from what was left after truncation, silences and restarts.
        """
        document = _document(body)
        entries = document.get("alerts")
        if not isinstance(entries, list):
            raise MalformedBody("alerts", f"expected a list of alerts, found {_kind(entries)}")
        around = _Surroundings(
            source=source,
            received_at=received_at,
            group=_texts(document.get("groupLabels"), "groupLabels"),
            external_url=_text(document.get("externalURL"), "externalURL"),
        )
        alerts = []
        for index, entry in enumerate(entries):
            try:
                alerts.append(_alert(entry, around))
            except MalformedBody as error:
                place = f"alerts[{index}].{error.place}" if error.place else f"alerts[{index}]"
                raise MalformedBody(place, error.problem) from error
        receiver = document.get("receiver")
        return Notification(
            alerts=tuple(alerts),
            truncated=_truncated(document.get("truncatedAlerts")),
            receiver=receiver if isinstance(receiver, str) else "",
        )


def _document(body: bytes) -> dict[str, object]:
    """The JSON object that the body is."""
    if not body:
        raise MalformedBody(
            "", "the body is empty; expected the JSON object that Alertmanager posts to a webhook"
        )
    try:
        document = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise MalformedBody("", f"the body is not JSON: {error}") from error
    if isinstance(document, list):
        raise MalformedBody("", _ARRAY_REMEDY)
    if not isinstance(document, dict):
        raise MalformedBody("", f"expected a JSON object, found {_kind(document)}")
    return document


def _alert(entry: object, around: _Surroundings) -> Alert:
    """One alert; a place in an error is relative to it."""
    if not isinstance(entry, dict):
        raise MalformedBody("", f"expected an alert, found {_kind(entry)}")
    said = entry.get("status")
    status = _STATUSES.get(said) if isinstance(said, str) else None
    if status is None:
        found = "another text" if isinstance(said, str) else _kind(said)
        raise MalformedBody("status", f'expected "firing" or "resolved", found {found}')
    if entry.get("labels") is None:
        raise MalformedBody("labels", "expected a map of texts, found nothing")
    labels = _texts(entry["labels"], "labels")
    received_at = around.received_at
    starts_at = min(_instant(entry.get("startsAt"), "startsAt") or received_at, received_at)
    ends_at = None
    if status is AlertStatus.RESOLVED:
        ends_at = min(_instant(entry.get("endsAt"), "endsAt") or received_at, received_at)
        ends_at = max(ends_at, starts_at)
    return Alert(
        source=around.source,
        fingerprint=_text(entry.get("fingerprint"), "fingerprint") or fingerprint(labels),
        status=status,
        labels=labels,
        annotations=_texts(entry.get("annotations"), "annotations"),
        starts_at=starts_at,
        ends_at=ends_at,
        generator_url=_text(entry.get("generatorURL"), "generatorURL"),
        group=around.group,
        external_url=around.external_url,
    )


def fingerprint(labels: Mapping[str, str]) -> str:
    """The hash that Prometheus and Alertmanager give this label set: 64-bit FNV-1a in 16 hexadecimal digits.

    Versions before 0.19 do not send it.
    """
    digest = 0xCBF29CE484222325
    for byte in b"".join(b"%b\xff%b\xff" % (name.encode(), labels[name].encode()) for name in sorted(labels)):
        digest = (digest ^ byte) * 0x100000001B3 & 0xFFFFFFFFFFFFFFFF
    return f"{digest:016x}"


def _instant(value: object, place: str) -> datetime | None:
    """The instant in UTC, cut to microseconds; None for Go's zero time (year 1) and for an absent value."""
    if value is None:
        return None
    if isinstance(value, str):
        try:
            moment = datetime.fromisoformat(value)
            if moment.tzinfo is not None:
                return moment.astimezone(UTC) if moment.year > 1 else None
        except (ValueError, OverflowError) as error:
            raise MalformedBody(
                place, "expected a time such as 2024-08-01T12:34:56Z, found another text"
            ) from error
        raise MalformedBody(
            place, "expected a time with an offset, such as 2024-08-01T12:34:56Z, found one without"
        )
    raise MalformedBody(place, f"expected a time such as 2024-08-01T12:34:56Z, found {_kind(value)}")


def _texts(value: object, place: str) -> Mapping[str, str]:
    if isinstance(value, dict):
        for name, text in value.items():
            if not isinstance(text, str):
                raise MalformedBody(f"{place}.{name[:_NAME_SHOWN]}", f"expected a text, found {_kind(text)}")
        return value
    if value is None:
        return {}
    raise MalformedBody(place, f"expected a map of texts, found {_kind(value)}")


def _text(value: object, place: str) -> str:
    if isinstance(value, str):
        return value
    if value is None:
        return ""
    raise MalformedBody(place, f"expected a text, found {_kind(value)}")


def _truncated(value: object) -> int:
    if value is None:
        return 0
    if isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= _TRUNCATED_MOST:
        return value
    raise MalformedBody("truncatedAlerts", f"expected how many alerts were left out, found {_kind(value)}")


def _kind(value: object) -> str:
    """What kind of JSON value this is, in a few words that repeat nothing of it."""
    match value:
        case None:
            return "nothing"
        case bool():
            return "true or false"
        case int() | float():
            return "a number"
        case str():
            return "a text"
        case list():
            return "a list"
        case _:
            return "a map"
