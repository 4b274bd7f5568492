"""What would become of a request body, told to people."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping

import click

from alertbridge.cli.printable import printable
from alertbridge.foresight import Fate, Foresight, Telling
from alertbridge.model import JSON, Action, Resend
from alertbridge.rules.condition import AnyOf, written
from alertbridge.rules.reason import Failure, Inactive, Verdict

_SHOWN_FIRST = ("alertname", "severity", "service")
_MOST_SHOWN = 80  # characters of a value that a rule was not satisfied with


def as_text(seen: Foresight) -> str:
    """For people."""
    lines = [
        line
        for number, fate in enumerate(seen.fates, 1)
        for line in _fate_text(fate, number, len(seen.fates))
    ]
    if not seen.fates:
        lines.append("The notification holds no alerts: nothing would happen.")
    if seen.truncated:
        lines.append(
            f"{seen.truncated} more were left out by its sender (max_alerts): nothing is concluded of them."
        )
    return "\n".join(lines).rstrip()


def _fate_text(fate: Fate, number: int, count: int) -> Iterator[str]:
    status = click.style(fate.alert.status.value, fg="red" if fate.alert.firing else "green")
    yield f"{click.style(f'alert {number} of {count}', bold=True)}: {status} {_labels(fate.alert.labels)}"
    yield f"  rule: {_rules(fate)}"
    yield from _reasons(fate.verdicts)
    for one in fate.tellings:
        yield from _telling_text(one)
    for sentence in fate.failures:
        said = f"a template failed and was passed over: {printable(sentence)}"
        yield click.style(f"  {said}", fg="yellow")
    yield ""


def _rules(fate: Fate) -> str:
    if fate.heartbeats:
        names = ", ".join(fate.heartbeats)
        return f"none is asked: it is a beat of the heartbeat {names}, and opens no incident"
    if not fate.rules:
        return "none matches, so it goes nowhere"
    names = ", ".join(fate.rules)
    if not fate.dropped and not fate.tellings:
        return f"{names}: it only sets values, and no other matches, so it goes nowhere"
    return f"{names}, which drops it on purpose" if fate.dropped else names


def _reasons(verdicts: tuple[Verdict, ...]) -> Iterator[str]:
    for verdict in verdicts:
        if verdict.matched:
            yield f"    {click.style('matches', fg='green')} {verdict.rule}{_what_is_set(verdict)}"
        elif isinstance(verdict.failure, Inactive):
            yield f"    no      {verdict.rule}: {_when_active(verdict.failure)}"
        elif verdict.failure is not None:
            yield f"    no      {verdict.rule}: {_why(verdict.failure)}"
            yield from _why_none(verdict.failure, 14)
    unreached = [verdict.rule for verdict in verdicts if verdict.matched is None]
    if unreached:
        yield f"    not reached: {', '.join(unreached)}"


def _what_is_set(verdict: Verdict) -> str:
    each = [
        f"removes {printable(subject)}"
        if value is None
        else f'sets {printable(subject)} = "{_shortened(value)}"'
        for subject, value in verdict.sets.items()
    ]
    return f": {', '.join(each)}" if each else ""


def _when_active(inactive: Inactive) -> str:
    return f"it is active {' or '.join(inactive.windows)}, and there it is {_now(inactive)}"


def _now(inactive: Inactive) -> str:
    """What the clocks of the windows show, each once."""
    return " or ".join(dict.fromkeys(inactive.windows.values()))


def _why(failure: Failure) -> str:
    if isinstance(failure.condition, AnyOf):
        return "none of these holds"
    return f"{printable(written(failure.condition))}, but the alert {_actual(failure.actual)}"


def _why_none(failure: Failure, by: int) -> Iterator[str]:
    for part in failure.parts:
        yield f"{' ' * by}- {_why(part)}"
        yield from _why_none(part, by + 2)


def _actual(actual: Mapping[str, str | None]) -> str:
    return " and ".join(
        f"has no {subject}" if held is None else f'has {subject} = "{_shortened(held)}"'
        for subject, held in ((printable(subject), held) for subject, held in actual.items())
    )


def _shortened(value: str) -> str:
    return printable(value if len(value) <= _MOST_SHOWN else f"{value[: _MOST_SHOWN - 1]}…")


def _telling_text(one: Telling) -> Iterator[str]:
    intent = one.intent
    yield f"  {click.style(intent.destination, bold=True)}: {one.action.value}{_when(one)}:"
    known = [f"key {intent.key}", f"severity {intent.severity.word}"]
    known += [f"service {intent.service}"] if intent.service else []
    if one.action is Action.ALARMED and intent.resend is not Resend.SEVERITY:
        known.append(f"resend {intent.resend.value}")
    yield f"    {printable(', '.join(known))}"
    yield indented(one.composed.payload, 4)
    if one.missing:
        held = f"held: missing {', '.join(one.missing)}"
        remedy = "say it in the rule, as a label or annotation, or under `services:`"
        yield click.style(f"    {held}; {remedy}", fg="yellow")


def _when(one: Telling) -> str:
    if one.later:
        return ", sent when it closes; known by now"
    return "" if one.action is Action.ALARMED else ", for the incident that this ends"


def indented(payload: Mapping[str, JSON], by: int) -> str:
    """The JSON of `payload` on lines of its own, `by` spaces in."""
    text = json.dumps(payload, indent=2, ensure_ascii=False, default=dict)
    return "\n".join(" " * by + printable(line) for line in text.split("\n"))


def _labels(labels: Mapping[str, str]) -> str:
    """The name of the alert, then what matters most, then the others."""
    name = labels.get("alertname", "(no alertname)")
    rest = [key for key in _SHOWN_FIRST[1:] if key in labels]
    rest += sorted(labels.keys() - set(_SHOWN_FIRST))
    return printable(f"{name} {{{', '.join(f'{key}={labels[key]}' for key in rest)}}}")
