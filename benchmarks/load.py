"""A load of many kept connections, each sending the next request when the last was answered."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import cast

from typing_extensions import override

CONNECTIONS = 64


@dataclass
class Tally:
    """What a load came to: answers by status, and how long each took, in seconds."""

    statuses: dict[int, int] = field(default_factory=dict)
    spans: list[float] = field(default_factory=list)
    seconds: float = 0.0

    @property
    def rate(self) -> float:
        """Good answers per second."""
        return sum(n for status, n in self.statuses.items() if status < 300) / self.seconds

    def quantile(self, q: float) -> float:
        """The span that the share `q` of the answers kept to."""
        return sorted(self.spans)[int(q * (len(self.spans) - 1))]


class _Connection(asyncio.Protocol):
    def __init__(self, requests: Callable[[], bytes], tally: Tally, until: float) -> None:
        self.closed: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._requests = requests
        self._tally = tally
        self._until = until
        self._buffer = b""
        self._began = 0.0

    @override
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)  # uvloop's own class is no subclass of it
        self._send()

    @override
    def data_received(self, data: bytes) -> None:
        self._buffer += data
        head, blank, body = self._buffer.partition(b"\r\n\r\n")
        if not blank:
            return
        length = int(head.lower().partition(b"content-length:")[2].partition(b"\r\n")[0])
        if len(body) < length:
            return
        self._buffer = b""
        now = time.perf_counter()
        status = int(head[9:12])
        self._tally.statuses[status] = self._tally.statuses.get(status, 0) + 1
        self._tally.spans.append(now - self._began)
        if now >= self._until:
            self._transport.close()
        else:
            self._send()

    @override
    def connection_lost(self, exc: Exception | None) -> None:
        if not self.closed.done():
            self.closed.set_result(None)

    def _send(self) -> None:
        self._began = time.perf_counter()
        self._transport.write(self._requests())


def request(body: bytes, token: str) -> bytes:
    """A webhook as Alertmanager sends it."""
    return (
        b"POST /v1/sources/prod HTTP/1.1\r\nHost: 127.0.0.1\r\nUser-Agent: Alertmanager/0.25.0\r\n"
        b"Content-Length: %d\r\nAuthorization: Bearer %s\r\nContent-Type: application/json\r\n\r\n%s"
        % (len(body), token.encode(), body)
    )


async def run(port: int, requests: Callable[[], bytes], seconds: float) -> Tally:
    """Load the server on `port` for so many seconds."""
    tally = Tally()
    began = time.perf_counter()
    loop = asyncio.get_running_loop()
    connections = [
        (
            await loop.create_connection(
                lambda: _Connection(requests, tally, began + seconds), "127.0.0.1", port
            )
        )[1]
        for _ in range(CONNECTIONS)
    ]
    await asyncio.gather(*(connection.closed for connection in connections))
    tally.seconds = time.perf_counter() - began
    return tally
