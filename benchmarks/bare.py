"""The yardstick: an aiohttp handler that reads and parses the body, and does nothing else."""

from __future__ import annotations

import sys

import orjson
import uvloop
from aiohttp import web


async def handle(request: web.Request) -> web.Response:
    """Read, parse, answer."""
    orjson.loads(await request.read())
    return web.Response(status=202, body=b'{"event":"none"}', content_type="application/json")


def main() -> None:
    """Serve on the port given."""
    application = web.Application()
    application.router.add_post("/v1/sources/prod", handle)
    web.run_app(
        application,
        host="127.0.0.1",
        port=int(sys.argv[1]),
        access_log=None,
        print=None,
        loop=uvloop.new_event_loop(),
    )


if __name__ == "__main__":
    main()
