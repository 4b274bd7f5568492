from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from alertbridge.config.load import Configuration, load
from alertbridge.errors import ConfigurationError
from alertbridge.model import Alert, AlertStatus, Content, Resend, Severity
from tests.support.configuration import configure

STARTED = datetime(2026, 11, 21, tzinfo=UTC)
DEFAULTS = """
defaults:
  key: "{{ labels.cluster }}"
  service: "{{ labels.app }}"
  reopen_window: 10m
  min_duration: 2m
  resend: never
  unknown_resolved: ignore
  send:
    elven:
      title: "[{{ labels.team }}] down"
      severity: low
      tags: {team: "{{ labels.team }}", env: prod}
    hivel:
      affected_systems: [one, two]
"""


def alert(**labels: str) -> Alert:
    said = {"cluster": "eu", "app": "shop", "team": "web"} | labels
    return Alert("prod", "f1", AlertStatus.FIRING, said, {}, starts_at=STARTED, ends_at=None)


def content(configuration: Configuration, destination: str = "elven") -> Content:
    (plan,) = (configuration.rulebook.plan(alert(), at=STARTED),)
    return configuration.rulebook.render(alert(), rule=plan.rules[-1], destination=destination, at=STARTED)


def test_a_rule_has_what_it_does_not_say_from_its_files_defaults(tmp_path: Path) -> None:
    loaded = configure(tmp_path, DEFAULTS + "rules: [{name: a, send: [elven, hivel]}]")

    (rule,) = loaded.rulebook.rules
    assert (rule.reopen_window, rule.min_duration) == (timedelta(minutes=10), timedelta(minutes=2))
    elven, hivel = loaded.rulebook.plan(alert(), at=STARTED).intents
    assert (elven.key, elven.service, elven.severity) == ("eu", "shop", Severity.LOW)
    assert (elven.resend, elven.send_unknown_resolved) == (Resend.NEVER, False)
    assert (hivel.severity, hivel.resend) == (Severity.MODERATE, Resend.NEVER)
    said = content(loaded)
    assert said.fields["title"] == "[web] down"
    assert said.origins["title"] == "rule"
    assert content(loaded, "hivel").fields["affected_systems"] == ["one", "two"]


def test_what_a_rule_says_itself_goes_first(tmp_path: Path) -> None:
    rules = """
    rules:
      - name: a
        key: "{{ fingerprint }}"
        service: other
        reopen_window: 0s
        resend: severity
        unknown_resolved: send
        send:
          elven: {title: mine, severity: high}
          hivel: {affected_systems: three}
    """
    loaded = configure(tmp_path, DEFAULTS + rules.replace("\n    ", "\n"))

    (rule,) = loaded.rulebook.rules
    assert (rule.reopen_window, rule.min_duration) == (timedelta(0), timedelta(minutes=2))
    elven, _ = loaded.rulebook.plan(alert(), at=STARTED).intents
    assert (elven.key, elven.service, elven.severity) == ("f1", "other", Severity.HIGH)
    assert (elven.resend, elven.send_unknown_resolved) == (Resend.SEVERITY, True)
    assert content(loaded).fields["title"] == "mine"
    assert content(loaded, "hivel").fields["affected_systems"] == ["three"]


@pytest.mark.parametrize(
    ("tags", "merged"),
    [
        ("{tags: {env: dev}}", {"team": "web", "env": "dev"}),
        ("{tags: {x: y}}", {"team": "web", "env": "prod", "x": "y"}),
        ("{tags: labels}", {"team": "web", "cluster": "eu", "app": "shop"}),
        ("{title: mine}", {"team": "web", "env": "prod"}),
        ("", {"team": "web", "env": "prod"}),
    ],
)
def test_mappings_are_merged_key_by_key_and_the_rule_wins(
    tmp_path: Path, tags: str, merged: dict[str, str]
) -> None:
    loaded = configure(tmp_path, DEFAULTS + f"rules: [{{name: a, send: {{elven: {tags}}}}}]")

    assert content(loaded).fields["tags"] == merged


def test_defaults_for_a_destination_make_no_rule_send_there(tmp_path: Path) -> None:
    rules = "rules: [{name: a, when: x = y, send: [hivel]}, {name: b, drop: true}]"
    loaded = configure(tmp_path, DEFAULTS + rules)

    first, second = loaded.rulebook.rules
    assert [*first.send] == ["hivel"]
    assert second.drop
    assert not second.send


def test_what_a_rule_says_of_all_destinations_goes_before_defaults_for_one(tmp_path: Path) -> None:
    rules = """
defaults: {resend: never, send: {elven: {resend: severity, unknown_resolved: ignore}}}
rules:
  - {name: a, when: x = y, send: [elven]}
  - {name: b, send: [elven], resend: never, unknown_resolved: send}
"""
    first, second = configure(tmp_path, rules).rulebook.rules

    assert (first.send["elven"].resend, first.send["elven"].unknown_resolved) == (Resend.SEVERITY, False)
    assert (second.send["elven"].resend, second.send["elven"].unknown_resolved) == (Resend.NEVER, True)


def test_a_rule_may_go_on_by_default(tmp_path: Path) -> None:
    rules = "defaults: {continue: true}\nrules: [{name: a, send: [elven]}, {name: b, continue: false, send: [hivel]}]"
    loaded = configure(tmp_path, rules)

    assert [rule.continues for rule in loaded.rulebook.rules] == [True, False]
    assert loaded.rulebook.plan(alert(), at=STARTED).rules == ("a", "b")


def test_defaults_are_for_the_rules_of_their_own_file_alone(tmp_path: Path) -> None:
    (tmp_path / "rules.d").mkdir()
    for name, title in {"10": "ten", "20": ""}.items():
        text = f"rules: [{{name: r{name}, when: 'n = \"{name}\"', send: [elven]}}]\n"
        text += f"defaults: {{send: {{elven: {{title: {title}}}}}}}\n" if title else ""
        (tmp_path / "rules.d" / f"{name}.yaml").write_text(text, encoding="utf-8")
    loaded = configure(
        tmp_path, DEFAULTS + "rules: [{name: a, when: n = x, send: [elven]}]\nrules_files: [rules.d/*.yaml]"
    )

    titles = {
        rule.name: loaded.rulebook.render(
            alert(), rule=rule.name, destination="elven", at=STARTED
        ).fields.get("title")
        for rule in loaded.rulebook.rules
    }
    assert titles == {"a": "[web] down", "r10": "ten", "r20": None}


def test_a_number_keeps_its_spelling(tmp_path: Path) -> None:
    loaded = configure(
        tmp_path, "defaults: {send: {elven: {title: 1.10}}}\nrules: [{name: a, send: [elven]}]"
    )

    assert content(loaded).fields["title"] == "1.10"


def test_a_section_whose_lines_are_commented_out_counts_as_absent(tmp_path: Path) -> None:
    loaded = configure(tmp_path, "defaults:\ntemplates:\nrules: [{name: a, send: [elven]}]")

    assert loaded.rulebook.plan(alert(), at=STARTED).rules == ("a",)


def test_another_default_is_another_configuration(tmp_path: Path) -> None:
    rules = "rules: [{name: a, send: [elven]}]\n"
    hashes = [
        configure(tmp_path, f"{rules}defaults: {{reopen_window: {span}}}").hash for span in ("5m", "6m", "5m")
    ]

    assert hashes[0] == hashes[2] != hashes[1]


def test_a_mistake_of_a_rule_keeps_its_place_beside_defaults(tmp_path: Path) -> None:
    rules = "rules:\n  - name: a\n    send: {elven: {tags: {b: '{{ nmae }}'}}}\n"
    with pytest.raises(ConfigurationError) as refused:
        configure(tmp_path, DEFAULTS + rules)

    (found,) = refused.value.problems
    assert found.field == "rules[0].send.elven.tags.b"


TEMPLATES = """
templates:
  title: "[{{ labels.team }}] {{ templates.what }}"
  what: "{{ labels.app | upper }}"
rules: [{name: a, send: {elven: {title: "{{ templates.title }}"}}}]
"""


def test_named_templates_serve_all_files(tmp_path: Path) -> None:
    (tmp_path / "more.yaml").write_text(
        "templates: {inner: 'x{{ labels.app }}'}\nrules: [{name: b, send: {elven: {title: '{{ templates.title }}'}}}]\n",
        encoding="utf-8",
    )
    main = TEMPLATES.replace("templates.what", "templates.inner").replace("name: a,", "name: a, when: x = y,")
    loaded = configure(tmp_path, main + "rules_files: [more.yaml]\n")

    assert content(loaded).fields["title"] == "[web] xshop"
    (unused,) = loaded.warnings
    assert (unused.field, unused.level) == ("templates.what", "warning")


def test_a_template_that_no_rule_uses_is_a_warning_at_its_place(tmp_path: Path) -> None:
    lonely = TEMPLATES.replace("templates:", "templates:\n  a: '{{ templates.b }}'\n  b: x", 1)
    loaded = configure(tmp_path, lonely)

    assert [(each.field, each.column, each.problem) for each in loaded.warnings] == [
        ("templates.a", 3, "no rule uses the template a"),
        ("templates.b", 3, "no rule uses the template b"),
    ]
    assert loaded.warnings[0].remedy == "write {{ templates.a }} where it is meant, or remove it"


def test_a_template_that_only_defaults_use_is_used(tmp_path: Path) -> None:
    rules = "templates: {t: x}\ndefaults: {send: {elven: {title: '{{ templates.t }}'}}}\nrules: [{name: a, send: [hivel]}]"

    assert configure(tmp_path, rules).warnings == ()


def test_a_failing_named_template_makes_its_field_fall_back_and_is_named(tmp_path: Path) -> None:
    loaded = configure(tmp_path, TEMPLATES.replace("labels.app | upper", "1 / 0"))

    told = content(loaded)
    assert told.origins.get("title") != "rule"
    assert told.failures == {
        "title": "title from the rule: the template failed: in templates.title: in templates.what: division by zero"
    }


def test_the_filter_severity_knows_the_configured_words(tmp_path: Path) -> None:
    rules = """
severities: {rot: critical}
templates: {level: "{{ labels.ampel | severity('low') }}"}
rules: [{name: a, send: {elven: {severity: "{{ templates.level }}", title: "{{ labels.ampel | severity }}"}}}]
"""
    loaded = configure(tmp_path, rules)

    (intent,) = loaded.rulebook.plan(alert(ampel="ROT"), at=STARTED).intents
    assert intent.severity is Severity.CRITICAL
    (intent,) = loaded.rulebook.plan(alert(ampel="?"), at=STARTED).intents
    assert intent.severity is Severity.LOW
    rendered: Any = loaded.rulebook.render(alert(ampel="rot"), rule="a", destination="elven", at=STARTED)
    assert rendered.fields["title"] == "critical"


def test_many_templates_of_many_templates_load_soon(tmp_path: Path) -> None:
    """Each of a level uses all of the level below: the ways through are more than can be walked."""
    lines = [f"  t0_{n}: x" for n in range(12)]
    for level in range(1, 10):
        below = "".join(f"{{{{ templates.t{level - 1}_{n} }}}}" for n in range(12))
        lines += [f"  t{level}_{n}: '{below}'" for n in range(12)]
    text = (
        "templates:\n"
        + "\n".join(lines)
        + "\nrules: [{name: a, send: {elven: {title: '{{ templates.t9_0 }}'}}}]"
    )

    assert len(configure(tmp_path, text).warnings) == 11


def test_a_long_chain_of_templates_is_refused_and_not_fallen_over(tmp_path: Path) -> None:
    chain = "\n".join(f"  t{n}: '{{{{ templates.t{n + 1} }}}}'" for n in range(3000))
    (tmp_path / "main.yaml").write_text(f"templates:\n{chain}\n  t3000: x\n", encoding="utf-8")
    with pytest.raises(ConfigurationError, match="more than 10 levels deep"):
        load(tmp_path / "main.yaml", environ={})


def test_a_rule_that_only_sets_goes_on_whatever_the_defaults_say(tmp_path: Path) -> None:
    rules = "defaults: {continue: false}\nrules: [{name: a, set: {labels: {x: y}}}, {name: b, send: [elven]}]"
    assert configure(tmp_path, rules).rulebook.plan(alert(), at=STARTED).rules == ("a", "b")
