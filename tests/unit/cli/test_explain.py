"""`alertbridge explain`, run in this process on what a real Alertmanager sent."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from alertbridge.cli import example
from alertbridge.cli.caller import Caller
from alertbridge.cli.main import group

PAYLOADS = Path("tests/payloads/alertmanager").resolve()


@pytest.fixture
def configuration(tmp_path: Path) -> Path:
    for name, text in example.configuration().items():
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(text, encoding="utf-8")
    return tmp_path / "alertbridge.yaml"


def explain(configuration: Path, *arguments: str, body: str | None = None) -> Result:
    command = ["explain", "--config", str(configuration), *arguments]
    return CliRunner().invoke(group, command, input=body)


def explained(configuration: Path, *alerts: dict[str, Any], payload: str = "-") -> Any:
    result = explain(configuration, "--json", payload, body=json.dumps({"alerts": alerts}))
    assert result.exit_code == 0, result.output
    return json.loads(result.output)


def firing(**labels: str) -> dict[str, Any]:
    return {"status": "firing", "labels": labels}


def test_a_firing_alert_shows_its_rule_and_what_each_destination_would_get(configuration: Path) -> None:
    (alert,) = explained(configuration, payload=str(PAYLOADS / "01-firing-single.json"))["alerts"]

    assert alert["status"] == "firing"
    assert alert["fingerprint"] == "bdc4a5686971790d"
    assert alert["rules"] == [
        {"name": "payments-critical", "matched": True},
        {"name": "noise", "matched": None},
        {"name": "everything-else", "matched": None},
    ]
    elven, hivel = alert["messages"]
    assert (elven["destination"], elven["action"], elven["when"]) == ("elven", "alarmed", "now")
    assert elven["payload"] == {
        "title": "[checkout] High error rate on checkout",
        "description": "12% of requests to checkout on web-1.example:8080 fail (threshold 5%)",
        "external_aggregate_key": "demo/HighErrorRate",
        "action": "alarmed",
        "severity": "critical",
        "tags": [
            {"name": "team", "value": "payments"},
            {"name": "runbook", "value": "https://runbooks.example/high-error-rate"},
        ],
    }
    assert (hivel["destination"], hivel["action"], hivel["when"]) == ("hivel", "record", "on close")
    assert hivel["missing"] == []
    assert hivel["payload"]["repo_url"] == "https://github.com/acme/checkout"
    assert hivel["payload"]["pr_number"] == "44"
    assert "resolution_time" not in hivel["payload"]
    assert hivel["origins"]["pr_number"] == "service"


def test_when_an_open_incident_is_announced_again_is_told_where_a_rule_says_so(configuration: Path) -> None:
    rules = configuration.parent / "rules.d" / "90-everything-else.yaml"
    text = rules.read_text(encoding="utf-8")
    rules.write_text(text.replace("send: [elven]", "send: [elven]\n    resend: change"), encoding="utf-8")

    (alert,) = explained(configuration, firing(alertname="Down"))["alerts"]
    output = explain(configuration, "--labels", "alertname=Down").output

    assert alert["messages"][0]["resend"] == "change"
    assert "elven: alarmed:\n    key prod/" in output
    assert ", severity moderate, resend change\n" in output


def test_a_resolved_alert_shows_the_finished_record(configuration: Path) -> None:
    alert = explained(configuration, payload=str(PAYLOADS / "07-resolved-all.json"))["alerts"][0]

    elven, hivel = alert["messages"]
    assert (elven["action"], elven["payload"]["action"]) == ("resolved", "resolved")
    assert hivel["when"] == "now"
    assert hivel["payload"]["reported_time"] == "2026-11-21T19:38:46Z"
    assert hivel["payload"]["resolution_time"] == "2026-11-21T19:39:17Z"


@pytest.mark.parametrize("name", sorted(path.name for path in PAYLOADS.glob("[0-9]*.json")))
def test_every_captured_payload_can_be_explained_both_ways(configuration: Path, name: str) -> None:
    count = len(json.loads((PAYLOADS / name).read_text(encoding="utf-8"))["alerts"])

    text = explain(configuration, str(PAYLOADS / name))

    assert text.exit_code == 0, text.output
    assert f"alert {count} of {count}: " in text.output
    assert len(explained(configuration, payload=str(PAYLOADS / name))["alerts"]) == count


def test_people_are_told_in_words(configuration: Path) -> None:
    output = explain(configuration, str(PAYLOADS / "01-firing-single.json")).output

    assert "alert 1 of 1: firing HighErrorRate {severity=critical, service=checkout, cluster=demo, " in output
    assert "rule: payments-critical\n" in output
    assert "elven: alarmed:\n    key demo/HighErrorRate, severity critical, service checkout\n" in output
    assert "hivel: record, sent when it closes; known by now:" in output


def test_each_rule_says_why_it_does_not_match(configuration: Path) -> None:
    alert = firing(alertname="Down", severity="warning")

    output = explain(configuration, "-", body=json.dumps({"alerts": [alert]})).output
    (told,) = explained(configuration, alert)["alerts"]

    assert (
        "  rule: everything-else\n"
        '    no      payments-critical: severity =~ "critical|page", but the alert has severity = "warning"\n'
        "    no      noise: none of these holds\n"
        '              - severity = "none", but the alert has severity = "warning"\n'
        '              - env = "dev", but the alert has no env\n'
        "    matches everything-else\n"
    ) in output
    assert told["rules"] == [
        {
            "name": "payments-critical",
            "matched": False,
            "failed": {"matcher": 'severity =~ "critical|page"', "actual": {"severity": "warning"}},
        },
        {
            "name": "noise",
            "matched": False,
            "failed": {
                "matcher": 'any: [severity = "none", [env = "dev", severity != "critical"]]',
                "actual": {"severity": "warning", "env": None},
                "any": [
                    {"matcher": 'severity = "none"', "actual": {"severity": "warning"}},
                    {"matcher": 'env = "dev"', "actual": {"env": None}},
                ],
            },
        },
        {"name": "everything-else", "matched": True},
    ]


def test_rules_after_the_one_that_decides_are_not_reached(configuration: Path) -> None:
    output = explain(configuration, str(PAYLOADS / "01-firing-single.json")).output

    assert "    matches payments-critical\n    not reached: noise, everything-else\n" in output


def test_an_alert_may_be_given_by_its_labels_alone(configuration: Path) -> None:
    said = explain(
        configuration,
        "--labels",
        "alertname=Down,severity=page,team=payments",
        "--labels",
        "cluster=eu",
        "--annotations",
        "summary=web-1, web-2 are down,description=",
        "--json",
    )

    (told,) = json.loads(said.output)["alerts"]
    assert told["labels"] == {"alertname": "Down", "severity": "page", "team": "payments", "cluster": "eu"}
    assert told["status"] == "firing"
    elven = told["messages"][0]["payload"]
    assert elven["external_aggregate_key"] == "eu/Down"
    assert elven["title"].endswith("web-1, web-2 are down")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ([], "name a FILE or an EVENT, - for standard input, or give --labels"),
        (["--annotations", "summary=x"], "name a FILE or an EVENT, - for standard input, or give --labels"),
        (["-", "--labels", "a=b"], "the alerts are either in FILE or said by --labels and --annotations"),
        (["--labels", "a"], '"a" is not NAME=VALUE'),
        (["--labels", "=a"], '"=a" is not NAME=VALUE'),
        (["--labels", "a=\udcff"], "not UTF-8, as every label is"),
        (["--labels", "a=b", "--source", "none"], 'no source is called "none"'),
    ],
)
def test_wrong_use_is_told_with_status_2(configuration: Path, arguments: list[str], said: str) -> None:
    result = explain(configuration, *arguments, body="{}")

    assert result.exit_code == 2
    assert said in result.output


def test_what_a_record_still_lacks_is_named(configuration: Path) -> None:
    alert = firing(alertname="Down", severity="page", team="payments", service="cart", cluster="eu")

    (told,) = explained(configuration, alert)["alerts"]
    text = explain(configuration, "-", body=json.dumps({"alerts": [alert]}))

    assert told["messages"][1]["missing"] == ["repo_url", "pr_number"]
    assert "held: missing repo_url, pr_number; say it in the rule" in text.output


def test_dropped_and_unmatched_alerts_say_so(configuration: Path) -> None:
    noise, other = firing(alertname="A", severity="none"), firing(alertname="A", severity="none", env="x")
    rules = configuration.parent / "rules.d" / "90-everything-else.yaml"

    assert "rule: noise, which drops it on purpose" in (
        explain(configuration, "-", body=json.dumps({"alerts": [noise]})).output
    )
    rules.write_text("rules: [{name: only, when: [env = y], send: [elven]}]", encoding="utf-8")
    assert "rule: none matches, so it goes nowhere" in (
        explain(configuration, "-", body=json.dumps({"alerts": [other]})).output
    )
    (told,) = explained(configuration, other)["alerts"]
    assert (told["dropped"], told["messages"]) == (False, [])
    assert [rule["matched"] for rule in told["rules"]] == [False, False]


ENRICHED = """
rules:
  - name: tag
    set: {labels: {team: web, env: ""}, annotations: {runbook: "https://{{ labels.team }}"}}
  - {name: early, when: team = web, active: {hours: 08:00-08:01, timezone: Europe/Berlin}, send: [elven]}
  - {name: other, when: team != web, send: [elven]}
  - {name: web, when: [team = web, env = "", x != y], send: [elven]}
"""


def enriched(configuration: Path) -> None:
    rules = configuration.parent / "rules.d" / "20-payments.yaml"
    rules.write_text(ENRICHED, encoding="utf-8")


def test_rules_are_judged_by_what_was_set_and_by_the_time(configuration: Path) -> None:
    enriched(configuration)
    labels = ("--labels", "alertname=Down,team=payments,env=prod")

    output = explain(configuration, *labels, "--at", "2026-01-05T08:01:00+01:00").output

    assert (
        '    matches tag: sets labels.team = "web", removes labels.env, '
        'sets annotations.runbook = "https://web"\n'
        "    no      early: it is active 08:00-08:01 Europe/Berlin, and there it is mon 08:01 Europe/Berlin\n"
        '    no      other: team != "web", but the alert has team = "web"\n'
        "    matches web\n"
    ) in output
    early = explain(configuration, *labels, "--at", "2026-01-05T07:00:00Z").output
    assert "    matches early\n    not reached: other, web" in early


def test_for_programs_a_rule_says_what_it_set_and_when_it_is_active(configuration: Path) -> None:
    enriched(configuration)
    body = json.dumps({"alerts": [firing(alertname="Down", team="payments")]})

    result = explain(configuration, "--json", "--at", "2026-07-05T08:01:00Z", "-", body=body)
    (told,) = json.loads(result.output)["alerts"]
    tag, early, _, web, *_ = told["rules"]

    assert tag["set"] == {"labels.team": "web", "annotations.runbook": "https://web"}
    assert early == {
        "name": "early",
        "matched": False,
        "failed": {
            "active": ["08:00-08:01 Europe/Berlin"],
            "actual": {"08:00-08:01 Europe/Berlin": "sun 10:01 Europe/Berlin"},
        },
    }
    assert web == {"name": "web", "matched": True}
    assert told["labels"] == {"alertname": "Down", "team": "payments"}


@pytest.mark.parametrize(
    ("instant", "said"),
    [("tomorrow", "is not an instant"), ("2026-01-05T08:00:00", "has no offset from UTC")],
)
def test_an_instant_that_is_none_is_a_wrong_use(configuration: Path, instant: str, said: str) -> None:
    result = explain(configuration, "--labels", "a=b", "--at", instant)

    assert result.exit_code == 2
    assert said in result.output


def test_an_alert_for_which_values_are_only_set_goes_nowhere_and_that_is_said(configuration: Path) -> None:
    for path in configuration.parent.glob("rules.d/*"):
        path.write_text("rules: []", encoding="utf-8")
    enriched(configuration)

    output = explain(configuration, "--labels", "alertname=Down,x=y").output

    assert "  rule: tag: it only sets values, and no other matches, so it goes nowhere\n" in output


def test_a_template_that_fails_is_shown_with_its_rule_and_field(configuration: Path) -> None:
    rules = configuration.parent / "rules.d" / "90-everything-else.yaml"
    rules.write_text(
        'rules: [{name: all, send: {elven: {title: "{{ 1 // (labels.a | length) }}"}}}]', encoding="utf-8"
    )

    (told,) = explained(configuration, firing(alertname="A"))["alerts"]

    assert len(told["failures"]) == 1
    assert told["failures"][0].startswith("all: send.elven.title: ")
    assert told["messages"][0]["payload"]["title"] == "A"


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ("{", "the body is not JSON"),
        ("[]", "expected a JSON object, found an array"),
        ('{"alerts": [{"status": "firing"}]}', "alerts[0].labels: expected a map of texts, found nothing"),
    ],
)
def test_a_malformed_payload_is_refused_with_its_place(configuration: Path, body: str, said: str) -> None:
    result = explain(configuration, "-", body=body)

    assert result.exit_code == 1
    assert said in result.output


def test_a_notification_without_alerts_is_nothing_to_do(configuration: Path) -> None:
    result = explain(configuration, "-", body='{"alerts": [], "truncatedAlerts": 3}')

    assert result.exit_code == 0
    assert "holds no alerts" in result.output
    assert "3 more were left out" in result.output


def test_of_several_sources_one_must_be_named(configuration: Path) -> None:
    text = configuration.read_text(encoding="utf-8")
    two = text.replace("sources:\n", "sources:\n  staging: {type: alertmanager}\n")
    configuration.write_text(two, encoding="utf-8")
    body = json.dumps({"alerts": [firing(alertname="A")]})

    unnamed = explain(configuration, "-", body=body)
    assert unnamed.exit_code == 2
    assert "--source NAME; the configuration has staging, prod" in unnamed.output
    unknown = explain(configuration, "--source", "dev", "-", body=body)
    assert unknown.exit_code == 2
    assert 'no source is called "dev"; the configuration has staging, prod' in unknown.output
    assert explain(configuration, "--source", "prod", "-", body=body).exit_code == 0


def test_an_alert_cannot_steer_the_terminal(configuration: Path) -> None:
    alert = firing(
        alertname="A\x1b]0;owned\x07\nrule: fake", severity="\x1b[2J\nrule: fake", note="\x9b2J\u202e"
    )

    output = explain(configuration, "-", body=json.dumps({"alerts": [alert]})).output

    assert not {"\x1b", "\x07", "\x9b", "\u202e"} & set(output)
    assert "\nrule: fake" not in output


def test_without_a_configuration_its_problems_are_shown(tmp_path: Path) -> None:
    result = explain(tmp_path / "none.yaml", "-", body="{}")

    assert result.exit_code == 1
    assert "there is no configuration here" in result.output


EVENT = "01M805Q3C5BSA6173TWSK32SPX"


def test_a_file_that_is_called_as_an_event_is_a_file(
    configuration: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / EVENT).write_text(json.dumps({"alerts": [firing(alertname="Down")]}), encoding="utf-8")

    assert "alert 1 of 1: firing Down" in explain(configuration, EVENT).output


def test_an_event_is_asked_of_the_daemon(configuration: Path) -> None:
    result = explain(configuration, EVENT, "--url", "http://127.0.0.1:9")

    assert result.exit_code == 1
    assert "no answer from http://127.0.0.1:9: " in str(result.exception)


def test_a_stored_event_was_heard_when_it_was_received_unless_another_time_is_said(
    configuration: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rules = configuration.parent / "rules.d" / "90-everything-else.yaml"
    rules.write_text(
        "rules: [{name: early, active: {hours: '03:00-04:00'}, drop: true}, {name: all, send: [elven]}]",
        encoding="utf-8",
    )
    event: dict[str, Any] = {
        "id": EVENT,
        "source": "prod",
        "received_at": "2026-01-01T03:30:00Z",
        "outcome": "received",
        "rules_hash": None,
        "error": None,
        "alerts": [],
        "truncated": 0,
        "body": json.dumps({"alerts": [firing(alertname="A")]}),
    }
    monkeypatch.setattr(Caller, "get", lambda *_: event)

    assert "rule: early, which drops it" in explain(configuration, EVENT).output
    assert "rule: all\n" in explain(configuration, EVENT, "--at", "2026-01-01T04:30:00Z").output


@pytest.mark.parametrize("name", [EVENT[:-1], EVENT + "X", EVENT.lower(), "none.json"])
def test_what_is_neither_a_file_nor_an_event_is_wrong_usage(configuration: Path, name: str) -> None:
    result = explain(configuration, name)

    assert result.exit_code == 2
    assert "does not exist" in result.output


def test_a_label_that_is_said_twice_is_wrong_usage(configuration: Path) -> None:
    result = explain(configuration, "--labels", "alertname=Down,severity=page", "--labels", "severity=none")
    assert result.exit_code == 2
    assert '"severity" is said twice' in result.output


def test_what_would_take_gigabytes_is_refused_and_one_alert_of_it_is_explained(configuration: Path) -> None:
    body = json.dumps({"alerts": [firing(alertname="Down", n=str(number)) for number in range(33_334)]})
    refused = explain(configuration, "-", body=body)
    assert refused.exit_code == 2
    assert "33334 alerts and 3 rules are more than 100,000 verdicts" in refused.output
    assert "--alert N" in refused.output

    one = explain(configuration, "-", "--alert", "17", "--json", body=body)
    assert [alert["labels"]["n"] for alert in json.loads(one.output)["alerts"]] == ["16"]

    beyond = explain(configuration, "-", "--alert", "33335", body=body)
    assert beyond.exit_code == 2
    assert "there are 33334 alerts" in beyond.output
