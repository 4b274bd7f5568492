"""START HERE: what happens to an alert between the request that brought it and the request that passes it on.

    receive      a request body is authenticated, parsed and committed to the inbox; only then comes the 202
    understand   body → alerts (sources), alert → what the rules want (rules)
    decide       what that changes in the incidents (incidents)
    render       the texts of every incident that opened, or may be announced again since they changed (rules)
    lay          a record that lacks the change it needs to a deployment (deployments)
    compose      the messages to be said about every incident that changed (destinations)
    store        changes and messages, and that the event is decided: in one transaction
    deliver      each destination's courier takes its messages from the outbox and sends them

`Decider` is the middle of it, from understand to store. It works through the inbox in the order of acceptance; the
deciding itself is pure, and nothing of it is seen by anyone before all of it is on disk.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from sqlalchemy import Connection

from alertbridge import __version__
from alertbridge.chronicle import Chronicle, Decision, Input
from alertbridge.clock import Clock, rest
from alertbridge.deliver.attribution import Attribution
from alertbridge.deliver.posting import Postings, alarms_differ
from alertbridge.deployments.choose import Sought
from alertbridge.deployments.deployment import Deployment
from alertbridge.destinations import Destination
from alertbridge.errors import AlertbridgeError, StoreBroken, StoreError
from alertbridge.incidents.decide import decide
from alertbridge.incidents.state import Announcement, Changes, Heard, Incident, State, merged
from alertbridge.model import Action, Alert, AlertId, Event, EventOutcome, Notification
from alertbridge.rules.heartbeat import SELF
from alertbridge.rules.rule_set import RuleSet
from alertbridge.rules.rulebook import Plan, Rulebook
from alertbridge.sources import Source
from alertbridge.sources.alertmanager import Alertmanager
from alertbridge.store import deployments, heartbeats, inbox, ledger, rule_sets
from alertbridge.store.inbox import Decided
from alertbridge.store.store import Store

_MOST_INPUTS = 500  # events and doubts
_MOST_BYTES = 8 * 1024 * 1024
_POSTPONED = timedelta(hours=1)
_MOST_AT_HAND = 1000  # events
_SMALL = 50  # alerts
_SMALL_BODY = 32 * 1024  # bytes
_CONCLUDED = Alertmanager()  # what reads an event that nobody sent, whatever its source is
_IDLE = timedelta(seconds=30)
_AGAIN = timedelta(seconds=1)
_BREATH = timedelta(milliseconds=20)  # between batches, so that requests come first
_FEW = 16  # events and doubts
_LONG_BREATH = timedelta(milliseconds=100)  # under load: a batch costs as much as dozens of its events


@dataclass(frozen=True, slots=True)
class Feed:
    """A configured source, as far as deciding goes."""

    parser: Source
    stale_window: timedelta


_NOTHING = Plan((), dropped=False, intents=(), failures={})
_OWN_FEED = Feed(Alertmanager(), timedelta(0))


@dataclass(frozen=True, slots=True)
class Bridge:
    """What the configuration says about deciding: replaced whole, so that no event meets half of two.

    `rule_set` is the record of it all that is kept, under the hash of the rulebook. `attribution` says which
    deployment a record is laid to that lacks the change.
    """

    feeds: Mapping[str, Feed]
    rulebook: Rulebook
    rule_set: RuleSet
    destinations: Mapping[str, Destination]
    collapsing: frozenset[str] = frozenset()
    attribution: Attribution = field(default_factory=Attribution)

    def feed(self, source: str) -> Feed | None:
        """The source of this name, be it alertbridge itself; None if it is not configured."""
        return _OWN_FEED if source == SELF else self.feeds.get(source)


class Decider:
    """Turns accepted events into incidents and deliveries.

    `posted` is told when there is something to send, `decided` of every batch that is on disk, `worked_off` of the events
    that need not be decided any more.
    """

    def __init__(
        self,
        *,
        store: Store,
        bridge: Bridge,
        clock: Clock,
        new_id: Callable[[], str],
        chronicle: Chronicle,
        posted: Callable[[], None],
        beat: Callable[[Iterable[str], datetime], None] = lambda _names, _at: None,
        ended: Callable[[str, datetime], None] = lambda _name, _at: None,
        decided: Callable[[Sequence[Decision]], None] = lambda _decisions: None,
        worked_off: Callable[[Iterable[Event]], None] = lambda _events: None,
    ) -> None:
        self.bridge = bridge
        self._beat = beat
        self._ended = ended
        self._store = store
        self._clock = clock
        self._new_id = new_id
        self._chronicle = chronicle
        self._posted = posted
        self._tell = decided
        self._worked_off = worked_off
        self._wake = asyncio.Event()
        self._closing = False
        self._at_hand: dict[str, Event] = {}
        self._said: dict[str, Notification] = {}
        self._most = _MOST_INPUTS

    def expect(self, event: Event, said: Notification) -> None:
        """An event is about to be stored, and perhaps decided in the same transaction: keep what it says at hand."""
        small = len(said.alerts) <= _SMALL and len(event.body) <= _SMALL_BODY
        if small and len(self._at_hand) < _MOST_AT_HAND:
            self._at_hand[event.id] = event
            self._said[event.id] = said

    def forget(self, event: Event) -> None:
        """It could not be stored after all."""
        self._take(event)

    def wake(self) -> None:
        """Something was stored."""
        self._wake.set()

    def close(self) -> None:
        """Let `run` end when the work at hand is done."""
        self._closing = True
        self._wake.set()

    async def run(self) -> None:
        """Decide whatever is accepted, and whatever doubt runs out, until `close`. Raises StoreBroken."""
        while not self._closing:
            self._wake.clear()
            try:
                if decided := await self.run_once():
                    await self._clock.sleep(breath(decided, self._most))
                else:
                    await self._rest()
            except StoreBroken:
                raise
            except StoreError as error:  # a full disk may get room again
                self._chronicle.undecided(error)
                await self._clock.sleep(_AGAIN)

    async def run_once(self) -> int:
        """Decide one batch and return how many events and doubts it held.

        A batch that fails is tried again in smaller ones, until the one event or doubt that is to blame stands alone
        and is set aside.
        """
        try:
            decisions = await self._store.write(lambda connection: self._decide_batch(connection, self._most))
        except StoreError:
            raise
        except Exception as error:  # noqa: BLE001 - one bad event must not stop the others
            if self._most > 1:
                self._most = max(1, self._most // 4)
                return 1
            return await self._set_aside(error)
        self._most = min(_MOST_INPUTS, self._most * 4)
        self._report(decisions)
        return len(decisions)

    async def _rest(self) -> None:
        due = await self._store.read(ledger.next_doubt)
        span = _IDLE if due is None else min(_IDLE, max(timedelta(0), due - self._clock.now()))
        await rest(self._clock, span, until=self._wake)

    def _take(self, event: Event) -> Notification | None:
        self._at_hand.pop(event.id, None)
        return self._said.pop(event.id, None)

    def _decide_batch(self, connection: Connection, most: int) -> list[Decision]:
        """Everything from understand to store, in the transaction of `connection`."""
        bridge, now = self.bridge, self._clock.now()
        events = inbox.undecided(connection, most=most, most_bytes=_MOST_BYTES, at_hand=self._at_hand)
        doubted = ledger.due_doubts(connection, now=_heard_until(events, now), most=most)
        events = events[: most - len(doubted)]
        inputs = [second_thought(bridge, alert, at=now) for alert in doubted]
        inputs += [understand(bridge, event, self._take(event)) for event in events]
        if not inputs:
            return []
        inputs = self._keep_vigil(connection, bridge, inputs, now)
        rule_sets.keep_if_unknown(connection, bridge.rule_set, version=__version__, now=now)
        state = recall(connection, inputs, now)
        decisions: list[Decision] = []
        postings = Postings(
            destinations=bridge.destinations,
            collapsing=bridge.collapsing,
            rules_hash=bridge.rulebook.hash,
            new_id=self._new_id,
            now=now,
        )
        for item in inputs:
            heard_at = item.event.received_at if item.event else now
            changes = weigh(bridge, state, item, now=now, new_id=self._new_id)
            changes = lay(bridge, connection, render(bridge, changes, before=state, at=heard_at))
            state.absorb(changes)
            postings.add(changes, state, received_at=now if item.replayed else heard_at)
            decisions.append(Decision(item, changes))
        ledger.store(connection, merged(decision.changes for decision in decisions))
        postings.store(connection)
        inbox.mark(connection, [_decided(d, bridge) for d in decisions if d.input.event], now=now)
        return decisions

    def _keep_vigil(
        self, connection: Connection, bridge: Bridge, inputs: list[Input], now: datetime
    ) -> list[Input]:
        """The inputs with their resolves weighed: which are held, for what vouches for them was silent by then.

        Tells of every beat as soon as it is read, whatever becomes of this batch: its body is on disk.
        """
        if not bridge.rulebook.heartbeats:
            return inputs
        vigil = heartbeats.load_vigil(connection, bridge.rulebook.heartbeats)
        weighed = []
        for item in inputs:
            at = item.event.received_at if item.event else now
            if item.event and _is_beat(item):
                news = vigil.heed(item.heard, now=at, stale_window=item.stale_window)
                self._beat(news.beat, at)
                for name, ended in news.fell.items():
                    self._ended(name, ended)
            weighed.append(replace(item, heard=tuple(vigil.weigh(one, now=at) for one in item.heard)))
        heartbeats.keep_vigil(connection, vigil)
        return weighed

    async def _set_aside(self, error: Exception) -> int:
        """Put the one input that cannot be decided in front of an operator, with the reason; a doubt for an hour."""
        known = isinstance(error, AlertbridgeError)
        reason = str(error) if known else f"{type(error).__name__}: {error}"
        bridge, now = self.bridge, self._clock.now()

        def work(connection: Connection) -> list[Event] | AlertId:
            events = inbox.undecided(connection, most=1, most_bytes=_MOST_BYTES)
            due = _heard_until(events, now)
            doubted = ledger.postpone_doubt(connection, now=due, until=now + _POSTPONED)
            if doubted is not None:
                return doubted
            rule_sets.keep_if_unknown(connection, bridge.rule_set, version=__version__, now=now)
            named = bridge.rulebook.hash
            failed = [Decided(event.id, EventOutcome.FAILED, named, error=reason) for event in events]
            inbox.mark(connection, failed, now=now)
            return events

        blamed = await self._store.write(work)
        if isinstance(blamed, AlertId):
            self._chronicle.doubt_failed(blamed, reason, None if known else error)
            return 1
        self._worked_off(blamed)
        for event in blamed:
            self._chronicle.failed(event, reason, None if known else error)
        return len(blamed)

    def _report(self, decisions: list[Decision]) -> None:
        self._worked_off(decision.input.event for decision in decisions if decision.input.event)
        self._chronicle.decided(decisions)
        if any(decision.changes.announcements for decision in decisions):
            self._posted()
        self._tell(decisions)


def read(feed: Feed, event: Event) -> Notification:
    """What the body of an event says. Raises MalformedBody."""
    if not (event.inferred or event.adopted or event.by_hand):
        return feed.parser.parse(event.body, source=event.source, received_at=event.received_at)
    said = _CONCLUDED.parse(event.body, source=event.source, received_at=event.received_at)
    inferred, by_hand = event.inferred != "", event.by_hand != ""
    return replace(
        said, alerts=tuple(replace(alert, inferred=inferred, by_hand=by_hand) for alert in said.alerts)
    )


def breath(decided: int, most: int) -> timedelta:
    """How long to wait for more: not long while it is calm, nor when there was more than one batch could hold."""
    return _LONG_BREATH if _FEW <= decided < most else _BREATH


def understand(bridge: Bridge, event: Event, said: Notification | None = None) -> Input:
    """What an event says (if it was not read before), and what the rules want for each of its alerts.

    What was adopted is doubted by nobody: the source itself was asked.
    Raises MalformedBody if it cannot be read and AlertbridgeError if its source is no longer configured.
    """
    feed = bridge.feed(event.source)
    if feed is None and (event.by_hand or event.inferred or event.adopted):  # nobody there has to read it
        feed = _OWN_FEED
    if feed is None:
        raise AlertbridgeError(
            f"source {event.source} is no longer configured; add it again to decide this event"
        )
    if said is None:
        said = read(feed, event)
    heard, failures = [], []
    for alert in said.alerts:
        plan = _plan(bridge, alert, event.received_at)
        heard.append(Heard(alert, plan.rules, plan.intents, plan.dropped, heartbeats=plan.heartbeats))
        failures += [(rule, name, sentence) for (rule, name), sentence in plan.failures.items()]
    window = timedelta(0) if event.adopted else feed.stale_window
    return Input(event, tuple(heard), said.truncated, window, tuple(failures), said.receiver)


def weigh(bridge: Bridge, state: State, item: Input, *, now: datetime, new_id: Callable[[], str]) -> Changes:
    """What an input changes in `state`, which is left as it is; nothing is rendered yet."""
    heard_at = item.event.received_at if item.event else now
    return decide(
        state,
        item.heard,
        now=heard_at,
        stale_window=_window(item, heard_at, now),
        rules_hash=bridge.rulebook.hash,
        new_id=new_id,
        replayed=item.replayed,
    )


def render(bridge: Bridge, changes: Changes, *, before: State, at: datetime) -> Changes:
    """The same changes, with the content of every incident that opened, and with what is new of those to be retold.

    Only those whose content is new are left in `retold`; one is announced, unless it is already, where anything that is
    sent differs. `at` is when it all was heard.
    """
    if not changes.opened and not changes.retold:
        return changes
    incidents = dict(changes.incidents)
    for identifier, alert in changes.opened.items():
        opened = incidents[identifier]
        content = bridge.rulebook.render(alert, rule=opened.rule, destination=opened.destination, at=at)
        incidents[identifier] = replace(opened, content=content)
    announced = {announcement.incident for announcement in changes.announcements}
    announcements = list(changes.announcements)
    retold = {}
    for identifier, speaker in changes.retold.items():
        known = before.incidents[identifier]
        drafted = incidents.get(identifier, known)
        now = drafted if speaker is None else _rendered_anew(bridge.rulebook, drafted, speaker, at)
        if now.content != known.content:
            incidents[identifier] = now
            retold[identifier] = speaker
        if identifier not in announced and alarms_differ(bridge.destinations, known, now):
            announcements.append(Announcement(identifier, Action.ALARMED, now.severity))
    return replace(changes, incidents=incidents, retold=retold, announcements=tuple(announcements))


def lay(bridge: Bridge, connection: Connection, changes: Changes) -> Changes:
    """The same changes, with what a record lacks taken from the deployment that its incident is laid to."""
    max_age = bridge.attribution.policy.max_age

    def suspects(sought: Sought) -> list[Deployment]:
        return deployments.suspects(connection, sought, max_age=max_age)

    return bridge.attribution.lay(changes, destinations=bridge.destinations, suspects=suspects)


def _rendered_anew(rulebook: Rulebook, incident: Incident, alert: Alert, at: datetime) -> Incident:
    content = rulebook.render_anew(
        alert, rule=incident.rule, destination=incident.destination, before=incident.content, at=at
    )
    return replace(incident, content=content)


def second_thought(bridge: Bridge, alert: Alert, *, at: datetime) -> Input:
    """The input that a doubt is when it has run out: the alert, and what the rules want for it at that time."""
    plan = _plan(bridge, alert, at)
    heard = Heard(alert, plan.rules, plan.intents, plan.dropped, doubted=True, heartbeats=plan.heartbeats)
    return Input(None, (heard,), 0, timedelta(0), ())


def _plan(bridge: Bridge, alert: Alert, at: datetime) -> Plan:
    """What the rules want; nothing for one without labels, which goes where it is known to fire and nowhere else."""
    return _NOTHING if alert.unlabelled else bridge.rulebook.plan(alert, at=at)


def _heard_until(waiting: list[Event], now: datetime) -> datetime:
    """Until when everything accepted is heard; a doubt that ran out later waits, for a resolve may be among the rest."""
    return waiting[0].received_at if waiting else now


def _is_beat(item: Input) -> bool:
    """Whether it was heard now, from a source: what is concluded or decided once more proves no life."""
    return item.event is not None and not (item.event.inferred or item.event.replay_of)


def _window(item: Input, heard_at: datetime, now: datetime) -> timedelta:
    """How long a doubt may last from `heard_at` on; what is decided once more is doubted from now on."""
    since = now - heard_at if item.replayed and item.stale_window else timedelta(0)
    return item.stale_window + since


def recall(connection: Connection, inputs: Sequence[Input], now: datetime) -> State:
    """All that is remembered that these inputs can touch."""
    heard = [one for item in inputs for one in item.heard]
    return ledger.load(
        connection,
        alert_ids=(one.alert.id for one in heard),
        places=((intent.destination, intent.key) for one in heard for intent in one.intents),
        now=now,
        past=any(item.replayed for item in inputs),
    )


def _decided(decision: Decision, bridge: Bridge) -> Decided:
    assert decision.input.event is not None
    return Decided(
        decision.input.event.id,
        EventOutcome.DECIDED,
        bridge.rulebook.hash,
        decision.input.truncated,
        tuple(inbox.told(verdict) for verdict in decision.changes.verdicts),
    )
