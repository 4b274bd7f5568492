"""Ack throughput as a ratio to a bare aiohttp handler, interleaved in one run.

Three servers, each a process of its own on loopback, take turns under the same load of 64 connections: the bare handler, alertbridge
with every alert dropped by a rule, and alertbridge with every alert opening an incident that is delivered to a
stand-in of Elven. Rates depend on the machine and its other users; their ratio within a round much less.
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
from pathlib import Path

import aiohttp
import uvloop

from benchmarks import load

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
    processes = [
        start("benchmarks.bare", str(bare), log=folder / "bare.log"),
        start("alertbridge", "simulate", "--listen", f"127.0.0.1:{stand_ins}", log=folder / "stand-ins.log"),
    ]
    for port, rule in ((dropping, "drop: true"), (delivering, "send: [elven]")):
        home = folder / str(port)
        home.mkdir()
        text = CONFIGURATION.format(port=port, folder=home, token=TOKEN, stand_ins=stand_ins, rule=rule)
        (home / "alertbridge.yaml").write_text(text, encoding="utf-8")
        processes.append(
            start("alertbridge", "serve", "--config", str(home / "alertbridge.yaml"), log=home / "daemon.log")
        )
    try:
        for port in (bare, stand_ins, dropping, delivering):
            await listening(port)
        await rounds(bare, dropping, delivering)
    finally:
        for process in processes:
            process.terminate()
        for process in processes:
            process.wait(timeout=60)


async def rounds(bare: int, dropping: int, delivering: int) -> None:
    """Interleave the three, and print what each round and all of them came to."""
    same = load.request(body("bdc4a5686971790d"), TOKEN)
    numbers = itertools.count()
    targets: dict[str, tuple[int, Callable[[], bytes]]] = {
        "bare": (bare, lambda: same),
        "dropped": (dropping, lambda: same),
        "delivered": (delivering, lambda: load.request(body(f"{next(numbers):016x}"), TOKEN)),
    }
    ratios: dict[str, list[float]] = {"dropped": [], "delivered": []}
    sustained: dict[str, list[float]] = {"dropped": [], "delivered": []}
    for number in range(ROUNDS + 1):
        rates: dict[str, float] = {}
        notes = []
        for name, (port, requests) in targets.items():
            tally = await load.run(port, requests, SECONDS if number else 1.0)
            rates[name] = tally.rate
            note = f"{name} {tally.rate:.0f}/s p99 {tally.quantile(0.99) * 1000:.1f} ms"
            if name != "bare":
                after = await quiet(port)
                if number:
                    ratios[name].append(rates[name] / rates["bare"])
                    good = tally.rate * tally.seconds
                    sustained[name].append(good / (tally.seconds + after) / rates["bare"])
                    note += f" (all decided {after:.2f} s later)"
            notes.append(note)
        print(f"round {number or 'to warm up'}: " + ", ".join(notes), flush=True)
    for name, values in ratios.items():
        print(
            f"ack throughput, every alert {name}: {statistics.median(values):.2f} of the bare handler "
            f"(from {min(values):.2f} to {max(values):.2f}; until all is decided {statistics.median(sustained[name]):.2f})"
        )


if __name__ == "__main__":
    with tempfile.TemporaryDirectory(prefix="alertbridge-bench-") as temporary:
        uvloop.run(measure(Path(temporary)))
