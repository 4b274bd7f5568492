from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import aiohttp
import orjson
import pytest
import pytest_asyncio

from alertbridge.destinations.elven import Elven
from alertbridge.destinations.hivel import AuthHeader, Hivel
from alertbridge.model import Action, DeliveryState, Reporting, Secret
from alertbridge.operate.actions import Actions
from alertbridge.operate.admin import Admin
from alertbridge.operate.guard import OPERATOR, Guard
from alertbridge.store import dispatch
from alertbridge.store.dispatch import Result
from alertbridge.store.store import Store
from tests.support.clock import NOON, ManualClock
from tests.support.stock import DAY, DELIVERED, MINUTE, Stock, serving

HIVEL = Hivel(
    name="hivel",
    base_url="http://127.0.0.1:9",
    path="/record",
    token=Secret("hivel-s3cret"),
    auth_header=AuthHeader.X_API_TOKEN,
)
ELVEN = Elven(name="elven", url=Secret("http://127.0.0.1:9/elven/s3cret-token"))
REPOSITORY = "https://github.com/acme/checkout"
BOTH = ("repo_url", "pr_number")
REFUSED = Result(DeliveryState.DEAD, "rejected", "422: no", None)
NO_ANSWER = Result(DeliveryState.DEAD, "ambiguous", "no answer; given up", None)


@dataclass
class Hand:
    """An operator at the admin API, over real HTTP."""

    stock: Stock
    client: aiohttp.ClientSession
    woken: list[str]

    async def post(self, path: str, status: int = 200, /, **body: Any) -> Any:
        headers = {OPERATOR: "alice"}
        async with self.client.post(f"/api/v1/{path}", json=body, headers=headers) as answer:
            said = await answer.read()
            assert answer.status == status, said
            return orjson.loads(said)

    async def get(self, path: str) -> Any:
        async with self.client.get(f"/api/v1/{path}") as answer:
            return orjson.loads(await answer.read())

    async def delivery(self, identifier: str) -> Any:
        return await self.get(f"deliveries/{identifier}")

    async def held_record(self, *, reopening: timedelta | None = None) -> tuple[str, str]:
        """A finished incident at Hivel whose record lacks both what it is laid to."""
        until = None if reopening is None else NOON + reopening
        incident = await self.stock.incident(
            destination="hivel", closed_at=NOON, reopen_until=until, reporting=Reporting.RECORD
        )
        record = await self.stock.delivery(
            incident=incident,
            destination="hivel",
            action=Action.RECORD,
            state=DeliveryState.HELD,
            missing=BOTH,
        )
        return incident, record

    async def dead(self, action: Action = Action.ALARMED, key: str = "prod/f1") -> str:
        identifier = await self.stock.delivery(action=action, key=key)
        (claim,) = await self.stock.claim()
        await self.stock.settle(claim, REFUSED)
        return identifier


@pytest.fixture
def stock(store: Store) -> Stock:
    return Stock(store, ManualClock())


@pytest_asyncio.fixture
async def hand(stock: Stock) -> AsyncIterator[Hand]:
    woken: list[str] = []
    guard = Guard(token=None, loopback=True)
    actions = Actions(
        store=stock.store,
        destinations=lambda: {"hivel": HIVEL, "elven": ELVEN},
        wake=lambda: woken.append("woken"),
        clock=stock.clock,
        new_id=lambda: stock.new_id("d"),
        guard=guard,
    )
    admin = Admin(store=stock.store, stations={}, clock=stock.clock, guard=guard)
    async with serving(*actions.routes(), *admin.routes()) as client:
        yield Hand(stock, client, woken)


async def test_a_held_record_is_sent_once_both_are_said_however_they_are_written(hand: Hand) -> None:
    incident, record = await hand.held_record()
    left = await hand.post(
        f"incidents/{incident}/complete", repo_url="git@github.com:acme/checkout.git", pr_number="#44"
    )
    assert left == {
        "incident": incident,
        "destination": "hivel",
        "delivery": record,
        "state": "pending",
        "missing": [],
    }
    shown = await hand.delivery(record)
    assert (shown["payload"]["repo_url"], shown["payload"]["pr_number"]) == (REPOSITORY, "44")
    assert (shown["missing"], shown["last_error"], shown["next_attempt_at"]) == (
        [],
        None,
        "2026-01-01T12:00:00Z",
    )
    assert hand.woken
    assert await hand.stock.deliver("hivel") == [record]


async def test_what_is_said_in_two_steps_is_put_together(hand: Hand) -> None:
    incident, record = await hand.held_record()
    left = await hand.post(f"incidents/{incident}/complete", repo_url=REPOSITORY)
    assert (left["state"], left["missing"]) == ("held", ["pr_number"])
    assert (await hand.delivery(record))["last_error"] == "missing: pr_number"
    left = await hand.post(f"incidents/{incident}/complete", pr_number=44)
    assert (left["state"], left["missing"]) == ("pending", [])
    assert (await hand.delivery(record))["payload"]["repo_url"] == REPOSITORY


async def test_where_a_value_comes_from_stays_beside_it(hand: Hand) -> None:
    incident, _ = await hand.held_record()
    await hand.post(f"incidents/{incident}/complete", pr_number=44)
    content = (await hand.get(f"incidents/{incident}"))["content"]
    assert (content["fields"]["pr_number"], content["origins"]["pr_number"]) == ("44", "operator")
    assert content["origins"]["title"] == "rule"


async def test_an_incident_that_goes_on_keeps_what_is_said_for_its_record(hand: Hand) -> None:
    incident = await hand.stock.incident(destination="hivel", reporting=Reporting.RECORD)
    left = await hand.post(f"incidents/{incident}/complete", repo_url=REPOSITORY)
    assert (left["delivery"], left["state"], left["missing"]) == (None, None, ["pr_number"])
    content = (await hand.get(f"incidents/{incident}"))["content"]
    assert content["fields"]["repo_url"] == REPOSITORY


async def test_a_completed_record_still_waits_for_the_reopen_window(hand: Hand) -> None:
    incident, record = await hand.held_record(reopening=10 * MINUTE)
    await hand.post(f"incidents/{incident}/complete", repo_url=REPOSITORY, pr_number=44)
    assert await hand.stock.deliver("hivel") == []
    hand.stock.clock.advance(10 * MINUTE)
    assert await hand.stock.deliver("hivel") == [record]


async def test_a_record_that_was_held_too_long_can_still_be_completed(hand: Hand) -> None:
    incident, record = await hand.held_record()
    hand.stock.clock.advance(timedelta(days=8))
    now = hand.stock.clock.now()
    await hand.stock.store.write(
        lambda connection: dispatch.expire_held(connection, "hivel", now=now, hold_for=timedelta(days=7))
    )
    assert (await hand.delivery(record))["state"] == "dead"
    left = await hand.post(f"incidents/{incident}/complete", repo_url=REPOSITORY)
    assert (left["state"], left["missing"]) == ("dead", ["pr_number"])
    left = await hand.post(f"incidents/{incident}/complete", pr_number=44)
    assert left["state"] == "pending"
    (claim,) = await hand.stock.claim("hivel")
    assert claim.paused_for == timedelta(days=8)


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ({"pr_number": "9" * 23}, "pr_number: not the number of a pull request, such as 44"),
        ({"pr_number": "soon"}, "pr_number: not the number of a pull request, such as 44"),
        ({"repo_url": "checkout"}, "repo_url: not the address of a repository"),
        ({"repository": REPOSITORY}, "repository: not known here; known: repo_url, pr_number"),
        ({}, "nothing is said; send repo_url, pr_number or both"),
    ],
)
async def test_what_cannot_be_read_is_refused_by_its_field(
    hand: Hand, body: dict[str, str], said: str
) -> None:
    incident, record = await hand.held_record()
    answer = await hand.post(f"incidents/{incident}/complete", 400, **body)
    assert said in answer["detail"]
    assert (await hand.delivery(record))["state"] == "held"
    assert (await hand.get("audit"))["items"] == []


@pytest.mark.parametrize(
    ("route", "body", "said"),
    [
        ("incidents/i01/skip", {}, "reason: needed, and not there"),
        ("incidents/i01/skip", {"reason": " "}, "reason: must not be empty"),
        ("incidents/i01/skip", {"reason": "x" * 1001}, "reason: longer than 1000 characters"),
        ("incidents/i01/skip", {"reason": 7}, "reason: expected text"),
        ("deliveries/d01/retry", {"force": "perhaps"}, "force: expected true or false"),
        ("deliveries/d01/retry", {"reason": "x"}, "reason: not known here; known: force"),
    ],
)
async def test_what_is_wrong_with_a_request_is_said_in_plain_words(
    hand: Hand, route: str, body: dict[str, Any], said: str
) -> None:
    assert (await hand.post(route, 400, **body))["detail"] == said


async def test_a_body_that_is_no_object_is_refused(hand: Hand) -> None:
    for body, status in ((b"[]", 400), (b"{", 400), (b"x" * 70_000, 413)):
        async with hand.client.post("/api/v1/deliveries/d01/retry", data=body) as answer:
            assert answer.status == status


async def test_a_record_that_lacks_nothing_is_not_changed(hand: Hand) -> None:
    incident, record = await hand.held_record()
    await hand.post(f"incidents/{incident}/complete", repo_url=REPOSITORY, pr_number=44)
    await hand.stock.deliver("hivel")
    answer = await hand.post(f"incidents/{incident}/complete", 409, pr_number=45)
    assert answer["detail"] == "its record is delivered and lacks nothing"
    assert (await hand.delivery(record))["payload"]["pr_number"] == "44"
    content = (await hand.get(f"incidents/{incident}"))["content"]
    assert content["fields"]["pr_number"] == "44"


async def test_an_incident_at_a_destination_without_records_cannot_be_completed(hand: Hand) -> None:
    incident = await hand.stock.incident()
    answer = await hand.post(f"incidents/{incident}/complete", 409, pr_number=45)
    assert "elven takes no record" in answer["detail"]


async def test_a_record_is_skipped_with_a_reason(hand: Hand) -> None:
    incident, record = await hand.held_record()
    await hand.post(f"incidents/{incident}/skip", 400)
    left = await hand.post(f"incidents/{incident}/skip", reason="a drill")
    assert left["state"] == "skipped"
    assert (await hand.delivery(record))["last_error"] == "skipped by an operator: a drill"
    answer = await hand.post(f"incidents/{incident}/skip", 409, reason="again")
    assert answer["detail"] == "it is skipped already"


async def test_an_incident_without_a_record_has_nothing_to_skip(hand: Hand) -> None:
    incident = await hand.stock.incident(destination="hivel", reporting=Reporting.RECORD)
    assert "it has no record" in (await hand.post(f"incidents/{incident}/skip", 409, reason="x"))["detail"]


async def test_a_dead_message_is_sent_again_with_its_whole_time_before_it(hand: Hand) -> None:
    identifier = await hand.dead()
    hand.stock.clock.advance(timedelta(days=2))
    left = await hand.post(f"deliveries/{identifier}/retry")
    assert left["state"] == "pending"
    (claim,) = await hand.stock.claim()
    assert (claim.id, claim.attempt, claim.paused_for) == (identifier, 2, timedelta(days=2))


async def test_a_message_that_waits_for_another_try_is_due_at_once(hand: Hand) -> None:
    identifier = await hand.stock.delivery()
    (claim,) = await hand.stock.claim()
    later = NOON + 5 * MINUTE
    await hand.stock.settle(claim, Result(DeliveryState.PENDING, "retry", "503", later))
    assert await hand.stock.claim() == []
    await hand.post(f"deliveries/{identifier}/retry")
    assert [one.id for one in await hand.stock.claim()] == [identifier]


async def test_a_dead_message_is_not_sent_over_a_newer_one_of_its_key_unless_forced(hand: Hand) -> None:
    await hand.stock.delivery(incident="i00")
    await hand.stock.deliver()
    identifier = await hand.dead()
    await hand.stock.delivery(action=Action.RESOLVED)
    assert await hand.stock.deliver()
    answer = await hand.post(f"deliveries/{identifier}/retry", 409)
    assert "something newer was delivered on its key" in answer["detail"]
    assert (await hand.delivery(identifier))["state"] == "dead"
    assert (await hand.post(f"deliveries/{identifier}/retry", force=True))["state"] == "pending"


async def test_a_dead_alarm_whose_incident_is_over_is_not_sent_again_unless_forced(hand: Hand) -> None:
    identifier = await hand.dead()
    await hand.stock.delivery(action=Action.RESOLVED)
    assert await hand.stock.claim() == [], "nobody was told of it, so there is nothing to close"
    answer = await hand.post(f"deliveries/{identifier}/retry", 409)
    assert "was not worth saying any more" in answer["detail"]


@pytest.mark.parametrize("action", [Action.ALARMED, Action.RESOLVED])
async def test_what_was_decided_without_its_destination_is_composed_when_it_is_sent_again(
    hand: Hand, action: Action
) -> None:
    incident = await hand.stock.incident(closed_at=NOON)
    identifier = await hand.stock.delivery(
        incident=incident, action=action, state=DeliveryState.DEAD, payload={}
    )
    assert (await hand.post(f"deliveries/{identifier}/retry"))["state"] == "pending"
    payload = (await hand.delivery(identifier))["payload"]
    assert (payload["title"], payload["external_aggregate_key"]) == ("Down", "prod/f1")
    assert (payload["action"], payload["severity"]) == (action.value, "high")


async def test_a_record_decided_without_its_destination_is_held_for_what_it_lacks(hand: Hand) -> None:
    incident = await hand.stock.incident(destination="hivel", closed_at=NOON, reporting=Reporting.RECORD)
    record = await hand.stock.delivery(
        incident=incident, destination="hivel", action=Action.RECORD, state=DeliveryState.DEAD, payload={}
    )
    left = await hand.post(f"deliveries/{record}/retry")
    assert (left["state"], left["missing"]) == ("held", [*BOTH])
    await hand.post(f"incidents/{incident}/complete", repo_url=REPOSITORY, pr_number=44)
    assert await hand.stock.deliver("hivel") == [record]


async def test_a_record_that_is_held_by_a_retry_has_its_whole_time_to_be_completed(hand: Hand) -> None:
    incident = await hand.stock.incident(destination="hivel", closed_at=NOON, reporting=Reporting.RECORD)
    record = await hand.stock.delivery(
        incident=incident, destination="hivel", action=Action.RECORD, state=DeliveryState.DEAD, payload={}
    )
    hand.stock.clock.advance(8 * DAY)
    await hand.post(f"deliveries/{record}/retry")

    async def expire() -> int:
        now = hand.stock.clock.now()
        return await hand.stock.store.write(
            lambda connection: dispatch.expire_held(connection, "hivel", now=now, hold_for=7 * DAY)
        )

    assert await expire() == 0
    hand.stock.clock.advance(7 * DAY)
    assert await expire() == 1


async def test_what_was_never_composed_is_refused_while_its_destination_is_not_configured(hand: Hand) -> None:
    incident = await hand.stock.incident(destination="gone")
    identifier = await hand.stock.delivery(
        incident=incident, destination="gone", state=DeliveryState.DEAD, payload={}
    )
    answer = await hand.post(f"deliveries/{identifier}/retry", 409)
    assert answer["detail"] == (
        "destination gone is not configured, so nothing can be composed for it; "
        "add gone under destinations and reload, then try again"
    )
    assert (await hand.delivery(identifier))["state"] == "dead"


async def test_a_forced_alarm_of_what_is_over_is_followed_by_its_resolved(hand: Hand) -> None:
    incident = await hand.stock.incident(closed_at=NOON)
    alarm = await hand.dead()
    await hand.stock.delivery(incident=incident, action=Action.RESOLVED)
    assert await hand.stock.claim() == [], "nobody was told of it, so there is nothing to close"
    left = await hand.post(f"deliveries/{alarm}/retry", force=True)
    end = left["resolved_by"]
    assert await hand.stock.deliver() == [alarm]
    assert await hand.stock.deliver() == [end]
    payload = (await hand.delivery(end))["payload"]
    assert (payload["action"], payload["external_aggregate_key"]) == ("resolved", "prod/f1")
    assert await hand.stock.deliver() == []


async def test_a_resolved_that_is_dead_behind_its_alarm_is_sent_again_with_it(hand: Hand) -> None:
    incident = await hand.stock.incident(closed_at=NOON)
    alarm = await hand.dead()
    end = await hand.stock.delivery(incident=incident, action=Action.RESOLVED, state=DeliveryState.DEAD)
    left = await hand.post(f"deliveries/{alarm}/retry")
    assert left["resolved_by"] == end
    assert [await hand.stock.deliver() for _ in range(3)] == [[alarm], [end], []]


@pytest.mark.parametrize("action", [Action.ALARMED, Action.RESOLVED])
async def test_nothing_of_what_is_over_is_said_over_what_is_open_on_its_key_also_with_force(
    hand: Hand, action: Action
) -> None:
    incident = await hand.stock.incident(closed_at=NOON)
    identifier = await hand.stock.delivery(incident=incident, action=action, state=DeliveryState.DEAD)
    open_one = await hand.stock.incident()
    answer = await hand.post(f"deliveries/{identifier}/retry", 409, force=True)
    assert f"incident {open_one} is open on its key" in answer["detail"]


async def test_the_alarm_of_what_is_still_open_is_sent_again_by_itself(hand: Hand) -> None:
    await hand.stock.incident()
    alarm = await hand.dead()
    assert "resolved_by" not in await hand.post(f"deliveries/{alarm}/retry")
    assert [await hand.stock.deliver() for _ in range(2)] == [[alarm], []]


@pytest.mark.parametrize("force", [False, True])
async def test_a_dead_alarm_is_not_sent_again_while_its_end_is_under_way(hand: Hand, *, force: bool) -> None:
    incident = await hand.stock.incident(closed_at=NOON)
    alarm = await hand.stock.delivery(incident=incident)
    (attempt,) = await hand.stock.claim()
    await hand.stock.settle(attempt, NO_ANSWER)
    end = await hand.stock.delivery(incident=incident, action=Action.RESOLVED)
    (under_way,) = await hand.stock.claim()
    assert under_way.id == end, "it closes what may be open"
    answer = await hand.post(f"deliveries/{alarm}/retry", 409, force=force)
    assert "something newer is being sent on its key right now" in answer["detail"]
    other = await hand.stock.delivery(key="prod/f2")
    assert await hand.stock.deliver(most=4) == [other]
    await hand.stock.settle(under_way, REFUSED)
    assert (await hand.post(f"deliveries/{alarm}/retry", force=force))["resolved_by"] == end


async def test_what_was_delivered_on_another_key_is_no_hindrance(hand: Hand) -> None:
    identifier = await hand.dead()
    await hand.stock.delivery(action=Action.RESOLVED, key="prod/f2")
    await hand.stock.deliver()
    assert (await hand.post(f"deliveries/{identifier}/retry"))["state"] == "pending"


async def test_what_is_delivered_is_not_sent_again(hand: Hand) -> None:
    identifier = await hand.stock.delivery()
    (claim,) = await hand.stock.claim()
    assert "it is sending" in (await hand.post(f"deliveries/{identifier}/retry", 409))["detail"]
    assert (
        "being sent right now"
        in (await hand.post(f"deliveries/{identifier}/discard", 409, reason="x"))["detail"]
    )
    await hand.stock.settle(claim, DELIVERED)
    assert "it is delivered" in (await hand.post(f"deliveries/{identifier}/retry", 409))["detail"]
    assert (
        "it is delivered already"
        in (await hand.post(f"deliveries/{identifier}/discard", 409, reason="x"))["detail"]
    )


async def test_a_record_is_not_sent_while_its_incident_may_open_again(hand: Hand) -> None:
    incident, record = await hand.held_record(reopening=10 * MINUTE)
    await hand.post(f"incidents/{incident}/complete", repo_url=REPOSITORY, pr_number=44)
    said = await hand.post(f"deliveries/{record}/retry", 409)
    assert "may open again until 2026-01-01T12:10:00Z" in said["detail"]
    assert (await hand.delivery(record))["next_attempt_at"] == "2026-01-01T12:10:00Z"
    hand.stock.clock.advance(10 * MINUTE)
    assert (await hand.post(f"deliveries/{record}/retry"))["state"] == "pending"


async def test_a_held_record_cannot_be_sent_as_it_is(hand: Hand) -> None:
    _, record = await hand.held_record()
    answer = await hand.post(f"deliveries/{record}/retry", 409)
    assert answer["detail"] == "it is held for want of repo_url, pr_number; complete its incident instead"


@pytest.mark.parametrize("state", [DeliveryState.PENDING, DeliveryState.HELD, DeliveryState.DEAD])
async def test_what_is_not_done_can_be_given_up(hand: Hand, state: DeliveryState) -> None:
    identifier = await hand.stock.delivery(state=state)
    left = await hand.post(f"deliveries/{identifier}/discard", reason="it was a test")
    assert left["state"] == "discarded"
    assert (await hand.delivery(identifier))["last_error"] == "discarded by an operator: it was a test"
    assert await hand.stock.claim() == []


async def test_what_is_given_up_makes_way_for_what_waits_behind_it(hand: Hand) -> None:
    first = await hand.stock.delivery(action=Action.RECORD)
    second = await hand.stock.delivery(action=Action.RECORD, incident="i02")
    await hand.post(f"deliveries/{first}/discard", reason="x")
    assert [one.id for one in await hand.stock.claim()] == [second]


async def test_the_resolve_behind_an_alarm_that_was_given_up_has_nothing_to_close(hand: Hand) -> None:
    first = await hand.stock.delivery()
    second = await hand.stock.delivery(action=Action.RESOLVED)
    await hand.post(f"deliveries/{first}/discard", reason="x")
    assert await hand.stock.claim() == []
    shown = await hand.delivery(second)
    assert (shown["state"], shown["last_error"]) == (
        "superseded",
        "superseded: there is nothing to close, the destination was not told that it is open",
    )


async def test_the_end_of_what_is_still_to_be_told_is_not_given_up_before_it(hand: Hand) -> None:
    incident = await hand.stock.incident(closed_at=NOON)
    alarm = await hand.stock.delivery(incident=incident)
    end = await hand.stock.delivery(incident=incident, action=Action.RESOLVED)
    answer = await hand.post(f"deliveries/{end}/discard", 409, reason="x")
    assert f"the alarmed {alarm} of its key is still to be told" in answer["detail"]
    await hand.stock.claim()
    await hand.post(f"deliveries/{end}/discard", 409, reason="x")
    assert (await hand.delivery(end))["state"] == "pending"


@pytest.mark.parametrize("told", [DELIVERED, NO_ANSWER], ids=["told", "perhaps told"])
async def test_who_gives_up_an_end_learns_that_something_is_left_open(hand: Hand, told: Result) -> None:
    incident = await hand.stock.incident(closed_at=NOON)
    await hand.stock.delivery(incident=incident)
    (claim,) = await hand.stock.claim()
    await hand.stock.settle(claim, told)
    end = await hand.stock.delivery(incident=incident, action=Action.RESOLVED)
    left = await hand.post(f"deliveries/{end}/discard", reason="closed there by hand")
    assert (left["state"], left["left_open"]) == ("discarded", True)


async def test_an_end_that_may_not_have_arrived_leaves_something_open_too(hand: Hand) -> None:
    incident = await hand.stock.incident(closed_at=NOON)
    await hand.stock.delivery(incident=incident)
    await hand.stock.deliver()
    end = await hand.stock.delivery(incident=incident, action=Action.RESOLVED)
    (claim,) = await hand.stock.claim()
    await hand.stock.settle(claim, NO_ANSWER)
    assert (await hand.post(f"deliveries/{end}/discard", reason="x"))["left_open"]


async def test_an_end_is_given_up_without_a_word_where_it_leaves_nothing_open(hand: Hand) -> None:
    over = await hand.stock.incident(closed_at=NOON)
    await hand.stock.delivery(incident=over)
    await hand.stock.deliver()
    end = await hand.stock.delivery(incident=over, action=Action.RESOLVED)
    again = await hand.stock.incident()
    await hand.stock.delivery(incident=again)
    assert "left_open" not in await hand.post(f"deliveries/{end}/discard", reason="x"), "it is open again"
    unheard = await hand.stock.incident(key="prod/f2", closed_at=NOON)
    end = await hand.stock.delivery(incident=unheard, key="prod/f2", action=Action.RESOLVED)
    assert "left_open" not in await hand.post(f"deliveries/{end}/discard", reason="x"), "it never was"


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("incidents/nobody/complete", {"pr_number": 1}),
        ("incidents/nobody/skip", {"reason": "x"}),
        ("deliveries/nobody/retry", {}),
        ("deliveries/nobody/discard", {"reason": "x"}),
    ],
)
async def test_what_does_not_exist_is_not_found(hand: Hand, path: str, body: dict[str, Any]) -> None:
    assert "nobody" in (await hand.post(path, 404, **body))["detail"]
    assert not hand.woken


async def test_who_did_what_is_kept(hand: Hand) -> None:
    incident, record = await hand.held_record()
    await hand.post(f"incidents/{incident}/complete", pr_number=44)
    hand.stock.clock.advance(MINUTE)
    await hand.post(f"deliveries/{record}/discard", reason="a drill")
    who = "alice (this machine, without a token)"
    assert (await hand.get(f"audit?incident={incident}"))["items"] == [
        {
            "at": "2026-01-01T12:01:00Z",
            "who": who,
            "action": "discard",
            "incident": incident,
            "delivery": record,
            "destination": "hivel",
            "detail": {"reason": "a drill"},
        },
        {
            "at": "2026-01-01T12:00:00Z",
            "who": who,
            "action": "complete",
            "incident": incident,
            "delivery": record,
            "destination": "hivel",
            "detail": {"pr_number": "44"},
        },
    ]
    assert len((await hand.get("audit?since=2026-01-01T12:00:30Z"))["items"]) == 1
    assert (await hand.get("audit?delivery=other"))["items"] == []
    first = await hand.get("audit?limit=1")
    assert len((await hand.get(f"audit?limit=1&cursor={first['next']}"))["items"]) == 1


async def test_a_token_that_nobody_asked_for_is_not_noted_as_a_credential(hand: Hand) -> None:
    identifier = await hand.stock.delivery()
    url = f"/api/v1/deliveries/{identifier}/discard"
    junk = {"Authorization": "Bearer junk"}
    async with hand.client.post(url, json={"reason": "x"}, headers=junk) as answer:
        assert answer.status == 200
    (entry,) = (await hand.get("audit"))["items"]
    assert entry["who"] == "this machine, without a token"


async def test_only_who_may_use_the_admin_api_may_do_anything(stock: Stock) -> None:
    guard = Guard(token=Secret("admin-s3cret"), loopback=True)
    actions = Actions(
        store=stock.store, destinations=dict, wake=lambda: None, clock=stock.clock, new_id=str, guard=guard
    )
    identifier = await stock.delivery()
    async with serving(*actions.routes()) as client:
        for route in actions.routes():
            path = route.path.replace("{id}", identifier)
            async with client.post(path, json={"reason": "x"}) as answer:
                assert answer.status == 401
    assert [one.id for one in await stock.claim()] == [identifier]
