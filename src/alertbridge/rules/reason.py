"""Says why a rule does not match an alert: the first part of its condition that fails, or the time.

An alert is looked at as the rule sees it, with all that earlier rules have set.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime

from alertbridge.model import Alert
from alertbridge.rules.condition import All, AnyOf, Condition, Not
from alertbridge.rules.matcher import Matcher
from alertbridge.rules.rulebook import Rule, Rulebook


@dataclass(frozen=True, slots=True)
class Failure:
    """A part of a condition that does not hold: a matcher, an `any` of which nothing holds, or a `not`.

    `actual` is what the alert holds wherever that part looks, None for what it lacks. `parts` says of an `any`
    why each of its alternatives fails.
    """

    condition: Condition
    actual: Mapping[str, str | None]
    parts: tuple[Failure, ...] = ()


@dataclass(frozen=True, slots=True)
class Inactive:
    """The condition holds, and none of the rule's `windows` does: by window as it is written, what its clock showed."""

    windows: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a rule makes of an alert; `matched` is None where an earlier rule has decided already.

    `sets` are the labels and annotations that the rule gave other values, such as `labels.team`, None for those that
    it removed.
    """

    rule: str
    matched: bool | None
    failure: Failure | Inactive | None = None
    sets: Mapping[str, str | None] = field(default_factory=dict)


def verdicts(book: Rulebook, alert: Alert, *, at: datetime) -> tuple[Verdict, ...]:
    """What each rule makes of the alert as it was heard then, in the order in which they are tried."""
    matching = {rule.name: left for rule, left in book.matching(alert, at=at)}
    found: list[Verdict] = []
    decided = False
    for rule in book.asked_of(alert):
        if decided:
            found.append(Verdict(rule.name, None))
        elif rule.name in matching:
            found.append(Verdict(rule.name, matched=True, sets=_changes(alert, matching[rule.name])))
            alert, decided = matching[rule.name], rule.ends
        else:
            found.append(Verdict(rule.name, matched=False, failure=_reason(rule, alert, at)))
    return tuple(found)


def _reason(rule: Rule, alert: Alert, at: datetime) -> Failure | Inactive:
    return why_not(rule.when, alert) or Inactive(
        {window.written(): window.clock(at) for window in rule.active}
    )


def _changes(before: Alert, after: Alert) -> dict[str, str | None]:
    changes: dict[str, str | None] = {}
    for where in ("labels", "annotations"):
        old: Mapping[str, str] = getattr(before, where)
        new: Mapping[str, str] = getattr(after, where)
        if old is not new:
            changes |= {
                f"{where}.{name}": new.get(name) for name in {**old, **new} if old.get(name) != new.get(name)
            }
    return changes


def why_not(condition: Condition, alert: Alert) -> Failure | None:
    """The first part that the alert does not fulfil, or None if it fulfils the condition."""
    match condition:
        case All(parts):
            return next((failure for part in parts if (failure := why_not(part, alert))), None)
        case AnyOf(parts):
            failures: list[Failure] = []
            for part in parts:
                failure = why_not(part, alert)
                if failure is None:
                    return None
                failures.append(failure)
            return Failure(condition, _held(condition, alert), tuple(failures))
        case Not(part):
            return _why_not_not(part, alert)
        case Matcher():
            return None if condition.matches(alert) else Failure(condition, _held(condition, alert))


def _why_not_not(part: Condition, alert: Alert) -> Failure | None:
    """Why `not: part` fails, if it does; of an `any` within, the alternative that holds is to blame."""
    match part:
        case Not(inner):
            return why_not(inner, alert)
        case AnyOf(parts):
            return next((failure for one in parts if (failure := _why_not_not(one, alert))), None)
        case _:
            return Failure(Not(part), _held(part, alert)) if part.matches(alert) else None


def _held(condition: Condition, alert: Alert) -> dict[str, str | None]:
    return {matcher.subject: matcher.held(alert) for matcher in _matchers(condition)}


def _matchers(condition: Condition) -> Iterator[Matcher]:
    match condition:
        case Matcher():
            yield condition
        case Not(part):
            yield from _matchers(part)
        case All(parts) | AnyOf(parts):
            for part in parts:
                yield from _matchers(part)
