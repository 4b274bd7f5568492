"""A heartbeat falls silent and speaks again, on a real database and a clock that the test moves."""

from __future__ import annotations

import json
from datetime import timedelta
from pathlib import Path

import pytest
from structlog.testing import capture_logs
from typing_extensions import override

from alertbridge.chronicle import Chronicle
from alertbridge.errors import StoreError
from alertbridge.foresight import foresee_all
from alertbridge.heartbeats.silence import Turn
from alertbridge.heartbeats.watchman import Watchman
from alertbridge.model import Event
from alertbridge.operate.guard import Guard
from alertbridge.operate.heartbeats_page import HeartbeatsPage
from alertbridge.operate.metrics_page import MetricsPage
from alertbridge.parts import bridge
from alertbridge.pipeline import Decider
from alertbridge.sources.alertmanager import Alertmanager
from alertbridge.store import heartbeats, listings
from alertbridge.store.listings import Wanted
from alertbridge.store.store import Store
from tests.integration.test_pipeline import House
from tests.support.clock import ManualClock
from tests.support.configuration import configure
from tests.support.stock import serving

SECOND = timedelta(seconds=1)
MINUTE = timedelta(minutes=1)
HOUR = timedelta(hours=1)
RULES = """
heartbeats:
  - name: watchdog
    when: [alertname = Watchdog]
    every: 1m
    grace: 2m
    send: {elven: {title: "{{ labels.heartbeat }}: {{ annotations.summary }}"}}
rules:
  - name: everything
    send: [elven, hivel]
"""
KEY = "alertbridge/heartbeat/watchdog"


class Watch(House):
    """A decider and the watchman, which looks once a second while the clock moves."""

    @override
    def use(self, rules: str, main: str | None = None) -> None:
        self.configuration = configure(self.folder, rules, *([main] if main else []))
        self.decider = Decider(
            store=self.store,
            bridge=bridge(self.configuration),
            clock=self.clock,
            new_id=self.new_id,
            chronicle=Chronicle(metrics=self.metrics),
            posted=self._posted,
            beat=lambda names, at: self.watchman.hear(names, at),  # noqa: PLW0108 - it may be made anew
            ended=lambda name, at: self.watchman.hear_end(name, at),  # noqa: PLW0108 - likewise
        )

    def reload(self, rules: str) -> None:
        self.configuration = configure(self.folder, rules)
        self.decider.bridge = bridge(self.configuration)

    async def start(self) -> None:
        """A daemon that remembers what the database holds and nothing else."""
        self.watchman = Watchman(
            store=self.store,
            configured=lambda: self.decider.bridge.rulebook.heartbeats,
            clock=self.clock,
            new_id=self.new_id,
            concluded=self.decider.wake,
        )
        await self.watchman.start()

    async def pass_time(self, span: timedelta) -> list[Turn]:
        turns: list[Turn] = []
        end = self.clock.now() + span
        while self.clock.now() < end:
            self.clock.advance(SECOND)
            turns += [one.turn for one in await self.watchman.run_once()]
            while await self.decider.run_once():
                pass
        return turns

    async def beat(self, status: str = "firing", name: str = "Watchdog") -> str:
        alert: dict[str, object] = {"status": status, "labels": {"alertname": name}}
        event = Event(self.new_id(), "prod", self.clock.now(), json.dumps({"alerts": [alert]}).encode())
        await self.store.accept(event)
        while await self.decider.run_once():
            pass
        return event.id

    async def said(self) -> list[tuple[str, str]]:
        rows = await self.rows("deliveries")
        return [(str(row["action"]), str(row["key"])) for row in rows]

    async def payloads(self) -> list[dict[str, object]]:
        return [json.loads(str(row["payload"])) for row in await self.rows("deliveries")]


@pytest.fixture
async def watch(store: Store, tmp_path: Path) -> Watch:
    watch = Watch(store, tmp_path, ManualClock())
    watch.use(RULES)
    await watch.start()
    return watch


async def test_a_beat_opens_no_incident_and_is_shown_as_what_it_is(watch: Watch) -> None:
    identifier = await watch.beat()

    assert await watch.said() == []
    assert await watch.rows("alerts") == []
    event = await watch.store.read(lambda connection: listings.find_event(connection, identifier))
    assert event is not None
    assert [(one["rules"], one["note"]) for one in event["alerts"]] == [([], "heartbeat watchdog")]  # type: ignore[index, union-attr, call-overload]
    assert watch.metrics.heartbeat_beats.labels("watchdog")._value.get() == 1


async def test_what_is_heard_often_enough_is_never_silent(watch: Watch) -> None:
    for _ in range(20):
        await watch.beat()
        assert await watch.pass_time(2 * MINUTE + 50 * SECOND) == []
    assert await watch.said() == []


async def test_silence_opens_an_incident_once_and_a_beat_closes_it(watch: Watch) -> None:
    await watch.beat()
    assert await watch.pass_time(3 * MINUTE - SECOND) == []
    assert await watch.pass_time(HOUR) == [Turn.SILENT]
    await watch.beat()
    assert await watch.pass_time(MINUTE) == [Turn.SPOKE]

    assert await watch.said() == [("alarmed", KEY), ("resolved", KEY)]
    alarmed, resolved = await watch.payloads()
    assert alarmed["title"] == "watchdog: heartbeat watchdog silent since 2026-01-01T12:00:01Z"
    assert alarmed["severity"] == "critical"
    assert "No alert that matches the heartbeat watchdog was heard for 3m" in str(alarmed["description"])
    assert {"name": "inferred", "value": "true"} not in resolved["tags"]  # type: ignore[operator]
    (incident,) = await watch.rows("incidents")
    assert (incident["rule"], incident["inferred"]) == ("heartbeat watchdog", 0)
    assert incident["opened_at"] == 1767268801000000


async def test_no_heartbeat_takes_what_alertbridge_itself_raises(watch: Watch) -> None:
    watch.reload(RULES.replace("alertname = Watchdog", "severity = critical"))
    assert await watch.pass_time(4 * MINUTE) == [Turn.SILENT]
    assert await watch.said() == [("alarmed", KEY)]


async def test_an_event_says_why_it_was_concluded(watch: Watch) -> None:
    await watch.beat()
    await watch.pass_time(4 * MINUTE)
    await watch.beat()
    await watch.pass_time(SECOND)
    page = await watch.store.read(lambda connection: listings.list_events(connection, Wanted()))
    told = [(one["source"], one["inferred"], one["outcome"]) for one in page.items]
    assert told[::2] == [
        ("alertbridge", None, "decided"),
        ("alertbridge", "heartbeat watchdog silent since 2026-01-01T12:00:01Z", "decided"),
    ]


async def test_a_resolved_one_is_silence_at_once_and_goes_nowhere_else(watch: Watch) -> None:
    await watch.beat()
    await watch.pass_time(10 * SECOND)
    await watch.beat("resolved")
    assert await watch.pass_time(SECOND) == [Turn.SILENT]
    assert await watch.said() == [("alarmed", KEY)]
    (alarmed,) = await watch.payloads()
    assert "Every alert that matches the heartbeat watchdog was said to have ended" in str(
        alarmed["description"]
    )
    watch.clock.advance(2 * MINUTE)
    await watch.beat()
    assert await watch.pass_time(SECOND) == [Turn.SPOKE]


async def test_what_was_never_heard_is_counted_from_the_start(watch: Watch) -> None:
    assert await watch.pass_time(3 * MINUTE - SECOND) == []
    assert await watch.pass_time(SECOND) == [Turn.SILENT]
    (alarmed,) = await watch.payloads()
    assert "it was never heard" in str(alarmed["description"])


async def test_the_time_in_which_the_daemon_was_down_is_nobodys_silence(watch: Watch) -> None:
    await watch.beat()
    await watch.pass_time(40 * SECOND)
    watch.clock.advance(5 * HOUR)
    await watch.start()
    assert watch.watchman.pulses()["watchdog"].last_beat is not None
    assert await watch.pass_time(3 * MINUTE - SECOND) == []
    assert await watch.pass_time(SECOND) == [Turn.SILENT]
    (alarmed,) = await watch.payloads()
    assert "silent since 2026-01-01T17:00:4" in str(alarmed["title"])
    assert "the last was at 2026-01-01T12:00:00Z" in str(alarmed["description"])


async def test_a_silence_outlives_a_restart_and_is_told_once(watch: Watch) -> None:
    await watch.pass_time(4 * MINUTE)
    await watch.start()
    assert await watch.pass_time(HOUR) == []
    await watch.beat()
    assert await watch.pass_time(SECOND) == [Turn.SPOKE]
    assert await watch.said() == [("alarmed", KEY), ("resolved", KEY)]


async def test_a_daemon_that_was_stopped_for_a_while_does_not_take_that_for_silence(watch: Watch) -> None:
    await watch.beat()
    await watch.pass_time(SECOND)
    watch.clock.advance(HOUR)
    assert await watch.pass_time(2 * MINUTE) == []
    await watch.beat()
    assert await watch.pass_time(2 * MINUTE) == []


async def test_a_beat_that_waits_to_be_decided_is_waited_for(watch: Watch) -> None:
    await watch.beat()
    await watch.pass_time(3 * MINUTE - SECOND)
    beat = Event(
        watch.new_id(),
        "prod",
        watch.clock.now(),
        b'{"alerts": [{"status": "firing", "labels": {"alertname": "Watchdog"}}]}',
    )
    await watch.store.accept(beat)
    watch.clock.advance(5 * SECOND)
    assert await watch.watchman.run_once() == ()
    assert await watch.pass_time(2 * MINUTE) == []


async def test_events_that_wait_but_came_too_late_do_not_hide_a_silence(watch: Watch) -> None:
    await watch.pass_time(3 * MINUTE - SECOND)
    watch.clock.advance(3 * SECOND)
    late = Event(watch.new_id(), "prod", watch.clock.now(), b'{"alerts": []}')
    await watch.store.accept(late)
    assert [one.turn for one in await watch.watchman.run_once()] == [Turn.SILENT]


async def test_a_heartbeat_removed_while_silent_closes_its_incident_and_says_why(watch: Watch) -> None:
    await watch.pass_time(4 * MINUTE)
    watch.reload("rules: [{name: everything, send: [elven]}]")
    assert await watch.pass_time(SECOND) == [Turn.REMOVED]
    assert await watch.said() == [("alarmed", KEY), ("resolved", KEY)]
    _, resolved = await watch.payloads()
    assert {"name": "inferred", "value": "true"} in resolved["tags"]  # type: ignore[operator]
    assert await watch.store.read(heartbeats.load) == []


async def test_one_removed_while_the_daemon_was_down_is_closed_at_the_next_start(watch: Watch) -> None:
    await watch.pass_time(4 * MINUTE)
    watch.use("rules: [{name: everything, send: [elven]}]")
    await watch.start()
    assert await watch.pass_time(SECOND) == [Turn.REMOVED]
    assert await watch.said() == [("alarmed", KEY), ("resolved", KEY)]


async def test_a_heartbeat_that_is_new_is_counted_from_the_reload(watch: Watch) -> None:
    await watch.beat()
    watch.reload(
        RULES.replace(
            "rules:",
            "  - {name: other, when: [alertname = Other], every: 30s, grace: 30s, send: [elven]}\nrules:",
        )
    )
    assert await watch.pass_time(MINUTE) == []
    assert await watch.pass_time(SECOND) == [Turn.SILENT]
    assert await watch.said() == [("alarmed", "alertbridge/heartbeat/other")]


async def test_a_changed_heartbeat_is_counted_anew(watch: Watch) -> None:
    await watch.beat()
    await watch.pass_time(2 * MINUTE + 50 * SECOND)
    watch.reload(RULES.replace("grace: 2m", "grace: 1m"))
    assert await watch.pass_time(2 * MINUTE) == []
    assert await watch.pass_time(SECOND) == [Turn.SILENT]


async def test_an_alert_that_was_open_before_its_heartbeat_was_configured_still_closes(watch: Watch) -> None:
    watch.reload("rules: [{name: everything, send: [elven]}]")
    await watch.beat()
    watch.reload(RULES)
    await watch.beat("resolved")
    assert [action for action, _ in await watch.said()] == ["alarmed", "resolved"]


async def test_beats_are_not_written_one_by_one(watch: Watch) -> None:
    await watch.beat()
    await watch.pass_time(10 * SECOND)
    assert await watch.store.read(heartbeats.load) == []
    await watch.pass_time(30 * SECOND)
    (kept,) = await watch.store.read(heartbeats.load)
    assert kept.last_beat is not None


async def test_while_the_database_takes_no_writes_nobody_is_called_silent(
    watch: Watch, monkeypatch: pytest.MonkeyPatch
) -> None:
    await watch.beat()
    await watch.pass_time(3 * MINUTE - SECOND)

    async def full(_work: object) -> object:
        raise StoreError("no room")

    with monkeypatch.context() as patch, capture_logs() as logs:
        patch.setattr(watch.store, "write", full)
        watch.clock.advance(2 * SECOND)
        assert await watch.watchman.run_once() == ()
    assert [entry["event"] for entry in logs] == ["heartbeat.unkept"]
    assert await watch.pass_time(3 * MINUTE - SECOND) == []
    assert await watch.pass_time(SECOND) == [Turn.SILENT]


async def test_operators_see_every_heartbeat_and_what_its_silence_opened(watch: Watch) -> None:
    page = HeartbeatsPage(
        store=watch.store, pulses=watch.watchman.pulses, guard=Guard(token=None, loopback=True)
    )
    metrics = MetricsPage(
        store=watch.store,
        couriers={},
        pulses=watch.watchman.pulses,
        clock=watch.clock,
        metrics=watch.metrics,
    )
    async with serving(*page.routes(), *metrics.routes()) as client:

        async def ask() -> dict[str, object]:
            async with client.get("/api/v1/heartbeats") as answer:
                (item,) = (await answer.json())["items"]
            return dict(item)

        async def metric(name: str) -> list[float]:
            async with client.get("/metrics") as answer:
                lines = (await answer.text()).splitlines()
            start = f'alertbridge_{name}{{heartbeat="watchdog"}} '
            return [float(line.removeprefix(start)) for line in lines if line.startswith(start)]

        assert (await ask())["last_beat"] is None
        assert await metric("heartbeat_last_seconds") == []
        await watch.beat()
        await watch.pass_time(2 * MINUTE)
        assert await ask() == {
            "name": "watchdog",
            "every": "1m",
            "grace": "2m",
            "last_beat": "2026-01-01T12:00:00Z",
            "silent": False,
            "silent_since": None,
            "incidents": [],
            "hold_resolves": "0s",
            "held": 0,
        }
        assert (await metric("heartbeat_silent"), await metric("heartbeat_last_seconds")) == ([0], [120])
        await watch.pass_time(2 * MINUTE)
        (incident,) = await watch.rows("incidents")
        seen = await ask()
        assert (seen["silent"], seen["incidents"]) == (True, [incident["id"]])
        assert await metric("heartbeat_silent") == [1]
        async with client.get("/api/v1/heartbeats?state=silent") as answer:
            assert answer.status == 400


async def test_what_alertbridge_raised_can_be_explained(watch: Watch) -> None:
    await watch.pass_time(4 * MINUTE)
    (row,) = await watch.rows("events")
    body = bytes(row["body"])  # type: ignore[call-overload]

    now = watch.clock.now()
    said = Alertmanager().parse(body, source="alertbridge", received_at=now)
    seen = foresee_all(watch.decider.bridge, said, at=now)

    (fate,) = seen.fates
    assert [one.rule for one in fate.verdicts] == ["heartbeat watchdog"]
    assert [one.intent.key for one in fate.tellings] == [KEY]
