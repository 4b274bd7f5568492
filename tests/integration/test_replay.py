"""Stored events that are decided once more, by other rules or the same, on a real database."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import orjson
import pytest
import pytest_asyncio

from alertbridge.model import Event, instant
from alertbridge.operate.admin import Admin
from alertbridge.operate.closing import Closing
from alertbridge.operate.guard import OPERATOR, Guard
from alertbridge.operate.replay import ReplayPage
from alertbridge.store.store import Store
from tests.support.clock import NOON, ManualClock
from tests.support.configuration import BOTH
from tests.support.house import MINUTE, Ward, firing, resolved
from tests.support.stock import serving

DROP = """
rules:
  - name: mistaken
    drop: true
"""
GROUP = """
rules:
  - name: group
    key: "{{ labels.cluster }}"
    send: [elven, hivel]
"""
GROUP_OF_B = """
rules:
  - name: a-is-dropped
    when: [alertname = a]
    drop: true
  - name: group
    key: "{{ labels.cluster }}"
    send: [elven, hivel]
"""
OTHER_KEY = """
rules:
  - name: everything
    key: "other/{{ labels.alertname }}"
    send: [elven, hivel]
"""
ELVEN = """
rules:
  - name: everything
    send: [elven]
"""
TOLD = ["elven alarmed prod/disk", "elven resolved prod/disk", "hivel record prod/disk"]
OPEN = ["elven prod/disk", "hivel prod/disk"]


@pytest_asyncio.fixture
async def ward(store: Store, tmp_path: Path) -> AsyncIterator[Ward]:
    ward = Ward(store, tmp_path, ManualClock())
    ward.use(BOTH)
    guard = Guard(token=None, loopback=True)
    replay = ReplayPage(
        store=store,
        bridge=lambda: ward.decider.bridge,
        clock=ward.clock,
        new_id=ward.new_id,
        decide=lambda: None,
        guard=guard,
    )
    closing = Closing(store=store, clock=ward.clock, new_id=ward.new_id, decide=lambda: None, guard=guard)
    admin = Admin(store=store, stations={}, clock=ward.clock, guard=guard)
    async with serving(*replay.routes(), *closing.routes(), *admin.routes()) as client:
        ward.client = client
        yield ward


async def replay(ward: Ward, **span: Any) -> Any:
    """Replay all from an hour before noon on, decide it, and let every doubt run out."""
    left = await ward.post("replay", **{"since": instant(NOON - 60 * MINUTE), **span})
    await ward.decide()
    ward.clock.advance(2 * MINUTE)
    await ward.decide()
    return left


async def rehearse(ward: Ward, **span: Any) -> list[Any]:
    """The lines of a dry run."""
    assert ward.client is not None
    body = {"since": instant(NOON - 60 * MINUTE), "dry_run": True, **span}
    async with ward.client.post("/api/v1/replay", json=body, headers={OPERATOR: "alice"}) as answer:
        assert answer.status == 200
        return [orjson.loads(line) for line in (await answer.read()).splitlines()]


async def test_what_a_mistaken_rule_dropped_is_told(ward: Ward) -> None:
    ward.use(DROP)
    await ward.hear(firing("disk", NOON))
    ward.use(BOTH)
    left = await replay(ward)
    assert left == {"looked_at": 1, "replayed": 1, "passed_over": {}, "complete": True}
    assert await ward.outbox() == ["elven alarmed prod/disk"]
    assert await ward.open() == OPEN


async def test_what_was_dropped_and_is_over_by_now_does_not_stay_open(ward: Ward) -> None:
    ward.use(DROP)
    await ward.hear(firing("disk", NOON))
    ward.clock.advance(5 * MINUTE)
    await ward.hear(resolved("disk", NOON, NOON + 5 * MINUTE))
    ward.use(BOTH)
    await replay(ward)
    assert await ward.outbox() == TOLD
    assert await ward.open() == []
    (payload,) = await ward.rows("SELECT payload FROM deliveries WHERE action = 'record'")
    record = orjson.loads(payload[0])
    assert (record["reported_time"], record["resolution_time"]) == (
        "2026-01-01T12:00:00Z",
        "2026-01-01T12:05:00Z",
    )


async def test_an_end_outside_of_the_span_is_replayed_with_its_beginning(ward: Ward) -> None:
    ward.use(DROP)
    await ward.hear(firing("disk", NOON))
    ward.clock.advance(5 * MINUTE)
    await ward.hear(firing("other", NOON))
    await ward.hear(resolved("disk", NOON, NOON + 5 * MINUTE))
    ward.use(BOTH)
    left = await replay(ward, until=instant(NOON + MINUTE))
    assert (left["looked_at"], left["replayed"]) == (3, 2)
    assert await ward.open() == []


@pytest.mark.parametrize("rules", [BOTH, DROP, GROUP, OTHER_KEY, ELVEN])
async def test_twice_is_once(ward: Ward, rules: str) -> None:
    await ward.hear(firing("disk", NOON, cluster="eu"), firing("net", NOON, cluster="eu"))
    ward.use(DROP)
    await ward.hear(firing("cpu", NOON, cluster="eu"))
    await ward.hear(resolved("cpu", NOON, ward.clock.now(), cluster="eu"))
    await ward.hear(firing("ram", NOON, cluster="us"))
    ward.use(rules)
    await ward.hear(resolved("disk", NOON, ward.clock.now(), cluster="eu"))
    ward.clock.advance(MINUTE)
    await replay(ward)
    outbox, still = await ward.outbox(), await ward.open()
    await replay(ward)
    assert await ward.outbox() == outbox
    assert await ward.open() == still


async def test_by_the_same_rules_nothing_is_told_again_whatever_happened(ward: Ward) -> None:
    await ward.hear(firing("disk", NOON))
    await ward.hear(resolved("disk", NOON, ward.clock.now()))
    ward.clock.advance(10 * MINUTE)
    second = ward.clock.now()
    await ward.hear(firing("disk", second))
    outbox = await ward.outbox()
    await replay(ward)
    assert await ward.outbox() == outbox
    assert await ward.open() == OPEN
    (seen,) = (await ward.get("incidents?state=open&destination=elven"))["items"]
    assert seen["opened_at"] == instant(second)


async def test_an_episode_whose_start_was_doubted_is_not_ended_by_the_resolve_before_it(ward: Ward) -> None:
    await ward.hear(firing("disk", NOON))
    ward.clock.advance(MINUTE)
    await ward.hear(resolved("disk", NOON, ward.clock.now()))
    await ward.hear(firing("disk", NOON))
    ward.clock.advance(2 * MINUTE)
    await ward.decide()
    await ward.hear(firing("disk", NOON))
    outbox = await ward.outbox()
    assert await ward.open() == OPEN
    await replay(ward)
    assert await ward.open() == OPEN
    assert await ward.outbox() == outbox


async def test_an_alert_that_was_told_under_another_key_is_not_told_again(ward: Ward) -> None:
    await ward.hear(firing("disk", NOON))
    await ward.hear(resolved("disk", NOON, ward.clock.now()))
    ward.use(OTHER_KEY)
    await replay(ward)
    assert await ward.outbox() == TOLD


async def test_a_destination_that_is_new_in_the_rules_gets_what_it_has_missed(ward: Ward) -> None:
    ward.use(ELVEN)
    await ward.hear(firing("disk", NOON))
    await ward.hear(resolved("disk", NOON, ward.clock.now()))
    ward.use(BOTH)
    await replay(ward)
    assert await ward.outbox() == TOLD


async def test_a_dropped_episode_does_not_touch_the_one_that_is_told_after_it(ward: Ward) -> None:
    await ward.hear(firing("disk", NOON - 30 * MINUTE))
    await ward.hear(resolved("disk", NOON - 30 * MINUTE, NOON - 29 * MINUTE))
    ward.use(DROP)
    await ward.hear(firing("disk", NOON))
    await ward.hear(resolved("disk", NOON, ward.clock.now()))
    ward.use(BOTH)
    ward.clock.advance(10 * MINUTE)
    later = ward.clock.now()
    await ward.hear(firing("disk", later))
    outbox = await ward.outbox()
    await replay(ward)
    assert await ward.outbox() == outbox
    (seen,) = (await ward.get("incidents?state=open&destination=hivel"))["items"]
    assert seen["opened_at"] == instant(later)


async def test_a_dropped_member_joins_the_incident_that_was_open_when_it_was_heard(ward: Ward) -> None:
    ward.use(GROUP_OF_B)
    await ward.hear(firing("b", NOON, cluster="eu"))
    ward.clock.advance(MINUTE)
    await ward.hear(firing("a", ward.clock.now(), cluster="eu"))
    ward.use(GROUP)
    await replay(ward)
    (seen,) = (await ward.get("incidents?state=open&destination=elven"))["items"]
    assert [alert["fingerprint"] for alert in seen["alerts"]] == ["b", "a"]
    assert await ward.outbox() == ["elven alarmed eu"]


async def test_an_incident_that_is_told_does_not_begin_earlier_for_what_was_dropped_before_it(
    ward: Ward,
) -> None:
    ward.use(GROUP_OF_B)
    await ward.hear(firing("a", NOON, cluster="eu"))
    await ward.hear(resolved("a", NOON, ward.clock.now(), cluster="eu"))
    ward.clock.advance(30 * MINUTE)
    began = ward.clock.now()
    await ward.hear(firing("b", began, cluster="eu"))
    ward.use(GROUP)
    await replay(ward)
    seen = (await ward.get("incidents?state=open"))["items"]
    assert [one["opened_at"] for one in seen] == [instant(began)] * 2


async def test_a_member_that_has_left_an_open_incident_does_not_return_to_it(ward: Ward) -> None:
    ward.use(GROUP)
    first = await ward.hear(firing("a", NOON, cluster="eu"), firing("b", NOON, cluster="eu"))
    await ward.hear(resolved("a", NOON, ward.clock.now(), cluster="eu"))
    await replay(ward)
    ((said,),) = await ward.rows(f"SELECT alerts FROM events WHERE replay_of = '{first}'")
    effects = {one["fingerprint"]: [e["effect"] for e in one["incidents"]] for one in orjson.loads(said)}
    assert effects == {"a": [], "b": ["repeated", "repeated"]}


async def test_what_is_asked_for_by_what_became_of_it_is_alone_replayed(ward: Ward) -> None:
    await ward.hear(firing("told", NOON))
    ward.use(DROP)
    await ward.hear(firing("disk", NOON))
    ward.use(BOTH)
    left = await replay(ward, outcome="dropped")
    assert left["replayed"] == 1
    assert (await replay(ward, outcome="unmatched"))["replayed"] == 0
    assert (await replay(ward, outcome="failed"))["replayed"] == 0


async def test_what_failed_is_decided_and_the_end_that_was_heard_since_is_heeded(
    ward: Ward, monkeypatch: pytest.MonkeyPatch
) -> None:
    def breaks(*_: object, **__: object) -> object:
        raise ZeroDivisionError("on purpose")

    with monkeypatch.context() as patch:
        patch.setattr(ward.decider.bridge.rulebook, "plan", breaks)
        await ward.hear(firing("disk", NOON))
    await ward.hear(resolved("disk", NOON, ward.clock.now()))
    assert await ward.outbox() == ["elven resolved prod/disk"]
    await replay(ward, outcome="failed")
    assert await ward.open() == []
    assert await ward.outbox() == ["elven resolved prod/disk", "hivel record prod/disk"]


async def test_a_malformed_body_stays_malformed_until_it_can_be_read(ward: Ward) -> None:
    garbage = Event(ward.new_id(), "prod", ward.clock.now(), b'{"alerts": [')
    good = Event(ward.new_id(), "prod", ward.clock.now(), orjson.dumps({"alerts": [firing("disk", NOON)]}))
    await ward.store.keep_malformed(garbage, "not JSON")
    await ward.store.keep_malformed(good, "an older version could not read it")
    assert (await replay(ward))["replayed"] == 0
    left = await replay(ward, outcome="malformed")
    assert (left["replayed"], left["passed_over"]) == (1, {"it cannot be read": 1})
    assert await ward.open() == OPEN
    states = await ward.rows("SELECT outcome FROM events ORDER BY seq")
    assert states == [("malformed",), ("malformed",), ("decided",)]


async def test_what_an_operator_has_closed_stays_closed(ward: Ward) -> None:
    ward.use(ELVEN)
    await ward.hear(firing("disk", NOON))
    (incident,) = (await ward.get("incidents?state=open"))["items"]
    await ward.post(f"incidents/{incident['id']}/close", reason="gone")
    await ward.decide()
    await ward.hear(firing("disk", NOON))
    ward.use(BOTH)
    await replay(ward)
    assert await ward.open() == []


async def test_a_dry_run_says_what_would_change_event_by_event_and_changes_nothing(ward: Ward) -> None:
    await ward.hear(firing("told", NOON))
    ward.use(DROP)
    first = await ward.hear(firing("disk", NOON))
    ended = ward.clock.now()
    second = await ward.hear(resolved("disk", NOON, ended))
    ward.use(BOTH)
    outbox, events = await ward.outbox(), await ward.rows("SELECT id, outcome FROM events")
    opened, closed, left = await rehearse(ward)
    assert (opened["event"], closed["event"]) == (first, second)
    assert opened["alerts"] == [
        {
            "fingerprint": "disk",
            "status": "firing",
            "rules": ["everything"],
            "effects": [
                {"destination": "elven", "key": "prod/disk", "effect": "opened"},
                {"destination": "hivel", "key": "prod/disk", "effect": "opened"},
            ],
            "note": "",
        }
    ]
    assert [one["action"] for one in opened["messages"]] == ["alarmed"]
    assert sorted(one["action"] for one in closed["messages"]) == ["record", "resolved"]
    assert left == {
        "looked_at": 3, "replayed": 3, "passed_over": {}, "changing": 2, "messages": 3, "complete": True,
    }  # fmt: skip
    assert await ward.outbox() == outbox
    assert await ward.rows("SELECT id, outcome FROM events") == events
    assert (await ward.get("audit"))["items"] == []


async def test_a_dry_run_foretells_what_the_replay_does(ward: Ward) -> None:
    ward.use(DROP)
    for number in range(150):
        await ward.accept(firing(f"a{number}", NOON))
        await ward.accept(resolved(f"a{number // 2}", NOON, ward.clock.now()))
    await ward.decide()
    ward.use(BOTH)
    *_, left = await rehearse(ward)
    await replay(ward)
    assert left["messages"] == len(await ward.outbox())


async def test_who_replayed_what_is_in_the_audit_and_in_the_story_of_the_alert(ward: Ward) -> None:
    ward.use(DROP)
    event = await ward.hear(firing("disk", NOON))
    ward.use(BOTH)
    await replay(ward, outcome="dropped")
    (entry,) = (await ward.get("audit"))["items"]
    assert (entry["action"], entry["who"]) == ("replay", "alice (this machine, without a token)")
    assert entry["detail"] == {"since": instant(NOON - 60 * MINUTE), "outcome": "dropped"}
    story = (await ward.get("trace/disk"))["story"]
    heard = [(one["replay_of"], one["note"]) for one in story if one["what"] == "heard"]
    assert heard == [(None, "dropped"), (event, "")]


async def test_a_replay_is_no_beat(ward: Ward) -> None:
    ward.use(
        BOTH
        + "heartbeats:\n  - {name: dog, when: [alertname = Watchdog], every: 1m, grace: 1m, send: [elven]}\n"
    )
    await ward.hear(firing("Watchdog", NOON))
    assert ward.beats == [NOON]
    assert (await replay(ward))["replayed"] == 1
    assert ward.beats == [NOON]


@pytest.mark.parametrize("over", [False, True], ids=["it lasts", "it is over"])
async def test_what_ended_before_a_silence_is_not_held_for_it_when_it_is_replayed(
    ward: Ward, *, over: bool
) -> None:
    dog = (
        "heartbeats:\n  - {name: dog, when: [alertname = Watchdog], every: 1m, grace: 1m, "
        "hold_resolves: 10m, send: [elven]}\n"
    )
    ward.use(DROP + dog)
    await ward.hear(firing("Watchdog", NOON))
    for _ in range(2):
        began = ward.clock.now()
        await ward.hear(firing("disk", began))
        ward.clock.advance(5 * MINUTE)
        await ward.hear(resolved("disk", began, ward.clock.now()))
    ward.clock.advance(60 * MINUTE)
    await ward.hear(resolved("Watchdog", NOON, ward.clock.now()))
    if over:
        ward.clock.advance(MINUTE)
        await ward.hear(firing("Watchdog", ward.clock.now()))
        ward.clock.advance(60 * MINUTE)
    ward.use(BOTH + dog)
    await replay(ward, outcome="dropped")
    assert await ward.outbox() == [*TOLD, *TOLD]


async def test_a_replay_does_not_make_an_alert_older_than_it_is(ward: Ward) -> None:
    await ward.hear(firing("disk", NOON))
    ward.clock.advance(60 * MINUTE)
    await ward.hear(firing("disk", NOON))
    seen = await ward.rows("SELECT last_seen FROM members UNION ALL SELECT last_seen FROM alerts")
    ward.clock.advance(timedelta(seconds=5))
    await replay(ward)
    assert await ward.rows("SELECT last_seen FROM members UNION ALL SELECT last_seen FROM alerts") == seen


@pytest.mark.parametrize(
    ("body", "problem"),
    [
        ({}, "since"),
        ({"since": "2026-01-01T12:00:00"}, "since"),
        ({"since": "2026-01-01T12:00:00Z", "until": "2026-01-01T11:00:00Z"}, "before since"),
        ({"since": "2026-01-01T12:00:00Z", "outcome": "nope"}, "outcome"),
        ({"since": "2026-01-01T12:00:00Z", "source": "nobody"}, 'no source is called "nobody"'),
    ],
)
async def test_what_is_not_said_clearly_is_refused(ward: Ward, body: dict[str, str], problem: str) -> None:
    refused = await ward.post("replay", 400, **body)
    assert problem in refused["detail"]
