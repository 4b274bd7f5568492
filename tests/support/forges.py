"""Webhooks as GitHub and GitLab document them, cut to their outline, and a stand-in of what both are asked."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Mapping
from typing import Any

import orjson
from aiohttp import web

SHA = "f95f852bd8fca8fcc58a9a2d6c842781e32a215e"
WEB = "https://github.com/acme/checkout"


def github_deployment_status(
    *, state: str = "success", at: str, sha: str = SHA, environment: str = "production", repository: str = WEB
) -> bytes:
    """https://docs.github.com/en/webhooks/webhook-events-and-payloads#deployment_status."""
    api = "https://api.github.com/repos/acme/checkout"
    name = repository.removeprefix("https://github.com/")
    return orjson.dumps(
        {
            "action": "created",
            "deployment_status": {
                "url": f"{api}/deployments/145988746/statuses/209916254",
                "id": 209916254,
                "state": state,
                "creator": {"login": "octocat", "id": 583231, "type": "User"},
                "description": "",
                "environment": environment,
                "target_url": "",
                "created_at": at,
                "updated_at": at,
                "deployment_url": f"{api}/deployments/145988746",
                "repository_url": api,
                "environment_url": "",
                "log_url": "",
                "performed_via_github_app": None,
            },
            "deployment": {
                "url": f"{api}/deployments/145988746",
                "id": 145988746,
                "task": "deploy",
                "original_environment": environment,
                "environment": environment,
                "description": None,
                "created_at": "2026-01-05T08:00:00Z",
                "updated_at": at,
                "sha": sha,
                "ref": "main",
                "payload": {},
                "transient_environment": False,
                "production_environment": environment == "production",
                "performed_via_github_app": None,
            },
            "repository": _github_repository(name, repository),
            "sender": {"login": "octocat", "id": 583231, "type": "User"},
        }
    )


def github_pull_request(
    *,
    action: str = "closed",
    merged: bool = True,
    number: int = 44,
    sha: str = SHA,
    at: str = "2026-01-05T09:00:00Z",
    base: str = "main",
) -> bytes:
    """https://docs.github.com/en/webhooks/webhook-events-and-payloads#pull_request."""
    return orjson.dumps(
        {
            "action": action,
            "number": number,
            "pull_request": {
                "url": f"https://api.github.com/repos/acme/checkout/pulls/{number}",
                "id": 279147437,
                "html_url": f"{WEB}/pull/{number}",
                "number": number,
                "state": "closed" if action == "closed" else "open",
                "title": "Ask for the card once",
                "user": {"login": "octocat", "id": 583231, "type": "User"},
                "body": "",
                "created_at": "2026-01-04T15:20:33Z",
                "updated_at": at,
                "closed_at": at if action == "closed" else None,
                "merged_at": at if merged else None,
                "merge_commit_sha": sha,
                "draft": False,
                "head": {
                    "label": "acme:once",
                    "ref": "once",
                    "sha": "ec26c3e57ca3a959ca5aad62de7213c562f8c821",
                },
                "base": {
                    "label": f"acme:{base}",
                    "ref": base,
                    "sha": "6dcb09b5b57875f334f61aebed695e2e4193db5e",
                },
                "merged": merged,
                "merged_by": {"login": "octocat", "id": 583231, "type": "User"} if merged else None,
            },
            "repository": _github_repository("acme/checkout", WEB),
            "sender": {"login": "octocat", "id": 583231, "type": "User"},
        }
    )


def gitlab_deployment(
    *,
    status: str = "success",
    at: str = "2026-01-05 10:59:00 +0100",
    environment: str = "production",
    sha: str = SHA,
) -> bytes:
    """https://docs.gitlab.com/user/project/integrations/webhook_events/#deployment-events."""
    return orjson.dumps(
        {
            "object_kind": "deployment",
            "status": status,
            "status_changed_at": at,
            "deployment_id": 15,
            "deployable_id": 796,
            "deployable_url": "https://gitlab.example.com/shop/web/checkout/-/jobs/796",
            "environment": environment,
            "environment_tier": environment,
            "environment_slug": environment,
            "environment_external_url": None,
            "project": _gitlab_project(),
            "short_sha": sha[:8],
            "user": {"id": 1, "name": "Administrator", "username": "root", "email": "[REDACTED]"},
            "user_url": "https://gitlab.example.com/root",
            "commit_url": f"https://gitlab.example.com/shop/web/checkout/-/commit/{sha}",
            "commit_title": "Merge branch 'once' into 'main'",
            "ref": "main",
        }
    )


def gitlab_merge_request(
    *, action: str = "merge", state: str = "merged", merge_commit: str | None = SHA, squash: str | None = None
) -> bytes:
    """https://docs.gitlab.com/user/project/integrations/webhook_events/#merge-request-events."""
    return orjson.dumps(
        {
            "object_kind": "merge_request",
            "event_type": "merge_request",
            "user": {"id": 1, "name": "Administrator", "username": "root"},
            "project": _gitlab_project(),
            "object_attributes": {
                "id": 99,
                "iid": 7,
                "target_branch": "main",
                "source_branch": "once",
                "source_project_id": 30,
                "author_id": 51,
                "title": "Ask for the card once",
                "created_at": "2026-01-05 07:23:34 UTC",
                "updated_at": "2026-01-05 09:23:34 UTC",
                "state": state,
                "action": action,
                "draft": False,
                "merge_status": "can_be_merged",
                "merge_commit_sha": merge_commit,
                "squash_commit_sha": squash,
                "target_project_id": 30,
                "url": "https://gitlab.example.com/shop/web/checkout/-/merge_requests/7",
                "last_commit": {
                    "id": "da1560886d4f094c3e6c9ef40349f7d38b5d27d7",
                    "message": "ask once",
                    "timestamp": "2026-01-05T07:00:00Z",
                },
            },
            "labels": [],
            "changes": {},
            "repository": {"name": "checkout", "homepage": "https://gitlab.example.com/shop/web/checkout"},
        }
    )


def signed(body: bytes, secret: str) -> dict[str, str]:
    """The headers that GitHub sends along, without the event."""
    digest = hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()
    return {
        "Content-Type": "application/json",
        "User-Agent": "GitHub-Hookshot/044aadd",
        "X-GitHub-Delivery": "72d3162e-cc78-11e3-81ab-4c9367dc0958",
        "X-Hub-Signature-256": f"sha256={digest}",
    }


class ForgeStandIn:
    """Answers what both forges are asked, for who sends the right token; `answers` are said one after the other.

    The last one is said again and again. An answer is a status, headers and a body.
    """

    def __init__(self, *, token: str) -> None:
        self.answers: list[tuple[int, Mapping[str, str], Any]] = [(200, {}, [])]
        self.asked: list[str] = []
        self.port = 0
        self._token = token
        application = web.Application()
        application.router.add_get("/repos/{owner}/{repo}/commits/{sha}/pulls", self._github)
        application.router.add_get(
            "/api/v4/projects/{project}/repository/commits/{sha}/merge_requests", self._gitlab
        )
        self._runner = web.AppRunner(application)

    async def start(self) -> str:
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", 0).start()
        self.port = int(self._runner.addresses[0][1])
        return f"http://127.0.0.1:{self.port}"

    async def stop(self) -> None:
        await self._runner.cleanup()

    async def _github(self, request: web.Request) -> web.Response:
        return self._answer(request, request.headers.get("Authorization") == f"Bearer {self._token}")

    async def _gitlab(self, request: web.Request) -> web.Response:
        return self._answer(request, request.headers.get("PRIVATE-TOKEN") == self._token)

    def _answer(self, request: web.Request, known: bool) -> web.Response:  # noqa: FBT001 - said right above
        self.asked.append(request.raw_path)
        if not known:
            return web.json_response({"message": f"Bad credentials: {dict(request.headers)}"}, status=401)
        status, headers, body = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        return web.json_response(body, status=status, headers=dict(headers))


def _github_repository(name: str, url: str) -> dict[str, Any]:
    return {
        "id": 186853002,
        "name": name.split("/")[1],
        "full_name": name,
        "private": False,
        "html_url": url,
        "clone_url": f"{url}.git",
        "default_branch": "main",
    }


def _gitlab_project() -> dict[str, Any]:
    return {
        "id": 30,
        "name": "checkout",
        "description": "",
        "web_url": "https://gitlab.example.com/shop/web/checkout",
        "git_ssh_url": "git@gitlab.example.com:shop/web/checkout.git",
        "git_http_url": "https://gitlab.example.com/shop/web/checkout.git",
        "namespace": "Web",
        "path_with_namespace": "shop/web/checkout",
        "default_branch": "main",
        "homepage": "https://gitlab.example.com/shop/web/checkout",
    }
