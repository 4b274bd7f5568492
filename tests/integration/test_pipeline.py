"""From accepted bodies to the outbox, on a real database, without a network."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import Connection

from alertbridge.chronicle import Chronicle
from alertbridge.identifiers import Ulids
from alertbridge.metrics import Metrics
from alertbridge.model import Event
from alertbridge.parts import bridge
from alertbridge.pipeline import Decider, breath
from alertbridge.store.store import Store
from tests.support.clock import ManualClock
from tests.support.configuration import BOTH, MAIN, configure
from tests.support.payloads import captured, received_at, said

MINUTE = timedelta(minutes=1)


class House:
    """A decider on a database, on a clock that the test moves."""

    def __init__(self, store: Store, folder: Path, clock: ManualClock) -> None:
        self.store = store
        self.folder = folder
        self.clock = clock
        self.metrics = Metrics()
        self.new_id = Ulids(clock=clock)
        self.posted = 0
        self.use(BOTH)

    def use(self, rules: str, main: str = MAIN) -> None:
        """Work with these rules from now on, as after a restart."""
        self.decider = Decider(
            store=self.store,
            bridge=bridge(configure(self.folder, rules, main)),
            clock=self.clock,
            new_id=self.new_id,
            chronicle=Chronicle(metrics=self.metrics),
            posted=self._posted,
        )

    async def accept(self, *bodies: bytes | str) -> None:
        """Accept bodies; a captured one, named by its number, at the moment when it was received."""
        for body in bodies:
            if isinstance(body, str):
                self.clock.move_to(received_at(body))
            content = captured(body) if isinstance(body, str) else body
            await self.store.accept(Event(self.new_id(), "prod", self.clock.now(), content))

    async def hear(self, *bodies: bytes | str) -> None:
        """Accept and decide."""
        await self.accept(*bodies)
        while await self.decider.run_once():
            pass

    async def rows(self, table: str) -> list[dict[str, object]]:
        def query(connection: Connection) -> list[dict[str, object]]:
            found = connection.exec_driver_sql(f"SELECT * FROM {table} ORDER BY rowid")
            return [dict(row) for row in found.mappings()]

        return await self.store.read(query)

    async def outbox(self) -> list[tuple[str, str, str]]:
        """(destination, action, state) in the order of posting."""
        rows = await self.rows("deliveries")
        return [(str(r["destination"]), str(r["action"]), str(r["state"])) for r in rows]

    def _posted(self) -> None:
        self.posted += 1


def poison_the_alert_of_01(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the rules break on that one alert."""
    rulebook = house.decider.bridge.rulebook
    plan: Callable[..., object] = rulebook.plan

    def breaks(alert: object, **heard: object) -> object:
        if "bdc4a5686971790d" in str(alert):
            raise ZeroDivisionError("on purpose")
        return plan(alert, **heard)

    monkeypatch.setattr(rulebook, "plan", breaks)


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def house(store: Store, tmp_path: Path, clock: ManualClock) -> House:
    return House(store, tmp_path, clock)


async def test_a_firing_alert_becomes_an_alarm_and_its_resolve_a_record(house: House) -> None:
    await house.hear("01")
    assert await house.outbox() == [("elven", "alarmed", "pending")]
    assert house.posted == 1
    await house.hear("04")
    firsts = [("elven", "alarmed"), ("elven", "alarmed"), ("elven", "resolved"), ("hivel", "record")]
    assert sorted((d, a) for d, a, _ in await house.outbox()) == firsts
    (record,) = (
        json.loads(str(r["payload"])) for r in await house.rows("deliveries") if r["action"] == "record"
    )
    assert record["reported_time"] == "2026-11-21T19:38:46Z"
    assert record["resolution_time"] == "2026-11-21T19:39:17Z"
    assert (record["repo_url"], record["pr_number"]) == ("https://github.com/acme/checkout", "44")
    assert record["severity"] == "critical"


async def test_resolved_and_alarmed_of_an_incident_say_the_same_but_for_the_action(house: House) -> None:
    await house.hear("01", "04")
    fingerprint = "prod/bdc4a5686971790d"
    payloads = [
        json.loads(str(r["payload"]))
        for r in await house.rows("deliveries")
        if r["key"] == fingerprint and r["destination"] == "elven"
    ]
    assert [p.pop("action") for p in payloads] == ["alarmed", "resolved"]
    assert payloads[0] == payloads[1]
    assert payloads[0]["title"] == "High error rate on checkout"


async def test_the_whole_story_of_a_group_in_one_batch_or_one_by_one(house: House) -> None:
    story = ["01", "02", "04", "05", "06", "07", "08"]
    await house.accept(*story)
    assert await house.decider.run_once() == len(story)
    rows = await house.rows("deliveries")
    by_alert: dict[str, list[str]] = {}
    for row in rows:
        if row["destination"] == "elven":
            by_alert.setdefault(str(row["key"]), []).append(str(row["action"]))
    assert by_alert == {
        "prod/bdc4a5686971790d": ["alarmed", "resolved", "alarmed"],
        "prod/646bacc84fcf1060": ["alarmed", "resolved"],
        "prod/50e7d969130fee3f": ["alarmed", "resolved"],
    }
    assert sum(1 for row in rows if row["action"] == "record") == 3


async def test_one_key_for_a_group_is_one_incident_that_closes_with_its_last_member(house: House) -> None:
    house.use("""
    rules:
      - name: grouped
        key: "{{ labels.cluster }}/{{ labels.alertname }}"
        send: [elven]
    """)
    for number in ("01", "02", "04", "05", "06"):
        await house.hear(number)
        assert await house.outbox() == [("elven", "alarmed", "pending")]
    await house.hear("07")
    assert await house.outbox() == [("elven", "alarmed", "pending"), ("elven", "resolved", "pending")]


async def test_a_silence_that_makes_the_group_say_resolved_closes_only_what_resolved(house: House) -> None:
    await house.hear("01", "02", "25")
    open_ones = {str(r["key"]) for r in await house.rows("incidents") if r["closed_at"] is None}
    resolved = {a["fingerprint"] for a in said("25")["alerts"]}
    assert open_ones == {f"prod/{a['fingerprint']}" for a in said("02")["alerts"]} - {
        f"prod/{f}" for f in resolved
    }


async def test_stale_news_of_the_other_peer_changes_nothing(house: House) -> None:
    firing = said("32")
    for alert in firing["alerts"]:
        alert |= {"status": "firing", "endsAt": "0001-01-01T00:00:00Z"}
    house.clock.move_to(received_at("32"))
    await house.hear(json.dumps(firing).encode(), "32")
    before = await house.outbox()
    await house.hear("33")
    assert len(await house.rows("doubts")) == 1
    house.clock.advance(timedelta(seconds=10))
    await house.hear("34")
    house.clock.advance(5 * MINUTE)
    await house.hear()
    assert await house.outbox() == before
    assert await house.rows("doubts") == []


async def test_a_doubted_firing_that_nobody_takes_back_opens_a_new_incident(house: House) -> None:
    await house.hear("01", "04")
    opened = len(await house.rows("incidents"))
    await house.hear("01")
    house.clock.advance(timedelta(seconds=89))
    await house.hear()
    assert len(await house.rows("incidents")) == opened
    house.clock.advance(timedelta(seconds=1))
    await house.hear()
    assert len(await house.rows("incidents")) == opened + 2
    newest = (await house.rows("incidents"))[-1]
    (resolved,) = (a for a in said("04")["alerts"] if a["status"] == "resolved")
    assert resolved["fingerprint"] in str(newest["key"])


async def test_a_storm_of_500_opens_500_incidents_and_saying_it_again_is_silent(house: House) -> None:
    await house.hear("35")
    assert len(await house.outbox()) == 500
    await house.hear("35", "36")
    assert len(await house.outbox()) == 500
    assert house.metrics.truncated_alerts.labels("prod")._value.get() == 400


async def test_a_restart_forgets_nothing(house: House, store: Store) -> None:
    await house.hear("01")
    again = House(store, house.folder, house.clock)
    await again.hear("04")
    assert ("elven", "resolved", "pending") in await again.outbox()


async def test_rules_that_change_meanwhile_do_not_strand_an_open_incident(house: House) -> None:
    await house.hear("01")
    house.use("""
    rules:
      - {name: drop-it-now, drop: true}
    """)
    await house.hear("04")
    actions = [(d, a) for d, a, _ in await house.outbox()]
    assert actions == [("elven", "alarmed"), ("elven", "resolved"), ("hivel", "record")]


async def test_a_record_without_a_pull_request_is_held_and_names_what_is_missing(house: House) -> None:
    house.use(BOTH, MAIN.replace(", pr_number: 44", ""))
    await house.hear("01", "04")
    (record,) = (r for r in await house.rows("deliveries") if r["action"] == "record")
    assert (record["state"], json.loads(str(record["missing"]))) == ("held", ["pr_number"])
    assert "pr_number" not in json.loads(str(record["payload"]))


async def test_an_event_that_cannot_be_decided_is_set_aside_and_the_others_go_on(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    poison_the_alert_of_01(house, monkeypatch)
    await house.accept("01", "21", "22")
    while await house.decider.run_once():
        pass
    outcomes = [(r["outcome"], r["error"]) for r in await house.rows("events")]
    assert outcomes == [("failed", "ZeroDivisionError: on purpose"), ("decided", None), ("decided", None)]
    assert house.metrics.events.labels("prod", "failed")._value.get() == 1


async def test_an_event_of_a_source_that_is_gone_is_in_front_of_an_operator(house: House) -> None:
    await house.accept("01")
    house.decider.bridge = replace(house.decider.bridge, feeds={})
    while await house.decider.run_once():
        pass
    (event,) = await house.rows("events")
    assert event["outcome"] == "failed"
    assert "no longer configured" in str(event["error"])


async def test_what_is_said_to_a_destination_that_is_gone_is_dead_with_the_reason(house: House) -> None:
    await house.hear("01")
    house.use("rules:\n  - {name: all, send: [hivel]}\n", MAIN.replace("  elven:", "  other:"))
    await house.hear("04")
    (said_to_it,) = (r for r in await house.rows("deliveries") if r["action"] == "resolved")
    assert said_to_it["state"] == "dead"
    assert "no longer configured" in str(said_to_it["last_error"])


async def test_a_flap_within_the_reopen_window_is_one_incident_and_one_record(house: House) -> None:
    house.use("""
    rules:
      - name: flappy
        reopen_window: 10m
        send: [elven, hivel]
    """)
    for number in ("01", "02", "04", "08"):
        await house.hear(number)
    key = "prod/bdc4a5686971790d"
    rows = [r for r in await house.rows("deliveries") if r["key"] == key]
    assert [(r["action"], r["state"]) for r in rows] == [
        ("alarmed", "superseded"),
        ("resolved", "superseded"),
        ("record", "superseded"),
        ("alarmed", "pending"),
    ]
    assert len({r["incident"] for r in rows if r["destination"] == "elven"}) == 1


async def test_collapse_tells_nothing_of_what_was_over_before_it_was_told(house: House) -> None:
    house.use(BOTH, MAIN.replace('token-of-elven"', 'token-of-elven", collapse: true'))
    await house.hear("01", "04")
    states = {(a, s) for d, a, s in await house.outbox() if d == "elven"}
    assert ("resolved", "skipped") in states
    assert ("alarmed", "skipped") in states


async def test_a_resolve_accepted_before_a_doubt_ran_out_settles_it_however_late_it_is_decided(
    house: House,
) -> None:
    await house.hear("33", "32", "33")
    told = await house.outbox()
    house.clock.advance(MINUTE)
    await house.store.accept(Event(house.new_id(), "prod", house.clock.now(), captured("34")))
    house.clock.advance(MINUTE)
    await house.hear()
    assert await house.rows("doubts") == []
    assert await house.outbox() == told, "nothing was said of what was taken back in time"


async def test_a_doubt_that_cannot_be_decided_blames_no_event_and_waits_an_hour(house: House) -> None:
    await house.hear("01", "04")
    await house.hear(captured("01"))

    def poison(connection: Connection) -> None:
        connection.exec_driver_sql("UPDATE doubts SET alert = json_set(alert, '$.labels', 7)")

    await house.store.write(poison)
    house.clock.advance(2 * MINUTE)
    await house.hear("21", "22")
    assert {str(r["outcome"]) for r in await house.rows("events")} == {"decided"}
    assert len(await house.rows("doubts")) == 1
    assert not await house.decider.run_once()


async def test_a_doubt_of_a_newer_version_is_understood_as_far_as_it_can_be(house: House) -> None:
    await house.hear("01", "04")
    await house.hear(captured("01"))

    def newer(connection: Connection) -> None:
        connection.exec_driver_sql("UPDATE doubts SET alert = json_set(alert, '$.newer', 1)")

    await house.store.write(newer)
    house.clock.advance(2 * MINUTE)
    await house.hear()
    assert await house.rows("doubts") == []


async def test_a_doubt_whose_alert_the_rules_now_drop_and_nobody_knows_is_over(house: House) -> None:
    await house.hear("01", "04")
    await house.hear(captured("01"))
    house.use("rules:\n  - {name: drop-it, drop: true}\n")

    def forget(connection: Connection) -> None:
        connection.exec_driver_sql("DELETE FROM alerts")

    await house.store.write(forget)
    house.clock.advance(2 * MINUTE)
    await house.hear()
    assert await house.rows("doubts") == []


@pytest.mark.parametrize("one_by_one", [True, False])
async def test_a_batch_leaves_the_outbox_as_deciding_one_by_one_would(
    house: House, *, one_by_one: bool
) -> None:
    """What closes and opens again before anyone was told, where such incidents are not told at all."""
    house.use(
        """
    rules:
      - {name: flappy, reopen_window: 10m, send: [elven]}
    """,
        MAIN.replace('token-of-elven"', 'token-of-elven", collapse: true'),
    )
    for number in ("01", "04", "08"):
        await house.accept(number)
        while one_by_one and await house.decider.run_once():
            pass
    while await house.decider.run_once():
        pass
    key = "prod/bdc4a5686971790d"
    (pending,) = (r for r in await house.rows("deliveries") if r["key"] == key and r["state"] == "pending")
    assert pending["action"] == "alarmed"


async def test_one_bad_event_among_many_is_found_in_few_rounds(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    await house.accept(*[captured("21")] * 60, captured("01"), *[captured("22")] * 60)
    poison_the_alert_of_01(house, monkeypatch)
    rounds = 0
    while await house.decider.run_once():
        rounds += 1
    assert [str(r["outcome"]) for r in await house.rows("events")].count("failed") == 1
    assert rounds < 30


async def test_a_full_disk_stops_deciding_only_for_as_long_as_it_is_full(house: House) -> None:
    def limit(connection: Connection, pages: int) -> None:
        connection.exec_driver_sql(f"PRAGMA max_page_count={pages}")

    await house.accept("35")
    await house.store.write(lambda connection: limit(connection, 1))
    running = asyncio.create_task(house.decider.run())
    for _ in range(100):
        await asyncio.sleep(0.01)
        house.clock.advance(timedelta(milliseconds=10))
    assert not running.done()
    assert await house.outbox() == []
    await house.store.write(lambda connection: limit(connection, 1_000_000))
    async with asyncio.timeout(10):
        while len(await house.outbox()) < 500:
            await asyncio.sleep(0.01)
            house.clock.advance(timedelta(seconds=1))
    house.decider.close()
    while not running.done():
        house.clock.advance(timedelta(seconds=1))
        await asyncio.sleep(0.01)


async def test_what_became_of_every_alert_is_kept_with_its_event(house: House) -> None:
    house.use("""
    rules:
      - {name: noise, when: ['instance = "web-2.example:8080"'], drop: true}
      - {name: rest, send: [elven]}
    """)
    await house.hear("02")
    (event,) = await house.rows("events")
    one, two = sorted(json.loads(str(event["alerts"])), key=lambda a: str(a["rules"]), reverse=True)
    assert (one["rules"], one["incidents"][0]["effect"]) == (["rest"], "opened")
    assert (two["rules"], two["incidents"], two["note"]) == (["noise"], [], "dropped")
    assert event["rules_hash"] == house.decider.bridge.rulebook.hash


async def test_a_template_that_fails_is_counted_and_the_alert_goes_on(house: House) -> None:
    house.use("""
    rules:
      - name: broken
        send:
          elven: {title: "{{ 1 // 0 }}"}
    """)
    await house.hear("01")
    (delivery,) = await house.rows("deliveries")
    assert json.loads(str(delivery["payload"]))["title"] == "High error rate on checkout"
    assert house.metrics.template_failures.labels("broken", "title")._value.get() == 1


async def test_a_named_template_that_fails_is_counted_for_the_field_that_uses_it(house: House) -> None:
    house.use("""
    templates: {title: "{{ templates.broken }}", broken: "{{ 1 // 0 }}"}
    defaults: {send: {elven: {title: "{{ templates.title }}"}}}
    rules: [{name: all, send: [elven]}]
    """)
    await house.hear("01")
    (delivery,) = await house.rows("deliveries")
    assert json.loads(str(delivery["payload"]))["title"] == "High error rate on checkout"
    assert house.metrics.template_failures.labels("all", "title")._value.get() == 1
    (incident,) = await house.rows("incidents")
    assert "in templates.title: in templates.broken: " in str(incident["content"])


@pytest.mark.parametrize("poisoned", [False, True])
async def test_what_decided_is_on_record_before_anything_names_it(
    house: House, monkeypatch: pytest.MonkeyPatch, *, poisoned: bool
) -> None:
    """Also where it could not be recorded at the start, for want of room; and for an event that fails."""
    if poisoned:
        poison_the_alert_of_01(house, monkeypatch)
    await house.hear("01")

    (known,) = await house.rows("rule_sets")
    tables = ("events", "incidents", "deliveries")
    named = [row["rules_hash"] for table in tables for row in await house.rows(table)]
    assert len(named) == (1 if poisoned else 4)
    assert {*named} == {known["hash"]} == {house.decider.bridge.rulebook.hash}


@pytest.mark.parametrize(
    ("decided", "most", "milliseconds"),
    [(1, 500, 20), (15, 500, 20), (16, 500, 100), (499, 500, 100), (500, 500, 20)],
)
def test_only_a_batch_that_others_are_about_to_join_is_waited_for_longer(
    decided: int, most: int, milliseconds: int
) -> None:
    assert breath(decided, most) == timedelta(milliseconds=milliseconds)


ENRICHED = """
lookup:
  owners: {file: owners.csv, by: service}
rules:
  - name: own
    set: {labels: {team: "{{ lookup.owners.team }}", severity: critical}}
  - name: by night
    when: team = pay
    active: {hours: "22:00-06:00", timezone: Europe/Berlin}
    key: "night/{{ labels.team }}"
    send: [elven]
  - name: by day
    when: team = pay
    key: "day/{{ labels.team }}"
    send: {elven: {title: "{{ labels.team }}: {{ labels.alertname }}"}}
"""


def _about(service: str, status: str = "firing") -> bytes:
    labels = {"alertname": "Down", "service": service}
    return json.dumps({"alerts": [{"status": status, "labels": labels, "fingerprint": service}]}).encode()


async def test_what_is_set_and_looked_up_decides_and_is_sent_and_the_alert_stays_who_it_is(
    house: House,
) -> None:
    (house.folder / "owners.csv").write_text("service,team\ncheckout,pay\n", encoding="utf-8")
    house.use(ENRICHED)
    await house.hear(_about("checkout"), _about("search"))

    (incident,) = await house.rows("incidents")
    assert (incident["key"], incident["rule"], incident["severity"]) == ("day/pay", "by day", 5)
    (delivery,) = await house.rows("deliveries")
    payload = json.loads(str(delivery["payload"]))
    assert payload["title"] == "pay: Down"
    assert {"name": "team", "value": "pay"} in payload["tags"]
    assert [row["fingerprint"] for row in await house.rows("alerts")] == ["checkout"]
    matches = house.metrics.rule_matches
    assert matches.labels("own")._value.get() == 2
    assert matches.labels("by day")._value.get() == 1
    assert house.metrics.template_failures.labels("own", "set.labels.team")._value.get() == 1
    told = json.loads(str((await house.rows("events"))[1]["alerts"]))
    assert (told[0]["rules"], told[0]["note"]) == (["own"], "no rule matches")

    (house.folder / "owners.csv").write_text("service,team\ncheckout,other\n", encoding="utf-8")
    house.use(ENRICHED)
    await house.hear(_about("checkout", "resolved"))

    assert (await house.outbox())[-1] == ("elven", "resolved", "pending")
    (incident,) = await house.rows("incidents")
    assert (incident["key"], incident["closed_at"] is None) == ("day/pay", False)


async def test_a_window_is_asked_about_the_time_at_which_the_alert_was_heard(
    house: House, clock: ManualClock
) -> None:
    (house.folder / "owners.csv").write_text("service,team\ncheckout,pay\n", encoding="utf-8")
    house.use(ENRICHED)
    clock.advance(timedelta(hours=16, minutes=59))  # 05:59 in Berlin
    await house.accept(_about("checkout"))
    clock.advance(timedelta(hours=8))
    while await house.decider.run_once():
        pass

    (incident,) = await house.rows("incidents")
    assert (incident["key"], incident["rule"]) == ("night/pay", "by night")
