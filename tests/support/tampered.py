"""The daemon as it is, but for what the environment asks: `python -m tests.support.tampered serve …`.

KILL_AT=point:nth   SIGKILL at the nth passage of a named point, see `POINTS`
PRAGMAS=a=1,b=2     said on the writing connection after those of the store

Nothing of this is in the product: the few functions at which it may die are wrapped here, by name.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from itertools import count
from typing import Any

from sqlalchemy import Connection, Engine, event
from sqlalchemy.engine.interfaces import DBAPIConnection
from sqlalchemy.pool import ConnectionPoolEntry

import alertbridge.app
import alertbridge.store.engine
from alertbridge.cli.main import main
from alertbridge.deliver.report import Report
from alertbridge.deliver.transport import Transport
from alertbridge.store import dispatch, inbox, ledger, retention, writer

Passage = Callable[[], None]


def _before(owner: object, name: str) -> Callable[[Passage], None]:
    def wrap(passes: Passage) -> None:
        real = getattr(owner, name)

        def wrapped(*args: Any, **kwargs: Any) -> Any:
            passes()
            return real(*args, **kwargs)

        setattr(owner, name, wrapped)

    return wrap


def _after(owner: object, name: str) -> Callable[[Passage], None]:
    def wrap(passes: Passage) -> None:
        real = getattr(owner, name)

        def wrapped(*args: Any, **kwargs: Any) -> Any:
            result = real(*args, **kwargs)
            passes()
            return result

        setattr(owner, name, wrapped)

    return wrap


def _after_awaiting(owner: object, name: str) -> Callable[[Passage], None]:
    def wrap(passes: Passage) -> None:
        real = getattr(owner, name)

        async def wrapped(*args: Any, **kwargs: Any) -> Any:
            result = await real(*args, **kwargs)
            passes()
            return result

        setattr(owner, name, wrapped)

    return wrap


def _before_answers(passes: Passage) -> None:
    real = writer.Writer._tell

    def tell(self: writer.Writer, appends: list[Any], asks: list[Any], failure: Exception | None) -> None:
        if appends and failure is None:
            passes()
        real(self, appends, asks, failure)

    writer.Writer._tell = tell  # type: ignore[method-assign]


def _at_commit(passes: Passage) -> None:
    @event.listens_for(Engine, "commit")
    def commit(_connection: Connection) -> None:
        passes()


def _in_migration(passes: Passage) -> None:
    @event.listens_for(Engine, "before_cursor_execute")
    def execute(_connection: Any, _cursor: Any, statement: str, *_rest: Any) -> None:
        if statement.lstrip().upper().startswith("CREATE"):
            passes()


POINTS: dict[str, Callable[[Passage], None]] = {
    "event not yet written": _before(writer, "_insert"),
    "event committed, not answered": _before_answers,
    "before a commit": _at_commit,
    "in the middle of a decision": _after(ledger, "store"),
    "event marked as decided, not committed": _after(inbox, "mark"),
    "claimed, not committed": _after(dispatch, "claim"),
    "claimed, not sent": _before(Transport, "post"),
    "sent, not settled": _after_awaiting(Transport, "post"),
    "settled, not committed": _after(dispatch, "settle"),
    "settled": _before(Report, "settled"),
    "in a migration": _in_migration,
    "in recovery": _after(dispatch, "recover"),
    "recovered, not started": _after_awaiting(alertbridge.app, "recover"),
    "in retention": _after(retention, "remove"),
}


def die_at(asked: str) -> None:
    """Let this process kill itself at `point:nth`."""
    point, _, nth = asked.rpartition(":")
    passages = count(1)

    def passes() -> None:
        if next(passages) == int(nth):
            os.kill(os.getpid(), signal.SIGKILL)

    POINTS[point](passes)


def say(pragmas: list[str]) -> None:
    """Let the writing connection say these, too."""
    real = alertbridge.store.engine.writing_engine

    def writing_engine(*args: Any, **kwargs: Any) -> Engine:
        engine = real(*args, **kwargs)

        @event.listens_for(engine, "connect")
        def prepare(connection: DBAPIConnection, _entry: ConnectionPoolEntry) -> None:
            for pragma in pragmas:
                connection.cursor().execute(f"PRAGMA {pragma}")

        return engine

    alertbridge.store.engine.writing_engine = writing_engine


if __name__ == "__main__":
    if asked := os.environ.get("KILL_AT"):
        die_at(asked)
    if pragmas := os.environ.get("PRAGMAS"):
        say(pragmas.split(","))
    main()
