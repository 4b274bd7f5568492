"""`alertbridge demo`: the story, its end, and that nothing is left of it."""

from __future__ import annotations

import asyncio
import logging
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import IO

import aiohttp
import click
import pytest
import structlog

from alertbridge.cli.demo import _tell
from alertbridge.cli.stage import TOKEN, Stage
from alertbridge.cli.story import Story, Unfinished
from alertbridge.clock import SystemClock

COMMAND = [sys.executable, "-m", "alertbridge", "demo"]


@pytest.fixture
def surroundings(tmp_path: Path) -> Iterator[dict[str, str]]:
    """An environment whose every folder is looked at afterwards; it names a real Elven, which must not be met."""
    folders = {name: tmp_path / name for name in ("tmp", "home", "here")}
    for folder in folders.values():
        folder.mkdir()
    yield {
        "PATH": os.environ["PATH"],
        "PYTHONUNBUFFERED": "1",
        "TMPDIR": str(folders["tmp"]),
        "HOME": str(folders["home"]),
        "ELVEN_URL": "http://127.0.0.1:9/the-real-one",
        "WEBHOOK_TOKEN": "the-real-one",
        "ALERTBRIDGE_CONFIG": "none.yaml",
    }
    assert [path for folder in folders.values() for path in folder.rglob("*")] == []


def test_once_tells_the_whole_story_and_ends_with_0(surroundings: dict[str, str], tmp_path: Path) -> None:
    result = subprocess.run(
        [*COMMAND, "--once"],
        capture_output=True,
        text=True,
        cwd=tmp_path / "here",
        env=surroundings,
        timeout=60,
        check=False,
    )

    assert (result.returncode, result.stderr) == (0, ""), result.stderr
    story = result.stdout
    steps = [
        "1. Alertmanager posts a notification: an alert fires",
        "HighErrorRate is firing: severity=critical, team=payments, service=checkout",
        "answer: 202, stored on disk as event ",
        '2. The rule "payments-critical" matches',
        "elven: critical, key demo/HighErrorRate",
        "3. Elven is told that the incident has opened",
        '"action": "alarmed"',
        'answer: 200 {"message": "ok"}',
        "4. Alertmanager posts a second notification: all is well again",
        "HighErrorRate is resolved: ",
        "5. Elven is told that the incident is over",
        '"action": "resolved"',
        'answer: 200 {"message": "ok"}',
        "6. Hivel gets the finished incident",
        '"repo_url": "https://github.com/acme/checkout"',
        '"pr_number": "44"',
        'answer: 200 { "message": "Success", "incident_id": "incident-',
        "Everything has arrived.",
    ]
    place = 0
    for step in steps:
        assert step in story[place:], f"{step!r} is missing after {story[place - 80 : place]!r}"
        place = story.index(step, place) + len(step)
    assert "\x1b" not in story, "no colours where there is no terminal"
    assert "daemon.started" not in story, "no log in the story"


@contextmanager
def running(surroundings: dict[str, str], folder: Path) -> Iterator[subprocess.Popen[str]]:
    """The demo without `--once`; it ends with the block at the latest."""
    with subprocess.Popen(
        COMMAND, cwd=folder, env=surroundings, stdout=subprocess.PIPE, text=True
    ) as process:
        try:
            yield process
        finally:
            process.kill()


async def test_it_goes_on_for_you_to_try_until_ctrl_c(surroundings: dict[str, str], tmp_path: Path) -> None:
    with running(surroundings, tmp_path / "here") as process:
        assert process.stdout is not None
        invitation = _read_until("alertbridge --help", process.stdout)
        webhook = _only(r"curl (\S+/v1/sources/prod) ", invitation)
        body = _only(r"/v1/sources/prod -H '.*?' -d '(.*?)'\n", invitation)
        stand_ins = _only(r"curl (\S+)/incidents\n", invitation.partition("/received")[2])
        async with aiohttp.ClientSession() as client:
            for address in re.findall(r"^ +curl (http:\S+)$", invitation, re.MULTILINE):
                async with client.get(address) as answer:
                    assert answer.status == 200, address
            behaviour = _only(r"-X PUT \S+ -d '(.*?)'", invitation)
            async with client.put(f"{stand_ins}/behaviour/elven", data=behaviour) as answer:
                assert answer.status == 200, await answer.text()
            headers = {"Authorization": f"Bearer {TOKEN}"}
            for text in (body, body.replace('"firing"', '"resolved"')):
                async with client.post(webhook, data=text, headers=headers) as answer:
                    assert answer.status == 202
            assert await _records(client, stand_ins, count=2) == 2
        process.send_signal(signal.SIGINT)
        assert process.wait(timeout=30) == 0


def test_whenever_it_is_interrupted_it_cleans_up(surroundings: dict[str, str], tmp_path: Path) -> None:
    with running(surroundings, tmp_path / "here") as process:
        assert process.stdout is not None
        _read_until("The daemon runs on", process.stdout)
        process.send_signal(signal.SIGTERM)
        assert process.wait(timeout=30) in {0, 1}


@pytest.fixture
def _logging_restored() -> Iterator[None]:
    handlers, level = logging.root.handlers[:], logging.root.level
    yield
    structlog.reset_defaults()
    logging.root.handlers[:] = handlers
    logging.root.setLevel(level)


@pytest.mark.usefixtures("_logging_restored")
@pytest.mark.parametrize(
    ("destination", "behaviour", "told", "reason"),
    [
        ("elven", {"mode": "status", "status": 400}, 2, r"elven: the message `alarmed` is dead: HTTP 400"),
        ("hivel", {"mode": "status", "status": 422}, 5, r"hivel: the message `record` is dead: HTTP 422"),
        (
            "hivel",
            {"mode": "status", "status": 503},
            5,
            r"waited 2 s for hivel to take `record`, in vain: HTTP 503",
        ),
        ("elven", {"mode": "hang"}, 2, r"waited 2 s for elven to take `alarmed`, in vain"),
    ],
)
async def test_what_does_not_arrive_ends_the_story_with_the_reason(
    tmp_path: Path, destination: str, behaviour: dict[str, object], told: int, reason: str
) -> None:
    said: list[str] = []
    async with Stage(folder=tmp_path, clock=SystemClock()) as stage:
        await _misbehave(stage, destination, behaviour)
        with pytest.raises(Unfinished, match=reason):
            await Story(stage=stage, say=said.append, patience=timedelta(seconds=2)).tell()
        await _misbehave(stage, destination, None)

    chapters = re.findall(r"^\n(\d+)\. ", "\n".join(map(click.unstyle, said)), re.MULTILINE)
    assert chapters == [str(number) for number in range(1, told + 1)]


@pytest.mark.usefixtures("_logging_restored")
async def test_a_story_without_its_end_is_status_1_with_the_end_of_the_log(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    async with Stage(folder=tmp_path, clock=SystemClock()) as stage:
        await _misbehave(stage, "elven", {"mode": "status", "status": 400})
        status = await _tell(stage, asyncio.Event())

    said = capsys.readouterr()
    assert status == 1
    assert "The demo did not come to its end: elven: the message `alarmed` is dead: HTTP 400" in said.err
    assert "delivery.settled" in said.err
    assert "Everything has arrived" not in said.out


@pytest.mark.usefixtures("_logging_restored")
async def test_a_story_that_is_interrupted_is_status_1(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    asked = asyncio.Event()
    async with Stage(folder=tmp_path, clock=SystemClock()) as stage:
        await _misbehave(stage, "elven", {"mode": "hang"})
        telling = asyncio.create_task(_tell(stage, asked))
        async with asyncio.timeout(20):
            await _received(stage)
        asked.set()
        assert await telling == 1
        await _misbehave(stage, "elven", None)

    assert "Interrupted before the end." in capsys.readouterr().err


async def _received(stage: Stage) -> None:
    """Return when something has arrived at a stand-in."""
    while not stage.simulation.received:
        await stage.clock.sleep(timedelta(milliseconds=20))


async def _misbehave(stage: Stage, destination: str, behaviour: dict[str, object] | None) -> None:
    url = f"{stage.simulation.base_url}/behaviour/{destination}"
    async with aiohttp.ClientSession() as client:
        method = "DELETE" if behaviour is None else "PUT"
        async with client.request(method, url, json=behaviour) as answer:
            assert answer.status in {200, 204}


def _read_until(end: str, stream: IO[str]) -> str:
    text = ""
    for line in stream:
        text += line
        if end in line:
            return text
    pytest.fail(f"it ended before it said {end!r}:\n{text}")


def _only(pattern: str, text: str) -> str:
    found = re.search(pattern, text, re.DOTALL)
    assert found is not None, f"{pattern} is not in\n{text}"
    return found[1]


async def _records(client: aiohttp.ClientSession, stand_ins: str, *, count: int) -> int:
    """How many records Hivel has, once they are `count`, or after 20 s."""
    clock = SystemClock()
    deadline = clock.monotonic() + 20
    while True:
        async with client.get(f"{stand_ins}/incidents") as answer:
            records = len((await answer.json())["hivel"])
        if records >= count or clock.monotonic() > deadline:
            return records
        await clock.sleep(timedelta(milliseconds=20))
