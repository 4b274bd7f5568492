"""`sources:`, the places that alerts come from."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Annotated, Final, Literal, Self, TypeAlias

from pydantic import AfterValidator, BeforeValidator, Field, model_validator

from alertbridge.config.auth_settings import BasicSettings
from alertbridge.config.reconcile_settings import ReconcileSettings
from alertbridge.config.refuse import refused
from alertbridge.config.section import SecretText, Section
from alertbridge.config.units import Duration
from alertbridge.config.values import NetworkText, Span, Text, one_of

_HEADER = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+")


def _header(value: str) -> str:
    if not _HEADER.fullmatch(value):
        raise refused("this is not the name of a header", "write for example X-Grafana-Alerting-Signature")
    return value


class HmacSettings(Section):
    """A signature of the body: HMAC-SHA256 in hexadecimal digits."""

    header: Annotated[Text, AfterValidator(_header)] = Field(
        description="The header that carries the signature.", examples=["X-Grafana-Alerting-Signature"]
    )
    secret: SecretText = Field(
        description="The secret that the sender signs with.", examples=["${WEBHOOK_SECRET}"]
    )
    secret_file: Text | None = Field(
        None, description="A file that holds the secret.", examples=["webhook-secret"]
    )


class AuthSettings(Section):
    """How a sender proves who it is: exactly one way."""

    bearer_token: SecretText | None = Field(
        None, description="The token expected as `Authorization: Bearer`.", examples=["${WEBHOOK_TOKEN}"]
    )
    bearer_token_file: Text | None = Field(
        None, description="A file that holds the bearer token.", examples=["webhook-token"]
    )
    basic: BasicSettings | None = Field(
        None,
        description="A user name and password.",
        examples=[{"username": "alertmanager", "password_file": "alertmanager-password"}],
    )
    hmac: HmacSettings | None = Field(
        None,
        description="A signature of the body.",
        examples=[{"header": "X-Grafana-Alerting-Signature", "secret_file": "webhook-secret"}],
    )

    @model_validator(mode="after")
    def _exactly_one(self) -> Self:
        bearer = self.bearer_token is not None or self.bearer_token_file is not None
        ways = sum((bearer, self.basic is not None, self.hmac is not None))
        remedy = "give exactly one of bearer_token_file, basic and hmac"
        if ways == 0:
            raise refused("no way to authenticate is given", remedy)
        if ways > 1:
            raise refused("more than one way to authenticate is given", remedy)
        return self


class AlertmanagerSourceSettings(Section):
    """Webhooks of a Prometheus Alertmanager."""

    type: Literal["alertmanager"] = Field(description="The kind of sender.", examples=["alertmanager"])
    stale_window: Duration = Field(
        timedelta(seconds=90),
        description="How long a firing that may be old news is doubted before it counts.",
        examples=["90s"],
    )
    auth: AuthSettings | None = Field(
        None,
        description="How the sender proves who it is; without it anyone who reaches the port may post.",
        examples=[{"bearer_token_file": "webhook-token"}],
    )
    allow_from: tuple[NetworkText, ...] = Field(
        (),
        description="The networks that may post; empty for any. A bare address is a network of one.",
        examples=[["10.0.0.0/8", "192.0.2.7"]],
    )
    reconcile: ReconcileSettings | None = Field(
        None,
        description="Asks the Alertmanagers themselves what fires.",
        examples=[{"urls": ["http://alertmanager.example:9093"]}],
    )
    expect_repeat: Span | None = Field(
        None,
        description="How often an alert that fires is told at the latest: longer than `repeat_interval`. One of an open incident that is not heard of for that long is stale.",
        examples=["5h"],
    )
    stale_alerts: Annotated[
        Literal["flag", "resolve"], BeforeValidator(one_of({word: word for word in ("flag", "resolve")}))
    ] = Field(
        "flag",
        description="Whether stale alerts are only shown and counted (`flag`), or resolved as inferred (`resolve`).",
        examples=["resolve"],
    )

    @model_validator(mode="after")
    def _resolved_for_a_reason(self) -> Self:
        if self.stale_alerts == "resolve" and self.expect_repeat is None:
            raise refused(
                "stale_alerts: resolve needs to know what is stale",
                "add `expect_repeat:`, longer than `repeat_interval`",
            )
        if self.stale_alerts == "resolve" and self.reconcile is not None:
            raise refused(
                "both stale_alerts and reconcile would resolve alerts",
                "remove stale_alerts: the peers know better",
            )
        return self


SourceSettings: TypeAlias = AlertmanagerSourceSettings
SOURCE_TYPES: Final[dict[str, type[Section]]] = {"alertmanager": AlertmanagerSourceSettings}
