"""Operators send again and give up whatever they like, while a key lives on: nothing is left open without a word."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import Connection

from alertbridge.deliver.repairing import Repair
from alertbridge.destinations.elven import Elven
from alertbridge.incidents.state import Changes
from alertbridge.model import Action, DeliveryState, Secret
from alertbridge.store import amend, dispatch, ledger, lines
from alertbridge.store.amend import NotPossible
from alertbridge.store.dispatch import Claim, Result
from alertbridge.store.store import Store
from tests.support.clock import ManualClock
from tests.support.stock import DELIVERED, Stock

KEY = "prod/f1"
ELVEN = Elven(name="elven", url=Secret("http://127.0.0.1:9/elven/s3cret-token"))
REFUSED = Result(DeliveryState.DEAD, "rejected", "422: no", None, 422)
GIVEN_UP = Result(DeliveryState.DEAD, "ambiguous", "no answer; given up", None)
WORDS = ("turns", "is taken", "arrives", "lands", "is lost", "is refused", "is given up", "crash")
OFTEN = ("turns", "turns", "arrives", "arrives", "retry", "retry", "force", "discard", "discard")
STEPS = st.lists(st.tuples(st.sampled_from((*WORDS, *OFTEN)), st.integers(0, 2)), min_size=4, max_size=14)


@settings(max_examples=120, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(STEPS, st.booleans())
async def test_whatever_is_done_by_hand_nothing_is_left_open_without_a_word(
    store: Store,
    steps: list[tuple[str, int]],
    collapse: bool,  # noqa: FBT001 - given by hypothesis
) -> None:
    for table in ("attempts", "deliveries", "members", "incidents"):
        statement = f"DELETE FROM {table}"
        await store.write(lambda connection, said=statement: connection.exec_driver_sql(said))  # type: ignore[misc]
    life = Life(Stock(store, ManualClock()), collapse=collapse)
    for word, which in steps:
        await life.live(word, which)
    await life.finish()
    dead = await life.left("dead", "discarded")
    if life.open is None:
        visible = any(action == "resolved" and state == "dead" for action, _, state in dead)
        assert life.believed is None or life.told_of or visible
    else:
        assert life.believed == life.open or any(one[:2] == ("alarmed", life.open) for one in dead)


class Life:
    """What is open, what the destination believes to be open, and what lies between them."""

    def __init__(self, stock: Stock, *, collapse: bool) -> None:
        self.stock = stock
        self.collapse = collapse
        self.open: str | None = None
        self.believed: str | None = None
        self.under_way: list[Claim] = []
        self.told_of = False

    async def live(self, word: str, which: int) -> None:
        match word:
            case "turns" if self.open is None:
                self.open = await self.stock.incident()
                await self.say(Action.ALARMED, self.open)
            case "turns" if (over := self.open) is not None:
                self.open = None
                await self.stock.store.write(lambda connection: self.end(connection, over))
                await self.say(Action.RESOLVED, over)
            case "crash":
                now, self.under_way = self.stock.clock.now(), []
                await self.stock.store.write(lambda connection: dispatch.recover(connection, now=now))
            case "retry" | "force" | "discard":
                await self.amend(word, which)
            case _:
                self.under_way += await self.stock.claim(most=4)
                assert len(self.under_way) <= 1, "of one key one message is under way at a time"
                if self.under_way and word != "is taken":
                    await self.settle(self.under_way.pop(), word)

    async def say(self, action: Action, incident: str) -> None:
        await self.stock.delivery(incident=incident, action=action, payload={"of": incident})
        now = self.stock.clock.now()
        await self.stock.store.write(
            lambda connection: lines.converge(connection, "elven", [KEY], collapse=self.collapse, now=now)
        )

    def end(self, connection: Connection, incident: str) -> None:
        known = ledger.find(connection, incident)
        assert known is not None
        over = replace(known, closed_at=self.stock.clock.now())
        ledger.store(connection, Changes(incidents={incident: over}))

    async def settle(self, claim: Claim, word: str) -> None:
        if word in {"arrives", "lands"}:
            self.believed = claim.incident if claim.action is Action.ALARMED else None
        now = self.stock.clock.now()
        again = Result(DeliveryState.PENDING, "ambiguous", "no answer", now)
        results = {"arrives": DELIVERED, "is refused": REFUSED, "is given up": GIVEN_UP}
        await self.stock.settle(claim, results.get(word, again))

    async def amend(self, word: str, which: int) -> None:
        found = await self.stock.store.read(
            lambda c: c.exec_driver_sql("SELECT id FROM deliveries WHERE state IN ('dead', 'pending')").all()
        )
        if not found:
            return
        delivery, now = found[which % len(found)].id, self.stock.clock.now()

        def work(connection: Connection) -> bool:
            if word == "discard":
                left = amend.discard(connection, delivery, reason="x", now=now)
                return left is not None and left.left_open
            repair = Repair(
                connection,
                destinations={"elven": ELVEN},
                new_id=lambda: self.stock.new_id("d"),
                now=now,
            )
            repair.retry(delivery, force=word == "force")
            return False

        try:
            self.told_of |= await self.stock.store.write(work)
        except NotPossible:
            return

    async def finish(self) -> None:
        """All that still waits arrives."""
        while claims := self.under_way or await self.stock.claim():
            self.under_way = []
            for claim in claims:
                await self.settle(claim, "arrives")

    async def left(self, *states: str) -> list[tuple[str, str, str]]:
        rows = await self.stock.store.read(
            lambda c: c.exec_driver_sql("SELECT action, incident, state FROM deliveries").all()
        )
        return [(row.action, row.incident, row.state) for row in rows if row.state in states]
