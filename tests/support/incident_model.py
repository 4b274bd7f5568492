"""What a plain person with a pencil would believe of alerts and incidents, and say of them: the reference for `decide()`.

Nothing here comes from the deciding code. It keeps whole histories in plain lists and looks everything up in them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from alertbridge.model import Action, AlertId, Intent, Reporting, Resend, Severity


@dataclass(frozen=True)
class Word:
    """What a body says of one alert."""

    alert: AlertId
    start: datetime
    end: datetime | None  # None: it fires
    severity: Severity
    text: str


def place(wish: Intent) -> tuple[str, str]:
    return wish.destination, wish.key


@dataclass
class Person:
    """What is believed of one alert."""

    firing: bool = False
    ended: datetime | None = None  # the last end ever believed
    doubt: tuple[datetime, Word] | None = None
    held: tuple[datetime, Word] | None = None  # a resolve that was told in a silence


@dataclass
class Watchdog:
    """One of the alerts that always fire, as it was last heard."""

    start: datetime
    firing: bool = True
    ended: datetime | None = None


@dataclass
class Part:
    """One alert's part in one incident."""

    start: datetime
    severity: Severity
    firing: bool = True


@dataclass
class Span:
    """One incident, by the wish that opened it."""

    number: int
    wish: Intent
    opened: datetime
    severity: Severity
    peak: Severity
    text: str
    speaker: AlertId
    closed: datetime | None = None
    closed_now: bool = False  # in the batch at hand
    last_end: datetime | None = None
    parts: dict[AlertId, Part] = field(default_factory=dict)

    @property
    def place(self) -> tuple[str, str]:
        return place(self.wish)

    def firing(self) -> list[AlertId]:
        """Who fires here, those that do so longest first."""
        return sorted((a for a, p in self.parts.items() if p.firing), key=lambda a: (self.parts[a].start, a))


@dataclass(frozen=True)
class Said:
    """One message to a destination; `opened` and `closed` only where it is a record."""

    destination: str
    key: str
    action: Action
    severity: Severity
    text: str
    opened: datetime | None = None
    closed: datetime | None = None


def of_the_unknown(destination: str, key: str) -> Said:
    """A resolve of what was never announced: of several that wait one is said, and no matter in whose words."""
    return Said(destination, key, Action.RESOLVED, Severity.INFORMATIONAL, "of something unknown")


@dataclass(eq=False)
class _Unsent:
    """One message that waits: another is another, though it says the same."""

    span: Span | None  # None: a resolve of the unknown
    said: Said
    due: datetime


@dataclass
class Model:
    """Hears what the relay hears, and tells the destinations what they should be told."""

    wants: Callable[[AlertId], Sequence[Intent]]
    stale_window: Callable[[str], timedelta]
    collapsing: frozenset[str] = frozenset()
    beating: frozenset[AlertId] = frozenset()
    hold: timedelta = timedelta(0)
    watchdogs: dict[AlertId, Watchdog] = field(default_factory=dict)
    silent: bool = False
    returned: datetime | None = None
    people: dict[AlertId, Person] = field(default_factory=dict)
    spans: list[Span] = field(default_factory=list)
    unsent: list[_Unsent] = field(default_factory=list)
    told: dict[tuple[str, str], _Unsent] = field(default_factory=dict)  # the last word at each place
    reopened: int = 0
    _begun: set[int] = field(default_factory=set)  # open before the body at hand

    def doubts(self) -> dict[AlertId, datetime]:
        return {
            alert: waits[0] for alert, one in self.people.items() for waits in (one.doubt, one.held) if waits
        }

    def open(self) -> list[Span]:
        return [span for span in self.spans if span.closed is None]

    def forget(self) -> None:
        """Nothing is remembered of alerts that do not fire."""
        self.people = {alert: one for alert, one in self.people.items() if one.firing}

    def begin(self) -> None:
        """A batch begins."""
        for span in self.spans:
            span.closed_now = False

    def run_out(self, until: datetime, *, now: datetime) -> None:
        """Doubts whose time has come, the oldest first: they count, whenever that is decided."""
        due = sorted((moment, alert) for alert, moment in self.doubts().items() if moment <= until)
        for _, alert in due:
            person = self.people[alert]
            waits = person.doubt or person.held
            assert waits is not None
            person.doubt = person.held = None
            self.hear([waits[1]], received=now, now=now, certain=True)

    def miss(self) -> None:
        """No Watchdog was heard for too long."""
        for watchdog in self.watchdogs.values():
            watchdog.firing = False
        self.silent, self.returned = True, None

    def hear(self, body: Sequence[Word], *, received: datetime, now: datetime, certain: bool = False) -> None:
        """One body, received at one moment and decided at another."""
        self._watch([word for word in body if word.alert in self.beating], received)
        body = [word for word in body if word.alert not in self.beating]
        before = {
            span.number: (span.closed is None, span.peak, span.severity, span.text) for span in self.spans
        }
        touched: dict[int, Span] = {}
        self._begun = {span.number for span in self.open()}
        for word in body:
            if word.end is None:
                touched |= self._fires(word, received=received, now=now, certain=certain)
        passed_on: dict[tuple[str, str], Said] = {}
        for word in body:
            if word.end is not None:
                touched |= self._ends(word, word.end, passed_on, received)
        said = {word.alert: word.text for word in body if word.end is None}
        for number in sorted(touched):
            self._look(touched[number], before.get(number), said, now)
        self.unsent += [_Unsent(None, said_blindly, now) for said_blindly in passed_on.values()]

    def _watch(self, words: Sequence[Word], received: datetime) -> None:
        """They are silent when the last of them has ended, and back with the first that fires."""
        for word in [word for word in words if word.end is None]:
            known = self.watchdogs.get(word.alert)
            ended = known.ended if known and not known.firing else None
            window = self.stale_window(word.alert.source)
            if ended and word.start <= ended and received < ended + window:
                continue  # the other of a pair has not heard of the end yet
            if known is None or not known.firing:
                self.watchdogs[word.alert] = Watchdog(word.start, ended=known.ended if known else None)
            if self.silent:
                self.silent, self.returned = False, received
        for word in words:
            known = self.watchdogs.get(word.alert)
            if word.end is not None and known is not None and known.firing and known.start <= word.end:
                known.firing, known.ended = False, word.end
                if not any(one.firing for one in self.watchdogs.values()):
                    self.silent, self.returned = True, None

    def _held_until(self, alert: AlertId, end: datetime, received: datetime) -> datetime | None:
        """A resolve does not count in a silence, nor right after it if it is as old as that."""
        if all(one.source != alert.source for one in self.watchdogs):
            return None
        if self.silent:
            return received + self.hold
        back = self.returned
        return back + self.hold if back and end <= back and received < back + self.hold else None

    def _fires(self, word: Word, *, received: datetime, now: datetime, certain: bool) -> dict[int, Span]:
        person = self.people.get(word.alert)
        homes = [span for span in self.open() if span.number in self._begun and word.alert in span.parts]
        wishes = self.wants(word.alert)
        concerned = bool(homes or wishes)
        if person is None and not concerned:
            return {}
        window = self.stale_window(word.alert.source)
        if person is None:
            person = self.people[word.alert] = Person()
        elif (
            concerned
            and window
            and not certain
            and not person.firing
            and person.ended is not None
            and word.start <= person.ended
        ):
            person.doubt = person.doubt or (received + window, word)
            person.held = None
            return {}
        start = max(word.start, person.ended or word.start)
        moved = {span.wish.destination for span in homes if span.place not in map(place, wishes)}
        bound = moved | {span.wish.destination for span in homes if span.parts[word.alert].firing}
        person.firing, person.doubt, person.held = True, None, None
        for span in homes:
            wished = span.place in map(place, wishes)
            part = span.parts[word.alert]
            severity = word.severity if wished else part.severity
            span.parts[word.alert] = Part(part.start if part.firing else start, severity)
        entered = [
            self._enter(wish, word, start, received, now)
            for wish in wishes
            if wish.destination not in bound and all(span.place != place(wish) for span in homes)
        ]
        return {span.number: span for span in [*homes, *entered]}

    def _enter(self, wish: Intent, word: Word, start: datetime, received: datetime, now: datetime) -> Span:
        there = [span for span in self.spans if span.place == place(wish)]
        span = next((one for one in there if one.closed is None or self._again(one, received, now)), None)
        if span is None:
            span = Span(len(self.spans) + 1, wish, start, word.severity, word.severity, word.text, word.alert)
            self.spans.append(span)
        elif span.closed is not None:
            self.reopened += 1
        span.closed = None
        span.parts[word.alert] = Part(start, word.severity)
        return span

    def _again(self, span: Span, received: datetime, now: datetime) -> bool:
        """Whether it may open again: its window is not over, and was not when the batch began."""
        assert span.closed is not None
        until = span.closed + span.wish.reopen_window
        latest = received if span.closed_now else now
        return bool(span.wish.reopen_window) and latest < until

    def _ends(
        self, word: Word, end: datetime, passed_on: dict[tuple[str, str], Said], received: datetime
    ) -> dict[int, Span]:
        person = self.people.get(word.alert)
        fires = [s for s in self.open() if word.alert in s.parts and s.parts[word.alert].firing]
        left = [span for span in fires if span.parts[word.alert].start <= end]
        until = self._held_until(word.alert, end, received)
        if left and until is not None:
            person = self.people.setdefault(word.alert, Person())
            person.held = person.held or (until, word)
            person.firing, person.doubt = True, None
            return {}
        if person is not None:
            person.doubt = person.held = None
        for span in left:
            span.parts[word.alert].firing = False
            span.last_end = max(span.last_end or end, end)
        if left or (person is not None and person.firing and not fires):
            person = self.people.setdefault(word.alert, Person())
            person.firing, person.ended = False, max(end, person.ended or end)
        if person is not None:
            return {span.number: span for span in left}
        wishes = self.wants(word.alert)
        for wish in wishes:
            asked = wish.reporting is Reporting.LIFECYCLE and wish.send_unknown_resolved
            if asked and all(span.place != place(wish) for span in self.open()):
                said = of_the_unknown(*place(wish))
                passed_on.setdefault(place(wish), said)
        if wishes:
            self.people[word.alert] = Person(ended=end)
        return {}

    def _look(
        self,
        span: Span,
        before: tuple[bool, Severity, Severity, str] | None,
        said: dict[AlertId, str],
        now: datetime,
    ) -> None:
        """Once per body at each incident that was touched: what became of it, and who is to be told?"""
        was_open = before is not None and before[0]
        firing = span.firing()
        if not firing:
            self._close(span, now)
            return
        span.severity = max(span.parts[alert].severity for alert in firing)
        span.peak = max(span.peak, span.severity)
        span.opened = min(span.opened, *(span.parts[alert].start for alert in firing))
        resend = span.wish.resend
        if before is not None and resend is Resend.CHANGE:
            if span.speaker not in firing and firing[0] in said:
                span.speaker = firing[0]
            if span.speaker in firing and span.speaker in said:
                span.text = said[span.speaker]
        lifecycle = span.wish.reporting is Reporting.LIFECYCLE
        if not lifecycle:
            if not was_open:
                self._withdraw_record(span)
            return
        rises = before is not None and resend is Resend.SEVERITY and span.peak > before[1]
        differs = before is not None and resend is Resend.CHANGE and (span.severity, span.text) != before[2:]
        if not was_open or rises or differs:
            self._say(span, Action.ALARMED, span.severity, now)

    def _close(self, span: Span, now: datetime) -> None:
        assert span.last_end is not None
        span.closed, span.closed_now = max(span.opened, span.last_end), True
        if span.wish.reporting is Reporting.LIFECYCLE:
            self._say(span, Action.RESOLVED, span.severity, now)
        elif span.closed - span.opened >= span.wish.min_duration:
            self._say(span, Action.RECORD, span.peak, max(now, span.closed + span.wish.reopen_window))

    def _say(self, span: Span, action: Action, severity: Severity, due: datetime) -> None:
        times = (span.opened, span.closed) if action is Action.RECORD else (None, None)
        self.unsent.append(_Unsent(span, Said(*span.place, action, severity, span.text, *times), due))

    def _withdraw_record(self, span: Span) -> None:
        self.unsent = [one for one in self.unsent if one.span is not span]

    def deliver(self, now: datetime, *, down: Iterable[str] = ()) -> list[Said]:
        """Tell those destinations that are up all that is due and still worth saying, oldest first."""
        up = [one for one in self.unsent if one.due <= now and one.said.destination not in down]
        self.unsent = [one for one in self.unsent if one not in up]
        records = [one for one in up if one.said.action is Action.RECORD]
        lines: dict[tuple[str, str], list[_Unsent]] = {}
        for one in up:
            if one not in records:
                lines.setdefault((one.said.destination, one.said.key), []).append(one)
        sent = [*records, *(one for there, line in lines.items() for one in self._worth_saying(there, line))]
        for one in sent:
            self.told[one.said.destination, one.said.key] = one
        return [one.said for one in sent]

    def _worth_saying(self, there: tuple[str, str], line: list[_Unsent]) -> list[_Unsent]:
        """All that has gathered, looked at from its end: the destination need only come to believe that."""
        told = self.told.get(there)
        opened = told.span if told is not None and told.said.action is Action.ALARMED else None
        known = [one for one in line if one.span is not None]
        end = line[-1:] if opened is None else []
        if not known:
            return end
        last = known[-1]
        here = line[: line.index(last)]
        if last.said.action is Action.ALARMED:
            if told is not None and (told.span, told.said) == (last.span, last.said):
                return []
            return [*(_closing(here, opened) if opened is not last.span else []), last]
        alarms = [one for one in here if one.span is last.span and one.said.action is Action.ALARMED]
        if alarms and opened is not last.span:
            sent = _closing(here[: here.index(alarms[-1])], opened)
            if there[0] not in self.collapsing:
                sent = [*sent, alarms[-1], last]
        else:
            sent = _closing([*here, last], opened)
        unsure = [one for one in end if one.span is None and all(each.span is not None for each in sent)]
        return [*sent, *unsure]


def _closing(line: Sequence[_Unsent], opened: Span | None) -> list[_Unsent]:
    """The resolve of what is open there; where nothing is known to be, one of the unknown."""
    return [one for one in line if one.span is opened and one.said.action is Action.RESOLVED][-1:]
