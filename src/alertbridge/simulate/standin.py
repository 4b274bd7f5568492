"""One stand-in: a vendor's rules, a temper that may spoil them, and a ledger of what arrived."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from datetime import timedelta
from typing import Any, Generic

import orjson

from alertbridge.clock import Clock
from alertbridge.simulate.behaviour import Answer, Close, Delay, Garbage, Hang, Hit, Temper
from alertbridge.simulate.exchange import Arrival, Message, Refused, Reply, Taken, Vendor
from alertbridge.simulate.ledger import Ledger

_GARBAGE = Reply(200, b'\x00\xff<html>{"message": ', {"Content-Type": "application/json"})


class StandIn(Generic[Message]):
    """Answers requests as the vendor would, or as its temper demands."""

    def __init__(self, *, destination: str, vendor: Vendor[Message], ledger: Ledger, clock: Clock) -> None:
        self.temper = Temper()
        self._destination = destination
        self._vendor = vendor
        self._ledger = ledger
        self._clock = clock
        self._lingering: set[asyncio.Task[Any]] = set()

    async def receive(self, arrival: Arrival) -> Reply | None:
        """The answer; None closes the connection without one, and a request told to hang gets neither."""
        key = self._vendor.key(arrival.content.body)
        hit = self.temper.meet(key, self._clock.monotonic())
        seq = self._ledger.arrive(arrival, destination=self._destination, key=key, at=self._clock.now())
        if hit is not None and isinstance(hit.act, Delay):
            await self._linger(self._clock.sleep(timedelta(seconds=hit.act.seconds)))
        reply = self._conclude(seq, arrival, hit)
        if reply is None and hit is not None and hit.mode == "hang":
            await self._linger(asyncio.get_running_loop().create_future())
        return reply

    def believed(self) -> Any:
        """What the vendor holds for true now, ready for JSON."""
        return self._vendor.believed()

    def forget(self) -> None:
        """Let the vendor believe nothing."""
        self._vendor.forget()

    def end(self) -> None:
        """Cut every request that still waits for its answer."""
        for task in self._lingering:
            task.cancel()

    def _conclude(self, seq: int, arrival: Arrival, hit: Hit | None) -> Reply | None:
        judged = self._vendor.judge(arrival)
        result: Refused | Taken | None = None
        if isinstance(judged, Refused):
            result = judged
        elif hit is None or hit.act.takes_effect:
            result = self._vendor.take(judged, seq=seq, at=self._clock.now())
        reply = _reply(result, hit)
        self._ledger.settle(
            seq,
            status=None if reply is None else reply.status,
            taken=isinstance(result, Taken),
            problem=result.reason if isinstance(result, Refused) else None,
            note=result.note if isinstance(result, Taken) else None,
            behaviour=None if hit is None else hit.mode,
        )
        return reply

    async def _linger(self, awaited: Awaitable[None]) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._lingering.add(task)
        try:
            await awaited
        finally:
            self._lingering.discard(task)


def _reply(result: Refused | Taken | None, hit: Hit | None) -> Reply | None:
    match hit.act if hit is not None else None:
        case Answer(status=status, headers=headers, body=body):
            said = orjson.dumps({"message": f"told to answer {status}"}) if body is None else body.encode()
            return Reply(status, said, headers)
        case Hang() | Close():
            return None
        case Garbage() if not isinstance(result, Refused):
            return _GARBAGE
        case _:
            assert result is not None
            return result.reply
