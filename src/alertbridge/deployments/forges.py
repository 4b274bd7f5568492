"""What GitHub and GitLab are asked for the pull request that a commit was merged by, and what their answers mean."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from typing import Any, TypeAlias
from urllib.parse import quote

import orjson

from alertbridge.model import Request, Response, Secret

_LONGEST_WAIT = timedelta(hours=1)
_LIMITED = (HTTPStatus.FORBIDDEN, HTTPStatus.TOO_MANY_REQUESTS)


@dataclass(frozen=True, slots=True)
class Found:
    """The commit was merged by this pull request."""

    pr_number: str


@dataclass(frozen=True, slots=True)
class NotFound:
    """The forge has answered, and knows no merged pull request, or more than one."""

    reason: str


@dataclass(frozen=True, slots=True)
class Unclear:
    """The forge has not answered the question; it may be asked again, where `until` is given not before then."""

    reason: str
    until: datetime | None = None


Answer: TypeAlias = Found | NotFound | Unclear


@dataclass(frozen=True, slots=True)
class Forge:
    """One place of repositories: those below `web_url` are asked for at `base_url`, the root of its API."""

    name: str
    web_url: str
    base_url: str
    token: Secret
    speaks: Callable[[Forge, str, str], Request]

    def holds(self, repo_url: str) -> bool:
        """Whether the repository lies here."""
        return repo_url.lower().startswith(self.web_url.rstrip("/").lower() + "/")

    def ask(self, repo_url: str, commit: str) -> Request:
        """The GET that asks for the pull requests of a commit of a repository that lies here."""
        path = repo_url[len(self.web_url.rstrip("/")) + 1 :].removesuffix(".git")
        return self.speaks(self, path, commit)


def github(forge: Forge, path: str, commit: str) -> Request:
    """`GET /repos/{owner}/{repo}/commits/{sha}/pulls`."""
    return Request(
        f"{forge.base_url.rstrip('/')}/repos/{quote(path)}/commits/{commit}/pulls",
        {
            "Authorization": f"Bearer {forge.token.reveal()}",
            "Accept": "application/vnd.github+json",
            "X-GitHub-Api-Version": "2022-11-28",
            "User-Agent": "alertbridge",
        },
        b"",
    )


def gitlab(forge: Forge, path: str, commit: str) -> Request:
    """`GET /api/v4/projects/{path}/repository/commits/{sha}/merge_requests`."""
    project = quote(path, safe="")
    return Request(
        f"{forge.base_url.rstrip('/')}/api/v4/projects/{project}/repository/commits/{commit}/merge_requests",
        {"PRIVATE-TOKEN": forge.token.reveal(), "User-Agent": "alertbridge"},
        b"",
    )


def understand(response: Response, commit: str) -> Answer:
    """What either of them has answered."""
    if response.status == HTTPStatus.OK:
        try:
            data = orjson.loads(response.body)
        except orjson.JSONDecodeError:
            return Unclear("the answer is not JSON, or too long")
        return _merged(data, commit) if isinstance(data, list) else Unclear("the answer is not a list")
    if response.status in {HTTPStatus.NOT_FOUND, HTTPStatus.UNPROCESSABLE_ENTITY}:
        return NotFound(
            f"HTTP {response.status}: the forge knows no such commit, or the token may not see it"
        )
    until = _asked_to_wait(response)
    if response.status in _LIMITED and until is not None:
        return Unclear(f"HTTP {response.status}: too many requests", until)
    return Unclear(f"HTTP {response.status}", until)


def _merged(data: list[Any], commit: str) -> Answer:
    merged = [
        one
        for one in data
        if isinstance(one, dict) and (one.get("merged_at") or one.get("state") == "merged")
    ]
    exact = [one for one in merged if commit in (one.get("merge_commit_sha"), one.get("squash_commit_sha"))]
    numbers = {
        str(number) for one in exact or merged if isinstance(number := one.get("iid", one.get("number")), int)
    }
    if not numbers:
        return NotFound("no pull request of this commit has been merged")
    if len(numbers) > 1:
        return NotFound(
            f"more than one pull request of this commit was merged: {', '.join(sorted(numbers, key=int))}"
        )
    return Found(numbers.pop())


def _asked_to_wait(response: Response) -> datetime | None:
    """Until when, by Retry-After, or by the reset of a rate limit that is used up; an hour at most."""
    headers, now = response.headers, response.received_at
    for remaining, reset in (
        ("x-ratelimit-remaining", "x-ratelimit-reset"),
        ("ratelimit-remaining", "ratelimit-reset"),
    ):
        if headers.get(remaining) == "0" and (moment := _epoch(headers, reset)) is not None:
            return _within(moment, now)
    said = headers.get("retry-after", "").strip()
    if said.isdecimal():
        return _within(now + timedelta(seconds=min(int(said[:9]), 10**6)), now)
    try:
        moment = parsedate_to_datetime(said) if said else None
    except ValueError:
        return None
    return _within(moment.replace(tzinfo=moment.tzinfo or UTC), now) if moment else None


def _epoch(headers: Mapping[str, str], name: str) -> datetime | None:
    try:
        seconds = float(headers.get(name, "nan"))
        return datetime.fromtimestamp(seconds, UTC) if math.isfinite(seconds) else None
    except (ValueError, OverflowError, OSError):
        return None


def _within(moment: datetime, now: datetime) -> datetime:
    return min(max(moment, now), now + _LONGEST_WAIT)
