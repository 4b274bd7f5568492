"""The answer to a webhook that was taken."""

from __future__ import annotations

from datetime import datetime
from email.utils import format_datetime
from functools import lru_cache

from aiohttp import HttpVersion11, web
from aiohttp.abc import AbstractStreamWriter
from typing_extensions import override

from alertbridge.model import Event


def acknowledgement(request: web.BaseRequest, event: Event) -> web.StreamResponse:
    """202 with the id of `event`."""
    body = b'{"event":"%b"}' % event.id.encode()
    if request.keep_alive and request.version == HttpVersion11:
        return _Written(body, event.received_at)
    return web.Response(status=202, body=body, content_type="application/json")


class _Written(web.StreamResponse):
    """What aiohttp would write on a connection that is kept, in one piece; putting it together by headers takes far longer."""

    def __init__(self, body: bytes, now: datetime) -> None:
        super().__init__(status=202)
        self._whole = _head(now.replace(microsecond=0), len(body)) + body

    @property
    @override
    def keep_alive(self) -> bool:
        return True

    @override
    async def prepare(self, request: web.BaseRequest) -> AbstractStreamWriter | None:
        transport = request.transport
        if transport is None or transport.is_closing():
            raise ConnectionResetError("the client is gone")
        transport.write(self._whole)
        return None

    @override
    async def write_eof(self, data: bytes = b"") -> None:
        """Everything is written."""


@lru_cache(maxsize=8)
def _head(now: datetime, length: int) -> bytes:
    lines = (
        "HTTP/1.1 202 Accepted",
        "Content-Type: application/json",
        f"Content-Length: {length}",
        f"Date: {format_datetime(now, usegmt=True)}",
    )
    return "".join(f"{line}\r\n" for line in (*lines, "")).encode()
