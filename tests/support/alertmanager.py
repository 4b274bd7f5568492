"""A real Prometheus Alertmanager on loopback."""

from __future__ import annotations

import asyncio
import shutil
import subprocess
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from textwrap import dedent

import aiohttp

from tests.support.daemon import free_port

PROGRAM = "prometheus-alertmanager"
ROUTE = """
route:
  receiver: bridge
  group_by: [alertname, service]
  group_wait: 300ms
  group_interval: 1s
  repeat_interval: 1h
receivers:
  - name: bridge
    webhook_configs:
      - url: {url}
        http_config: {{authorization: {{credentials: {token}}}}}
"""


@dataclass
class Firing:
    """One alert as Prometheus would keep telling it."""

    labels: dict[str, str]
    annotations: dict[str, str]
    starts_at: datetime
    ends_at: datetime | None = None


class Alertmanager:
    """Routes every alert to the bridge; `tell` plays the part of Prometheus. `gossip` and `joins` make it a cluster's peer."""

    def __init__(
        self,
        folder: Path,
        *,
        url: str,
        token: str,
        route: str = ROUTE,
        gossip: int | None = None,
        joins: int | None = None,
    ) -> None:
        self.port = free_port()
        self._folder = folder
        self._cluster = ["--cluster.listen-address="]
        if gossip is not None:
            self._cluster = [f"--cluster.listen-address=127.0.0.1:{gossip}", "--cluster.settle-timeout=1s"]
            self._cluster += [f"--cluster.peer=127.0.0.1:{joins}"] if joins else []
        self._process: subprocess.Popen[bytes] | None = None
        folder.mkdir(exist_ok=True)
        (folder / "alertmanager.yml").write_text(dedent(route).format(url=url, token=token), encoding="utf-8")

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    async def start(self) -> None:
        with (self._folder / "alertmanager.log").open("ab") as log:
            self._process = subprocess.Popen(  # noqa: ASYNC220 - begins at once; nobody waits for it here
                [
                    PROGRAM,
                    f"--config.file={self._folder / 'alertmanager.yml'}",
                    f"--storage.path={self._folder / 'data'}",
                    f"--web.listen-address=127.0.0.1:{self.port}",
                    *self._cluster,
                ],
                stdout=log,
                stderr=log,
            )
        async with aiohttp.ClientSession() as session, asyncio.timeout(30):
            while True:
                try:
                    async with session.get(f"http://127.0.0.1:{self.port}/-/ready") as answer:
                        if answer.status == 200:
                            return
                except aiohttp.ClientError:
                    pass
                await asyncio.sleep(0.05)

    def stop(self) -> None:
        if self._process is not None:
            self._process.terminate()
            self._process.wait(timeout=30)
            self._process = None

    def kill(self, *, forget: bool = False) -> None:
        """End it at once, with what it had not written down; and with what it had, if it is to `forget`."""
        if self._process is not None:
            self._process.kill()
            self._process.wait(timeout=30)
            self._process = None
        if forget:
            shutil.rmtree(self._folder / "data", ignore_errors=True)

    async def silence(self, **labels: str) -> str:
        """Silence what has these labels, and return the id of the silence."""
        now = datetime.now(UTC)
        body = {
            "matchers": [
                {"name": k, "value": v, "isRegex": False, "isEqual": True} for k, v in labels.items()
            ],
            "startsAt": now.isoformat(),
            "endsAt": (now + timedelta(hours=1)).isoformat(),
            "createdBy": "tests",
            "comment": "a test",
        }
        url = f"{self.url}/api/v2/silences"
        async with aiohttp.ClientSession() as session, session.post(url, json=body) as answer:
            assert answer.status == 200, await answer.text()
            return str((await answer.json())["silenceID"])

    async def end_silence(self, identifier: str) -> None:
        url = f"{self.url}/api/v2/silence/{identifier}"
        async with aiohttp.ClientSession() as session, session.delete(url) as answer:
            assert answer.status == 200, await answer.text()

    async def tell(self, alerts: Iterable[Firing]) -> None:
        body = [
            {
                "labels": alert.labels,
                "annotations": alert.annotations,
                "startsAt": alert.starts_at.isoformat(),
                "endsAt": (alert.ends_at or datetime.now(UTC) + timedelta(minutes=5)).isoformat(),
                "generatorURL": "http://prometheus.example:9090/graph",
            }
            for alert in alerts
        ]
        url = f"http://127.0.0.1:{self.port}/api/v2/alerts"
        async with aiohttp.ClientSession() as session, session.post(url, json=body) as answer:
            assert answer.status == 200, await answer.text()
