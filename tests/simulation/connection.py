"""HTTP to the simulated daemon without a socket: the bytes go straight to its server, and come straight back."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from typing_extensions import override

from tests.simulation.loop import Life, VirtualLoop


@dataclass(frozen=True, slots=True)
class Answer:
    """What the daemon answered."""

    status: int
    body: bytes

    def json(self) -> Any:
        return json.loads(self.body)


class _Wire(asyncio.Transport):
    """The daemon's end of one connection; `answered` gets the first answer, or None if the connection ends before."""

    def __init__(self, answered: asyncio.Future[Answer | None]) -> None:
        super().__init__({"peername": ("127.0.0.1", 50000), "sockname": ("127.0.0.1", 9797)})
        self.answered = answered
        self._sent = b""
        self._closing = False

    @override
    def write(self, data: Any) -> None:
        self._sent += bytes(data)
        head, found, body = self._sent.partition(b"\r\n\r\n")
        if not found or self.answered.done():
            return
        status, *lines = head.decode().split("\r\n")
        headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
        if headers.get("transfer-encoding") == "chunked":
            whole = body.endswith(b"0\r\n\r\n")
        else:
            whole = len(body) >= int(headers.get("content-length", 0))
        if whole:
            self.answered.set_result(Answer(int(status.split()[1]), body))

    @override
    def writelines(self, list_of_data: Any) -> None:
        self.write(b"".join(list_of_data))

    @override
    def close(self) -> None:
        self._closing = True
        if not self.answered.done():
            self.answered.set_result(None)

    abort = close

    @override
    def is_closing(self) -> bool:
        return self._closing

    @override
    def pause_reading(self) -> None:
        """What is on its way has arrived."""

    @override
    def resume_reading(self) -> None:
        """See above."""


async def ask(
    loop: VirtualLoop,
    life: Life | None,
    method: str,
    path: str,
    *,
    body: bytes = b"",
    headers: Mapping[str, str] | None = None,
    timeout: float = 30,  # noqa: ASYNC109 - the patience of a client
) -> Answer | None:
    """The answer to one request; None where there was none: nobody listens, the process died, or it took too long."""
    factory = loop.servers.get(life) if life is not None else None
    if life is None or factory is None:
        return None
    wire = _Wire(loop.create_future())
    lines = {"Host": "127.0.0.1:9797", "Content-Length": str(len(body)), **(headers or {})}
    head = f"{method} {path} HTTP/1.1\r\n" + "".join(f"{name}: {value}\r\n" for name, value in lines.items())
    protocol = life.context.copy().run(factory)
    loop.call_soon(protocol.connection_made, wire, context=life.context.copy())
    loop.call_soon(protocol.data_received, head.encode() + b"\r\n" + body, context=life.context.copy())
    life_ended = loop.create_task(life.gone.wait())
    await asyncio.wait((wire.answered, life_ended), timeout=timeout, return_when=asyncio.FIRST_COMPLETED)
    life_ended.cancel()
    loop.call_soon(protocol.connection_lost, None, context=life.context.copy())
    return wire.answered.result() if wire.answered.done() and life.alive else None
