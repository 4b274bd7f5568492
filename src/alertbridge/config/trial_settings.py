"""Tests of rules, as they are written: alerts or notifications in, and what is expected to come of them."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Final, Literal, Self, TypeAlias

from pydantic import BeforeValidator, ConfigDict, Field, WithJsonSchema, model_validator

from alertbridge.config.moments import At, Instant, Start
from alertbridge.config.refuse import expected, refused
from alertbridge.config.section import Section
from alertbridge.config.values import Switch, Text, one_of
from alertbridge.model import AlertStatus

NONE: Final = "none"


def _label(value: object) -> object:
    if not isinstance(value, str):
        raise expected("text", value)
    return value


def _rules(value: object) -> tuple[str, ...]:
    names = [value] if isinstance(value, str) else value
    if not isinstance(names, list | tuple):
        raise expected("the name of a rule, or a list of names", value)
    for name in names:
        if not isinstance(name, str):
            raise expected("text", name)
    return tuple(names)


Labels = dict[str, Annotated[str, BeforeValidator(_label), WithJsonSchema({"type": "string"})]]
All = Annotated[Literal["all"], BeforeValidator(one_of({"all": "all"}))]
Status = Annotated[AlertStatus, BeforeValidator(one_of({each.value: each for each in AlertStatus}))]
RuleNames = Annotated[
    tuple[str, ...],
    BeforeValidator(_rules),
    WithJsonSchema({"anyOf": [{"type": "string"}, {"type": "array", "items": {"type": "string"}}]}),
]
_MESSAGE: Final[dict[str, Any]] = {
    "type": "object",
    "description": "A part of the payload. `held: [names]` is a record that waits for what is missing, `skipped: true` one that is never sent.",
    "properties": {
        "held": {"type": "array", "items": {"type": "string"}},
        "skipped": {"type": "boolean"},
    },
}
MESSAGES: Final[dict[str, Any]] = {
    "anyOf": [
        {"const": NONE, "description": "Nothing is sent."},
        _MESSAGE,
        {"type": "array", "items": _MESSAGE, "description": "The messages, all of them, in order."},
    ]
}


class TrialAlert(Section):
    """One alert as a source says it."""

    labels: Labels | None = Field(
        None,
        description="Its labels, which make it the alert it is; in a later step, absent for those of the alert before.",
        examples=[{"alertname": "Down", "severity": "page", "service": "checkout"}],
    )
    annotations: Labels | None = Field(
        None,
        description="Its annotations; absent for those that this alert had before, else none.",
        examples=[{"summary": "checkout is down"}],
    )
    status: Status = Field(
        AlertStatus.FIRING, description="Whether it fires or has ended.", examples=["firing", "resolved"]
    )
    starts_at: Instant | None = Field(
        None,
        description="When it began: a time since the start of the test (`-1h` is before it), or an instant. Absent: now, or where it fires already, when that began.",
        examples=["0s", "-1h", "2026-01-01T09:00:00Z"],
    )
    ends_at: Instant | None = Field(
        None,
        description="When it ended, where it is resolved; absent: now.",
        examples=["10m", "2026-01-01T09:30:00Z"],
    )
    source: Text | None = Field(
        None, description="The source that says it; the first unless said.", examples=["prod"]
    )
    fingerprint: Text | None = Field(
        None,
        description="Its fingerprint; computed from the labels unless said.",
        examples=["65dcebdc967c03c0"],
    )

    @model_validator(mode="after")
    def _ends_when_resolved(self) -> Self:
        if self.ends_at is not None and self.status is not AlertStatus.RESOLVED:
            raise refused("an alert that fires has no end", "add `status: resolved`, or remove `ends_at`")
        return self


class TrialExpectation(Section):
    """What is expected. Every other key is the name of a destination, with the messages that it gets."""

    model_config: ClassVar[ConfigDict] = ConfigDict(extra="allow")

    rule: RuleNames | None = Field(
        None,
        description="The rule that matches every alert; a list where rules `continue`, all that match, in order. Rules that only `set` may be left out.",
        examples=["payments-critical", ["tag-it", "everything-else"]],
    )
    dropped: Switch | None = Field(
        None, description="Whether a rule drops every alert on purpose.", examples=[True]
    )
    unmatched: Switch | None = Field(
        None, description="Whether no rule sends or drops any alert.", examples=[True]
    )
    heartbeat: RuleNames | None = Field(
        None,
        description="The heartbeat that every alert is a beat of, and no rule is asked; a list for several, in order.",
        examples=["watchdog"],
    )

    @property
    def messages(self) -> dict[str, list[dict[str, Any]]]:
        """By destination, the messages expected there, in order."""
        return {name: _listed(value) for name, value in (self.model_extra or {}).items()}

    @model_validator(mode="after")
    def _something(self) -> Self:
        own = (self.rule, self.dropped, self.unmatched, self.heartbeat)
        if not self.model_extra and own == (None,) * len(own):
            remedy = "add `rule:`, `dropped:`, `unmatched:`, `heartbeat:` or the name of a destination"
            raise refused("nothing is expected", remedy)
        return self


def _listed(value: Any) -> list[dict[str, Any]]:
    if value == NONE:
        return []
    return [value] if isinstance(value, dict) else list(value)


class TrialStep(Section):
    """One moment of a sequence. With nothing but `at`, time passes."""

    at: At | None = Field(
        None,
        description="When: a time since the start, or with a `+` since the step before. Absent: at the time of the step before; of a payload, at its newest instant.",
        examples=["0s", "10m", "+3m"],
    )
    alert: TrialAlert | None = Field(
        None, description="One alert is heard.", examples=[{"labels": {"alertname": "Down"}}]
    )
    alerts: tuple[TrialAlert, ...] | None = Field(
        None,
        description="Several are heard in one notification.",
        examples=[
            [
                {"labels": {"alertname": "Down", "instance": "a"}},
                {"labels": {"alertname": "Down", "instance": "b"}},
            ]
        ],
    )
    payload: Text | None = Field(
        None,
        description="The file of a captured notification, relative to this file.",
        examples=["payloads/firing.json"],
    )
    resolve: All | None = Field(None, description="Everything that fires is resolved.", examples=["all"])
    fire: All | None = Field(
        None,
        description="Everything heard of so far fires; what had ended, with a new start.",
        examples=["all"],
    )
    source: Text | None = Field(
        None, description="The source that says it; the first unless said.", examples=["prod"]
    )
    expect: TrialExpectation | None = Field(
        None,
        description="What is expected of this step: what is sent from then on, until the next.",
        examples=[{"elven": {"action": "resolved"}}],
    )

    @model_validator(mode="after")
    def _at_most_one(self) -> Self:
        _exactly_one(self, ("alert", "alerts", "payload", "resolve", "fire"), least=0)
        return self


class TrialSettings(Section):
    """A test of the rules: what is heard, and what is expected to come of it."""

    name: Text = Field(
        description="A sentence that says what the test shows.", examples=["a checkout page goes to both"]
    )
    alert: TrialAlert | None = Field(
        None, description="One alert is heard.", examples=[{"labels": {"alertname": "Down"}}]
    )
    alerts: tuple[TrialAlert, ...] | None = Field(
        None,
        description="Several are heard in one notification.",
        examples=[
            [
                {"labels": {"alertname": "Down", "instance": "a"}},
                {"labels": {"alertname": "Down", "instance": "b"}},
            ]
        ],
    )
    payload: Text | None = Field(
        None,
        description="The file of a captured notification, relative to this file.",
        examples=["payloads/firing.json"],
    )
    sequence: tuple[TrialStep, ...] | None = Field(
        None,
        description="Several steps, one after the other, on a clock of their own.",
        examples=[
            [{"at": "0s", "alert": {"labels": {"alertname": "Down"}}}, {"at": "+10m", "resolve": "all"}]
        ],
    )
    source: Text | None = Field(
        None, description="The source that says it; the first unless said.", examples=["prod"]
    )
    start: Start | None = Field(
        None,
        description="When the test begins, for rules with time windows; a captured notification is then heard at that time, not at its own.",
        examples=["2026-01-05T08:30:00+01:00"],
    )
    expect: TrialExpectation | None = Field(
        None,
        description="What is expected, over all steps, when nothing is left to wait for.",
        examples=[{"rule": "payments-critical", "elven": {"action": "alarmed", "severity": "critical"}}],
    )

    @model_validator(mode="after")
    def _whole(self) -> Self:
        _exactly_one(self, ("alert", "alerts", "payload", "sequence"), least=1)
        if self.expect is None and not any(step.expect for step in self.sequence or ()):
            raise refused("the test expects nothing", "add `expect:` with for example `rule:` and its name")
        return self

    @property
    def steps(self) -> tuple[TrialStep, ...]:
        """The test as a sequence; one without is a sequence of one step."""
        if self.sequence is not None:
            return self.sequence
        return (
            TrialStep.model_construct(
                alert=self.alert, alerts=self.alerts, payload=self.payload, source=self.source
            ),
        )


def _exactly_one(section: Section, ways: tuple[str, ...], *, least: int) -> None:
    given = [way for way in ways if getattr(section, way) is not None]
    if len(given) > 1:
        raise refused(f"`{given[0]}` and `{given[1]}` stand side by side", "keep one, or write a `sequence`")
    if len(given) < least:
        raise refused("nothing is heard in the test", f"add one of {', '.join(ways)}")


Tests: TypeAlias = tuple[TrialSettings, ...]
