"""Alerts, rules and rulebooks to decide about; the labels are those of captured notifications."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta

from alertbridge.model import Alert, AlertStatus, Field, Reporting, Severity
from alertbridge.rules.condition import read_condition
from alertbridge.rules.enrichment import Enrichment
from alertbridge.rules.lookup import Columns, Table
from alertbridge.rules.rulebook import Rule, Rulebook, Send, Service, Target
from alertbridge.rules.template import CONTENT_NAMES, Template, Vocabulary
from alertbridge.rules.window import Window

CHECKOUT = {
    "alertname": "HighErrorRate",
    "cluster": "demo",
    "env": "prod",
    "instance": "web-1.example:8080",
    "job": "demo",
    "service": "checkout",
    "severity": "critical",
    "team": "payments",
}
DISK = {
    "alertname": "DiskWillFill",
    "cluster": "demo",
    "device": "/dev/sdc1",
    "instance": "host.example:9100",
    "job": "demo",
    "mountpoint": "/srv/ünï",
    "severity": "warning",
    "team": "infra",
}
WATCHDOG = {"alertname": "Watchdog", "severity": "none"}

STARTED = datetime(2026, 11, 21, 19, 38, 46, 728000, tzinfo=UTC)


def alert(
    labels: Mapping[str, str] | None = None,
    annotations: Mapping[str, str] | None = None,
    status: AlertStatus = AlertStatus.FIRING,
    group: Mapping[str, str] | None = None,
    source: str = "prod",
    fingerprint: str = "bdc4a5686971790d",
) -> Alert:
    resolved = status is AlertStatus.RESOLVED
    return Alert(
        source=source,
        fingerprint=fingerprint,
        status=status,
        labels=CHECKOUT if labels is None else labels,
        annotations={"summary": "High error rate on checkout"} if annotations is None else annotations,
        starts_at=STARTED,
        ends_at=STARTED + timedelta(minutes=3) if resolved else None,
        generator_url="http://prometheus.example:9090/graph",
        group={"alertname": "HighErrorRate"} if group is None else group,
        external_url="http://alertmanager.example:9093",
    )


def template(text: str, columns: Columns | None = None) -> Template:
    return Template.compile(text, names=CONTENT_NAMES, vocabulary=Vocabulary(columns=columns or {}))


def enrichment(
    labels: Mapping[str, str] | None = None,
    annotations: Mapping[str, str] | None = None,
    columns: Columns | None = None,
) -> Enrichment:
    return Enrichment(
        {name: template(text, columns) for name, text in (labels or {}).items()},
        {name: template(text, columns) for name, text in (annotations or {}).items()},
    )


def rule(
    name: str,
    *when: object,
    send: tuple[str, ...] | Mapping[str, Send] = ("elven",),
    key: str | None = None,
    service: str | None = None,
    drop: bool = False,
    continues: bool = False,
    sets: Enrichment | None = None,
    active: tuple[Window, ...] = (),
) -> Rule:
    condition, refusals = read_condition(list(when), ("when",))
    assert not refusals
    sends = send if isinstance(send, Mapping) else {to: Send(fields={}, severity=None) for to in send}
    return Rule(
        name=name,
        when=condition,
        send={} if drop else sends,
        key=None if key is None else template(key),
        service=None if service is None else template(service),
        drop=drop,
        continues=continues,
        reopen_window=timedelta(minutes=10),
        min_duration=timedelta(minutes=2),
        sets=sets,
        active=active,
    )


ELVEN = Target(
    Reporting.LIFECYCLE,
    (
        Field("title", "{{ annotations.summary or labels.alertname }}"),
        Field("description", "{{ annotations.description }}"),
        Field("tags", "labels", shape=Field.Shape.MAPPING),
    ),
)
HIVEL = Target(
    Reporting.RECORD,
    (
        Field("repo_url", looked_up=True),
        Field("affected_systems", "{{ service }}", shape=Field.Shape.LIST, looked_up=True),
    ),
)


def rulebook(
    *rules: Rule,
    severities: Mapping[str, Severity] | None = None,
    services: Mapping[str, Service] | None = None,
    tables: tuple[Table, ...] = (),
) -> Rulebook:
    return Rulebook(
        rules=rules,
        severities=severities or {},
        services=services or {},
        targets={"elven": ELVEN, "hivel": HIVEL},
        hash="abc",
        tables=tables,
    )
