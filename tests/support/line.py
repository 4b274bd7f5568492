"""The outbox of one destination, filled and emptied by hand; what is said is written `A1` and `R1`, of incident 1."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import count

from sqlalchemy import Connection

from alertbridge.model import Action, DeliveryState, Severity
from alertbridge.store import dispatch, lines, outbox, repeats
from alertbridge.store.dispatch import Claim, Result
from alertbridge.store.outbox import Posting
from alertbridge.store.store import Store
from tests.support.clock import NOON

SECOND = timedelta(seconds=1)
DELIVERED = Result(DeliveryState.DELIVERED, "delivered", None, None, 200)
REJECTED = Result(DeliveryState.DEAD, "rejected", "400: no", None, 400)


@dataclass
class Outbox:
    """Instants are seconds after noon."""

    store: Store
    collapse: bool = False
    landing: int = 0
    interval: int = 0
    destination: str = "elven"
    names: dict[str, str] = field(default_factory=dict)
    numbers: count[int] = field(default_factory=lambda: count(1))

    def posting(
        self,
        text: str,
        key: str,
        *,
        at: int,
        severity: Severity = Severity.HIGH,
        due: int | None = None,
        news: bool = True,
    ) -> Posting:
        identifier = f"D{next(self.numbers):06d}"
        action = Action.ALARMED if text[0] == "A" else Action.RESOLVED
        self.names[identifier] = text
        return Posting(
            id=identifier,
            incident=f"{key}-{text[1]}",
            destination=self.destination,
            key=key,
            action=action,
            rules_hash="abc",
            severity=severity,
            state=DeliveryState.PENDING,
            payload={"text": text},
            missing=(),
            due_at=moment(at if due is None else due),
            received_at=moment(at),
            news=news,
        )

    async def post(
        self,
        texts: str,
        key: str = "k",
        *,
        at: int = 0,
        severity: Severity = Severity.HIGH,
        due: int | None = None,
        news: bool = True,
    ) -> None:
        """Enter messages one after the other, and bring the line up to date after each, as deciding does."""

        def work(connection: Connection) -> None:
            for text in texts.split():
                entry = self.posting(text, key, at=at, severity=severity, due=due, news=news)
                outbox.post(connection, [entry], now=moment(at))
                lines.converge(connection, self.destination, [key], collapse=self.collapse, now=moment(at))

        await self.store.write(work)

    async def claim(self, *, at: int = 0, most: int = 100) -> list[Claim]:
        def work(connection: Connection) -> list[Claim]:
            return dispatch.claim(
                connection,
                self.destination,
                now=moment(at),
                most=most,
                key_interval=self.interval * SECOND,
                landing_time=self.landing * SECOND,
                collapse=self.collapse,
            )

        return await self.store.write(work)

    async def settle(self, claim: Claim, result: Result = DELIVERED, *, at: int = 0) -> bool:
        """As the courier does; true if it is to be said once more."""

        def work(connection: Connection) -> bool:
            settled = dispatch.settle(connection, claim, result, now=moment(at))
            delivered = settled and result.state is DeliveryState.DELIVERED
            landing = self.landing * SECOND
            return delivered and repeats.repeat(connection, claim, landing_time=landing, now=moment(at))

        return await self.store.write(work)

    async def send(self, *, at: int = 0, result: Result = DELIVERED) -> list[str]:
        """Take what is due, one after the other, and let it end so; what that was."""
        said = []
        while claims := await self.claim(at=at, most=1):
            said.append(self.name(claims[0]))
            await self.settle(claims[0], result, at=at)
            if result.state is DeliveryState.PENDING:
                break
        return said

    def name(self, claim: Claim) -> str:
        """What it says; `=R1` where that is said once more."""
        return self._name(claim.id)

    def _name(self, identifier: str) -> str:
        return "=" * identifier.endswith("-again") + self.names[identifier.removesuffix("-again")]

    async def waiting(self, key: str = "k") -> str:
        """What waits there, in order."""
        rows = await self.rows(
            f"SELECT id FROM deliveries WHERE state IN ('pending', 'sending') AND key = '{key}' ORDER BY seq"
        )
        return " ".join(self._name(str(row["id"])) for row in rows)

    async def rows(self, statement: str) -> list[dict[str, object]]:
        def query(connection: Connection) -> list[dict[str, object]]:
            return [dict(row) for row in connection.exec_driver_sql(statement).mappings()]

        return await self.store.read(query)


def failed(at: int) -> Result:
    return Result(DeliveryState.PENDING, "retry", "503", moment(at), 503)


def broke(at: int) -> Result:
    """The server broke, and may have acted before; to be tried again then."""
    return Result(DeliveryState.PENDING, "retry", "502", moment(at), 502)


def lost(at: int) -> Result:
    """No answer came; to be tried again then."""
    return Result(DeliveryState.PENDING, "ambiguous", "no answer within 10 s", moment(at))


def moment(at: int) -> datetime:
    return NOON + at * SECOND
