"""Ack throughput and processor time per request as ratios to a bare aiohttp handler, interleaved in one run.

Three servers, each a process of its own on loopback, take turns under the same load of 64 connections: the bare handler, alertbridge
with every alert dropped by a rule, and alertbridge with every alert opening an incident that is delivered to a
stand-in of Elven. Rates depend on the machine and its other users; their ratio within a round much less.

The processor time (user and system, all threads) is counted until everything is decided, and depends on the others least:
where the load, the server's loop and its writing thread share two cores, look at it first. Its ratio is what throughput
comes to when nothing but the server's own work holds it up. Needs Linux' /proc.
"""

from __future__ import annotations

import asyncio
import itertools
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import aiohttp
import uvloop

from benchmarks import load

TICKS = os.sysconf("SC_CLK_TCK")
ROUNDS = int(os.environ.get("ROUNDS", "7"))
SECONDS = float(os.environ.get("SECONDS", "3"))
TOKEN = "token-of-the-benchmark"
CONFIGURATION = """
server: {{listen: "127.0.0.1:{port}"}}
storage: {{url: "sqlite:///{folder}/alertbridge.db"}}
log: {{level: info, format: json}}
sources:
  prod: {{type: alertmanager, auth: {{bearer_token: {token}}}}}
destinations:
  elven: {{type: elven, url: "http://127.0.0.1:{stand_ins}/elven/token", concurrency: 16}}
rules:
  - {{name: only, {rule}}}
"""


def body(fingerprint: str) -> bytes:
    """One firing alert of about the size that Alertmanager sends."""
    labels = {
        "alertname": "HighErrorRate",
        "cluster": "demo",
        "env": "prod",
        "instance": "web-1.example:8080",
        "job": "demo",
        "service": "checkout",
        "severity": "critical",
        "team": "payments",
    }
    annotations = {
        "description": "12% of requests to checkout on web-1.example:8080 fail (threshold 5%)",
        "runbook_url": "https://runbooks.example/high-error-rate",
        "summary": "High error rate on checkout",
    }
    alert = {
        "status": "firing",
        "labels": labels,
        "annotations": annotations,
        "startsAt": "2026-01-01T19:38:46.728Z",
        "endsAt": "0001-01-01T00:00:00Z",
        "generatorURL": "http://prometheus.example:9090/graph?g0.expr=demo_error_ratio+%3E+0.05",
        "fingerprint": fingerprint,
    }
    return json.dumps(
        {
            "receiver": "grouped",
            "status": "firing",
            "alerts": [alert],
            "groupLabels": {"alertname": "HighErrorRate", "service": "checkout"},
            "commonLabels": labels,
            "commonAnnotations": annotations,
            "externalURL": "http://alertmanager.example:9093",
            "version": "4",
            "groupKey": '{}/{alertname="HighErrorRate"}:{alertname="HighErrorRate", service="checkout"}',
            "truncatedAlerts": 0,
        }
    ).encode()


def start(*command: str, log: Path) -> subprocess.Popen[bytes]:
    """Start a Python module as a process."""
    with log.open("ab") as out:
        return subprocess.Popen([sys.executable, "-m", *command], stdout=out, stderr=out)


async def listening(port: int) -> None:
    """Return when somebody listens on `port`."""
    async with asyncio.timeout(30):
        while True:
            try:
                _, writer = await asyncio.open_connection("127.0.0.1", port)
            except OSError:
                await asyncio.sleep(0.05)
            else:
                writer.close()
                return


async def backlog(port: int) -> int:
    """How many accepted events are not decided yet."""
    async with aiohttp.ClientSession() as session, session.get(f"http://127.0.0.1:{port}/metrics") as answer:
        for line in (await answer.text()).splitlines():
            if line.startswith("alertbridge_inbox "):
                return int(float(line.split()[1]))
    raise LookupError("alertbridge_inbox")


def processor_time(process: subprocess.Popen[bytes]) -> float:
    """Seconds that all threads of a process have worked so far."""
    fields = Path(f"/proc/{process.pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICKS


async def quiet(port: int) -> float:
    """Wait until everything accepted is decided; the seconds that took."""
    began = time.perf_counter()
    while await backlog(port):  # noqa: ASYNC110 - another process is watched
        await asyncio.sleep(0.05)
    return time.perf_counter() - began


async def measure(folder: Path) -> None:
    """Run everything and print the ratios."""
    from tests.support.daemon import free_port  # noqa: PLC0415 - only here

    bare, dropping, delivering, stand_ins = (free_port() for _ in range(4))
    servers = {bare: start("benchmarks.bare", str(bare), log=folder / "bare.log")}
    simulating = start(
        "alertbridge", "simulate", "--listen", f"127.0.0.1:{stand_ins}", log=folder / "stand-ins.log"
    )
    for port, rule in ((dropping, "drop: true"), (delivering, "send: [elven]")):
        home = folder / str(port)
        home.mkdir()
        text = CONFIGURATION.format(port=port, folder=home, token=TOKEN, stand_ins=stand_ins, rule=rule)
        (home / "alertbridge.yaml").write_text(text, encoding="utf-8")
        servers[port] = start(
            "alertbridge", "serve", "--config", str(home / "alertbridge.yaml"), log=home / "daemon.log"
        )
    processes = [*servers.values(), simulating]
    try:
        for port in (stand_ins, *servers):
            await listening(port)
        same = load.request(body("bdc4a5686971790d"), TOKEN)
        numbers = itertools.count()
        bench = Bench(
            (
                Target("bare", bare, servers[bare], lambda: same),
                Target("dropped", dropping, servers[dropping], lambda: same),
                Target(
                    "delivered",
                    delivering,
                    servers[delivering],
                    lambda: load.request(body(f"{next(numbers):016x}"), TOKEN),
                ),
            )
        )
        await bench.run()
    finally:
        for process in processes:
            process.terminate()
        for process in processes:
            process.wait(timeout=60)


@dataclass(frozen=True, slots=True)
class Target:
    """A server under load: where it listens, which process it is, and what it is sent."""

    name: str
    port: int
    process: subprocess.Popen[bytes]
    requests: Callable[[], bytes]


@dataclass(frozen=True, slots=True)
class Turn:
    """One server's part of a round: answers per second, the same until all was decided, seconds of work per request."""

    rate: float
    sustained: float
    work: float


class Bench:
    """Interleaves the servers, the bare handler first, and prints what each round and all of them came to."""

    def __init__(self, targets: tuple[Target, ...]) -> None:
        self._targets = targets
        self._turns: dict[str, list[Turn]] = {target.name: [] for target in targets}

    async def run(self) -> None:
        """One round to warm up, then those that count."""
        for number in range(ROUNDS + 1):
            notes = [await self._turn(target, SECONDS if number else 1.0) for target in self._targets]
            print(f"round {number or 'to warm up'}: " + ", ".join(notes), flush=True)
            if not number:
                for turns in self._turns.values():
                    turns.clear()
        for target in self._targets[1:]:
            self._sum_up(target.name)

    async def _turn(self, target: Target, seconds: float) -> str:
        before = processor_time(target.process)
        tally = await load.run(target.port, target.requests, seconds)
        after = await quiet(target.port) if target is not self._targets[0] else 0.0
        answers = tally.rate * tally.seconds
        work = (processor_time(target.process) - before) / sum(tally.statuses.values())
        self._turns[target.name].append(Turn(tally.rate, answers / (tally.seconds + after), work))
        return (
            f"{target.name} {tally.rate:.0f}/s p99 {tally.quantile(0.99) * 1000:.1f} ms, "
            f"{work * 1e6:.0f} us of work each" + (f" (all decided {after:.2f} s later)" if after else "")
        )

    def _sum_up(self, name: str) -> None:
        pairs = list(zip(self._turns[self._targets[0].name], self._turns[name], strict=True))
        acks = [turn.rate / bare.rate for bare, turn in pairs]
        print(
            f"ack throughput, every alert {name}: {statistics.median(acks):.2f} of the bare handler "
            f"(from {min(acks):.2f} to {max(acks):.2f}; until all is decided "
            f"{statistics.median(turn.sustained / bare.rate for bare, turn in pairs):.2f}; "
            f"by work {statistics.median(bare.work / turn.work for bare, turn in pairs):.2f})"
        )


if __name__ == "__main__":
    with tempfile.TemporaryDirectory(prefix="alertbridge-bench-") as temporary:
        uvloop.run(measure(Path(temporary)))
