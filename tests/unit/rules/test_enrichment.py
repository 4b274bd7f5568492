"""What a rule sets is seen by later rules and by whatever is sent, and by nothing that says who the alert is."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from alertbridge.model import Alert, Intent, Severity
from alertbridge.rules.condition import All
from alertbridge.rules.lookup import Table
from alertbridge.rules.rulebook import Plan, Rule, Rulebook, Send, Service
from alertbridge.rules.window import WHOLE_DAY, Window
from tests.unit.rules.samples import CHECKOUT, STARTED, alert, enrichment, rule, rulebook, template

SATURDAY = Window(frozenset([5]), (WHOLE_DAY,), UTC)
MONDAY = datetime(2026, 11, 23, 12, tzinfo=UTC)
EVERYTHING = "{{ labels | tojson }} {{ annotations | tojson }} {{ service }}"


def tag(name: str = "tag", *when: object, labels: Mapping[str, str]) -> Rule:
    return rule(name, *when, send=(), sets=enrichment(labels))


def plan(*rules: Rule, labels: Mapping[str, str] | None = None) -> Plan:
    return rulebook(*rules).plan(alert(labels), at=STARTED)


def only(found: Plan) -> Intent:
    (intent,) = found.intents
    return intent


def test_later_rules_match_what_was_set() -> None:
    assert plan(tag(labels={"team": "web"}), rule("b", "team = web"), rule("c")).rules == ("tag", "b")
    assert plan(tag(labels={"team": ""}), rule("b", 'team = ""'), rule("c")).rules == ("tag", "b")
    note = rule("tag", send=(), sets=enrichment(annotations={"kind": "x"}))
    assert plan(note, rule("b", "annotations.kind = x")).rules == ("tag", "b")


def test_key_service_and_severity_are_made_of_what_was_set() -> None:
    send = {"elven": Send(fields={}, severity=template("{{ labels.urgency }}"))}
    intent = only(
        plan(
            tag(labels={"service": "search", "urgency": "low"}),
            rule("b", send=send, key="{{ service }}/{{ labels.team }}"),
        )
    )
    assert (intent.service, intent.key, intent.severity) == ("search", "search/payments", Severity.LOW)
    assert only(plan(tag(labels={"severity": "low"}), rule("b"))).severity is Severity.LOW


def test_a_rule_that_sets_and_sends_sees_what_it_sets_and_ends_the_search() -> None:
    found = plan(rule("a", sets=enrichment({"team": "web"}), key="{{ labels.team }}"), rule("b"))
    assert (found.rules, only(found).key) == (("a",), "web")


def test_a_rule_that_sets_and_sends_may_leave_the_alert_to_later_rules_with_what_it_set() -> None:
    found = plan(
        rule("a", sets=enrichment({"team": "web"}), continues=True, key="a-{{ labels.team }}"),
        rule("b", key="b-{{ labels.team }}"),
    )
    assert [intent.key for intent in found.intents] == ["a-web", "b-web"]


def test_who_the_alert_is_stays_as_it_was() -> None:
    assert only(plan(tag(labels=dict.fromkeys(CHECKOUT, "x")), rule("b"))).key == "prod/bdc4a5686971790d"
    said = alert()
    rulebook(tag(labels={"team": "web"}), rule("b")).plan(said, at=STARTED)
    assert said == alert()


def test_labels_are_made_of_the_alert_as_it_came_and_annotations_see_them() -> None:
    sets = enrichment(
        {"team": "{{ labels.job }}", "job": "{{ labels.team }}"},
        {"who": "{{ labels.team }}/{{ labels.job }}"},
    )
    send = {"elven": Send(fields={"title": template("{{ annotations.who }}")}, severity=None)}
    content = rulebook(rule("a", sets=sets, send=send)).render(
        alert(), rule="a", destination="elven", at=STARTED
    )
    assert content.fields["title"] == "demo/payments"


def test_rules_set_one_after_the_other() -> None:
    found = plan(
        tag("a", labels={"x": "1"}),
        tag("b", "x = 1", labels={"x": "{{ labels.x }}2", "y": "{{ service }}"}),
        tag("c", "x = 1", labels={"x": "never"}),
        rule("d", "x = 12", key="{{ labels.x }}{{ labels.y }}"),
    )
    assert (found.rules, only(found).key) == (("a", "b", "d"), "12checkout")


def test_the_service_of_the_rule_is_what_its_own_templates_see() -> None:
    first = rule("a", send=(), service="{{ labels.job }}", sets=enrichment({"x": "{{ service }}"}))
    assert only(plan(first, rule("b", key="{{ labels.x }}/{{ service }}"))).key == "demo/checkout"


def test_annotations_see_the_service_that_the_labels_now_say() -> None:
    sets = enrichment(
        {"service": "search", "was": "{{ service }}"}, {"now": "{{ labels.was }} {{ service }}"}
    )
    send = {"elven": Send(fields={"title": template("{{ annotations.now }}")}, severity=None)}
    content = rulebook(rule("a", sets=sets, send=send)).render(
        alert(), rule="a", destination="elven", at=STARTED
    )
    assert content.fields["title"] == "checkout search"


def test_a_template_that_fails_leaves_the_label_as_it_was_and_is_noted() -> None:
    found = plan(
        tag(labels={"team": "{{ 1 / 0 }}", "new": "{{ 1 / 0 }}", "job": "x"}),
        rule("b", 'new = ""', key="{{ labels.team }}{{ labels.job }}"),
    )
    assert only(found).key == "paymentsx"
    assert found.failures == {
        ("tag", "set.labels.team"): "the template failed: division by zero",
        ("tag", "set.labels.new"): "the template failed: division by zero",
    }


def test_a_value_is_looked_up_by_what_was_set_before() -> None:
    owners = Table("owners", "service", {"search": {"team": "find"}}, missing=None)
    looked_up = enrichment({"team": "{{ lookup.owners.team }}"}, columns={"owners": ("team",)})
    book = rulebook(
        rule("own", send=(), sets=looked_up),
        tag(labels={"service": "search"}),
        rule("own again", send=(), sets=looked_up),
        rule("b", key="{{ labels.team }}"),
        tables=(owners,),
    )
    found = book.plan(alert(), at=STARTED)
    assert only(found).key == "find"
    assert list(found.failures) == [("own", "set.labels.team")]


def test_an_alert_for_which_values_are_only_set_goes_nowhere() -> None:
    assert plan(tag(labels={"x": "1"}), rule("b", "x = 2")) == Plan(("tag",), False, (), {})  # noqa: FBT003


def test_a_rule_counts_only_within_its_windows() -> None:
    book = rulebook(
        rule("tag", send=(), sets=enrichment({"team": "web"}), active=(SATURDAY,)),
        rule("b", "team = web", active=(SATURDAY,)),
        rule("c"),
    )
    assert book.plan(alert(), at=STARTED).rules == ("tag", "b")
    assert book.plan(alert(), at=MONDAY).rules == ("c",)


@pytest.mark.parametrize(("at", "title"), [(STARTED, "web"), (MONDAY, "payments")])
def test_what_is_sent_is_rendered_of_what_was_set_when_the_alert_was_heard(at: datetime, title: str) -> None:
    send = {"elven": Send(fields={"title": template("{{ labels.team }}")}, severity=None)}
    book = rulebook(
        rule("tag", send=(), sets=enrichment({"team": "web"}), active=(SATURDAY,)),
        rule("b", send=send),
        tag("late", labels={"team": "never"}),
    )
    assert book.render(alert(), rule="b", destination="elven", at=at).fields["title"] == title


def test_what_is_looked_up_for_a_field_and_the_catalogue_entry_are_those_of_what_was_set() -> None:
    services = {"search": Service(affected_systems=("find", "index"))}
    book = rulebook(
        tag(labels={"service": "search", "repo_url": "https://set"}),
        rule("b", send=("hivel",)),
        services=services,
    )
    content = book.render(alert(), rule="b", destination="hivel", at=STARTED)
    assert content.fields == {"repo_url": "https://set", "affected_systems": ["find", "index"]}


_TEXTS = st.sampled_from(["x", "y", "", "{{ labels.a }}", "{{ labels.b }}!", "{{ 1 / 0 }}", "{{ service }}"])
_SETS = st.none() | st.builds(
    enrichment,
    st.dictionaries(st.sampled_from(["a", "b", "service"]), _TEXTS, max_size=2),
    st.dictionaries(st.sampled_from(["a", "b"]), _TEXTS, max_size=1),
)
_SENDING = {"elven": Send(fields={"title": template(EVERYTHING)}, severity=None)}


def _rule(
    index: int, when: list[str], sets: object, kind: str, active: tuple[Window, ...], service: str | None
) -> Rule:
    made = sets if kind != "drop" else None
    return rule(
        f"r{index}",
        *when,
        send={} if kind == "set" else _SENDING,
        key=f"r{index} {EVERYTHING}",
        service=service,
        drop=kind == "drop",
        continues=kind == "continue",
        sets=made,  # type: ignore[arg-type]
        active=active,
    )


_RULES = st.lists(
    st.tuples(
        st.lists(st.sampled_from(["a = x", "a != x", "b =~ .+", "annotations.a = x"]), max_size=1),
        _SETS,
        st.sampled_from(["send", "continue", "set", "set", "drop"]),
        st.sampled_from([(), (), (SATURDAY,)]),
        st.sampled_from([None, "{{ labels.a }}"]),
    ),
    max_size=6,
).map(lambda many: tuple(_rule(index, *each) for index, each in enumerate(many)))


def _sees(book: Rulebook, said: Alert, at: datetime) -> list[tuple[str, object]]:
    return [
        (intent.key, book.render(said, rule=intent.rule, destination="elven", at=at).fields["title"])
        for intent in book.plan(said, at=at).intents
    ]


@given(
    _RULES,
    st.sampled_from([{}, {"a": "x"}, {"b": "y", "service": "s"}]),
    st.sampled_from([STARTED, MONDAY]),
)
def test_what_is_rendered_is_what_was_planned(
    rules: tuple[Rule, ...], labels: dict[str, str], at: datetime
) -> None:
    for key, title in _sees(rulebook(*rules), alert(labels), at):
        assert key.partition(" ")[2] == title


_VALUES = st.sampled_from(["x", "y", ""])
_SETTING = st.builds(
    enrichment,
    st.dictionaries(st.sampled_from(["a", "b"]), _VALUES, min_size=1),
    st.dictionaries(st.just("a"), _VALUES),
)
_STEP = st.tuples(
    st.lists(st.sampled_from(["a = x", "a = y", 'b =~ "x|y"', "b != y", "annotations.a = y"]), max_size=1),
    _SETTING,
    st.sampled_from(["set", "set", "continue", "send", "drop"]),
    st.sampled_from([(), (), (SATURDAY,)]),
    st.none(),
)
_CHAIN = st.tuples(_SETTING, st.lists(_STEP, min_size=1, max_size=6)).map(
    lambda made: tuple(
        _rule(index, *each) for index, each in enumerate([([], made[0], "set", (), None), *made[1]])
    )
)


def _one_by_one(rules: tuple[Rule, ...], said: Alert, at: datetime) -> list[tuple[str, Alert]]:
    """The rules that match if every one of them is tried, each with the alert as it leaves the rule."""
    found: list[tuple[str, Alert]] = []
    for each in rules:
        if each.matches(said, at):
            ((_, said),) = rulebook(replace(each, when=All(()))).matching(said, at=at)
            found.append((each.name, said))
            if each.ends:
                break
    return found


@given(
    _CHAIN,
    st.sampled_from([{}, {"a": "x"}, {"a": "y", "b": "y"}, {"b": "y", "service": "x"}]),
    st.sampled_from([STARTED, MONDAY]),
)
def test_with_labels_set_on_the_way_the_same_rules_match_as_if_each_were_tried(
    rules: tuple[Rule, ...], labels: dict[str, str], at: datetime
) -> None:
    book, said = rulebook(*rules), alert(labels)
    expected = _one_by_one(rules, said, at)

    assert [(each.name, left) for each, left in book.matching(said, at=at)] == expected
    assert book.plan(said, at=at).rules == tuple(name for name, _ in expected)
