"""The main configuration file: its sections, with what each setting means and may be."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import AfterValidator, BeforeValidator, Field, model_validator

from alertbridge.config.deployment_settings import DeploymentsSettings
from alertbridge.config.destination_settings import DestinationSettings
from alertbridge.config.heartbeat_settings import HeartbeatSettings, PingSettings
from alertbridge.config.lookup_settings import LookupSettings, TableName
from alertbridge.config.refuse import refused
from alertbridge.config.rule_settings import (
    DefaultsSettings,
    RuleSettings,
    ServiceSettings,
    without_empty,
)
from alertbridge.config.section import Section
from alertbridge.config.server_settings import ServerSettings
from alertbridge.config.source_settings import SourceSettings
from alertbridge.config.storage_settings import StorageSettings
from alertbridge.config.trial_settings import Tests
from alertbridge.config.values import (
    Level,
    Name,
    TemplateName,
    Text,
    one_of,
)
from alertbridge.model import Severity
from alertbridge.rules.heartbeat import SELF


class LogSettings(Section):
    """What the daemon says of its work, on stderr."""

    level: Annotated[
        Literal["debug", "info", "warning", "error"],
        BeforeValidator(one_of({word: word for word in ("debug", "info", "warning", "error")})),
    ] = Field("info", description="The least important messages that are shown.", examples=["info"])
    format: (
        Annotated[
            Literal["json", "console"], BeforeValidator(one_of({word: word for word in ("json", "console")}))
        ]
        | None
    ) = Field(
        None,
        description="One JSON object per line, or text for people; text when stderr is a terminal, unless said.",
        examples=["json", "console"],
    )


def _each_word_once(value: dict[str, Severity]) -> dict[str, Severity]:
    folded = [word.strip().casefold() for word in value]
    for word in folded:
        if folded.count(word) > 1:
            raise refused("a word stands there twice, in another case", "keep one: case does not matter here")
    return value


def _not_own(value: str) -> str:
    if value == SELF:
        raise refused("this name is that of what alertbridge itself raises", "call the source otherwise")
    return value


SourceName = Annotated[Name, AfterValidator(_not_own)]


class Settings(Section):
    """The main configuration file. A rule file holds `rules`, `defaults`, `templates` and `tests` only."""

    server: ServerSettings = Field(
        default_factory=ServerSettings, description="The port.", examples=[{"listen": "127.0.0.1:9797"}]
    )
    storage: StorageSettings = Field(
        default_factory=StorageSettings,
        description="The database.",
        examples=[{"url": "sqlite:////var/lib/alertbridge/alertbridge.db"}],
    )
    log: LogSettings = Field(
        default_factory=LogSettings, description="The log.", examples=[{"level": "info", "format": "json"}]
    )
    sources: dict[SourceName, SourceSettings] = Field(
        default_factory=dict,
        description="Where alerts come from; each is served at `/v1/sources/` and its name.",
        examples=[{"prod": {"type": "alertmanager", "auth": {"bearer_token_file": "webhook-token"}}}],
    )
    destinations: dict[Name, DestinationSettings] = Field(
        default_factory=dict,
        description="Where incidents are told.",
        examples=[{"elven": {"type": "elven", "url_file": "elven-url"}}],
    )
    severities: Annotated[dict[str, Level], AfterValidator(_each_word_once)] = Field(
        default_factory=dict,
        description="What the values of the label `severity` mean, in any case; added to the usual words.",
        examples=[{"page": "critical", "warning": "moderate"}],
    )
    services: dict[str, ServiceSettings] = Field(
        default_factory=dict,
        description="What is known of each service.",
        examples=[{"checkout": {"repo_url": "https://github.com/acme/checkout"}}],
    )
    deployments: DeploymentsSettings = Field(
        default_factory=DeploymentsSettings,
        description="What CI and forges tell of deployments, to fill in the pull request of a record.",
        examples=[{"auth": {"bearer_token_file": "deployments-token"}}],
    )
    heartbeats: tuple[HeartbeatSettings, ...] = Field(
        (),
        description="Alerts that must keep coming; who is told when they do not.",
        examples=[[{"name": "watchdog", "when": ["alertname = Watchdog"], "every": "1m", "send": ["elven"]}]],
    )
    pings: dict[Name, PingSettings] = Field(
        default_factory=dict,
        description="URLs that are called only while deliveries really succeed.",
        examples=[{"healthchecks": {"url_file": "ping-url"}}],
    )
    lookup: dict[TableName, LookupSettings] = Field(
        default_factory=dict,
        description="Tables that templates look values up in, as `lookup.NAME.COLUMN`.",
        examples=[{"owners": {"file": "owners.csv", "by": "service"}}],
    )
    rules_files: tuple[Text, ...] = Field(
        (),
        description="Patterns of rule files, relative to this file's folder; each is read in the order of its paths.",
        examples=[["rules.d/*.yaml"]],
    )
    rules: tuple[RuleSettings, ...] = Field(
        (),
        description="Rules, tried before those in files.",
        examples=[[{"name": "everything", "send": ["elven"]}]],
    )
    defaults: DefaultsSettings = Field(
        default_factory=DefaultsSettings,
        description="What the rules of this file have that do not say it themselves.",
        examples=[{"reopen_window": "10m", "send": {"elven": {"tags": {"team": "{{ labels.team }}"}}}}],
    )
    templates: dict[TemplateName, Text] = Field(
        default_factory=dict,
        description="Templates to use in others as `{{ templates.NAME }}`; the names are unique over all files.",
        examples=[{"title": "[{{ labels.service }}] {{ annotations.summary }}"}],
    )
    tests: Tests = Field(
        (),
        description="Examples of what the rules are meant to do, run by `alertbridge test`.",
        examples=[
            [{"name": "noise goes nowhere", "alert": {"labels": {"env": "dev"}}, "expect": {"dropped": True}}]
        ],
    )

    _without_empty = model_validator(mode="before")(without_empty)
