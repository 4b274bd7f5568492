"""With `server.watch` a running daemon notices every way in which files change; the kernel is the real one."""

from __future__ import annotations

import asyncio
import os
import shutil
import time
from collections.abc import AsyncIterator, Callable
from datetime import timedelta
from pathlib import Path

import aiohttp
import pytest
import pytest_asyncio
from typing_extensions import override

from alertbridge.app import App
from alertbridge.clock import SystemClock
from alertbridge.config.load import Configuration, load
from alertbridge.errors import ConfigurationError
from alertbridge.operate import watch
from alertbridge.simulate.server import Simulation
from tests.support.database import new_database

MAIN = """
server: {listen: "127.0.0.1:0", drain_timeout: 1s, watch: true}
storage: {url: "sqlite:///alertbridge.db"}
sources:
  prod: {type: alertmanager}
destinations:
  elven: {type: elven, url_file: elven-url, timeout: 2s, probe_interval: 1h}
rules_files: [rules.d/*.yaml]
"""
RULES = "rules:\n  - name: NAME\n    when: [alertname = NAME]\n    send: [elven]\n"


class Tickless(SystemClock):
    """So slow to look by itself that it is the kernel who tells."""

    @override
    async def sleep(self, span: timedelta) -> None:
        await super().sleep(timedelta(hours=1) if span == watch._EVERY else span)


class Bench:
    """A daemon in this process, whose configuration lies in `folder`."""

    def __init__(self, folder: Path, stand_ins: Simulation) -> None:
        self.folder = folder
        self.stand_ins = stand_ins
        self.state = folder  # as careless as can be: it changes all the time
        self.loads = 0
        self.failed = 0
        (folder / "rules.d").mkdir(parents=True)
        (folder / "alertbridge.yaml").write_text(MAIN, encoding="utf-8")
        (folder / "elven-url").write_text(self.url("token-of-elven"), encoding="utf-8")
        self.rule("first")

    def url(self, token: str) -> str:
        return f"{self.stand_ins.base_url}/elven/{token}\n"

    def rule(self, name: str, file: str = "rules.d/10.yaml") -> None:
        (self.folder / file).write_text(RULES.replace("NAME", name), encoding="utf-8")

    def load(self) -> Configuration:
        self.loads += 1
        try:
            return load(self.folder / "alertbridge.yaml", environ={})
        except ConfigurationError:
            self.failed += 1
            raise

    async def start(self) -> None:
        self.state.mkdir(exist_ok=True)
        new_database(self.state / "alertbridge.db")
        self.app = App(
            configuration=self.load(),
            clock=Tickless(),
            state_directory=str(self.state),
            load=self.load,
        )
        await self.app.start()
        await self.until(lambda: self.app._watcher._listening)

    @property
    def rules(self) -> list[str]:
        return [rule.name for rule in self.app.configuration.rulebook.rules]

    async def until(self, holds: Callable[[], object]) -> None:
        async with asyncio.timeout(20):
            while not holds():  # noqa: ASYNC110 - the kernel is waited for
                await asyncio.sleep(0.01)

    async def quiet(self) -> None:
        """Whatever has been told of is done with."""
        await asyncio.sleep(0.8)

    async def ask(self, path: str) -> str:
        async with (
            aiohttp.ClientSession() as session,
            session.get(f"http://127.0.0.1:{self.app.port}{path}") as answer,
        ):
            return await answer.text()


@pytest_asyncio.fixture
async def bench(tmp_path: Path) -> AsyncIterator[Bench]:
    async with Simulation(
        elven_tokens=frozenset({"token-of-elven", "token-of-tomorrow"}), clock=SystemClock()
    ) as stand_ins:
        bench = Bench(tmp_path / "conf", stand_ins)
        yield bench
        if hasattr(bench, "app"):
            await bench.app.stop()


def as_editors_do(bench: Bench) -> None:
    bench.rule("second", "rules.d/.10.yaml.swp")
    (bench.folder / "rules.d/.10.yaml.swp").rename(bench.folder / "rules.d/10.yaml")


def with_a_backup(bench: Bench) -> None:
    (bench.folder / "rules.d/10.yaml").rename(bench.folder / "rules.d/10.yaml~")
    bench.rule("second")


def in_pieces(bench: Bench) -> None:
    text = RULES.replace("NAME", "second")
    with (bench.folder / "rules.d/10.yaml").open("w", encoding="utf-8") as file:
        for piece in (text[:9], text[9:22], text[22:]):
            time.sleep(0.03)
            file.write(piece)
            file.flush()


def deleted_and_made_again(bench: Bench) -> None:
    (bench.folder / "rules.d/10.yaml").unlink()
    time.sleep(0.05)
    bench.rule("second")


def one_more(bench: Bench) -> None:
    bench.rule("second", "rules.d/05.yaml")
    (bench.folder / "rules.d/10.yaml").unlink()


def another_folder_of_rules(bench: Bench) -> None:
    shutil.copytree(bench.folder / "rules.d", bench.folder / "new")
    bench.rule("second", "new/10.yaml")
    (bench.folder / "rules.d").rename(bench.folder / "old")
    (bench.folder / "new").rename(bench.folder / "rules.d")


def another_folder_of_everything(bench: Bench) -> None:
    new = bench.folder.with_name("new")
    shutil.copytree(bench.folder, new, ignore=shutil.ignore_patterns("*.db*"))
    bench.folder.rename(bench.folder.with_name("old"))
    new.rename(bench.folder)
    bench.rule("second")


def a_link(bench: Bench) -> None:
    bench.rule("second", "../second.yaml")
    (bench.folder / "new").symlink_to("../../second.yaml")
    (bench.folder / "new").replace(bench.folder / "rules.d/10.yaml")


@pytest.mark.parametrize(
    "change",
    [
        as_editors_do,
        with_a_backup,
        in_pieces,
        deleted_and_made_again,
        one_more,
        another_folder_of_rules,
        another_folder_of_everything,
        a_link,
    ],
)
async def test_a_change_is_loaded_once_and_nothing_half_done_is(
    bench: Bench, change: Callable[[Bench], None]
) -> None:
    if change is another_folder_of_everything:  # no database goes on when its folder is taken away
        bench.state = bench.folder.with_name("state")
        bench.state.mkdir()
    await bench.start()

    await asyncio.to_thread(change, bench)
    await bench.until(lambda: bench.rules == ["second"])
    await bench.quiet()

    assert (bench.loads, bench.failed) == (2, 0)
    bench.rule("third", "rules.d/05.yaml")
    await bench.until(lambda: bench.rules[0] == "third")  # it is still watched


async def test_a_lookup_table_is_watched_where_it_lies(bench: Bench) -> None:
    table = bench.folder.with_name("owners.csv")
    table.write_text("service,team\nshop,a\n", encoding="utf-8")
    lookup = "lookup: {owners: {file: ../owners.csv, by: service}}\n"
    (bench.folder / "alertbridge.yaml").write_text(MAIN + lookup, encoding="utf-8")
    await bench.start()
    before = bench.app.configuration.hash

    table.write_text("service,team\nshop,b\n", encoding="utf-8")
    await bench.until(lambda: bench.app.configuration.hash != before)
    table.write_text("service,team\nshop\n", encoding="utf-8")
    await bench.until(lambda: bench.failed == 1)
    table.write_text("service,team\nshop,a\n", encoding="utf-8")
    await bench.until(lambda: bench.app.configuration.hash == before)


async def test_config_maps_and_secrets_of_kubernetes_swap_a_link(bench: Bench) -> None:
    rules, mount = bench.folder / "rules.d", 0

    def swap(*names: str) -> None:
        nonlocal mount
        mount += 1
        old = rules / "..data"
        (rules / f"..2026_{mount}").mkdir()
        for name in names:
            bench.rule(name, f"rules.d/..2026_{mount}/{name}.yaml")
        before = old.resolve() if old.exists() else None
        (rules / "..data_tmp").symlink_to(f"..2026_{mount}")
        (rules / "..data_tmp").replace(old)
        for name in names:
            if not (rules / f"{name}.yaml").is_symlink():
                (rules / f"{name}.yaml").symlink_to(f"..data/{name}.yaml")
        for link in rules.glob("*.yaml"):
            if not link.exists():
                link.unlink()
        if before is not None:
            shutil.rmtree(before)

    (rules / "10.yaml").unlink()
    swap("a", "b")
    await bench.start()
    assert bench.rules == ["a", "b"]

    swap("b", "c")
    await bench.until(lambda: bench.rules == ["b", "c"])
    await bench.quiet()
    loads = bench.loads
    swap("b", "c")  # the same content: kubelet does this too
    await bench.quiet()
    assert bench.loads == loads
    swap("d")
    await bench.until(lambda: bench.rules == ["d"])
    assert bench.failed == 0


async def test_a_file_in_another_folder_that_a_link_leads_to_is_watched_there(bench: Bench) -> None:
    (bench.folder / "rules.d/10.yaml").unlink()
    (bench.folder.parent / "shared").mkdir()
    bench.rule("first", "../shared/rules.yaml")
    (bench.folder / "rules.d/10.yaml").symlink_to(bench.folder.parent / "shared/rules.yaml")
    await bench.start()

    bench.rule("second", "../shared/rules.yaml")
    await bench.until(lambda: bench.rules == ["second"])
    bench.rule("third", "../shared/new")
    (bench.folder.parent / "shared/new").replace(bench.folder.parent / "shared/rules.yaml")
    await bench.until(lambda: bench.rules == ["third"])


async def test_what_is_watched_follows_the_configuration(bench: Bench) -> None:
    await bench.start()
    (bench.folder / "other.d").mkdir()
    bench.rule("other", "other.d/10.yaml")
    (bench.folder / "alertbridge.yaml").write_text(MAIN.replace("rules.d", "other.d"), encoding="utf-8")
    await bench.until(lambda: bench.rules == ["other"])
    await bench.quiet()

    bench.rule("another", "other.d/10.yaml")
    await bench.until(lambda: bench.rules == ["another"])
    await bench.quiet()
    loads = bench.loads
    bench.rule("second")
    await bench.quiet()
    assert bench.loads == loads


async def test_a_mistake_is_tried_once_told_and_over_when_it_is_mended_wherever_that_is(bench: Bench) -> None:
    await bench.start()
    (bench.folder / "alertbridge.yaml").write_text(
        MAIN.replace("rules.d/*.yaml", "rules.d/*.yaml, new.d/*.yaml"), encoding="utf-8"
    )
    await bench.until(lambda: bench.failed)
    await bench.quiet()
    assert (bench.loads, bench.failed) == (2, 1)
    assert "no file matches" in await bench.ask("/-/ready")
    assert "\nalertbridge_config_last_reload_successful 0.0\n" in await bench.ask("/metrics")

    (bench.folder / "new.d").mkdir()
    bench.rule("second", "new.d/10.yaml")
    await bench.until(lambda: bench.rules == ["first", "second"])
    assert bench.failed == 1
    assert await bench.ask("/-/ready") == "ready\n"
    assert "\nalertbridge_config_last_reload_successful 1.0\n" in await bench.ask("/metrics")


async def test_a_new_secret_in_its_file_resumes_a_paused_destination_at_once(bench: Bench) -> None:
    (bench.folder / "elven-url").write_text(bench.url("token-that-is-wrong"), encoding="utf-8")
    await bench.start()
    alert = {"status": "firing", "labels": {"alertname": "first"}, "fingerprint": "one"}
    url = f"http://127.0.0.1:{bench.app.port}/v1/sources/prod"
    async with (
        aiohttp.ClientSession() as session,
        session.post(url, json={"alerts": [alert]}) as answer,
    ):
        assert answer.status == 202
    await bench.until(lambda: bench.app._fleet.couriers["elven"].standing.pause)

    (bench.folder / "elven-url").write_text(bench.url("token-of-tomorrow"), encoding="utf-8")
    await bench.until(lambda: [one.status for one in bench.stand_ins.received] == [401, 200])


async def test_a_touch_a_remark_beside_it_and_the_database_reload_nothing(bench: Bench) -> None:
    await bench.start()
    (bench.folder / "rules.d/10.yaml").touch()
    (bench.folder / "rules.d/README").write_text("no rules", encoding="utf-8")
    os.utime(bench.folder / "alertbridge.yaml")
    bench.rule("first")
    await bench.quiet()
    assert bench.loads == 1


async def test_a_hangup_at_the_same_time_reads_it_once(bench: Bench) -> None:
    await bench.start()
    bench.rule("second")
    await bench.app.reload()
    await bench.quiet()
    assert bench.loads == 2


async def test_what_would_strand_messages_is_refused_and_told(bench: Bench) -> None:
    await bench.start()
    async with aiohttp.ClientSession() as session:
        silent = {"mode": "status", "status": 500}
        async with session.put(f"{bench.stand_ins.base_url}/behaviour/elven", json=silent) as answer:
            assert answer.status == 200
        alert = {"status": "firing", "labels": {"alertname": "first"}, "fingerprint": "one"}
        url = f"http://127.0.0.1:{bench.app.port}/v1/sources/prod"
        async with session.post(url, json={"alerts": [alert]}) as answer:
            assert answer.status == 202
    await bench.until(lambda: bench.stand_ins.received)
    main = (bench.folder / "alertbridge.yaml").read_text(encoding="utf-8")
    (bench.folder / "alertbridge.yaml").write_text(main.replace("elven:", "other:"), encoding="utf-8")
    (bench.folder / "rules.d/10.yaml").write_text("rules: [{name: second, send: [other]}]", encoding="utf-8")
    await bench.until(lambda: bench.loads == 2)
    await bench.quiet()

    assert bench.loads == 2
    assert bench.rules == ["first"]
    assert "1 message is not delivered" in await bench.ask("/-/ready")


async def test_watching_is_switched_by_a_reload(bench: Bench) -> None:
    await bench.start()
    (bench.folder / "alertbridge.yaml").write_text(MAIN.replace(", watch: true", ""), encoding="utf-8")
    await bench.until(lambda: not bench.app.configuration.settings.server.watch)
    await bench.until(lambda: bench.app._watcher._listening is None)
    bench.rule("second")
    await bench.quiet()
    assert bench.rules == ["first"]

    (bench.folder / "alertbridge.yaml").write_text(MAIN, encoding="utf-8")
    await bench.app.reload()
    await bench.until(lambda: bench.app._watcher._listening)
    bench.rule("third")
    await bench.until(lambda: bench.rules == ["third"])


async def test_a_drain_does_not_wait_for_the_watcher(bench: Bench) -> None:
    await bench.start()
    started = time.monotonic()
    await bench.app.stop()
    assert time.monotonic() - started < 5
    await bench.start()


@pytest.mark.parametrize("variable", ["WATCHFILES_FORCE_POLLING"])
async def test_polling_works_where_the_kernel_is_not_told(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, variable: str
) -> None:
    monkeypatch.setenv(variable, "true")
    await bench.start()
    async with asyncio.timeout(20):
        while bench.rules != ["second"]:
            as_editors_do(bench)  # again and again: nothing says when polling has had its first look
            await asyncio.sleep(0.5)
