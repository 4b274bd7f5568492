from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest
from sqlalchemy import Connection, select

from alertbridge.deliver.attribution import Attribution
from alertbridge.deliver.telling import Forward, Present, Teller
from alertbridge.deployments.choose import Policy
from alertbridge.deployments.deployment import Deployment, Status
from alertbridge.identifiers import Ulids
from alertbridge.store import deployments
from alertbridge.store.schema import deliveries
from alertbridge.store.store import Store
from tests.support.clock import NOON, ManualClock

ROLLOUT = Deployment(
    id="4711",
    environment="production",
    status=Status.SUCCESS,
    said_at=NOON,
    service="checkout",
    repo_url="https://github.com/acme/checkout",
    commit="c0ffee",
    branch="main",
    started_at=NOON,
    finished_at=NOON,
)


@pytest.fixture
def teller(store: Store) -> Teller:
    clock = ManualClock()
    attribution = Attribution(Policy(frozenset({"production"}), timedelta(days=7)))
    forward = Forward("hivel", "cancelled", waits=True)
    return Teller(
        store=store,
        present=lambda: Present(attribution, {}, "abc", forward),
        clock=clock,
        new_id=Ulids(clock=clock),
        posted=lambda: None,
        unresolved=lambda: None,
    )


async def test_a_deployment_that_no_forge_knows_is_passed_on_as_it_is_known_by_then(
    store: Store, teller: Teller
) -> None:
    await teller.tell(ROLLOUT)
    later = NOON + timedelta(minutes=1)  # while the forge is asked, more is told:
    corrected = replace(ROLLOUT, said_at=later, finished_at=later)
    await teller.tell(corrected)
    assert await teller.give_up(ROLLOUT, error="no such commit") == ()
    assert await store.read(deployments.next_to_resolve) == NOON, "it is asked about anew"
    (kept,) = await teller.give_up(corrected, error="no such commit")
    assert kept.forwarded
    assert await store.read(_ends) == ["2026-01-01T12:01:00Z"]


def _ends(connection: Connection) -> list[str]:
    rows = connection.scalars(select(deliveries.c.payload))
    return [payload["end_time"] for payload in rows]
