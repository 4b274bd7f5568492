"""The reconcilers of all sources that have one: begun, exchanged, asked, ended."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Collection, Coroutine, Iterable, Mapping, Sequence
from typing import Any

from alertbridge.chronicle import Decision
from alertbridge.reconcile.judge import LeftOut
from alertbridge.reconcile.reconciler import Reconciler


class Reconcilers:
    """One for each source that names its peers. `begin` starts a loop under a name; `end` waits for it."""

    def __init__(
        self,
        *,
        begin: Callable[[str, Coroutine[Any, Any, None]], None],
        end: Callable[[str], Awaitable[None]],
    ) -> None:
        self._begin = begin
        self._end = end
        self._serving: dict[str, Reconciler] = {}

    def start(self, fresh: Mapping[str, Reconciler]) -> None:
        """Let these run, which are open, each for the source of that name."""
        for name, one in fresh.items():
            self._serving[name] = one
            self._begin(_loop(name), one.run())

    async def exchange(self, fresh: Mapping[str, Reconciler], *, leaving: Iterable[str]) -> None:
        """End those of the sources that are `leaving` or changed, then let the `fresh` ones run."""
        await self._stop([name for name in dict.fromkeys((*fresh, *leaving)) if name in self._serving])
        self.start(fresh)

    def heed(self, decisions: Sequence[Decision]) -> None:
        """Let the peers be asked at once where a notification left alerts out, or an alert is doubted."""
        for decision in decisions:
            item = decision.input
            one = self._serving.get(item.event.source) if item.event is not None else None
            if one is None:
                continue
            if item.truncated and item.heard:
                alert = item.heard[0].alert
                one.ask(LeftOut(item.receiver, frozenset(alert.group.items()), alert.external_url))
            elif any(doubt is not None and not doubt.held_by for doubt in decision.changes.doubts.values()):
                one.ask()

    async def close(self) -> None:
        """End all of them."""
        await self._stop(list(self._serving))

    async def _stop(self, names: Sequence[str]) -> None:
        for name in names:
            self._serving.pop(name).close()
        await asyncio.gather(*(self._end(_loop(name)) for name in names))


async def opened(fresh: Collection[Reconciler]) -> None:
    """Make these ready to run. If one cannot be, none is left open; raises what kept it from that."""
    try:
        for one in fresh:
            await one.open()
    except BaseException:
        for one in fresh:
            await one.abandon()
        raise


def _loop(name: str) -> str:
    return f"reconciler {name}"
