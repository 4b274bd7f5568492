"""Every mistake is reported with file, line, field, problem and remedy, all of them at once."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import pytest

from alertbridge.config.load import load
from alertbridge.errors import ConfigurationError, Problem

GOOD = """\
sources:
  prod: {type: alertmanager}
destinations:
  elven: {type: elven, url: "https://elven.example/hook"}
  hivel: {type: hivel, token: hunter22}
"""


def mistakes(folder: Path, **files: str) -> tuple[Problem, ...]:
    """What is wrong with a main file (`main`) and rule files beside it, by name."""
    for name, text in files.items():
        (folder / f"{name}.yaml").write_text(text, encoding="utf-8")
    with pytest.raises(ConfigurationError) as refused:
        load(folder / "main.yaml", environ={})
    assert refused.value.__cause__ is None
    assert refused.value.__context__ is None
    return refused.value.problems


class Case(NamedTuple):
    text: str
    line: int
    field: str
    problem: str
    remedy: str


SECTIONS = [
    Case("server:\n  lissten: 127.0.0.1:1\n", 2, "server.lissten", "unknown key", 'did you mean "listen"?'),
    Case("server: {listen: 9797}\n", 1, "server.listen", "an address and a port", "127.0.0.1:9797"),
    Case("server: {listen: 'a:99999'}\n", 1, "server.listen", "not an address and a port", "[::1]:9797"),
    Case("server: {listen: '::1:9797'}\n", 1, "server.listen", "not an address and a port", "[::1]:9797"),
    Case("server: [a]\n", 1, "server", "expected a mapping, got a list", "key: value"),
    Case("server: {max_body: 16M}\n", 1, "server.max_body", "unknown unit", "16MiB"),
    Case("server: {drain_timeout: 30}\n", 1, "server.drain_timeout", "needs a unit", "write 30s"),
    Case("server: {drain_timeout: 0s}\n", 1, "server.drain_timeout", "longer than 0s", "10s"),
    Case("server: {admin_token: a1b2, admin_token_file: x}\n", 1, "server.admin_token", "both", "keep one"),
    Case("server: {admin_token: 1234}\n", 1, "server.admin_token", "expected text, got a number", "quotes"),
    Case("server: {admin_token: }\n", 1, "server.admin_token", "got nothing", "remove the line"),
    Case("server: {admin_token_file: }\n", 1, "server.admin_token_file", "got nothing", "remove the line"),
    Case("server: {admin_token: ''}\n", 1, "server.admin_token", "holds nothing", "one line"),
    Case("storage: {url: 'postgresql://u:p@h/d'}\n", 1, "storage.url", "not supported yet", "sqlite:////"),
    Case("storage: {url: /var/x.db}\n", 1, "storage.url", "not the URL of a database", "sqlite:////"),
    Case("storage: {url: 'sqlite:///:memory:'}\n", 1, "storage.url", "in memory", "sqlite:////"),
    Case("storage: {retention: {events: 3 days}}\n", 1, "storage.retention.events", "not a duration", "7d"),
    Case("log:\n  level: inof\n", 2, "log.level", "not one of the words", 'did you mean "info"?'),
    Case("log: {format: xml}\n", 1, "log.format", "not one of the words", "json, console"),
    Case("weather: []\n", 1, "weather", "unknown key", "known keys: server"),
    Case(
        "severities: {page: critcal}\n",
        1,
        "severities.page",
        "not one of the words",
        'did you mean "critical"?',
    ),
    Case("severities: {Page: low, page: high}\n", 1, "severities", "twice", "keep one"),
    Case("services: {a: {repo_url: nowhere}}\n", 1, "services.a.repo_url", "not a repository", "https://"),
    Case("services: {a: {pr_number: main}}\n", 1, "services.a.pr_number", "not the number", "44"),
    Case("services: {a: {pr_number: true}}\n", 1, "services.a.pr_number", "not the number", "44"),
    Case(
        "services: {a: {affected_systems: b}}\n",
        1,
        "services.a.affected_systems",
        "expected a list",
        "brackets",
    ),
    Case("rules_files: rules.d\n", 1, "rules_files", "expected a list, got text", "brackets"),
    Case("rules_files:\n  - nowhere/*.yaml\n", 2, "rules_files[0]", "no file matches", "remove the pattern"),
    Case('rules_files: ["a\\0b"]\n', 1, "rules_files[0]", "no file matches", "remove the pattern"),
    Case("rules_files: [[a]]\n", 1, "rules_files[0]", "expected text, got a list", "one piece of text"),
    Case("rules_files: ['*.yaml']\n", 1, "rules_files[0]", "matches the main file itself", "rules.d/*.yaml"),
    Case(
        "rules_files: ['${ABSENT}/*.yaml']\n", 1, "rules_files[0]", "ABSENT is not set", "${ABSENT:-default}"
    ),
    Case(
        "tests:\n  - alert: {labels: {a: b}}\n    expect: {unmatched: true}\n",
        2,
        "tests[0].name",
        "missing",
        "add for example `name: ",
    ),
    Case("tests: [a]\n", 1, "tests[0]", "expected a mapping, got text", "key: value"),
    Case("lookup:\n  owners: {by: service}\n", 2, "lookup.owners.file", "missing", "file: owners.csv"),
    Case("lookup:\n  owners: {file: x.csv}\n", 2, "lookup.owners.by", "missing", "by: service"),
    Case("lookup: [a]\n", 1, "lookup", "expected a mapping, got a list", "key: value"),
    Case("lookup: {owners: x.csv}\n", 1, "lookup.owners", "expected a mapping, got text", "key: value"),
    Case(
        "lookup:\n  owners:\n    by: service\n    file: no.csv\n",
        4,
        "lookup.owners.file",
        "no.csv does not exist",
        "create it",
    ),
    Case("lookup: {owners: {file: x.txt, by: a}}\n", 1, "lookup.owners.file", "CSV or YAML", ".csv, .yaml"),
    Case("server: {}\nserver: {}\n", 2, "server", "already on line 1", "keep one"),
]

SOURCE_AND_DESTINATION = [
    Case("sources: {prod: {type: alertmanger}}\n", 1, "sources.prod.type", "unknown type", 'did you mean "alertmanager"?'),
    Case("sources: {prod: {type: nagios}}\n", 1, "sources.prod.type", "unknown type", "known types: alertmanager"),
    Case("sources: {prod: {stale_window: 1s}}\n", 1, "sources.prod.type", "type is missing", "known types: alertmanager"),
    Case("sources: {prod: {type: [a]}}\n", 1, "sources.prod.type", "must be text", "known types: alertmanager"),
    Case("sources: {prod: }\n", 1, "sources.prod", "expected a mapping, got nothing", "remove the line"),
    Case("sources: {a/b: {type: alertmanager}}\n", 1, 'sources["a/b"]', "in a URL", "letters"),
    Case("sources:\n  prod:\n    type: alertmanager\n    auth: {}\n", 4, "sources.prod.auth", "no way to authenticate", "exactly one"),
    Case(
        "sources:\n  prod:\n    type: alertmanager\n    auth:\n      bearer_token: a1b2\n      hmac: {header: X-S, secret: a1b2}\n",
        4, "sources.prod.auth", "more than one way", "exactly one",
    ),
    Case("sources: {a: {type: alertmanager, auth: {basic: {username: b}}}}\n", 1, "sources.a.auth.basic.password", "secret is missing", "password_file"),
    Case("sources: {a: {type: alertmanager, auth: {hmac: {header: 'X Y', secret: abcd}}}}\n", 1, "sources.a.auth.hmac.header", "not the name of a header", "X-Grafana"),
    Case("sources: {a: {type: alertmanager, auth: {bearer_token:abcd}}}\n", 1, "sources.a.auth.bearer_token", "no space after the colon", "key: value"),
    Case("sources: {a: {type: alertmanager, allow_from: [10.0.0.1/8]}}\n", 1, "sources.a.allow_from[0]", "bits set", "did you mean 10.0.0.0/8?"),
    Case("sources: {a: {type: alertmanager, allow_from: [here]}}\n", 1, "sources.a.allow_from[0]", "not a network", "10.0.0.0/8"),
    Case("destinations:\n  a:\n    type: hivl\n", 3, "destinations.a.type", "unknown type", 'did you mean "hivel"? known types: elven, hivel'),
    Case("destinations:\n  a:\n    type: hivel\n", 2, "destinations.a.token", "secret is missing", "token_file"),
    Case("destinations:\n  a:\n    type: hivel\n    token_file: no\n", 4, "destinations.a.token_file", "no does not exist", "create it"),
    Case("destinations: {a: {type: elven, url: ftp://x}}\n", 1, "destinations.a.url", "http or https", "whole"),
    Case("destinations: {a: {type: elven, url: 'https:///x'}}\n", 1, "destinations.a.url", "names no host", "whole"),
    Case("destinations: {a: {type: elven, url: 'https://x/a b'}}\n", 1, "destinations.a.url", "a space", "copy it again"),
    Case("destinations: {a: {type: elven, url: 'https://x', extra_fields: {action: x}}}\n", 1, "destinations.a.extra_fields", "set by alertbridge", "remove it"),
    Case("destinations: {a: {type: elven, url: 'https://x', extra_fields: {b: [x]}}}\n", 1, "destinations.a.extra_fields.b", "got a list", "text"),
    Case("destinations: {a: {type: elven, url: 'https://x', extra_fields: {b: .nan}}}\n", 1, "destinations.a.extra_fields.b", "no such number", "finite"),
    Case("destinations: {a: {type: elven, url: 'https://x', concurrency: 65}}\n", 1, "destinations.a.concurrency", "too large", "at most 64"),
    Case("destinations: {a: {type: elven, url: 'https://x', concurrency: 0}}\n", 1, "destinations.a.concurrency", "too small", "at least 1"),
    Case("destinations: {a: {type: elven, url: 'https://x', concurrency: 1.5}}\n", 1, "destinations.a.concurrency", "whole number", "whole number"),
    Case("destinations: {a: {type: elven, url: 'https://x', collapse: yes}}\n", 1, "destinations.a.collapse", "true or false", "true or false"),
    Case("destinations: {a: {type: elven, url: 'https://x', rate_limit: {requests: 5}}}\n", 1, "destinations.a.rate_limit.per", "missing", "per: 5m"),
    Case("destinations: {a: {type: elven, url: 'https://x', rate_limit: {requests: 5, per: 1m, burst: 6}}}\n", 1, "destinations.a.rate_limit", "burst is larger", "at most 5"),
    Case("destinations: {a: {type: hivel, token: abcd, auth_header: X-Api}}\n", 1, "destinations.a.auth_header", "not one of the words", 'did you mean "X-API-Token"?'),
    Case("destinations: {a: {type: hivel, token: abcd, base_url: app.hivel.ai}}\n", 1, "destinations.a.base_url", "http or https", "whole"),
    Case("destinations: {a: {type: hivel, token: abcd, base_url: 'https://u:p@x'}}\n", 1, "destinations.a.base_url", "holds credentials", "remove them"),
    Case("destinations: {a: {type: hivel, token: abcd, base_url: 'https://x?y=z'}}\n", 1, "destinations.a.base_url", "a query", "only scheme"),
    Case("destinations: {a: {type: hivel, token: abcd, path: api}}\n", 1, "destinations.a.path", "not the path", "/api/hooks"),
    Case("destinations: {a: {type: hivel, token: abcd, severities: {medium: x}}}\n", 1, "destinations.a.severities.medium", "not one of the words", "critical"),
    Case("destinations: {a: {type: hivel, token: abcd, proxy: nowhere}}\n", 1, "destinations.a.proxy", "http or https", "whole"),
    Case("destinations: {a: {type: hivel, token: abcd, source_address: eth0}}\n", 1, "destinations.a.source_address", "not an IP address", "192.0.2.7"),
    Case("destinations: {a: {type: hivel, token: abcd, ca_file: /}}\n", 1, "destinations.a.ca_file", "is a directory", "path of a file"),
    Case("destinations: {a: {type: hivel, token: abcd, max_age: '${AGE}'}}\n", 1, "destinations.a.max_age", "AGE is not set", "${AGE:-default}"),
]  # fmt: skip

RULES = [
    Case("  - send: [elven]\n", 2, "rules[0].name", "missing", "add for example"),
    Case("  - a\n", 2, "rules[0]", "expected a mapping, got text", "key: value"),
    Case("  - name: a\n", 2, "rules[0]", "neither sends nor drops", "drop: true"),
    Case("  - {name: a, send: [elven], drop: true}\n", 2, "rules[0]", "both sends and drops", "remove either"),
    Case("  - {name: a, drop: true}\n  - {name: a, drop: true}\n", 3, "rules[1].name", "main.yaml:2", "rename"),
    Case("  - name: a\n    send: [elvn]\n", 3, "rules[0].send[0]", 'no destination "elvn"', 'did you mean "elven"?'),
    Case("  - name: a\n    send:\n      pager:\n", 4, "rules[0].send.pager", 'no destination "pager"', "known destinations: elven, hivel"),
    Case("  - name: a\n    send: elven\n", 3, "rules[0].send", "got text", "brackets"),
    Case("  - name: a\n    send:\n      - elven: {title: x}\n", 3, "rules[0].send", "not a destination's name", "as a mapping"),
    Case("  - name: a\n    send: {elven: critical}\n", 3, "rules[0].send.elven", "expected a mapping, got text", "key: value"),
    Case("  - name: a\n    send:\n      elven:\n        titel: x\n", 5, "rules[0].send.elven.titel", "unknown field", 'did you mean "title"? known fields: title, description, tags'),
    Case("  - name: a\n    send:\n      hivel:\n        title: x\n", 5, "rules[0].send.hivel.title", "unknown field", "known fields: description, affected_systems"),
    Case("  - name: a\n    send: {elven: {title: [x]}}\n", 3, "rules[0].send.elven.title", "expected text, got a list", "one piece of text"),
    Case("  - name: a\n    send: {elven: {title: }}\n", 3, "rules[0].send.elven.title", "expected text, got nothing", "remove the line"),
    Case("  - name: a\n    send: {elven: {tags: [x]}}\n", 3, "rules[0].send.elven.tags", "expected a mapping, got a list", "labels"),
    Case("  - name: a\n    send: {elven: {tags: {a: {b: c}}}}\n", 3, "rules[0].send.elven.tags.a", "expected text, got a mapping", "one piece"),
    Case("  - name: a\n    send: {hivel: {affected_systems: {a: b}}}\n", 3, "rules[0].send.hivel.affected_systems", "got a mapping", "one piece"),
    Case("  - name: a\n    send: {hivel: {affected_systems: [a, [b]]}}\n", 3, "rules[0].send.hivel.affected_systems[1]", "got a list", "one piece"),
    Case("  - name: a\n    send: {elven: {severity: criticl}}\n", 3, "rules[0].send.elven.severity", "unknown severity", 'did you mean "critical"?'),
    Case("  - name: a\n    send: {elven: {severity: '{{ lables.x }}'}}\n", 3, "rules[0].send.elven.severity", "lables", "labels"),
    Case("  - name: a\n    send: {elven: {resend: changes}}\n", 3, "rules[0].send.elven.resend", "not one of the words", 'did you mean "change"?'),
    Case("  - name: a\n    send: [elven]\n    resend: always\n", 4, "rules[0].resend", "not one of the words", "never, severity, change"),
    Case("  - name: a\n    send: [elven]\n    unknown_resolved: drop\n", 4, "rules[0].unknown_resolved", "not one of the words", "send, ignore"),
    Case("  - name: a\n    drop: true\n    when:\n", 4, "rules[0].when", "nothing stands here", "every alert"),
    Case("  - name: a\n    drop: true\n    when:\n      - severity => x\n", 5, "rules[0].when[0]", '"=>"', 'did you mean "=~"?'),
    Case("  - name: a\n    drop: true\n    when:\n      - any: [b = c, 'd =~ \"(\"']\n", 5, "rules[0].when[0].any[1]", "parenthes", "close"),
    Case("  - name: a\n    drop: true\n    when: [{or: [a = b]}]\n", 4, "rules[0].when[0]", "or", 'did you mean "any"?'),
    Case("  - name: a\n    send: [elven]\n    key: '{{ annotations.x }}'\n", 4, "rules[0].key", "identity", "labels"),
    Case("  - name: a\n    send: [elven]\n    service: '{{ annotations.x }}'\n", 4, "rules[0].service", "identity", "labels"),
    Case("  - name: a\n    send: [elven]\n    key: '{{ labels.x '\n", 4, "rules[0].key", "template syntax", "a value is written {{"),
    Case("  - name: a\n    send: [elven]\n    key: 5\n", 4, "rules[0].key", "expected text, got a number", "quotes"),
    Case("  - name: a\n    send: [elven]\n    continue: on\n", 4, "rules[0].continue", "true or false", "true or false"),
    Case("  - name: a\n    send: [elven]\n    reopen_windo: 5m\n", 4, "rules[0].reopen_windo", "unknown key", 'did you mean "reopen_window"?'),
    Case("  - name: a\n    send: [elven]\n    min_duration: 5\n", 4, "rules[0].min_duration", "needs a unit", "write 5s"),
    Case("  - {name: a, set: {labels: {b: c}}, drop: true}\n", 2, "rules[0]", "sets values and drops", "remove either"),
    Case("  - {name: a, set: {labels: {b: c}}, continue: false}\n", 2, "rules[0]", "always continues", "remove `continue: false`"),
    Case("  - name: a\n    set: {}\n    send: [elven]\n", 3, "rules[0].set", "nothing is set", "labels: {team: payments}"),
    Case("  - name: a\n    set: {lables: {a: b}}\n    send: [elven]\n", 3, "rules[0].set.lables", "unknown key", 'did you mean "labels"?'),
    Case("  - name: a\n    set: {labels: [team]}\n    send: [elven]\n", 3, "rules[0].set.labels", "expected a mapping, got a list", "key: value"),
    Case("  - name: a\n    set:\n      labels:\n        team: [x]\n", 5, "rules[0].set.labels.team", "expected text, got a list", "one piece"),
    Case("  - name: a\n    set:\n      labels:\n        team:\n", 5, "rules[0].set.labels.team", "expected text, got nothing", "remove the line"),
    Case("  - name: a\n    set:\n      labels:\n        team: '{{ annotations.x }}'\n", 5, "rules[0].set.labels.team", "identity only, because annotations", "use fingerprint"),
    Case("  - name: a\n    set: {annotations: {x: '{{ lables.x }}'}}\n", 3, "rules[0].set.annotations.x", "unknown name lables", "did you mean labels?"),
    Case("  - name: a\n    set: {labels: {team: '{{ lookup.owners.team }}'}}\n", 3, "rules[0].set.labels.team", 'no table "owners"', "known tables: none"),
    Case("  - name: a\n    drop: true\n    active:\n", 4, "rules[0].active", "a mapping or a list, got nothing", "remove the line"),
    Case("  - name: a\n    drop: true\n    active: []\n", 4, "rules[0].active", "there is no window", "add one"),
    Case("  - name: a\n    drop: true\n    active: night\n", 4, "rules[0].active", "a mapping or a list, got text", "a mapping or a list"),
    Case("  - name: a\n    drop: true\n    active: {timezone: UTC}\n", 4, "rules[0].active", "neither days nor hours", "add `days:` or `hours:`"),
    Case("  - name: a\n    drop: true\n    active:\n      days: mon-frd\n", 5, "rules[0].active.days", "not a day", 'did you mean "fri"?'),
    Case("  - name: a\n    drop: true\n    active:\n      days: [sat, weekend]\n", 5, "rules[0].active.days[1]", "not a day", "mon-fri, sat or fri-mon"),
    Case("  - name: a\n    drop: true\n    active:\n      days: []\n", 5, "rules[0].active.days", "the list is empty", "remove the line"),
    Case("  - name: a\n    drop: true\n    active:\n      - days: [sat]\n      - days: [5]\n", 6, "rules[0].active[1].days[0]", "expected text, got a number", "quotes"),
    Case("  - name: a\n    drop: true\n    active:\n      - dyas: [sat]\n        days: [sun]\n", 5, "rules[0].active[0].dyas", "unknown key", 'did you mean "days"?'),
    Case("  - name: a\n    drop: true\n    active:\n      huors: 08:00-12:00\n      days: sat\n", 5, "rules[0].active.huors", "unknown key", 'did you mean "hours"?'),
    Case("  - name: a\n    drop: true\n    active: {hours: 8-18}\n", 4, "rules[0].active.hours", "not hours", "08:00-18:00"),
    Case("  - name: a\n    drop: true\n    active: {hours: [{from: 8}]}\n", 4, "rules[0].active.hours[0]", "expected text, got a mapping", "one piece"),
    Case("  - name: a\n    drop: true\n    active: {hours: 08:00-24:01}\n", 4, "rules[0].active.hours", "no such time", "18:00-24:00"),
    Case("  - name: a\n    drop: true\n    active: {hours: [08:60-09:00]}\n", 4, "rules[0].active.hours[0]", "no such time", "08:00-18:00"),
    Case("  - name: a\n    drop: true\n    active: {hours: 24:00-06:00}\n", 4, "rules[0].active.hours", "begin before 24:00", "the day after"),
    Case("  - name: a\n    drop: true\n    active: {hours: 08:00-08:00}\n", 4, "rules[0].active.hours", "end as they begin", "00:00-24:00"),
    Case("  - name: a\n    drop: true\n    active:\n      days: sat\n      timezone: Europe/berlin\n", 6, "rules[0].active.timezone", "not a time zone", 'did you mean "Europe/Berlin"?'),
    Case("  - name: a\n    drop: true\n    active: {days: sat, timezone: Europe}\n", 4, "rules[0].active.timezone", "not a time zone", "Europe/"),
    Case("  - name: a\n    drop: true\n    active: {days: sat, timezone: ../x}\n", 4, "rules[0].active.timezone", "not a time zone", "UTC"),
    Case("  - name: a\n    send: [elven]\n    service: {{ labels.app }}\n", 4, "rules[0].service", "without quotes", "in quotes"),
]  # fmt: skip


DEFAULTS = [
    Case("defaults: [a]\n", 1, "defaults", "expected a mapping, got a list", "key: value"),
    Case("defaults:\n  reopen_windo: 5m\n", 2, "defaults.reopen_windo", "unknown key", 'did you mean "reopen_window"?'),
    Case("defaults:\n  drop: true\n", 2, "defaults.drop", "unknown key", "known keys: key, service, continue"),
    Case("defaults: {when: a = b}\n", 1, "defaults.when", "unknown key", "known keys: key, service, continue"),
    Case("defaults: {name: a}\n", 1, "defaults.name", "unknown key", "known keys: key, service, continue"),
    Case("defaults:\n  key: '{{ annotations.x }}'\n", 2, "defaults.key", "identity", "labels"),
    Case("defaults:\n  key: 5\n", 2, "defaults.key", "expected text, got a number", "quotes"),
    Case("defaults:\n  service: '{{ service }}'\n", 2, "defaults.service", "not known here yet", "labels"),
    Case("defaults:\n  continue: on\n", 2, "defaults.continue", "true or false", "true or false"),
    Case("defaults:\n  reopen_window: 5\n", 2, "defaults.reopen_window", "needs a unit", "write 5s"),
    Case("defaults:\n  min_duration: 5 minutes\n", 2, "defaults.min_duration", "not a duration", "30s"),
    Case("defaults:\n  resend: always\n", 2, "defaults.resend", "not one of the words", "never, severity"),
    Case("defaults:\n  unknown_resolved: drop\n", 2, "defaults.unknown_resolved", "not one of the words", "send, ignore"),
    Case("defaults:\n  send: [elven]\n", 2, "defaults.send", "rules say where they send", "the fields below it"),
    Case("defaults:\n  send:\n    pager: {title: x}\n", 3, "defaults.send.pager", 'no destination "pager"', "known destinations: elven, hivel"),
    Case("defaults:\n  send:\n    elven:\n", 3, "defaults.send.elven", "expected a mapping, got nothing", "remove the line"),
    Case("defaults:\n  send:\n    elven:\n      titel: x\n", 4, "defaults.send.elven.titel", "unknown field", 'did you mean "title"?'),
    Case("defaults:\n  send:\n    elven:\n      tags: [x]\n", 4, "defaults.send.elven.tags", "got a list", "labels"),
    Case("defaults:\n  send:\n    elven:\n      tags: {a: '{{ nmae }}'}\n", 4, "defaults.send.elven.tags.a", "unknown name nmae", "there are"),
    Case("defaults:\n  send:\n    elven: {severity: criticl}\n", 3, "defaults.send.elven.severity", "unknown severity", 'did you mean "critical"?'),
    Case("defaults:\n  send:\n    hivel: {resend: always}\n", 3, "defaults.send.hivel.resend", "not one of the words", "never, severity"),
]  # fmt: skip

TEMPLATES = [
    Case("templates: [a]\n", 1, "templates", "expected a mapping, got a list", "key: value"),
    Case("templates:\n  my-title: x\n", 2, "templates.my-title", "not a name that can stand", "letters, digits and _"),
    Case("templates:\n  a: 5\n", 2, "templates.a", "expected text, got a number", "quotes"),
    Case("templates:\n  a:\n", 2, "templates.a", "expected text, got nothing", "remove the line"),
    Case("templates:\n  a: ''\n", 2, "templates.a", "the text is empty", "give it a value"),
    Case("templates:\n  a: '{{ labels.x '\n", 2, "templates.a", "template syntax", "a value is written"),
    Case("templates:\n  a: '{{ lables.x }}'\n", 2, "templates.a", "unknown name lables", "did you mean labels?"),
    Case("templates:\n  a: x\n  b: '{{ templates.c }}'\n", 3, "templates.b", "there is no template c", "there are a, b"),
    Case("templates:\n  title: x\n  b: '{{ templates.titel }}'\n", 3, "templates.b", "there is no template titel", "did you mean title?"),
    Case("templates:\n  a: '{{ templates.a }}'\n", 2, "templates.a", "uses itself", "take one of these uses out"),
    Case("templates:\n  u: '{{ templates.b }}'\n  a: '{{ templates.b }}'\n  b: '{{ templates.c }}'\n  c: '{{ templates.a }}'\n", 3, "templates.a", "uses itself by way of templates.b, templates.c", "take one"),
    Case("templates:\n  a: \"{{ labels.x | regex_replace('(a+)+', '') }}\"\n", 2, "templates.a", "catastrophic pattern", "write a+"),
    Case("templates:\n  a: \"{{ starts_at | localtime('Europe/Berln') }}\"\n", 2, "templates.a", "no such time zone", "Europe/Berlin"),
    Case("templates:\n  a: \"{{ labels.x | severity('hgih') }}\"\n", 2, "templates.a", "no known severity", "did you mean high?"),
    Case("templates:\n  a: '{{ annotations.x }}'\n  b: '{{ templates.a }}'\ndefaults:\n  key: '{{ templates.b }}'\n", 5, "defaults.key", "templates.b, which uses templates.a, which uses annotations", "use fingerprint"),
]  # fmt: skip

# Many rules have what the defaults say, which is no reason to say it often.
TWO_RULES = """\
rules:
  - {name: a, when: a = b, send: [elven, hivel]}
  - {name: b, send: {elven: {tags: {b: c}}, hivel: }}
"""


def check(found: Problem, case: Case) -> None:
    assert (found.line, found.field) == (case.line, case.field), str(found)
    assert found.column > 0
    assert case.problem in found.problem
    assert case.remedy in found.remedy
    assert found.level == "error"


@pytest.mark.parametrize("case", SECTIONS + SOURCE_AND_DESTINATION, ids=str)
def test_a_mistake_in_the_main_file_is_named(tmp_path: Path, case: Case) -> None:
    (found,) = mistakes(tmp_path, main=case.text)
    assert found.file == str(tmp_path / "main.yaml")
    check(found, case)


@pytest.mark.parametrize("case", RULES, ids=str)
def test_a_mistake_in_inline_rules_is_named(tmp_path: Path, case: Case) -> None:
    rules = f"rules:\n{case.text}"
    (found,) = mistakes(tmp_path, main=rules + GOOD)
    check(found, case)


@pytest.mark.parametrize("case", RULES, ids=str)
def test_a_mistake_in_a_rule_file_is_named(tmp_path: Path, case: Case) -> None:
    main = GOOD + "rules_files: [rules.yaml]\n"
    (found,) = mistakes(tmp_path, main=main, rules=f"rules:\n{case.text}")
    assert found.file == str(tmp_path / "rules.yaml")
    check(found, case._replace(problem=case.problem.replace("main.yaml", "rules.yaml")))


@pytest.mark.parametrize("case", DEFAULTS + TEMPLATES, ids=str)
@pytest.mark.parametrize("rules", ["", TWO_RULES], ids=["unused", "used twice"])
def test_a_mistake_in_defaults_or_templates_is_named_once(tmp_path: Path, case: Case, rules: str) -> None:
    (found,) = mistakes(tmp_path, main=case.text + GOOD + rules)
    check(found, case)


@pytest.mark.parametrize("case", DEFAULTS + TEMPLATES, ids=str)
def test_a_mistake_in_the_defaults_or_templates_of_a_rule_file_is_named_there(
    tmp_path: Path, case: Case
) -> None:
    main = GOOD + "rules_files: [rules.yaml]\n"
    (found,) = mistakes(tmp_path, main=main, rules=case.text + TWO_RULES)
    assert found.file == str(tmp_path / "rules.yaml")
    check(found, case)


def test_a_template_of_the_same_name_in_another_file_is_named_with_the_first(tmp_path: Path) -> None:
    main = GOOD + "rules_files: [rules.yaml]\ntemplates: {a: x}\n"
    (found,) = mistakes(tmp_path, main=main, rules="templates:\n  a: y\n")

    assert (found.file, found.line, found.field) == (str(tmp_path / "rules.yaml"), 2, "templates.a")
    assert found.problem == f"a template of this name stands already at {tmp_path / 'main.yaml'}:7"
    assert found.remedy == "rename one of the two"


def test_a_destination_that_is_not_known_is_named_in_its_list_also_where_defaults_fill_it(
    tmp_path: Path,
) -> None:
    main = "defaults: {send: {elven: {title: x}}}\nrules:\n  - name: a\n    send: [elven, hivl]\n" + GOOD
    (found,) = mistakes(tmp_path, main=main)

    assert (found.line, found.column, found.field) == (4, 19, "rules[0].send[1]")


def test_a_mistake_in_a_template_is_not_told_again_of_those_that_use_it(tmp_path: Path) -> None:
    main = GOOD + TWO_RULES + "templates:\n  a: '{{ nope }}'\n  b: '{{ templates.a }}'\n"
    (found,) = mistakes(tmp_path, main=main + "defaults: {key: '{{ templates.b }}'}\n")

    assert found.field == "templates.a"


def test_a_word_for_a_severity_is_known_to_templates_whatever_else_is_wrong(tmp_path: Path) -> None:
    main = GOOD + "severities: {ticket: low}\nlog: {level: inof}\n"
    (found,) = mistakes(tmp_path, main=main + "templates: {a: \"{{ labels.x | severity('ticket') }}\"}\n")

    assert found.field == "log.level"
