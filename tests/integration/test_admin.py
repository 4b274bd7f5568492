from __future__ import annotations

import re
from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any

import aiohttp
import orjson
import pytest
import pytest_asyncio
from sqlalchemy import event
from yarl import URL

from alertbridge.deliver.budget import RateLimit
from alertbridge.deliver.courier import Courier, Policy
from alertbridge.deliver.standing import Pause, Standing
from alertbridge.deployments.deployment import Deployment, Status
from alertbridge.model import JSON, Action, DeliveryState, EventOutcome, Secret, Severity
from alertbridge.operate.admin import Admin, Station
from alertbridge.operate.guard import Guard
from alertbridge.operate.health import Health
from alertbridge.operate.metrics_page import MetricsPage
from alertbridge.store import deployments, outbox
from alertbridge.store.dispatch import Result
from alertbridge.store.outbox import Posting
from alertbridge.store.store import Store
from tests.support.clock import NOON, ManualClock
from tests.support.stock import DAY, DECIDED, MINUTE, Stock, serving

POLICY = Policy(timeout=MINUTE, max_age=DAY)


@dataclass
class Desk:
    """The admin API over real HTTP, on a store that the test fills."""

    stock: Stock
    stations: dict[str, Station]
    client: aiohttp.ClientSession

    async def get(self, path: str, status: int = 200, /, **params: str) -> Any:
        async with self.client.get(f"/api/v1/{path}", params=params) as answer:
            body = await answer.read()
            assert answer.status == status, body
            kind = "application/json" if status == 200 else "application/problem+json"
            assert answer.content_type == kind
            return orjson.loads(body)

    async def ids(self, path: str, **params: str) -> list[str]:
        return [item["id"] for item in (await self.get(path, **params))["items"]]

    async def pages(self, path: str, **params: str) -> AsyncIterator[list[str]]:
        """The ids of every page; the caller may add rows between two of them."""
        page = await self.get(path, **params)
        yield [item["id"] for item in page["items"]]
        while page["next"] is not None:
            page = await self.get(path, **params, cursor=page["next"])
            yield [item["id"] for item in page["items"]]


def admin_of(
    stock: Stock,
    stations: dict[str, Station],
    *,
    token: Secret | None = None,
    loopback: bool = True,
) -> Admin:
    return Admin(
        store=stock.store, stations=stations, clock=stock.clock, guard=Guard(token=token, loopback=loopback)
    )


@pytest.fixture
def stock(store: Store) -> Stock:
    return Stock(store, ManualClock())


@pytest_asyncio.fixture
async def desk(stock: Stock) -> AsyncIterator[Desk]:
    stations: dict[str, Station] = {}
    async with serving(*admin_of(stock, stations).routes()) as client:
        yield Desk(stock, stations, client)


async def test_an_event_is_shown_with_what_became_of_its_alerts(desk: Desk) -> None:
    verdict: dict[str, JSON] = {
        "fingerprint": "f1",
        "status": "firing",
        "rules": ["payments"],
        "incidents": [{"id": "i01", "effect": "opened"}],
        "note": "",
    }
    await desk.stock.event(b'{"version":"4"}', decided=replace(DECIDED, truncated=3, alerts=(verdict,)))
    shown = {
        "id": "e01",
        "source": "prod",
        "received_at": "2026-01-01T12:00:00Z",
        "outcome": "decided",
        "alerts": [verdict],
        "rules_hash": "abc",
        "truncated": 3,
        "error": None,
        "inferred": None,
        "adopted": None,
        "by_hand": None,
        "replay_of": None,
        "body": '{"version":"4"}',
        "body_truncated": False,
    }
    assert await desk.get("events/e01") == shown
    assert await desk.get("events") == {"items": [shown], "next": None}


async def test_an_event_with_an_empty_body_is_listed_beside_the_others(desk: Desk) -> None:
    await desk.stock.event()
    await desk.stock.event(b"", malformed="the body is empty")
    empty, _ = (await desk.get("events"))["items"]
    assert (empty["body"], empty["body_truncated"]) == ("", False)
    assert (await desk.get(f"events/{empty['id']}"))["body"] == ""


async def test_an_event_that_is_not_decided_and_one_that_was_malformed_are_shown_too(desk: Desk) -> None:
    await desk.stock.event(b"{}")
    await desk.stock.event(b"\xff{", malformed="not JSON")
    malformed, received = (await desk.get("events"))["items"]
    assert (received["outcome"], received["alerts"], received["rules_hash"]) == ("received", [], None)
    assert (malformed["outcome"], malformed["error"], malformed["body"]) == (
        "malformed",
        "not JSON",
        "\ufffd{",
    )


async def test_a_large_body_is_cut_in_lists_and_whole_by_itself(desk: Desk) -> None:
    body = b"x" * 5000
    await desk.stock.event(body)
    await desk.stock.event(body[:4096])
    exact, large = (await desk.get("events"))["items"]
    assert (len(large["body"]), large["body_truncated"]) == (4096, True)
    assert (len(exact["body"]), exact["body_truncated"]) == (4096, False)
    whole = await desk.get("events/e01")
    assert (len(whole["body"]), whole["body_truncated"]) == (5000, False)
    exact, large = (await desk.get("events", body="whole"))["items"]
    assert (len(large["body"]), large["body_truncated"]) == (5000, False)
    assert (len(exact["body"]), exact["body_truncated"]) == (4096, False)


async def test_a_page_of_whole_bodies_ends_before_it_is_too_large(desk: Desk) -> None:
    for size in (1000, 3, 3_000_000, 2_000_000, 5_000_000):
        await desk.stock.event(b"x" * size)

    assert [page async for page in desk.pages("events")] == [["e05", "e04", "e03", "e02", "e01"]]
    assert [page async for page in desk.pages("events", body="whole")] == [
        ["e05"],
        ["e04"],
        ["e03", "e02", "e01"],
    ]


async def test_a_page_of_huge_events_ends_early_and_leaves_none_out(desk: Desk) -> None:
    verdict: dict[str, JSON] = {
        "fingerprint": "f",
        "status": "firing",
        "rules": [],
        "incidents": [],
        "note": "x" * 1000,
    }
    for number in (1, 1500, 1500, 1500, 5000, 1500):
        await desk.stock.event(decided=replace(DECIDED, alerts=(verdict,) * number))
    pages = [page async for page in desk.pages("events")]
    assert pages == [["e06"], ["e05"], ["e04", "e03"], ["e02", "e01"]]


async def test_an_open_incident_is_shown_with_its_present_severity_and_its_alerts(desk: Desk) -> None:
    await desk.stock.incident(
        severity=Severity.LOW, peak=Severity.CRITICAL, members=(("prod", "f2"), ("prod", "f1"))
    )
    alerts = [
        {
            "source": "prod",
            "fingerprint": name,
            "status": "firing",
            "starts_at": "2026-01-01T12:00:00Z",
            "ends_at": None,
            "inferred": False,
            "last_seen": "2026-01-01T12:00:00Z",
            "stale": False,
            "held": None,
        }
        for name in ("f1", "f2")
    ]
    shown = {
        "id": "i01",
        "key": "prod/f1",
        "destination": "elven",
        "rule": "payments",
        "rules_hash": "abc",
        "state": "open",
        "severity": "low",
        "opened_at": "2026-01-01T12:00:00Z",
        "closed_at": None,
        "service": "checkout",
        "inferred": False,
        "content": {
            "fields": {"title": "Down"},
            "origins": {"title": "rule"},
            "failures": {},
            "speaker": {"source": "prod", "fingerprint": "f1"},
        },
        "alerts": alerts,
        "digest": None,
        "folded": [],
    }
    assert await desk.get("incidents/i01") == shown
    assert await desk.get("incidents") == {"items": [shown], "next": None}


async def test_a_closed_incident_is_shown_with_the_highest_severity_it_reached(desk: Desk) -> None:
    await desk.stock.incident(severity=Severity.LOW, peak=Severity.CRITICAL, closed_at=NOON + MINUTE)
    shown = await desk.get("incidents/i01")
    assert (shown["state"], shown["severity"], shown["closed_at"]) == (
        "closed",
        "critical",
        "2026-01-01T12:01:00Z",
    )
    (alert,) = shown["alerts"]
    assert (alert["status"], alert["ends_at"]) == ("resolved", "2026-01-01T12:01:00Z")


async def test_the_alerts_of_all_listed_incidents_come_in_one_query(desk: Desk) -> None:
    for number in range(30):
        await desk.stock.incident(key=f"k{number}", members=(("prod", f"f{number}"), ("prod", "shared")))
    statements: list[str] = []
    event.listen(
        desk.stock.store._reading.sync_engine,
        "before_cursor_execute",
        lambda _connection, _cursor, statement, *_: statements.append(statement),
    )
    items = (await desk.get("incidents"))["items"]
    assert [len(item["alerts"]) for item in items] == [2] * 30
    assert len([statement for statement in statements if statement.startswith("SELECT")]) == 3, (
        "and their digests in another"
    )


async def test_a_delivery_is_shown_with_its_answer_and_by_itself_with_its_attempts(desk: Desk) -> None:
    stock = desk.stock
    await stock.delivery()
    (claim,) = await stock.claim()
    stock.clock.advance(timedelta(seconds=2))
    later = stock.clock.now() + MINUTE
    await stock.settle(claim, Result(DeliveryState.PENDING, "retry", "HTTP 500", later, status=500))
    stock.clock.advance(MINUTE)
    assert await stock.deliver() == ["d01"]
    shown = {
        "id": "d01",
        "incident": "i01",
        "destination": "elven",
        "key": "prod/f1",
        "action": "alarmed",
        "rules_hash": "abc",
        "severity": "high",
        "state": "delivered",
        "attempts": 2,
        "next_attempt_at": None,
        "last_outcome": "delivered",
        "last_error": None,
        "missing": [],
        "payload": {"title": "Down"},
        "response": {"status": 202, "body": "ok"},
        "reference": "r-1",
        "repeats": None,
        "created_at": "2026-01-01T12:00:00Z",
        "delivered_at": "2026-01-01T12:01:02Z",
    }
    history = [
        {
            "number": 1,
            "started_at": "2026-01-01T12:00:00Z",
            "finished_at": "2026-01-01T12:00:02Z",
            "outcome": "retry",
            "status": 500,
            "error": "HTTP 500",
        },
        {
            "number": 2,
            "started_at": "2026-01-01T12:01:02Z",
            "finished_at": "2026-01-01T12:01:02Z",
            "outcome": "delivered",
            "status": 202,
            "error": None,
        },
    ]
    assert await desk.get("deliveries") == {"items": [shown], "next": None}
    assert await desk.get("deliveries/d01") == {**shown, "history": history}


async def test_a_held_delivery_names_what_is_missing(desk: Desk) -> None:
    await desk.stock.delivery(state=DeliveryState.HELD, missing=("repo_url", "pr_number"))
    shown = await desk.get("deliveries/d01")
    assert (shown["state"], shown["missing"], shown["history"]) == ("held", ["repo_url", "pr_number"], [])


async def _one(stock: Stock, path: str) -> None:
    match path:
        case "events":
            await stock.event()
        case "incidents":
            await stock.incident(key=stock.new_id("e"))
        case _:
            await stock.delivery()


@pytest.mark.parametrize("path", ["events", "incidents", "deliveries"])
async def test_paging_leaves_nothing_out_and_says_nothing_twice_while_rows_are_added(
    desk: Desk, path: str
) -> None:
    for _ in range(7):
        await _one(desk.stock, path)
    seen = []
    async for page in desk.pages(path, limit="3"):
        seen.append(page)
        await _one(desk.stock, path)
    letter = path[0]
    assert seen == [[f"{letter}{n:02}" for n in numbers] for numbers in ((7, 6, 5), (4, 3, 2), (1,))]


@pytest.mark.parametrize("path", ["events", "incidents", "deliveries"])
async def test_a_last_page_that_is_full_says_that_it_is_the_last(desk: Desk, path: str) -> None:
    for _ in range(4):
        await _one(desk.stock, path)
    assert [len(page) async for page in desk.pages(path, limit="2")] == [2, 2]


async def test_a_list_shows_fifty_unless_told(desk: Desk) -> None:
    postings = [
        Posting(
            id=f"p{number}",
            incident="i",
            destination="elven",
            key="k",
            action=Action.ALARMED,
            rules_hash="abc",
            severity=Severity.HIGH,
            state=DeliveryState.PENDING,
            payload={},
            missing=(),
            due_at=NOON,
            received_at=NOON,
        )
        for number in range(501)
    ]
    await desk.stock.store.write(lambda connection: outbox.post(connection, postings, now=NOON))
    assert len(await desk.ids("deliveries")) == 50
    assert len(await desk.ids("deliveries", limit="500")) == 500


async def _mixed_events(stock: Stock) -> None:
    await stock.event(decided=DECIDED)
    stock.clock.advance(MINUTE)
    await stock.event(source="lab")
    await stock.event(malformed="no")
    await stock.event(decided=replace(DECIDED, outcome=EventOutcome.FAILED, error="broke"))


@pytest.mark.parametrize(
    ("params", "expected"),
    [
        ({"source": "lab"}, ["e02"]),
        ({"source": "nobody"}, []),
        ({"state": "decided"}, ["e01"]),
        ({"state": "received"}, ["e02"]),
        ({"state": "malformed"}, ["e03"]),
        ({"state": "failed"}, ["e04"]),
        ({"since": "2026-01-01T12:01:00Z"}, ["e04", "e03", "e02"]),
        ({"since": "2026-01-01T14:00:00.000001+02:00", "source": "prod"}, ["e04", "e03"]),
    ],
)
async def test_events_are_filtered(desk: Desk, params: dict[str, str], expected: list[str]) -> None:
    await _mixed_events(desk.stock)
    assert await desk.ids("events", **params) == expected


async def _mixed_incidents(stock: Stock) -> None:
    await stock.incident(closed_at=NOON)
    await stock.incident(destination="hivel", members=(("prod", "f2"), ("lab", "f1")))
    await stock.incident(key="k3", opened_at=NOON + MINUTE, members=(("lab", "f3"),))


@pytest.mark.parametrize(
    ("params", "expected"),
    [
        ({"state": "open"}, ["i03", "i02"]),
        ({"state": "closed"}, ["i01"]),
        ({"destination": "hivel"}, ["i02"]),
        ({"key": "prod/f1"}, ["i02", "i01"]),
        ({"source": "prod"}, ["i02", "i01"]),
        ({"source": "lab"}, ["i03", "i02"]),
        ({"fingerprint": "f1"}, ["i02", "i01"]),
        ({"fingerprint": "f1", "source": "prod"}, ["i01"]),
        ({"since": "2026-01-01T12:01:00Z"}, ["i03"]),
        ({"state": "open", "key": "prod/f1"}, ["i02"]),
    ],
)
async def test_incidents_are_filtered(desk: Desk, params: dict[str, str], expected: list[str]) -> None:
    await _mixed_incidents(desk.stock)
    assert await desk.ids("incidents", **params) == expected


async def _mixed_deliveries(stock: Stock) -> None:
    await stock.delivery()
    await stock.deliver()
    await stock.delivery(incident="i02", action=Action.RESOLVED, state=DeliveryState.SKIPPED)
    stock.clock.advance(MINUTE)
    await stock.delivery(destination="hivel", action=Action.RECORD, state=DeliveryState.HELD, missing=("a",))
    await stock.delivery(key="other")


@pytest.mark.parametrize(
    ("params", "expected"),
    [
        ({"state": "delivered"}, ["d01"]),
        ({"state": "held"}, ["d03"]),
        ({"destination": "elven"}, ["d04", "d02", "d01"]),
        ({"key": "other"}, ["d04"]),
        ({"incident": "i02"}, ["d02"]),
        ({"action": "record"}, ["d03"]),
        ({"since": "2026-01-01T12:01:00Z"}, ["d04", "d03"]),
        ({"destination": "elven", "state": "pending", "action": "alarmed"}, ["d04"]),
    ],
)
async def test_deliveries_are_filtered(desk: Desk, params: dict[str, str], expected: list[str]) -> None:
    await _mixed_deliveries(desk.stock)
    assert await desk.ids("deliveries", **params) == expected


async def test_filters_hold_on_every_page(desk: Desk) -> None:
    for number in range(6):
        await desk.stock.event(source=("prod", "lab")[number % 2])
    assert [page async for page in desk.pages("events", source="lab", limit="2")] == [["e06", "e04"], ["e02"]]


@pytest.mark.parametrize(
    ("path", "params", "parameter"),
    [
        ("events", {"colour": "red"}, "colour"),
        ("events", {"destination": "elven"}, "destination"),
        ("incidents", {"state": "held"}, "state"),
        ("deliveries", {"limit": "501"}, "limit"),
        ("deliveries", {"cursor": "nonsense"}, "cursor"),
        ("destinations", {"state": "ok"}, "state"),
        ("destinations", {"limit": "0"}, "limit"),
    ],
)
async def test_a_bad_query_is_answered_with_what_is_allowed(
    desk: Desk, path: str, params: dict[str, str], parameter: str
) -> None:
    said = await desk.get(path, 400, **params)
    assert (said["title"], said["parameter"]) == ("Bad query", parameter)
    assert said["allowed"]
    assert all(word in said["detail"] for word in (parameter, *said["allowed"]))


@pytest.mark.parametrize("path", ["events", "incidents", "deliveries", "destinations"])
async def test_an_unknown_id_is_not_found(desk: Desk, path: str) -> None:
    said = await desk.get(f"{path}/nobody", 404)
    assert said["detail"].startswith(f'"nobody" is not among the {path}')


async def test_what_is_not_unicode_in_a_request_is_no_internal_error(desk: Desk) -> None:
    for target, status in (("events/%ff", 404), ("deliveries?key=%ff%00", 200), ("events?%ff=%ff", 400)):
        async with desk.client.get(URL(f"/api/v1/{target}", encoded=True)) as answer:
            assert answer.status == status


def _station(courier: Courier) -> Station:
    return Station(courier=courier, type="elven")


async def test_a_destination_is_shown_with_its_work(desk: Desk) -> None:
    stock = desk.stock
    limit = RateLimit(requests=10, per=5 * MINUTE, burst=3)
    desk.stations["elven"] = _station(stock.courier("elven", policy=replace(POLICY, rate_limit=limit)))
    for key in ("a", "b", "c"):
        await stock.delivery(key=key)
        stock.clock.advance(timedelta(seconds=10))
    await stock.claim()
    await stock.delivery(state=DeliveryState.HELD, missing=("repo_url",))
    await stock.delivery(state=DeliveryState.DEAD)
    await stock.delivery(state=DeliveryState.SKIPPED)
    await stock.delivery(destination="another")
    shown = {
        "name": "elven",
        "type": "elven",
        "state": "ok",
        "reason": None,
        "detail": None,
        "resumes_at": None,
        "budget": 2,
        "allowed": 10,
        "concurrency": 4,
        "waiting": 3,
        "held": 1,
        "dead": 1,
        "oldest_seconds": 30.0,
    }
    assert await desk.get("destinations/elven") == shown
    assert await desk.get("destinations") == {"items": [shown], "next": None}


async def test_a_destination_without_work_and_limit_is_shown_with_zeros(desk: Desk) -> None:
    desk.stations["elven"] = _station(desk.stock.courier("elven"))
    shown = await desk.get("destinations/elven")
    assert (shown["budget"], shown["waiting"], shown["held"], shown["dead"]) == (None, 0, 0, 0)
    assert shown["oldest_seconds"] is None


async def test_a_paused_destination_says_why_and_until_when(desk: Desk) -> None:
    courier = desk.stock.courier("elven")
    courier.standing = Standing(Pause("unauthorized", "HTTP 401", NOON, NOON + MINUTE))
    desk.stations["elven"] = _station(courier)
    shown = await desk.get("destinations/elven")
    assert [shown[name] for name in ("state", "reason", "detail", "resumes_at")] == [
        "paused",
        "unauthorized",
        "HTTP 401",
        "2026-01-01T12:01:00Z",
    ]


async def test_destinations_are_paged_by_name(desk: Desk) -> None:
    for name in ("c", "a", "b"):
        desk.stations[name] = _station(desk.stock.courier(name))
    first = await desk.get("destinations", limit="2")
    rest = await desk.get("destinations", limit="2", cursor=first["next"])
    assert [item["name"] for item in first["items"] + rest["items"]] == ["a", "b", "c"]
    assert rest["next"] is None


TOKEN = Secret("admin-s3cret")
RIGHT = {"Authorization": "Bearer admin-s3cret"}
WRONG = {"Authorization": "Bearer wrong"}


@pytest.mark.parametrize(
    ("token", "loopback", "headers", "status"),
    [
        (TOKEN, False, RIGHT, 200),
        (TOKEN, True, RIGHT, 200),
        (TOKEN, False, WRONG, 401),
        (TOKEN, True, WRONG, 401),
        (TOKEN, True, {}, 401),
        (None, True, {}, 200),
        (None, True, WRONG, 200),
        (None, False, {}, 403),
        (None, False, RIGHT, 403),
    ],
)
async def test_every_admin_route_is_guarded(
    stock: Stock, token: Secret | None, *, loopback: bool, headers: dict[str, str], status: int
) -> None:
    await stock.event()
    await stock.incident()
    await stock.delivery()
    told = Deployment("ci/4711", "production", Status.SUCCESS, stock.clock.now(), service="checkout")
    await stock.store.write(lambda connection: deployments.put(connection, told, now=stock.clock.now()))
    stations = {"elven": _station(stock.courier("elven"))}
    routes = admin_of(stock, stations, token=token, loopback=loopback).routes()
    async with serving(*routes) as client:
        for route in routes:
            ids = {"events": "e01", "incidents": "i01", "deliveries": "d01", "destinations": "elven"}
            ids["deployments"] = "ci/4711"
            identifier = ids.get(route.path.split("/")[3], "")
            path = re.sub(r"\{id(:\.\+)?\}", identifier, route.path).replace("{asked:.+}", "i01")
            async with client.get(path, headers=headers) as answer:
                assert answer.status == status, path
                assert ("WWW-Authenticate" in answer.headers) is (status == 401)
    assert len(routes) == 12


async def test_health_and_metrics_are_open_to_everybody(stock: Stock) -> None:
    health = Health(dead=list)
    health.ready()
    courier = stock.courier("elven")
    page = MetricsPage(
        store=stock.store,
        couriers={"elven": courier},
        pulses=dict,
        clock=stock.clock,
        metrics=courier._metrics,
    )
    admin = admin_of(stock, {}, token=TOKEN, loopback=False)
    async with serving(*admin.routes(), *health.routes(), *page.routes()) as client:
        for target in ("/-/healthy", "/-/ready", "/metrics"):
            async with client.get(target) as answer:
                assert answer.status == 200
