"""The commands as real processes, as an operator runs them."""

from __future__ import annotations

import asyncio
import json
import os
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from xml.etree import ElementTree as ET

import aiohttp
import pytest

from alertbridge.clock import SystemClock
from alertbridge.simulate.server import Simulation
from tests.support.certificates import Authority
from tests.support.daemon import Daemon, free_port, surroundings

PAYLOADS = Path(__file__).parents[1] / "payloads" / "alertmanager"
COMMAND = [sys.executable, "-m", "alertbridge"]
ENVIRON = {**surroundings(), "PYTHONUNBUFFERED": "1"}


def run(*arguments: str, folder: Path, **environ: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*COMMAND, *arguments],
        capture_output=True,
        text=True,
        cwd=folder,
        env={**ENVIRON, **environ},
        timeout=60,
        check=False,
    )


@contextmanager
def running(*arguments: str, folder: Path, **environ: str) -> Iterator[subprocess.Popen[str]]:
    """A process that ends with the block at the latest."""
    with subprocess.Popen(
        [*COMMAND, *arguments],
        cwd=folder,
        env={**ENVIRON, **environ},
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    ) as process:
        try:
            yield process
        finally:
            process.kill()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder that `init` has been run in."""
    assert run("init", folder=tmp_path).returncode == 0
    return tmp_path


@pytest.fixture
def daemon(tmp_path: Path) -> Iterator[Daemon]:
    """A daemon that is not started yet and whose destinations do not listen."""
    daemon = Daemon(tmp_path, stand_ins=f"http://127.0.0.1:{free_port()}")
    yield daemon
    daemon.end_if_running()


def test_check_shows_the_place_of_a_mistake_with_a_caret_and_exits_1(folder: Path) -> None:
    path = folder / "rules.d" / "20-payments.yaml"
    path.write_text(path.read_text(encoding="utf-8").replace("severity =~", "severity =>"), encoding="utf-8")

    result = run("check", folder=folder)

    assert result.returncode == 1
    assert result.stdout == (
        'rules.d/20-payments.yaml:9:18: rules[0].when[0]: unknown label matcher operator "=>"; '
        'did you mean "=~"?\n'
        '     9 |       - severity => "critical|page"\n'
        "       |                  ^\n"
        "1 mistake\n"
    )


def test_test_runs_the_tests_of_what_init_writes_and_exits_1_when_a_rule_no_longer_does_what_they_say(
    folder: Path,
) -> None:
    good = run("test", "--require-coverage", "--junit", "junit.xml", folder=folder)
    assert (good.returncode, good.stderr) == (0, "")
    assert "4 passed, 0 failed\n3 of 3 rules reached\n" in good.stdout
    assert len(list(ET.parse(folder / "junit.xml").iter("testcase"))) == 4

    path = folder / "rules.d" / "20-payments.yaml"
    path.write_text(
        path.read_text(encoding="utf-8").replace("severity: critical\n", "severity: low\n", 1),
        encoding="utf-8",
    )
    bad = run("test", "--json", folder=folder)

    assert bad.returncode == 1
    failed = [test for test in json.loads(bad.stdout)["tests"] if not test["ok"]]
    assert [(test["file"], test["line"]) for test in failed] == [("rules.d/20-payments.yaml", 30)]
    assert failed[0]["differences"] == [
        {"place": "elven.severity", "expected": "critical", "actual": "low", "note": ""}
    ]
    assert run("test", "--no-such-option", folder=folder).returncode == 2


def test_explain_tells_of_a_real_payload_from_a_file_and_from_a_pipe(folder: Path) -> None:
    payload = PAYLOADS / "04-partial-resolve.json"

    from_file = run("explain", str(payload), folder=folder)
    with payload.open("rb") as pipe:
        from_pipe = subprocess.run(
            [*COMMAND, "explain", "-"],
            stdin=pipe,
            capture_output=True,
            text=True,
            cwd=folder,
            env=ENVIRON,
            timeout=60,
            check=True,
        )

    assert from_file.returncode == 0
    assert from_file.stdout == from_pipe.stdout
    assert "alert 1 of 2: resolved HighErrorRate" in from_file.stdout
    assert "alert 2 of 2: firing HighErrorRate" in from_file.stdout
    assert '"external_aggregate_key": "demo/HighErrorRate"' in from_file.stdout
    assert "\x1b" not in from_file.stdout


@pytest.mark.parametrize(
    "command", [("check",), ("explain", str(PAYLOADS / "22-node-down.json")), ("serve",)]
)
def test_without_a_configuration_every_command_says_how_to_get_one(
    tmp_path: Path, command: tuple[str, ...]
) -> None:
    result = run(*command, "--config", "none.yaml", folder=tmp_path)

    assert result.returncode == 1
    assert "none.yaml: there is no configuration here; make one with `alertbridge init`" in (
        result.stdout + result.stderr
    )


async def test_serve_starts_and_sigterm_drains_it_with_exit_0(daemon: Daemon) -> None:
    await daemon.start()
    assert await daemon.post((PAYLOADS / "01-firing-single.json").read_bytes()) == 202

    assert daemon.stop() == 0

    events = [json.loads(line)["event"] for line in daemon.log.read_text(encoding="utf-8").splitlines()]
    assert events[0] == "daemon.started"
    assert "daemon.draining" in events
    assert events[-1] == "daemon.stopped"
    await daemon.start()
    assert (await daemon.get("/api/v1/events"))["items"][0]["outcome"] in {"received", "decided"}


def test_serve_logs_what_check_would_warn_of(folder: Path) -> None:
    path = folder / "rules.d" / "90-everything-else.yaml"
    path.write_text("rules: [{name: only, when: [env = prod], send: [elven]}]", encoding="utf-8")

    with socket.create_server(("127.0.0.1", 0)) as taken:
        result = run("serve", "--listen", f"127.0.0.1:{taken.getsockname()[1]}", folder=folder)

    line = json.loads(result.stderr.splitlines()[0])
    assert (line["level"], line["event"]) == ("warning", "configuration.warning")
    assert "no rule matches every alert" in line["problem"]


async def test_messages_for_a_destination_that_is_gone_are_told_of_at_the_start(daemon: Daemon) -> None:
    await daemon.start()  # nobody listens where its destinations are
    assert await daemon.post((PAYLOADS / "01-firing-single.json").read_bytes()) == 202
    while not (await daemon.get("/api/v1/deliveries"))["items"]:  # noqa: ASYNC110 - another process is watched
        await asyncio.sleep(0.02)
    assert daemon.stop() == 0
    text = daemon.configuration.read_text(encoding="utf-8")
    daemon.configuration.write_text(
        text.replace("elven:", "renamed:").replace("[elven,", "[renamed,"), encoding="utf-8"
    )

    await daemon.start()

    lines = [json.loads(line) for line in daemon.log.read_text(encoding="utf-8").splitlines()]
    (gone,) = (line for line in lines if line["event"] == "destination.gone")
    assert (gone["destination"], gone["waiting"]) == ("elven", 1)


async def test_a_second_daemon_on_the_same_database_is_refused_in_one_line(daemon: Daemon) -> None:
    await daemon.start()

    second = run(
        "serve", "--config", str(daemon.configuration), "--listen", "127.0.0.1:0", folder=daemon.folder
    )

    assert second.returncode == 1
    assert second.stderr == (
        f"Error: {daemon.database}: another alertbridge (pid {daemon.pid}) works on this database; "
        "stop it, or set another storage.url\n"
    )
    assert (await daemon.get("/api/v1/events"))["items"] == [], "the first goes on"


@pytest.mark.parametrize("command", ["serve", "simulate"])
def test_a_port_that_is_taken_is_one_clear_line(folder: Path, command: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        place = f"127.0.0.1:{taken.getsockname()[1]}"
        result = run(command, "--listen", place, folder=folder)

    assert result.returncode == 1
    assert result.stderr == (
        f"Error: cannot serve on {place}: something listens there already; stop it, "
        "or choose another with --listen\n"
    )


@pytest.mark.parametrize(("number", "status"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
async def test_a_second_signal_ends_a_drain_at_once(
    tmp_path: Path, number: signal.Signals, status: int
) -> None:
    async with Simulation(clock=SystemClock()) as stand_ins, aiohttp.ClientSession() as client:
        daemon = Daemon(tmp_path, stand_ins=stand_ins.base_url)
        slow = daemon.configuration.read_text(encoding="utf-8").replace("timeout: 2s", "timeout: 60s")
        daemon.configuration.write_text(
            slow.replace("drain_timeout: 5s", "drain_timeout: 60s"), encoding="utf-8"
        )
        async with client.put(f"{stand_ins.base_url}/behaviour/elven", json={"mode": "hang"}) as answer:
            assert answer.status == 200
        await daemon.start()
        await daemon.post((PAYLOADS / "01-firing-single.json").read_bytes())
        await _until(lambda: bool(stand_ins.received))

        os.kill(daemon.pid, signal.SIGTERM)
        await _until(lambda: "daemon.draining" in daemon.log.read_text(encoding="utf-8"))

        assert daemon._end(number) == status


def test_systemd_hears_that_it_is_ready_alive_and_stopping(tmp_path: Path, folder: Path) -> None:
    address = tmp_path / "notify"
    environ = {
        "NOTIFY_SOCKET": str(address),
        "WATCHDOG_USEC": "200000",
        "STATE_DIRECTORY": str(tmp_path / "state"),
    }
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as systemd:
        systemd.bind(str(address))
        systemd.settimeout(20)
        with running("serve", "--listen", "127.0.0.1:0", folder=folder, **environ) as process:
            heard = [systemd.recv(200).decode() for _ in range(4)]
            process.send_signal(signal.SIGTERM)
            while "STOPPING=1" not in heard:
                heard.append(systemd.recv(200).decode())
            assert process.wait(timeout=20) == 0

    assert heard[0].startswith("READY=1\n")
    assert heard[1:4] == ["WATCHDOG=1"] * 3
    assert (tmp_path / "state" / "alertbridge.db").exists()
    assert not (folder / "alertbridge.db").exists()


async def test_simulate_serves_the_addresses_that_it_prints(tmp_path: Path) -> None:
    with running("simulate", "--listen", "127.0.0.1:0", folder=tmp_path) as process:
        assert process.stdout is not None
        printed = ""
        while "DELETE" not in printed:
            printed += process.stdout.readline()
        base = _only(r"curl (\S+)/incidents", printed)
        async with aiohttp.ClientSession() as client:
            for path in ("elven/", "hivel/"):
                url, headers, body = _curl(printed, path)
                async with client.post(url, data=body, headers=headers) as answer:
                    assert answer.status == 200, await answer.text()
            async with client.get(f"{base}/incidents") as answer:
                believed = await answer.json()
            behaviour = _only(r"-X PUT \S+ -d '(.*?)'", printed)
            async with client.put(f"{base}/behaviour/elven", data=behaviour) as answer:
                assert answer.status == 200, await answer.text()
        process.send_signal(signal.SIGINT)
        assert process.wait(timeout=20) == 0

    assert believed["elven"]["eu/Down"]["state"] == "alarmed"
    assert len(believed["hivel"]) == 1


async def _until(holds: Callable[[], bool]) -> None:
    clock = SystemClock()
    async with asyncio.timeout(20):
        while not holds():
            await clock.sleep(timedelta(milliseconds=20))


def _curl(printed: str, path: str) -> tuple[str, dict[str, str], str]:
    """What the first `curl` line to `path` would send: address, headers and body."""
    found = re.search(rf"curl (http://[^/]+/{path}\S*)(.*?)-d '(.*?)'\n", printed, re.DOTALL)
    assert found is not None
    headers = dict(re.findall(r"-H '([^:]+): ([^']+)'", found[2]))
    if agent := re.search(r"-A (\S+)", found[2]):
        headers["User-Agent"] = agent[1]
    return found[1], headers, found[3]


def _only(pattern: str, text: str) -> str:
    found = re.search(pattern, text, re.DOTALL)
    assert found is not None, f"{pattern} is not in\n{text}"
    return found[1]


TLS = """\
server: {{listen: "127.0.0.1:{port}", tls: {{cert_file: daemon.pem, key_file: daemon.key, client_ca_file: {authority}}}}}
storage: {{url: "sqlite:///alertbridge.db"}}
destinations: {{elven: {{type: elven, url: "http://127.0.0.1:1/elven/token"}}}}
rules: [{{name: all, send: [elven]}}]
"""


@pytest.mark.parametrize("known", [True, False])
def test_a_daemon_that_asks_for_a_certificate_is_shown_its_own(tmp_path: Path, *, known: bool) -> None:
    authority = Authority(tmp_path)
    authority.server("daemon")
    authority.stranger()
    trusted = "authority.pem" if known else "stranger.pem"
    (tmp_path / "alertbridge.yaml").write_text(
        TLS.format(port=free_port(), authority=trusted), encoding="utf-8"
    )
    with running("serve", folder=tmp_path) as daemon:
        said = run("destinations", folder=tmp_path)
        while "Connection refused" in said.stderr:  # pytest-timeout ends it
            said = run("destinations", folder=tmp_path)
        daemon.terminate()
        daemon.wait(30)
    if known:
        assert (said.returncode, said.stderr) == (0, "")
        assert "elven  elven  ok" in said.stdout
    else:
        assert said.returncode == 1
        assert "it asks for a certificate (server.tls.client_ca_file)" in said.stderr
