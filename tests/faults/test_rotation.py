"""A token that is no longer taken, and the next one: what waited goes out as soon as the file holds it."""

from __future__ import annotations

import asyncio
from pathlib import Path

from tests.support.daemon import Daemon
from tests.support.hostile import Hostile, Line
from tests.support.misbehaviour import status
from tests.support.network import alerts, rows

MAIN = """
server: {{listen: "127.0.0.1:{port}", drain_timeout: 5s, watch: true}}
storage: {{url: "sqlite:///{folder}/alertbridge.db"}}
log: {{level: info, format: json}}
sources:
  prod: {{type: alertmanager, auth: {{bearer_token: {token}}}}}
destinations:
  elven: {{type: elven, url_file: elven-url, timeout: 30s, probe_interval: 1h}}
  well: {{type: elven, url: "{stand_ins}/s3cr3t-of-the-well-one", timeout: 30s}}
"""
RULES = """
rules:
  - {name: everything, key: "{{ labels.name }}", send: [elven, well]}
"""
NEW = b"POST /s3cr3t-of-tomorrow "


async def only_tomorrows(line: Line) -> None:
    asked = await line.request()
    new = asked.head.startswith(NEW)
    await line.say(status("200 OK") if new else status("401 Unauthorized", body=asked.head))


async def test_a_queue_behind_a_401_goes_out_when_the_secret_is_rotated(tmp_path: Path) -> None:
    async with Hostile(only_tomorrows) as elven, Hostile() as good:
        secret = tmp_path / "elven-url"
        secret.write_text(f"{elven.url}/s3cr3t-of-yesterday", encoding="ascii")
        daemon = Daemon(tmp_path, stand_ins=good.url, main=MAIN, rules=RULES)
        try:
            await daemon.start(ready=False)
            await daemon.ready(within=120)
            for state in ("firing", "resolved"):
                assert await daemon.post(alerts(["a", "b"], state)) == 202
            async with asyncio.timeout(60):
                while len(good.asked) < 4 or not elven.asked:  # noqa: ASYNC110 - another process is watched
                    await asyncio.sleep(0.02)
            secret.write_text(f"{elven.url}/s3cr3t-of-tomorrow", encoding="ascii")
            await daemon.settled()
            assert daemon.stop() == 0
        finally:
            daemon.end_if_running()
        refused = [asked for asked in elven.asked if not asked.head.startswith(NEW)]
        assert elven.asked[: len(refused)] == refused, "the old token is never sent again"
        assert 1 <= len(refused) <= 2, "once for each key, and then no more for an hour"
        told = [asked.said for asked in elven.asked[len(refused) :]]
        assert sorted(told) == [(key, action) for key in "ab" for action in ("alarmed", "resolved")]
        assert all(told.index((key, "alarmed")) < told.index((key, "resolved")) for key in "ab")
    shown = [daemon.log, *daemon.folder.glob("alertbridge.db*")]
    assert [file.name for file in shown if b"s3cr3t" in file.read_bytes()] == []
    outcomes = rows(daemon.database, "SELECT DISTINCT outcome FROM attempts WHERE destination = 'elven'")
    assert sorted(row[0] for row in outcomes) == ["delivered", "paused"]
