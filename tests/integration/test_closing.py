"""An incident that an operator closes, and what is heard of its alerts afterwards."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from alertbridge.operate.admin import Admin
from alertbridge.operate.closing import Closing
from alertbridge.operate.guard import Guard
from alertbridge.store.store import Store
from tests.support.clock import NOON, ManualClock
from tests.support.configuration import BOTH
from tests.support.house import MINUTE, Ward, firing, resolved
from tests.support.stock import serving

GROUP = """
rules:
  - name: group
    key: "{{ labels.cluster }}"
    send: [elven, hivel]
"""


@pytest_asyncio.fixture
async def ward(store: Store, tmp_path: Path) -> AsyncIterator[Ward]:
    ward = Ward(store, tmp_path, ManualClock())
    ward.use(BOTH)
    guard = Guard(token=None, loopback=True)
    closing = Closing(
        store=store, clock=ward.clock, new_id=ward.new_id, decide=ward.decider.wake, guard=guard
    )
    admin = Admin(store=store, stations={}, clock=ward.clock, guard=guard)
    async with serving(*closing.routes(), *admin.routes()) as client:
        ward.client = client
        yield ward


async def close(ward: Ward, destination: str = "elven") -> str:
    """Close what is open there, three minutes later."""
    ward.clock.advance(3 * MINUTE)
    (item,) = (await ward.get(f"incidents?state=open&destination={destination}"))["items"]
    await ward.post(f"incidents/{item['id']}/close", reason="the host is gone")
    await ward.decide()
    ward.clock.advance(MINUTE)
    return str(item["id"])


async def test_closing_says_resolved_to_elven_and_makes_hivels_record(ward: Ward) -> None:
    await ward.hear(firing("disk", NOON))
    incident = await close(ward)
    assert await ward.outbox() == [
        "elven alarmed prod/disk",
        "elven resolved prod/disk",
        "hivel record prod/disk",
    ]
    assert await ward.open() == []
    shown = await ward.get(f"incidents/{incident}")
    assert (shown["closed_at"], shown["inferred"]) == ("2026-01-01T12:03:01Z", False)


async def test_who_closed_it_and_why_stands_in_the_audit_and_in_the_story(ward: Ward) -> None:
    await ward.hear(firing("disk", NOON))
    incident = await close(ward)
    who = "alice (this machine, without a token)"
    (entry,) = (await ward.get("audit"))["items"]
    assert (entry["action"], entry["incident"], entry["who"]) == ("close", incident, who)
    assert entry["detail"] == {"reason": "the host is gone", "alerts": 1}
    story = (await ward.get(f"trace/{incident}"))["story"]
    said = [(one["what"], one.get("by_hand")) for one in story if one["what"] in {"heard", "operator"}]
    assert said == [
        ("heard", None),
        ("heard", f"closed by {who}: the host is gone"),
        ("operator", None),
    ]


async def test_a_repeat_of_the_closed_episode_opens_nothing_however_long_it_goes_on(ward: Ward) -> None:
    await ward.hear(firing("disk", NOON))
    await close(ward)
    for _ in range(3):
        repeat = await ward.hear(firing("disk", NOON))
        assert await ward.notes(repeat) == ["an operator has closed this episode; the next one counts"]
        ward.clock.advance(60 * MINUTE)
        await ward.decide()
    assert await ward.open() == []


async def test_the_next_episode_of_a_closed_alert_counts_at_once(ward: Ward) -> None:
    await ward.hear(firing("disk", NOON))
    await close(ward)
    await ward.hear(firing("disk", ward.clock.now()))
    assert await ward.open() == ["elven prod/disk", "hivel prod/disk"]


async def test_after_its_source_has_resolved_it_too_a_closed_alert_is_weighed_as_ever(ward: Ward) -> None:
    await ward.hear(firing("disk", NOON))
    await close(ward)
    await ward.hear(resolved("disk", NOON, ward.clock.now()))
    doubted = await ward.hear(firing("disk", NOON))
    assert "doubted" in (await ward.notes(doubted))[0]
    ward.clock.advance(2 * MINUTE)
    await ward.decide()
    assert await ward.open() == ["elven prod/disk", "hivel prod/disk"]


async def test_an_older_resolve_said_again_does_not_lift_the_close(ward: Ward) -> None:
    await ward.hear(firing("disk", NOON - 60 * MINUTE))
    await ward.hear(resolved("disk", NOON - 60 * MINUTE, NOON - 50 * MINUTE))
    await ward.hear(firing("disk", NOON))
    await close(ward)
    await ward.hear(resolved("disk", NOON - 60 * MINUTE, NOON - 50 * MINUTE))
    await ward.hear(firing("disk", NOON))
    ward.clock.advance(2 * MINUTE)
    await ward.decide()
    assert await ward.open() == []


async def test_every_alert_that_fires_in_a_group_is_resolved_and_a_new_one_opens_the_group_anew(
    ward: Ward,
) -> None:
    ward.use(GROUP)
    await ward.hear(firing("disk", NOON, cluster="eu"), firing("net", NOON, cluster="eu"))
    await close(ward)
    assert await ward.open() == []
    await ward.hear(firing("cpu", NOON, cluster="eu"), firing("net", NOON, cluster="eu"))
    (incident,) = (await ward.get("incidents?state=open&destination=elven"))["items"]
    assert [alert["fingerprint"] for alert in incident["alerts"]] == ["cpu"]


async def test_what_is_closed_or_unknown_cannot_be_closed(ward: Ward) -> None:
    await ward.hear(firing("disk", NOON))
    incident = await close(ward)
    refused = await ward.post(f"incidents/{incident}/close", 409, reason="again")
    assert refused["detail"] == "it is closed already"
    await ward.post("incidents/nobody/close", 404, reason="again")
    await ward.post(f"incidents/{incident}/close", 400)


async def test_the_end_that_its_source_tells_takes_the_place_of_the_operators(ward: Ward) -> None:
    ward.clock.advance(60 * MINUTE)  # an hour ahead of what the source takes for the time
    await ward.hear(firing("disk", NOON))
    await close(ward)
    await ward.hear(resolved("disk", NOON, NOON + MINUTE))
    await ward.hear(firing("disk", NOON + 2 * MINUTE))
    assert await ward.open() == ["elven prod/disk", "hivel prod/disk"]
    await ward.hear(resolved("disk", NOON + 2 * MINUTE, NOON + 3 * MINUTE))
    assert await ward.open() == []


async def test_an_operator_closes_at_the_time_of_the_machine_also_where_its_clock_was_set_back(
    ward: Ward, monkeypatch: pytest.MonkeyPatch
) -> None:
    await ward.hear(firing("disk", NOON))
    ward.clock.advance(60 * MINUTE)
    monkeypatch.setattr(ward.clock, "ahead", lambda: 60 * MINUTE)
    await close(ward)
    await ward.hear(firing("disk", NOON + 4 * MINUTE))
    assert await ward.open() == ["elven prod/disk", "hivel prod/disk"]
