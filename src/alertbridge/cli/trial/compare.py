"""What was expected against what came: every difference, with its place."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from alertbridge.cli.trial.world import Said
from alertbridge.config.suggest import nearest
from alertbridge.config.trial_settings import TrialExpectation
from alertbridge.incidents.state import Heard
from alertbridge.model import Reporting

_HELD, _SKIPPED = "held", "skipped"
_ABSENT = object()


@dataclass(frozen=True, slots=True)
class Difference:
    """At `place`, such as `elven.severity`: both sides as text of one or more lines, and a `note` that helps."""

    place: str
    expected: str
    actual: str
    note: str = ""


def compare(
    expectation: TrialExpectation,
    *,
    heard: Sequence[Heard],
    said: Sequence[Said],
    reporting: Mapping[str, Reporting],
    setting: Collection[str] = (),
) -> Iterator[Difference]:
    """Every difference between `expectation` and the alerts heard and messages said; `reporting` is by destination.

    `setting` are the rules that only set values: an expectation may leave them out.
    """
    own = (expectation.rule, expectation.dropped, expectation.unmatched, expectation.heartbeat)
    if not heard and own != (None,) * len(own):
        yield Difference("rule", "an alert", "no alert is heard here")
    yield from _verdicts(expectation, heard, setting)
    for destination, expected in expectation.messages.items():
        actual = [one for one in said if one.destination == destination]
        if not any(_SKIPPED in each for each in expected):
            actual = [one for one in actual if not one.skipped]
        if len(actual) == len(expected):
            alone = len(expected) == 1
            for index, (one, other) in enumerate(zip(expected, actual, strict=True)):
                place = destination if alone else f"{destination}[{index}]"
                yield from _message(place, one, other)
        else:
            note = _hint(expected, heard, said, destination, reporting)
            yield Difference(destination, _many(expected), _many([_shown(one) for one in actual]), note)


def _verdicts(
    expectation: TrialExpectation, heard: Sequence[Heard], setting: Collection[str]
) -> Iterator[Difference]:
    found: dict[Difference, None] = {}
    for each in heard:
        if expectation.rule is not None:
            rules = tuple(name for name in each.rules if name not in setting or name in expectation.rule)
            if rules != expectation.rule:
                note = _because(each) if each.heartbeats else ""
                found[Difference("rule", _names(expectation.rule), _names(each.rules), note)] = None
        if expectation.dropped is not None and each.dropped is not expectation.dropped:
            found[Difference("dropped", _text(expectation.dropped), _text(each.dropped), _because(each))] = (
                None
            )
        if expectation.heartbeat is not None and each.heartbeats != expectation.heartbeat:
            wanted, beaten = ", ".join(expectation.heartbeat), ", ".join(each.heartbeats)
            found[Difference("heartbeat", wanted, beaten or "a beat of none", _because(each))] = None
        if expectation.unmatched is not None and each.unmatched is not expectation.unmatched:
            actual = _text(each.unmatched)
            found[Difference("unmatched", _text(expectation.unmatched), actual, _because(each))] = None
    yield from found


def _message(place: str, expected: Mapping[str, Any], actual: Said) -> Iterator[Difference]:
    held = list(expected.get(_HELD, []))
    if sorted(held) != sorted(actual.missing):
        yield Difference(f"{place}.{_HELD}", _text(held) if held else "not held", _missing(actual))
    if bool(expected.get(_SKIPPED, False)) is not bool(actual.skipped):
        yield Difference(
            f"{place}.{_SKIPPED}",
            _text(bool(expected.get(_SKIPPED))),
            _text(bool(actual.skipped)),
            actual.skipped,
        )
    payload = {name: value for name, value in expected.items() if name not in (_HELD, _SKIPPED)}
    yield from _within(place, payload, actual.payload)


def _within(place: str, expected: Any, actual: Any) -> Iterator[Difference]:
    """Mappings hold at least what is expected, lists exactly that, everything else is equal."""
    if isinstance(expected, Mapping):
        actual = _named(actual)
        if not isinstance(actual, Mapping):
            yield Difference(place, _text(expected), _text(actual))
            return
        for name, value in expected.items():
            there = actual.get(name, _ABSENT)
            if there is _ABSENT and value is not None:
                near = nearest(name, actual)
                note = f'did you mean "{near}"?' if near else f"there are: {', '.join(actual)}"
                yield Difference(f"{place}.{name}", _text(value), "absent", note)
            elif there is not _ABSENT:
                yield from _within(f"{place}.{name}", value, there)
    elif isinstance(expected, list) and isinstance(actual, list) and len(expected) == len(actual):
        for index, (one, other) in enumerate(zip(expected, actual, strict=True)):
            yield from _within(f"{place}[{index}]", one, other)
    elif not _equal(expected, actual):
        yield Difference(place, _text(expected), _text(actual))


def _named(actual: Any) -> Any:
    """Tags may be expected as a mapping, whichever way a destination writes them."""
    if isinstance(actual, list) and all(
        isinstance(each, Mapping) and each.keys() == {"name", "value"} for each in actual
    ):
        return {each["name"]: each["value"] for each in actual}
    return actual


def _equal(expected: Any, actual: Any) -> bool:
    """A number may be written for a text of digits, as YAML tempts to."""
    if isinstance(expected, int | float) and not isinstance(expected, bool) and isinstance(actual, str):
        return str(expected) == actual
    return type(expected) is type(actual) and bool(expected == actual)


def _hint(
    expected: list[dict[str, Any]],
    heard: Sequence[Heard],
    said: Sequence[Said],
    destination: str,
    reporting: Mapping[str, Reporting],
) -> str:
    here = [one for one in said if one.destination == destination]
    skipped = [one.skipped for one in here if one.skipped]
    if skipped and not any(_SKIPPED in each for each in expected):
        return f"skipped, never sent: {skipped[0]}"
    if here or not expected:
        return ""
    meant = any(intent.destination == destination for each in heard for intent in each.intents)
    if meant and reporting.get(destination) is Reporting.RECORD:
        return "a record is made when the incident closes: write a `sequence` that ends in `resolve: all`"
    return "" if meant or not heard else "no rule that matches sends there"


def _many(messages: Sequence[Mapping[str, Any]]) -> str:
    if not messages:
        return "nothing is sent"
    several = [_text(each) for each in messages]
    return several[0] if len(several) == 1 else "\n".join([f"{len(several)} messages", *several])


def _shown(said: Said) -> dict[str, Any]:
    """A message in few words: what tells it from others."""
    names = ("action", "external_aggregate_key", "severity", "description")
    shown = {name: said.payload[name] for name in names if name in said.payload}
    if "action" in shown:
        shown.pop("description", None)
    return (
        shown
        | ({_HELD: list(said.missing)} if said.missing else {})
        | ({_SKIPPED: True} if said.skipped else {})
    )


def _missing(actual: Said) -> str:
    return _text(list(actual.missing)) if actual.missing else "not held"


def _because(heard: Heard) -> str:
    if heard.heartbeats:
        return f"a beat of the heartbeat {', '.join(heard.heartbeats)}: no rule is asked"
    return f"matched: {_names(heard.rules)}"


def _names(rules: Sequence[str]) -> str:
    return ", ".join(rules) or "no rule matches"


def _text(value: Any) -> str:
    """A value as it would stand in the file, on one line."""
    match value:
        case Mapping():
            return "{" + ", ".join(f"{name}: {_text(each)}" for name, each in value.items()) + "}"
        case list() | tuple():
            return "[" + ", ".join(map(_text, value)) + "]"
        case bool() | None:
            return {True: "true", False: "false", None: "nothing"}[value]
        case _:
            return str(value)
