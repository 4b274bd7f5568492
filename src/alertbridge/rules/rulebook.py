"""The rules of one configuration: what they want for an alert, and what is said about it."""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from typing import TypeAlias

from alertbridge.errors import RenderingFailed
from alertbridge.model import Alert, Content, Field, Intent, Reporting, Resend, Severity
from alertbridge.rules import render
from alertbridge.rules.condition import All
from alertbridge.rules.enrichment import Enrichment
from alertbridge.rules.heartbeat import SELF, Heartbeat
from alertbridge.rules.index import RuleIndex
from alertbridge.rules.lookup import Table
from alertbridge.rules.severity import SeverityWords
from alertbridge.rules.subject import Subject
from alertbridge.rules.template import Template
from alertbridge.rules.window import Window

FieldTemplate: TypeAlias = render.FieldTemplate
Failures: TypeAlias = dict[tuple[str, str], str]

MAX_KEY = 255
_DIGEST = 32


@dataclass(frozen=True, slots=True)
class Send:
    """What a rule says about one destination; `unknown_resolved` is whether resolves of the unknown are sent."""

    fields: Mapping[str, FieldTemplate]
    severity: Template | None
    resend: Resend = Resend.SEVERITY
    unknown_resolved: bool = True


@dataclass(frozen=True, slots=True)
class Rule:
    """One mapping rule; `send` is by destination, in the order written. Without windows it is always `active`."""

    name: str
    when: All
    send: Mapping[str, Send]
    key: Template | None
    service: Template | None
    drop: bool
    continues: bool
    reopen_window: timedelta
    min_duration: timedelta
    sets: Enrichment | None = None
    active: tuple[Window, ...] = ()

    @property
    def settles(self) -> bool:
        """Whether this says what becomes of an alert; a rule that only sets leaves that to others."""
        return self.drop or bool(self.send)

    @property
    def ends(self) -> bool:
        """Whether later rules are not tried where this one matches."""
        return self.drop or (self.settles and not self.continues)

    def is_active(self, at: datetime) -> bool:
        """Whether one of its windows holds."""
        return not self.active or any(window.holds(at) for window in self.active)

    def matches(self, alert: Alert, at: datetime) -> bool:
        """Whether this is for the alert as it was heard then."""
        return self.when.matches(alert) and self.is_active(at)


@dataclass(frozen=True, slots=True)
class Target:
    """What a destination's type offers to the rules."""

    reporting: Reporting
    fields: tuple[Field, ...]


@dataclass(frozen=True, slots=True)
class Service:
    """What the catalogue knows of one service."""

    repo_url: str = ""
    pr_number: str = ""
    affected_systems: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Plan:
    """What the rules want for one alert.

    `rules` are the names of those that matched, in order, also of those that only set values. `failures` holds,
    by rule and field (`key`, `severity`, `service`, `set.labels.team`), a sentence for every template that failed.
    An alert that belongs to `heartbeats` is for them alone: no rule is asked.
    """

    rules: tuple[str, ...]
    dropped: bool
    intents: tuple[Intent, ...]
    failures: Mapping[tuple[str, str], str]
    heartbeats: tuple[str, ...] = ()


class Rulebook:
    """The rules with all that they refer to; `hash` names this state of the configuration.

    `own` are the rules for what alertbridge itself raises, which no other rule is asked for. Every destination that a rule sends to must be in `targets`. Raises TemplateError for a target's field
    whose default is no good template.
    """

    def __init__(
        self,
        *,
        rules: tuple[Rule, ...],
        severities: Mapping[str, Severity],
        services: Mapping[str, Service],
        targets: Mapping[str, Target],
        hash: str,  # noqa: A002 - the word used for it everywhere
        tables: Iterable[Table] = (),
        heartbeats: tuple[Heartbeat, ...] = (),
        own: tuple[Rule, ...] = (),
    ) -> None:
        self._rules = rules
        self._tables = {table.name: table for table in tables}
        self._index = RuleIndex([rule.when for rule in rules])
        self._hash = hash
        self._heartbeats = heartbeats
        self._own = own
        self._by_name = {rule.name: rule for rule in (*rules, *own)}
        self._words = SeverityWords(severities)
        self._reporting = {name: target.reporting for name, target in targets.items()}
        self._fields = {
            name: tuple(render.DefaultedField.compile(field) for field in target.fields)
            for name, target in targets.items()
        }
        self._catalogue: dict[str, render.Entry] = {
            name: dataclasses.asdict(service) for name, service in services.items()
        }

    @property
    def rules(self) -> tuple[Rule, ...]:
        """The rules in the order they are tried."""
        return self._rules

    @property
    def heartbeats(self) -> tuple[Heartbeat, ...]:
        """The heartbeats that are listened for."""
        return self._heartbeats

    @property
    def hash(self) -> str:
        """The name of this state of the configuration."""
        return self._hash

    def asked_of(self, alert: Alert) -> tuple[Rule, ...]:
        """The rules that may be for the alert: of what alertbridge itself raises, its own only."""
        return self._own if alert.source == SELF else self._rules

    def plan(self, alert: Alert, *, at: datetime) -> Plan:
        """Which rules match, and what they want at which destination; templates that fail never stop it.

        `at` is the instant at which the alert was heard.
        """
        heartbeats = tuple(one.name for one in self._heartbeats if one.is_beaten_by(alert))
        if heartbeats:
            return Plan((), dropped=False, intents=(), failures={}, heartbeats=heartbeats)
        matched: list[str] = []
        intents: dict[tuple[str, str], Intent] = {}
        failures: Failures = {}
        dropped = False
        for rule, subject in self._matching(alert, at, failures):
            matched.append(rule.name)
            if rule.drop:
                dropped = not intents
            else:
                for intent in self._intents(rule, subject, failures):
                    intents.setdefault((intent.destination, intent.key), intent)
        return Plan(tuple(matched), dropped, tuple(intents.values()), failures)

    def render(self, alert: Alert, *, rule: str, destination: str, at: datetime) -> Content:
        """What is said to the destination about the alert, as it was heard then and the rule sees it.

        A rule that does not exist any more, or does not send there any more, leaves the fields to what is
        looked up and to their defaults. Raises KeyError for an unknown destination.
        """
        subject = Subject(alert, self._tables)
        for matching, subject in self._matching(alert, at, {}):  # noqa: B007 - the last one counts
            if matching.name == rule:
                break
        known = self._by_name.get(rule)
        subject.service = _service(known, subject, {})
        send = known.send.get(destination) if known else None
        return render.render_content(
            self._fields[destination],
            templates=send.fields if send else {},
            subject=subject,
            entry=self._catalogue.get(subject.service, {}),
        )

    def render_anew(
        self, alert: Alert, *, rule: str, destination: str, before: Content, at: datetime
    ) -> Content:
        """What is said to the destination about the alert, now that `before` was said of its incident.

        It is `before` itself where the rule does not exist any more, or does not send there any more.
        """
        known = self._by_name.get(rule)
        if known is None or destination not in known.send:
            return before
        now = self.render(alert, rule=rule, destination=destination, at=at)
        return render.renewed(self._fields[destination], before=before, now=now)

    def matching(self, alert: Alert, *, at: datetime) -> Iterator[tuple[Rule, Alert]]:
        """The rules that match an alert heard then, in order, each with the alert as it leaves the rule."""
        return ((rule, subject.alert) for rule, subject in self._matching(alert, at, {}))

    def _matching(self, alert: Alert, at: datetime, failures: Failures) -> Iterator[tuple[Rule, Subject]]:
        """The rules that decide, up to the first that matches and ends the search, each with what it has set.

        This is the one place where rules are tried, so that planning, rendering and explaining cannot disagree.
        """
        subject = Subject(alert, self._tables)
        if alert.source == SELF:
            yield from ((rule, subject) for rule in self._own if rule.matches(alert, at))
            return
        positions = self._index.candidates(alert)
        while (position := next(positions, None)) is not None:
            rule = self._rules[position]
            if rule.matches(subject.alert, at):
                if rule.sets is not None:
                    service = partial(_service, rule, failures=failures)
                    subject = rule.sets.applied(subject, service=service, fail=partial(_note, failures, rule))
                    positions = self._index.candidates(subject.alert, position)
                yield rule, subject
                if rule.ends:
                    return

    def _intents(self, rule: Rule, subject: Subject, failures: Failures) -> Iterator[Intent]:
        subject.service = _service(rule, subject, failures)
        key = _key(rule, subject, failures)
        for destination, send in rule.send.items():
            yield Intent(
                destination=destination,
                reporting=self._reporting[destination],
                key=key,
                rule=rule.name,
                severity=self._severity(rule, send, subject, failures),
                service=subject.service,
                resend=send.resend,
                send_unknown_resolved=send.unknown_resolved,
                reopen_window=rule.reopen_window,
                min_duration=rule.min_duration,
            )

    def _severity(self, rule: Rule, send: Send, subject: Subject, failures: Failures) -> Severity:
        """The rule's word, else the label's, else moderate; a word that nobody explained is a failure."""
        for word in (
            _rendered(send.severity, rule, "severity", subject, failures),
            subject.alert.labels.get("severity", "").strip(),
        ):
            severity = self._words.meaning(word)
            if severity is not None:
                return severity
            if word:
                problem = f'"{word[:40]}" is no known severity; explain it under `severities:`'
                failures.setdefault((rule.name, "severity"), problem)
        return Severity.MODERATE


def _note(failures: Failures, rule: Rule, field: str, sentence: str) -> None:
    failures.setdefault((rule.name, field), sentence)


def _service(rule: Rule | None, subject: Subject, failures: Failures) -> str:
    """The service concerned: what the rule says, else the label of that name."""
    said = _rendered(rule.service, rule, "service", subject, failures) if rule else ""
    return said or subject.alert.labels.get("service", "")


def _key(rule: Rule, subject: Subject, failures: Failures) -> str:
    """The aggregate key, at most MAX_KEY characters; a longer one keeps its beginning and ends in its hash."""
    key = _rendered(rule.key, rule, "key", subject, failures)
    if not key:
        if rule.key is not None:
            failures.setdefault((rule.name, "key"), "the key is empty; the default key is used")
        key = f"{subject.alert.source}/{subject.alert.fingerprint}"
    if len(key) <= MAX_KEY:
        return key
    digest = hashlib.sha256(key.encode(errors="surrogatepass")).hexdigest()[:_DIGEST]
    return f"{key[: MAX_KEY - _DIGEST - 1]}-{digest}"


def _rendered(template: Template | None, rule: Rule, field: str, subject: Subject, failures: Failures) -> str:
    """What the template gives; empty where there is none, or where it failed, which is then noted."""
    if template is None:
        return ""
    try:
        return subject.text(template)
    except RenderingFailed as error:
        failures.setdefault((rule.name, field), str(error))
        return ""
