from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime
from itertools import product
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from alertbridge.model import Alert, AlertStatus
from alertbridge.rules.rulebook import Rule
from alertbridge.rules.shadow import Shadow, shadowed
from alertbridge.rules.window import WHOLE_DAY, Window
from tests.unit.rules.samples import alert, enrichment, rule


def found(*rules: Rule) -> dict[str, tuple[str, ...]]:
    return {shadow.rule: shadow.by for shadow in shadowed(rules)}


@pytest.mark.parametrize(
    ("earlier", "later"),
    [
        ([], ["team = payments"]),
        ([], []),
        (["team = payments"], ["team = payments", "env = dev"]),
        (["team != payments"], ["team = infra"]),
        (["team =~ payments|infra"], ["team = infra"]),
        (["team =~ a|b|c|d"], ["team =~ a|b|c"]),
        (["team =~ a|b|c|d"], ["team =~ (a|c)b?", "team !~ .b"]),
        (["team =~ (a|b)[cd]"], ["team =~ ac|bd"]),
        (["team =~ pay.*"], ["team = payments"]),
        (["team =~ pay.*"], ["team =~ payments-.+"]),
        (["team =~ .*-eu"], ["team =~ pay.*-west-eu"]),
        (["team =~ .+"], ["team =~ pay.*"]),
        (["team =~ x[0-9]+y"], ["team =~ x[0-9]+y", "env = dev"]),
        (["team !~ pay.*"], ["team =~ web.*"]),
        (["team !~ x[0-9]+"], ["team !~ x[0-9]+", "env = dev"]),
        (['team = ""'], ["team !~ .+", 'team =~ ""']),
        (["annotations.summary = x"], ["annotations.summary = x"]),
        ([{"any": ["env = dev", "team = a"]}], ["team = a"]),
        ([{"any": ["env = dev", "team = a"]}], [{"any": ["team = a", ["env = dev", "severity = page"]]}]),
        ([{"not": {"all": ["env = dev", "team = a"]}}], ["env = prod"]),
        ([{"not": ["env = dev", "team = a"]}], [{"not": "team = a"}]),
        (["status != firing"], ["status = resolved"]),
    ],
)
def test_a_rule_whose_alerts_an_earlier_one_takes_is_shadowed(earlier: list[Any], later: list[Any]) -> None:
    assert found(rule("a", *earlier), rule("b", *later)) == {"b": ("a",)}


@pytest.mark.parametrize(
    ("earlier", "later"),
    [
        (["team = payments"], []),
        (["team = payments", "env = dev"], ["team = payments"]),
        (["team != payments"], ["team =~ payments|infra"]),
        (["team =~ a|b|c"], ["team =~ a|b|c|d"]),
        (["team =~ pay.*"], ["team =~ p.*"]),
        (["team =~ pay.+"], ["team =~ pay.*"]),
        (["team =~ .*"], []),  # a dot does not match the end of a line
        (["team =~ a.*"], ['team =~ "a\\n.*"']),
        (["team =~ x[0-9]+y"], ["team =~ x[0-8]+y"]),
        (["team =~ (?i)payments"], ["team =~ (?i)PAYMENTS|x"]),
        ([r"team =~ \bpay"], ["team =~ pay|ment"]),
        (["annotations.team = x"], ["team = x"]),
        ([{"any": ["env = dev", "team = a"]}], ["team =~ a|b"]),
        (["status = firing"], []),
    ],
)
def test_a_rule_that_some_alert_reaches_is_left_alone(earlier: list[Any], later: list[Any]) -> None:
    assert found(rule("a", *earlier), rule("b", *later)) == {}


def test_a_rule_that_drops_shadows_too() -> None:
    assert found(rule("a", "env = dev", drop=True), rule("b", "env = dev")) == {"b": ("a",)}


def test_a_rule_that_continues_shadows_nothing_unless_it_drops() -> None:
    assert found(rule("a", continues=True), rule("b"), rule("c")) == {"c": ("b",)}
    assert found(rule("a", drop=True, continues=True), rule("b")) == {"b": ("a",)}


SATURDAY, MONDAY = (Window(frozenset([day]), (WHOLE_DAY,), UTC) for day in (5, 0))


def test_a_rule_with_time_windows_shadows_nothing_and_is_shadowed() -> None:
    assert found(rule("a", active=(SATURDAY,)), rule("b", "team = a"), rule("c", "team = a")) == {"c": ("b",)}
    assert found(rule("a"), rule("b", active=(SATURDAY,))) == {"b": ("a",)}


def test_a_label_that_may_have_been_set_hides_no_rule_from_an_earlier_one() -> None:
    tag = rule("tag", "env = dev", send=(), sets=enrichment({"team": "web"}))
    before, after = rule("a", "team = web"), rule("b", "team = web")
    assert found(before, after) == {"b": ("a",)}
    assert found(before, tag, after) == {}
    assert found(tag, before, after) == {"b": ("a",)}
    assert found(before, tag, rule("b", "team = web, env = dev")) == {}
    assert found(rule("a", "env = dev"), tag) == {"tag": ("a",)}


def test_an_annotation_that_may_have_been_set_is_told_from_a_label() -> None:
    tag = rule("tag", send=(), sets=enrichment(annotations={"team": "web"}))
    assert found(rule("a", "team = web"), tag, rule("b", "team = web")) == {"b": ("a",)}
    noted = [rule(name, "annotations.team = web") for name in "ab"]
    assert found(noted[0], tag, noted[1]) == {}


def test_what_a_rule_sets_that_ends_the_search_is_not_seen_by_later_ones() -> None:
    taken = rule("taken", "env = dev", sets=enrichment({"team": "web"}))
    assert found(rule("a", "team = web"), taken, rule("b", "team = web")) == {"b": ("a",)}


def test_a_rule_that_sets_and_continues_shadows_nothing() -> None:
    tags = [rule("only", send=(), sets=enrichment({"x": "1"}))]
    tags.append(rule("sends too", continues=True, sets=enrichment({"x": "1"})))
    for tag in tags:
        assert found(tag, rule("b", "team = web"), rule("c")) == {}


def test_a_condition_on_a_label_that_was_set_can_still_contradict_itself() -> None:
    tag = rule("tag", send=(), sets=enrichment({"team": "web"}))
    wrong = rule("b", "team = a", "team = b")
    assert shadowed((tag, wrong)) == (Shadow("b", clash=wrong.when.parts),)


def test_several_rules_together_shadow_and_only_those_that_are_needed_are_named() -> None:
    rules = (
        rule("page", "severity =~ critical|page"),
        rule("web", "team = web"),
        rule("calm", "severity !~ critical|page|warning", drop=True),
        rule("warn", "severity = warning"),
        rule("rest"),
        rule("after", "team = x"),
    )
    assert shadowed(rules) == (
        Shadow("rest", ("page", "calm", "warn")),
        Shadow("after", ("page", "calm", "warn")),
    )


def test_of_rules_that_shadow_the_same_the_first_is_named() -> None:
    assert found(rule("a", "x = 1"), rule("b", "y = 2"), rule("c", "x = 1, y = 2")) == {"c": ("a",)}


@pytest.mark.parametrize(
    ("when", "clash"),
    [
        (["env = dev", "team = a", "team = b"], (1, 2)),
        (['team = ""', 'team =~ ".+"'], (0, 1)),
        (["team = a", "team != a"], (0, 1)),
        (["team = a", "team !~ .*"], (0, 1)),
        (["team =~ a.*", "team =~ b.*"], (0, 1)),
        (["team =~ a.*", "team = b"], (0, 1)),
        (["team !~ a.*", "team = ab"], (0, 1)),
        (["team !~ a.*", "team =~ ab.*"], (0, 1)),
        (["team =~ .*a", "team =~ .*b"], (0, 1)),
        (["team =~ a|b", "team =~ c|d"], (0, 1)),
        (["team =~ x[0-9]+", "team !~ x[0-9]+"], (0, 1)),
        (["status != firing", "status != resolved"], (0, 1)),
        ([{"all": ["team = a", {"not": "team = a"}]}], (0,)),
        ([{"any": ["team = a", "team = b"]}, "env = dev", "team !~ a|b"], (0, 2)),
        ([r"team =~ a\b(b|c)"], (0,)),
    ],
)
def test_a_condition_that_nothing_fulfils_is_named_with_what_clashes(
    when: list[Any], clash: tuple[int, ...]
) -> None:
    wrong = rule("b", *when)
    assert shadowed((wrong, rule("c"))) == (
        Shadow("b", clash=tuple(wrong.when.parts[index] for index in clash)),
    )


NAMES = ("a", "b", "c")
VALUES = ("", "x", "y", "xx", "other")  # what no text below names is `other`
_LITERAL = st.sampled_from(["", "x", "y", "xx"])
_ALTERNATION = st.lists(_LITERAL, min_size=1, max_size=3).map("|".join)
_OPEN = st.sampled_from(["x.*", ".+", ".*", "x+", "[xy]", "(x|y)?", "x(x)?", ".*y", "[^x]", "o.+r", "(?i)X"])


def _matchers(patterns: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    plain = st.tuples(st.sampled_from(["=", "!="]), _LITERAL)
    pattern = st.tuples(st.sampled_from(["=~", "!~"]), patterns)
    return st.builds(
        lambda name, test: f'{name} {test[0]} "{test[1]}"', st.sampled_from(NAMES), plain | pattern
    )


def _documents(patterns: st.SearchStrategy[str]) -> st.SearchStrategy[Any]:
    return st.recursive(
        _matchers(patterns),
        lambda inner: (
            st.lists(inner, min_size=1, max_size=3)
            | st.fixed_dictionaries({"any": st.lists(inner, min_size=1, max_size=3)})
            | st.fixed_dictionaries({"not": inner})
        ),
        max_leaves=5,
    )


_DRAWN = ("drop", "chance", "setting", "active")


def _rulesets(
    patterns: st.SearchStrategy[str],
    setting: st.SearchStrategy[dict[str, str]] = st.just({}),  # noqa: B008 - never changed
    windows: st.SearchStrategy[tuple[Window, ...]] = st.just(()),  # noqa: B008 - never changed
) -> st.SearchStrategy[tuple[Rule, ...]]:
    one = st.tuples(
        st.lists(_documents(patterns), max_size=2), st.booleans(), st.integers(0, 3), setting, windows
    )
    return st.lists(one, min_size=1, max_size=5).map(
        lambda many: tuple(
            _one_rule(str(index), each[0], **dict(zip(_DRAWN, each[1:], strict=True)))
            for index, each in enumerate(many)
        )
    )


def _one_rule(
    name: str,
    when: list[Any],
    *,
    drop: bool,
    chance: int,
    setting: dict[str, str],
    active: tuple[Window, ...],
) -> Rule:
    if not setting:
        return rule(name, *when, drop=drop, continues=chance == 0, active=active)
    send = () if chance < 2 else ("elven",)
    return rule(name, *when, send=send, continues=drop, sets=enrichment(setting), active=active)


_SETTING: st.SearchStrategy[dict[str, str]] = st.just({}) | st.dictionaries(
    st.sampled_from(NAMES), st.sampled_from(["", "x", "y", "{{ labels.a }}", "{{ labels.b }}"]), max_size=2
)
_WINDOWS = st.just(()) | st.sampled_from([(SATURDAY,), (MONDAY,), (SATURDAY, MONDAY)])
# Few values and many rules that set them, so that what one rule sets decides about another often enough.
_DENSE = st.lists(
    st.builds(
        lambda when, setting, active, chance: _one_rule(
            "",
            [when],
            drop=False,
            chance=chance,
            setting=setting,
            active=active,
        ),
        st.sampled_from(["a = x", "a != x", "b = x", "b != x"]),
        st.sampled_from([{}, {}, {"a": "x"}, {"a": ""}, {"a": "{{ labels.b }}"}]),
        st.sampled_from([(), (), (SATURDAY,)]),
        st.integers(1, 3),
    ),
    min_size=3,
    max_size=6,
).map(lambda rules: tuple(replace(each, name=str(index)) for index, each in enumerate(rules)))
_RICH = _DENSE | _rulesets(_ALTERNATION | _OPEN, _SETTING, _WINDOWS)


UNIVERSE = [
    alert({name: value for name, value in zip(NAMES, values, strict=True) if value}, status=status)
    for values in product(VALUES, repeat=len(NAMES))
    for status in AlertStatus
]


MOMENTS = {SATURDAY: datetime(2026, 11, 21, 12, tzinfo=UTC), MONDAY: datetime(2026, 11, 23, 12, tzinfo=UTC)}


def _reached(rules: tuple[Rule, ...]) -> set[str]:
    moments = MOMENTS if any(each.active for each in rules) else [SATURDAY]
    return {name for one in UNIVERSE for moment in moments for name in _way(rules, one, moment)}


def _way(rules: tuple[Rule, ...], one: Alert, moment: Window) -> set[str]:
    reached = set()
    for each in rules:
        if each.when.matches(one) and (not each.active or moment in each.active):
            reached.add(each.name)
            if each.drop or (each.send and not each.continues):
                break
            if each.sets:
                texts = {name: template.text for name, template in each.sets.labels.items()}
                one = replace(one, labels=_naively_set(one.labels, texts))
    return reached


def _naively_set(labels: Mapping[str, str], texts: Mapping[str, str]) -> dict[str, str]:
    values = {
        name: labels.get(text[10], "") if text.startswith("{{ labels.") else text
        for name, text in texts.items()
    }
    return {name: value for name, value in {**labels, **values}.items() if value}


@settings(max_examples=400, deadline=None)
@given(_RICH)
def test_no_rule_that_an_alert_reaches_is_ever_reported(rules: tuple[Rule, ...]) -> None:
    assert not _reached(rules) & set(found(*rules))


@settings(max_examples=200, deadline=None)
@given(_RICH, st.integers(0, 100))
def test_a_search_that_is_cut_short_reports_no_rule_wrongly(rules: tuple[Rule, ...], steps: int) -> None:
    assert not _reached(rules) & {shadow.rule for shadow in shadowed(rules, most_steps=steps)}


def test_the_work_is_bounded_and_what_it_leaves_open_is_not_reported() -> None:
    rules = tuple(
        rule(f"r{n}", f"name =~ x{n}[0-9]+", {"any": [f"team = t{n % 7}", f"env != e{n % 5}"]})
        for n in range(30)
    )
    assert shadowed((*rules, rule("late", "name =~ x0[0-9]+", "team = t0"))) == (Shadow("late", ("r0",)),)
    assert shadowed((*rules, rule("late", "name =~ x0[0-9]+", "team = t0")), most_steps=1000) == ()


def test_an_alert_fires_or_is_resolved() -> None:
    rules = (rule("on", "status = firing"), rule("off", "status = resolved"), rule("rest"))
    assert shadowed(rules) == (Shadow("rest", ("on", "off")),)


def test_the_work_suffices_for_a_thousand_rules() -> None:
    rules = [
        one
        for n in range(300)
        for one in (
            rule(f"page-{n}", "severity =~ critical|page", f"team = t{n}"),
            rule(f"dev-{n}", {"any": ["env = dev", "env = staging"]}, f"team = t{n}"),
            rule(f"web-{n}", "service =~ web-[a-z]+", {"not": "severity = info"}, f"team = t{n}"),
            *([rule(f"rack-{n}", f"rack =~ r{n}-[0-9]+", "env != dev")] if n % 5 == 0 else []),
        )
    ]
    late = rule("late", "env = dev, rack =~ r7-.+", "team = t299")
    assert shadowed((*rules, late)) == (Shadow("late", ("dev-299",)),)


@settings(max_examples=400, deadline=None)
@given(_rulesets(_ALTERNATION))
def test_among_fixed_texts_every_rule_that_nothing_reaches_is_reported(rules: tuple[Rule, ...]) -> None:
    assert set(found(*rules)) == {each.name for each in rules} - _reached(rules)


@settings(max_examples=200, deadline=None)
@given(_rulesets(_ALTERNATION | _OPEN))
def test_the_rules_that_are_named_do_shadow(rules: tuple[Rule, ...]) -> None:
    by_name = {each.name: each for each in rules}
    for name, by in found(*rules).items():
        takers = tuple(by_name[each] for each in by)
        assert name not in _reached((*takers, by_name[name]))
