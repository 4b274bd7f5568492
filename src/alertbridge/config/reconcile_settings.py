"""`reconcile:` of a source: who is asked what really fires."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import Annotated, Literal, Self
from urllib.parse import urlsplit

from pydantic import AfterValidator, BeforeValidator, Field, model_validator

from alertbridge.config.auth_settings import BasicSettings
from alertbridge.config.certificates import Certificates
from alertbridge.config.refuse import refused
from alertbridge.config.section import SecretText, Section
from alertbridge.config.units import Duration
from alertbridge.config.values import SecretUrl, Span, Text, one_of
from alertbridge.model import Secret


class PeerAuthSettings(Section):
    """How alertbridge proves to the peers who it is: exactly one way."""

    bearer_token: SecretText | None = Field(
        None, description="The token sent as `Authorization: Bearer`.", examples=["${ALERTMANAGER_TOKEN}"]
    )
    bearer_token_file: Text | None = Field(
        None, description="A file that holds the bearer token.", examples=["alertmanager-token"]
    )
    basic: BasicSettings | None = Field(
        None,
        description="A user name and password.",
        examples=[{"username": "alertbridge", "password_file": "alertmanager-password"}],
    )

    @model_validator(mode="after")
    def _exactly_one(self) -> Self:
        bearer = self.bearer_token is not None or self.bearer_token_file is not None
        if bearer == (self.basic is not None):
            ways = "more than one way" if bearer else "no way"
            raise refused(
                f"{ways} to authenticate is given", "give exactly one of bearer_token_file and basic"
            )
        return self


def _peers(value: tuple[Secret, ...]) -> tuple[Secret, ...]:
    if not value:
        raise refused("no peer is named", "list the URL of every Alertmanager that posts to this source")
    bases = [url.reveal().rstrip("/") for url in value]
    if len(set(bases)) < len(bases):
        raise refused("a peer is named twice", "name each Alertmanager once")
    return value


class ReconcileSettings(Section):
    """Asks the Alertmanagers of a source what fires, so that what they never say is known all the same."""

    urls: Annotated[tuple[SecretUrl, ...], AfterValidator(_peers)] = Field(
        description="The URL of every Alertmanager that posts to this source, each by itself and not through a load balancer.",
        examples=[["http://alertmanager-1.example:9093", "http://alertmanager-2.example:9093"]],
    )
    every: Span = Field(timedelta(minutes=1), description="How often they are asked.", examples=["1m"])
    absent_for: Span = Field(
        timedelta(minutes=15),
        description="After how long on no peer an alert has ended; longer than `group_interval`, so that its own end comes first.",
        examples=["15m"],
    )
    grace: Duration = Field(
        timedelta(minutes=15),
        description="How long a peer must be up before its word counts.",
        examples=["15m"],
    )
    suppressed: Annotated[
        Literal["keep", "resolve"], BeforeValidator(one_of({word: word for word in ("keep", "resolve")}))
    ] = Field(
        "keep",
        description="Whether a silenced or inhibited alert counts as firing (`keep`), or as ended (`resolve`).",
        examples=["resolve"],
    )
    timeout: Span = Field(
        timedelta(seconds=10),
        description="How long each of the two requests to a peer may take.",
        examples=["10s"],
    )
    auth: PeerAuthSettings | None = Field(
        None,
        description="How alertbridge proves to them who it is.",
        examples=[{"bearer_token_file": "alertmanager-token"}],
    )
    ca_file: Certificates | None = Field(
        None,
        description="Certificates (PEM) to trust instead of the system's.",
        examples=["/etc/ssl/private-ca.pem"],
    )

    @model_validator(mode="after")
    def _one_set_of_credentials(self) -> Self:
        if self.auth is not None and _hold_credentials(self.urls):
            raise refused("both auth and a URL hold credentials", "remove them from the URL")
        return self


def _hold_credentials(urls: Sequence[Secret]) -> bool:
    return any(urlsplit(url.reveal()).username is not None for url in urls)
