"""The composition root: every part is made here, from the configuration, and handed what it needs."""

from __future__ import annotations

import asyncio
import logging
import random
import ssl
from collections.abc import Callable, Coroutine
from typing import Any

import structlog
from aiohttp import web

from alertbridge import __version__
from alertbridge.chronicle import Chronicle
from alertbridge.clock import Clock
from alertbridge.config.load import Configuration
from alertbridge.config.secrets import Redactor
from alertbridge.config.settings import TlsSettings
from alertbridge.identifiers import Ulids
from alertbridge.metrics import Metrics
from alertbridge.model import Event, Notification
from alertbridge.operate.admin import Admin, Station
from alertbridge.operate.health import Health
from alertbridge.operate.metrics_page import MetricsPage
from alertbridge.operate.pruner import Pruner
from alertbridge.parts import bridge, courier, endpoints, longest_look_back
from alertbridge.pipeline import Decider
from alertbridge.problems import problem_middleware
from alertbridge.receive.routes import Receiver
from alertbridge.store import inbox, outbox
from alertbridge.store.engine import database_path
from alertbridge.store.store import Store

_HANDLERS_END = 5.0  # seconds that requests being answered may still take when the server stops
_BACKLOG = 1024  # a storm opens hundreds of connections at once


class App:
    """One daemon: `start` it, wait for `ended`, `stop` it."""

    def __init__(
        self, *, configuration: Configuration, clock: Clock, state_directory: str | None = None
    ) -> None:
        self.configuration = configuration
        self.metrics = Metrics()
        self.port = 0
        self._clock = clock
        self._new_id = Ulids(clock=clock)
        self._clean = Redactor(configuration.secrets).clean
        self._path = database_path(configuration.settings.storage.url, state_directory)
        self._loops: dict[str, asyncio.Task[None]] = {}
        self._ended: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._log = structlog.get_logger().bind()

    async def start(self) -> None:
        """Open the database, recover what a crash interrupted, begin every loop and listen.

        Raises StoreError if the database cannot be used, OSError if the address cannot be listened on.
        """
        settings = self.configuration.settings
        self._store = await Store.open(self._path)
        self._begin("writer", self._store.run())
        await self._recover()
        self._couriers = {
            name: courier(
                name,
                one,
                store=self._store,
                clock=self._clock,
                metrics=self.metrics,
                chance=random.SystemRandom().random,
                clean=self._clean,
            )
            for name, one in settings.destinations.items()
        }
        self._decider = Decider(
            store=self._store,
            bridge=bridge(self.configuration),
            clock=self._clock,
            new_id=self._new_id,
            chronicle=Chronicle(metrics=self.metrics),
            posted=self._posted,
        )
        self._pruner = Pruner(
            store=self._store,
            events=settings.storage.retention.events,
            deliveries=settings.storage.retention.deliveries,
            clock=self._clock,
            window=longest_look_back(settings),
        )
        self._receiver = Receiver(
            endpoints=endpoints(settings),
            max_body=settings.server.max_body,
            accept=self._accept,
            keep_malformed=self._store.keep_malformed,
            new_id=self._new_id,
            clock=self._clock,
            metrics=self.metrics,
        )
        self._health = Health(dead=self._dead)
        await self._listen()
        for name, carrier in self._couriers.items():
            await carrier.open()
            self._begin(f"courier {name}", carrier.run())
        self._begin("decider", self._decider.run())
        self._begin("pruner", self._pruner.run())
        self.metrics.config_last_reload_successful.set(1)
        self.metrics.config_hash.set(int(self.configuration.hash[:12], 16))
        self._health.ready()
        self._log.info(
            "daemon.started",
            version=__version__,
            listen=f"{settings.server.host}:{self.port}",
            database=str(self._path),
            rules=len(self.configuration.rulebook.rules),
            rules_hash=self.configuration.rulebook.hash,
        )

    async def ended(self) -> None:
        """Return never, or raise what ended a loop that should have gone on."""
        await self._ended

    async def stop(self) -> None:
        """Drain: take nothing new, finish what was begun, up to `drain_timeout`; then close the database."""
        self._log.info("daemon.draining")
        self._health.draining()
        self._receiver.close()
        await self._runner.cleanup()
        self._decider.close()
        self._pruner.close()
        for carrier in self._couriers.values():
            carrier.close()
        await self._finish("decider", "pruner", *(f"courier {name}" for name in self._couriers))
        timeout = self.configuration.settings.server.drain_timeout.total_seconds()
        drained = asyncio.gather(*(carrier.drained() for carrier in self._couriers.values()))
        try:
            await asyncio.wait_for(drained, timeout)
        except TimeoutError:
            self._log.warning("daemon.undrained", detail="what was in flight goes again at the next start")
        for carrier in self._couriers.values():
            await carrier.abandon()
        self._store.stop()
        await self._finish("writer")
        await self._store.close()
        self._log.info("daemon.stopped")

    async def _recover(self) -> None:
        now = self._clock.now()
        interrupted = await self._store.write(lambda connection: outbox.recover(connection, now=now))
        undecided = await self._store.read(inbox.count_undecided)
        if interrupted or undecided:
            self._log.warning("daemon.recovered", ambiguous=interrupted, undecided=undecided)

    async def _listen(self) -> None:
        settings = self.configuration.settings.server
        admin = Admin(
            store=self._store,
            stations={
                name: Station(courier=carrier, type=self.configuration.settings.destinations[name].type)
                for name, carrier in self._couriers.items()
            },
            clock=self._clock,
            admin_token=settings.admin_token,
            loopback=settings.on_loopback,
        )
        page = MetricsPage(
            store=self._store, couriers=self._couriers, clock=self._clock, metrics=self.metrics
        )
        application = web.Application(middlewares=[problem_middleware])
        application.add_routes(
            [*self._receiver.routes(), *self._health.routes(), *page.routes(), *admin.routes()]
        )
        self._runner = web.AppRunner(
            application,
            access_log=None,
            auto_decompress=False,
            handle_signals=False,
            shutdown_timeout=_HANDLERS_END,
            logger=_quiet(),
        )
        await self._runner.setup()
        site = web.TCPSite(
            self._runner,
            settings.host,
            settings.port,
            ssl_context=_tls(settings.tls) if settings.tls else None,
            backlog=_BACKLOG,
        )
        await site.start()
        self.port = int(self._runner.addresses[0][1])

    def _accept(self, event: Event, said: Notification) -> asyncio.Future[None]:
        stored = self._store.accept(event)
        self._decider.expect(event, said)

        def done(stored: asyncio.Future[None]) -> None:
            if stored.cancelled() or stored.exception() is None:
                self._decider.wake()
            else:
                self._decider.forget(event)

        stored.add_done_callback(done)
        return stored

    def _posted(self) -> None:
        for carrier in self._couriers.values():
            carrier.wake()

    def _dead(self) -> list[str]:
        return [name for name, task in self._loops.items() if task.done()]

    def _begin(self, name: str, loop: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(loop, name=name)
        self._loops[name] = task
        task.add_done_callback(self._on_end(name))

    def _on_end(self, name: str) -> Callable[[asyncio.Task[None]], None]:
        def ended(task: asyncio.Task[None]) -> None:
            if not task.cancelled() and (error := task.exception()) is not None and not self._ended.done():
                self._log.critical("daemon.loop_died", loop=name, error=str(error))
                self._ended.set_exception(error)

        return ended

    async def _finish(self, *names: str) -> None:
        await asyncio.gather(*(self._loops[name] for name in names))


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
