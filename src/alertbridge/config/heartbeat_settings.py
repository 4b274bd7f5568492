"""`heartbeats:` and `pings:`, dead man's switches in both directions."""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated, Any, Self

from pydantic import AfterValidator, BeforeValidator, Field, WithJsonSchema, model_validator

from alertbridge.config.refuse import refused
from alertbridge.config.rule_settings import CONDITION, SendSettings, sendings
from alertbridge.config.section import Section
from alertbridge.config.units import Duration
from alertbridge.config.values import Level, Name, SecretUrl, Span, Text
from alertbridge.model import Severity


def _somewhere(value: dict[str, SendSettings]) -> dict[str, SendSettings]:
    if not value:
        raise refused("the heartbeat tells nobody of its silence", "name a destination: `send: [...]`")
    return value


class HeartbeatSettings(Section):
    """A dead man's switch: alerts that must keep coming, such as a Watchdog that always fires."""

    name: Name = Field(description="The heartbeat's name, unique.", examples=["watchdog"])
    when: Annotated[Any, WithJsonSchema(CONDITION)] = Field(
        description="Which alerts are its beats: matchers as of a rule, of any source unless one says `source = ...`. They open no incident, and no rule is asked.",
        examples=[["alertname = Watchdog", "source = prod"]],
    )
    every: Span = Field(description="How often it is heard while all is well.", examples=["1m"])
    grace: Duration = Field(
        timedelta(minutes=1), description="How much later than that it may be heard.", examples=["2m"]
    )
    severity: Level = Field(
        Severity.CRITICAL, description="How bad its silence is.", examples=["critical", "high"]
    )
    hold_resolves: Duration = Field(
        timedelta(0),
        description="Hold resolves while it is silent, and for this long after it is heard again, so that what still fires can say so. `0s` holds nothing.",
        examples=["10m"],
    )
    holds: Annotated[Any, WithJsonSchema(CONDITION)] = Field(
        default_factory=list,
        description="Of which alerts: matchers as of a rule. Absent: of all from the sources that its beats come from; never of others.",
        examples=[["cluster = eu"]],
    )
    send: Annotated[dict[str, SendSettings], BeforeValidator(sendings), AfterValidator(_somewhere)] = Field(
        description="Who is told when it falls silent, and when it is heard again: as of a rule.",
        examples=[["elven"], {"elven": {"title": "{{ labels.heartbeat }} is silent"}}],
    )

    @model_validator(mode="after")
    def _something_to_hold_for(self) -> Self:
        if self.holds and not self.hold_resolves:
            raise refused("`holds` says of which alerts, but no resolve is held", "add `hold_resolves: 10m`")
        return self


class PingSettings(Section):
    """A URL that is called only while deliveries really succeed."""

    url: SecretUrl = Field(
        description="What is called, with GET. Whoever knows it can call it, so the whole of it is a secret.",
        examples=["${PING_URL}"],
    )
    url_file: Text | None = Field(None, description="A file that holds the URL.", examples=["ping-url"])
    every: Span = Field(timedelta(minutes=1), description="How often.", examples=["1m"])
    destinations: tuple[Text, ...] = Field(
        (), description="Whose deliveries must succeed; of all of them unless said.", examples=[["elven"]]
    )
    max_wait: Span = Field(
        timedelta(minutes=10),
        description="How long a message may wait to be sent, or an event to be decided, before that counts as failing.",
        examples=["10m"],
    )
    timeout: Span = Field(timedelta(seconds=10), description="How long a call may take.", examples=["10s"])
    proxy: SecretUrl | None = Field(
        None,
        description="The HTTP proxy to call through; a secret, since it may hold a password.",
        examples=["http://proxy.example:3128"],
    )
    proxy_file: Text | None = Field(
        None, description="A file that holds the proxy's URL.", examples=["proxy-url"]
    )
