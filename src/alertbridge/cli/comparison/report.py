"""A comparison for people."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Final

import click

from alertbridge.cli.comparison.differences import Group, Kind
from alertbridge.cli.comparison.result import Comparison, Standing
from alertbridge.cli.comparison.sentences import number, rule_named, sentence
from alertbridge.cli.comparison.tally import Counted, Example
from alertbridge.cli.comparison.touched import OpenIncident, Rekeyed, Turn
from alertbridge.cli.printable import printable
from alertbridge.incidents.past import Place
from alertbridge.model import JSON, instant

_SHOWN_FIRST: Final = ("severity", "service", "instance")
_MOST_LABELS: Final = 4
_MOST_SHOWN: Final = 60  # characters of a value
_BEFORE: Final = 15  # characters before the place where two values part


def as_text(comparison: Comparison) -> str:
    """What was compared, what differs, what becomes of open incidents, and a summary."""
    return "\n".join(
        [
            *_opening(comparison),
            *(line for one in comparison.groups for line in _group(one)),
            *(_standing(comparison.standing) if comparison.standing else ()),
            *_closing(comparison),
        ]
    )


def _opening(comparison: Comparison) -> Iterator[str]:
    yield f"{comparison.current.file} -> {comparison.new.file}"
    what = f"{number(comparison.alerts, 'alert')} in {number(comparison.events, 'notification')}"
    since = comparison.since or comparison.oldest
    yield f"compared: {what}{f' since {instant(since)}' if since and comparison.standing else ''}"
    for notice in comparison.notices:
        yield click.style(f"notice: {printable(notice)}", fg="yellow")
    for source, unread in comparison.unread.items():
        said = f"{number(unread.events, 'notification')} from source {source} cannot be read"
        why = f"the first is {unread.example}: {unread.reason}"
        yield click.style(f"not compared: {printable(f'{said}; {why}')}", fg="yellow")
    if comparison.truncated:
        said = (
            f"{number(comparison.truncated, 'alert')} left out of notifications by their sender (max_alerts)"
        )
        yield click.style(f"not compared: {said}", fg="yellow")


def _group(one: Counted) -> Iterator[str]:
    yield f"  {click.style(printable(sentence(one)), bold=True)}"
    for example in one.examples:
        yield f"      {printable(_alert(example))}{_values(one.group, example)}"


def _values(group: Group, example: Example) -> str:
    match group.kind:
        case Kind.KEY | Kind.SERVICE | Kind.FIELD:
            before, after = _parting(_text(example.before), _text(example.after))
            return (
                f": {click.style(printable(before), fg='red')} -> {click.style(printable(after), fg='green')}"
            )
        case Kind.FAILURE:
            return f": {printable(_text(example.after))}"
        case _:
            return ""


def _text(value: JSON) -> str:
    if value is None:
        return "nothing"
    return f"'{value}'" if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=dict)


def _parting(before: str, after: str) -> tuple[str, str]:
    """Both, shortened so that the place where they part can be seen."""
    parting = next(
        (at for at, (one, other) in enumerate(zip(before, after, strict=False)) if one != other), 0
    )
    start = max(0, parting - _BEFORE) if max(len(before), len(after)) > _MOST_SHOWN else 0
    return _window(before, start), _window(after, start)


def _window(text: str, start: int) -> str:
    shown = text[start : start + _MOST_SHOWN]
    return f"{'…' if start else ''}{shown}{'…' if start + _MOST_SHOWN < len(text) else ''}"


def _alert(example: Example) -> str:
    labels = example.labels
    names = [name for name in _SHOWN_FIRST if name in labels]
    names += sorted(labels.keys() - {*_SHOWN_FIRST, "alertname"})
    shown = [f"{name}={_window(labels[name], 0)}" for name in names[:_MOST_LABELS]]
    shown += ["…"] if len(names) > _MOST_LABELS else []
    return f"{example.fingerprint} {labels.get('alertname', '(no alertname)')} {{{', '.join(shown)}}}"


def _standing(standing: Standing) -> Iterator[str]:
    for one in standing.stranded:
        word = "already stranded" if one.already else "STRANDED"
        colour = "yellow" if one.already else "red"
        for reason in one.reasons:
            yield f"  {click.style(word, fg=colour, bold=True)} {_incident(one.incident)}: {printable(reason)}"
    for name, count in standing.undelivered.items():
        said = f"{number(count, 'message')} to {name} not delivered, and {name} is gone"
        yield f"  {click.style('STRANDED', fg='red', bold=True)} {said}"
    for name, count in standing.undecided.items():
        said = f"{number(count, 'event')} from {name} not decided, and {name} is gone"
        yield f"  {click.style('STRANDED', fg='red', bold=True)} {said}"
    for moved in standing.rekeyed:
        word = "re-keyed" if moved.turn is not Turn.BESIDE else "joined by another"
        said = f"{_incident(moved.incident)}: {printable(_turn(moved))}"
        yield f"  {click.style(word, fg='yellow', bold=True)} {said}"
    for unknown in standing.unknown:
        whose = f"{unknown.alerts} of {number(len(unknown.incident.firing), 'alert')}"
        said = f"what was heard of {whose} is not stored any more, so nothing is concluded of that"
        yield f"  {click.style('unknown', fg='yellow', bold=True)} {_incident(unknown.incident)}: {said}"


def _incident(incident: OpenIncident) -> str:
    place = printable(f"{incident.destination} {incident.key}")
    about = f"rule {incident.rule}, {incident.severity}, open since {incident.opened_at}"
    return f"{click.style(place, bold=True)} ({printable(about)})"


def _turn(moved: Rekeyed) -> str:
    who = f"{moved.alerts} of {number(len(moved.incident.firing), 'alert')} that fire" + (
        "s" if len(moved.incident.firing) == 1 else ""
    )
    places = _places(moved.places)
    destination = moved.incident.destination
    match moved.turn:
        case Turn.REKEYED:
            return f"{who} would go to {places}; it closes as usual, others that go there open an incident beside it"
        case Turn.LEFT:
            why = (
                f"dropped by {rule_named(', '.join(moved.rules))}"
                if moved.dropped
                else rule_named(", ".join(moved.rules))
            )
            instead = f", but to {places}" if places else ""
            return f"{who} would no longer go to {destination} ({why}){instead}; it closes as usual"
        case Turn.BESIDE:
            return f"{who} would also go to {places}: an incident opens there when next they are heard"


def _places(places: tuple[Place, ...]) -> str:
    shown = [f"{destination} {key}" for destination, key in places[:_MOST_LABELS]]
    more = len(places) - len(shown)
    return ", ".join([*shown, *([f"{more} more"] if more else [])])


def _closing(comparison: Comparison) -> Iterator[str]:
    said = f"{comparison.changed:,} of {number(comparison.alerts, 'alert')} would change, {comparison.unchanged:,} stay as they are"
    yield click.style(said, fg="yellow" if comparison.changed else "green", bold=True)
    standing = comparison.standing
    if standing is None:
        yield "Open incidents were not looked at: only a running daemon knows them."
        return
    anew = sum(1 for one in standing.stranded if not one.already)
    messages, events = sum(standing.undelivered.values()), sum(standing.undecided.values())
    parts = [number(anew, "incident")] if anew or not (messages or events) else []
    parts += [number(messages, "message")] if messages else []
    parts += [number(events, "event")] if events else []
    said = f"{number(standing.open, 'open incident')}, {len(standing.rekeyed):,} of them re-keyed; {', '.join(parts)} stranded"
    yield click.style(said, fg="red" if standing.strands else "green", bold=True)
