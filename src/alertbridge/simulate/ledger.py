"""Everything that arrived, in order, with what became of it."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

from alertbridge.simulate.exchange import Arrival

_RAW = 64 * 1024
_MASKED = frozenset({"authorization", "proxy-authorization", "x-api-token", "cookie", "referer"})


@dataclass(frozen=True, slots=True)
class Received:
    """One request to a destination; its URL is not kept, since it may hold a token.

    `status` is None until it is answered, and for ever where the stand-in was told to stay silent. `taken`
    says whether it took effect. `problem` is what a well-behaved destination would have refused it for, `note`
    what is odd though allowed, `behaviour` the mode that was in force for it. `body` is Any for tests to
    index. `raw` is the first 64 KiB.
    """

    seq: int
    at: datetime
    destination: str
    key: str | None
    status: int | None
    taken: bool
    problem: str | None
    note: str | None
    behaviour: str | None
    headers: Mapping[str, str]
    body: Any = field(repr=False)
    raw: str = field(repr=False)


class Ledger:
    """The last `keep` requests, numbered from 1 and never renumbered."""

    def __init__(self, *, keep: int) -> None:
        self._keep = keep
        self._last = 0
        self._received: OrderedDict[int, Received] = OrderedDict()

    def arrive(self, arrival: Arrival, *, destination: str, key: str | None, at: datetime) -> int:
        """Write down a request that is not judged yet; its number."""
        self._last += 1
        self._received[self._last] = Received(
            seq=self._last,
            at=at,
            destination=destination,
            key=key,
            status=None,
            taken=False,
            problem=None,
            note=None,
            behaviour=None,
            headers=_masked(arrival.headers),
            body=arrival.content.body,
            raw=arrival.content.raw[:_RAW].decode(errors="replace"),
        )
        if len(self._received) > self._keep:
            self._received.popitem(last=False)
        return self._last

    def settle(
        self,
        seq: int,
        *,
        status: int | None,
        taken: bool,
        problem: str | None,
        note: str | None,
        behaviour: str | None,
    ) -> None:
        """Write down what became of it, unless it is forgotten already."""
        item = self._received.get(seq)
        if item is not None:
            self._received[seq] = replace(
                item, status=status, taken=taken, problem=problem, note=note, behaviour=behaviour
            )

    def items(
        self, *, destination: str | None = None, status: int | None = None, key: str | None = None
    ) -> list[Received]:
        """What arrived, oldest first, as far as it fits every filter given."""
        return [
            item
            for item in self._received.values()
            if destination in (None, item.destination)
            and status in (None, item.status)
            and key in (None, item.key)
        ]

    def forget(self) -> None:
        """Hold nothing; the numbers go on."""
        self._received.clear()


def _masked(headers: Mapping[str, str]) -> dict[str, str]:
    # str(): a header library may hand out a subclass, which the JSON library takes for no key
    return {str(name): "***" if name.lower() in _MASKED else value for name, value in headers.items()}
