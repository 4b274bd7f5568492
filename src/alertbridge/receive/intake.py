"""Whether there is room for new work. What is refused is sent again; what was accepted must be finished."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from enum import StrEnum

import structlog

from alertbridge.clock import Clock
from alertbridge.metrics import Metrics
from alertbridge.model import Event
from alertbridge.receive.refusal import RETRY_LATER, Refused

# How many bytes of database come of one byte of body: 21 were measured where alerts are as short as can be, each is an
# incident of its own at two destinations, and nothing can be delivered; 15 with the usual labels.
_GROWTH = 24
_LOW = 0.8  # of what may wait
_CLEAR = 1.1  # of what must be free
_GLANCE = 0.1  # seconds
_FULL_FOR = 5.0  # seconds; then one more request is tried


class Shortage(StrEnum):
    """What there is too little room for."""

    EVENTS = "events"
    BYTES = "bytes"
    DISK = "disk"


@dataclass(frozen=True, slots=True)
class Limits:
    """How many events, and how many bytes of them, may wait to be decided; how many bytes of disk must stay free."""

    events: int
    bytes: int
    min_free: int


@dataclass(slots=True)
class Backlog:
    """The events that are being written or wait to be decided."""

    sizes: dict[str, int] = field(default_factory=dict)
    bytes: int = 0

    def add(self, identifier: str, size: int) -> None:
        """It is about to be written."""
        self.sizes[identifier] = size
        self.bytes += size

    def remove(self, identifier: str) -> None:
        """It is decided, or was never written; one that is not known is passed over."""
        self.bytes -= self.sizes.pop(identifier, 0)


class Glance:
    """A measure that is taken anew at most ten times a second: every request asks for it."""

    def __init__(self, *, measure: Callable[[], int], clock: Clock) -> None:
        self._measure = measure
        self._clock = clock
        self._value = 0
        self._until = float("-inf")

    def __call__(self) -> int:
        """The measure, a tenth of a second old at most."""
        now = self._clock.monotonic()
        if now >= self._until:
            self._value, self._until = self._measure(), now + _GLANCE
        return self._value


class Intake:
    """Says whether a request may be taken, from the events that wait to be decided and from the free space.

    `free` gives the bytes that the filesystem of the database has left; it is asked for every request, and what comes
    between two measures is reckoned with as what waits. What is low has to recover a little beyond its mark before
    anything is taken again, so that the answer does not flicker.
    """

    def __init__(self, *, limits: Limits, free: Callable[[], int], clock: Clock, metrics: Metrics) -> None:
        self._limits = limits
        self._free = free
        self._clock = clock
        self._gauge = metrics.refusing
        self._backlog = Backlog()
        self._reading = 0
        self._over: frozenset[Shortage] = frozenset()
        self._full_until = float("-inf")
        self._log = structlog.get_logger().bind()
        metrics.inbox_bytes.set_function(lambda: self._backlog.bytes)
        for shortage in Shortage:
            self._gauge.labels(shortage.value).set(0)

    def begin(self, waiting: Mapping[str, int]) -> None:
        """Count what an earlier run has left: ids of undecided events, with the size of each."""
        for identifier, size in waiting.items():
            self._backlog.add(identifier, size)

    def expect(self, event: Event) -> None:
        """It is about to be written."""
        self._backlog.add(event.id, len(event.body))

    def forget(self, events: Iterable[Event]) -> None:
        """They are decided, or could not be written."""
        for event in events:
            self._backlog.remove(event.id)

    def full(self) -> None:
        """The disk has said that it is full, whatever `free` says."""
        self._full_until = self._clock.monotonic() + _FULL_FOR

    def refuse_if_short(self) -> None:
        """Raises Refused, with 503, while there is no room for new work."""
        short = self._look()
        if short:
            disk = Shortage.DISK in short
            title = "Storage full" if disk else "Overloaded"
            raise Refused(503, title, f"{_said(short)}; send it again", RETRY_LATER)

    @property
    def short_of(self) -> str:
        """Why new work is refused now, in one sentence; empty while it is taken."""
        return _said(self._look())

    @property
    def short_of_disk(self) -> bool:
        """Whether new work is refused for want of free space."""
        return Shortage.DISK in self._look()

    @contextmanager
    def reading(self) -> Iterator[Callable[[int], None]]:
        """Room for a body that is being received; what is yielded takes the size of each piece, or raises Refused."""
        mine = 0

        def grow(size: int) -> None:
            nonlocal mine
            mine += size
            self._reading += size
            if self._limits.bytes < self._reading != mine:  # one alone is bounded by itself
                detail = "too many bodies are being received at once (storage.inbox.bytes); send it again"
                raise Refused(503, "Overloaded", detail, RETRY_LATER)

        try:
            yield grow
        finally:
            self._reading -= mine

    def _look(self) -> dict[Shortage, str]:
        """What there is too little of, each with a sentence."""
        limits, waiting, size = self._limits, len(self._backlog.sizes), self._backlog.bytes
        free = self._free()
        needed = limits.min_free + _GROWTH * size
        full = self._clock.monotonic() < self._full_until
        passed = (waiting >= limits.events, size >= limits.bytes, full or free < needed)
        if not self._over and True not in passed:  # nearly always, and every request asks
            return {}
        back = (
            waiting <= limits.events * _LOW,
            size <= limits.bytes * _LOW,
            not full and free >= needed * _CLEAR,
        )
        before = self._over
        self._over = frozenset(
            shortage
            for shortage, beyond, recovered in zip(Shortage, passed, back, strict=True)
            if beyond or (shortage in before and not recovered)
        )
        sentences = {
            Shortage.EVENTS: f"{waiting} events wait to be decided (storage.inbox.events: {limits.events})",
            Shortage.BYTES: f"{_mib(size)} of events wait to be decided (storage.inbox.bytes: {_mib(limits.bytes)})",
            Shortage.DISK: f"the disk says that it is full, with {_mib(free)} free"
            if full
            else f"{_mib(free)} of disk are free, and {_mib(needed)} are kept to finish what was accepted"
            f" (storage.min_free: {_mib(limits.min_free)})",
        }
        for shortage in before ^ self._over:
            self._tell(shortage, sentences[shortage], over=shortage in self._over)
        return {shortage: sentences[shortage] for shortage in Shortage if shortage in self._over}

    def _tell(self, shortage: Shortage, sentence: str, *, over: bool) -> None:
        self._gauge.labels(shortage.value).set(over)
        if over:
            self._log.warning("intake.refusing", reason=shortage.value, detail=sentence)
        else:
            self._log.info("intake.taking", reason=shortage.value, detail=sentence)


def _said(short: Mapping[Shortage, str]) -> str:
    return "; ".join(short.values())


def _mib(size: int) -> str:
    return f"{size / 2**20:.1f} MiB"
