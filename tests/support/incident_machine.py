"""The decider on a real database, beside the reference model: what one is told, the other is told, and both must agree.

The database is SQLite through the daemon's own engine and statements, in this thread and without syncs, so that many
thousand steps fit into a minute. A rulebook that is a plain table lets a reload change anything.
"""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, cast

import orjson
from sqlalchemy import Engine, insert

from alertbridge.destinations import Destination
from alertbridge.destinations.elven import Elven
from alertbridge.destinations.hivel import AuthHeader, Hivel
from alertbridge.identifiers import Ulids
from alertbridge.metrics import Metrics
from alertbridge.model import (
    Action,
    AlertId,
    Event,
    EventOutcome,
    Intent,
    Reporting,
    Secret,
    Severity,
    instant,
)
from alertbridge.pipeline import Bridge, Decider, Feed
from alertbridge.rules.rule_set import RuleSet
from alertbridge.rules.rulebook import Rulebook
from alertbridge.sources.alertmanager import Alertmanager
from alertbridge.store import engine, heartbeats, retention
from alertbridge.store.schema import events
from alertbridge.store.store import Store
from tests.support.clock import ManualClock
from tests.support.database import new_database
from tests.support.incident_model import Model, Said, Word, of_the_unknown
from tests.support.inline import Crash, Disagreement, InlineStore, PlainRules, QuietChronicle, Table, at_once

WINDOWS = {"prod": timedelta(seconds=90), "lab": timedelta(0)}
ALERTS = tuple(AlertId(source, name) for source in WINDOWS for name in ("a", "b", "c", "d"))
COLLAPSING = frozenset({"pager"})
REPORTING = {"elven": Reporting.LIFECYCLE, "pager": Reporting.LIFECYCLE, "hivel": Reporting.RECORD}
KEYS = ("one", "two", "three")
WATCHDOGS = (AlertId("prod", "w1"), AlertId("prod", "w2"))  # vouch for prod, and not for lab
HOLD = timedelta(seconds=100)


@dataclass
class Machine:
    """Whatever is done to it is done to the decider and to the model, and `agree` compares the two."""

    path: Path
    clock: ManualClock = field(default_factory=ManualClock)
    down: set[str] = field(default_factory=set)

    def __post_init__(self) -> None:
        self._table: Table = {}
        self._reloads = 0
        self._pending: list[tuple[datetime, list[Word]]] = []
        self.model = Model(
            self._wants, lambda source: WINDOWS[source], COLLAPSING, frozenset(WATCHDOGS), HOLD
        )
        self._new_id = Ulids(clock=self.clock)
        self._engine: Engine | None = None
        self._start()

    def _wants(self, alert: AlertId) -> Sequence[Intent]:
        return self._table.get(alert, ())

    # What may happen

    def wait(self, span: timedelta) -> None:
        self.clock.advance(span)

    def reload(self, table: Table) -> None:
        """Other rules, from now on. What was accepted before is decided by them too."""
        self._table = table
        self._reloads += 1
        self._decider.bridge = self._bridge()

    def accept(self, body: Sequence[Word]) -> None:
        """A body is on disk, to be decided later."""
        event = Event(self._new_id(), body[0].alert.source, self.clock.now(), _body(body))
        with self._store.connection.begin():
            self._store.connection.execute(
                insert(events),
                {
                    "id": event.id,
                    "source": event.source,
                    "received_at": event.received_at,
                    "body": event.body,
                    "outcome": EventOutcome.RECEIVED.value,
                },
            )
        self._pending.append((event.received_at, list(body)))

    def decide(self) -> None:
        """All that is accepted, and all doubts that are due; then whoever is up is told, and both must agree."""
        now = self.clock.now()
        self.model.begin()
        self.model.run_out(self._pending[0][0] if self._pending else now, now=now)
        for received, body in self._pending:
            self.model.hear(body, received=received, now=now)
        self.model.begin()
        self.model.run_out(now, now=now)
        self._pending = []
        while at_once(self._decider.run_once()):
            pass
        self.deliver()

    def miss(self) -> None:
        """No Watchdog was heard for too long."""
        self.model.miss()
        with self._store.connection.begin():
            heartbeats.miss(self._store.connection, "watchdog", since=self.clock.now())

    def forget(self) -> None:
        """Retention deletes what is known of alerts that ended before now; no doubt lives that long."""
        self.model.forget()
        later = self.clock.now() + timedelta(seconds=1)
        with self._store.connection.begin():
            for batch in retention.find(self._store.connection, retention.ALERTS, before=later):
                retention.remove(self._store.connection, retention.ALERTS, batch, before=later)

    def crash(self) -> None:
        """Decide, and die before the commit."""
        self._store.crashing = True
        with suppress(Crash):
            at_once(self._decider.run_once())
        self.restart()

    def restart(self) -> None:
        """Nothing is left but the file."""
        self.close()
        self._start()

    def close(self) -> None:
        assert self._engine is not None
        self._store.connection.close()
        self._engine.dispose()

    def deliver(self) -> None:
        """Every destination that is up takes what is due; it must be what the model says."""
        expected = self.model.deliver(self.clock.now(), down=self.down)
        _same("told", _by_place(expected), _by_place(self._take()))
        self.agree()

    # What is compared

    def agree(self) -> None:
        """Open incidents and doubts, as both see them."""
        rows = self.rows("SELECT * FROM incidents WHERE closed_at IS NULL")
        firing: dict[str, list[AlertId]] = defaultdict(list)
        for row in self.rows(
            "SELECT incident, source, fingerprint FROM members JOIN incidents ON id = incident "
            "WHERE closed_at IS NULL AND firing"
        ):
            firing[row["incident"]].append(AlertId(row["source"], row["fingerprint"]))
        actual = {
            (row["destination"], row["key"]): (
                _moment(row["opened_at"]),
                row["severity"],
                row["peak"],
                row["content"] and json.loads(row["content"])["fields"]["title"],
                sorted(firing[row["id"]]),
            )
            for row in rows
        }
        expected = {
            span.place: (span.opened, span.severity, span.peak, span.text, sorted(span.firing()))
            for span in self.model.open()
        }
        _same("open incidents", expected, actual)
        doubts = {
            AlertId(row["source"], row["fingerprint"]): _moment(row["due_at"])
            for row in self.rows("SELECT source, fingerprint, due_at FROM doubts")
        }
        _same("doubts", self.model.doubts(), doubts)

    def closed(self) -> None:
        """Every incident that is over, as both see it."""
        expected = Counter(
            (*span.place, span.opened, span.closed, int(span.peak))
            for span in self.model.spans
            if span.closed is not None
        )
        actual = Counter(
            (r["destination"], r["key"], _moment(r["opened_at"]), _moment(r["closed_at"]), r["peak"])
            for r in self.rows(
                "SELECT * FROM incidents WHERE closed_at IS NOT NULL AND (reporting = 'record' OR id IN "
                "(SELECT incident FROM deliveries WHERE action = 'alarmed'))"
            )
        )
        _same("closed incidents", expected, actual)

    def posted(self) -> int:
        """How many messages there ever were."""
        return int(self.rows("SELECT count(*) AS number FROM deliveries")[0]["number"])

    def rows(self, statement: str) -> list[dict[str, Any]]:
        with self._store.connection.begin():
            return [dict(row) for row in self._store.connection.exec_driver_sql(statement).mappings()]

    def _take(self) -> list[Said]:
        down = ", ".join(f"'{name}'" for name in self.down)
        now = _microseconds(self.clock.now())
        chosen = f"state = 'pending' AND next_attempt_at <= {now} AND destination NOT IN ({down})"
        announced = "EXISTS (SELECT 1 FROM deliveries a WHERE a.incident = deliveries.incident AND a.action = 'alarmed')"
        found = self.rows(f"SELECT *, {announced} AS announced FROM deliveries WHERE {chosen} ORDER BY seq")
        if found:
            with self._store.connection.begin():
                self._store.connection.exec_driver_sql(
                    "INSERT INTO attempts (delivery, number, destination, key, action, started_at, finished_at, outcome) "
                    f"SELECT id, 1, destination, key, action, {now}, {now}, 'delivered' FROM deliveries WHERE {chosen} "
                    "ORDER BY seq"
                )
                self._store.connection.exec_driver_sql(
                    "UPDATE deliveries SET state = 'delivered', attempts = attempts + 1, next_attempt_at = NULL, "
                    f"delivered_at = {now}, settled_at = {now} WHERE {chosen}"
                )
        return [_said(row) for row in found]

    def _start(self) -> None:
        self._engine = engine.writing_engine(new_database(self.path))
        connection = self._engine.connect()
        connection.connection.cursor().execute("PRAGMA synchronous=OFF")
        self._store = InlineStore(connection)
        self._decider = Decider(
            store=cast("Store", self._store),
            bridge=self._bridge(),
            clock=self.clock,
            new_id=self._new_id,
            chronicle=QuietChronicle(metrics=Metrics()),
            posted=lambda: None,
        )

    def _bridge(self) -> Bridge:
        rules = cast("Rulebook", PlainRules(self._table, self._reloads, beating=WATCHDOGS, hold=HOLD))
        hivel = Hivel(
            name="hivel",
            base_url="http://127.0.0.1:9",
            path="/",
            token=Secret("token"),
            auth_header=AuthHeader.BEARER,
        )
        elven: list[Destination] = [
            Elven(name=name, url=Secret("http://127.0.0.1:9/token")) for name in ("elven", "pager")
        ]
        return Bridge(
            {source: Feed(Alertmanager(), window) for source, window in WINDOWS.items()},
            rules,
            RuleSet((), "rules"),
            {one.name: one for one in (*elven, hivel)},
            COLLAPSING,
        )


def _body(words: Iterable[Word]) -> bytes:
    return orjson.dumps(
        {
            "alerts": [
                {
                    "status": "firing" if word.end is None else "resolved",
                    "labels": {"name": word.alert.fingerprint},
                    "annotations": {"severity": str(int(word.severity)), "text": word.text},
                    "startsAt": instant(word.start),
                    "endsAt": "0001-01-01T00:00:00Z" if word.end is None else instant(word.end),
                    "fingerprint": word.alert.fingerprint,
                }
                for word in words
            ]
        }
    )


def _said(row: Mapping[str, Any]) -> Said:
    payload = json.loads(row["payload"])
    action = Action(row["action"])
    record = action is Action.RECORD
    assert record or payload["external_aggregate_key"] == row["key"]
    assert record or payload["severity"] == Severity(row["severity"]).word
    if action is Action.RESOLVED and not row["announced"]:
        return of_the_unknown(row["destination"], row["key"])
    return Said(
        destination=row["destination"],
        key=row["key"],
        action=action,
        severity=Severity(row["severity"]),
        text=payload["description"],
        opened=datetime.fromisoformat(payload["reported_time"]) if record else None,
        closed=datetime.fromisoformat(payload["resolution_time"]) if record else None,
    )


def _by_place(said: Iterable[Said]) -> dict[tuple[str, str], list[Said]]:
    """What each key was told, in order; between keys there is none. Records of one key have none either."""
    found: dict[tuple[str, str], list[Said]] = defaultdict(list)
    for one in said:
        found[one.destination, one.key].append(one)
    return {
        place: sorted(several, key=repr) if several[0].action is Action.RECORD else several
        for place, several in found.items()
    }


def _same(what: str, expected: Mapping[Any, object], actual: Mapping[Any, object]) -> None:
    for one in sorted(expected.keys() | actual.keys()):
        if expected.get(one) != actual.get(one):
            raise Disagreement(
                f"{what} of {one}:\n  the model: {expected.get(one)}\n  the relay: {actual.get(one)}"
            )


def _moment(microseconds: int) -> datetime:
    return _EPOCH + timedelta(microseconds=microseconds)


def _microseconds(moment: datetime) -> int:
    return (moment - _EPOCH) // timedelta(microseconds=1)


_EPOCH = datetime.fromisoformat("1970-01-01T00:00:00+00:00")
