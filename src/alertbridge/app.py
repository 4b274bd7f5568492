"""The composition root: every part is made here, from the configuration, and handed what it needs."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Iterable
from dataclasses import replace
from datetime import timedelta

import structlog
from aiohttp import web
from sqlalchemy import Connection

from alertbridge import __version__
from alertbridge.chronicle import Chronicle
from alertbridge.clock import Clock
from alertbridge.config.difference import Difference, applied, difference
from alertbridge.config.load import Configuration, UnusableConfigurationError
from alertbridge.config.secrets import Redactor
from alertbridge.config.settings import Settings
from alertbridge.deliver.courier import Courier
from alertbridge.deliver.fleet import Fleet
from alertbridge.deliver.resolver import Resolver
from alertbridge.deliver.telling import Teller
from alertbridge.deliver.transport import Route, Transport
from alertbridge.errors import ConfigurationError, Problem
from alertbridge.heartbeats.pinger import Pinger
from alertbridge.heartbeats.watchman import Watchman
from alertbridge.identifiers import Ulids
from alertbridge.metrics import Metrics
from alertbridge.model import Event, Notification
from alertbridge.operate.desk import Desk
from alertbridge.operate.desk import replace as replace_all
from alertbridge.operate.health import Health
from alertbridge.operate.loops import Loops, Worker
from alertbridge.operate.port import listen
from alertbridge.operate.pruner import Pruner
from alertbridge.operate.recovery import recover, set_aside
from alertbridge.operate.reload import Reloaded, ReloadNews, refuse_stranded
from alertbridge.operate.rotation import Rotation
from alertbridge.operate.watch import Watcher
from alertbridge.parts import (
    bridge,
    courier,
    doors,
    endpoints,
    expected_repeats,
    forges,
    intake,
    line,
    longest_look_back,
    pings,
    present,
    reconcilers,
)
from alertbridge.pipeline import Decider
from alertbridge.receive.deployments import DeploymentReceiver
from alertbridge.receive.routes import Receiver
from alertbridge.reconcile.expirer import Expirer
from alertbridge.reconcile.reconciler import Reconciler
from alertbridge.reconcile.reconcilers import Reconcilers, opened
from alertbridge.store import inbox, rule_sets, stranded
from alertbridge.store.engine import database_path
from alertbridge.store.store import Store
from alertbridge.store.stranded import Stranded

_FORGE_TIMEOUT = timedelta(seconds=10)
_BREATH = timedelta(milliseconds=20)


class App:
    """One daemon: `start` it, wait for `ended`, `reload` it, `stop` it.

    `load` reads the configuration again; without it a reload finds the one that is in use. `redactor` learns the
    secrets of every configuration that is loaded: hand over the one that the log is cleaned with. `store`, `transport`
    and `chance` are what it meets of the disk, the network and luck: all of that can be handed in, and then is repeatable.
    """

    def __init__(
        self,
        *,
        configuration: Configuration,
        clock: Clock,
        state_directory: str | None = None,
        load: Callable[[], Configuration] | None = None,
        redactor: Redactor | None = None,
        store: type[Store] = Store,
        transport: type[Transport] = Transport,
        chance: random.Random | None = None,
    ) -> None:
        self.configuration = configuration
        self._open_store = store.open
        self._transport = transport
        # Seeded by the system, and not the system itself: that would let go of the interpreter's lock for each id.
        self._chance = chance or random.Random()  # noqa: S311 - jitter and ids, no secrets
        self.metrics = Metrics()
        self.port = 0
        self._clock = clock
        self._load = load or (lambda: self.configuration)
        self._new_id = Ulids(clock=clock, entropy=self._chance.randbytes)
        self._redactor = redactor or Redactor(())
        self._redactor.learn(configuration.secrets)
        self._path = database_path(configuration.settings.storage.url, state_directory)
        self._loops = Loops()
        self._intake = intake(
            configuration.settings.storage,
            free=lambda: self._store.free_bytes(),  # noqa: PLW0108 - it is opened later
            clock=clock,
            metrics=self.metrics,
        )
        self._health = Health(dead=self._loops.dead, short_of=lambda: self._intake.short_of)
        self._news = ReloadNews(
            metrics=self.metrics, health=self._health, clock=clock, clean=self._redactor.clean
        )
        self._turn = asyncio.Lock()  # for one reload at a time
        self._watcher = Watcher(sight=configuration.sight, turn=self._turn, reload=self._take_up, clock=clock)
        self._watcher.switch(on=configuration.settings.server.watch)
        self._reloads: set[asyncio.Task[Reloaded]] = set()
        self._draining = False
        self._log = structlog.get_logger().bind()

    async def start(self) -> None:
        """Open the database, recover what a crash interrupted, begin every loop and listen.

        Raises StoreError if the database cannot be used, OSError if the address cannot be listened on.
        """
        settings = self.configuration.settings
        fresh = settings.storage.on_corruption == "start_fresh"
        self._store = await self._open_store(
            self._path,
            accepted=self._wake_decider,
            full=self._intake.full,
            damaged=set_aside(self._path, clock=self._clock) if fresh else None,
        )
        self._loops.begin("writer", self._store.run())
        await recover(self._store, configuration=self.configuration, clock=self._clock)
        self._intake.begin(await self._store.read(inbox.backlog))
        self._make_parts(settings)
        self._runner = await listen(
            self._routes(settings), settings.server, short_cut=self._receiver.short_cut
        )
        self.port = int(self._runner.addresses[0][1])
        await self._fleet.start()
        self._reconcilers.start(await self._open_reconcilers(settings, settings.sources))
        await self._watchman.start()
        for name, worker in self._workers().items():
            self._loops.begin(name, worker.run())
        self._loops.begin("watcher", self._watcher.run())
        self._news.loaded(self.configuration)
        self._health.ready()
        self._log.info(
            "daemon.started",
            version=__version__,
            listen=f"{settings.server.host}:{self.port}",
            database=str(self._path.absolute()),
            rules=len(self.configuration.rulebook.rules),
            rules_hash=self.configuration.rulebook.hash,
        )

    async def ended(self) -> None:
        """Return never, or raise what ended a loop that should have gone on."""
        await self._loops.ended()

    async def reload(self, *, force: bool = False) -> Reloaded:
        """Read the configuration again and apply it, between two batches of events; one reload at a time.

        With `force` also if that strands what waits for a source or destination that is gone. Whoever asks may go away:
        the reload goes on. Raises ConfigurationError, and then everything is as it was.
        """
        task = asyncio.create_task(self._reload(force=force))
        self._reloads.add(task)
        task.add_done_callback(self._reloads.discard)
        return await asyncio.shield(task)

    async def stop(self) -> None:
        """Drain: take nothing new, finish what was begun, up to `drain_timeout`; then close the database."""
        self._log.info("daemon.draining")
        self._health.draining()
        self._receiver.close()
        self._told.close()
        self._draining = True
        self._watcher.close()
        self._fleet.hasten()
        async with self._turn:  # a reload that has begun to change things changes all of them
            await self._runner.cleanup()
        await self._reconcilers.close()
        workers = self._workers()
        for worker in workers.values():
            worker.close()
        self._fleet.close()
        await self._loops.end("watcher", *workers, *self._fleet.loops)
        timeout = self.configuration.settings.server.drain_timeout.total_seconds()
        try:
            await asyncio.wait_for(self._fleet.drained(), timeout)
        except TimeoutError:
            self._log.warning("daemon.undrained", detail="what was in flight goes again at the next start")
        await self._fleet.abandon()
        self._store.stop()
        await self._loops.end("writer")
        await self._store.close()
        self._log.info("daemon.stopped")

    def _make_parts(self, settings: Settings) -> None:
        self._fleet = Fleet(
            couriers={name: self._courier(name, settings) for name in settings.destinations},
            store=self._store,
            clock=self._clock,
            begin=self._loops.begin,
            end=self._loops.end,
        )
        self._watchman = Watchman(
            store=self._store,
            configured=lambda: self._decider.bridge.rulebook.heartbeats,
            clock=self._clock,
            new_id=self._new_id,
            concluded=self._wake_decider,
        )
        self._reconcilers = Reconcilers(begin=self._loops.begin, end=self._loops.end)
        self._decider = Decider(
            store=self._store,
            bridge=bridge(self.configuration),
            clock=self._clock,
            new_id=self._new_id,
            chronicle=Chronicle(metrics=self.metrics),
            posted=self._fleet.wake,
            beat=self._watchman.hear,
            ended=self._watchman.hear_end,
            decided=self._reconcilers.heed,
            worked_off=self._intake.forget,
        )
        self._pinger = Pinger(
            store=self._store,
            configured=lambda: pings(self.configuration.settings),
            couriers=self._fleet.couriers,
            dead=self._loops.dead,
            clock=self._clock,
            metrics=self.metrics,
        )
        self._expirer = Expirer(
            patience=expected_repeats(settings, resolved=True),
            store=self._store,
            clock=self._clock,
            metrics=self.metrics,
            new_id=self._new_id,
            concluded=self._decider.wake,
        )
        self._pruner = Pruner(
            store=self._store,
            events=settings.storage.retention.events,
            deliveries=settings.storage.retention.deliveries,
            clock=self._clock,
            window=longest_look_back(settings),
            blamable=settings.deployments.max_age,
            short_of_disk=lambda: self._intake.short_of_disk,
            breath=_BREATH,
        )
        self._teller = Teller(
            store=self._store,
            present=lambda: present(self._decider.bridge, self.configuration.settings),
            clock=self._clock,
            new_id=self._new_id,
            posted=self._fleet.wake,
            unresolved=self._ask_forges,
        )
        self._resolver = Resolver(
            store=self._store,
            teller=self._teller,
            forges=forges(settings),
            transport=self._transport(route=Route(timeout=_FORGE_TIMEOUT), clock=self._clock),
            clock=self._clock,
            metrics=self.metrics,
            chance=self._chance.random,
            clean=self._redactor.clean,
        )
        self._rotation = Rotation(
            couriers=self._fleet.couriers,
            running=lambda: self.configuration,
            rekey=self._rekey,
            turn=self._turn,
            clock=self._clock,
        )
        self._endpoints = endpoints(settings)
        self._receiver = Receiver(
            endpoints=self._endpoints,
            max_body=settings.server.max_body,
            accept=self._accept,
            keep_malformed=self._store.keep_malformed,
            intake=self._intake,
            new_id=self._new_id,
            clock=self._clock,
            metrics=self.metrics,
        )

    def _workers(self) -> dict[str, Worker]:
        """What goes on from start to drain, by the name of its loop."""
        return {
            "decider": self._decider,
            "expirer": self._expirer,
            "pinger": self._pinger,
            "pruner": self._pruner,
            "resolver": self._resolver,
            "rotation": self._rotation,
            "watchman": self._watchman,
        }

    def _wake_decider(self) -> None:
        self._decider.wake()

    def _routes(self, settings: Settings) -> list[web.RouteDef]:
        self._desk = Desk(
            settings=settings,
            expected=expected_repeats(settings),
            store=self._store,
            bridge=lambda: self._decider.bridge,
            couriers=self._fleet.couriers,
            wake=self._fleet.wake,
            decide=self._decider.wake,
            new_id=self._new_id,
            line=lambda name: line(name, self.configuration.settings.destinations[name], clock=self._clock),
            pulses=self._watchman.pulses,
            reload=self.reload,
            clock=self._clock,
            metrics=self.metrics,
            clean=self._redactor.clean,
        )
        self._told = DeploymentReceiver(
            doors=doors(settings),
            max_body=settings.server.max_body,
            teller=self._teller,
            guard=self._desk.guard,
            intake=self._intake,
            clock=self._clock,
            metrics=self.metrics,
        )
        parts = (self._receiver, self._told, self._health, self._desk)
        return [route for part in parts for route in part.routes()]

    def _ask_forges(self) -> None:
        self._resolver.wake()

    def _courier(self, name: str, settings: Settings) -> Courier:
        return courier(
            name,
            settings.destinations[name],
            store=self._store,
            transport=self._transport,
            clock=self._clock,
            metrics=self.metrics,
            chance=self._chance.random,
            clean=self._redactor.clean,
            new_id=self._new_id,
        )

    async def _open_reconcilers(self, settings: Settings, sources: Iterable[str]) -> dict[str, Reconciler]:
        made = reconcilers(
            settings,
            sources,
            store=self._store,
            clock=self._clock,
            metrics=self.metrics,
            new_id=self._new_id,
            concluded=self._decider.wake,
        )
        await opened(made.values())
        return made

    async def _accept(self, event: Event, said: Notification) -> None:
        self._intake.expect(event)
        self._decider.expect(event, said)
        try:
            await self._store.accept(event)
        except Exception:
            self._decider.forget(event)
            self._intake.forget((event,))
            raise

    async def _reload(self, *, force: bool) -> Reloaded:
        async with self._turn:
            return await self._take_up(force=force)

    async def _take_up(self, *, force: bool = False) -> Reloaded:
        """A reload, for whoever has the turn."""
        try:
            wanted = await asyncio.to_thread(self._load)  # it takes seconds where there are many rules
            self._watcher.saw(wanted.sight)
            self._redactor.learn(wanted.secrets)
            return await self._apply(wanted, force=force)
        except Exception as error:
            if isinstance(error, UnusableConfigurationError):
                self._watcher.saw(error.sight)
                self._redactor.learn(error.secrets)
            file = str(self.configuration.files[0])
            raise self._news.not_reloaded(error, file=file) from error

    async def _apply(self, wanted: Configuration, *, force: bool) -> Reloaded:
        """Change over to `wanted`: first all that can fail, then deciding in one step, then the rest."""
        if self._draining:
            raise ConfigurationError((_about_to_end(wanted),))
        change = difference(self.configuration, wanted)
        settings = applied(self.configuration, wanted)
        fresh = {
            name: self._courier(name, settings)
            for name in (*change.destinations.added, *change.destinations.changed)
        }
        before = dict(self._endpoints)
        asking: dict[str, Reconciler] = {}
        try:
            for carrier in fresh.values():
                await carrier.open()
            asking = await self._open_reconcilers(settings, (*change.sources.added, *change.sources.changed))
            await self._exchange_bridge(wanted, change, force=force)
        except BaseException:
            replace_all(self._endpoints, before)
            for carrier in fresh.values():
                await carrier.abandon()
            for one in asking.values():
                await one.abandon()
            raise
        self.configuration = replace(wanted, settings=settings)
        replace_all(self._endpoints, endpoints(settings))
        self._pruner.window = longest_look_back(settings)
        self._expirer.exchange(expected_repeats(settings, resolved=True))
        self._pruner.blamable = settings.deployments.max_age
        self._told.doors = doors(settings)
        self._resolver.forges = forges(settings)
        self._resolver.wake()
        self._watcher.switch(on=settings.server.watch)
        await self._reconcilers.exchange(asking, leaving=(*change.sources.removed, *change.sources.changed))
        relieving = self._fleet.exchange(fresh, removed=change.destinations.removed, rekeyed=change.rekeyed)
        self._fleet.try_refused()
        self._desk.exchange(settings, expected=expected_repeats(settings))
        await relieving
        self._news.reloaded(wanted, change)
        return Reloaded(wanted.hash, change.anything)

    async def _rekey(self, name: str, wanted: Configuration) -> None:
        """Take up a new secret of one destination, for whoever has the turn. What decides needs none."""
        if self._draining:
            return
        self._redactor.learn(wanted.secrets)
        fresh = self._courier(name, wanted.settings)
        await fresh.open()
        self.configuration = wanted
        relieving = self._fleet.exchange({name: fresh}, removed=(), rekeyed=(name,))
        self._desk.exchange(wanted.settings, expected=expected_repeats(wanted.settings))
        await relieving

    async def _exchange_bridge(self, wanted: Configuration, change: Difference, *, force: bool) -> None:
        """Let the next batch be decided by `wanted`, unless that strands something.

        It is counted and exchanged in the thread that decides and writes, so nothing comes between the two. A removed
        source takes nothing from before the count on.
        """
        new = bridge(wanted)

        def find(connection: Connection) -> Stranded:
            return stranded.find(
                connection, sources=change.sources.leaving, destinations=change.destinations.leaving
            )

        def keep(connection: Connection) -> Stranded:
            found = find(connection)
            if force or not found:
                rule_sets.keep(connection, new.rule_set, version=__version__, now=self._clock.now())
            return found

        def exchange(found: Stranded) -> None:
            if force or not found:
                self._decider.bridge = new

        if not force:
            refuse_stranded(await self._store.read(find), file=str(wanted.files[0]))
        for name in change.sources.removed:
            del self._endpoints[name]
        found = await self._store.write(keep, committed=exchange)
        if not force:
            refuse_stranded(found, file=str(wanted.files[0]))


def _about_to_end(wanted: Configuration) -> Problem:
    return Problem(
        str(wanted.files[0]), 0, 0, "", "the daemon is about to end", "it is read at the next start"
    )
