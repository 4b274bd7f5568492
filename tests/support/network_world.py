"""The servers of the network faults, and the configuration of a daemon that is to reach them."""

from __future__ import annotations

import json
import re
import socket
import ssl
from collections.abc import Iterable
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

from tests.faults.network_cases import LONG, REDIRECTS, Case, redirect
from tests.support.certificates import Authority
from tests.support.hostile import Asked, Deaf, Hostile, well
from tests.support.misbehaviour import bomb, gateway

SECRET = b"s3cr3t"
_MAIN = """
server: {{listen: "127.0.0.1:{port}", drain_timeout: 5s}}
storage: {{url: "sqlite:///{folder}/alertbridge.db"}}
log: {{level: info, format: json}}
sources:
  prod: {{type: alertmanager, auth: {{bearer_token: {token}}}}}
"""
_RULES = """
rules:
  - {name: everything, key: "{{ labels.name }}", send: [%s]}
"""
# Stands in for the resolver of the machine: Python imports it when the daemon starts.
_RESOLVER = """
import os, socket, time
real = socket.getaddrinfo

def getaddrinfo(host, port, *args, **kwargs):
    if not str(host).endswith(".example"):
        return real(host, port, *args, **kwargs)
    while host.startswith("hangs") and not os.path.exists("names-are-well"):
        time.sleep(0.05)
    if not os.path.exists("names-are-well"):
        if host.startswith("nowhere"):
            raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")
        if host.startswith("later"):
            raise socket.gaierror(socket.EAI_AGAIN, "Temporary failure in name resolution")
    good = (socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", port))
    return [HOLE(port), good] if host.startswith("both") else [good]

socket.getaddrinfo = getaddrinfo
"""
_HOLE_V6 = '(socket.AF_INET6, socket.SOCK_STREAM, 6, "", ("::1", port, 0, 0))'
_HOLE_V4 = '(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.3", port))'


def name_of(case: Case) -> str:
    """What the destination of a case is called."""
    return "to-" + re.sub(r"[^a-z0-9]+", "-", case.name.lower()).strip("-")


def has_ipv6() -> bool:
    """Whether this machine can listen on ::1."""
    try:
        with socket.socket(socket.AF_INET6) as probe:
            probe.bind(("::1", 0))
    except OSError:
        return False
    return True


class World:
    """One server for each case, one that is well, and one to which redirects lead; `trap` must never be asked."""

    def __init__(self, folder: Path, cases: Iterable[Case]) -> None:
        self.cases = {name_of(case): case for case in cases}
        self.servers: dict[str, Hostile] = {}
        self.trap = Hostile()
        self.well = Hostile()
        self._secure = Hostile()
        self._folder = folder
        self._destinations: dict[str, dict[str, Any]] = {}

    async def open(self, stack: AsyncExitStack) -> None:
        """Let every server listen, or not, as its case has it."""
        for encoding in ("gzip", "deflate"):
            bomb(encoding)  # packed before anybody waits for it
        authority = Authority(self._folder)
        contexts: dict[str, ssl.SSLContext | None] = {
            "good": authority.server("good"),
            "expired": authority.server("expired", days=-1),
            "elsewhere": authority.server("elsewhere", host="DNS:elsewhere.example"),
            "stranger": authority.stranger(),
        }
        self._secure = Hostile(tls=contexts["good"])
        for one in (self.trap, self.well, self._secure):
            await stack.enter_async_context(one)
        for case in [redirect(code, self.trap.url) for code in REDIRECTS]:
            self.cases[name_of(case)] = case
        self._destinations["well"] = _elven(f"{self.well.url}/s3cr3t-well", timeout=f"{LONG}s")
        for name, case in self.cases.items():
            server = case.server(
                case.behave,
                tls=contexts.get(case.tls),
                relenting=gateway(self._secure.port) if case.through == "tunnel" else well,
                relenting_tls=contexts["good"] if case.tls else None,
            )
            self.servers[name] = await stack.enter_async_context(server)
            self._destinations[name] = self._settings(name, case, server, str(authority.file))
            if case.host.startswith("both"):
                hole = Deaf(host="::1" if has_ipv6() else "127.0.0.3")
                hole.port = server.port
                await stack.enter_async_context(hole)

    def _settings(self, name: str, case: Case, server: Hostile, authority: str) -> dict[str, Any]:
        token = f"s3cr3t-{name}"
        time = {"timeout": f"{case.timeout}s"}
        proxy = {"proxy": f"http://user:s3cr3t-of-a-proxy@127.0.0.1:{server.port}"}
        if case.through == "tunnel":
            return _elven(f"{self._secure.url}/{token}", ca_file=authority, **proxy, **time)
        if case.through == "proxy":
            return _elven(f"http://elven.example/{token}", **proxy, **time)
        trust = {"ca_file": authority} if case.tls else {}
        return _elven(f"{server.url.replace('127.0.0.1', case.host)}/{token}", **trust, **time)

    def configuration(self) -> str:
        """The main file but for its rules, to be filled in by `Daemon`."""
        destinations = json.dumps(self._destinations).replace("{", "{{").replace("}", "}}")
        return f"{_MAIN}destinations: {destinations}\n"

    def rules(self) -> str:
        """One rule that sends every alert everywhere."""
        return _RULES % ", ".join(self._destinations)

    def write_resolver(self) -> None:
        """Put the resolver where the daemon finds it, if this folder is on its path."""
        text = _RESOLVER.replace("HOLE(port)", _HOLE_V6 if has_ipv6() else _HOLE_V4)
        (self._folder / "sitecustomize.py").write_text(text, encoding="utf-8")

    async def relent(self) -> None:
        """End every fault."""
        (self._folder / "names-are-well").touch()
        for server in self.servers.values():
            await server.relent()

    def taken(self, name: str) -> list[Asked]:
        """What arrived for a case, also through its tunnel."""
        path = f"/s3cr3t-{name} ".encode()
        return self.servers[name].taken + [one for one in self._secure.taken if path in one.head]


def _elven(url: str, **settings: str) -> dict[str, Any]:
    return {"type": "elven", "url": url, "probe_interval": "500ms", "landing_time": "0s", **settings}
