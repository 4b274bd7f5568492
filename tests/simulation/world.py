"""One seed's world: the daemon as it is wired in earnest, what it talks to, and what befalls it."""

from __future__ import annotations

import asyncio
import gc
import hashlib
import io
import logging
import shutil
import sqlite3
import warnings
from collections.abc import Callable
from contextlib import suppress
from contextvars import Context
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from random import Random
from typing import Any

import orjson
import structlog
from sqlalchemy import event
from sqlalchemy.pool import Pool
from typing_extensions import override

from alertbridge.app import App
from alertbridge.clock import SystemClock
from alertbridge.config.load import Configuration, load
from alertbridge.config.secrets import Redactor
from alertbridge.errors import AlertbridgeError
from alertbridge.model import Request
from alertbridge.operate.logs import configure_logging
from tests.simulation.alertmanager import Alert, Source
from tests.simulation.connection import Answer, ask
from tests.simulation.destinations import Said, Sent, Vendor
from tests.simulation.loop import Life, VirtualLoop, life_of_this_moment
from tests.simulation.plan import WATCHDOG, Plan
from tests.simulation.surroundings import (
    BEGINNING,
    FREE,
    NETWORK,
    InlineStore,
    LoopClock,
    SimulatedTransport,
)
from tests.support.database import empty_database

SOURCE_TOKEN = "the-token-of-the-source"
_DATABASE = "alertbridge.db"
_FULL = "PRAGMA max_page_count=1"  # SQLite makes that what it has
_ROOM = "PRAGMA max_page_count=1073741823"
_PLENTY, _LITTLE = 1 << 40, 1 << 20  # bytes
_GLANCE = 0.2  # seconds after which a disk that runs low is noticed


class Broken(AssertionError):  # noqa: N818 - it is what is found, and a failed assertion
    """A law does not hold."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """What became of one seed."""

    seed: str
    broken: tuple[str, ...]
    story: tuple[str, ...]
    requests: int
    lives: int
    seconds: float

    @property
    def trace(self) -> str:
        """The same for the same seed, wherever it runs."""
        return hashlib.sha256("\n".join(self.story).encode()).hexdigest()


@dataclass
class World:
    """Everything there is. `broken` collects what contradicts a law, in order."""

    plan: Plan
    folder: Path
    story: list[str] = field(default_factory=list)
    broken: list[str] = field(default_factory=list)
    lives: list[Life] = field(default_factory=list)
    ended_at: dict[Life, float] = field(default_factory=dict)
    began_at: dict[Life, float] = field(default_factory=dict)
    acknowledged: list[str] = field(default_factory=list)
    retried: set[str] = field(default_factory=set)
    faulty_disk: list[tuple[float, float]] = field(default_factory=list)
    secrets: set[str] = field(default_factory=set)
    stops: dict[str, float] = field(default_factory=dict)
    app: App | None = None
    wrong: timedelta = timedelta(0)  # what the machine's clock is ahead of the true time
    leap: timedelta | None = None  # by which it is set forward when a rate limit is next used up
    set_forward: list[float] = field(default_factory=list)
    low: list[tuple[float, float]] = field(default_factory=list)  # when the disk ran low
    closed: set[str] = field(default_factory=set)  # keys of which an operator has closed an incident
    cut: bool = False  # whether no Alertmanager reaches the daemon
    down: bool = True

    def __post_init__(self) -> None:
        seed = self.plan.seed
        self.random = Random(f"{seed}/world")
        self.clock = LoopClock()
        self.loop = VirtualLoop(Random(f"{seed}/disk"), worked=lambda life: self._moment("worked", life))
        self._armed: list[tuple[str, int, float]] = []
        self._connections: list[sqlite3.Connection] = []
        self._disk = ""
        self._redactor = Redactor(())
        self._loaded: dict[tuple[object, ...], Configuration] = {}
        self._looking: tuple[Path, sqlite3.Connection] | None = None
        self.vendors = {name: self._vendor(name) for name in ("elven", "hivel")}
        self.source = Source(
            clock=self.clock, random=Random(f"{seed}/source"), post=self._post, tell=self.tell
        )
        for name, labels, texts, group in self.plan.alerts:
            self.source.alerts[name] = Alert(name, labels, texts, group)
        self.source.often[WATCHDOG] = 50.0
        self.main = 0
        self.folder.mkdir(parents=True, exist_ok=True)
        empty_database()  # before anything is watched
        self._write("source-token", SOURCE_TOKEN)
        self.secrets.add(SOURCE_TOKEN)
        for vendor in self.vendors.values():
            self.write_secret(vendor.name)
        self.write_main()

    @property
    def life(self) -> Life:
        return self.lives[-1]

    @property
    def database(self) -> Path:
        return self.folder / f"life-{self.life.number}" / _DATABASE

    def now(self) -> float:
        return self.loop.time()

    def tell(self, who: str, what: str) -> None:
        self.story.append(f"{self.loop.time():12.6f}  {who:<9} {what.replace(str(self.folder), '')}")

    def violate(self, law: str) -> None:
        self.tell("LAW", law)
        self.broken.append(law)

    # The files that an operator writes

    def write_main(self) -> None:
        self._write("alertbridge.yaml", self.plan.mains[self.main])

    def write_secret(self, name: str) -> None:
        token = self.vendors[name].token
        self.vendors[name].written = token
        self.secrets.add(token)
        self._write("hivel-token", token) if name == "hivel" else self._write(
            "elven-url", f"https://elven.example/elven/{token}"
        )

    def _write(self, name: str, text: str) -> None:
        (self.folder / name).write_text(text, encoding="utf-8")

    # The process

    def begin(self) -> None:
        """Start the daemon on what its predecessor left on disk."""
        before = self.database.parent if self.lives else None
        clock = SystemClock(wall=lambda: self.clock.now() + self.wrong, monotonic=self.loop.time)
        life = Life(len(self.lives) + 1, clock)
        self.lives.append(life)
        self.began_at[life] = self.now()
        self.down = False
        self.database.parent.mkdir()
        if before is None:
            self.database.write_bytes(empty_database())
        for name in (_DATABASE, f"{_DATABASE}-wal"):
            if before is not None and (before / name).exists():
                shutil.copyfile(before / name, self.database.parent / name)
        self.tell("daemon", f"starts, life {life.number}")
        life.context.run(NETWORK.set, _Wires(self, life))
        life.context.run(FREE.set, lambda: _LITTLE if self._runs_low() else _PLENTY)
        self.loop.create_task(self._live(life), context=life.context)

    async def _live(self, life: Life) -> None:
        try:
            self._redactor = Redactor(())
            configure_logging(level="info", format="json", clean=self._redactor.clean, stream=_Log(self))
            app = App(
                configuration=self._load(),
                clock=life.clock,
                state_directory=str(self.database.parent),
                load=self._load,
                redactor=self._redactor,
                store=InlineStore,
                transport=SimulatedTransport,
                chance=Random(f"{self.plan.seed}/daemon/{life.number}"),
            )
            await app.start()
            self.app = app
            await app.ended()
        except AlertbridgeError as error:
            self.tell("daemon", f"cannot go on: {error}")
            if not self._disk_was_faulty():
                self.violate(f"the daemon ended by itself: {error}")
        except Exception as error:  # noqa: BLE001 - whatever it is, it has ended the daemon
            self.violate(f"the daemon broke: {type(error).__name__}: {error}")
        self.loop.call_soon(self.kill, 1.0, context=_outside())

    def _load(self) -> Configuration:
        """The configuration as it stands in the files; read once, since it takes as long as hours of the rest."""
        seen = (self.main, *(vendor.written for vendor in self.vendors.values()))
        if seen not in self._loaded:
            self._loaded[seen] = load(self.folder / "alertbridge.yaml", environ={})
        return self._loaded[seen]

    def kill(self, down: float) -> None:
        """The process is gone; another one starts when it has been `down` for so long."""
        life = self.life
        if self.down:
            return
        self.down = True
        self.app = None
        self.loop.end(life)
        self.ended_at[life] = self.now()
        self.tell("daemon", "is gone")
        self.check_acknowledged()
        self.loop.call_later(down, self.begin, context=_outside())

    async def stop(self, down: float) -> None:
        """A clean end."""
        app, life = self.app, self.life
        if app is None or self.down:
            return
        self.app = None
        self.tell("daemon", "is asked to stop")
        stopping = self.loop.create_task(app.stop(), context=life.context)
        gone = self.loop.create_task(life.gone.wait())
        await asyncio.wait((stopping, gone), timeout=60, return_when=asyncio.FIRST_COMPLETED)
        gone.cancel()
        if not stopping.done() and life.alive:
            self.violate("a clean stop takes more than a minute")
        if stopping.done() and (error := stopping.exception()) is not None and not self._disk_was_faulty():
            self.violate(f"a clean stop broke: {error!r}")
        if life is self.life:
            self.kill(down)

    def arm(self, moment: str, after: int, down: float) -> None:
        """Die at a moment such as `worked`: when a transaction is on disk and nobody knows yet."""
        self._armed.append((moment, after, down))

    def disarm(self) -> None:
        """From now on it lives."""
        self._armed.clear()
        self.leap = None

    def _moment(self, moment: str, life: Life) -> None:
        for one in self._armed:
            name, after, down = one
            if name == moment and life is self.life and not self.down:
                self._armed.remove(one)
                if after:
                    self._armed.append((name, after - 1, down))
                else:
                    self.tell("daemon", f"dies at this moment: {moment}")
                    self.kill(down)
                return

    # The disk

    def disk(self, fault: str) -> None:
        """`full`, `read-only`, `stalling`, or nothing."""
        self.tell("disk", fault or "is well")
        if self._disk:
            self.faulty_disk[-1] = (self.faulty_disk[-1][0], self.now())
        if fault:
            self.faulty_disk.append((self.now(), float("inf")))
        self._disk = fault
        self.loop.stalling = _STALL if fault == "stalling" else 0.0
        for connection in self._connections:
            self._make_faulty(connection)

    def run_low(self, *, low: bool) -> None:
        """The disk has little room left, or enough again."""
        self.tell("disk", "runs low" if low else "has room")
        if self._runs_low():
            self.low[-1] = (self.low[-1][0], self.now())
        if low:
            self.low.append((self.now(), float("inf")))

    def _runs_low(self) -> bool:
        return bool(self.low) and self.low[-1][1] > self.now()

    # The clock

    def set_clock(self, by: timedelta) -> None:
        """Somebody sets the machine's clock."""
        self.wrong += by
        self.tell(
            "clock",
            f"is set by {by.total_seconds():.0f} s, and is wrong by {self.wrong.total_seconds():.0f} s",
        )
        if by > timedelta(0):
            self.set_forward.append(self.now())
            for vendor in self.vendors.values():
                vendor.pauses.clear()  # for all that the daemon can know it has slept through them

    def at(self, ago: float = 0.0) -> int:
        """What the daemon took for the time so many seconds ago, as it stands in the database."""
        now = self.life.clock.now() - timedelta(seconds=ago)
        return round((now - BEGINNING) / timedelta(microseconds=1))

    def _make_faulty(self, connection: sqlite3.Connection) -> None:
        with suppress(sqlite3.ProgrammingError):  # closed by now
            connection.execute(_FULL if self._disk == "full" else _ROOM)
            connection.execute(f"PRAGMA query_only={int(self._disk == 'read-only')}")

    def _connected(self, connection: sqlite3.Connection, _record: object) -> None:
        self._connections.append(connection)
        if self._disk:
            self._make_faulty(connection)

    def _disk_was_faulty(self) -> bool:
        return any(self.now() - until < 15 for _, until in self.faulty_disk)

    # The network

    async def _post(self, body: bytes) -> Answer | None:
        headers = {"Content-Type": "application/json", "Authorization": f"Bearer {SOURCE_TOKEN}"}
        life, began = self.life, self.now()
        if self.cut:
            return None
        answer = await ask(self.loop, life, "POST", "/v1/sources/prod", body=body, headers=headers)
        if answer is not None and answer.status == 202:
            if any(since + _GLANCE < began < until for since, until in self.low):
                self.violate("an event is taken while the disk runs low")
            self.acknowledged.append(answer.json()["event"])
            self._moment("accepted", life)
        return self._look(answer)

    async def operate(self, method: str, path: str, said: Any = None) -> Answer | None:
        """What an operator asks for by HTTP."""
        body = b"" if said is None else orjson.dumps(said)
        headers = {"Content-Type": "application/json"} if body else {}
        return self._look(await ask(self.loop, self.life, method, path, body=body, headers=headers))

    async def insist(self, method: str, path: str, said: Any = None) -> Answer:
        """The same, until the daemon does it."""
        while True:
            answer = await self.operate(method, path, said)
            if answer is not None and answer.status < 300:
                return answer
            await asyncio.sleep(2)

    def _look(self, answer: Answer | None) -> Answer | None:
        if answer is not None:
            self.see_no_secret("an answer", answer.body.decode(errors="replace"))
        return answer

    def see_no_secret(self, where: str, text: str) -> None:
        for secret in sorted(self.secrets):
            if secret in text:
                self.violate(f"a secret stands in {where}: {text[:300]}")

    def _vendor(self, name: str) -> Vendor:
        return Vendor(
            name=name,
            seed=self.plan.seed,
            loop=self.loop,
            clock=self.clock,
            tell=self.tell,
            landed=lambda life: self._moment("landed", life),
            told=lambda life: self._moment("told", life),
            token=f"{name}-token-0-{self.random.randrange(10**8):08}",
        )

    # What must be true at every moment

    def check_sent(self, sent: Sent) -> None:
        """On each request that leaves the daemon."""
        vendor, now = self.vendors[sent.destination], self.now()
        limit = self.plan.limits[sent.destination]
        if limit is not None and not self._set_forward_before_a_start(now - limit.per):
            late = self._late(now - limit.per)
            window = [one for one in vendor.sent if now - one.left < limit.per - late]
            if len(window) > limit.requests:
                self.violate(
                    f"{len(window)} requests to {vendor.name} in {limit.per} s, {limit.requests} allowed"
                )
            if self.leap is not None and len(window) == limit.requests:
                self.loop.call_later(0.5, self.set_clock, self.leap, context=_outside())
                self.leap = None
        for one in vendor.sent[:-1]:
            unknown = one.told_at is None and now - one.left < _TIMEOUT
            if one.key == sent.key and one.life is sent.life and unknown:
                self.violate(f"#{sent.number} on {sent.key} leaves while #{one.number} is under way")
        for life, since, until in vendor.pauses:
            if since + _JITTER < now < until - _JITTER and self.had_time_to_note(since, life, sent.life):
                self.violate(f"#{sent.number} leaves in a pause that {vendor.name} asked for")

    def _late(self, since: float) -> float:
        """How much later a request left than it is known to have: after a start only its record tells."""
        if self.began_at[self.life] < since:
            return _EXACT
        stalled = any(until >= since for _, until in self.faulty_disk)
        return _RECORDED + (_STALL if stalled else 0)

    def _set_forward_before_a_start(self, since: float) -> bool:
        """Whether the daemon has to believe of older requests that they are older still: it began after a clock was set."""
        return any(since <= moment <= self.began_at[self.life] for moment in self.set_forward)

    def had_time_to_note(self, told_at: float, life: Life, later: Life) -> bool:
        """Whether what `life` was told then is on disk for a `later` one."""
        if life is later:
            return True
        ended = self.ended_at[life]
        hindered = any(since <= ended and until >= told_at - 1 for since, until in self.faulty_disk)
        return ended - told_at > _NOTED and not hindered

    def check_acknowledged(self) -> None:
        """Whatever was answered with 202 is on disk."""
        known = {row["id"] for row in self.rows("SELECT id FROM events")}
        for lost in [one for one in self.acknowledged if one not in known]:
            self.violate(f"event {lost} was acknowledged and is not on disk")
            self.acknowledged.remove(lost)

    def rows(self, query: str, *parameters: object) -> list[dict[str, Any]]:
        """What the database holds."""
        if self._looking is None or self._looking[0] != self.database:
            connection = sqlite3.connect(f"file:{self.database}?mode=ro", uri=True)
            connection.row_factory = sqlite3.Row
            self._connections.append(connection)
            self._looking = (self.database, connection)
        try:
            return [dict(row) for row in self._looking[1].execute(query, parameters).fetchall()]
        except sqlite3.OperationalError as error:
            if "no such table" in str(error):
                return []
            raise

    # The run

    def run(self, story: Callable[[World], Any]) -> None:
        """Let `story`, a coroutine function, happen; nothing is left behind."""
        event.listen(Pool, "connect", self._connected)
        gc.freeze()
        gc.disable()  # what is collected when is chance
        handlers = list(logging.getLogger().handlers)
        try:
            self.loop.run_until_complete(story(self))
        finally:
            event.remove(Pool, "connect", self._connected)
            for task in asyncio.all_tasks(self.loop):
                task._log_destroy_pending = False  # type: ignore[attr-defined] # it ends with its world
            self._let_go()
            logging.getLogger().handlers[:] = handlers
            structlog.reset_defaults()
            gc.enable()
            gc.unfreeze()

    def _let_go(self) -> None:
        """What the lives held is collected while their databases are still open: some of it rolls back."""
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # that a process that was killed has closed nothing
            self.loop.dispose(self.lives)
            for life in self.lives:
                life.tasks.clear()
            self.app = None
            gc.collect()
        for connection in self._connections:
            connection.close()
        self.loop.close()


_JITTER = 1.5  # seconds between an answer and the stop that follows from it, at most
_EXACT = 1e-5
_RECORDED = (
    0.5  # seconds between the instant that a record names and the wire, at most, on a disk that is well
)
_NOTED = 3.0  # seconds in which an answer is on disk
_TIMEOUT = 10.0
_STALL = 4.0


@dataclass
class _Wires:
    """The network as one life of the daemon sees it."""

    world: World
    life: Life

    def send(self, request: Request) -> asyncio.Future[Said]:
        vendor = self.world.vendors["elven" if "//elven." in request.url else "hivel"]
        answer = vendor.send(request, self.life, at=self.world.at())
        self.world.check_sent(vendor.sent[-1])
        return answer


class _Log(io.StringIO):
    """Takes the lines of the daemon's log."""

    def __init__(self, world: World) -> None:
        super().__init__()
        self._world = world

    @override
    def write(self, line: str) -> int:
        life = life_of_this_moment()
        if life is not None and life.alive:
            self._world.see_no_secret("the log", line)
            said = orjson.loads(line)
            del said["timestamp"]
            self._world.tell("log", orjson.dumps(said).decode())
        return len(line)


def _outside() -> Context:
    """Where nothing belongs to any life."""
    return Context()
