"""What operators do at night, with the commands alone: the real daemon, the real stand-ins."""

from __future__ import annotations

import json
from pathlib import Path

import orjson

from tests.acceptance.test_by_hand import LABELS, RULES, Night, night

__all__ = ["night"]

DROP = """
rules:
  - name: mistaken
    drop: true
"""


async def several(night: Night, number: int) -> None:
    """So many alerts, each of a key of its own."""
    alerts = [{"status": "firing", "labels": {**LABELS, "cluster": f"c{one}"}} for one in range(number)]
    assert await night.daemon.post(orjson.dumps({"alerts": alerts})) == 202
    await night.daemon.settled()


async def test_dead_letters_are_looked_at_and_then_sent_again_all_at_once(
    night: Night, tmp_path: Path
) -> None:
    await night.misbehave("elven", {"mode": "status", "status": 422})
    await several(night, 3)
    await night.misbehave("elven", None)

    look = await night.run(
        "deliveries", "retry", "--state", "dead", "--destination", "elven", "--since", "2h"
    )
    assert "3 match; nothing was done" in look
    assert "HTTP 422" in look
    assert not night.told("elven")

    file = tmp_path / "dead.jsonl"
    await night.run("deliveries", "export", "--state", "dead", "--output", str(file))
    lines = [json.loads(line) for line in file.read_text().splitlines()]
    assert {(one["state"], one["action"]) for one in lines} == {("dead", "alarmed")}

    done = await night.run("deliveries", "retry", "--state", "dead", "--since", "2h", "--yes")
    assert done == "3 of 3 sent again\n"
    await night.daemon.settled()
    assert len(night.told("elven")) == len(lines) == 3
    assert "none matches" in await night.run("deliveries", "discard", "--state", "dead")
    both = await night.run("deliveries", "retry", lines[0]["id"], "--state", "dead", code=2)
    assert "an ID or filters, not both" in both
    assert "say why" in await night.run("deliveries", "discard", "--state", "dead", "--yes", code=2)
    wrong = await night.run("deliveries", "retry", "--state", "delivered", "--yes", code=2)
    assert "what is delivered cannot be meant" in wrong


async def test_what_is_refused_among_many_is_told_with_the_reason(night: Night) -> None:
    await night.misbehave("elven", {"mode": "status", "status": 422})
    await night.say("firing")
    await night.misbehave("elven", None)
    await night.say("resolved")
    done = await night.run("deliveries", "retry", "--state", "dead", "--yes", code=1)
    assert "0 of 1 sent again\n1 refused: something newer was delivered on its key" in done
    (dead,) = await night.items("deliveries", "--state", "dead")
    assert dead["action"] == "alarmed"


async def test_an_incident_is_closed_by_hand_at_both_vendors_and_stays_closed(night: Night) -> None:
    begun = {"status": "firing", "labels": LABELS, "startsAt": "2026-01-05T09:30:00Z"}
    assert await night.daemon.post(orjson.dumps({"alerts": [begun]})) == 202
    await night.daemon.settled()
    (incident,) = await night.items("incidents", "--state", "open", "--destination", "elven")
    said = await night.run("incidents", "close", incident["id"], "--reason", "the host is gone")
    assert said.startswith("1 alert is resolved by hand")
    await night.daemon.settled()
    assert await night.daemon.post(orjson.dumps({"alerts": [begun]})) == 202
    await night.daemon.settled()
    assert [one["action"] for one in night.told("elven")] == ["alarmed", "resolved"]
    assert not await night.items("incidents", "--state", "open")
    story = await night.run("trace", incident["id"])
    assert "closed by alice (this machine, without a token): the host is gone" in story
    assert "closed already" in await night.run(
        "incidents", "close", incident["id"], "--reason", "again", code=1
    )


async def test_what_a_mistaken_rule_dropped_is_told_after_it_was_mended(night: Night) -> None:
    right = night.daemon.configuration.read_text()
    night.daemon.configuration.write_text(right.replace(RULES, DROP))
    await night.run("reload")
    await night.say("firing")
    night.daemon.configuration.write_text(right)
    await night.run("reload")

    asked = ("replay", "--since", "1h", "--outcome", "dropped")
    counted = await night.run(*asked)
    assert "1 of 1 events would be decided once more; 1 would change something" in counted
    told = await night.run(*asked, "--dry-run")
    assert "opened at elven (eu/Down)" in told
    assert "to say: elven alarmed eu/Down" in told
    assert not night.told("elven")

    for _ in range(2):
        await night.run(*asked, "--yes")
        await night.daemon.settled()
    assert [one["action"] for one in night.told("elven")] == ["alarmed"]
    assert "--dry-run or --yes, not both" in await night.run(*asked, "--dry-run", "--yes", code=2)


async def test_a_destination_is_tried_and_the_exit_status_tells(night: Night) -> None:
    told = await night.run("destinations", "test", "elven")
    assert "elven alarmed: delivered, HTTP 200" in told
    assert "good: This proves" in told
    assert "HTTP 400" in await night.run("destinations", "test", "hivel")
    assert not night.told("hivel")
    await night.misbehave("elven", {"mode": "status", "status": 401})
    await night.run("destinations", "test", "elven", code=1)
    entries = await night.items("audit", "--destination", "elven")
    assert [entry["detail"]["ok"] for entry in entries] == [False, True]
