"""The vendors at the far end of the simulated network: the stand-ins' own rules, under weather that the plan makes."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import timedelta
from email.utils import format_datetime
from random import Random
from typing import Any
from urllib.parse import urlsplit

from multidict import CIMultiDict

from alertbridge.model import Ambiguous, Paused, Request, Response, Retry
from alertbridge.simulate.elven import Elven
from alertbridge.simulate.exchange import Arrival, Content, Refused
from alertbridge.simulate.hivel import Hivel
from tests.simulation.loop import Life, VirtualLoop
from tests.simulation.surroundings import LoopClock

Said = Response | Retry | Ambiguous | Paused


@dataclass(eq=False)
class Sent:
    """One request on the wire: when it left, when it took effect, and what the daemon was told of it.

    `at` is when it left by the daemon's clock, as it would stand in the database.
    """

    number: int
    destination: str
    key: str
    action: str
    body: dict[str, Any]
    life: Life
    left: float
    at: int
    landed: list[float] = field(default_factory=list)
    told: str = ""  # "2xx", "no" or "" while it cannot know
    told_at: float | None = None

    @property
    def took_effect(self) -> bool:
        return bool(self.landed)


@dataclass(frozen=True, slots=True)
class Fate:
    """What becomes of one request. Seconds; None is never. `status` 0 is whatever the vendor says."""

    there: float | None
    back: float | None
    status: int = 0
    breaks: bool = False  # the connection, instead of an answer
    retry_after: float | None = None
    as_date: bool = False


@dataclass
class Vendor:
    """One destination's own truth. `weather` is set by the plan; It takes the `token`; `written` is what the daemon can read."""

    name: str
    seed: str
    loop: VirtualLoop
    clock: LoopClock
    tell: Callable[[str, str], None]
    landed: Callable[[Life], None]
    told: Callable[[Life], None]
    token: str
    written: str = ""
    weather: str = "fair"
    sent: list[Sent] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.elven = Elven(tokens=None, keep=100_000)
        self.hivel = Hivel(token=None, keep=100_000)
        self.pauses: list[tuple[Life, float, float]] = []

    def send(self, request: Request, life: Life, *, at: int) -> asyncio.Future[Said]:
        """A request has left the daemon."""
        content = Content.of(request.body)
        body = content.body
        key = body.get("external_aggregate_key") or body.get("provider_id")
        action = body.get("action", "record")
        sent = Sent(len(self.sent), self.name, key, action, body, life, self.loop.time(), at)
        self.sent.append(sent)
        fate = self._fate(sent)
        self.tell(self.name, f"> #{sent.number} {sent.action} {key} ({self.weather})")
        answer: asyncio.Future[Said] = self.loop.create_future()
        with self.loop.world():
            if fate.there is None:
                self.loop.call_later(fate.back or 0, self._back, sent, fate, None, answer)
            else:
                self.loop.call_later(fate.there, self._arrive, sent, fate, request, content, answer)
        return answer

    def state(self) -> dict[str, str]:
        """Of every key that Elven has heard of, whether it is alarmed or resolved."""
        return {key: one["state"] for key, one in self.elven.believed().items()}

    def _arrive(
        self, sent: Sent, fate: Fate, request: Request, content: Content, answer: asyncio.Future[Said]
    ) -> None:
        said: tuple[int, bytes] | None = None
        if fate.status < 300:
            said = self._judge(sent, request, content)
        self.landed(sent.life)  # the daemon may die of it
        if fate.back is not None:
            self.loop.call_later(fate.back, self._back, sent, fate, said, answer)

    def _judge(self, sent: Sent, request: Request, content: Content) -> tuple[int, bytes]:
        vendor: Any = self.elven if sent.action != "record" else self.hivel
        path = urlsplit(request.url).path
        headers = CIMultiDict(request.headers)
        if self.token not in (path.rsplit("/", 1)[-1], headers.get("X-API-Token")):
            return 401, b'{"message": "unknown token: ' + path.rsplit("/", 1)[-1].encode() + b'"}'
        if "poison" in sent.body.get("description", ""):
            return 422, b'{"message": "refused: ' + self.token.encode() + b'"}'
        arrival = Arrival(
            method="POST",
            path=path.partition(f"/{self.name}/")[2],
            query={},
            headers=headers,
            content_type=headers["Content-Type"],
            content=content,
        )
        judged = vendor.judge(arrival)
        if isinstance(judged, Refused):
            raise AssertionError(f"{self.name} has to refuse what the daemon sent: {judged.reason}")  # noqa: TRY004
        taken = vendor.take(judged, seq=sent.number, at=self.clock.now())
        sent.landed.append(self.loop.time())
        self.tell(self.name, f"  #{sent.number} takes effect{f': {taken.note}' if taken.note else ''}")
        return taken.reply.status, taken.reply.body

    def _back(
        self, sent: Sent, fate: Fate, said: tuple[int, bytes] | None, answer: asyncio.Future[Said]
    ) -> None:
        if answer.done() or not sent.life.alive:
            return
        result = self._answer(sent, fate, said)
        status = result.status if isinstance(result, Response) else 0
        sent.told = "2xx" if 200 <= status < 300 else "" if isinstance(result, Ambiguous) else "no"
        sent.told_at = self.loop.time()
        if status in (429, 503) and fate.retry_after is not None:
            self.pauses.append((sent.life, self.loop.time(), self.loop.time() + fate.retry_after))
        self.tell(self.name, f"< #{sent.number} {status or result.__class__.__name__}")
        answer.set_result(result)
        self.loop.call_later(fate.back or 0, self.told, sent.life)

    def _answer(self, sent: Sent, fate: Fate, said: tuple[int, bytes] | None) -> Said:
        if fate.breaks:
            if fate.there is None:
                return Retry("no connection: Connection refused")
            return Ambiguous("the connection broke before an answer: ServerDisconnectedError")
        status, body = said or (fate.status, b'{"message": "not now"}')
        headers = {"date": format_datetime(self.clock.now(), usegmt=True)}
        if fate.retry_after is not None:
            until = self.clock.now() + timedelta(seconds=fate.retry_after)
            written = format_datetime(until, usegmt=True) if fate.as_date else f"{fate.retry_after:g}"
            headers["retry-after"] = written
        return Response(status, headers, body, sent.life.clock.now())

    def _fate(self, sent: Sent) -> Fate:
        random = Random(f"{self.seed}/{self.name}/{sent.number}")
        there, back = random.uniform(0.005, 0.2), random.uniform(0.005, 0.2)
        hit = random.random() < 0.75
        pick = random.random()
        match self.weather if hit else "fair":
            case "failing":
                wait = random.choice((None, None, 5.0, 40.0))
                status = random.choice((500, 502, 503, 504))
                return Fate(there, back, status, retry_after=wait if status == 503 else None)
            case "limiting":
                wait = random.choice((None, 2.0, 15.0, 60.0, 120.0))
                return Fate(there, back, 429, retry_after=wait, as_date=pick < 0.3)
            case "refusing":
                return Fate(None, back, breaks=True)
            case "slow":
                return Fate(random.uniform(0.2, 4), random.uniform(0.2, 4))
            case "resetting":
                return Fate(there, back, 0 if pick < 0.5 else 599, breaks=True)
            case "hanging":
                return Fate(random.uniform(0.1, 6), None, 0 if pick < 0.5 else 599)
            case "late":
                return Fate(random.uniform(8, 120), None)
            case _:
                return Fate(there, back)
