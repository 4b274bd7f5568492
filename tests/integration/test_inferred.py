"""What was concluded and never heard: it takes the same way as everything else, and says so wherever it comes out."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from alertbridge.model import Event, instant
from alertbridge.store import inbox, listings
from alertbridge.store.listings import Wanted
from alertbridge.store.store import Store
from alertbridge.store.trace import trace
from tests.integration.test_pipeline import House
from tests.support.clock import ManualClock
from tests.support.stock import MINUTE

LABELS = {"alertname": "Down", "service": "checkout", "severity": "page"}
WHY = "absent on all peers for 15 min"
MARK = {"name": "inferred", "value": "true"}


@pytest.fixture
def house(store: Store, tmp_path: Path) -> House:
    return House(store, tmp_path, ManualClock())


def body(house: House, status: str, instance: str = "a") -> bytes:
    alert = {"status": status, "labels": {**LABELS, "instance": instance}}
    alert |= {"startsAt": "2026-01-01T11:50:00Z"}
    if status == "resolved":
        alert |= {"endsAt": instant(house.clock.now())}
    return json.dumps({"alerts": [alert]}).encode()


async def conclude(house: House, content: bytes) -> str:
    event = Event(house.new_id(), "prod", house.clock.now(), content, WHY)
    await house.store.write(lambda connection: inbox.conclude(connection, event))
    while await house.decider.run_once():
        pass
    return event.id


async def payload(house: House, action: str) -> dict[str, object]:
    (row,) = [row for row in await house.rows("deliveries") if row["action"] == action]
    found: dict[str, object] = json.loads(str(row["payload"]))
    return found


async def test_an_inferred_end_closes_the_incident_and_is_marked_in_what_is_said(house: House) -> None:
    await house.hear(body(house, "firing"))
    house.clock.advance(MINUTE)
    await conclude(house, body(house, "resolved"))

    assert MARK in (await payload(house, "resolved"))["tags"]  # type: ignore[operator]
    assert (await payload(house, "record"))["reported_by"] == "alertbridge/prod (end inferred)"
    assert MARK not in (await payload(house, "alarmed"))["tags"]  # type: ignore[operator]


async def test_an_inferred_end_is_marked_wherever_operators_look(house: House) -> None:
    await house.hear(body(house, "firing"))
    identifier = await conclude(house, body(house, "resolved"))

    event = await house.store.read(lambda connection: listings.find_event(connection, identifier))
    assert event is not None
    assert (event["inferred"], event["outcome"]) == (WHY, "decided")
    page = await house.store.read(lambda connection: listings.list_incidents(connection, Wanted()))
    assert [(one["inferred"], one["state"]) for one in page.items] == [(True, "closed")] * 2
    story = await house.store.read(lambda connection: trace(connection, identifier))
    assert story is not None
    assert {entry["inferred"] for entry in story["story"] if entry["what"] == "heard"} == {WHY, None}  # type: ignore[index, union-attr, call-overload]


async def test_an_alert_that_fires_again_is_not_inferred_any_more(house: House) -> None:
    house.use("rules: [{name: all, send: [elven], reopen_window: 1h}]")
    await house.hear(body(house, "firing"))
    house.clock.advance(MINUTE)
    await conclude(house, body(house, "resolved"))
    house.clock.advance(MINUTE)
    await house.hear(body(house, "firing").replace(b"11:50", b"12:02"))
    (incident,) = await house.rows("incidents")
    assert (incident["closed_at"], incident["inferred"]) == (None, 0)
    house.clock.advance(MINUTE)
    await house.hear(body(house, "resolved").replace(b"11:50", b"12:02"))
    (incident,) = await house.rows("incidents")
    assert (incident["closed_at"] is not None, incident["inferred"]) == (True, 0)


async def test_an_incident_of_which_one_end_was_inferred_says_so(house: House) -> None:
    house.use('rules: [{name: all, key: "{{ labels.alertname }}", send: [elven]}]')
    await house.hear(body(house, "firing", "a"), body(house, "firing", "b"))
    house.clock.advance(MINUTE)
    await conclude(house, body(house, "resolved", "a"))
    (incident,) = await house.rows("incidents")
    assert (incident["closed_at"], incident["inferred"]) == (None, 0)
    await house.hear(body(house, "resolved", "b"))
    (incident,) = await house.rows("incidents")
    assert (incident["closed_at"] is not None, incident["inferred"]) == (True, 1)


async def test_what_was_concluded_is_decided_in_its_turn(house: House) -> None:
    await house.accept(body(house, "firing"))
    event = Event(house.new_id(), "prod", house.clock.now(), body(house, "resolved"), WHY)
    await house.store.write(lambda connection: inbox.conclude(connection, event))
    while await house.decider.run_once():
        pass
    assert [action for _, action, _ in await house.outbox()] == ["alarmed", "resolved", "record"]
