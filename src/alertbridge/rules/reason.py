"""Says why a rule does not match an alert: the first part of its condition that fails, and what the alert holds there."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from alertbridge.model import Alert
from alertbridge.rules.condition import All, AnyOf, Condition, Not
from alertbridge.rules.matcher import Matcher
from alertbridge.rules.rulebook import Rule


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
class Verdict:
    """What a rule makes of an alert; `matched` is None where an earlier rule has decided already."""

    rule: str
    matched: bool | None
    failure: Failure | None = None


def verdicts(rules: Iterable[Rule], alert: Alert) -> tuple[Verdict, ...]:
    """What each rule makes of the alert, in the order in which they are tried."""
    found: list[Verdict] = []
    decided = False
    for rule in rules:
        if decided:
            found.append(Verdict(rule.name, None))
            continue
        failure = why_not(rule.when, alert)
        found.append(Verdict(rule.name, failure is None, failure))
        decided = failure is None and rule.ends
    return tuple(found)


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
