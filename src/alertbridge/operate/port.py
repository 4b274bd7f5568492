"""The port that everything is served on."""

from __future__ import annotations

import logging
import ssl
from collections.abc import Awaitable, Callable
from typing import TypeAlias

from aiohttp import web
from aiohttp.typedefs import Handler

from alertbridge.config.server_settings import ServerSettings, TlsSettings
from alertbridge.problems import problem_middleware

_HANDLERS_END = 5.0  # seconds that requests being answered may still take when the server stops
_MOST_READ = 1024 * 1024  # bytes of a body that is read whole; webhooks have a limit of their own
_BACKLOG = 1024  # a storm opens hundreds of connections at once


ShortCut: TypeAlias = Callable[[web.Request], Handler | None]


async def listen(
    routes: list[web.RouteDef], settings: ServerSettings, *, short_cut: ShortCut
) -> web.AppRunner:
    """Serve `routes`, with or without TLS, until the runner's `cleanup`. Raises OSError if the address is not to be had.

    What `short_cut` has a handler for goes straight there, and everything else through the router.
    """
    application = web.Application(middlewares=[problem_middleware], client_max_size=_MOST_READ)
    application.add_routes(routes)
    runner = web.AppRunner(
        application,
        access_log=None,
        auto_decompress=False,
        handle_signals=False,
        shutdown_timeout=_HANDLERS_END,
        logger=_quiet(),
    )
    await runner.setup()
    pass_router(runner, short_cut)
    site = web.TCPSite(
        runner,
        settings.host,
        settings.port,
        ssl_context=_tls(settings.tls) if settings.tls else None,
        backlog=_BACKLOG,
    )
    await site.start()
    return runner


def pass_router(runner: web.AppRunner, short_cut: ShortCut) -> None:
    """Let requests that `short_cut` has a handler for go straight there: a router and its wrappings cost as much as parsing a webhook."""
    server = runner.server
    assert server is not None, "setup comes first"
    routed = server.request_handler

    def handle(request: web.BaseRequest) -> Awaitable[web.StreamResponse]:
        assert isinstance(request, web.Request), "made by the application"
        handler = short_cut(request)
        return routed(request) if handler is None else problem_middleware(request, handler)

    server.request_handler = handle


def _quiet() -> logging.Logger:
    """A logger for aiohttp's server that says nothing: of a malformed request it would quote the headers."""
    logger = logging.getLogger("alertbridge.http")
    logger.setLevel(logging.CRITICAL + 1)
    return logger


def _tls(settings: TlsSettings) -> ssl.SSLContext:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(settings.cert_file, settings.key_file)
    if settings.client_ca_file is not None:
        context.load_verify_locations(settings.client_ca_file)
        context.verify_mode = ssl.CERT_REQUIRED
    return context
