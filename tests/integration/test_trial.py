"""What tests of rules are run on decides as the daemon does on its database."""

from __future__ import annotations

import json
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import Connection

from alertbridge.chronicle import Chronicle
from alertbridge.cli.trial.world import World
from alertbridge.identifiers import Ulids
from alertbridge.metrics import Metrics
from alertbridge.model import Event
from alertbridge.parts import bridge
from alertbridge.pipeline import Decider
from alertbridge.store.store import Store
from tests.support.clock import ManualClock
from tests.support.configuration import configure
from tests.support.payloads import captured, received_at

STORIES = {
    "a group grows, shrinks and ends": ("01", "02", "03", "04", "05", "06", "07"),
    "an alert comes back": ("01", "04", "07", "08"),
    "a flap between two flushes": ("12",),
    "a pair says old news": ("32", "33", "34"),
    "without a repository": ("14", "17", "22"),
}
RULES = """
rules:
  - name: grouped
    when: [team = payments]
    key: "{{ labels.cluster }}/{{ labels.alertname }}"
    min_duration: 1m
    resend: change
    send: [elven, hivel]
  - {name: everything, send: [elven, hivel]}
"""
Row = tuple[str, str, str, str]


@pytest.mark.parametrize("story", STORIES.values(), ids=STORIES.keys())
async def test_the_same_is_said(store: Store, tmp_path: Path, story: tuple[str, ...]) -> None:
    parts, clock = bridge(configure(tmp_path, RULES)), ManualClock()
    decider = Decider(
        store=store,
        bridge=parts,
        clock=clock,
        new_id=Ulids(clock=clock),
        chronicle=Chronicle(metrics=Metrics()),
        posted=lambda: None,
    )
    world = World(parts, start=received_at(story[0]))
    for number in story:
        moment = received_at(number)
        clock.move_to(moment)
        await store.accept(Event(f"event-{number}", "prod", moment, captured(number)))
        while await decider.run_once():
            pass
        world.approach(moment)
        world.catch_up()
        said = parts.feeds["prod"].parser.parse(captured(number), source="prod", received_at=moment)
        world.hear(said, source="prod")
    clock.move_to(clock.now() + timedelta(hours=1))
    while await decider.run_once():
        pass
    world.finish()

    assert sorted(in_world(world)) == sorted(await store.read(in_outbox))


def in_world(world: World) -> list[Row]:
    return [
        (
            one.destination,
            one.action.value,
            state(held=bool(one.missing), skipped=bool(one.skipped)),
            text(one.payload),
        )
        for one in world.said
    ]


def in_outbox(connection: Connection) -> list[Row]:
    found = connection.exec_driver_sql("SELECT * FROM deliveries").mappings()
    return [
        (
            str(row["destination"]),
            str(row["action"]),
            state(held=row["state"] == "held", skipped=row["state"] == "skipped"),
            text(json.loads(str(row["payload"]))),
        )
        for row in found
    ]


def state(*, held: bool, skipped: bool) -> str:
    return "held" if held else "skipped" if skipped else "sent"


def text(payload: object) -> str:
    """The payload without the id that each incident gets anew."""
    plain = json.loads(json.dumps(payload, default=dict))
    plain.pop("provider_id", None)
    return json.dumps(plain, sort_keys=True)
