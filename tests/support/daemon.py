"""The real daemon as a process of its own: started, asked, killed."""

from __future__ import annotations

import asyncio
import fcntl
import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import suppress
from itertools import cycle
from pathlib import Path
from tempfile import gettempdir
from textwrap import dedent
from typing import IO, Any

import aiohttp

TOKEN = "webhook-token-of-the-tests"
CONFIGURATION = """
server: {{listen: "127.0.0.1:{port}", drain_timeout: 5s}}
storage: {{url: "sqlite:///{folder}/alertbridge.db"}}
log: {{level: info, format: json}}
sources:
  prod:
    type: alertmanager
    auth: {{bearer_token: {token}}}
destinations:
  elven: {{type: elven, url: "{stand_ins}/elven/token-of-elven", timeout: 2s, landing_time: 300ms}}
  hivel: {{type: hivel, base_url: "{stand_ins}/hivel", token: token-of-hivel, timeout: 2s}}
services:
  checkout: {{repo_url: "https://github.com/acme/checkout", pr_number: 44}}
"""
RULES = """
rules:
  - name: everything
    send: [elven, hivel]
"""


def _ports() -> Iterator[int]:
    """Below the ports that the system gives to whoever asks for any, and apart from those of every other test process.

    Whoever still knocks at the port of a daemon that was killed must not reach another's.
    """
    for first in range(12_000, 30_000, 200):
        with suppress(OSError):
            lock = os.open(Path(gettempdir()) / f"alertbridge-tests-{first}.lock", os.O_RDWR | os.O_CREAT)
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)  # for as long as this process lives
            except OSError:
                os.close(lock)
                raise
            return cycle(range(first, first + 200))
    raise AssertionError("all ports are taken by other tests")


_PORTS = _ports()


def free_port() -> int:
    """A port that nobody listens on; another one each time."""
    for port in _PORTS:
        with socket.socket() as probe, suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port
    raise AssertionError("ports never end")


def surroundings() -> dict[str, str]:
    """The environment that a process needs to run the same code, and nothing that would configure it."""
    return {name: os.environ[name] for name in ("PATH", "PYTHONPATH") if name in os.environ}


class Daemon:
    """`alertbridge serve` on a folder of its own; it may be started again after it has ended."""

    def __init__(
        self,
        folder: Path,
        *,
        stand_ins: str,
        rules: str = RULES,
        main: str = CONFIGURATION,
        module: str = "alertbridge",
    ) -> None:
        self.folder = folder
        self.port = free_port()
        self.log = folder / "daemon.log"
        self.database = folder / "alertbridge.db"
        self.configuration = folder / "alertbridge.yaml"
        text = dedent(main).format(port=self.port, folder=folder, token=TOKEN, stand_ins=stand_ins)
        self.configuration.write_text(text + dedent(rules), encoding="utf-8")
        self._module = module
        self._process: subprocess.Popen[bytes] | None = None
        self._stderr: IO[bytes] | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    async def start(self, *, ready: bool = True, environ: Mapping[str, str] | None = None) -> None:
        self._stderr = self.log.open("ab")
        self._process = subprocess.Popen(  # noqa: ASYNC220 - begins at once; nobody waits for it here
            [sys.executable, "-m", self._module, "serve", "--config", str(self.configuration)],
            stdout=self._stderr,
            stderr=self._stderr,
            cwd=self.folder,
            env={**surroundings(), **(environ or {})},
        )
        if ready:
            await self.ready()

    async def ready(self, *, within: float = 30) -> None:
        async with aiohttp.ClientSession() as session, asyncio.timeout(within):
            while True:
                assert self._process is not None
                assert self._process.poll() is None, f"the daemon has ended:\n{self.log.read_text()}"
                try:
                    async with session.get(f"{self.url}/-/ready") as answer:
                        if answer.status == 200:
                            return
                except aiohttp.ClientError:
                    pass
                await asyncio.sleep(0.02)

    def kill(self) -> None:
        """As a power cut would, as far as a process can tell."""
        self._end(signal.SIGKILL)

    def stop(self) -> int:
        """Ask it to end and return its exit code."""
        return self._end(signal.SIGTERM)

    def wait(self, *, within: float = 30) -> int:
        """Return its exit code once it has ended by itself; a negative one is the signal that killed it."""
        assert self._process is not None
        assert self._stderr is not None
        code = self._process.wait(within)
        self._stderr.close()
        self._process = None
        return code

    async def ended(self, *, within: float = 30) -> int:
        """Wait as `wait` does, and let others go on meanwhile."""
        return await asyncio.to_thread(self.wait, within=within)

    def said(self, event: str) -> list[dict[str, Any]]:
        """The lines of the log, of all its runs, that say this event."""
        lines = [line for line in self.log.read_text().splitlines() if line.startswith("{")]
        return [line for line in map(json.loads, lines) if line["event"] == event]

    def _end(self, how: signal.Signals) -> int:
        assert self._process is not None
        self._process.send_signal(how)
        return self.wait()

    def end_if_running(self) -> None:
        if self._process is not None and self._process.poll() is None:
            self.kill()
        if self._stderr is not None:
            self._stderr.close()

    async def get(self, path: str) -> Any:
        async with aiohttp.ClientSession() as session, session.get(f"{self.url}{path}") as answer:
            assert answer.status == 200, await answer.text()
            return await answer.json()

    async def post(self, body: bytes) -> int:
        """Post a webhook and return the status."""
        headers = {"Authorization": f"Bearer {TOKEN}", "Content-Type": "application/json"}
        url = f"{self.url}/v1/sources/prod"
        async with (
            aiohttp.ClientSession() as session,
            session.post(url, data=body, headers=headers) as answer,
        ):
            return answer.status

    async def settled(self, *, within: float = 60) -> None:
        """Return when every event is decided and nothing waits to be sent."""
        try:
            async with asyncio.timeout(within):
                while not await self._is_settled():  # noqa: ASYNC110 - another process is watched
                    await asyncio.sleep(0.05)
        except TimeoutError:
            waiting = [
                d for d in (await self.get("/api/v1/deliveries?limit=500"))["items"] if not d["delivered_at"]
            ]
            shown = [
                {k: d[k] for k in ("key", "action", "state", "attempts", "next_attempt_at", "last_error")}
                for d in waiting
            ]
            destinations = (await self.get("/api/v1/destinations"))["items"]
            raise AssertionError(f"not settled: {shown[:20]} {destinations}") from None

    async def _is_settled(self) -> bool:
        events = await self.get("/api/v1/events?state=received&limit=1")
        destinations = await self.get("/api/v1/destinations")
        return not events["items"] and not any(d["waiting"] for d in destinations["items"])
