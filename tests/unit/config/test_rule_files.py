"""Rule files as written, held against a reader of its own that tries one rule after the other."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import yaml
from hypothesis import given
from hypothesis import strategies as st

from alertbridge.config.compile import Compiler
from alertbridge.config.parse import parse
from alertbridge.config.rule_settings import RuleFile
from alertbridge.config.sends import TARGETS
from alertbridge.model import Alert, AlertStatus
from alertbridge.rules.rulebook import Rulebook
from alertbridge.rules.severity import SeverityWords
from alertbridge.rules.template import Vocabulary
from tests.unit.rules.samples import STARTED, alert

DESTINATIONS = {"elven": "elven", "hivel": "hivel"}
_VALUES = ["a", "b", "ab", "ä b", ""]
_PATTERNS = ["a", "a|b", "(a|b)?", "a.*", ".+", "[ab]+", "ä b|", "a|b|ab"]


@dataclass(frozen=True)
class Match:
    """A matcher, and the text that stands for it in the file."""

    place: str
    operator: str
    value: str
    text: str


# A condition: a matcher, or any, all, not, or a plain list, with what stands below.
When: TypeAlias = "Match | tuple[str, Sequence[When]]"


@st.composite
def matchers(draw: st.DrawFn) -> Match:
    place = draw(
        st.sampled_from(["team", "labels.team", "env", "annotations.team", "group.env", "source", "status"])
    )
    operator = draw(st.sampled_from(["=", "!=", "=~", "!~"]))
    words = ["firing", "resolved"] if place == "status" else _VALUES
    value = draw(st.sampled_from(_PATTERNS if "~" in operator else words))
    blank = draw(st.sampled_from(["", " "]))
    written = value if value.isalpha() and draw(st.booleans()) else f'"{value}"'
    return Match(place, operator, value, f"{place}{blank}{operator}{blank}{written}")


_WHENS: st.SearchStrategy[When] = st.recursive(
    matchers(),
    lambda inner: st.tuples(
        st.sampled_from(["any", "all", "not", "list"]), st.lists(inner, min_size=1, max_size=3)
    ),
    max_leaves=5,
)
_RULES = st.lists(
    st.fixed_dictionaries(
        {
            "when": st.none() | st.lists(_WHENS, max_size=3),
            "send": st.none() | st.sampled_from([["elven"], ["hivel"], ["elven", "hivel"]]),
            "continue": st.booleans(),
        }
    ),
    min_size=1,
    max_size=8,
)
_TEXTS = st.dictionaries(st.sampled_from(["team", "env"]), st.sampled_from(_VALUES))
_ALERTS = st.builds(
    alert, _TEXTS, _TEXTS, st.sampled_from(AlertStatus), _TEXTS, st.sampled_from(["a", "prod"])
)


def _written(when: When) -> Any:
    if isinstance(when, Match):
        return when.text
    kind, parts = when
    below = [_written(part) for part in parts]
    return below if kind == "list" else {kind: below}


def _file(rules: Sequence[Mapping[str, Any]], *, flow: bool) -> bytes:
    written = []
    for number, rule in enumerate(rules):
        one: dict[str, Any] = {"name": f"r{number}"}
        if rule["when"] is not None:
            one["when"] = [_written(when) for when in rule["when"]]
        one |= {"send": rule["send"]} if rule["send"] else {"drop": True}
        if rule["continue"]:
            one["continue"] = True
        written.append(one)
    return yaml.safe_dump({"rules": written}, default_flow_style=flow, allow_unicode=True).encode()


def _rulebook(content: bytes) -> Rulebook:
    document, problems = parse(content, file="rules.yaml", environ={}, begin="")
    assert document is not None
    compiler = Compiler(
        destinations=DESTINATIONS, severities=(), vocabulary=Vocabulary({}, SeverityWords({}))
    )
    rules = compiler.rules(document, RuleFile.model_validate(document.data).rules)
    assert not problems
    assert not compiler.problems
    targets = {name: TARGETS[kind] for name, kind in DESTINATIONS.items()}
    return Rulebook(rules=rules, severities={}, services={}, targets=targets, hash="")


def _held(place: str, said: Alert) -> str:
    match place.split("."):
        case ["source"]:
            return said.source
        case ["status"]:
            return "resolved" if said.ends_at else "firing"
        case ["annotations", name]:
            return said.annotations.get(name, "")
        case ["group", name]:
            return said.group.get(name, "")
        case parts:
            return said.labels.get(parts[-1], "")


def _holds(when: When, said: Alert) -> bool:
    if isinstance(when, Match):
        held = _held(when.place, said)
        met = bool(re.fullmatch(when.value, held)) if "~" in when.operator else held == when.value
        return met is not when.operator.startswith("!")
    kind, parts = when
    each = [_holds(part, said) for part in parts]
    return any(each) if kind == "any" else not all(each) if kind == "not" else all(each)


def _naive(rules: Sequence[Mapping[str, Any]], said: Alert) -> tuple[list[str], bool, list[str]]:
    """The rules that match, whether the alert is dropped, and where it goes, as the reference says it."""
    matched: list[str] = []
    told: list[str] = []
    for number, rule in enumerate(rules):
        if all(_holds(when, said) for when in rule["when"] or []):
            matched.append(f"r{number}")
            if not rule["send"]:
                return matched, not told, told
            told += [name for name in rule["send"] if name not in told]
            if not rule["continue"]:
                break
    return matched, False, told


@given(_RULES, st.sampled_from(["block", "flow"]), st.lists(_ALERTS, min_size=1, max_size=5))
def test_a_rule_file_means_what_a_naive_reader_makes_of_it(
    rules: list[dict[str, Any]], style: str, alerts: list[Alert]
) -> None:
    book = _rulebook(_file(rules, flow=style == "flow"))
    for said in alerts:
        plan = book.plan(said, at=STARTED)
        found = list(plan.rules), plan.dropped, [intent.destination for intent in plan.intents]
        assert found == _naive(rules, said)
