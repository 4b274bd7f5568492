"""The main configuration file: its sections, with what each setting means and may be."""

from __future__ import annotations

import re
from datetime import timedelta
from ipaddress import ip_address
from typing import Annotated, Final, Literal

from pydantic import AfterValidator, BeforeValidator, Field, model_validator

from alertbridge.config.certificates import Certificates, PrivateKey
from alertbridge.config.deployment_settings import DeploymentsSettings
from alertbridge.config.destination_settings import DestinationSettings
from alertbridge.config.heartbeat_settings import HeartbeatSettings, PingSettings
from alertbridge.config.lookup_settings import LookupSettings, TableName
from alertbridge.config.refuse import expected, refused
from alertbridge.config.rule_settings import (
    DefaultsSettings,
    RuleSettings,
    ServiceSettings,
    without_empty,
)
from alertbridge.config.section import SecretText, Section
from alertbridge.config.source_settings import SourceSettings
from alertbridge.config.trial_settings import Tests
from alertbridge.config.units import Size
from alertbridge.config.values import (
    Count,
    Level,
    Name,
    Span,
    Switch,
    TemplateName,
    Text,
    one_of,
)
from alertbridge.model import Severity
from alertbridge.rules.heartbeat import SELF

_LISTEN: Final = re.compile(r"(?:\[(?P<v6>[0-9A-Fa-f:.]+)\]|(?P<host>[A-Za-z0-9._-]+)):(?P<port>[0-9]{1,5})")
_HIGHEST_PORT: Final = 65535
_DATABASE: Final = re.compile(r"sqlite:///(?P<path>[^?#]+)")


def _split(listen: str) -> tuple[str, int] | None:
    found = _LISTEN.fullmatch(listen)
    if found is None or int(found["port"]) > _HIGHEST_PORT:
        return None
    return found["v6"] or found["host"], int(found["port"])


def _listen(value: object) -> object:
    remedy = "write for example 127.0.0.1:9797, 0.0.0.0:9797 or [::1]:9797"
    if not isinstance(value, str):
        raise (
            expected("an address and a port", value)
            if value is None
            else refused("expected an address and a port", remedy)
        )
    if _split(value) is None:
        raise refused("this is not an address and a port", remedy)
    return value


class TlsSettings(Section):
    """HTTPS instead of HTTP."""

    cert_file: Certificates = Field(
        description="The certificate chain, PEM.", examples=["/etc/alertbridge/tls.crt"]
    )
    key_file: PrivateKey = Field(
        description="The private key, PEM, without a passphrase.", examples=["/etc/alertbridge/tls.key"]
    )
    client_ca_file: Certificates | None = Field(
        None,
        description="Certificates (PEM) that clients must be signed by: mutual TLS.",
        examples=["/etc/alertbridge/clients.pem"],
    )


class ServerSettings(Section):
    """The port that webhooks, metrics and the admin API are served on."""

    listen: Annotated[str, BeforeValidator(_listen)] = Field(
        "127.0.0.1:9797",
        description="Address and port to listen on; port 0 takes a free one.",
        examples=["127.0.0.1:9797", "0.0.0.0:9797", "[::1]:9797"],
    )
    max_body: Size = Field(
        16 * 2**20,
        description="The largest request body that is accepted, after inflation.",
        examples=["16MiB"],
    )
    tls: TlsSettings | None = Field(
        None,
        description="Serve HTTPS; without it, HTTP.",
        examples=[{"cert_file": "/etc/alertbridge/tls.crt", "key_file": "/etc/alertbridge/tls.key"}],
    )
    admin_token: SecretText | None = Field(
        None,
        description="The token for the admin API; needed unless listening on a loopback address.",
        examples=["${ADMIN_TOKEN}"],
    )
    admin_token_file: Text | None = Field(
        None, description="A file that holds the admin token.", examples=["admin-token"]
    )
    drain_timeout: Span = Field(
        timedelta(seconds=30),
        description="How long requests under way may take when the daemon stops.",
        examples=["30s"],
    )
    watch: Switch = Field(
        default=False,
        description="Reload by itself when a file of the configuration has changed: this one, a rule file or the file of a secret.",
        examples=[True],
    )

    @property
    def host(self) -> str:
        """The address or host name to listen on, without brackets."""
        return self._place[0]

    @property
    def port(self) -> int:
        """The port to listen on; 0 for a free one."""
        return self._place[1]

    @property
    def on_loopback(self) -> bool:
        """Whether only this machine can reach the port."""
        try:
            return ip_address(self.host).is_loopback
        except ValueError:
            return self.host == "localhost"

    @property
    def _place(self) -> tuple[str, int]:
        place = _split(self.listen)
        assert place is not None, "validated on the way in"
        return place


class RetentionSettings(Section):
    """How long what is finished is kept."""

    events: Span = Field(timedelta(days=3), description="Request bodies.", examples=["3d"])
    deliveries: Span = Field(
        timedelta(days=30), description="Closed incidents and finished deliveries.", examples=["30d"]
    )


def _database(value: str) -> str:
    remedy = "write sqlite:////absolute/path.db"
    if value.startswith(("postgresql:", "postgresql+", "postgres:")):
        raise refused("PostgreSQL is not supported yet by this version", remedy)
    found = _DATABASE.fullmatch(value)
    if found is None:
        raise refused("this is not the URL of a database", remedy)
    if found["path"] == ":memory:":
        raise refused("a database in memory would lose what was accepted", remedy)
    return value


class InboxSettings(Section):
    """How much may wait to be decided. Beyond it webhooks are answered with 503, until four fifths of it are left."""

    events: Count = Field(100_000, description="Request bodies that are not decided yet.", examples=[100_000])
    bytes: Size = Field(
        256 * 2**20,
        description="Their size; and that of the bodies that are being received.",
        examples=["256MiB"],
    )


class StorageSettings(Section):
    """The database that everything accepted is kept in."""

    url: Annotated[Text, AfterValidator(_database)] = Field(
        "sqlite:////var/lib/alertbridge/alertbridge.db",
        description="Where it is: four slashes begin an absolute path, three a relative one, which lies in `$STATE_DIRECTORY` when set, else in the working directory.",
        examples=["sqlite:////var/lib/alertbridge/alertbridge.db", "sqlite:///alertbridge.db"],
    )
    retention: RetentionSettings = Field(
        default_factory=RetentionSettings,
        description="How long what is finished is kept.",
        examples=[{"events": "3d", "deliveries": "30d"}],
    )
    min_free: Size = Field(
        256 * 2**20,
        description="Free space of the database's filesystem that is kept to finish what was accepted, beside what the undecided events need: with less, webhooks are answered with 503.",
        examples=["256MiB"],
    )
    inbox: InboxSettings = Field(
        default_factory=InboxSettings,
        description="How much may wait to be decided.",
        examples=[{"events": 100_000, "bytes": "256MiB"}],
    )
    on_corruption: Annotated[
        Literal["refuse", "start_fresh"],
        BeforeValidator(one_of({word: word for word in ("refuse", "start_fresh")})),
    ] = Field(
        "refuse",
        description="What a start does with a damaged database: `refuse` ends with what is wrong and what to do, and leaves it as it is; `start_fresh` moves it to `<name>.corrupt-<instant>` and begins with an empty one, which knows of no open incident.",
        examples=["refuse", "start_fresh"],
    )


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
