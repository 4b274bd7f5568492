"""A canary in every secret setting, and then everything the daemon writes is searched for it."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import json
import subprocess
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path

import aiohttp

from alertbridge.clock import SystemClock
from alertbridge.simulate.server import Simulation
from tests.support.daemon import Daemon, free_port, surroundings
from tests.support.forges import SHA, WEB, github_deployment_status, gitlab_deployment, signed
from tests.support.payloads import captured, said

CANARIES = {
    name: f"canary{number}{name}x7Qz9"
    for number, name in enumerate(
        (
            "bearer",
            "password",
            "hmac",
            "elven",
            "hivel",
            "hivel2",
            "admin",
            "proxy",
            "inline",
            "ping",
            "ci",
            "github",
            "gitlab",
            "forge",
            "lab",
        )
    )
}
MAIN = """
server: {{listen: "127.0.0.1:{port}", admin_token_file: admin-token, drain_timeout: 5s}}
storage: {{url: "sqlite:///{folder}/alertbridge.db"}}
log: {{level: debug, format: json}}
sources:
  prod: {{type: alertmanager, auth: {{bearer_token_file: bearer-token}}}}
  basic: {{type: alertmanager, auth: {{basic: {{username: am, password_file: password}}}}}}
  signed: {{type: alertmanager, auth: {{hmac: {{header: X-Signature, secret_file: hmac-secret}}}}}}
  inline: {{type: alertmanager, auth: {{basic: {{username: am, password: "${{INLINE}}"}}}}}}
  literal: {{type: alertmanager, auth: {{bearer_token: literal-canary-x7Qz9}}}}
destinations:
  elven: {{type: elven, url_file: elven-url, timeout: 1s}}
  hivel: {{type: hivel, base_url: "{stand_ins}/hivel", token_file: hivel-token, timeout: 1s}}
  refused: {{type: hivel, base_url: "{stand_ins}/hivel", token: "${{HIVEL2}}", proxy_file: proxy-url, timeout: 1s}}
pings:
  straight: {{url_file: ping-url, every: 1s}}
  around: {{url_file: ping-url, every: 1s, proxy_file: proxy-url}}
services:
  checkout: {{repo_url: "https://github.com/acme/checkout", pr_number: 44}}
deployments:
  auth: {{bearer_token_file: ci-token}}
  github: {{secret_file: github-secret}}
  gitlab: {{token_file: gitlab-token}}
  resolve:
    github: {{token_file: forge-token, base_url: "{stand_ins}"}}
    gitlab: {{token_file: lab-token, base_url: "{stand_ins}", web_url: "https://gitlab.example.com"}}
"""
CANARIES["literal"] = "literal-canary-x7Qz9"
MISPLACED = ", ".join(f'team = "{canary}"' for canary in CANARIES.values())
RULES = f"""
rules:
  - name: secrets where they do not belong
    when: [any: [{MISPLACED}]]
    drop: true
  - name: everything
    send: [elven, hivel, refused]
"""
ENVIRON = {"HIVEL2": CANARIES["hivel2"], "INLINE": CANARIES["inline"]}


def write_secrets(folder: Path, stand_ins: str) -> None:
    closed = free_port()
    for name, text in {
        "admin-token": CANARIES["admin"],
        "bearer-token": CANARIES["bearer"],
        "password": CANARIES["password"],
        "hmac-secret": CANARIES["hmac"],
        "ping-url": f"{stand_ins}/ping/{CANARIES['ping']}",
        "elven-url": f"{stand_ins}/elven/{CANARIES['elven']}",
        "hivel-token": CANARIES["hivel"],
        "ci-token": CANARIES["ci"],
        "github-secret": CANARIES["github"],
        "gitlab-token": CANARIES["gitlab"],
        "forge-token": CANARIES["forge"],
        "lab-token": CANARIES["lab"],
        "proxy-url": f"http://user:{CANARIES['proxy']}@127.0.0.1:{closed}",
    }.items():
        (folder / name).write_text(text + "\n", encoding="utf-8")


def carrying(text: str) -> bytes:
    """A notification that holds a secret, which a sender may make up."""
    alert = {"status": "firing", "labels": {"alertname": "Down", "team": text}}
    return json.dumps({"alerts": [alert]}).encode()


async def use_everything(daemon: Daemon, simulation: Simulation) -> list[str]:
    """Good and bad requests to every route; destinations that echo what they were given. All answers, as text."""
    answers: list[str] = []
    body = captured("01")
    signature = hmac.new(CANARIES["hmac"].encode(), body, hashlib.sha256).hexdigest()
    async with aiohttp.ClientSession() as session:

        async def ask(method: str, path: str, **options: object) -> None:
            async with session.request(method, f"{daemon.url}{path}", **options) as answer:  # type: ignore[arg-type]
                answers.append(f"{answer.status} {dict(answer.headers)} {await answer.text()}")

        echo = {
            "mode": "status",
            "status": 400,
            "times": 1,
            "body": f"bad: {CANARIES['elven']} {CANARIES['hivel']}",
        }
        for name in ("elven", "hivel"):
            await session.put(f"{simulation.base_url}/behaviour/{name}", json=echo)
        bearer = {"Authorization": f"Bearer {CANARIES['bearer']}"}
        await ask("POST", "/v1/sources/prod", data=body, headers=bearer)
        await ask("POST", "/v1/sources/prod", data=captured("07"), headers=bearer)
        await ask("POST", "/v1/sources/prod", data=b"{", headers=bearer)
        await ask(
            "POST", "/v1/sources/prod", data=body, headers={"Authorization": f"Bearer {CANARIES['bearer']}x"}
        )
        basic = {"Authorization": aiohttp.encode_basic_auth("am", CANARIES["password"])}
        await ask("POST", "/v1/sources/basic", data=captured("21"), headers=basic)
        await ask("POST", "/v1/sources/basic", data=body)
        await ask("POST", "/v1/sources/signed", data=body, headers={"X-Signature": signature})
        await ask("POST", "/v1/sources/signed", data=body, headers={"X-Signature": "00"})
        admin = {"Authorization": f"Bearer {CANARIES['admin']}"}
        for kind in ("events", "incidents", "deliveries", "destinations"):
            await ask("GET", f"/api/v1/{kind}", headers=admin)
            await ask("GET", f"/api/v1/{kind}")
        for canary in CANARIES.values():
            await ask("POST", "/api/v1/explain?source=prod", data=carrying(canary), headers=admin)
        await ask("POST", "/api/v1/explain?source=prod", data=body)
        await ask("GET", "/api/v1/rules", headers=admin)
        listed = await (await session.get(f"{daemon.url}/api/v1/rules", headers=admin)).json()
        await ask("GET", f"/api/v1/rules/{listed['items'][0]['hash']}", headers=admin)
        assert "secrets where they do not belong" in answers[-1], "the search is not blind"
        assert "***" in answers[-1]
        await tell_of_deployments(ask)
        for name in ("elven", "hivel", "refused"):
            await session.put(
                f"{simulation.base_url}/behaviour/{name.replace('refused', 'hivel')}", json=echo
            )
            await ask("POST", f"/api/v1/destinations/{name}/test", headers=admin)
            assert '"ok":false' in answers[-1] or '"ok":true' in answers[-1], answers[-1]
        since = {"since": "2026-01-01T00:00:00Z"}
        for path, wanted in (("deliveries/retry", {"state": "dead", "dry_run": True}), ("replay", since)):
            await ask("POST", f"/api/v1/{path}", json=wanted, headers=admin)
        for path in ("/metrics", "/-/healthy", "/-/ready", "/nowhere"):
            await ask("GET", path)
        listed = await (await session.get(f"{daemon.url}/api/v1/deliveries", headers=admin)).json()
        for item in listed["items"]:
            await ask("GET", f"/api/v1/deliveries/{item['id']}", headers=admin)
    statuses = [answer[:3] for answer in answers]
    assert statuses[:8] == ["202", "202", "400", "401", "202", "401", "202", "401"]
    assert statuses.count("202") == 8
    assert "200" in statuses
    return answers


async def tell_of_deployments(ask: Callable[..., Awaitable[None]]) -> None:
    """As CI and both forges do, by good and by bad credentials; a commit makes the daemon ask a forge in turn."""
    told = {"id": "1", "environment": "production", "status": "success", "commit": SHA, "repo_url": WEB}
    for token in (CANARIES["ci"], f"{CANARIES['ci']}x", CANARIES["admin"]):
        bearer = {"Authorization": f"Bearer {token}"}
        await ask("POST", "/v1/deployments", json=told, headers=bearer)
    hub = github_deployment_status(at="2026-01-05T09:00:00Z")
    for secret in (CANARIES["github"], f"{CANARIES['github']}x"):
        headers = {**signed(hub, secret), "X-GitHub-Event": "deployment_status"}
        await ask("POST", "/v1/deployments/github", data=hub, headers=headers)
    for token in (CANARIES["gitlab"], f"{CANARIES['gitlab']}x"):
        headers = {"X-Gitlab-Token": token}
        await ask("POST", "/v1/deployments/gitlab", data=gitlab_deployment(), headers=headers)
    admin = {"Authorization": f"Bearer {CANARIES['admin']}"}
    await ask("GET", "/api/v1/deployments", headers=admin)


async def test_no_secret_ever_leaves(tmp_path: Path) -> None:
    async with Simulation(clock=SystemClock(), hivel_token=CANARIES["hivel"]) as simulation:
        write_secrets(tmp_path, simulation.base_url)
        daemon = Daemon(tmp_path, stand_ins=simulation.base_url, rules=RULES, main=MAIN)
        try:
            await daemon.start(environ=ENVIRON)
            answers = await use_everything(daemon, simulation)
            answers += await asyncio.to_thread(command_line, daemon)
            assert daemon.stop() == 0
        finally:
            daemon.end_if_running()
        bodies = json.dumps([item.body for item in simulation.received])
    judge(tmp_path, daemon.log, answers, bodies)


def command_line(daemon: Daemon) -> list[str]:
    """What the commands that ask the daemon print."""
    commands = [["rules", "history"], ["rules", "history", "--json"]]
    shown = json.loads(tell(daemon, commands[1]))["items"][0]["hash"]
    commands += [["rules", "show", shown], ["rules", "show", shown, "--json"]]
    printed = [tell(daemon, command) for command in commands]
    assert "secrets where they do not belong" in printed[2], "the search is not blind"
    return printed


def tell(daemon: Daemon, command: list[str]) -> str:
    done = run([*command, "--config", str(daemon.configuration)])
    assert done.returncode == 0, done.stderr
    return done.stdout.decode() + done.stderr.decode()


def run(arguments: list[str]) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(
        [sys.executable, "-m", "alertbridge", *arguments],
        input=captured("01"),
        capture_output=True,
        env={**surroundings(), **ENVIRON},
        timeout=60,
        check=False,
    )


def judge(folder: Path, log: Path, answers: list[str], bodies: str) -> None:
    written = {path.name: path.read_bytes() for path in folder.glob("alertbridge.db*")}
    written["the log"] = log.read_bytes()
    written["what was answered"] = "\n".join(answers).encode()
    written["what was sent"] = bodies.encode()
    assert said("01")["alerts"][0]["fingerprint"].encode() in written["alertbridge.db"], (
        "the search is not blind"
    )
    assert b"***" in written["the log"] + written["alertbridge.db"], "what a vendor echoed is blotted out"
    for where, text in written.items():
        for name, canary in CANARIES.items():
            assert canary.encode() not in text, f"{name} is in {where}"


def test_the_command_line_shows_no_secret(tmp_path: Path) -> None:
    write_secrets(tmp_path, "http://127.0.0.1:9")
    daemon = Daemon(tmp_path, stand_ins="http://127.0.0.1:9", rules=RULES + "  - {nam: x}\n", main=MAIN)
    for command in (["check"], ["check", "--json"], ["explain", "-"], ["serve"]):
        done = run([*command, "--config", str(daemon.configuration)])
        assert done.returncode == 1
        for name, canary in CANARIES.items():
            assert canary.encode() not in done.stdout + done.stderr, f"{name} is shown by {command}"
