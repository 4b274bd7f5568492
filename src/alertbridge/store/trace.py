"""The whole story of one alert, put together from all that is kept: what was heard, said, tried, and done by hand.

Read-only, on one consistent view. Events are searched for what they say of an alert, within the time that the story
spans: that reads all events of that time.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, TypeAlias

from sqlalchemy import Connection, Text, cast, or_, select

from alertbridge.model import AlertId, instant
from alertbridge.store import listings
from alertbridge.store.listings import Item, Wanted
from alertbridge.store.schema import deliveries, events

Entry: TypeAlias = dict[str, Any]
_MOST_INCIDENTS = 20
_MOST_EVENTS = 500
_MOST_ALERTS = 50
_MARGIN = timedelta(
    hours=1
)  # an alert may have been heard of before its incident opened: doubted, or unmatched
_ORDER = ("received", "heard", "opened", "said", "tried", "operator")


@dataclass(frozen=True, slots=True)
class _Subject:
    """What is asked about: incidents, newest first, the alerts whose events are told, and from when until when.

    `received` is the event that was asked for, where it says nothing of any alert; `said` the delivery, where it is
    about a deployment and so of no incident.
    """

    incidents: Sequence[Entry]
    alerts: Sequence[AlertId]
    since: datetime | None = None
    until: datetime | None = None
    more: bool = False
    received: Sequence[Entry] = ()
    said: Sequence[Entry] = ()


def trace(connection: Connection, asked: str) -> Item | None:
    """The story of an incident's, delivery's or event's id, of a key, or of a fingerprint, also as `source/fingerprint`.

    None if nothing is known of it. `incidents` are the newest, at most 20; `story` is in the order of time; `complete`
    is false where there is more than is told.
    """
    subject = _subject(connection, asked)
    heard, more = _heard(connection, subject)
    if not (subject.incidents or heard or subject.received or subject.said):
        return None
    said = [*subject.said]
    said += [one for incident in subject.incidents for one in _said(connection, incident["id"])]
    story = [*subject.received, *heard, *_opened(subject.incidents, heard), *said]
    story += [attempt for one in said for attempt in _tried(one)]
    story += [one for incident in subject.incidents for one in _by_hand(connection, incident["id"])]
    story.sort(key=lambda entry: (entry["at"], _ORDER.index(entry["what"]), entry.get("id", "")))
    return {
        "asked": asked,
        "incidents": [*subject.incidents],
        "story": [*story],
        "complete": not (more or subject.more),
    }


def _subject(connection: Connection, asked: str) -> _Subject:
    """Ids first, then keys, then fingerprints: the first that names anything."""
    if (incident := listings.find_incident(connection, asked)) is not None:
        return _of_incidents([incident], more=False)
    if (delivery := listings.find_delivery(connection, asked)) is not None:
        incident = listings.find_incident(connection, str(delivery["incident"]))
        return _of_incidents([incident], more=False) if incident else _of_delivery(delivery)
    if (event := listings.find_event(connection, asked)) is not None:
        return _of_event(connection, event)
    of_key = listings.list_incidents(connection, Wanted(key=asked, limit=_MOST_INCIDENTS))
    if of_key.items:
        return _of_incidents(of_key.items, more=of_key.next is not None)
    source, slash, fingerprint = asked.rpartition("/")
    wanted = Wanted(source=source if slash else None, fingerprint=fingerprint, limit=_MOST_INCIDENTS)
    page = listings.list_incidents(connection, wanted)
    return _Subject(page.items, [AlertId(source, fingerprint)], more=page.next is not None)


def _of_incidents(found: Sequence[Entry], *, more: bool) -> _Subject:
    alerts = list(
        dict.fromkeys(AlertId(one["source"], one["fingerprint"]) for i in found for one in i["alerts"])
    )
    closings = [incident["closed_at"] for incident in found]
    over = closings and all(closings)
    return _Subject(
        incidents=found,
        alerts=alerts[:_MOST_ALERTS],
        since=min((datetime.fromisoformat(one["opened_at"]) - _MARGIN for one in found), default=None),
        until=max(map(datetime.fromisoformat, closings)) + _MARGIN if over else None,
        more=more or len(alerts) > _MOST_ALERTS,
    )


def _of_delivery(delivery: Entry) -> _Subject:
    return _Subject(incidents=[], alerts=[], said=[_to_say(delivery)])


def _of_event(connection: Connection, event: Entry) -> _Subject:
    """The alerts of one event, and the incidents that it had an effect on."""
    names = dict.fromkeys(effect["id"] for alert in event["alerts"] for effect in alert["incidents"])
    found = [listings.find_incident(connection, name) for name in list(names)[:_MOST_INCIDENTS]]
    moment = datetime.fromisoformat(event["received_at"])
    told = [AlertId(event["source"], alert["fingerprint"]) for alert in event["alerts"]]
    subject = _of_incidents([one for one in found if one], more=len(names) > _MOST_INCIDENTS)
    return _Subject(
        incidents=subject.incidents,
        alerts=told[:_MOST_ALERTS],
        since=min(subject.since or moment, moment),
        until=None if subject.incidents and subject.until is None else max(subject.until or moment, moment),
        more=subject.more or len(told) > _MOST_ALERTS,
        received=() if told else [_received(event)],
    )


def _received(event: Entry) -> Entry:
    """An event that says nothing of any alert: malformed, failed, not decided yet, or of no alert at all."""
    names = ("source", "rules_hash", "outcome", "error")
    return {
        "at": event["received_at"],
        "what": "received",
        "event": event["id"],
        **{name: event[name] for name in names},
    }


def _heard(connection: Connection, subject: _Subject) -> tuple[list[Entry], bool]:
    """What events said of the alerts, and whether there are more than are told: the newest are."""
    if not subject.alerts:
        return [], False
    text = cast(events.c.alerts, Text)
    columns = ("id", "source", "received_at", "decided_at", "rules_hash", "alerts", *listings.NOT_POSTED)
    query = (
        select(*(events.c[name] for name in columns))
        .where(or_(*(text.contains(alert.fingerprint, autoescape=True) for alert in subject.alerts)))
        .order_by(events.c.received_at.desc())
        .limit(_MOST_EVENTS + 1)
    )
    if subject.since is not None:
        query = query.where(events.c.received_at >= subject.since)
    if subject.until is not None:
        query = query.where(events.c.received_at <= subject.until)
    rows = connection.execute(query).all()
    return [entry for row in rows[:_MOST_EVENTS] for entry in _verdicts(row, subject.alerts)], len(
        rows
    ) > _MOST_EVENTS


def _verdicts(row: Any, alerts: Iterable[AlertId]) -> Iterator[Entry]:
    wanted = {alert.fingerprint for alert in alerts if alert.source in {"", row.source}}
    for verdict in row.alerts or []:
        if verdict["fingerprint"] in wanted:
            yield {
                "at": instant((row.replay_of and row.decided_at) or row.received_at),
                "what": "heard",
                "event": row.id,
                "source": row.source,
                "rules_hash": row.rules_hash,
                **{name: getattr(row, name) for name in listings.NOT_POSTED},
                **verdict,
            }


def _opened(found: Iterable[Entry], heard: Iterable[Entry]) -> Iterator[Entry]:
    """Incidents that no event which is told has opened: their doubt ran out, or that event is not kept any more."""
    explained = {
        effect["id"]
        for entry in heard
        for effect in entry["incidents"]
        if effect["effect"] in {"opened", "unknown"}
    }
    for incident in found:
        if incident["id"] not in explained:
            yield {
                "at": incident["opened_at"],
                "what": "opened",
                "incident": incident["id"],
                "destination": incident["destination"],
                "rule": incident["rule"],
                "rules_hash": incident["rules_hash"],
            }


def _said(connection: Connection, incident: str) -> Iterator[Entry]:
    """The deliveries of an incident, each with its attempts."""
    rows = connection.execute(
        select(deliveries.c.id).where(deliveries.c.incident == incident).order_by(deliveries.c.seq)
    )
    for row in rows.all():
        found = listings.find_delivery(connection, row.id)
        assert found is not None, "one view of the database"
        yield _to_say(found)


def _to_say(delivery: Entry) -> Entry:
    return {"at": delivery["created_at"], "what": "said", **delivery}


def _tried(delivery: Entry) -> Iterator[Entry]:
    """The attempts of a delivery, taken out of it."""
    for attempt in delivery.pop("history"):
        names = ("destination", "action", "incident")
        about = {"delivery": delivery["id"], **{name: delivery[name] for name in names}}
        yield {"at": attempt["started_at"], "what": "tried", **about, **attempt}


def _by_hand(connection: Connection, incident: str) -> Iterator[Entry]:
    for entry in listings.list_audit(connection, Wanted(incident=incident, limit=_MOST_EVENTS)).items:
        yield {"what": "operator", **entry}
