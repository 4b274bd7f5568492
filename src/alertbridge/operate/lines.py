"""An answer of JSON lines: how far long work has come, and in the last line what it came to."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping

import orjson
from aiohttp import web

from alertbridge.errors import StoreError
from alertbridge.model import JSON

_TYPE = "application/x-ndjson"


async def told(request: web.Request, lines: AsyncIterator[Mapping[str, JSON]]) -> web.StreamResponse:
    """200 with a line for each of `lines`, as they come; what goes wrong on the way is the last one, as `error`.

    Whoever asked may go away: the work goes on to its end.
    """
    response = web.StreamResponse(headers={"Content-Type": _TYPE})
    await response.prepare(request)
    listening = True
    try:
        async for line in lines:
            listening = listening and await _said(response, line)
    except StoreError as error:
        await _said(response, {"error": f"{error}; what is told above is done, the rest is not"})
    if listening:
        await response.write_eof()
    return response


async def _said(response: web.StreamResponse, line: Mapping[str, JSON]) -> bool:
    try:
        await response.write(orjson.dumps(line) + b"\n")
    except ConnectionError:
        return False
    return True
