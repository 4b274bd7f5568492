"""What the peers of a source say, held against what is believed: real HTTP, a real database, a clock that is moved."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Coroutine
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from aiohttp import web
from structlog.testing import capture_logs

from alertbridge.cli.trace import _told
from alertbridge.model import Secret, instant
from alertbridge.reconcile.answer import Unknown
from alertbridge.reconcile.expirer import Expirer
from alertbridge.reconcile.judge import LeftOut, Suppressed
from alertbridge.reconcile.peers import Access, Peers
from alertbridge.reconcile.reconciler import Pace, Reconciler
from alertbridge.reconcile.reconcilers import Reconcilers
from alertbridge.store.store import Store
from alertbridge.store.trace import trace
from tests.integration.test_pipeline import House
from tests.support import peer as peers
from tests.support.clock import NOON, ManualClock
from tests.support.peer import Handler, Peer, listing
from tests.support.stock import MINUTE

LABELS = {"alertname": "Down", "service": "checkout", "severity": "page"}
START = NOON - 10 * MINUTE
TOKEN = "token-of-the-peers"


class Desk:
    """A house whose source has two peers, and the reconciler that asks them."""

    def __init__(self, house: House, first: Peer, second: Peer) -> None:
        self.house = house
        self.clock = house.clock
        self.first, self.second = first, second
        self.woken = 0
        self.reconciler = self.make()

    def make(self, suppressed: Suppressed = Suppressed.KEEP) -> Reconciler:
        access = Access(
            urls=(Secret(self.first.url), Secret(f"{self.second.url}/below/?tenant=secret-of-the-query")),
            timeout=timedelta(seconds=1.5),
            authorization=Secret(f"Bearer {TOKEN}"),
        )
        return Reconciler(
            source="prod",
            pace=Pace(MINUTE, 3 * MINUTE, suppressed),
            peers=Peers(access=access, grace=15 * MINUTE, clock=self.clock, most_bytes=2_000_000),
            store=self.house.store,
            clock=self.clock,
            metrics=self.house.metrics,
            new_id=self.house.new_id,
            concluded=self._woken,
        )

    def _woken(self) -> None:
        self.woken += 1

    async def decide(self) -> None:
        while await self.house.decider.run_once():
            pass

    async def rounds(self, number: int) -> None:
        """One round a minute, each decided at once."""
        for _ in range(number):
            self.clock.advance(MINUTE)
            await self.reconciler.run_once()
            await self.decide()

    async def fires(self, *names: str, **around: object) -> None:
        alerts = [
            {"status": "firing", "labels": LABELS, "startsAt": instant(START), "fingerprint": name}
            for name in names
        ]
        await self.house.hear(json.dumps({"receiver": "bridge", "alerts": alerts, **around}).encode())

    async def incidents(self) -> list[tuple[str, object, object]]:
        rows = await self.house.rows("incidents")
        return [(str(r["key"]), r["closed_at"], r["inferred"]) for r in rows if r["destination"] == "elven"]

    async def events(self, why: str) -> list[str]:
        return [str(row[why]) for row in await self.house.rows("events") if row[why]]

    def counted(self, metric: str, **labels: str) -> float | None:
        return self.house.metrics.registry.get_sample_value(
            f"alertbridge_{metric}", {"source": "prod", **labels}
        )


@pytest_asyncio.fixture
async def desk(store: Store, tmp_path: Path) -> AsyncIterator[Desk]:
    house = House(store, tmp_path, ManualClock())
    async with Peer(up_since=NOON - 60 * MINUTE) as first, Peer(up_since=NOON - 60 * MINUTE) as second:
        desk = Desk(house, first, second)
        await desk.reconciler.open()
        yield desk
        await desk.reconciler.abandon()


def micros(minutes: int) -> int:
    return int((NOON + minutes * MINUTE).timestamp() * 1_000_000)


async def test_an_alert_that_no_peer_lists_is_resolved_as_inferred_when_it_was_first_missed(
    desk: Desk,
) -> None:
    desk.first.alerts = [listing("f1", START), listing("f2", START)]
    await desk.fires("f1", "f2")
    await desk.rounds(1)
    desk.first.alerts = [listing("f2", START)]
    await desk.rounds(3)
    assert await desk.incidents() == [("prod/f1", None, 0), ("prod/f2", None, 0)]
    with capture_logs() as logs:
        await desk.rounds(1)
    assert await desk.incidents() == [("prod/f1", micros(2), 1), ("prod/f2", None, 0)]
    why = "absent on all 2 peers since 2026-01-01T12:02:00Z"
    assert await desk.events("inferred") == [why]
    assert [log["inferred"] for log in logs if log["event"] == "reconcile.concluded"] == [why]
    assert (desk.woken, desk.counted("conclusions_total", conclusion="absent")) == (1, 1)
    assert await desk.house.outbox() == [
        ("elven", "alarmed", "pending"),
        ("elven", "alarmed", "pending"),
        ("elven", "resolved", "pending"),
        ("hivel", "record", "pending"),
    ]
    await desk.rounds(9)
    assert len(await desk.events("inferred")) == 1


async def test_the_rules_are_not_asked_about_an_alert_of_which_only_the_fingerprint_is_known(
    desk: Desk,
) -> None:
    await desk.fires("f1")
    await desk.rounds(4)
    (row,) = [row for row in await desk.house.rows("events") if row["inferred"]]
    (verdict,) = json.loads(str(row["alerts"]))
    assert (verdict["rules"], [one["effect"] for one in verdict["incidents"]]) == ([], ["closed", "closed"])


@pytest.mark.parametrize(
    ("misbehave", "reason"),
    [
        (peers.hang, "no answer within 1.5 s"),
        (peers.fail, "it answers 500"),
        (peers.refuse, "it answers 401; see `reconcile.auth`"),
        (peers.babble, "its status is not that of an Alertmanager: not JSON"),
        (peers.redirect, "it redirects, which is not followed; give the address that it redirects to"),
        (peers.flood, "its answer is larger than 1 MiB"),
        (peers.flood_zipped, "its answer is larger than 1 MiB"),
        (peers.lie_zipped, "no answer: "),
        (peers.hang_up, "no answer: "),
        (peers.break_off, "no answer: "),
    ],
)
async def test_while_one_peer_misbehaves_nothing_is_concluded(
    desk: Desk, misbehave: Handler, reason: str
) -> None:
    await desk.fires("f1")
    desk.second.misbehave = misbehave
    with capture_logs() as logs:
        await desk.rounds(5)
    assert await desk.incidents() == [("prod/f1", None, 0)]
    (said,) = [log for log in logs if log["event"] == "peer.unknown"]
    assert said["reason"].startswith(reason)
    assert not any("elsewhere" in request.path for request in desk.second.asked)
    place = desk.second.url.removeprefix("http://")
    assert (said["source"], said["peer"]) == ("prod", place)
    assert (
        desk.counted("peer_up", peer=place),
        desk.counted("peer_last_told_timestamp_seconds", peer=place),
    ) == (
        0,
        None,
    )
    assert "secret-of-the-query" not in str(logs)
    desk.second.misbehave = None
    await desk.rounds(4)
    assert await desk.incidents() == [("prod/f1", micros(6), 1)], "the time began when both could be heard"
    assert desk.counted("peer_up", peer=place) == 1


async def test_a_peer_that_cannot_be_reached_is_unknown(desk: Desk) -> None:
    await desk.fires("f1")
    await desk.second._runner.cleanup()
    with capture_logs() as logs:
        await desk.rounds(5)
    assert await desk.incidents() == [("prod/f1", None, 0)]
    (said,) = [log["reason"] for log in logs if log["event"] == "peer.unknown"]
    assert said.startswith("no connection: ")


async def test_a_peer_that_was_restarted_is_unknown_until_it_has_had_time_to_learn(desk: Desk) -> None:
    await desk.fires("f1")
    desk.first.alerts = [listing("f1", START)]
    await desk.rounds(1)
    desk.first.alerts, desk.first.up_since = [], desk.clock.now()
    await desk.rounds(17)
    assert await desk.incidents() == [("prod/f1", None, 0)]
    await desk.rounds(1)
    assert await desk.incidents() == [("prod/f1", micros(16), 1)]


async def test_a_peer_that_restarts_while_it_is_asked_is_unknown(desk: Desk) -> None:
    """Its empty list must never come with the status of the process before."""
    desk.first.alerts = [listing("f1", START)]
    answer = desk.first._answer

    async def once(request: web.Request) -> web.StreamResponse:
        desk.first.misbehave = None
        said = await answer(request)
        desk.first.alerts, desk.first.up_since = [], desk.clock.now()
        return said

    desk.first.misbehave = once
    first, _ = await desk.reconciler._peers.ask()
    assert isinstance(first, Unknown)


async def test_a_settling_cluster_is_unknown(desk: Desk) -> None:
    await desk.fires("f1")
    desk.second.cluster = "settling"
    await desk.rounds(5)
    assert await desk.incidents() == [("prod/f1", None, 0)]


async def test_the_peers_are_told_who_asks_below_the_path_of_their_urls(desk: Desk) -> None:
    await desk.rounds(1)
    assert [request.path for request in desk.first.asked] == ["/api/v2/alerts", "/api/v2/status"]
    assert [request.path for request in desk.second.asked] == ["/below/api/v2/alerts", "/below/api/v2/status"]
    assert {request.query_string for request in desk.second.asked} == {"tenant=secret-of-the-query"}
    asked = [*desk.first.asked, *desk.second.asked]
    assert {request.headers["Authorization"] for request in asked} == {f"Bearer {TOKEN}"}


async def test_credentials_in_a_url_are_sent_and_not_shown() -> None:
    async with Peer(up_since=NOON - 60 * MINUTE) as one:
        url = one.url.replace("http://", "http://someone:pass%20word@")
        access = Access(urls=(Secret(url), Secret(f"{url}/b")), timeout=MINUTE)
        client = Peers(access=access, grace=MINUTE, clock=ManualClock())
        await client.open()
        answers = await client.ask()
        await client.close()
        place = one.url.removeprefix("http://")
        assert [answer.peer for answer in answers] == [f"{place}#1", f"{place}#2"]
        assert {request.headers["Authorization"] for request in one.asked} == {
            "Basic c29tZW9uZTpwYXNzIHdvcmQ="
        }


@pytest.mark.parametrize("choice", Suppressed)
async def test_a_silenced_alert_is_kept_or_resolved_and_comes_back_when_the_silence_ends(
    desk: Desk, choice: Suppressed
) -> None:
    await desk.reconciler.abandon()
    desk.reconciler = desk.make(choice)
    await desk.reconciler.open()
    await desk.fires("f1")
    desk.first.alerts = desk.second.alerts = [listing("f1", START, state="suppressed", **LABELS)]
    await desk.rounds(9)
    closed = [("prod/f1", micros(1), 1)]
    assert await desk.incidents() == (closed if choice is Suppressed.RESOLVE else [("prod/f1", None, 0)])
    desk.first.alerts = desk.second.alerts = [listing("f1", START, **LABELS)]
    await desk.rounds(2)
    if choice is Suppressed.RESOLVE:
        assert await desk.incidents() == [*closed, ("prod/f1", None, 0)]
        (row,) = [
            row
            for row in await desk.house.rows("incidents")
            if not row["closed_at"] and row["destination"] == "elven"
        ]
        assert row["opened_at"] == micros(1), (
            "it fired all the time: the new one begins where the old one ended"
        )
        (why,) = await desk.events("adopted")
        assert why.endswith(", after its end was inferred")
    else:
        assert await desk.incidents() == [("prod/f1", None, 0)]
        assert await desk.events("adopted") == []


async def test_what_a_truncated_notification_left_out_is_adopted_at_once(desk: Desk) -> None:
    reconcilers = Reconcilers(begin=lambda _, loop: loop.close(), end=_nothing)
    reconcilers.start({"prod": desk.reconciler})
    desk.house.decider._tell = reconcilers.heed
    mine = [listing(name, START, **LABELS, job="api") for name in ("f1", "f2", "f3")]
    others = [
        listing("f4", START, receiver="somebody-else", **LABELS, job="api"),
        listing("f5", START, **LABELS, job="another-group"),
        listing("f6", START, state="suppressed", **LABELS, job="api"),
    ]
    desk.first.alerts = [*mine, *others]
    around = {"truncatedAlerts": 2, "groupLabels": {"job": "api"}, "externalURL": "http://am.example"}
    await desk.fires("f1", **around)
    await desk.reconciler.run_once()
    await desk.decide()
    assert [key for key, _, _ in await desk.incidents()] == ["prod/f1", "prod/f2", "prod/f3"]
    (why,) = await desk.events("adopted")
    assert why.endswith(", left out of a truncated notification")
    assert desk.counted("conclusions_total", conclusion="adopted") == 2
    (event,) = [row for row in await desk.house.rows("events") if row["adopted"]]
    body = json.loads(bytes(event["body"]))  # type: ignore[call-overload]
    assert (body["receiver"], body["groupLabels"], body["externalURL"]) == (
        "bridge",
        {"job": "api"},
        "http://am.example",
    )
    assert event["inferred"] is None
    await desk.rounds(2)
    assert len(await desk.events("adopted")) == 1


async def test_what_is_left_out_is_asked_for_again_until_every_peer_has_answered(desk: Desk) -> None:
    desk.second.misbehave = peers.fail
    desk.reconciler.ask(LeftOut("bridge"))
    await desk.rounds(1)
    desk.second.misbehave = None
    desk.second.alerts = [listing("f1", START, **LABELS)]
    await desk.rounds(1)
    assert [key for key, _, _ in await desk.incidents()] == ["prod/f1"]
    desk.second.alerts.append(listing("f2", START, **LABELS))
    await desk.rounds(1)
    assert [key for key, _, _ in await desk.incidents()] == ["prod/f1"], (
        "it will be sent: nothing is left out any more"
    )


async def _nothing(_: str) -> None:
    return


async def doubted(desk: Desk) -> None:
    """An alert has ended, and fires with a start from before that end."""
    await desk.fires("f1")
    desk.clock.advance(MINUTE)
    alert = {"status": "resolved", "labels": LABELS, "fingerprint": "f1", "startsAt": instant(START)}
    alert["endsAt"] = instant(desk.clock.now())
    await desk.house.hear(json.dumps({"alerts": [alert]}).encode())
    await desk.fires("f1")
    assert len(await desk.house.rows("doubts")) == 1


async def test_a_doubted_alert_that_a_peer_lists_fires_at_once(desk: Desk) -> None:
    await doubted(desk)
    desk.second.alerts = [listing("f1", START, **LABELS)]
    await desk.reconciler.run_once()
    await desk.decide()
    assert await desk.incidents() == [("prod/f1", micros(1), 0), ("prod/f1", None, 0)]
    assert await desk.house.rows("doubts") == []


async def test_a_doubted_alert_that_no_peer_lists_was_old_news(desk: Desk) -> None:
    await doubted(desk)
    await desk.reconciler.run_once()
    await desk.decide()
    assert await desk.house.rows("doubts") == []
    desk.clock.advance(9 * MINUTE)
    await desk.decide()
    assert await desk.incidents() == [("prod/f1", micros(1), 0)]
    assert await desk.events("inferred") == ["old news, for absent on all 2 peers at 2026-01-01T12:01:00Z"]


async def test_a_doubt_that_the_peers_cannot_settle_runs_out_as_ever(desk: Desk) -> None:
    await doubted(desk)
    desk.second.misbehave = peers.fail
    await desk.reconciler.run_once()
    await desk.decide()
    assert len(await desk.house.rows("doubts")) == 1
    desk.clock.advance(9 * MINUTE)
    await desk.decide()
    assert await desk.incidents() == [("prod/f1", micros(1), 0), ("prod/f1", None, 0)]


async def test_a_doubt_wakes_the_reconciler_and_nothing_else_does(desk: Desk) -> None:
    reconcilers = Reconcilers(begin=lambda _, loop: loop.close(), end=_nothing)
    reconcilers.start({"prod": desk.reconciler})
    desk.house.decider._tell = reconcilers.heed
    await desk.fires("f2")
    assert not desk.reconciler._wake.is_set()
    await doubted(desk)
    assert desk.reconciler._wake.is_set()


async def test_what_is_about_to_be_decided_is_waited_for(desk: Desk) -> None:
    """An event that names the alert may say that it fires again: nothing is concluded before it is decided."""
    await desk.fires("f1")
    await desk.rounds(3)
    desk.clock.advance(MINUTE)
    body = {
        "alerts": [{"status": "firing", "labels": LABELS, "startsAt": instant(START), "fingerprint": "f1"}]
    }
    await desk.house.accept(json.dumps(body).encode())
    await desk.reconciler.run_once()
    await desk.decide()
    await desk.rounds(3)
    assert await desk.incidents() == [("prod/f1", None, 0)], "its absence begins anew"
    await desk.rounds(1)
    assert await desk.incidents() == [("prod/f1", micros(5), 1)]


async def test_while_much_waits_to_be_decided_nothing_is_concluded(desk: Desk) -> None:
    """Whether it names the alert is not looked up in thousands of bodies."""
    await desk.fires("f1")
    await desk.rounds(3)
    desk.clock.advance(MINUTE)
    await desk.house.accept(*[b'{"alerts": []}'] * 201)
    await desk.reconciler.run_once()
    assert await desk.events("inferred") == []
    await desk.decide()
    await desk.rounds(1)
    assert await desk.incidents() == [("prod/f1", micros(1), 1)]


async def test_why_an_alert_was_adopted_stands_in_its_story(desk: Desk) -> None:
    desk.first.alerts = [listing("f1", START, **LABELS)]
    desk.reconciler.ask(LeftOut("bridge"))
    await desk.rounds(1)
    found = await desk.house.store.read(lambda connection: trace(connection, "prod/f1"))
    assert found is not None
    (heard,) = [entry for entry in found["story"] if entry["what"] == "heard"]  # type: ignore[union-attr, call-overload, index]
    place = desk.first.url.removeprefix("http://")
    assert heard["adopted"] == f"active on {place}, left out of a truncated notification"  # type: ignore[call-overload, index]
    assert any(heard["adopted"] in line for line in _told(found))  # type: ignore[call-overload, index]


async def test_what_moves_on_while_the_peers_are_asked_is_seen_in_the_last_moment(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    await desk.fires("f1")
    await desk.rounds(3)
    desk.clock.advance(MINUTE)
    write: Callable[..., Coroutine[Any, Any, Any]] = desk.house.store.write

    async def late(work: Any) -> Any:
        monkeypatch.setattr(desk.house.store, "write", write)
        await desk.fires("f1")
        return await write(work)

    monkeypatch.setattr(desk.house.store, "write", late)
    await desk.reconciler.run_once()
    assert await desk.events("inferred") == []


async def test_after_a_restart_the_time_begins_anew(desk: Desk) -> None:
    await desk.fires("f1")
    await desk.rounds(3)
    await desk.reconciler.abandon()
    desk.reconciler = desk.make()
    await desk.reconciler.open()
    await desk.rounds(3)
    assert await desk.incidents() == [("prod/f1", None, 0)]
    await desk.rounds(1)
    assert await desk.incidents() == [("prod/f1", micros(4), 1)]


async def test_the_loop_asks_in_its_pace_at_once_when_told_to_and_ends(desk: Desk) -> None:
    async def asked(number: int) -> None:
        async with asyncio.timeout(5):
            while len(desk.first.asked) < number or not desk.clock._sleepers:  # noqa: ASYNC110 - the peer tells nobody
                await asyncio.sleep(0.005)

    running = asyncio.create_task(desk.reconciler.run())
    await asked(2)
    desk.clock.advance(timedelta(seconds=1))
    await asked(2)
    desk.clock.advance(timedelta(seconds=59))
    await asked(4)
    desk.reconciler.ask()
    desk.clock.advance(timedelta(seconds=1))
    await asked(6)
    desk.second.misbehave = peers.hang
    desk.clock.advance(timedelta(seconds=1))
    desk.clock.advance(timedelta(seconds=59))
    desk.reconciler.close()
    async with asyncio.timeout(5):
        await running
    place = desk.first.url.removeprefix("http://")
    assert desk.counted("peer_up", peer=place) is None


async def test_time_that_nobody_lived_through_does_not_make_an_alert_absent(desk: Desk) -> None:
    await desk.fires("f1")
    await desk.rounds(1)
    desk.clock.set_forward(60 * MINUTE)
    await desk.rounds(3)
    assert await desk.incidents() == [("prod/f1", None, 0)]
    await desk.rounds(1)
    assert await desk.incidents() == [("prod/f1", micros(62), 1)]


# Without peers


@pytest.fixture
def expirer(desk: Desk) -> Expirer:
    return Expirer(
        patience={"prod": 5 * 60 * MINUTE},
        store=desk.house.store,
        clock=desk.clock,
        metrics=desk.house.metrics,
        new_id=desk.house.new_id,
        concluded=desk._woken,
    )


async def test_an_alert_that_is_not_repeated_in_time_is_resolved_as_inferred(
    desk: Desk, expirer: Expirer
) -> None:
    await desk.fires("f1", "f2")
    desk.clock.advance(4 * 60 * MINUTE)
    await desk.fires("f2")
    desk.clock.advance(59 * MINUTE)
    assert await expirer.run_once("prod") == 0
    desk.clock.advance(2 * MINUTE)
    assert await expirer.run_once("prod") == 1
    await desk.decide()
    assert await desk.incidents() == [("prod/f1", micros(300), 1), ("prod/f2", None, 0)]
    assert await desk.events("inferred") == [
        "not heard of since 2026-01-01T12:00:00Z, though it is repeated within 5:00:00"
    ]
    assert (desk.woken, desk.counted("conclusions_total", conclusion="stale")) == (1, 1)
    assert await expirer.run_once("prod") == 0


async def test_what_was_missed_while_nobody_listened_is_not_held_against_an_alert(desk: Desk) -> None:
    await desk.fires("f1")
    desk.clock.advance(6 * 60 * MINUTE)
    late = Expirer(
        patience={"prod": 5 * 60 * MINUTE},
        store=desk.house.store,
        clock=desk.clock,
        metrics=desk.house.metrics,
        new_id=desk.house.new_id,
        concluded=desk._woken,
    )
    assert await late.run_once("prod") == 0
    desk.clock.advance(5 * 60 * MINUTE)
    late.exchange({"prod": 5 * 60 * MINUTE})
    assert await late.run_once("prod") == 1
    late.exchange({})
    assert await late.run_once("prod") == 0


async def test_time_that_nobody_lived_through_is_not_held_against_an_alert(
    desk: Desk, expirer: Expirer
) -> None:
    await desk.fires("f1")
    desk.clock.set_forward(6 * 60 * MINUTE)
    assert await expirer.look() == 0
    desk.clock.advance(5 * 60 * MINUTE)
    assert await expirer.look() == 1


async def test_a_stale_alert_that_waits_to_be_decided_is_left_alone(desk: Desk, expirer: Expirer) -> None:
    await desk.fires("f1")
    desk.clock.advance(6 * 60 * MINUTE)
    body = {
        "alerts": [{"status": "firing", "labels": LABELS, "startsAt": instant(START), "fingerprint": "f1"}]
    }
    await desk.house.accept(json.dumps(body).encode())
    assert await expirer.run_once("prod") == 0
    await desk.decide()
    assert await expirer.run_once("prod") == 0
