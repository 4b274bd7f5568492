"""Hivel's Incident API, as its page documents it."""

from __future__ import annotations

import re
from datetime import datetime
from typing import Annotated, Any, Literal, Self
from urllib.parse import urlsplit

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError, model_validator
from pydantic_core import PydanticCustomError

from alertbridge.simulate.exchange import Arrival, Refused, Reply, Taken
from alertbridge.simulate.incidents import HivelRecords
from alertbridge.simulate.refusals import reasons, refuse_content, refuse_method

_PATH = "api/hooks/v1/incident"
_DEPLOYMENTS = "api/hooks/v2/deployment"
_INSTANT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)", re.ASCII)
_JSON = {"Content-Type": "application/json"}


def _instant(text: str) -> str:
    try:
        if _INSTANT.fullmatch(text):
            datetime.fromisoformat(text)
            return text
    except ValueError:
        pass
    raise PydanticCustomError("instant", "must be ISO 8601 with a zone, such as 2024-08-01T12:34:56Z")


def _web_address(text: str) -> str:
    try:
        parts = urlsplit(text)
        if parts.scheme in ("http", "https") and parts.hostname and not re.search(r"\s", text):
            return text
    except ValueError:
        pass
    raise PydanticCustomError("web_address", "must be an http or https URL")


_Optional = Annotated[str, Field(max_length=255)]
_Required = Annotated[str, Field(min_length=1, max_length=255)]
_Instant = Annotated[str, AfterValidator(_instant)]


class HivelMessage(BaseModel):
    """One finished incident; lengths count characters, fields beyond the documented ones are kept."""

    model_config = ConfigDict(strict=True, frozen=True, extra="allow")

    severity: _Required
    reported_time: _Instant
    resolution_time: _Instant
    repo_url: Annotated[_Required, AfterValidator(_web_address)]
    pr_number: Annotated[str, Field(min_length=1)]
    description: _Optional = ""
    affected_systems: list[str] = []
    reported_by: _Optional = ""
    provider_id: _Optional = ""

    @model_validator(mode="after")
    def _ends_after_it_starts(self) -> Self:
        if datetime.fromisoformat(self.resolution_time) < datetime.fromisoformat(self.reported_time):
            raise PydanticCustomError("order", "resolution_time: earlier than reported_time")
        return self


class HivelDeployment(BaseModel):
    """One deployment that has ended; times are RFC 3339 or seconds since 1970, fields beyond the documented ones are kept."""

    model_config = ConfigDict(strict=True, frozen=True, extra="allow")

    deployment_id: Annotated[str, Field(min_length=1)]
    event_type: Literal["completed"]
    status: Literal["success", "failed", "cancelled", "canceled", "unknown"]
    start_time: _Instant | int
    end_time: _Instant | int
    repo_url: Annotated[str, Field(min_length=1), AfterValidator(_web_address)]
    environment: Annotated[str, Field(min_length=1)]
    branch: Annotated[str, Field(min_length=1)]
    commit_hash: str = ""
    pr_number: str = ""
    build_number: str = ""
    image: str = ""
    logs_url: str = ""


class Hivel:
    """Refuses what the page does not allow, and makes a record of everything else.

    `token` None accepts any token that is not empty.
    """

    def __init__(self, *, token: str | None, keep: int) -> None:
        self._token = token
        self._records = HivelRecords(keep=keep)
        self._deployments: set[str] = set()

    def key(self, body: Any) -> str | None:
        """The `provider_id` of an incident, or the `deployment_id`, where there is one."""
        key = body.get("provider_id", body.get("deployment_id")) if isinstance(body, dict) else None
        return key if isinstance(key, str) else None

    def judge(self, arrival: Arrival) -> HivelMessage | HivelDeployment | Refused:
        """The record to make, the deployment to note, or 400, 401, 404, 405, 413 or 415 with the reason."""
        if arrival.path not in {_PATH, _DEPLOYMENTS}:
            return Refused(404, f"path: only /{_PATH} and /{_DEPLOYMENTS} are served")
        refused = refuse_method(arrival) or self._refuse_token(arrival) or refuse_content(arrival)
        if refused is not None:
            return refused
        try:
            model = HivelDeployment if arrival.path == _DEPLOYMENTS else HivelMessage
            return model.model_validate(arrival.content.body)
        except ValidationError as error:
            return Refused(400, reasons(error))

    def take(self, message: HivelMessage | HivelDeployment, *, seq: int, at: datetime) -> Taken:
        """Make a record, and answer as the vendor's sample does: with a comma that no JSON parser takes.

        A deployment is noted, and answered in JSON: no sample is known.
        """
        if isinstance(message, HivelDeployment):
            return self._note(message)
        incident = f"incident-{at:%Y-%m-%d}-{seq:05}"
        duplicate = self._records.add(
            message.model_dump(exclude_unset=True),
            provider=message.provider_id,
            incident_id=incident,
            seq=seq,
            at=at,
        )
        body = f'{{\n  "message": "Success",\n  "incident_id": "{incident}",\n}}\n'
        note = "a record with this provider_id exists already" if duplicate else None
        return Taken(Reply(200, body.encode(), _JSON), note)

    def _note(self, deployment: HivelDeployment) -> Taken:
        known = deployment.deployment_id in self._deployments
        self._deployments.add(deployment.deployment_id)
        note = "a deployment with this deployment_id exists already" if known else None
        return Taken(Reply(200, b'{"message": "Success"}', _JSON), note)

    def believed(self) -> list[dict[str, Any]]:
        """The records; see `HivelRecords.present`."""
        return self._records.present()

    def forget(self) -> None:
        """Know no record."""
        self._records.forget()
        self._deployments.clear()

    def _refuse_token(self, arrival: Arrival) -> Refused | None:
        said = _tokens(arrival)
        if not said:
            return Refused(401, "X-API-Token or Authorization: required")
        if self._token is not None and self._token not in said:
            return Refused(401, "X-API-Token or Authorization: unknown token")
        return None


def _tokens(arrival: Arrival) -> tuple[str, ...]:
    """The tokens said in one of the three documented forms; another scheme, such as Basic, says none."""
    plain = arrival.headers.get("X-API-Token", "")
    tokens = [plain] if plain else []
    match arrival.headers.get("Authorization", "").split():
        case [scheme, token] if scheme.lower() == "bearer":
            tokens.append(token)
        case [token] if token.lower() != "bearer":
            tokens.append(token)
        case _:
            pass
    return tuple(tokens)
