"""Rules and what belongs to them, in the main file and in rule files."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import Annotated, Any, ClassVar, Final, Literal, Self

from pydantic import AfterValidator, BeforeValidator, ConfigDict, Field, WithJsonSchema, model_validator

from alertbridge.config.refuse import expected, refused
from alertbridge.config.section import Section
from alertbridge.config.trial_settings import Tests
from alertbridge.config.units import Duration
from alertbridge.config.values import Switch, TemplateName, Text, one_of
from alertbridge.config.window_settings import Windows
from alertbridge.destinations.change import pull_request_number, repository_url
from alertbridge.model import Resend

_RESEND: Final = {each.value: each for each in Resend}
_GROUP: Final[dict[str, Any]] = {
    "type": "object",
    "minProperties": 1,
    "maxProperties": 1,
    "additionalProperties": False,
    "properties": {"any": {"type": "array"}, "all": {"type": "array"}, "not": {}},
}
CONDITION: Final[dict[str, Any]] = {
    "anyOf": [
        {"type": "string"},
        {"type": "array", "items": {"anyOf": [{"type": "string"}, {"type": "array"}, _GROUP]}},
        _GROUP,
    ]
}


ResendWord = Annotated[
    Resend, BeforeValidator(one_of(_RESEND)), WithJsonSchema({"type": "string", "enum": list(_RESEND)})
]
UnknownResolved = Annotated[
    Literal["send", "ignore"], BeforeValidator(one_of({"send": "send", "ignore": "ignore"}))
]


class SendSettings(Section):
    """What one destination is sent. The other keys are the fields of that destination, each a template."""

    model_config: ClassVar[ConfigDict] = ConfigDict(extra="allow")

    severity: Text | None = Field(
        None,
        description="A severity, or a template that gives one or a value known under `severities:`.",
        examples=["critical", "{{ labels.severity }}"],
    )
    resend: ResendWord | None = Field(
        None, description="As on the rule, for this destination alone.", examples=["never"]
    )
    unknown_resolved: UnknownResolved | None = Field(
        None, description="As on the rule, for this destination alone.", examples=["ignore"]
    )


def sendings(value: object) -> object:
    """`send:` as a mapping, whichever of its two forms it has: a list of names stands for empty mappings."""
    if isinstance(value, list):
        for item in value:
            if not isinstance(item, str):
                raise refused(
                    "the list holds something that is not a destination's name",
                    "to set fields, write `send:` as a mapping: the name, a colon, and the fields below it",
                )
        return {name: {} for name in value}
    if isinstance(value, str):
        raise refused("expected a list or a mapping, got text", "write the name in brackets: [name]")
    if not isinstance(value, Mapping):
        raise expected("a list or a mapping", value)
    return {name: {} if fields is None else fields for name, fields in value.items()}


_Texts = dict[str, Annotated[Any, WithJsonSchema({"type": ["string", "number", "boolean"]})]]


class SetSettings(Section):
    """What later rules, and whatever is sent, see of a matching alert instead of what it came with. What renders empty is removed."""

    labels: _Texts = Field(
        default_factory=dict,
        description="Labels by name, each a template, which may use what a key may.",
        examples=[{"team": "payments", "tier": "{{ lookup.owners.tier }}"}],
    )
    annotations: _Texts = Field(
        default_factory=dict,
        description="Annotations by name, each a template; they see the labels that are set.",
        examples=[{"runbook": "https://runbooks.example/{{ labels.alertname | lower }}"}],
    )

    @model_validator(mode="after")
    def _something(self) -> Self:
        if not self.labels and not self.annotations:
            raise refused(
                "nothing is set", "write for example `labels: {team: payments}`, or remove the line"
            )
        return self


class RuleSettings(Section):
    """One mapping rule. The first that matches an alert decides, unless it says `continue: true`."""

    name: Text = Field(description="The rule's name, unique over all files.", examples=["payments-critical"])
    when: Annotated[Any, WithJsonSchema(CONDITION)] = Field(
        default_factory=list,
        description="Alertmanager matchers that must all hold; `any:`, `all:` and `not:` group them. Absent: every alert.",
        examples=[['severity =~ "critical|page"', "team = payments"], [{"any": ["env = dev", "env = test"]}]],
    )
    active: Windows = Field(
        (),
        description="When the rule counts, by the time at which an alert is heard: one window, or a list of which one must hold. Absent: always.",
        examples=[
            {"days": ["mon-fri"], "hours": "08:00-18:00", "timezone": "Europe/Berlin"},
            [{"days": "mon-fri", "hours": "22:00-06:00"}, {"days": ["sat", "sun"]}],
        ],
    )
    sets: SetSettings | None = Field(
        None,
        alias="set",
        description="Labels and annotations to set where the rule matches. A rule that neither sends nor drops leaves the alert to later rules.",
        examples=[{"labels": {"team": "payments"}}],
    )
    key: Text | None = Field(
        None,
        description="What ties opening and closing together; may use labels, source, fingerprint, service and lookup.",
        examples=["{{ labels.cluster }}/{{ labels.alertname }}"],
    )
    service: Text | None = Field(
        None,
        description="The service concerned; `labels.service` unless said.",
        examples=["{{ labels.app }}"],
    )
    drop: Switch = Field(
        default=False, description="Whether matching alerts go nowhere, on purpose.", examples=[True]
    )
    continues: Switch = Field(
        default=False, alias="continue", description="Whether later rules are tried too.", examples=[True]
    )
    reopen_window: Duration = Field(
        timedelta(0),
        description="An alert that fires again within this time reopens its incident.",
        examples=["10m"],
    )
    min_duration: Duration = Field(
        timedelta(0), description="Shorter incidents make no record at Hivel.", examples=["2m"]
    )
    resend: ResendWord = Field(
        Resend.SEVERITY,
        description="When an open incident is announced again: never, when its severity rises, or when anything sent changes.",
        examples=["severity", "change"],
    )
    unknown_resolved: UnknownResolved = Field(
        "send", description="What to do with the resolve of an alert never seen.", examples=["ignore"]
    )
    send: Annotated[dict[str, SendSettings], BeforeValidator(sendings)] = Field(
        default_factory=dict,
        description="Where matching alerts go: a list of destinations, or a mapping with the fields to set.",
        examples=[["elven"], {"elven": {"title": "{{ annotations.summary }}"}, "hivel": None}],
    )

    @model_validator(mode="after")
    def _send_or_drop(self) -> Self:
        if self.drop and self.send:
            raise refused("the rule both sends and drops", "remove either `send` or `drop`")
        if self.drop and self.sets:
            raise refused("the rule sets values and drops the alert", "remove either `set` or `drop`")
        if not self.drop and not self.send and not self.sets:
            raise refused("the rule neither sends nor drops", "add `send: [...]`, `drop: true` or `set:`")
        if self.sets and not self.send and "continues" in self.model_fields_set and not self.continues:
            raise refused("a rule that only sets values always continues", "remove `continue: false`")
        return self


def _fields_only(value: object) -> object:
    if isinstance(value, list | str):
        raise refused(
            "defaults hold the fields of destinations, and rules say where they send",
            "write the destination's name, a colon, and the fields below it",
        )
    return value


class DefaultsSettings(Section):
    """What a rule of the same file has, unless it says otherwise."""

    key: Text | None = Field(
        None, description="As of a rule.", examples=["{{ labels.cluster }}/{{ labels.alertname }}"]
    )
    service: Text | None = Field(None, description="As of a rule.", examples=["{{ labels.app }}"])
    continues: Switch | None = Field(None, alias="continue", description="As of a rule.", examples=[True])
    reopen_window: Duration | None = Field(None, description="As of a rule.", examples=["10m"])
    min_duration: Duration | None = Field(None, description="As of a rule.", examples=["2m"])
    resend: ResendWord | None = Field(None, description="As of a rule.", examples=["never"])
    unknown_resolved: UnknownResolved | None = Field(None, description="As of a rule.", examples=["ignore"])
    send: Annotated[dict[str, SendSettings], BeforeValidator(_fields_only)] = Field(
        default_factory=dict,
        description="By destination, what is sent by the rules that send there; it makes no rule send there.",
        examples=[{"elven": {"tags": {"team": "{{ labels.team }}"}}}],
    )


def without_empty(value: object) -> object:
    """A section whose lines are all commented out counts as absent."""
    if not isinstance(value, dict):
        return value
    return {name: part for name, part in value.items() if part is not None}


class RuleFile(Section):
    """A rule file."""

    rules: tuple[RuleSettings, ...] = Field(
        (), description="Rules, tried in this order.", examples=[[{"name": "everything", "send": ["elven"]}]]
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


def _repository(value: str) -> str:
    if not repository_url(value):
        raise refused(
            "this is not a repository's address", "write for example https://github.com/acme/checkout"
        )
    return value


def _pull_request(value: object) -> str:
    number = pull_request_number(value) if isinstance(value, str | int) else ""
    if not number:
        raise refused("this is not the number of a pull request", "write for example 44")
    return number


class ServiceSettings(Section):
    """What is known of a service, for incidents whose rule and alert do not say it."""

    repo_url: Annotated[Text, AfterValidator(_repository)] | None = Field(
        None, description="The repository of its code.", examples=["https://github.com/acme/checkout"]
    )
    pr_number: (
        Annotated[str, BeforeValidator(_pull_request), WithJsonSchema({"type": ["string", "integer"]})] | None
    ) = Field(None, description="The pull request to lay its incidents to.", examples=[44])
    affected_systems: tuple[Text, ...] = Field(
        (), description="The systems that suffer with it.", examples=[["checkout-api", "payments-db"]]
    )
