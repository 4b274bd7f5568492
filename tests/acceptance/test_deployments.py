"""Deployments are told to the real daemon, and records have the pull request that they are laid to."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import aiohttp
import orjson
import pytest
import pytest_asyncio

from alertbridge.clock import SystemClock
from alertbridge.simulate.server import Simulation
from tests.support.daemon import CONFIGURATION, Daemon, surroundings
from tests.support.forges import (
    SHA,
    WEB,
    ForgeStandIn,
    github_deployment_status,
    github_pull_request,
    gitlab_deployment,
    gitlab_merge_request,
    signed,
)

CI = "token-of-ci"
GITHUB = "secret-of-github"
GITLAB = "token-of-gitlab"
FORGE = "token-of-the-forge"
MAIN = (
    CONFIGURATION.partition("services:")[0]
    + """
services:
  checkout: {{repo_url: "https://github.com/acme/checkout"}}
  payments: {{repo_url: "https://github.com/acme/payments"}}
  lab: {{repo_url: "https://gitlab.example.com/shop/web/checkout"}}
deployments:
  auth: {{bearer_token: token-of-ci}}
  github: {{secret: secret-of-github}}
  gitlab: {{token: token-of-gitlab}}
"""
)
RULES = """
rules:
  - name: everything
    send: [hivel]
"""
NOW = datetime.now(UTC).replace(microsecond=0)


def ago(minutes: float) -> str:
    return (NOW - timedelta(minutes=minutes)).isoformat()


@dataclass
class Site:
    """A daemon with its stand-ins."""

    daemon: Daemon
    stand_ins: Simulation
    forge: ForgeStandIn

    async def post(self, path: str, body: bytes, headers: Mapping[str, str]) -> tuple[int, Any]:
        async with (
            aiohttp.ClientSession() as session,
            session.post(f"{self.daemon.url}{path}", data=body, headers=headers) as answer,
        ):
            return answer.status, await answer.json()

    async def tell(self, **fields: Any) -> Any:
        """As CI does, by one line of curl; a good production deployment of checkout unless said."""
        deployment = {
            "id": "4711",
            "service": "checkout",
            "pr_number": 44,
            "environment": "production",
            "status": "success",
            "finished_at": ago(10),
        } | fields
        status, answer = await self.post(
            "/v1/deployments", orjson.dumps(deployment), {"Authorization": f"Bearer {CI}"}
        )
        assert status == 202, answer
        return answer

    async def github(self, event: str, body: bytes, secret: str = GITHUB) -> tuple[int, Any]:
        return await self.post(
            "/v1/deployments/github", body, {**signed(body, secret), "X-GitHub-Event": event}
        )

    async def gitlab(self, body: bytes, token: str = GITLAB) -> tuple[int, Any]:
        headers = {"Content-Type": "application/json", "X-Gitlab-Token": token}
        return await self.post("/v1/deployments/gitlab", body, headers)

    async def incident(self, service: str = "checkout", *, opened: float = 5, name: str = "Down") -> None:
        """An alert that fired some minutes ago, and is over."""
        labels = {"alertname": name, "service": service}
        for status in ("firing", "resolved"):
            alert = {"status": status, "labels": labels, "startsAt": ago(opened)}
            if status == "resolved":
                alert["endsAt"] = ago(0)
            assert await self.daemon.post(orjson.dumps({"alerts": [alert]})) == 202
        await self.daemon.settled()

    @property
    def records(self) -> list[tuple[str, str]]:
        """Repository and pull request of each record at Hivel."""
        return [(one["repo_url"], one["pr_number"]) for one in self.stand_ins.incidents["hivel"]]

    async def recorded(self, number: int = 1) -> list[tuple[str, str]]:
        """The records, once there are so many."""
        async with asyncio.timeout(20):
            while len(self.records) < number:  # noqa: ASYNC110 - another process is watched
                await asyncio.sleep(0.02)
        return self.records

    async def told_until(self, deployment: str, is_so: Callable[[Any], bool]) -> Any:
        """The deployment as it is shown, once it is so."""
        async with asyncio.timeout(20):
            while not is_so(shown := await self.daemon.get(f"/api/v1/deployments/{deployment}")):  # noqa: ASYNC110 - another process is watched
                await asyncio.sleep(0.02)
        return shown

    async def held(self) -> list[list[str]]:
        """What is missing in each record that is held."""
        return [one["missing"] for one in (await self.daemon.get("/api/v1/deliveries?state=held"))["items"]]

    async def run(self, *arguments: str) -> str:
        done = await asyncio.to_thread(
            subprocess.run,
            [sys.executable, "-m", "alertbridge", *arguments, "--config", str(self.daemon.configuration)],
            capture_output=True,
            text=True,
            env=surroundings(),
            timeout=60,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout


@pytest_asyncio.fixture
async def site(tmp_path: Path, request: pytest.FixtureRequest) -> AsyncIterator[Site]:
    """With what a test's parameter adds to the section `deployments`."""
    forge = ForgeStandIn(token=FORGE)
    base = await forge.start()
    more = getattr(request, "param", "").replace("FORGE", base)
    async with Simulation(clock=SystemClock()) as stand_ins:
        daemon = Daemon(tmp_path, stand_ins=stand_ins.base_url, rules=more + RULES, main=MAIN)
        await daemon.start()
        yield Site(daemon, stand_ins, forge)
        daemon.end_if_running()
    await forge.stop()


RESOLVING = """  resolve:
    github: {token: token-of-the-forge, base_url: "FORGE"}
    gitlab: {token: token-of-the-forge, base_url: "FORGE", web_url: "https://gitlab.example.com"}
"""


async def test_a_deployment_is_told_and_then_an_incident_fires_and_resolves(site: Site) -> None:
    assert await site.tell() == {"deployments": ["4711"], "completed": []}

    await site.incident()

    assert await site.recorded() == [(WEB, "44")]
    (incident,) = (await site.daemon.get("/api/v1/incidents"))["items"]
    assert incident["content"]["origins"]["repo_url"] == "service"
    assert incident["content"]["origins"]["pr_number"] == "deployment 4711"
    story = await site.run("trace", incident["id"])
    assert f"laid to repo_url {WEB} (from service), pr_number 44 (from deployment 4711)" in story


async def test_an_incident_comes_first_and_its_held_record_is_completed_by_a_deployment_that_is_told_late(
    site: Site,
) -> None:
    await site.incident()
    assert await site.held() == [["pr_number"]]
    (incident,) = (await site.daemon.get("/api/v1/incidents"))["items"]

    assert await site.tell() == {"deployments": ["4711"], "completed": [incident["id"]]}

    assert await site.recorded() == [(WEB, "44")]
    assert "told      complete by deployment 4711 (pr_number: 44)" in await site.run("trace", incident["id"])
    (entry,) = (await site.daemon.get("/api/v1/audit"))["items"]
    assert (entry["who"], entry["action"]) == ("deployment 4711", "complete")
    assert entry["detail"] == {"pr_number": "44"}


async def test_each_of_two_services_has_its_own_deployment(site: Site) -> None:
    await site.tell()
    await site.tell(id="4712", service="payments", pr_number=7, finished_at=ago(8))

    await site.incident("checkout")
    await site.incident("payments")

    assert sorted(await site.recorded(2)) == [(WEB, "44"), ("https://github.com/acme/payments", "7")]


@pytest.mark.parametrize(
    "fields",
    [
        pytest.param({"status": "failed"}, id="failed"),
        pytest.param({"status": "canceled"}, id="canceled"),
        pytest.param({"environment": "staging"}, id="staging"),
        pytest.param({"finished_at": ago(8 * 24 * 60)}, id="too old"),
        pytest.param({"finished_at": ago(1)}, id="after the incident opened"),
        pytest.param({"service": "payments"}, id="of another service"),
        pytest.param({"status": "started", "finished_at": None}, id="not finished"),
    ],
)
async def test_a_deployment_is_not_taken(site: Site, fields: dict[str, Any]) -> None:
    await site.tell(**fields)

    await site.incident()
    await site.tell(**{**fields, "id": "4712"})

    assert await site.held() == [["pr_number"]]
    assert site.records == []


async def test_the_latest_counts_and_a_later_word_on_it_is_believed(site: Site) -> None:
    await site.tell(id="1", pr_number=41, finished_at=ago(30))
    await site.tell(id="2", pr_number=42, status="started", finished_at=None)
    await site.tell(id="2", pr_number=None, finished_at=ago(20))

    await site.incident()

    assert await site.recorded() == [(WEB, "42")]
    listed = json.loads(await site.run("deployments", "--json"))
    assert [(one["id"], one["status"], one["pr_number"]) for one in listed] == [
        ("2", "success", "42"),
        ("1", "success", "41"),
    ]
    assert "#42" in await site.run("deployments")


async def test_what_was_told_survives_a_kill(site: Site) -> None:
    await site.tell()
    site.daemon.kill()
    await site.daemon.start()

    await site.incident()

    assert await site.recorded() == [(WEB, "44")]


async def test_github_tells_of_a_merge_and_of_the_deployment_of_its_commit(site: Site) -> None:
    await site.incident()
    status, answer = await site.github("deployment_status", github_deployment_status(at=ago(7)))
    assert (status, answer) == (202, {"deployments": ["github/acme/checkout/145988746"], "completed": []})
    assert await site.held() == [["pr_number"]]

    status, answer = await site.github("pull_request", github_pull_request())

    assert (status, len(answer["completed"])) == (202, 1)
    assert await site.recorded() == [(WEB, "44")]


async def test_gitlab_tells_of_a_merge_and_of_the_deployment_of_its_commit(site: Site) -> None:
    assert (await site.gitlab(gitlab_merge_request()))[0] == 202
    at = (NOW - timedelta(minutes=7)).strftime("%Y-%m-%d %H:%M:%S UTC")
    assert (await site.gitlab(gitlab_deployment(status="running", at=at)))[0] == 202
    assert (await site.gitlab(gitlab_deployment(at=at)))[0] == 202

    await site.incident("lab")

    assert await site.recorded() == [("https://gitlab.example.com/shop/web/checkout", "7")]
    shown = json.loads(await site.run("deployments", "show", "gitlab/shop/web/checkout/15"))
    assert (shown["pr_number"], shown["commit"]) == ("7", SHA)


@pytest.mark.parametrize("site", ["  merges_deploy_to: production\n"], indirect=True)
async def test_a_merge_is_a_deployment_where_that_is_said(site: Site) -> None:
    status, _ = await site.github("pull_request", github_pull_request(at=ago(9)))
    assert status == 202

    await site.incident()

    assert await site.recorded() == [(WEB, "44")]


async def test_a_merge_is_none_where_it_is_not(site: Site) -> None:
    assert (await site.github("pull_request", github_pull_request(at=ago(9))))[0] == 202

    await site.incident()

    assert await site.held() == [["pr_number"]]


async def test_who_is_not_known_is_refused(site: Site) -> None:
    told = orjson.dumps({"id": "1", "service": "checkout", "environment": "prod", "status": "success"})
    hub = github_deployment_status(at=ago(7))
    event = {"X-GitHub-Event": "deployment_status"}

    assert (await site.post("/v1/deployments", told, {}))[0] == 401
    assert (await site.post("/v1/deployments", told, {"Authorization": "Bearer wrong"}))[0] == 401
    assert (await site.github("deployment_status", hub, "wrong"))[0] == 401
    assert (await site.post("/v1/deployments/github", hub + b" ", {**signed(hub, GITHUB), **event}))[0] == 401
    assert (await site.post("/v1/deployments/github", hub, event))[0] == 401
    assert (await site.gitlab(gitlab_deployment(), "wrong"))[0] == 401
    assert (await site.post("/v1/deployments/gitlab", gitlab_deployment(), {}))[0] == 401
    assert (await site.daemon.get("/api/v1/deployments"))["items"] == []


async def test_what_cannot_be_used_is_said_or_ignored(site: Site) -> None:
    status, answer = await site.post("/v1/deployments", b'{"id": 1}', {"Authorization": f"Bearer {CI}"})
    assert (status, answer["place"]) == (400, "environment")
    assert "status: needed, and not there" in answer["detail"]
    large = b'{"id": "' + b"x" * 70_000 + b'"}'
    assert (await site.post("/v1/deployments", large, {"Authorization": f"Bearer {CI}"}))[0] == 413
    assert (await site.github("ping", b'{"zen": "Speak like a human."}'))[0] == 202
    assert (await site.github("pull_request", b"payload=%7B%7D"))[0] == 400
    form = signed(b"payload=%7B%7D", GITHUB) | {"Content-Type": "application/x-www-form-urlencoded"}
    assert (await site.post("/v1/deployments/github", b"payload=%7B%7D", form))[0] == 415


@pytest.mark.parametrize("site", [RESOLVING], indirect=True)
async def test_a_forge_is_asked_for_the_pull_request_of_a_commit(site: Site) -> None:
    merged = {"number": 44, "state": "closed", "merged_at": ago(30), "merge_commit_sha": SHA}
    site.forge.answers = [
        (502, {}, {}),
        (403, {"Retry-After": "1"}, {"message": "You have exceeded a secondary rate limit."}),
        (200, {}, []),
        (200, {}, [{**merged, "number": 43, "merged_at": None}, {**merged, "padding": "x" * 100_000}]),
    ]
    await site.incident()

    await site.tell(pr_number=None, repo_url=WEB, commit=SHA)

    assert await site.recorded() == [(WEB, "44")]
    assert site.forge.asked == [f"/repos/acme/checkout/commits/{SHA}/pulls"] * 4
    (incident,) = (await site.daemon.get("/api/v1/incidents"))["items"]
    assert incident["content"]["origins"]["pr_number"] == "deployment 4711"


@pytest.mark.parametrize("site", [RESOLVING], indirect=True)
async def test_gitlab_is_asked_in_its_own_way(site: Site) -> None:
    site.forge.answers = [(200, {}, [{"id": 990, "iid": 7, "state": "merged", "merge_commit_sha": SHA}])]
    at = (NOW - timedelta(minutes=7)).strftime("%Y-%m-%d %H:%M:%S UTC")
    await site.gitlab(gitlab_deployment(at=at))
    await site.told_until("gitlab/shop/web/checkout/15", lambda one: one["pr_number"] == "7")

    await site.incident("lab")

    assert await site.recorded() == [("https://gitlab.example.com/shop/web/checkout", "7")]
    project = "shop%2Fweb%2Fcheckout"
    assert site.forge.asked == [f"/api/v4/projects/{project}/repository/commits/{SHA}/merge_requests"]


@pytest.mark.parametrize(
    "site", [RESOLVING.replace("token-of-the-forge", "token-that-is-wrong")], indirect=True
)
async def test_a_forge_that_refuses_is_shown_and_never_its_token(site: Site) -> None:
    await site.tell(pr_number=None, repo_url=WEB, commit=SHA)

    shown = await site.told_until("4711", lambda one: one["resolve"]["error"])

    assert shown["resolve"]["error"] == "HTTP 401"
    assert shown["resolve"]["at"]
    assert "HTTP 401" in await site.run("deployments")
    assert "token-that-is-wrong" not in site.daemon.log.read_text()


@pytest.mark.parametrize("site", [RESOLVING], indirect=True)
async def test_a_repository_that_no_forge_holds_is_given_up_with_the_reason(site: Site) -> None:
    await site.tell(pr_number=None, repo_url="https://bitbucket.org/acme/checkout", commit=SHA)

    shown = await site.told_until("4711", lambda one: not one["resolve"]["at"])

    assert shown["resolve"]["error"] == "no forge under deployments.resolve holds this repository"
    assert site.forge.asked == []


FORWARDING = "  forward: hivel\n"


def passed_on(site: Site) -> list[Any]:
    """The deployments that Hivel was told of, whether it took them or not."""
    received = [one.body for one in site.stand_ins.received if one.destination == "hivel"]
    return [body for body in received if "deployment_id" in body]


@pytest.mark.parametrize("site", [FORWARDING], indirect=True)
async def test_a_deployment_is_passed_on_to_hivel_once_it_has_ended(site: Site) -> None:
    await site.tell(status="started", finished_at=None, started_at=ago(12), branch="main")
    await site.tell()
    await site.tell()
    await site.daemon.settled()

    assert passed_on(site) == [
        {
            "deployment_id": "4711",
            "event_type": "completed",
            "status": "success",
            "start_time": ago(12).replace("+00:00", "Z"),
            "end_time": ago(10).replace("+00:00", "Z"),
            "repo_url": WEB,
            "environment": "production",
            "branch": "main",
            "pr_number": "44",
        }
    ]
    (delivery,) = (await site.daemon.get("/api/v1/deliveries?action=deployment"))["items"]
    assert (delivery["state"], delivery["incident"], delivery["key"]) == ("delivered", None, "4711")


@pytest.mark.parametrize("site", [FORWARDING], indirect=True)
async def test_a_deployment_that_lacks_what_hivel_requires_is_skipped_with_the_reason(site: Site) -> None:
    await site.tell(started_at=ago(12))
    (delivery,) = (await site.daemon.get("/api/v1/deliveries?action=deployment"))["items"]
    assert (delivery["state"], delivery["last_error"]) == ("skipped", "not passed on: nobody said its branch")

    await site.tell(branch="main")
    await site.daemon.settled()

    assert [one["branch"] for one in passed_on(site)] == ["main"]


@pytest.mark.parametrize("site", [FORWARDING + RESOLVING], indirect=True)
async def test_a_deployment_is_passed_on_with_the_pull_request_that_a_forge_finds(site: Site) -> None:
    merged = {"number": 44, "state": "closed", "merged_at": ago(30), "merge_commit_sha": SHA}
    site.forge.answers = [(200, {}, []), (200, {}, [merged])]
    whole = {"pr_number": None, "started_at": ago(12), "branch": "main", "commit": SHA}

    await site.tell(**whole, repo_url=WEB)
    await site.tell(**whole, id="4712", repo_url="https://bitbucket.org/acme/checkout")
    await site.told_until("4711", lambda one: one["pr_number"])
    await site.told_until("4712", lambda one: not one["resolve"]["at"])
    await site.daemon.settled()

    told = {one["deployment_id"]: one.get("pr_number") for one in passed_on(site)}
    assert told == {"4711": "44", "4712": None}
    assert len(passed_on(site)) == 2


async def test_nothing_is_passed_on_unless_that_is_said(site: Site) -> None:
    await site.tell(started_at=ago(12), branch="main")
    await site.daemon.settled()

    assert passed_on(site) == []


async def test_a_reload_changes_who_may_tell_and_what_counts(site: Site) -> None:
    text = site.daemon.configuration.read_text()
    changed = text.replace("token-of-ci", "token-of-tomorrow").replace(
        "deployments:", "deployments:\n  production: [staging]", 1
    )
    site.daemon.configuration.write_text(changed)
    await site.run("reload")
    told = {"id": "1", "service": "checkout", "environment": "staging", "status": "success", "pr_number": 9}
    body = orjson.dumps({**told, "finished_at": ago(10)})

    assert (await site.post("/v1/deployments", body, {"Authorization": f"Bearer {CI}"}))[0] == 401
    assert (await site.post("/v1/deployments", body, {"Authorization": "Bearer token-of-tomorrow"}))[0] == 202
    await site.incident()
    assert await site.recorded() == [(WEB, "9")]
