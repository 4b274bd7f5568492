"""The couriers of all destinations: begun, exchanged one for another while they fly, drained."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Collection, Coroutine, Mapping
from contextlib import suppress
from datetime import timedelta
from typing import Any

import structlog
from sqlalchemy import Connection

from alertbridge.clock import Clock
from alertbridge.deliver.courier import Courier
from alertbridge.deliver.standing import REFUSED, VENDORS_OWN
from alertbridge.errors import StoreError
from alertbridge.store import dispatch, standings
from alertbridge.store.standings import Kept
from alertbridge.store.store import Store

_TO_SETTLE = timedelta(seconds=5)  # beyond a request's own timeout


class Fleet:
    """One courier for each destination.

    `couriers` holds those that serve now. `begin` starts a loop under a name; `end` waits for it and forgets the name.
    """

    def __init__(
        self,
        *,
        couriers: Mapping[str, Courier],
        store: Store,
        clock: Clock,
        begin: Callable[[str, Coroutine[Any, Any, None]], None],
        end: Callable[[str], Awaitable[None]],
    ) -> None:
        self.couriers = dict(couriers)
        self._store = store
        self._clock = clock
        self._begin = begin
        self._end = end
        self._relieved: dict[asyncio.Task[None], Courier] = {}
        self._closing = asyncio.Event()
        self._log = structlog.get_logger().bind()

    @property
    def loops(self) -> list[str]:
        """The names of the couriers' loops."""
        return [_loop(name) for name in self.couriers]

    async def start(self) -> None:
        """Make every courier ready, each standing as the last run has left it, and let it run."""
        known = await self._store.read(self._look_back)
        for name, courier in self.couriers.items():
            courier.recall(known.get(name, Kept()))
            await courier.open()
            self._begin(_loop(name), courier.run())

    def _look_back(self, connection: Connection) -> Mapping[str, Kept]:
        """How each stood at the end of the last run; and what was sent then counts on."""
        for courier in self.couriers.values():
            courier.recount(connection)
        return standings.find(connection)

    def wake(self) -> None:
        """Something was posted."""
        for courier in self.couriers.values():
            courier.wake()

    def try_refused(self) -> None:
        """Let a probe go at once where credentials or an address were refused: that may have been mended meanwhile."""
        for courier in self.couriers.values():
            pause = courier.standing.pause
            if pause is not None and pause.reason in REFUSED:
                courier.hasten()

    def exchange(
        self, fresh: Mapping[str, Courier], *, removed: Collection[str], rekeyed: Collection[str]
    ) -> Awaitable[object]:
        """Put `fresh` couriers, which are open, in the place of those of the same name, and end the `removed`.

        Done when all of the fresh ones run. One that is relieved claims nothing more, and its successor begins when what it has in flight is settled. If
        that takes longer than its timeout allows, both go on side by side: the database lets no key be sent twice at a
        time. A pause ends, unless it is one that the vendor asked for and no secret of the destination (`rekeyed`)
        has changed.
        """
        leaving = {name: self.couriers.pop(name) for name in (*fresh, *removed) if name in self.couriers}
        self.couriers.update(fresh)
        letting_go = {name: self._let_go(name, old) for name, old in leaving.items()}
        for name, courier in fresh.items():
            if name not in leaving:
                self._begin(_loop(name), courier.run())

        async def relieve(name: str, old: Courier) -> None:
            await self._landed(letting_go[name], old.policy.timeout + _TO_SETTLE)
            await self._inherit(old, fresh.get(name), keep=name not in rekeyed)
            if name in fresh:
                self._begin(_loop(name), fresh[name].run())

        return asyncio.gather(*(relieve(name, old) for name, old in leaving.items()))

    def hasten(self) -> None:
        """The daemon is about to end: let an exchange that is under way wait for nothing more."""
        self._closing.set()

    def close(self) -> None:
        """Claim nothing more; what is in flight goes on until `drained`."""
        for courier in self.couriers.values():
            courier.close()

    async def drained(self) -> None:
        """Return when nothing is in flight, also of those that were relieved."""
        await asyncio.gather(*(courier.drained() for courier in self.couriers.values()))
        if self._relieved:
            await asyncio.wait(
                tuple(self._relieved)
            )  # unlike `gather` it cancels none of them when it is given up

    async def abandon(self) -> None:
        """Stop waiting for answers, and close every connection."""
        for courier in (*self.couriers.values(), *self._relieved.values()):
            await courier.abandon()
        await asyncio.gather(*self._relieved, return_exceptions=True)

    def _let_go(self, name: str, old: Courier) -> asyncio.Task[None]:
        """Close `old`; the task ends when all that it had in flight is settled and its connections are closed."""
        old.close()

        async def end() -> None:
            await self._end(_loop(name))  # what it was claiming is in flight now
            await old.drained()
            await old.abandon()

        task = asyncio.create_task(end(), name=f"relieved {_loop(name)}")
        self._relieved[task] = old
        task.add_done_callback(self._relieved.pop)
        return task

    async def _landed(self, letting_go: asyncio.Task[None], most: timedelta) -> None:
        closing = asyncio.ensure_future(self._closing.wait())
        await asyncio.wait(
            (letting_go, closing), timeout=most.total_seconds(), return_when=asyncio.FIRST_COMPLETED
        )
        closing.cancel()

    async def _inherit(self, old: Courier, new: Courier | None, *, keep: bool) -> None:
        """Hand over a pause that is to go on, else write down how long it was."""
        pause = old.standing.pause
        old.remembers = False
        if new is not None:
            new.succeed(old)
            goes_on = pause is not None and keep and pause.reason in VENDORS_OWN
            new.standing = old.standing if goes_on else old.standing.freed()
            if goes_on:
                return
        until = self._clock.now()

        def work(connection: Connection) -> None:
            if pause is not None:
                dispatch.add_pause(connection, old.name, since=pause.since, until=until)
            if new is not None:
                new.remember(connection)
            else:
                standings.keep(connection, old.name, Kept())

        with suppress(StoreError):  # then that time counts to the age of what waits, and nothing worse
            await self._store.write(work)
        if new is not None and pause is not None:
            self._log.info("destination.resumed", destination=old.name, reason=pause.reason)


def _loop(name: str) -> str:
    return f"courier {name}"
