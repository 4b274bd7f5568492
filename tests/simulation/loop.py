"""An event loop in which time is virtual and nothing happens by chance: no thread, no socket, no clock of the machine.

When nothing is ready, time jumps to the next timer. What would run in a thread runs on the loop's own, at an instant that
the seed chooses. Every callback belongs to a life of the daemon or to the world around it: a life that is ended never
runs another step, as after SIGKILL, and nothing of it is cleaned up.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from concurrent.futures import Executor
from contextlib import contextmanager, suppress
from contextvars import Context, ContextVar, copy_context
from dataclasses import dataclass, field
from random import Random
from typing import Any, TypeVar

from typing_extensions import TypeVarTuple, Unpack, override

from alertbridge.clock import Clock

_T = TypeVar("_T")
_Ts = TypeVarTuple("_Ts")

_LIFE: ContextVar[Life | None] = ContextVar("life", default=None)
_WORLD = Context()
_QUICK = 0.002  # seconds that a piece of work in a thread takes to begin, and its result to come back
_SLOW = 0.2
_SLOW_ONE_IN = 60


@dataclass(eq=False)
class Life:
    """One process of the daemon, from its start to its end; `clock` is what it takes for the time."""

    number: int
    clock: Clock
    alive: bool = True
    context: Context = field(default_factory=Context)
    tasks: list[asyncio.Task[Any]] = field(default_factory=list)
    gone: asyncio.Event = field(default_factory=asyncio.Event)

    def __post_init__(self) -> None:
        self.context.run(_LIFE.set, self)


def life_of_this_moment() -> Life | None:
    """The life that takes the present step; None where the world does."""
    return _LIFE.get()


class Deadlock(AssertionError):  # noqa: N818 - it is what is found, and a failed assertion
    """Nothing is ready and nothing is due: everybody waits for somebody else."""


class _Leap:
    """Stands where a loop waits for the kernel: jumps to the next timer instead."""

    def __init__(self, loop: VirtualLoop) -> None:
        self._loop = loop

    def select(self, timeout: float | None) -> list[Any]:
        if timeout is None:
            raise Deadlock("nothing is ready and nothing is due")
        if timeout > 0:
            self._loop.leap()
        return []

    def close(self) -> None:
        """Nothing is held."""


class VirtualLoop(asyncio.BaseEventLoop):
    """`worked` is called in the world whenever a life's work in a thread is done and its result not yet known there.

    `stalling` is how many seconds the disk may take to begin, and to come back; 0 where it is well.
    """

    def __init__(self, random: Random, *, worked: Callable[[Life], None]) -> None:
        super().__init__()
        self._random = random
        self._worked = worked
        self._instant = 0.0
        self._buried: list[object] = []
        self.servers: dict[Life, Callable[[], asyncio.Protocol]] = {}
        self.complaints: list[str] = []
        self.stalling = 0.0
        self._selector = _Leap(self)
        self._clock_resolution = 1e-7
        self.set_exception_handler(self._complain)

    @override
    def time(self) -> float:
        return self._instant

    def leap(self) -> None:
        """Time passes until the next timer."""
        scheduled: list[asyncio.TimerHandle] = self._scheduled  # type: ignore[attr-defined] # the base class's own
        self._instant = max(self._instant, scheduled[0].when())

    @contextmanager
    def world(self) -> Iterator[None]:
        """Whatever is begun in here belongs to the world, whoever begins it."""
        token = _LIFE.set(None)
        try:
            yield
        finally:
            _LIFE.reset(token)

    def end(self, life: Life) -> None:
        """The process is gone: not one more step of it. Its tasks stay as they were until `dispose`."""
        life.alive = False
        life.gone.set()
        self.servers.pop(life, None)
        pending: list[asyncio.Handle] = [*self._ready, *self._scheduled]  # type: ignore[attr-defined] # see above
        for handle in pending:
            if handle._context.get(_LIFE) is life:  # type: ignore[attr-defined] # see above
                self._bury(handle)

    def dispose(self, lives: list[Life]) -> None:
        """Let go of what the lives left behind; nothing that they still try to do has any effect."""
        self.set_exception_handler(lambda _loop, _context: None)
        for task in (task for life in lives for task in life.tasks if not task.done()):
            task._log_destroy_pending = False  # type: ignore[attr-defined] # it is meant to be pending
            with suppress(BaseException):
                task.get_coro().close()
        self._buried.clear()

    @override
    def call_soon(
        self, callback: Callable[[Unpack[_Ts]], object], *args: *_Ts, context: Context | None = None
    ) -> asyncio.Handle:
        return self._unless_dead(super().call_soon(callback, *args, context=context))

    @override
    def call_at(
        self,
        when: float,
        callback: Callable[[Unpack[_Ts]], object],
        *args: *_Ts,
        context: Context | None = None,
    ) -> asyncio.TimerHandle:
        handle = super().call_at(when, callback, *args, context=context)
        self._unless_dead(handle)
        return handle

    @override
    def call_soon_threadsafe(
        self, callback: Callable[[Unpack[_Ts]], object], *args: *_Ts, context: Context | None = None
    ) -> asyncio.Handle:
        return self.call_soon(callback, *args, context=context)

    @override
    def create_task(
        self, coro: Any, *, name: Any = None, context: Context | None = None
    ) -> asyncio.Task[Any]:
        task: asyncio.Task[Any] = super().create_task(coro, name=name, context=context)
        life = (context or copy_context()).get(_LIFE)
        if life is not None:
            life.tasks.append(task)
        return task

    @override
    def run_in_executor(
        self, executor: Executor | None, func: Callable[[Unpack[_Ts]], _T], *args: *_Ts
    ) -> asyncio.Future[_T]:
        """Run `func` on this thread, a little later; its result is known a little later still."""
        done: asyncio.Future[_T] = self.create_future()
        life, context = _LIFE.get(), copy_context()

        def work() -> None:
            if life is not None and not life.alive:
                return
            outcome: Callable[[], None]
            try:
                result = context.run(func, *args)
            except Exception as error:  # noqa: BLE001 - whoever waits for it gets it
                failure = error
                outcome = lambda: done.set_exception(failure)  # noqa: E731 - one of two
            else:
                outcome = lambda: done.set_result(result)  # noqa: E731 - one of two
            if life is not None:
                self._worked(life)

            def tell() -> None:
                if not done.done() and (life is None or life.alive):
                    outcome()

            self.call_at(self._instant + self._while(), tell, context=_WORLD)

        self.call_at(self._instant + self._while(), work, context=_WORLD)
        return done

    @override
    async def create_server(self, protocol_factory: Any, *_args: Any, **_kwargs: Any) -> Any:
        life = _LIFE.get()
        assert life is not None, "only daemons serve"
        self.servers[life] = protocol_factory
        return _Listening(lambda: self.servers.pop(life, None))

    def _while(self) -> float:
        slow = self._random.randrange(_SLOW_ONE_IN) == 0
        return self._random.random() * (self.stalling or (_SLOW if slow else _QUICK))

    def _unless_dead(self, handle: asyncio.Handle) -> asyncio.Handle:
        life = handle._context.get(_LIFE)  # type: ignore[attr-defined] # where it belongs
        if life is not None and not life.alive:
            self._bury(handle)
        return handle

    def _bury(self, handle: asyncio.Handle) -> None:
        """Cancel it, and keep what it holds: a task that is collected would run its `finally`."""
        self._buried += [handle._callback, handle._args]  # type: ignore[attr-defined] # see above
        handle.cancel()

    def _complain(self, _loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        self.complaints.append(f"{context.get('message')}: {context.get('exception')!r}")

    def _process_events(self, _events: list[Any]) -> None:
        """There are none."""

    def _write_to_self(self) -> None:
        """Nobody sleeps who would have to be woken."""


class _Listening:
    """What a server on one port looks like."""

    def __init__(self, close: Callable[[], object]) -> None:
        self.sockets = (self,)
        self.close = close

    def getsockname(self) -> tuple[str, int]:
        return ("127.0.0.1", 9797)
