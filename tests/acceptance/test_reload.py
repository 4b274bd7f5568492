"""Reload as an operator does it: the real daemon, a signal, a request, a command."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Callable
from itertools import count
from pathlib import Path
from typing import Any

import aiohttp
import pytest
import pytest_asyncio

from alertbridge.clock import SystemClock
from alertbridge.simulate.server import Simulation
from tests.support.daemon import TOKEN, Daemon, free_port, surroundings


@pytest_asyncio.fixture
async def stand_ins() -> AsyncIterator[Simulation]:
    async with Simulation(clock=SystemClock()) as simulation:
        yield simulation


@pytest_asyncio.fixture
async def daemon(tmp_path: Path, stand_ins: Simulation) -> AsyncIterator[Daemon]:
    daemon = Daemon(tmp_path, stand_ins=stand_ins.base_url)
    await daemon.start()
    yield daemon
    daemon.end_if_running()


def rewrite(daemon: Daemon, old: str, new: str) -> None:
    """As editors do it: a new file takes the place of the old one."""
    text = daemon.configuration.read_text(encoding="utf-8")
    assert old in text
    fresh = daemon.configuration.with_suffix(".new")
    fresh.write_text(text.replace(old, new), encoding="utf-8")
    fresh.replace(daemon.configuration)


async def command(daemon: Daemon, *arguments: str) -> subprocess.CompletedProcess[str]:
    return await asyncio.to_thread(
        subprocess.run,
        [sys.executable, "-m", "alertbridge", "reload", "--config", str(daemon.configuration), *arguments],
        capture_output=True,
        text=True,
        cwd=daemon.folder,
        env=surroundings(),
        timeout=60,
        check=False,
    )


def alert(name: str) -> bytes:
    labels = {"alertname": name, "service": "checkout", "severity": "critical"}
    return json.dumps({"alerts": [{"status": "firing", "labels": labels, "fingerprint": name}]}).encode()


def logged(daemon: Daemon, event: str) -> list[Any]:
    lines = map(json.loads, daemon.log.read_text(encoding="utf-8").splitlines())
    return [line for line in lines if line["event"] == event]


async def everything(daemon: Daemon, path: str) -> list[Any]:
    """All pages of a listing."""
    page = await daemon.get(f"/api/v1/{path}?limit=500")
    items: list[Any] = page["items"]
    while page["next"]:
        page = await daemon.get(f"/api/v1/{path}?limit=500&cursor={page['next']}")
        items += page["items"]
    return items


async def until(holds: Callable[[], object]) -> None:
    async with asyncio.timeout(20):
        while not holds():  # noqa: ASYNC110 - looks at another process
            await asyncio.sleep(0.02)


async def test_a_hangup_reads_the_configuration_again(daemon: Daemon) -> None:
    rewrite(daemon, "everything", "anything")

    os.kill(daemon.pid, signal.SIGHUP)
    await until(lambda: logged(daemon, "config.reloaded"))
    assert await daemon.post(alert("one")) == 202
    await daemon.settled()

    assert {one["rule"] for one in (await daemon.get("/api/v1/incidents"))["items"]} == {"anything"}
    assert daemon.stop() == 0


async def test_a_hangup_with_a_bad_file_changes_nothing_and_the_next_good_one_works(daemon: Daemon) -> None:
    rewrite(daemon, "name: everything", "nmae: everything")
    os.kill(daemon.pid, signal.SIGHUP)
    await until(lambda: logged(daemon, "config.reload_failed"))
    assert await daemon.post(alert("one")) == 202
    await daemon.settled()

    rewrite(daemon, "nmae: everything", "name: second")
    os.kill(daemon.pid, signal.SIGHUP)
    await until(lambda: logged(daemon, "config.reloaded"))
    await daemon.settled()

    assert {one["rule"] for one in (await daemon.get("/api/v1/incidents"))["items"]} == {"everything"}


async def test_the_command_says_what_came_of_it_and_exits_0_or_1(daemon: Daemon) -> None:
    same = await command(daemon)
    assert (same.returncode, same.stderr) == (0, "")
    assert same.stdout.startswith("read again, nothing has changed: hash ")

    rewrite(daemon, "everything", "anything")
    good = await command(daemon)
    assert (good.returncode, good.stderr) == (0, "")
    assert good.stdout.startswith("reloaded: hash ")

    rewrite(daemon, "send:", "sned:")
    bad = await command(daemon)
    assert (bad.returncode, bad.stdout) == (1, "")
    assert f"{daemon.configuration}:17:5: rules[0].sned: " in bad.stderr
    assert bad.stderr.endswith("not reloaded: the configuration before it goes on\n")

    daemon.stop()
    silent = await command(daemon)
    assert silent.returncode == 1
    assert f"no answer from {daemon.url}: " in silent.stderr
    assert "is the daemon running?" in silent.stderr


async def test_the_command_finds_the_daemon_and_its_token_though_everything_else_is_broken(
    daemon: Daemon,
) -> None:
    (daemon.folder / "admin-token").write_text("a-token-for-operators\n", encoding="utf-8")
    rewrite(daemon, "drain_timeout: 5s", "drain_timeout: 5s, admin_token_file: admin-token")
    assert (await command(daemon, "--url", daemon.url)).returncode == 0

    assert (await command(daemon)).returncode == 0
    rewrite(daemon, "type: elven", "type: evlen")
    broken = await command(daemon)

    assert broken.returncode == 1
    assert "destinations.elven.type" in broken.stderr
    rewrite(daemon, "admin_token_file: admin-token", "admin_token_file: none")
    without = await command(daemon)
    assert without.returncode == 1
    assert "server.admin_token_file" in without.stderr
    assert without.stderr.endswith("the daemon was not asked\n")


async def test_the_command_finds_a_daemon_behind_another_address(daemon: Daemon) -> None:
    rewrite(daemon, f"127.0.0.1:{daemon.port}", f"127.0.0.1:{free_port()}")

    moved = await command(daemon, "--url", f"{daemon.url}/")

    assert moved.returncode == 0, moved.stderr
    assert logged(daemon, "config.needs_restart")[0]["settings"] == ["server.listen"]


async def test_a_destination_with_waiting_messages_goes_only_by_force(
    daemon: Daemon, stand_ins: Simulation
) -> None:
    async with aiohttp.ClientSession() as session:
        silent = {"mode": "status", "status": 500}
        async with session.put(f"{stand_ins.base_url}/behaviour/elven", json=silent) as answer:
            assert answer.status == 200
    for name in ("one", "two", "three"):
        assert await daemon.post(alert(name)) == 202
    await until(lambda: len(stand_ins.received) >= 3)
    rewrite(daemon, "  elven: {", "  other: {")
    rewrite(daemon, "[elven, hivel]", "[other, hivel]")

    refused = await command(daemon)
    forced = await command(daemon, "--force")

    assert refused.returncode == 1
    assert "destinations.elven: it is removed while 3 messages are not delivered (" in refused.stderr
    assert "force" in refused.stderr
    assert forced.returncode == 0, forced.stderr
    destinations = (await daemon.get("/api/v1/destinations"))["items"]
    assert [one["name"] for one in destinations] == ["hivel", "other"]


@pytest.mark.timeout(180)
async def test_under_load_nothing_is_lost_or_doubled_and_every_event_has_one_of_the_hashes(
    daemon: Daemon, stand_ins: Simulation
) -> None:
    rounds = 6
    hashes: set[str] = set()
    names = (f"alert-{number:03}" for number in count())
    posted: list[str] = []
    going = True
    headers = {"Authorization": f"Bearer {TOKEN}"}
    async with aiohttp.ClientSession(headers=headers) as session:

        async def load() -> None:
            while going:
                name = next(names)
                url = f"{daemon.url}/v1/sources/prod"
                async with session.post(url, data=alert(name)) as answer:
                    assert answer.status == 202
                posted.append(name)
                await asyncio.sleep(0.05)

        loads = [asyncio.create_task(load()) for _ in range(10)]
        await until(lambda: len(posted) > 50)
        rule, timeout = "everything", "timeout: 2s"
        for turn in range(rounds):
            rewrite(daemon, rule, f"set-{turn}")
            rewrite(daemon, timeout, f"timeout: {3 + turn}s")
            rule, timeout = f"set-{turn}", f"timeout: {3 + turn}s"
            async with session.post(f"{daemon.url}/-/reload") as answer:
                hashes.add((await answer.json())["hash"])
            enough = len(posted) + 30
            await until(lambda enough=enough: len(posted) > enough)  # type: ignore[misc]
        going = False
        await asyncio.gather(*loads)
    await daemon.settled()

    assert len(hashes) == rounds
    decided = await everything(daemon, "events")
    assert len(decided) == len(posted)
    assert {event["outcome"] for event in decided} == {"decided"}
    met = {event["rules_hash"] for event in decided}
    assert hashes <= met
    assert len(met - hashes) == 1, "beside those that were read again, the first"
    opened = [one for one in stand_ins.received if one.destination == "elven" and one.status == 200]
    assert sorted(one.key or "" for one in opened) == [f"prod/{name}" for name in sorted(posted)]
