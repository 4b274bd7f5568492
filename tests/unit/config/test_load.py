"""What a configuration becomes when nothing is wrong with it, and how many mistakes are found when much is."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Mapping
from datetime import timedelta
from ipaddress import ip_network
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from alertbridge.config.destination_settings import ElvenSettings, HivelSettings
from alertbridge.config.load import Configuration, UnusableConfigurationError, load
from alertbridge.config.settings import Settings
from alertbridge.destinations.hivel import AuthHeader
from alertbridge.errors import ConfigurationError, Problem
from alertbridge.model import Resend, Secret, Severity
from tests.support.certificates import pair

MAIN = """\
server:
  listen: 127.0.0.1:9797
  max_body: 16MiB
  tls: {cert_file: tls.crt, key_file: tls.key, client_ca_file: clients.pem}
  admin_token_file: admin-token        # needed for the console and admin API unless listening on loopback
storage:
  url: sqlite:////var/lib/alertbridge/alertbridge.db   # sqlite:///relative.db
  retention: {events: 3d, deliveries: 30d}
log: {level: info, format: json}      # json | console; console when stderr is a terminal

sources:
  prod:                         # POST /v1/sources/prod
    type: alertmanager          # alertmanager, …
    stale_window: 90s
    auth: {bearer_token_file: webhook-token}
    allow_from: [10.0.0.0/8]

destinations:
  elven:
    type: elven
    url_file: elven-url         # the generated URL holds the token: the whole URL is a secret
    rate_limit: {requests: 60, per: 5m, burst: 20}
    key_interval: 5m
  hivel:
    type: hivel
    base_url: https://app.hivel.ai          # or https://app.hivel.in, or a proxy
    token_file: hivel-token
    auth_header: X-API-Token                # X-API-Token | Authorization | Bearer: Hivel's page names two
severities:                     # label value -> critical | high | moderate | low | informational
  page: critical
  warning: moderate
services:
  checkout:
    repo_url: https://github.com/acme/checkout
    affected_systems: [checkout-api, payments-db]
rules_files: [rules.d/*.yaml]   # rules may also stand inline under `rules:`
"""
RULES = """\
# rules.d/20-payments.yaml: rules are tried in file order; the first match wins unless it says `continue: true`
rules:
  - name: payments-critical
    when:                                   # Alertmanager matchers, all must hold; `any:` groups alternatives
      - severity =~ "critical|page"
      - team = payments
    key: "{{ labels.cluster }}/{{ labels.alertname }}"
    service: "{{ labels.service }}"
    reopen_window: 10m
    send:
      elven:
        title: "[{{ labels.service }}] {{ annotations.summary }}"
        description: "{{ annotations.description }}"
        severity: critical
        tags: {team: "{{ labels.team }}"}
      hivel:
        description: "{{ annotations.summary }}"
  - name: noise                             # rule names are unique
    when:
      - any: [severity = none, [env = dev, severity != critical]]   # an inner list is an `all`
    drop: true
  - name: everything-else
    send: [elven]                           # all fields have good defaults

tests:                                      # run by `alertbridge test`
  - name: a checkout page goes to both
    alert: {labels: {alertname: Down, severity: page, team: payments, service: checkout, cluster: eu}}
    expect:
      rule: payments-critical
      elven: {action: alarmed, severity: critical, external_aggregate_key: eu/Down}
  - name: dev noise goes nowhere
    alert: {labels: {alertname: Down, severity: warning, env: dev}}
    expect: {rule: noise, dropped: true}
"""
SECRETS = {
    "admin-token": "canary-admin\n",
    "webhook-token": "canary-webhook\n",
    "elven-url": "https://elven.example/hooks/canary-elven\n",
    "hivel-token": "canary-hivel",
}
SMALL = """\
sources:
  prod: {type: alertmanager}
destinations:
  elven: {type: elven, url: "https://elven.example/hook"}
  hivel: {type: hivel, token: hunter22}
"""
CATCH_ALL = "rules: [{name: all, send: [elven]}]\n"


def write(folder: Path, main: str, files: Mapping[str, str] | None = None) -> Path:
    for name, text in (files or {}).items():
        path = folder / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(text, encoding="utf-8")
    path = folder / "alertbridge.yaml"
    path.write_text(main, encoding="utf-8")
    return path


def sample(folder: Path, main: str = MAIN, rules: str = RULES) -> Path:
    certificate, key = pair()
    public = {"tls.crt": certificate, "tls.key": key, "clients.pem": certificate}
    return write(folder, main, {**SECRETS, **public, "rules.d/20-payments.yaml": rules})


def mistakes(path: Path, environ: Mapping[str, str] | None = None) -> list[Problem]:
    with pytest.raises(ConfigurationError) as refused:
        load(path, environ=environ or {})
    return list(refused.value.problems)


@pytest.fixture
def loaded(tmp_path: Path) -> Configuration:
    return load(sample(tmp_path), environ={})


def test_the_sample_means_what_it_says(loaded: Configuration, tmp_path: Path) -> None:
    server, storage = loaded.settings.server, loaded.settings.storage
    assert (server.host, server.port, server.on_loopback, server.max_body) == ("127.0.0.1", 9797, True, 2**24)
    assert server.admin_token == Secret("canary-admin")
    assert server.tls is not None
    assert server.tls.cert_file == tmp_path / "tls.crt"
    assert storage.url == "sqlite:////var/lib/alertbridge/alertbridge.db"
    assert storage.retention.deliveries == timedelta(days=30)
    source = loaded.settings.sources["prod"]
    assert source.stale_window == timedelta(seconds=90)
    assert source.allow_from == (ip_network("10.0.0.0/8"),)
    assert source.auth is not None
    assert source.auth.bearer_token == Secret("canary-webhook")
    assert loaded.settings.severities == {"page": Severity.CRITICAL, "warning": Severity.MODERATE}
    assert loaded.settings.services["checkout"].affected_systems == ("checkout-api", "payments-db")
    assert [test.name for test in loaded.settings.tests][1:] == ["dev noise goes nowhere"]
    expected = loaded.settings.tests[1].expect
    assert expected is not None
    assert (expected.rule, expected.dropped, expected.messages) == (("noise",), True, {})
    rule_file = tmp_path / "rules.d" / "20-payments.yaml"
    assert [(one.file, one.line) for one in loaded.trials] == [(str(rule_file), 26), (str(rule_file), 31)]
    assert loaded.trials[0].folder == rule_file.parent


def test_the_samples_destinations_mean_what_they_say(loaded: Configuration) -> None:
    elven, hivel = loaded.settings.destinations["elven"], loaded.settings.destinations["hivel"]
    assert isinstance(elven, ElvenSettings)
    assert elven.url == Secret("https://elven.example/hooks/canary-elven")
    assert elven.rate_limit is not None
    assert elven.rate_limit.most_at_once == 20
    assert elven.key_interval == timedelta(minutes=5)
    assert elven.max_age == timedelta(hours=24)
    assert isinstance(hivel, HivelSettings)
    assert hivel.token == Secret("canary-hivel")
    assert hivel.auth_header is AuthHeader.X_API_TOKEN
    assert (hivel.base_url, hivel.path) == ("https://app.hivel.ai", "/api/hooks/v1/incident")
    assert (hivel.hold_for, hivel.max_age) == (timedelta(days=7), timedelta(days=7))


def test_the_samples_rules_are_compiled(loaded: Configuration) -> None:
    payments, noise, rest = loaded.rulebook.rules
    assert (payments.name, payments.reopen_window) == ("payments-critical", timedelta(minutes=10))
    assert len(payments.when.parts) == 2
    assert payments.key is not None
    assert payments.key.text == "{{ labels.cluster }}/{{ labels.alertname }}"
    assert list(payments.send) == ["elven", "hivel"]
    assert set(payments.send["elven"].fields) == {"title", "description", "tags"}
    assert payments.send["elven"].severity is not None
    assert noise.drop
    assert rest.when.parts == ()
    assert rest.send["elven"].fields == {}
    assert loaded.rulebook.hash == loaded.hash
    assert re.fullmatch("[0-9a-f]{64}", loaded.hash)


def test_the_sample_names_its_files(loaded: Configuration, tmp_path: Path) -> None:
    assert loaded.base == tmp_path
    assert loaded.files == (tmp_path / "alertbridge.yaml", tmp_path / "rules.d" / "20-payments.yaml")
    assert loaded.secret_files["destinations.elven.url"] == tmp_path / "elven-url"
    assert loaded.secret_files["sources.prod.auth.bearer_token"] == tmp_path / "webhook-token"
    assert len(loaded.secrets) == len(loaded.secret_files) == 4
    assert loaded.warnings == ()


def test_sections_can_be_made_of_their_own_values(loaded: Configuration) -> None:
    whole = loaded.settings
    sections = (whole.server, whole.storage, whole.log, *whole.sources.values(), *whole.destinations.values())
    for section in sections:
        assert type(section)(**dict(section)) == section
    assert Settings(severities=whole.severities, services=whole.services).severities == whole.severities


def test_a_section_made_of_plain_text_hides_its_secret() -> None:
    made = HivelSettings.model_validate({"type": "hivel", "token": "canary"})
    assert made.token.reveal() == "canary"
    assert "canary" not in repr(made)
    with pytest.raises(ValidationError) as refused:
        HivelSettings.model_validate({"type": "hivel", "token": "canary", "proxy": "canary"})
    assert "canary" not in str(refused.value)


def test_no_text_form_of_a_configuration_holds_a_secret(loaded: Configuration) -> None:
    parts = loaded.settings
    for text in (repr(loaded), str(parts), repr(parts.model_dump()), parts.model_dump_json(), loaded.hash):
        assert "canary" not in text


def test_a_secret_where_it_does_not_belong_is_in_no_sentence_about_it(tmp_path: Path) -> None:
    main = MAIN.replace("token_file: hivel-token", "token: ${TOKEN}")
    rules = "rules: [{name: all, service: '${TOKEN}', send: [elven]}]\n"
    wrong = "tests: [{name: one, alert: {labels: {a: b}}, expect: {rule: 'a-${TOKEN}'}}]\n"
    environ = {"TOKEN": "hivel-s3cret-token"}

    astray, refused = mistakes(sample(tmp_path, main, rules + wrong), environ)

    assert (astray.field, refused.problem) == ("rules[0].service", 'there is no rule "a-***"')


@pytest.mark.parametrize(
    ("rules", "field"),
    [
        ("rules: [{name: 'a ${TOKEN}', send: [elven]}]", "rules[0].name"),
        ("rules: [{name: a, key: 'x/${TOKEN}/{{ fingerprint }}', send: [elven]}]", "rules[0].key"),
        ("rules: [{name: a, send: {elven: {tags: {hivel-s3cret-token: b}}}}]", ""),
        (
            "defaults: {send: {elven: {title: '${TOKEN}'}}}\nrules: [{name: a, send: [elven]}]",
            "defaults.send.elven.title",
        ),
        ("templates: {t: '${TOKEN}'}\nrules: [{name: a, key: '{{ t }}', send: [elven]}]", "templates.t"),
    ],
)
def test_a_secret_in_what_a_rule_says_is_refused(tmp_path: Path, rules: str, field: str) -> None:
    environ = {"TOKEN": "hivel-s3cret-token"}
    main = MAIN.replace("token_file: hivel-token", "token: ${TOKEN}")
    found = [
        problem
        for problem in mistakes(sample(tmp_path, main, rules), environ)
        if "holds a secret" in problem.problem
    ]
    assert found
    assert field in [problem.field for problem in found] or not field
    assert "s3cret" not in str(found)


def test_a_secret_that_is_a_mere_word_may_stand_in_a_rule_and_one_in_a_matcher_too(tmp_path: Path) -> None:
    main = MAIN.replace("token_file: hivel-token", "token: ${TOKEN}")
    rules = (
        "rules: [{name: payments, when: ['team = \"${TOKEN}\"'], send: [elven]}, {name: all, send: [elven]}]"
    )
    load(sample(tmp_path, main, rules), environ={"TOKEN": "payments"})
    load(sample(tmp_path, main, rules), environ={"TOKEN": "hivel-s3cret-token"})


def test_many_mistakes_in_several_files_are_all_reported_in_order(tmp_path: Path) -> None:
    main = (
        MAIN.replace("listen:", "lissten:")
        .replace("hivel-token", "absent")
        .replace("alertmanager ", "alertmanger ")
    )
    rules = (
        RULES.replace("=~", "=>")
        .replace("title:", "titel:")
        .replace("10m", "10 minutes")
        .replace("[elven]", "[elvn]")
    )
    path = sample(tmp_path, main, rules)
    found = mistakes(path)
    assert [
        (problem.file.removeprefix(f"{tmp_path}/"), problem.line, problem.field) for problem in found
    ] == [
        ("alertbridge.yaml", 2, "server.lissten"),
        ("alertbridge.yaml", 13, "sources.prod.type"),
        ("alertbridge.yaml", 27, "destinations.hivel.token_file"),
        ("rules.d/20-payments.yaml", 5, "rules[0].when[0]"),
        ("rules.d/20-payments.yaml", 9, "rules[0].reopen_window"),
        ("rules.d/20-payments.yaml", 12, "rules[0].send.elven.titel"),
        ("rules.d/20-payments.yaml", 23, "rules[2].send[0]"),
    ]
    assert str(found[3]).endswith(
        'rules.d/20-payments.yaml:5:18: rules[0].when[0]: unknown label matcher operator "=>"; did you mean "=~"?'
    )
    assert str(found[0]).endswith('alertbridge.yaml:2:3: server.lissten: unknown key; did you mean "listen"?')


def test_a_file_that_is_no_yaml_does_not_hide_the_others(tmp_path: Path) -> None:
    files = {"rules.d/1.yaml": "rules:\n\t- a", "rules.d/2.yaml": "", "rules.d/3.yaml": "rules: [{name: a}]"}
    found = mistakes(write(tmp_path, SMALL + "rules_files: [rules.d/*]\n", files))
    assert [problem.problem for problem in found] == [
        "a tab is used for indentation",
        "the file is empty",
        "the rule neither sends nor drops",
    ]


def test_a_main_file_that_is_absent_or_a_folder_is_named(tmp_path: Path) -> None:
    (absent,) = mistakes(tmp_path / "absent.yaml")
    (folder,) = mistakes(tmp_path)
    assert str(absent) == f"{tmp_path}/absent.yaml: the file does not exist; create it, or correct the path"
    assert folder.problem == "the file is a directory"


def test_rules_are_tried_inline_first_then_by_file(tmp_path: Path) -> None:
    main = (
        SMALL
        + "rules_files: [b/*.yaml, a/*.yaml, b/2.yaml]\n"
        + "rules: [{name: inline, when: team = inline, drop: true}]\n"
    )
    files = {
        f"{name}.yaml": f"rules: [{{name: {name}, when: team = {name}, drop: true}}]\n"
        for name in ("a/9", "b/10", "b/2")
    }
    loaded = load(write(tmp_path, main, files), environ={})
    assert [rule.name for rule in loaded.rulebook.rules] == ["inline", "b/10", "b/2", "a/9"]
    assert [rule.name for rule in loaded.settings.rules] == ["inline", "b/10", "b/2", "a/9"]


def test_what_stands_under_a_destination_goes_before_what_stands_on_the_rule(tmp_path: Path) -> None:
    rule = "{name: a, resend: never, unknown_resolved: ignore, send: {elven: {resend: severity}, hivel: {unknown_resolved: send}}}"
    (compiled,) = load(write(tmp_path, f"{SMALL}rules:\n  - {rule}\n"), environ={}).rulebook.rules
    assert (compiled.send["elven"].resend, compiled.send["elven"].unknown_resolved) == (
        Resend.SEVERITY,
        False,
    )
    assert (compiled.send["hivel"].resend, compiled.send["hivel"].unknown_resolved) == (Resend.NEVER, True)


def test_a_number_in_a_field_is_sent_as_it_is_written(tmp_path: Path) -> None:
    rule = "{name: a, send: {elven: {title: 1.10, tags: {version: 010, up: true}}, hivel: {affected_systems: [5e3]}}}"
    (compiled,) = load(write(tmp_path, f"{SMALL}rules:\n  - {rule}\n"), environ={}).rulebook.rules
    texts = re.findall(r"Template\(text='(.*?)'\)", repr(compiled.send))
    assert texts == ["1.10", "010", "true", "5e3"]


def test_a_pull_request_number_may_be_a_number_or_text(tmp_path: Path) -> None:
    services = "services: {a: {pr_number: 44}, b: {pr_number: '#45'}, 7: {pr_number: '!46'}}\n"
    loaded = load(write(tmp_path, SMALL + CATCH_ALL + services), environ={})
    assert {name: one.pr_number for name, one in loaded.settings.services.items()} == {
        "a": "44",
        "b": "45",
        "7": "46",
    }


def test_labels_that_are_numbers_can_be_explained(tmp_path: Path) -> None:
    loaded = load(write(tmp_path, SMALL + CATCH_ALL + "severities: {1: critical, no: LOW}\n"), environ={})
    assert loaded.settings.severities == {"1": Severity.CRITICAL, "no": Severity.LOW}


def test_sections_without_lines_count_as_absent(tmp_path: Path) -> None:
    loaded = load(write(tmp_path, SMALL + CATCH_ALL + "server:\nservices:\nrules_files:\n"), environ={})
    assert loaded.settings.server.listen == "127.0.0.1:9797"


def test_every_kind_of_value_may_come_from_the_environment(tmp_path: Path) -> None:
    main = """\
server: {listen: "127.0.0.1:${PORT}"}
sources:
  prod: {type: "${TYPE}"}
destinations:
  elven: {type: elven, url: "${URL}", concurrency: "${N}", collapse: "${SWITCH}", timeout: "${ABSENT:-3s}"}
rules:
  - {name: all, when: ["team = ${TEAM}"], send: [elven]}
"""
    environ = {
        "PORT": "1234",
        "TYPE": "alertmanager",
        "URL": "https://elven.example/canary-elven",
        "N": "7",
        "SWITCH": "true",
        "TEAM": "payments",
    }
    loaded = load(write(tmp_path, main), environ=environ)
    elven = loaded.settings.destinations["elven"]
    assert isinstance(elven, ElvenSettings)
    assert loaded.settings.server.port == 1234
    assert (elven.concurrency, elven.collapse, elven.timeout) == (7, True, timedelta(seconds=3))
    assert elven.url.reveal() == "https://elven.example/canary-elven"
    assert loaded.secrets == (Secret("https://elven.example/canary-elven"),)
    assert "canary" not in repr(loaded)


def test_an_unset_name_is_one_mistake_not_two(tmp_path: Path) -> None:
    main = SMALL.replace("hunter22", '"${TOKEN}"') + CATCH_ALL + "server: {max_body: '${SIZE}'}\n"
    assert [problem.problem for problem in mistakes(write(tmp_path, main))] == [
        "the environment variable TOKEN is not set",
        "the environment variable SIZE is not set",
    ]


def test_files_of_secrets_lie_in_the_credentials_directory_when_there_is_one(tmp_path: Path) -> None:
    credentials = tmp_path / "credentials"
    certificate, key = pair()
    files = {"hivel-token": "beside", "credentials/hivel-token": "from systemd", "credentials/key.pem": key}
    files["tls.crt"] = certificate
    main = SMALL.replace("token: hunter22", "token_file: hivel-token") + CATCH_ALL
    main += "server: {tls: {cert_file: tls.crt, key_file: key.pem}}\n"
    path = write(tmp_path, main, files)
    loaded = load(path, environ={"CREDENTIALS_DIRECTORY": str(credentials)})
    assert loaded.secrets[-1] == Secret("from systemd")
    assert loaded.secret_files == {"destinations.hivel.token": credentials / "hivel-token"}
    assert loaded.settings.server.tls is not None
    assert loaded.settings.server.tls.key_file == credentials / "key.pem"

    (credentials / "hivel-token").unlink()
    (absent,) = mistakes(path, {"CREDENTIALS_DIRECTORY": str(credentials)})
    assert absent.problem == f"{credentials}/hivel-token does not exist"
    assert absent.remedy == "create it, or correct the path"


def test_an_absolute_path_of_a_secret_stays_where_it_is(tmp_path: Path) -> None:
    path = write(
        tmp_path,
        SMALL.replace("token: hunter22", f"token_file: {tmp_path}/token") + CATCH_ALL,
        {"token": "there"},
    )
    assert load(path, environ={"CREDENTIALS_DIRECTORY": "/nowhere"}).secrets[-1] == Secret("there")


@pytest.mark.parametrize(
    "pasted", ["https://elven.example/hooks/5f1d7a2e9c", "ghp_16C7e42F292c6912E7710c838347Ae178B4a"]
)
def test_a_secret_that_was_pasted_where_its_path_belongs_is_shown_nowhere(
    tmp_path: Path, pasted: str
) -> None:
    main = MAIN.replace("hivel-token", pasted)
    rules = f"tests: [{{name: one, alert: {{labels: {{a: b}}}}, expect: {{rule: 'a-{pasted}'}}}}]\n"
    with pytest.raises(UnusableConfigurationError) as raised:
        load(sample(tmp_path, main, RULES + rules), environ={})
    assert Secret(pasted) in raised.value.secrets
    found = [problem for problem in raised.value.problems if problem.field == "destinations.hivel.token_file"]
    assert [problem.remedy for problem in found] == ["write it into a file, and the path of that file here"]
    assert pasted not in str(raised.value.problems)


@pytest.mark.parametrize("path", ["hivel-tokens", "/etc/alertbridge/hivel-2026-11", "./tokens/hivel-2026-11"])
def test_a_path_that_leads_nowhere_is_shown(tmp_path: Path, path: str) -> None:
    (found,) = mistakes(sample(tmp_path, MAIN.replace("hivel-token", path) + "\n"), {})
    assert path.removeprefix("./") in found.problem


def test_a_secret_of_the_wrong_kind_is_a_mistake_where_its_file_is_named(tmp_path: Path) -> None:
    main = "destinations:\n  elven:\n    type: elven\n    url_file: elven-url\n"
    (found,) = mistakes(write(tmp_path, main, {"elven-url": "ftp://canary/canary"}))
    assert (found.line, found.field) == (4, "destinations.elven.url_file")
    assert found.problem == "expected a URL with http or https"


def digest(
    folder: Path, main: str = MAIN, rules: str = RULES, environ: Mapping[str, str] | None = None
) -> str:
    return load(sample(folder, main, rules), environ=environ or {}).hash


def test_the_hash_names_what_decides_and_nothing_else(tmp_path: Path) -> None:
    first, second = tmp_path / "first", tmp_path / "second"
    first.mkdir()
    second.mkdir()
    known = digest(first)
    assert digest(second) == known
    assert digest(first, MAIN + "# a comment\n") == known
    (first / "hivel-token").write_text("another secret")
    assert load(first / "alertbridge.yaml", environ={}).hash == known
    assert digest(first, rules=RULES.replace("10m", "11m")) != known
    assert digest(first, MAIN.replace("page: critical", "page: high")) != known
    (second / "rules.d" / "20-payments.yaml").rename(second / "rules.d" / "30-payments.yaml")
    assert load(second / "alertbridge.yaml", environ={}).hash == known
    variable = RULES.replace("team = payments", "team = ${TEAM}")
    assert digest(first, rules=variable, environ={"TEAM": "a"}) != digest(
        first, rules=variable, environ={"TEAM": "b"}
    )


def test_an_inline_secret_does_not_change_the_hash(tmp_path: Path) -> None:
    hashes = {
        load(write(tmp_path, SMALL.replace("hunter22", token) + CATCH_ALL), environ={}).hash
        for token in ("hunter22", "hunter33")
    }
    assert len(hashes) == 1


@pytest.mark.parametrize(
    ("main", "warned"),
    [
        (SMALL + CATCH_ALL, []),
        (SMALL, ["rules: there is no rule"]),
        (
            SMALL + "rules: [{name: a, when: [b = c], drop: true}]\n",
            ["rules[0]: no rule matches every alert"],
        ),
        (
            SMALL + "rules: [{name: a, set: {labels: {b: c}}}]\n",
            ["rules[0]: no rule matches every alert"],
        ),
        (
            SMALL + "rules: [{name: a, active: {days: mon-sun}, drop: true}]\n",
            ["rules[0]: no rule matches every alert"],
        ),
        (
            SMALL + CATCH_ALL + "server: {listen: '0.0.0.0:9797'}\n",
            ["server.admin_token: without a token", "sources.prod: anyone who reaches the port"],
        ),
        (
            SMALL + CATCH_ALL + "server: {listen: '0.0.0.0:9797', admin_token: hunter22}\n",
            ["sources.prod: anyone who reaches the port"],
        ),
        (
            SMALL.replace("alertmanager}", "alertmanager, auth: {bearer_token: hunter22}}")
            + CATCH_ALL
            + "server: {listen: '[::]:9797', admin_token: hunter22}\n",
            [],
        ),
        (SMALL + CATCH_ALL + "server: {listen: 'localhost:0'}\n", []),
        (SMALL + CATCH_ALL + "server: {listen: '[::1]:0'}\n", []),
        (
            "rules: [{name: a, drop: true}]\n",
            ["sources: there is no source", "destinations: there is no destination"],
        ),
    ],
)
def test_what_works_and_is_still_odd_is_a_warning(tmp_path: Path, main: str, warned: list[str]) -> None:
    warnings = load(write(tmp_path, main), environ={}).warnings
    assert len(warnings) == len(warned)
    for expected in warned:
        assert any(expected in str(warning) for warning in warnings)
    for warning in warnings:
        assert warning.level == "warning"
        assert warning.remedy


CANARIES = """\
server: {admin_token: canary-1, admin_token_file: x}
storage: {url: "postgresql://canary:canary@db/x"}
sources:
  a: {type: alertmanager, auth: canary-2}
  b: {type: alertmanager, auth: {bearer_token:canary-3}}
  c: {type: alertmanager, auth: {bearer_tokn: canary-4}}
  d: {type: alertmanager, auth: {basic: {username: "canary:5", password: [canary-5]}}}
  e: {type: alertmanager, auth: [canary-6]}
  f: {type: canary-7, auth: {bearer_token: canary-7}}
  g: {type: alertmanager, auth: {hmac: {header: "canary 8", secret: "canary\\ncanary"}}}
  h: {type: alertmanager, auth: {"canary-canary-canary-canary-canary-canary-9"}}
  i: {type: alertmanager, auth: {bearer_token_file: canaries}}
destinations:
  a: {type: elven, url: canary-10}
  b: {type: elven, url: "https://canary elven/canary"}
  c: {type: elven, url: "https://elven:canary/canary"}
  d: {type: elven, url: {canary: canary}}
  e: {type: elven, url_file: elven-url}
  f: {type: hivel, token: "${CANARY}", base_url: "https://canary:canary@hivel.example"}
  g: {type: hivel, token: canary-11, token_file: hivel-token}
  h: {type: hivel, tokn: canary-12, auth_header: "Bearer canary-13"}
  i: {type: hivel, token: x, proxy: "canary://canary:canary@proxy"}
  j: {type: hivel, token: "${CANARY", severities: {"canary": "canary"}}
"""


def test_no_message_ever_holds_a_secret(tmp_path: Path) -> None:
    files = {
        "canaries": "canary-a\ncanary-b\n",
        "elven-url": "ftp://canary/canary\n",
        "hivel-token": "canary",
    }
    found = mistakes(write(tmp_path, CANARIES, files), {"CANARY": "canary\ncanary"})
    fields = "\n".join(problem.field for problem in found)
    for name in "abcdeghi":
        assert f"sources.{name}" in fields
    for name in "abcdefghij":
        assert f"destinations.{name}" in fields
    for problem in found:
        text = str(problem).replace("/canaries", "").replace("severities.canary", "").replace("CANARY", "")
        assert "canary" not in text
        assert "canary" not in repr(problem).replace("/canaries", "").replace("severities.canary", "")


def nodes(data: object, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    below = data.items() if isinstance(data, dict) else enumerate(data) if isinstance(data, list) else ()
    return [path, *(found for key, value in below for found in nodes(value, (*path, key)))]


TREE = yaml.safe_load(MAIN) | yaml.safe_load(RULES)
ODD: st.SearchStrategy[Any] = st.sampled_from(
    [
        None,
        True,
        0,
        -1,
        1.5,
        "",
        "x",
        "{{",
        "{% x",
        "${",
        "${X}",
        "*",
        [],
        [[]],
        {},
        {"x": 1},
        [None],
        {"": ""},
        "a" * 300,
    ]
)


@given(st.lists(st.tuples(st.sampled_from(nodes(TREE)[1:]), ODD), min_size=1, max_size=3))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=60)
def test_whatever_stands_in_a_file_is_understood_or_refused_with_remedies(
    tmp_path: Path, changes: list[tuple[tuple[Any, ...], Any]]
) -> None:
    tree = yaml.safe_load(MAIN) | yaml.safe_load(RULES)
    del tree["rules_files"]
    for steps, odd in changes:
        with contextlib.suppress(
            KeyError, IndexError, TypeError
        ):  # an earlier change may have taken the place away
            place = tree
            for step in steps[:-1]:
                place = place[step]
            place[steps[-1]] = odd
    sample(tmp_path)
    path = write(tmp_path, yaml.safe_dump(tree, sort_keys=False))
    try:
        load(path, environ={})
    except ConfigurationError as refused:
        for problem in refused.problems:
            assert problem.line > 0, problem
            assert problem.column > 0, problem
            assert problem.problem, problem
            assert problem.remedy, problem
