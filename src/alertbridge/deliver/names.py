"""Names of hosts become addresses in threads of their own.

The event loop's own lookups share a handful of threads: a name server that hangs for two or three destinations would
hold up the names of all others.
"""

from __future__ import annotations

import asyncio
import socket
import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any, TypeAlias

from aiohttp.abc import AbstractResolver, ResolveResult
from typing_extensions import override

Found: TypeAlias = Sequence[tuple[Any, Any, int, str, tuple[Any, ...]]]
Lookup: TypeAlias = Callable[..., Found]
_NUMERIC = socket.AI_NUMERICHOST | socket.AI_NUMERICSERV


class Names(AbstractResolver):
    """Asks the system for addresses, each question in a new thread that nobody waits for at the end.

    Who asks sees to it that there is one question at a time for each name: aiohttp's connector does.
    """

    def __init__(self, lookup: Lookup) -> None:
        self._lookup = lookup

    @override
    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_UNSPEC
    ) -> list[ResolveResult]:
        """All addresses of `host`. Raises OSError where there is none."""
        loop = asyncio.get_running_loop()
        answer: asyncio.Future[Found] = loop.create_future()

        def tell(found: Found | None, error: BaseException | None) -> None:
            if answer.done():  # nobody waits any more
                return
            if error is not None:
                answer.set_exception(error)
            else:
                answer.set_result(found or ())

        def ask() -> None:
            found, failure = None, None
            try:
                found = self._lookup(
                    host, port, family=family, type=socket.SOCK_STREAM, flags=socket.AI_ADDRCONFIG
                )
            except Exception as error:  # noqa: BLE001 - whatever it is, who asked has to hear of it
                failure = error
            with suppress(RuntimeError):  # the loop has ended meanwhile
                loop.call_soon_threadsafe(tell, found, failure)

        threading.Thread(target=ask, name=f"look up {host}", daemon=True).start()
        return [_result(host, *one) for one in await answer]

    @override
    async def close(self) -> None:
        """Nothing is held."""


def _result(host: str, family: int, _: int, proto: int, __: str, address: tuple[Any, ...]) -> ResolveResult:
    return ResolveResult(
        hostname=host, host=address[0], port=address[1], family=family, proto=proto, flags=_NUMERIC
    )
