"""What the client makes of single requests, in one process: time, names, connections, proxies."""

from __future__ import annotations

import asyncio
import gc
import os
import socket
import ssl
import struct
import threading
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import timedelta
from pathlib import Path

import pytest
import uvloop
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from alertbridge.clock import SystemClock
from alertbridge.deliver.names import Found, Lookup
from alertbridge.deliver.transport import Route, Transport
from alertbridge.model import Ambiguous, Paused, Request, Response, Retry, Secret
from tests.support import misbehaviour as do
from tests.support.hostile import Absent, Behaviour, Deaf, Hostile, Line, answered, well
from tests.support.misbehaviour import status


@asynccontextmanager
async def transport(
    *, patience: float = 20, proxy: str | None = None, lookup: Lookup = socket.getaddrinfo
) -> AsyncIterator[Transport]:
    made = Transport(
        route=Route(timeout=timedelta(seconds=patience), proxy=proxy), clock=SystemClock(), lookup=lookup
    )
    await made.open()
    try:
        yield made
    finally:
        await made.close()


def to(url: str, body: bytes = b"{}") -> Request:
    return Request(url, {"User-Agent": "1PcustomAuth/1.0"}, body)


async def test_an_answer_that_nobody_asked_for_is_not_the_answer_to_the_next_request() -> None:
    answered_once, said_too_much = asyncio.Event(), asyncio.Event()

    async def behave(line: Line) -> None:
        await line.request()
        if not said_too_much.is_set():
            await line.say(status("200 OK"))
            await answered_once.wait()
            line.writer.write(status("200 OK"))
            said_too_much.set()
            await line.request()
        await line.say(status("400 Bad"))

    async with Hostile(behave) as server, transport() as client:
        first = await client.post(to(server.url))
        answered_once.set()
        await said_too_much.wait()
        await asyncio.sleep(
            0.05
        )  # if what was said arrives only later, this test is too kind, and never wrong
        second = await client.post(to(server.url))
    assert isinstance(first, Response)
    assert isinstance(second, Response)
    assert (first.status, second.status) == (200, 400)


async def test_no_request_meets_the_end_of_a_connection_that_was_kept() -> None:
    async with Hostile(do.one_request_only(status("200 OK"))) as server, transport() as client:
        answers = [await client.post(to(server.url)) for _ in range(20)]
        assert all(isinstance(one, Response) for one in answers)
        assert [asked.connection for asked in server.asked] == list(range(1, 21))
        assert all(b"\r\nConnection: close\r\n" in asked.head for asked in server.asked)


@pytest.mark.parametrize(
    ("server", "behave", "outcome"),
    [
        (Deaf, well, Retry("no connection within 0.3 s")),
        (Hostile, do.hang, Ambiguous("no answer within 0.3 s")),
        (Hostile, do.hang_unread, Ambiguous("no answer within 0.3 s")),
        (Absent, well, Retry("no connection: Connection refused")),
    ],
)
async def test_only_a_request_that_had_a_connection_can_have_arrived(
    server: type[Hostile], behave: Behaviour, outcome: Retry | Ambiguous
) -> None:
    async with server(behave) as misbehaving, transport(patience=0.3) as client:
        assert await client.post(to(misbehaving.url)) == outcome


async def test_a_server_that_takes_nothing_holds_up_a_large_request_no_longer_than_it_may_take() -> None:
    async with Hostile(do.hang_unread) as server, transport(patience=0.3) as client, asyncio.timeout(10):
        said = await client.post(to(server.url, b"x" * 900_000))
    assert said == Ambiguous("no answer within 0.3 s")


async def test_names_that_hang_hold_up_no_other_name_and_not_the_end() -> None:
    release = threading.Event()

    def lookup(host: str, port: int, **_: object) -> Found:
        if host != "good.example":
            release.wait(30)
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", port))]

    async with AsyncExitStack() as stack:
        stack.callback(release.set)
        server = await stack.enter_async_context(Hostile())
        others = [await stack.enter_async_context(transport(patience=0.5, lookup=lookup)) for _ in range(40)]
        client = await stack.enter_async_context(transport(lookup=lookup))
        hung = [
            asyncio.ensure_future(other.post(to(f"http://hangs{number}.example/")))
            for number, other in enumerate(others)
        ]
        await asyncio.sleep(0)
        said = await client.post(to(f"http://good.example:{server.port}/"))
        assert isinstance(said, Response)
        assert not release.is_set()
        assert set(await asyncio.gather(*hung)) == {Retry("no connection within 0.5 s")}


@pytest.mark.parametrize(
    ("failure", "outcome"),
    [
        (
            socket.gaierror(socket.EAI_NONAME, "Name or service not known"),
            Retry("the name could not be resolved: Name or service not known"),
        ),
        (
            socket.gaierror(socket.EAI_AGAIN, "Temporary failure in name resolution"),
            Retry("the name could not be resolved: Temporary failure in name resolution"),
        ),
        (
            UnicodeError("label too long"),
            Paused("misconfigured", "the destination's URL is not a usable http(s) URL"),
        ),
    ],
    ids=["no such name", "again later", "no name at all"],
)
async def test_a_name_that_is_not_found_was_certainly_not_sent_to(
    failure: Exception, outcome: Retry | Paused
) -> None:
    def lookup(*_: object, **__: object) -> Found:
        raise failure

    async with transport(lookup=lookup) as client:
        assert await client.post(to("http://somewhere.example/")) == outcome


@pytest.mark.parametrize("url", ["ftp://x/", "http://", "http:///x", "x", "http://127.0.0.1:99999/"])
async def test_a_url_that_cannot_be_used_pauses(url: str) -> None:
    async with transport(patience=0.3) as client:
        said = await client.post(to(url))
    assert said == Paused("misconfigured", "the destination's URL is not a usable http(s) URL")


@pytest.mark.parametrize(
    ("answer", "outcome"),
    [
        (status("407 Auth", body=b"who are you"), Paused("misconfigured", "the proxy answered HTTP 407; check the user and password in `proxy`")),
        (status("502 Bad Gateway"), Retry("no connection: the proxy answered HTTP 502")),
        (status("302 Found", "Location: http://127.0.0.1:9/"), Retry("no connection: the proxy answered HTTP 302")),
        (b"\x16\x03\x01 no\r\n\r\n", Retry("no connection: what the proxy answered is not HTTP")),
    ],
)  # fmt: skip
async def test_what_a_proxy_says_to_a_tunnel_is_no_answer_of_the_destination(
    answer: bytes, outcome: Retry | Paused
) -> None:
    async with (
        Hostile(answered(answer, taken=False)) as proxy,
        transport(proxy=f"http://user:hush@127.0.0.1:{proxy.port}") as client,
    ):
        assert await client.post(to("https://elven.example/")) == outcome


async def test_a_407_is_about_the_message_where_there_is_no_proxy() -> None:
    async with Hostile(answered(status("407 Auth"), taken=False)) as server, transport() as client:
        said = await client.post(to(server.url))
    assert isinstance(said, Response)
    assert said.status == 407


async def test_of_an_endless_answer_only_the_beginning_is_kept() -> None:
    async with Hostile(do.endless(do.OK + b"\r\n")) as server, transport() as client:
        said = await client.post(to(server.url))
        assert isinstance(said, Response)
        assert said.body == b"x" * 16_384
        fetched = await client.fetch(to(server.url), most=100_000)
        assert isinstance(fetched, Response)
        assert len(fetched.body) == 100_000


async def test_a_packed_answer_is_not_unpacked_and_none_is_asked_for() -> None:
    async with Hostile(do.packed("200 OK", "gzip", taken=True)) as server, transport() as client:
        said = await client.post(to(server.url))
        assert b"\r\nAccept-Encoding: identity\r\n" in server.asked[0].head
    assert isinstance(said, Response)
    assert said.body == do.bomb("gzip")[:16_384]


async def test_the_answer_stands_where_its_body_breaks_off_or_does_not_come() -> None:
    head = do.OK + b"Content-Length: 100\r\n\r\n"
    for behave in (do.cut(head + b"beginning"), do.slow_body(head + b"beginning", every=0.05)):
        async with Hostile(behave) as server, transport(patience=1) as client:
            said = await client.post(to(server.url))
        assert isinstance(said, Response)
        assert (said.status, said.body) == (200, b"beginning")


@pytest.mark.parametrize("code", [300, 301, 302, 303, 304, 307, 308])
@pytest.mark.parametrize("ask", [Transport.post, lambda client, request: client.get(Secret(request.url))])
async def test_a_redirect_is_an_answer_and_never_a_way(
    code: int, ask: Callable[[Transport, Request], AsyncIterator[Response]]
) -> None:
    async with Hostile() as target:
        answer = status(f"{code} Elsewhere", f"Location: {target.url}/token")
        async with Hostile(answered(answer, taken=False)) as server, transport() as client:
            said = await ask(client, to(f"{server.url}/token"))  # type: ignore[misc]
        assert isinstance(said, Response)
        assert said.status == code
        assert target.connections == 0


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    prefix=st.sampled_from(
        [b"", b"HTTP/1.1 ", b"HTTP/1.1 200 OK\r\n", b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
         b"HTTP/1.1 302 Found\r\nLocation: ", b"HTTP/1.1 200 OK\r\nSet-Cookie: ", b"HTTP/1.1 200 OK\r\nContent-Type: "]
    ),
    rest=st.binary(max_size=200),
    end=st.sampled_from([b"", b"\r\n\r\n"]),
)  # fmt: skip
def test_whatever_is_answered_becomes_an_outcome(prefix: bytes, rest: bytes, end: bytes) -> None:
    async def ask() -> Response | Retry | Ambiguous | Paused:
        async with Hostile(do.cut(prefix + rest + end)) as server, transport(patience=5) as client:
            return await client.post(to(server.url))

    assert isinstance(asyncio.run(ask()), Response | Ambiguous)


def test_a_handshake_broken_by_a_reset_closes_nobody_elses_file(tmp_path: Path) -> None:
    """uvloop closes the number of a socket that it was handed; the socket must not close it again when it is collected."""

    async def break_off() -> None:
        loop = asyncio.get_running_loop()
        async with transport() as client:
            assert client._session is not None
            make = client._session.connector._socket_factory  # type: ignore[union-attr]
        handed: socket.socket = make((socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", 0)))
        handed.setblocking(False)  # noqa: FBT003 - it has no other way
        with socket.create_server(("127.0.0.1", 0)) as listener:
            await loop.sock_connect(handed, listener.getsockname())
            line, _ = listener.accept()
            line.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            line.close()
        with pytest.raises(ConnectionResetError):
            await loop.create_connection(
                asyncio.Protocol, sock=handed, ssl=ssl.create_default_context(), server_hostname="x"
            )
        await asyncio.sleep(0.05)
        files = [os.open(tmp_path, os.O_RDONLY) for _ in range(60)]
        assert handed.fileno() in {-1, *files}, "its number is free, or somebody else's by now"
        del handed
        gc.collect()
        for file in files:
            os.close(file)  # an OSError here says that somebody has closed it before

    uvloop.run(break_off())


async def test_nothing_stays_open_after_close() -> None:
    lost: list[object] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: lost.append(context))
    async with AsyncExitStack() as stack:
        servers = [
            await stack.enter_async_context(Hostile(behave))
            for behave in (do.hang, do.hang_unread, do.reset_at_once, do.babble, do.endless(do.OK + b"\r\n"))
        ]
        async with transport(patience=0.3) as client:
            await asyncio.gather(*(client.post(to(server.url)) for server in servers))
            hanging = asyncio.ensure_future(client.post(to(servers[0].url)))
            await asyncio.sleep(0.05)
        assert isinstance(await hanging, Ambiguous | Retry)
    gc.collect()
    assert lost == []
