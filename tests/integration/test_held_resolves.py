"""What watches dies: its resolves are held until it lives again, on a real database and a clock that the test moves."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from structlog.testing import capture_logs
from typing_extensions import override

from alertbridge.heartbeats.silence import Turn
from alertbridge.model import Event, instant
from alertbridge.operate.guard import Guard
from alertbridge.operate.heartbeats_page import HeartbeatsPage
from alertbridge.operate.metrics_page import MetricsPage
from alertbridge.store import beliefs, inbox, listings
from alertbridge.store.listings import Wanted
from alertbridge.store.store import Store
from alertbridge.store.trace import trace
from tests.integration.test_heartbeats import KEY, MINUTE, SECOND, Watch
from tests.support.clock import ManualClock
from tests.support.stock import serving

RULES = """
heartbeats:
  - name: watchdog
    when: [alertname = Watchdog]
    every: 1m
    grace: 2m
    hold_resolves: 10m
    send: [elven]
rules:
  - name: everything
    key: "{{ labels.alertname }}"
    send: [elven]
"""
OFF = RULES.replace("    hold_resolves: 10m\n", "")


class Outage(Watch):
    """A relay that hears of a Watchdog and of alerts, each since it began to fire."""

    began: dict[str, datetime]

    async def say(self, *names: str, status: str = "firing", source: str = "prod") -> None:
        """One notification: each name an alert, whose cluster may stand behind a slash."""
        now = self.clock.now()
        alerts: list[Mapping[str, object]] = []
        for name in names:
            if status == "firing":
                self.began.setdefault(name, now)
            alertname, _, cluster = name.partition("/")
            alert = {"status": status, "labels": {"alertname": alertname, "cluster": cluster}}
            alert["startsAt"] = instant(self.began[name])
            if status == "resolved":
                alert["endsAt"] = instant(now)
            alerts.append(alert)
        body = json.dumps({"alerts": alerts}).encode()
        await self.store.accept(Event(self.new_id(), source, now, body))
        while await self.decider.run_once():
            pass

    @override
    async def pass_time(self, span: timedelta) -> list[Turn]:
        """In larger steps than a second, yet in none that would count as a stop."""
        turns: list[Turn] = []
        while span:
            step = min(span, 5 * SECOND)
            self.clock.advance(step - SECOND)
            turns += await super().pass_time(SECOND)
            span -= step
        return turns

    async def end(self, *names: str, source: str = "prod") -> None:
        await self.say(*names, status="resolved", source=source)

    async def return_of(self, *names: str) -> None:
        """They fire anew, for a process that has forgotten when they began."""
        for name in names:
            del self.began[name]
        await self.say(*names)

    async def live(self, span: timedelta) -> None:
        """Time passes in health."""
        end = self.clock.now() + span
        while self.clock.now() < end:
            await self.say("Watchdog")
            await self.pass_time(min(MINUTE, end - self.clock.now()))

    async def open(self) -> dict[str, object]:
        """The open incidents of alerts by key, with what is held of their first alert."""
        page = await self.store.read(lambda c: listings.list_incidents(c, Wanted(state="open")))
        return {str(one["key"]): one["alerts"][0]["held"] for one in page.items if one["key"] != KEY}  # type: ignore[index, call-overload]


@pytest.fixture
async def outage(store: Store, tmp_path: Path) -> Outage:
    outage = Outage(store, tmp_path, ManualClock())
    outage.began = {}
    outage.use(RULES)
    await outage.start()
    return outage


async def die(outage: Outage, *names: str) -> None:
    """It beats, these fire, and then the leases of all run out: the Watchdog's is told first."""
    await outage.say("Watchdog", *names)
    await outage.pass_time(5 * MINUTE // 2)
    await outage.end("Watchdog")
    await outage.pass_time(MINUTE)
    await outage.end(*names)


async def test_what_a_dying_prometheus_resolves_stays_open(outage: Outage) -> None:
    await die(outage, "Down", "Full")
    assert await outage.said() == [("alarmed", "Down"), ("alarmed", "Full"), ("alarmed", KEY)]
    await outage.pass_time(25 * MINUTE)

    assert list(await outage.open()) == ["Full", "Down"]
    assert len(await outage.said()) == 3


async def test_what_does_not_fire_again_after_the_return_ended_when_it_was_said_to(outage: Outage) -> None:
    await die(outage, "Down", "Full")
    ended = outage.clock.now()
    await outage.pass_time(30 * MINUTE)
    await outage.return_of("Watchdog")
    await outage.live(2 * MINUTE)
    await outage.return_of("Full")
    said = len(await outage.said())
    await outage.live(8 * MINUTE - SECOND)
    assert (len(await outage.said()), list(await outage.open())) == (said, ["Full", "Down"])
    await outage.live(SECOND)

    assert await outage.open() == {"Full": None}
    assert (await outage.said())[said:] == [("resolved", "Down")]
    closed = [row for row in await outage.rows("incidents") if row["key"] == "Down"]
    assert [row["closed_at"] for row in closed] == [int(ended.timestamp() * 1_000_000)]
    assert [row["inferred"] for row in closed] == [0]
    assert (await outage.said()).count(("alarmed", "Full")) == 1  # it never ended: nobody is told twice


async def test_a_resolve_in_the_body_that_ends_the_watchdog_is_held_too(outage: Outage) -> None:
    await outage.say("Watchdog", "Down")
    await outage.end("Down", "Watchdog")
    assert list(await outage.open()) == ["Down"]


async def test_one_told_before_the_watchdog_ended_slips_through(outage: Outage) -> None:
    await outage.say("Watchdog", "Down")
    await outage.end("Down")
    await outage.end("Watchdog")
    assert await outage.open() == {}


async def test_without_hold_resolves_nothing_is_held(outage: Outage) -> None:
    outage.reload(OFF)
    await die(outage, "Down")
    assert await outage.open() == {}
    assert await outage.said() == [("alarmed", "Down"), ("alarmed", KEY), ("resolved", "Down")]


async def test_a_silence_that_nobody_told_holds_as_well(outage: Outage) -> None:
    await outage.say("Watchdog", "Down")
    assert await outage.pass_time(4 * MINUTE) == [Turn.SILENT]
    await outage.end("Down")
    assert list(await outage.open()) == ["Down"]


async def test_in_health_every_resolve_counts_at_once(outage: Outage) -> None:
    await outage.say("Watchdog", "Down")
    await outage.end("Down")
    assert await outage.open() == {}


async def test_a_restart_forgets_neither_the_silence_nor_what_is_held(outage: Outage) -> None:
    await die(outage, "Down", "Full")
    outage.use(RULES)
    await outage.start()
    await outage.pass_time(5 * MINUTE)
    assert list(await outage.open()) == ["Full", "Down"]
    await outage.return_of("Watchdog", "Full")
    outage.use(RULES)
    await outage.start()
    await outage.live(10 * MINUTE + SECOND)
    assert await outage.open() == {"Full": None}


async def test_a_silence_told_right_before_a_crash_is_raised_after_it(outage: Outage) -> None:
    await outage.say("Watchdog")
    await outage.end("Watchdog")
    await outage.start()
    assert await outage.pass_time(SECOND) == [Turn.SILENT]


async def test_what_ends_after_the_return_counts_at_once_and_what_ended_before_does_not(
    outage: Outage,
) -> None:
    await outage.say("Watchdog", "Down", "Full")
    await outage.end("Watchdog")
    ended = outage.clock.now()
    await outage.pass_time(MINUTE)
    await outage.return_of("Watchdog")
    await outage.live(MINUTE)
    await outage.end("Down")  # said by what lives
    late = {"status": "resolved", "labels": {"alertname": "Full", "cluster": ""}, "endsAt": instant(ended)}
    late["startsAt"] = instant(outage.began["Full"])
    body = json.dumps({"alerts": [late]}).encode()
    await outage.store.accept(Event(outage.new_id(), "prod", outage.clock.now(), body))
    await outage.decider.run_once()
    assert list(await outage.open()) == ["Full"]
    await outage.live(9 * MINUTE + SECOND)
    assert await outage.open() == {}


async def test_a_second_death_before_the_time_is_over_goes_on_holding(outage: Outage) -> None:
    await die(outage, "Down")
    await outage.return_of("Watchdog")
    await outage.live(2 * MINUTE)
    await outage.end("Watchdog")
    await outage.pass_time(25 * MINUTE)
    assert list(await outage.open()) == ["Down"]
    await outage.return_of("Watchdog")
    await outage.live(10 * MINUTE + SECOND)
    assert await outage.open() == {}


async def test_with_hold_resolves_taken_away_what_was_held_counts_within_its_span(outage: Outage) -> None:
    await die(outage, "Down")
    outage.reload(OFF)
    await outage.pass_time(10 * MINUTE + SECOND)
    assert await outage.open() == {}


async def test_other_sources_and_what_holds_does_not_match_are_not_held(outage: Outage) -> None:
    main = outage.folder / "alertbridge.yaml"
    text = main.read_text(encoding="utf-8").replace(
        "prod: {type: alertmanager}", "prod: {type: alertmanager}\n  lab: {type: alertmanager}"
    )
    outage.use(
        RULES.replace("hold_resolves: 10m", "hold_resolves: 10m\n    holds: [cluster = eu]"),
        text.split("heartbeats:")[0],
    )
    await outage.say("Watchdog/eu", "Down/eu", "Full/us")
    await outage.say("Slow/eu", source="lab")
    await outage.end("Watchdog/eu")
    await outage.end("Down/eu", "Full/us")
    await outage.end("Slow/eu", source="lab")
    assert list(await outage.open()) == ["Down"]


async def test_while_one_of_several_watchdogs_fires_there_is_no_silence(outage: Outage) -> None:
    await outage.say("Watchdog/eu", "Watchdog/us", "Down")
    await outage.end("Watchdog/eu")
    await outage.end("Down")
    assert await outage.open() == {}
    await outage.say("Full")
    await outage.end("Watchdog/us")
    await outage.end("Full")
    assert list(await outage.open()) == ["Full"]


async def test_one_that_never_beat_cannot_end(outage: Outage) -> None:
    outage.began["Watchdog"] = outage.clock.now()
    await outage.end("Watchdog")
    assert await outage.pass_time(MINUTE) == []


async def test_an_old_end_of_the_watchdog_that_comes_late_is_no_silence(outage: Outage) -> None:
    await outage.say("Watchdog")
    ended = instant(outage.clock.now())
    await outage.pass_time(MINUTE)
    await outage.end("Watchdog")
    outage.clock.advance(SECOND)
    await outage.return_of("Watchdog")
    assert await outage.pass_time(SECOND) == []  # it ended and was back between two looks
    late = {"status": "resolved", "labels": {"alertname": "Watchdog", "cluster": ""}, "endsAt": ended}
    late["startsAt"] = ended
    await outage.store.accept(
        Event(outage.new_id(), "prod", outage.clock.now(), json.dumps({"alerts": [late]}).encode())
    )
    await outage.decider.run_once()
    assert await outage.pass_time(SECOND) == []


async def test_the_watchdogs_old_news_right_after_its_end_is_no_beat(outage: Outage) -> None:
    await outage.say("Watchdog", "Down")
    await outage.end("Watchdog")
    assert await outage.pass_time(15 * SECOND) == [Turn.SILENT]
    await outage.say("Watchdog")  # the other of a pair of Alertmanagers
    await outage.end("Down")
    assert await outage.pass_time(SECOND) == []
    assert list(await outage.open()) == ["Down"]
    await outage.pass_time(75 * SECOND)
    await outage.say("Watchdog")  # the same start, but nobody took it back
    assert await outage.pass_time(SECOND) == [Turn.SPOKE]


async def test_an_end_that_was_inferred_is_held_and_not_inferred_again(outage: Outage) -> None:
    await outage.say("Watchdog", "Down")
    await outage.end("Watchdog")
    await outage.pass_time(MINUTE)
    (fingerprint,) = [row["fingerprint"] for row in await outage.rows("members") if row["source"] == "prod"]
    body = json.dumps({"alerts": [{"status": "resolved", "labels": {}, "fingerprint": fingerprint}]}).encode()
    event = Event(outage.new_id(), "prod", outage.clock.now(), body, "absent on its peer")
    await outage.store.write(lambda connection: inbox.conclude(connection, event))
    await outage.decider.run_once()

    assert list(await outage.open()) == ["Down"]
    believed = await outage.store.read(lambda connection: beliefs.read(connection, "prod"))
    assert (believed.open, believed.doubted) == ({}, {})
    await outage.pass_time(25 * MINUTE)
    await outage.return_of("Watchdog")
    await outage.live(10 * MINUTE + SECOND)
    assert await outage.open() == {}


async def test_operators_see_what_is_held_and_why(outage: Outage) -> None:
    with capture_logs() as logs:
        await die(outage, "Down")
        ended = instant(outage.clock.now())
        await outage.pass_time(25 * MINUTE)
    assert [log["heartbeat"] for log in logs if log["event"] == "resolve.held"] == ["watchdog"]
    assert (await outage.open())["Down"] == {"heartbeat": "watchdog", "ends_at": ended}
    story = await outage.store.read(lambda connection: trace(connection, "Down"))
    assert story is not None
    notes = [entry["note"] for entry in story["story"] if entry["what"] == "heard"]  # type: ignore[index, union-attr, call-overload]
    assert notes == [
        "",
        "held: heartbeat watchdog is silent; it counts later unless the alert fires meanwhile",
    ]
    guard = Guard(token=None, loopback=True)
    page = HeartbeatsPage(store=outage.store, pulses=outage.watchman.pulses, guard=guard)
    metrics = MetricsPage(
        store=outage.store,
        couriers={},
        pulses=outage.watchman.pulses,
        clock=outage.clock,
        metrics=outage.metrics,
    )
    async with serving(*page.routes(), *metrics.routes()) as client:
        async with client.get("/api/v1/heartbeats") as answer:
            (item,) = (await answer.json())["items"]
        async with client.get("/metrics") as answer:
            assert 'alertbridge_resolves_held{heartbeat="watchdog"} 1.0' in await answer.text()
    assert (item["silent"], item["hold_resolves"], item["held"]) == (True, "10m", 1)


async def test_beats_and_silences_of_a_removed_heartbeat_are_forgotten(outage: Outage) -> None:
    await outage.say("Watchdog")
    await outage.pass_time(MINUTE)
    await outage.end("Watchdog")
    await outage.pass_time(MINUTE)
    outage.reload(OFF.replace("name: watchdog", "name: other"))
    await outage.pass_time(MINUTE)
    assert await outage.rows("beats") == await outage.rows("silences") == []
