"""Two rule sets change places under load, with mistakes and SIGKILL in between: no alert is lost, doubled or decided by half of each.

Each set leaves its mark on all that it decides: rule names, key, title, description and tags for Elven, description and
reporter for Hivel, and in the catalogue that Hivel's systems are looked up in. It stands in three files, which are exchanged at once
as Kubernetes does it, and one rule of it speaks to each destination.
"""

from __future__ import annotations

import asyncio
import json
import os
import random
import signal
import sqlite3
from collections import Counter, defaultdict
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from alertbridge.clock import SystemClock
from alertbridge.config.load import load
from alertbridge.simulate.server import Simulation
from tests.support.daemon import TOKEN, Daemon

RELOADS = int(os.environ.get("RELOADS", "12"))
SEED = int(os.environ.get("SEED", "0")) or random.SystemRandom().randrange(1, 10**6)
SENDERS = 6
TOGETHER = 3  # alerts in a body
SETS = ("red", "blue")
MAIN = """
server: {{listen: "127.0.0.1:{port}", drain_timeout: 5s, watch: true}}
storage: {{url: "sqlite:///{folder}/alertbridge.db"}}
log: {{level: info, format: json}}
sources:
  prod: {{type: alertmanager, auth: {{bearer_token: {token}}}}}
destinations:
  elven: {{type: elven, url: "{stand_ins}/elven/token-of-elven", timeout: TIMEOUT, landing_time: 300ms}}
  hivel: {{type: hivel, base_url: "{stand_ins}/hivel", token: token-of-hivel, timeout: 2s}}
services:
  checkout: {{repo_url: "https://github.com/acme/checkout", pr_number: 44, affected_systems: [SET-system]}}
rules_files: [rules/*.yaml]
"""
ELVEN = """
rules:
  - name: SET-elven
    continue: true
    key: "SET/{{ labels.name }}"
    send:
      elven: {title: "SET {{ labels.name }}", description: "said by SET", tags: {set: SET}}
"""
HIVEL = """
rules:
  - name: SET-hivel
    key: "SET/{{ labels.name }}"
    send:
      hivel: {description: "SET {{ labels.name }}", reported_by: SET}
"""
OTHERS = "".join(
    f'  - {{name: other-{n}, when: ["app = app{n}", "zone =~ a{n}.*b"], send: [elven]}}\n' for n in range(100)
)
MISTAKES: dict[str, tuple[str, Callable[[str], str], str]] = {
    "a misspelt key": ("rules/50.yaml", lambda text: text.replace("send:", "sned:"), "sned"),
    "half of a file": ("rules/10.yaml", lambda text: text[: len(text) // 2], "10.yaml"),
    "an unknown destination": ("rules/50.yaml", lambda text: text.replace("hivel:", "hievl:"), "hievl"),
    "not YAML at all": ("alertbridge.yaml", lambda _: "server: {listen: [", "alertbridge.yaml"),
}


class Disk:
    """The configuration of a daemon as a mounted config map: a link above all files is exchanged."""

    def __init__(self, folder: Path, main: str) -> None:
        self.main = folder / "alertbridge.yaml"
        self._folder = folder
        self._main = main
        self._number = 0
        folder.mkdir()
        self.hashes: dict[str, str] = {}
        for name in SETS:
            self.show(name)
            self.hashes[load_hash(self.main)] = name

    def show(self, name: str, mistake: str | None = None) -> None:
        """Let all files be those of a set at once."""
        files = {
            "alertbridge.yaml": self._main.replace("TIMEOUT", "2s" if name == "red" else "3s"),
            "rules/10.yaml": f"rules:\n{OTHERS}{ELVEN.split(chr(10), 2)[2]}",
            "rules/50.yaml": HIVEL,
        }
        if mistake:
            file, change, _ = MISTAKES[mistake]
            files[file] = change(files[file])
        self._number += 1
        fresh = self._folder / f"..{self._number}"
        (fresh / "rules").mkdir(parents=True)
        for file, text in files.items():
            (fresh / file).write_text(text.replace("SET", name), encoding="utf-8")
        (self._folder / "..new").symlink_to(fresh.name)
        (self._folder / "..new").replace(self._folder / "..data")
        for one in ("alertbridge.yaml", "rules"):
            if not (self._folder / one).is_symlink():
                (self._folder / one).symlink_to(f"..data/{one}")


def load_hash(main: Path) -> str:
    return load(main, environ={}).hash


class Load:
    """Alerts that fire once and resolve once, several in a body; a sender goes on when it has a 2xx."""

    def __init__(self, url: str) -> None:
        self.acked: list[str] = []
        self.stopping = False
        self._url = f"{url}/v1/sources/prod"

    async def run(self) -> None:
        headers = {"Authorization": f"Bearer {TOKEN}"}
        async with aiohttp.ClientSession(headers=headers, timeout=aiohttp.ClientTimeout(total=5)) as session:
            await asyncio.gather(*(self._send(number, session) for number in range(SENDERS)))

    async def _send(self, sender: int, session: aiohttp.ClientSession) -> None:
        turn = 0
        while not self.stopping:
            turn += 1
            names = [f"s{sender}-{turn}-{n}" for n in range(TOGETHER)]
            started = datetime.now(UTC)
            await self._post(session, names, "firing", started)
            await asyncio.sleep(random.random() * 0.1)
            await self._post(session, names, "resolved", started)
            self.acked += names
            await asyncio.sleep(random.random() * 0.1)

    async def _post(
        self, session: aiohttp.ClientSession, names: list[str], status: str, started: datetime
    ) -> None:
        alerts = [
            {
                "status": status,
                "labels": {"alertname": "A", "name": name, "severity": "critical", "service": "checkout"},
                "startsAt": started.isoformat(),
                "endsAt": datetime.now(UTC).isoformat() if status == "resolved" else "0001-01-01T00:00:00Z",
                "fingerprint": name,
            }
            for name in names
        ]
        while True:
            with suppress(aiohttp.ClientError, TimeoutError):
                async with session.post(self._url, data=json.dumps({"alerts": alerts})) as answer:
                    if answer.status == 202:
                        return
            await asyncio.sleep(0.02)


class Operator:
    """Reloads in every way, makes mistakes, and looks what the daemon says of it."""

    def __init__(self, daemon: Daemon, disk: Disk, chance: random.Random) -> None:
        self.cut = 0  # reloads that a kill has ended
        self.ways: Counter[str] = Counter()
        self._daemon = daemon
        self._disk = disk
        self._chance = chance

    async def reload(self, name: str) -> None:
        self._disk.show(name)
        await self._ask(200)
        (wanted,) = (one for one, of in self._disk.hashes.items() if of == name)
        await self._until(last_reload_successful=1, hash=int(wanted[:12], 16))
        assert await self._text("/-/ready") == "ready\n"

    async def mistake(self, name: str) -> None:
        mistake = self._chance.choice(sorted(MISTAKES))
        before = (await self._metrics())["hash"]
        self._disk.show(name, mistake)
        await self._ask(422)
        await self._until(last_reload_successful=0, hash=before)
        assert MISTAKES[mistake][2] in await self._text("/-/ready"), mistake

    async def kill(self, name: str) -> None:
        self._disk.show(name)
        asking = asyncio.create_task(self._post())
        await asyncio.sleep(self._chance.random() * 0.3)
        self._daemon.kill()
        self.cut += await asking is None
        await self._daemon.start()

    async def _ask(self, status: int) -> None:
        way = self._chance.choice(("SIGHUP", "POST", "watch", "all"))
        self.ways[way] += 1
        if way in {"SIGHUP", "all"}:
            os.kill(self._daemon.pid, signal.SIGHUP)
        if way in {"POST", "all"}:
            assert await self._post() == status

    async def _post(self) -> int | None:
        try:
            async with (
                aiohttp.ClientSession() as session,
                session.post(f"{self._daemon.url}/-/reload") as answer,
            ):
                return answer.status
        except aiohttp.ClientError:
            return None

    async def _until(self, **wanted: float) -> None:
        try:
            async with asyncio.timeout(40):
                while await self._metrics() != wanted:  # noqa: ASYNC110 - another process is watched
                    await asyncio.sleep(0.02)
        except TimeoutError:
            raise AssertionError(f"{await self._metrics()}, not {wanted}") from None

    async def _metrics(self) -> dict[str, float]:
        prefix = "alertbridge_config_"
        lines = (await self._text("/metrics")).splitlines()
        said = [line.removeprefix(prefix).split() for line in lines if line.startswith(prefix)]
        return {name: float(value) for name, value in said}

    async def _text(self, path: str) -> str:
        async with aiohttp.ClientSession() as session, session.get(f"{self._daemon.url}{path}") as answer:
            assert answer.status == 200
            return await answer.text()


@pytest.mark.timeout(0 if RELOADS > 50 else 300)
async def test_no_alert_is_lost_doubled_or_decided_by_half_of_each_rule_set(
    tmp_path: Path, record_property: Callable[[str, object], None]
) -> None:
    chance = random.Random(SEED)
    async with Simulation(clock=SystemClock()) as simulation:
        daemon = Daemon(tmp_path, stand_ins=simulation.base_url, rules="", main=MAIN)
        disk = Disk(tmp_path / "conf", daemon.configuration.read_text(encoding="utf-8"))
        daemon.configuration = disk.main
        operator = Operator(daemon, disk, chance)
        try:
            counts = await run_and_reload(daemon, simulation, operator, disk.hashes)
        finally:
            daemon.end_if_running()
    record_property("counts", f"{RELOADS} reloads (SEED={SEED}): {counts}")


async def run_and_reload(
    daemon: Daemon, simulation: Simulation, operator: Operator, hashes: dict[str, str]
) -> str:
    sending = Load(daemon.url)
    await daemon.start()
    loading = asyncio.create_task(sending.run())
    mistakes = kills = 0
    for number in range(RELOADS):
        name = SETS[number % 2]
        if number % 4 == 3:
            kills += 1
            await operator.kill(name)
        else:
            if number % 3 == 1:
                mistakes += 1
                await operator.mistake(name)
            await operator.reload(name)
        enough = len(sending.acked) + 2 * TOGETHER
        while len(sending.acked) < enough:
            assert not loading.done()
            await asyncio.sleep(0.02)
    sending.stopping = True
    await loading
    await daemon.settled(within=120)
    incidents = await everything(daemon, "incidents")
    events = await everything(daemon, "events")
    assert daemon.stop() == 0
    told = judge(sending, simulation, hashes, incidents)
    doubled = unexplained(simulation, daemon.database)
    assert not doubled
    assert {event["outcome"] for event in events} == {"decided"}
    assert {event["rules_hash"] for event in events} == hashes.keys()
    return (
        f"{len(sending.acked)} alerts, {told}; {mistakes} mistakes, {kills} kills, "
        f"{operator.cut} of them in the middle of a reload; {dict(operator.ways)}"
    )


def judge(
    sending: Load, simulation: Simulation, hashes: dict[str, str], incidents: list[dict[str, Any]]
) -> str:
    """Each alert has one incident at each destination, both of one set, which all that was said of them shows."""
    sets: dict[str, list[tuple[str, str]]] = defaultdict(list)
    for one in incidents:
        name = hashes[one["rules_hash"]]
        (member,) = one["alerts"]
        assert (one["rule"], one["key"]) == (
            f"{name}-{one['destination']}",
            f"{name}/{member['fingerprint']}",
        )
        assert one["state"] == "closed"
        sets[member["fingerprint"]].append((one["destination"], name))
    told: dict[str, set[tuple[str, str]]] = defaultdict(set)
    for item in simulation.received:
        assert item.problem is None
        if item.taken:
            alert, name = said_of(item.destination, item.body)
            told[alert].add((f"{item.destination} {item.body.get('action', 'record')}", name))
    assert sets.keys() == told.keys() == set(sending.acked)
    for alert, found in sets.items():
        (name, *_) = {name for _, name in found}
        assert sorted(found) == [("elven", name), ("hivel", name)], alert
        assert told[alert] == {
            ("elven alarmed", name),
            ("elven resolved", name),
            ("hivel record", name),
        }, alert
    shares = Counter(found[0][1] for found in sets.values())
    assert set(shares) == set(SETS), "both sets have decided"
    return " and ".join(f"{shares[name]} {name}" for name in SETS)


def said_of(destination: str, body: dict[str, Any]) -> tuple[str, str]:
    """The alert that a message is about, and the set that all of it bears the mark of."""
    if destination == "elven":
        name, alert = body["title"].split()
        marks = {
            "title": f"{name} {alert}",
            "description": f"said by {name}",
            "external_aggregate_key": f"{name}/{alert}",
            "tags": [{"name": "set", "value": name}],
        }
    else:
        name, alert = body["description"].split()
        marks = {
            "description": f"{name} {alert}",
            "reported_by": name,
            "affected_systems": [f"{name}-system"],
        }
    assert {field: body[field] for field in marks} == marks
    assert name in SETS
    return alert, name


def unexplained(simulation: Simulation, database: Path) -> list[object]:
    """What was said more than once, without an attempt whose end a kill has left open, or on purpose after one."""
    with sqlite3.connect(database) as connection:
        explained: Counter[tuple[str, str, str]] = Counter()
        for statement in (
            "SELECT destination, key, action, count(*) FROM attempts WHERE outcome = 'ambiguous' GROUP BY 1, 2, 3",
            "SELECT destination, key, action, count(*) FROM deliveries WHERE repeats IS NOT NULL GROUP BY 1, 2, 3",
        ):
            explained.update({row[:3]: row[3] for row in connection.execute(statement)})
    connection.close()
    said: Counter[tuple[str, str, str]] = Counter()
    for item in simulation.received:
        if item.taken:
            alert, name = said_of(item.destination, item.body)
            said[item.destination, f"{name}/{alert}", item.body.get("action", "record")] += 1
    return [what for what, number in said.items() if number - 1 > explained[what]]


async def everything(daemon: Daemon, path: str) -> list[dict[str, Any]]:
    """All pages of a listing."""
    items: list[dict[str, Any]] = []
    cursor = ""
    while True:
        page = await daemon.get(f"/api/v1/{path}?limit=500{cursor}")
        items += page["items"]
        if not page["next"]:
            return items
        cursor = f"&cursor={page['next']}"
