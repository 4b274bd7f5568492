"""What must be true of every run, whatever happened in it."""

from __future__ import annotations

from collections import defaultdict
from typing import Any

from tests.simulation.destinations import Sent
from tests.simulation.plan import WATCHDOG
from tests.simulation.world import World

_DUE_FOR = 7.0  # seconds; the loops look by themselves every 30
_STEADY = 20.0
_IDLE = 35.0  # after a clock was set: until then every loop has looked by itself
_UNFINISHED = ("pending", "sending")

_DUE = """
SELECT id, destination FROM deliveries AS one
WHERE state = 'pending' AND next_attempt_at <= ?
AND NOT EXISTS (SELECT 1 FROM deliveries AS ahead WHERE ahead.destination = one.destination AND ahead.key = one.key
                AND ahead.seq < one.seq AND ahead.state IN ('pending', 'sending'))
AND NOT EXISTS (SELECT 1 FROM deliveries AS flying WHERE flying.destination = one.destination
                AND flying.state = 'sending')
"""
_WAITING = "SELECT id FROM events WHERE outcome = 'received' AND received_at <= ?"


async def check_moving(world: World, suspects: set[str]) -> set[str]:
    """Nothing that is due and may be done lies still, twice in a row; returns what lies still now."""
    now = world.now()
    life = world.life
    if world.down or world.app is None or now - world.began_at[life] < _STEADY:
        return set()
    if any(now - until < _STEADY for _, until in world.faulty_disk):
        return set()
    if any(now - moment < _IDLE for moment in world.set_forward):
        return set()
    still = {row["id"] for row in world.rows(_WAITING, world.at(_DUE_FOR))}
    due = world.rows(_DUE, world.at(_DUE_FOR))
    if due:
        answer = await world.operate("GET", "/api/v1/destinations")
        shown = (
            {one["name"]: one for one in answer.json()["items"]} if answer and answer.status == 200 else {}
        )
        for row in due:
            one = shown.get(row["destination"])
            if one is not None and one["state"] == "ok" and one["budget"] != 0:
                still.add(row["id"])
    for stuck in sorted(still & suspects):
        world.violate(f"{stuck} is due and nothing hinders it, but nothing moves and all looks well")
    return still - suspects


def at_rest(world: World) -> bool:
    """Whether every event is decided, every doubt settled, and every delivery final or before an operator."""
    return not unrest(world)


def unrest(world: World) -> str:
    """What is not at rest."""
    deliveries = world.rows(
        "SELECT destination, key, action, state, attempts, last_error FROM deliveries "
        "WHERE state IN ('pending', 'sending') LIMIT 3"
    )
    events = world.rows("SELECT id FROM events WHERE outcome = 'received' LIMIT 3")
    doubts = world.rows("SELECT fingerprint FROM doubts LIMIT 3")
    silent = world.rows("SELECT key FROM incidents WHERE closed_at IS NULL AND key LIKE 'alertbridge/%'")
    source = "" if world.source.quiet() else "the source is not heard"
    return " ".join(str(one) for one in (deliveries, events, doubts, silent, source) if one)


def check_truth(world: World) -> None:
    """What Elven believes of every key is what is true of its alerts."""
    believed = world.vendors["elven"].state()
    excused = _before_an_operator(world) | _slept_through(world)
    firing: dict[str, list[str]] = defaultdict(list)
    for alert in world.source.alerts.values():
        if not alert.firing or alert.name == WATCHDOG:
            continue
        keys = _keys(alert.labels)
        for key in keys:
            firing[key].append(alert.name)
        told = any(believed.get(key) == "alarmed" for key in keys)
        if not told and not (excused | world.closed).intersection(keys):
            world.violate(f"{alert.name} fires and Elven does not know: {keys}")
    for key, state in believed.items():
        if state == "alarmed" and not firing[key] and key not in excused:
            world.violate(f"Elven believes that {key} is alarmed, but nothing of it fires")


async def check_end(world: World) -> None:
    """What must be true when all is over."""
    world.check_acknowledged()
    for row in world.rows(
        "SELECT id, outcome, error FROM events WHERE outcome NOT IN ('decided', 'malformed')"
    ):
        world.violate(f"event {row['id']} is left {row['outcome']}: {row['error']}")
    for row in world.rows("SELECT * FROM deliveries WHERE state IN ('held', 'dead', 'discarded', 'skipped')"):
        if not row["last_error"]:
            world.violate(f"delivery {row['id']} is {row['state']} without a reason")
    _check_records(world)
    _check_wire(world)
    await _check_pages(world)
    for complaint in world.loop.complaints:
        world.violate(f"nobody handled this: {complaint}")
    for path in sorted(world.database.parent.glob("alertbridge.db*")):
        world.see_no_secret("the database", path.read_bytes().decode("latin-1"))


def _check_records(world: World) -> None:
    """One record of each incident that is over, or a reason why not; and each of them once, unless an answer was lost."""
    by_incident: dict[str, list[str]] = defaultdict(list)
    for row in world.rows("SELECT incident, state FROM deliveries WHERE action = 'record'"):
        by_incident[row["incident"]].append(row["state"])
    for row in world.rows("SELECT id, closed_at FROM incidents WHERE destination = 'hivel'"):
        alive = [state for state in by_incident[row["id"]] if state != "superseded"]
        if row["closed_at"] is None:
            world.violate(f"incident {row['id']} is open, though nothing fires")
        elif len(alive) != 1:
            world.violate(f"incident {row['id']} is over and has these records: {alive}")
        landed = [s for s in world.vendors["hivel"].sent if s.key == row["id"] and s.took_effect]
        if alive == ["delivered"] and not landed:
            world.violate(f"the record of {row['id']} counts as delivered, and Hivel has none")


def _check_wire(world: World) -> None:
    attempts: dict[tuple[str, str], list[dict[str, Any]]] = defaultdict(list)
    for one in world.rows(
        "SELECT a.*, d.seq, d.incident FROM attempts AS a JOIN deliveries AS d ON d.id = a.delivery "
        "ORDER BY a.started_at, d.seq"
    ):
        attempts[one["destination"], one["key"]].append(one)
    for vendor in world.vendors.values():
        last: dict[str, tuple[dict[str, Any], Sent]] = {}
        delivered: dict[str, Sent] = {}
        for sent in vendor.sent:
            if (row := _attempt_of(sent, attempts)) is None:
                world.violate(f"#{sent.number} to {vendor.name} is not known as an attempt")
                continue
            before = last.get(row["key"])
            behind = before is not None and before[0]["seq"] > row["seq"]
            # Records have no order: one that is held is overtaken by those of later incidents.
            if before and behind and sent.action != "record" and row["delivery"] not in world.retried:
                world.violate(
                    f"#{sent.number} on {row['key']} leaves behind #{before[1].number}, a later message"
                )
            last[row["key"]] = (row, sent)
            known = delivered.get(row["delivery"])
            if known is not None and _was_settled(world, known, sent):
                world.violate(
                    f"#{sent.number} repeats #{known.number}, which the daemon knew to be delivered"
                )
            if sent.told == "2xx":
                delivered[row["delivery"]] = sent


def _attempt_of(sent: Sent, attempts: dict[tuple[str, str], list[dict[str, Any]]]) -> dict[str, Any] | None:
    found = None
    for row in _of_key(sent, attempts):
        if row["started_at"] <= sent.at and row["action"] == sent.action:
            found = row
    return found


def _of_key(sent: Sent, attempts: dict[tuple[str, str], list[dict[str, Any]]]) -> list[dict[str, Any]]:
    if sent.destination == "elven":
        return attempts["elven", sent.key]
    return [r for rows in attempts.values() for r in rows if r["incident"] == sent.key]


def _was_settled(world: World, known: Sent, again: Sent) -> bool:
    """Whether the daemon had the time to note an answer before its end."""
    assert known.told_at is not None
    return world.had_time_to_note(known.told_at, known.life, again.life)


async def _check_pages(world: World) -> None:
    """What an operator looks at answers, and shows no secret."""
    paths = ("deliveries?limit=500", "incidents?limit=500", "events?limit=500", "destinations", "rules")
    for path in ("/metrics", "/-/ready", "/-/healthy", *(f"/api/v1/{one}" for one in paths)):
        answer = await world.operate("GET", path)
        if answer is None or answer.status != 200:
            world.violate(f"{path} is answered {answer and answer.status}")


def _before_an_operator(world: World) -> set[str]:
    """Keys of which something was refused, given up or discarded: that is shown, and is nobody's truth."""
    rows = world.rows("SELECT DISTINCT key FROM deliveries WHERE state IN ('dead', 'discarded')")
    return {row["key"] for row in rows}


def _slept_through(world: World) -> set[str]:
    """Keys where a request took effect late, and the daemon's clock said meanwhile that this could not be any more."""
    return {
        sent.key
        for sent in world.vendors["elven"].sent
        for at in sent.landed
        for moment in world.set_forward
        if sent.left <= moment <= at
    }


def _keys(labels: dict[str, str]) -> tuple[str, ...]:
    """Wherever an alert may be, by either configuration."""
    own = f"prod/{labels['fingerprint']}"
    if labels.get("team") != "payments":
        return (own,)
    return (f"{labels['cluster']}/{labels['alertname']}", labels["cluster"])
