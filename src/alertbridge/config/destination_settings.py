"""`destinations:`, the products that are kept in step."""

from __future__ import annotations

import math
from datetime import timedelta
from typing import Annotated, Final, Literal, Self, TypeAlias

from pydantic import AfterValidator, BeforeValidator, Field, WithJsonSchema, model_validator

from alertbridge.config.certificates import Certificates
from alertbridge.config.refuse import expected, refused
from alertbridge.config.section import SecretText, Section
from alertbridge.config.units import Duration
from alertbridge.config.values import (
    AddressText,
    BaseUrl,
    Count,
    Level,
    SecretUrl,
    Span,
    Switch,
    Text,
    one_of,
    read_whole,
)
from alertbridge.destinations.hivel import AuthHeader
from alertbridge.model import Severity

_ELVENS_OWN: Final = ("title", "description", "external_aggregate_key", "action", "severity", "tags")
_SCALAR: Final = {"type": ["string", "number", "boolean", "null"]}

Scalar: TypeAlias = str | int | float | bool | None


class RateLimitSettings(Section):
    """Never more than `requests` in any stretch of time as long as `per`."""

    requests: Count = Field(description="How many requests.", examples=[60])
    per: Span = Field(description="In how long a time.", examples=["5m"])
    burst: Count | None = Field(
        None, description="How many may go back to back; as many as `requests` unless said.", examples=[20]
    )

    @model_validator(mode="after")
    def _burst_within_requests(self) -> Self:
        if self.burst is not None and self.burst > self.requests:
            raise refused("burst is larger than requests", f"write a burst of at most {self.requests}")
        return self

    @property
    def most_at_once(self) -> int:
        """How many requests may go back to back."""
        return self.burst or self.requests


class _CommonSettings(Section):
    """What every destination can be told."""

    rate_limit: RateLimitSettings | None = Field(
        None,
        description="How many requests the whole destination takes; no limit unless said.",
        examples=[{"requests": 60, "per": "5m", "burst": 20}],
    )
    key_interval: Duration = Field(
        timedelta(0),
        description="The least time between two messages of the same action on one key; 0s is off.",
        examples=["5m"],
    )
    timeout: Span = Field(
        timedelta(seconds=10), description="How long one request may take.", examples=["10s"]
    )
    concurrency: Annotated[int, Field(ge=1, le=64), BeforeValidator(read_whole)] = Field(
        4,
        description="How many requests may be under way at once at most, each on another key; fewer while they fail.",
        examples=[4],
    )
    reject_limit: Count = Field(
        5,
        description="After how many refusals in a row, of different keys, the destination is paused.",
        examples=[5],
    )
    failure_limit: Count = Field(
        10,
        description="After how many failures within a minute, if they are at least half of all attempts, nothing but a probe is sent.",
        examples=[10],
    )
    probe_interval: Span = Field(
        timedelta(minutes=2),
        description="How often a paused destination is tried; one whose breaker is open, at least so often.",
        examples=["2m"],
    )
    proxy: SecretUrl | None = Field(
        None,
        description="The HTTP proxy to send through; a secret, since it may hold a password.",
        examples=["http://proxy.example:3128"],
    )
    proxy_file: Text | None = Field(
        None, description="A file that holds the proxy's URL.", examples=["proxy-url"]
    )
    source_address: AddressText | None = Field(
        None, description="The local IP address to send from.", examples=["192.0.2.7"]
    )
    ca_file: Certificates | None = Field(
        None,
        description="Certificates (PEM) to trust instead of the system's.",
        examples=["/etc/ssl/private-ca.pem"],
    )
    collapse: Switch = Field(
        default=False,
        description="Whether an incident that closes before it was announced is not told at all.",
        examples=[False],
    )


def _extra_field(value: object) -> object:
    if isinstance(value, list | dict):
        raise expected("text, a number, true, false or null", value)
    if isinstance(value, float) and not math.isfinite(value):
        raise refused("JSON has no such number", "write a finite number")
    return value


def _not_elvens_own(value: dict[str, Scalar]) -> dict[str, Scalar]:
    for name in _ELVENS_OWN:
        if name in value:
            raise refused(f'"{name}" is set by alertbridge itself', "remove it; rules set it under `send:`")
    return value


def _not_critical(value: Severity) -> Severity:
    if value is Severity.CRITICAL:
        raise refused("what is critical is never told in a digest", "write high at most")
    return value


Overflow = Annotated[
    Literal["queue", "digest"], BeforeValidator(one_of({word: word for word in ("queue", "digest")}))
]


class ElvenSettings(_CommonSettings):
    """One External Service Incident Custom of the Elven Platform."""

    type: Literal["elven"] = Field(description="The kind of destination.", examples=["elven"])
    url: SecretUrl = Field(
        description="The URL that Elven generated. It holds the token, so the whole of it is a secret.",
        examples=["${ELVEN_URL}"],
    )
    url_file: Text | None = Field(None, description="A file that holds the URL.", examples=["elven-url"])
    extra_fields: Annotated[
        dict[str, Annotated[Scalar, BeforeValidator(_extra_field), WithJsonSchema(_SCALAR)]],
        AfterValidator(_not_elvens_own),
    ] = Field(
        default_factory=dict,
        description="Fields to add to every payload.",
        examples=[{"organization": "5f1d7a2e"}],
    )
    landing_time: Duration = Field(
        timedelta(seconds=30),
        description="How long after a request without an answer it may still arrive: so long the opposite waits, "
        "and so long after the last state that is said once more; 0s is off.",
        examples=["30s"],
    )
    max_age: Span = Field(
        timedelta(hours=24), description="How long a message is retried before it is dead.", examples=["24h"]
    )
    overflow: Overflow = Field(
        "queue",
        description="What becomes of incidents of low severity when the rate limit is scarce: each waits its turn, "
        "or they are told together as one incident, a digest.",
        examples=["digest"],
    )
    digest_after: Count = Field(
        20,
        description="With `overflow: digest`: how many messages may wait beyond those that the rate limit allows at once.",
        examples=[20],
    )
    digest_severity: Annotated[Level, AfterValidator(_not_critical)] = Field(
        Severity.LOW,
        description="With `overflow: digest`: the highest severity that is told together; not critical.",
        examples=["low"],
    )

    @model_validator(mode="after")
    def _digest_of_what_overflows(self) -> Self:
        if self.overflow == "digest" and self.rate_limit is None:
            problem = "`overflow: digest` without a rate_limit: nothing is ever beyond it"
            raise refused(
                problem, "add for example `rate_limit: {requests: 60, per: 5m}`, or remove overflow"
            )
        return self


def _path(value: str) -> str:
    if not value.startswith("/") or any(sign in value for sign in "?# \t"):
        raise refused("this is not the path of a URL", "write for example /api/hooks/v1/incident")
    return value


InferredIn = Annotated[
    Literal["reported_by", "description", "none"],
    BeforeValidator(one_of({word: word for word in ("reported_by", "description", "none")})),
]


Canceled = Annotated[
    Literal["cancelled", "canceled"],
    BeforeValidator(one_of({word: word for word in ("cancelled", "canceled")})),
]


class HivelSettings(_CommonSettings):
    """One organisation at Hivel."""

    type: Literal["hivel"] = Field(description="The kind of destination.", examples=["hivel"])
    base_url: BaseUrl = Field(
        "https://app.hivel.ai",
        description="Where Hivel is, or a proxy before it.",
        examples=["https://app.hivel.ai", "https://app.hivel.in"],
    )
    path: Annotated[Text, AfterValidator(_path)] = Field(
        "/api/hooks/v1/incident",
        description="The path of the incident endpoint.",
        examples=["/api/hooks/v1/incident"],
    )
    token: SecretText = Field(description="The API token.", examples=["${HIVEL_TOKEN}"])
    token_file: Text | None = Field(
        None, description="A file that holds the token.", examples=["hivel-token"]
    )
    auth_header: Annotated[AuthHeader, BeforeValidator(one_of({each.value: each for each in AuthHeader}))] = (
        Field(
            AuthHeader.X_API_TOKEN,
            description="How the token is sent; Hivel's pages name more than one way.",
            examples=["X-API-Token", "Authorization", "Bearer"],
        )
    )
    severities: dict[Level, Text] = Field(
        default_factory=dict,
        description="Hivel's words for severities, where they differ from critical, high, medium and low.",
        examples=[{"moderate": "medium", "informational": "low"}],
    )
    inferred_in: InferredIn = Field(
        "reported_by",
        description="Which field of a record says that the end of the incident was concluded and never heard.",
        examples=["description"],
    )
    keep_git_suffix: Switch = Field(
        default=False,
        description="Whether `.git` at the end of a repository's URL is sent.",
        examples=[False],
    )
    deployment_path: Annotated[Text, AfterValidator(_path)] = Field(
        "/api/hooks/v2/deployment",
        description="The path of the endpoint for deployments, see `deployments.forward`.",
        examples=["/api/hooks/v2/deployment"],
    )
    canceled: Canceled = Field(
        "cancelled",
        description="The status of a deployment that was canceled; Hivel's page spells it in both ways.",
        examples=["canceled"],
    )
    hold_for: Span = Field(
        timedelta(days=7),
        description="How long a record that lacks a required field waits to be completed.",
        examples=["7d"],
    )
    max_age: Span = Field(
        timedelta(days=7), description="How long a record is retried before it is dead.", examples=["7d"]
    )


DestinationSettings: TypeAlias = Annotated[ElvenSettings | HivelSettings, Field(discriminator="type")]
DESTINATION_TYPES: Final[dict[str, type[Section]]] = {"elven": ElvenSettings, "hivel": HivelSettings}
