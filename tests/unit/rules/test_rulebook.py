from __future__ import annotations

import hashlib
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from alertbridge.errors import TemplateError
from alertbridge.model import Alert, Field, Intent, Reporting, Resend, Severity
from alertbridge.rules.rulebook import Plan, Rule, Rulebook, Send, Target
from tests.unit.rules.samples import CHECKOUT, DISK, STARTED, WATCHDOG, alert, rule, rulebook, template


def _severity(
    label: str | None, said: str | None = None, **severities: Severity
) -> tuple[Severity, list[str]]:
    send = {"elven": Send(fields={}, severity=None if said is None else template(said))}
    labels = {} if label is None else {"severity": label, "word": "major"}
    plan = rulebook(rule("r", send=send), severities=severities).plan(alert(labels), at=STARTED)
    (intent,) = plan.intents
    return intent.severity, list(plan.failures.values())


def _key(text: str | None, labels: dict[str, str] | None = None) -> tuple[str, list[str]]:
    plan = rulebook(rule("r", key=text)).plan(alert(labels), at=STARTED)
    assert all(place == ("r", "key") for place in plan.failures)
    return plan.intents[0].key, list(plan.failures.values())


def test_a_plan_says_everything_the_rule_wants() -> None:
    send = {
        "elven": Send(fields={}, severity=template("page"), resend=Resend.NEVER, unknown_resolved=False),
        "hivel": Send(fields={}, severity=None),
    }
    payments = rule(
        "payments", "team = payments", send=send, key="{{ labels.cluster }}/{{ labels.alertname }}"
    )
    assert rulebook(payments).plan(alert(), at=STARTED) == Plan(
        rules=("payments",),
        dropped=False,
        intents=(
            Intent(
                destination="elven",
                reporting=Reporting.LIFECYCLE,
                key="demo/HighErrorRate",
                rule="payments",
                severity=Severity.CRITICAL,
                service="checkout",
                resend=Resend.NEVER,
                send_unknown_resolved=False,
                reopen_window=timedelta(minutes=10),
                min_duration=timedelta(minutes=2),
            ),
            Intent(
                destination="hivel",
                reporting=Reporting.RECORD,
                key="demo/HighErrorRate",
                rule="payments",
                severity=Severity.CRITICAL,
                service="checkout",
                reopen_window=timedelta(minutes=10),
                min_duration=timedelta(minutes=2),
            ),
        ),
        failures={},
    )


def test_an_alert_that_no_rule_matches_goes_nowhere_and_is_not_called_dropped() -> None:
    assert rulebook(rule("r", "team = nobody")).plan(alert(), at=STARTED) == Plan(
        (), dropped=False, intents=(), failures={}
    )


def test_the_first_rule_that_matches_decides() -> None:
    book = rulebook(rule("a", "team = nobody"), rule("b", "team = payments"), rule("c"))
    assert book.plan(alert(), at=STARTED).rules == ("b",)


def test_a_rule_that_continues_leaves_the_alert_to_later_rules_too() -> None:
    book = rulebook(rule("a", continues=True, key="a"), rule("b", key="b"), rule("c", key="c"))
    plan = book.plan(alert(), at=STARTED)
    assert plan.rules == ("a", "b")
    assert [(intent.rule, intent.key) for intent in plan.intents] == [("a", "a"), ("b", "b")]


def test_two_rules_with_the_same_destination_and_key_give_one_intent_of_the_first() -> None:
    book = rulebook(rule("a", continues=True), rule("b", send=("hivel", "elven")))
    plan = book.plan(alert(), at=STARTED)
    assert plan.rules == ("a", "b")
    assert [(intent.rule, intent.destination) for intent in plan.intents] == [("a", "elven"), ("b", "hivel")]


def test_a_rule_that_drops_ends_the_search_even_if_it_continues() -> None:
    plan = rulebook(rule("noise", drop=True, continues=True), rule("rest")).plan(alert(), at=STARTED)
    assert plan == Plan(("noise",), dropped=True, intents=(), failures={})


def test_a_drop_after_a_rule_that_sent_keeps_what_was_sent() -> None:
    plan = rulebook(rule("a", continues=True), rule("noise", drop=True), rule("rest")).plan(
        alert(), at=STARTED
    )
    assert plan.rules == ("a", "noise")
    assert not plan.dropped
    assert [intent.rule for intent in plan.intents] == ["a"]


@pytest.mark.parametrize(
    ("label", "severity"),
    [
        ("critical", Severity.CRITICAL),
        ("HIGH", Severity.HIGH),
        (" moderate ", Severity.MODERATE),
        ("low", Severity.LOW),
        ("informational", Severity.INFORMATIONAL),
        ("error", Severity.HIGH),
        ("major", Severity.HIGH),
        ("Warning", Severity.MODERATE),
        ("medium", Severity.MODERATE),
        ("warn", Severity.MODERATE),
        ("minor", Severity.LOW),
        ("info", Severity.INFORMATIONAL),
        ("information", Severity.INFORMATIONAL),
        ("none", Severity.INFORMATIONAL),
        ("debug", Severity.INFORMATIONAL),
        ("page", Severity.CRITICAL),
        ("fatal", Severity.CRITICAL),
        ("emergency", Severity.CRITICAL),
        ("disaster", Severity.CRITICAL),
    ],
)
def test_usual_words_are_understood_in_any_case(label: str, severity: Severity) -> None:
    assert _severity(label) == (severity, [])


def test_a_missing_severity_is_moderate_and_no_failure() -> None:
    assert _severity(None) == (Severity.MODERATE, [])
    assert _severity("  ") == (Severity.MODERATE, [])


def test_a_word_that_nobody_explained_is_moderate_and_a_failure() -> None:
    severity, failures = _severity("P1")
    assert severity is Severity.MODERATE
    assert failures == ['"P1" is no known severity; explain it under `severities:`']


def test_configured_words_come_before_all_others() -> None:
    assert _severity("page", page=Severity.LOW) == (Severity.LOW, [])
    assert _severity("critical", Critical=Severity.HIGH) == (Severity.HIGH, [])
    assert _severity("P1", p1=Severity.CRITICAL) == (Severity.CRITICAL, [])


@pytest.mark.parametrize(
    ("said", "severity", "failures"),
    [
        ("critical", Severity.CRITICAL, 0),
        ("{{ labels.word }}", Severity.HIGH, 0),
        ("{{ labels.nope }}", Severity.LOW, 0),
        ("whatever", Severity.LOW, 1),
        ("{{ 1 / 0 }}", Severity.LOW, 1),
    ],
)
def test_the_severity_of_the_rule_comes_before_that_of_the_label(
    said: str, severity: Severity, failures: int
) -> None:
    found, sentences = _severity("minor", said)
    assert found is severity
    assert len(sentences) == failures


def test_a_severity_that_fails_is_noted_once_for_the_rule() -> None:
    send = {to: Send(fields={}, severity=template("{{ 1 / 0 }}")) for to in ("elven", "hivel")}
    plan = rulebook(rule("r", send=send)).plan(alert(), at=STARTED)
    assert plan.failures == {("r", "severity"): "the template failed: division by zero"}
    assert [intent.severity for intent in plan.intents] == [Severity.CRITICAL] * 2


def test_the_default_key_is_the_identity_of_the_alert() -> None:
    assert _key(None) == ("prod/bdc4a5686971790d", [])


def test_a_key_may_use_labels_and_the_service() -> None:
    assert _key("{{ service }}/{{ labels.alertname }}") == ("checkout/HighErrorRate", [])


@pytest.mark.parametrize(
    ("text", "failure"),
    [
        ("{{ labels.nope }}", "the key is empty; the default key is used"),
        ("{{ labels.team + 1 }}", 'the template failed: can only concatenate str (not "int") to str'),
    ],
)
def test_a_key_that_fails_falls_back_to_the_default_and_is_noted(text: str, failure: str) -> None:
    key, failures = _key(text)
    assert key == "prod/bdc4a5686971790d"
    assert failure in failures


def test_a_key_of_255_characters_stays_and_a_longer_one_ends_in_its_hash() -> None:
    assert _key("{{ labels.x }}", {"x": "ü" * 255})[0] == "ü" * 255
    long = "ü" * 256
    digest = hashlib.sha256(long.encode()).hexdigest()[:32]
    cut = _key("{{ labels.x }}", {"x": long})[0]
    assert cut == "ü" * 222 + "-" + digest
    assert len(cut) == 255
    assert cut != _key("{{ labels.x }}", {"x": "ü" * 257})[0]


@pytest.mark.parametrize(
    ("text", "service", "failures"),
    [
        (None, "checkout", 0),
        ("{{ labels.job }}", "demo", 0),
        ("payments-api", "payments-api", 0),
        ("{{ labels.nope }}", "checkout", 0),
        ("{{ 1 / 0 }}", "checkout", 1),
    ],
)
def test_the_service_is_what_the_rule_says_or_else_the_label(
    text: str | None, service: str, failures: int
) -> None:
    plan = rulebook(rule("r", service=text, key="{{ service }}")).plan(alert(), at=STARTED)
    assert plan.intents[0].service == plan.intents[0].key == service
    assert list(plan.failures) == [("r", "service")] * failures


def test_each_rule_decides_the_service_for_itself() -> None:
    book = rulebook(
        rule("a", continues=True, service="{{ labels.job }}", key="{{ service }}{{ labels.x }}"),
        rule("b", continues=True, key="{{ service }}{{ labels.x }}"),
        rule("c", service="{{ labels.team }}", key="{{ service }}{{ labels.x }}"),
    )
    assert [intent.key for intent in book.plan(alert(), at=STARTED).intents] == [
        "demo",
        "checkout",
        "payments",
    ]


def test_a_rulebook_tells_its_rules_and_hash() -> None:
    one = rule("a")
    assert rulebook(one).rules == (one,)
    assert rulebook(one).hash == "abc"


def test_a_default_that_is_no_template_is_refused_at_once() -> None:
    with pytest.raises(TemplateError):
        Rulebook(
            rules=(),
            severities={},
            services={},
            targets={"x": Target(Reporting.RECORD, (Field("title", "{{ lables.x }}"),))},
            hash="",
        )


_RULES = st.builds(
    lambda name, when, send, key, drop, continues: rule(
        name, *when, send=tuple(send), key=key, drop=drop, continues=continues
    ),
    st.uuids().map(str),
    st.lists(st.sampled_from(["team = payments", "severity =~ critical|warning", "env != prod"]), max_size=2),
    st.lists(st.sampled_from(["elven", "hivel"]), min_size=1, unique=True),
    st.sampled_from([None, "{{ labels.cluster }}", "{{ labels.team }}"]),
    st.booleans(),
    st.booleans(),
)


def _naive(rules: list[Rule], said: Alert) -> tuple[tuple[str, ...], bool, list[tuple[str, str, str]]]:
    matched: list[str] = []
    found: list[tuple[str, str, str]] = []
    for each in rules:
        if not each.when.matches(said):
            continue
        matched.append(each.name)
        if each.drop:
            return tuple(matched), not found, found
        text = each.key.text if each.key else ""
        key = {
            "{{ labels.cluster }}": said.labels.get("cluster"),
            "{{ labels.team }}": said.labels.get("team"),
        }
        for destination in each.send:
            wanted = key.get(text) or f"{said.source}/{said.fingerprint}"
            if all((destination, wanted) != (to, other) for _, to, other in found):
                found.append((each.name, destination, wanted))
        if not each.continues:
            break
    return tuple(matched), False, found


@given(st.lists(_RULES, max_size=6), st.sampled_from([CHECKOUT, DISK, WATCHDOG, {}]))
def test_a_plan_agrees_with_trying_the_rules_one_by_one(rules: list[Rule], labels: dict[str, str]) -> None:
    said = alert(labels)
    plan = rulebook(*rules).plan(said, at=STARTED)
    found = [(intent.rule, intent.destination, intent.key) for intent in plan.intents]
    assert (plan.rules, plan.dropped, found) == _naive(rules, said)
