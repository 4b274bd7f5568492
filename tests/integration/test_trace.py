from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from alertbridge.model import JSON, Action
from alertbridge.store.store import Store
from alertbridge.store.trace import trace
from tests.support.clock import NOON, ManualClock
from tests.support.stock import DECIDED, MINUTE, Stock


@pytest.fixture
def stock(store: Store) -> Stock:
    return Stock(store, ManualClock())


async def told(stock: Stock, asked: str) -> Any:
    return await stock.store.read(lambda connection: trace(connection, asked))


async def heard(
    stock: Stock, fingerprint: str, status: str, *effects: tuple[str, str], note: str = ""
) -> str:
    verdict: dict[str, JSON] = {
        "fingerprint": fingerprint,
        "status": status,
        "rules": ["payments"],
        "incidents": [{"id": incident, "effect": effect} for incident, effect in effects],
        "note": note,
    }
    return await stock.event(decided=replace(DECIDED, alerts=(verdict,)))


def steps(story: Any) -> list[str]:
    return [entry["what"] for entry in story["story"]]


async def test_of_what_nobody_knows_nothing_is_told(stock: Stock) -> None:
    await stock.incident()
    assert await told(stock, "nobody") is None


async def test_an_alert_without_an_incident_has_a_story_too(stock: Stock) -> None:
    await heard(stock, "f9", "firing", note="no rule matches")
    story = await told(stock, "f9")
    assert (story["incidents"], steps(story)) == ([], ["heard"])
    assert story["story"][0]["note"] == "no rule matches"
    assert await told(stock, "prod/f9") == {**story, "asked": "prod/f9"}
    assert await told(stock, "staging/f9") is None


async def test_an_event_that_says_nothing_of_an_alert_has_a_story_with_the_reason(stock: Stock) -> None:
    malformed = await stock.event(b"", malformed="the body is empty")
    story = await told(stock, malformed)
    assert (story["incidents"], steps(story), story["complete"]) == ([], ["received"], True)
    (entry,) = story["story"]
    assert (entry["event"], entry["outcome"], entry["error"]) == (malformed, "malformed", "the body is empty")
    waiting = await told(stock, await stock.event())
    assert [(one["what"], one["outcome"]) for one in waiting["story"]] == [("received", "received")]


async def test_a_delivery_about_a_deployment_has_a_story_though_it_has_no_incident(stock: Stock) -> None:
    told_of = await stock.delivery(incident="", destination="hivel", key="4711", action=Action.DEPLOYMENT)
    await stock.claim("hivel")
    story = await told(stock, told_of)
    assert (story["incidents"], steps(story)) == ([], ["said", "tried"])
    assert story["story"][0]["key"] == "4711"


async def test_a_fingerprint_that_is_part_of_another_is_not_taken_for_it(stock: Stock) -> None:
    await heard(stock, "f10", "firing", note="no rule matches")
    assert await told(stock, "f1") is None
    assert await told(stock, "f%") is None


async def test_an_incident_that_a_doubt_opened_says_so(stock: Stock) -> None:
    incident = await stock.incident()
    story = await told(stock, incident)
    (opened,) = story["story"]
    assert (opened["what"], opened["incident"], opened["at"]) == (
        "opened",
        incident,
        "2026-01-01T12:00:00Z",
    )


async def test_events_long_before_and_after_an_incident_are_not_its_story(stock: Stock) -> None:
    await heard(stock, "f1", "resolved")
    stock.clock.advance(timedelta(hours=2))
    now = stock.clock.now()
    incident = await stock.incident(opened_at=now, closed_at=now + MINUTE)
    event = await heard(stock, "f1", "firing", (incident, "opened"))
    stock.clock.advance(timedelta(hours=2))
    await heard(stock, "f1", "resolved", note="already resolved")

    for asked in (incident, event):
        assert [entry["event"] for entry in (await told(stock, asked))["story"]] == [event]
    assert len((await told(stock, "prod/f1"))["story"]) == 1, "a key before a fingerprint"
    assert len((await told(stock, "f1"))["story"]) == 3, "of an alert all that is kept"


async def test_a_message_its_attempts_and_their_ends_are_told_in_order(stock: Stock) -> None:
    incident = await stock.incident()
    await heard(stock, "f1", "firing", (incident, "opened"))
    delivery = await stock.delivery(incident=incident)
    stock.clock.advance(MINUTE)
    await stock.deliver()
    story = await told(stock, delivery)
    assert steps(story) == ["heard", "said", "tried"]
    said, tried = story["story"][1:]
    assert (said["id"], said["action"], said["payload"]) == (delivery, "alarmed", {"title": "Down"})
    assert "history" not in said
    assert (tried["at"], tried["delivery"], tried["outcome"], tried["status"]) == (
        "2026-01-01T12:01:00Z",
        delivery,
        "delivered",
        202,
    )


async def test_the_newest_incidents_of_a_key_are_told_and_that_there_are_more(stock: Stock) -> None:
    for _ in range(21):
        await stock.incident(closed_at=NOON)
    story = await told(stock, "prod/f1")
    assert [one["id"] for one in story["incidents"]][:2] == ["i21", "i20"]
    assert len(story["incidents"]) == 20
    assert not story["complete"]


async def test_an_incident_of_very_many_alerts_is_told_by_some_of_them(stock: Stock) -> None:
    members = [("prod", f"f{number:03}") for number in range(60)]
    incident = await stock.incident(members=members)
    for _, fingerprint in members:
        await heard(stock, fingerprint, "firing", (incident, "joined"))
    story = await told(stock, incident)
    assert steps(story).count("heard") == 50
    assert not story["complete"]
    assert (await told(stock, "f059"))["complete"]


async def test_an_event_without_incidents_is_a_story_of_its_own(stock: Stock) -> None:
    event = await heard(stock, "f9", "firing", note="dropped")
    stock.clock.advance(MINUTE)
    await heard(stock, "f9", "firing", note="dropped")
    story = await told(stock, event)
    assert [entry["event"] for entry in story["story"]] == [event]
    assert story["complete"]
