"""Everything on this machine: the stand-ins, and the real daemon with the example configuration, on free ports."""

from __future__ import annotations

from contextlib import AsyncExitStack
from datetime import timedelta
from pathlib import Path
from typing import Any, Self

import aiohttp

from alertbridge.app import App
from alertbridge.cli import example
from alertbridge.cli.options import with_server
from alertbridge.clock import Clock
from alertbridge.config.load import load
from alertbridge.config.secrets import Redactor
from alertbridge.operate.logs import configure_logging
from alertbridge.simulate.server import Simulation

TOKEN = "demo-token"  # noqa: S105 - the example's own, which opens nothing
SOURCE = "prod"
_DRAIN = timedelta(seconds=2)


class Stage:
    """An asynchronous context manager that runs it all; whatever it writes lies in `folder`."""

    def __init__(self, *, folder: Path, clock: Clock) -> None:
        self.clock = clock
        self.simulation = Simulation(elven_tokens=frozenset({TOKEN}), hivel_token=TOKEN, clock=clock)
        self.log = folder / "alertbridge.log"
        self.url = ""
        self._folder = folder
        self._client = aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=10))
        self._running = AsyncExitStack()

    async def __aenter__(self) -> Self:
        async with AsyncExitStack() as starting:
            starting.push_async_callback(self._client.close)
            await starting.enter_async_context(self.simulation)
            app = self._app(self.simulation.base_url, starting)
            await app.start()
            starting.push_async_callback(app.stop)
            self.url = f"http://127.0.0.1:{app.port}"
            self._running = starting.pop_all()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._running.aclose()

    @property
    def webhook(self) -> str:
        """Where Alertmanager would post to."""
        return f"{self.url}/v1/sources/{SOURCE}"

    async def post(self, body: bytes) -> tuple[int, Any]:
        """Post a notification as Alertmanager does; the status and the JSON of the answer."""
        headers = {"Authorization": f"Bearer {TOKEN}", "Content-Type": "application/json"}
        async with self._client.post(self.webhook, data=body, headers=headers) as answer:
            return answer.status, await answer.json(content_type=None)

    async def get(self, path: str) -> Any:
        """The JSON that the daemon's admin API answers."""
        async with self._client.get(f"{self.url}{path}", raise_for_status=True) as answer:
            return await answer.json()

    def _app(self, stand_ins: str, starting: AsyncExitStack) -> App:
        for name, text in example.configuration().items():
            path = self._folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
        # This process's own environment is left out: it may name the real Elven.
        environ = {"ELVEN_URL": f"{stand_ins}/elven/{TOKEN}", "HIVEL_BASE_URL": f"{stand_ins}/hivel"}
        configuration = load(self._folder / "alertbridge.yaml", environ=environ)
        configure_logging(
            level="info",
            format="console",
            clean=Redactor(configuration.secrets).clean,
            stream=starting.enter_context(self.log.open("w", encoding="utf-8")),
        )
        return App(
            configuration=with_server(configuration, listen="127.0.0.1:0", drain_timeout=_DRAIN),
            clock=self.clock,
            state_directory=str(self._folder),
        )
