"""The table of network faults: what a destination does, and what alertbridge is to take it for."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

from tests.support import misbehaviour as do
from tests.support.hostile import Absent, Behaviour, Deaf, Flapping, Hostile, answered, well
from tests.support.misbehaviour import OK, status

SHORT, MIDDLE, LONG = 1, 3, 30  # seconds that a request may take: where it is to run out, and where never


@dataclass(frozen=True, slots=True)
class Case:
    """One destination and its fault.

    `outcome` is that of every attempt while the fault lasts (or several, where chance decides), and `says` stands in the
    reason that is given. A message may arrive twice only where that is `ambiguous`. `tls` names a certificate, `through` a
    kind of proxy that has the fault; `host` is the name in the URL, and `beside` an address that is a black hole.
    """

    name: str
    behave: Behaviour
    outcome: str
    says: str = ""
    server: type[Hostile] = Hostile
    tls: str = ""
    through: str = ""
    host: str = "127.0.0.1"

    @property
    def timeout(self) -> int:
        """In seconds. Short only where nothing else can end the attempt, so that a busy machine changes no outcome."""
        if "within" in self.says:
            return SHORT
        return MIDDLE if "slow body" in self.name else LONG

    @property
    def outcomes(self) -> set[str]:
        return set(self.outcome.split())


def _connections() -> Iterator[Case]:
    yield Case("nobody listens", well, "retry", "Connection refused", server=Absent)
    yield Case("never accepts", well, "retry", "no connection within 1 s", server=Deaf)
    yield Case("comes and goes", well, "retry ambiguous delivered", server=Flapping)
    yield Case("hangs up at once", do.hang_up_at_once, "ambiguous", "broke before an answer")
    yield Case("RST at once", do.reset_at_once, "ambiguous retry", "connection")
    yield Case("RST after the request", do.reset_after_request, "ambiguous", "broke before an answer")
    yield Case("FIN after the request", do.finish_after_request, "ambiguous", "broke before an answer")
    yield Case("FIN before the request", do.finish_and_read_on, "ambiguous", "broke before an answer")
    yield Case("hangs", do.hang, "ambiguous", "no answer within 1 s")
    yield Case("hangs and reads nothing", do.hang_unread, "ambiguous", "no answer within 1 s")


def _slowness() -> Iterator[Case]:
    whole = status("200 OK", body=b"0123456789")
    yield Case("slow", do.dripping(whole, every=0.01), "delivered")
    yield Case("slow head", do.dripping(whole, every=0.2), "ambiguous", "no answer within 1 s")
    yield Case("slow body", do.slow_body(whole, every=0.5), "delivered")
    yield Case(
        "slow body of a 500",
        do.slow_body(status("500 Oops", body=b"0123456789"), every=0.5, taken=False),
        "retry",
        "HTTP 500",
    )


def _bodies() -> Iterator[Case]:
    more = OK + b"Content-Length: 1000\r\n\r\nnot all"
    chunked = OK + b"Transfer-Encoding: chunked\r\n\r\n"
    yield Case("body cut", do.cut(more), "delivered")
    yield Case("body cut by an RST", do.cut(more, reset=True), "delivered")
    yield Case("chunks cut", do.cut(chunked + b"ff\r\nnot all"), "delivered")
    yield Case(
        "500 cut",
        do.cut(b"HTTP/1.1 500 Oops\r\nContent-Length: 99\r\n\r\nhalf", taken=False),
        "retry",
        "HTTP 500: half",
    )
    yield Case("endless body", do.endless(OK + b"\r\n"), "delivered")
    yield Case("endless chunks", do.endless(chunked, b"10000\r\n" + b"x" * 65536 + b"\r\n"), "delivered")
    yield Case("body of a terabyte", do.endless(OK + b"Content-Length: 1099511627776\r\n\r\n"), "delivered")
    yield Case("endless 500", do.endless(b"HTTP/1.1 500 Oops\r\n\r\n", taken=False), "retry", "HTTP 500: xxx")
    for encoding in ("gzip", "deflate"):
        yield Case(f"{encoding} bomb", do.packed("200 OK", encoding, taken=True), "delivered")
        yield Case(
            f"{encoding} bomb in a 500",
            do.packed("500 Oops", encoding, taken=False),
            "retry",
            "HTTP 500",
        )
    for name, header, body in (
        ("garbage as gzip", "Content-Encoding: gzip", b"\x00no gzip"),
        ("unknown encoding", "Content-Encoding: klingon", b"x"),
        ("unknown charset", "Content-Type: text/plain; charset=klingon", b"\xff\xfe\x00"),
        ("wrong charset", "Content-Type: application/json; charset=utf-8", '{"é": 1}'.encode("utf-16")),
        ("garbage body", "Content-Type: application/json", bytes(range(256))),
        ("deep JSON", "Content-Type: application/json", b"[" * 15_000),
    ):
        yield Case(name, answered(status("200 OK", header, body=body), taken=True), "delivered")
    yield Case("repeats the secret", do.echo, "rejected", "***")


def _heads() -> Iterator[Case]:
    nonsense = "what was answered is not HTTP"
    for name, answer in (
        ("garbage", bytes(range(256)) * 4),
        ("another protocol", b"SSH-2.0-OpenSSH_9.2p1 Debian-2\r\n\r\n"),
        ("no head", b"<html>It works!</html>\r\n\r\n"),
        ("bad status", b"HTTP/1.1 banana Fine\r\nContent-Length: 0\r\n\r\n"),
        ("bad length", OK + b"Content-Length: -5\r\n\r\n"),
        ("two lengths", OK + b"Content-Length: 1\r\nContent-Length: 2\r\n\r\nxx"),
        ("bad chunks", OK + b"Transfer-Encoding: chunked\r\n\r\nbanana\r\n"),
        ("huge header", OK + b"X: " + b"x" * 100_000 + b"\r\n\r\n"),
        ("many headers", OK + b"X: y\r\n" * 10_000 + b"\r\n"),
    ):
        yield Case(name, answered(answer, taken=True), "ambiguous", nonsense)
    yield Case("endless header", do.endless(OK + b"X: "), "ambiguous", nonsense)
    yield Case("endless headers", do.endless(OK, b"X: y\r\n" * 1000), "ambiguous", nonsense)
    yield Case(
        "endless 102",
        do.endless(b"", b"HTTP/1.1 102 Processing\r\n\r\n" * 100, every=0.01),
        "ambiguous",
        "no answer within 1 s",
    )
    for name, answer in (
        ("100 first", b"HTTP/1.1 100 Continue\r\n\r\n" + status("200 OK")),
        ("103 first", b"HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n" + status("200 OK")),
        ("two answers", status("200 OK") + status("500 Oops")),
        ("no reason", b"HTTP/1.1 200\r\nContent-Length: 0\r\n\r\n"),
    ):
        yield Case(name, answered(answer, taken=True), "delivered")
    yield Case("HTTP/1.0", do.cut(b"HTTP/1.0 200 OK\r\n\r\nfine"), "delivered")
    yield Case("answers before it reads", do.answer_first, "delivered")
    yield Case(
        "second answer later", do.afterwards(status("200 OK"), status("500 Oops"), after=0.01), "delivered"
    )
    yield Case("hangs up between requests", do.one_request_only(status("200 OK")), "delivered")
    upgrade = b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: h2c\r\nConnection: Upgrade\r\n\r\n"
    yield Case("101", do.cut(upgrade, taken=False), "retry", "HTTP 101")


def _statuses() -> Iterator[Case]:
    soon = format_datetime(datetime.now(UTC) + timedelta(seconds=2), usegmt=True)
    for line, header, outcome, says in (
        ("500 Oops", "", "retry", "HTTP 500"),
        ("502 Bad Gateway", "", "retry", "HTTP 502"),
        ("503 Unavailable", "", "retry", "HTTP 503"),
        ("504 Gateway Timeout", "", "retry", "HTTP 504"),
        ("408 Request Timeout", "", "retry", "HTTP 408"),
        ("425 Too Early", "", "retry", "HTTP 425"),
        ("429 Slow", "", "paused", "rate_limited"),
        ("429 Slow", "Retry-After: 1", "paused", "rate_limited"),
        ("429 Slow", f"Retry-After: {soon}", "paused", "rate_limited"),
        ("429 Slow", "Retry-After: banana", "paused", "rate_limited"),
        ("503 Unavailable", "Retry-After: 1", "paused", "unavailable"),
        ("401 Unauthorized", "", "paused", "unauthorized"),
        ("403 Forbidden", "", "paused", "forbidden"),
        ("400 Bad", "", "rejected", "HTTP 400"),
        ("404 Not Found", "", "rejected", "HTTP 404"),
        ("413 Too Large", "", "rejected", "HTTP 413"),
        ("417 Expectation Failed", "", "rejected", "HTTP 417"),
        ("422 Unprocessable", "", "rejected", "HTTP 422"),
        ("426 Upgrade Required", "Upgrade: h2c", "rejected", "HTTP 426"),
    ):  # fmt: skip
        headers = (header,) if header else ()
        yield Case(
            f"{line} {header}"[:30].strip(), answered(status(line, *headers), taken=False), outcome, says
        )


def _tls() -> Iterator[Case]:
    yield Case("TLS is fine", well, "delivered", tls="good")
    yield Case("TLS expired", well, "retry", "certificate has expired", tls="expired")
    yield Case("TLS self-signed", well, "retry", "self-signed certificate", tls="stranger")
    yield Case("TLS of another host", well, "retry", "IP address mismatch", tls="elsewhere")
    yield Case("TLS stalls", do.hang_unread, "retry", "no connection within 1 s", tls="none")
    yield Case("TLS is garbage", do.babble, "retry", "TLS", tls="none")
    yield Case("TLS broken by an RST", do.reset_at_once, "retry", "no connection", tls="none")
    yield Case("TLS broken by a FIN", do.hang_up_at_once, "retry", "no connection", tls="none")
    yield Case("endless body in TLS", do.endless(OK + b"\r\n"), "delivered", tls="good")
    yield Case("hangs in TLS", do.hang, "ambiguous", "no answer within 1 s", tls="good")


def _proxies() -> Iterator[Case]:
    refused, gone = status("407 Proxy Authentication Required"), status("502 Bad Gateway")
    yield Case("proxy down", well, "retry", "no connection", through="proxy", server=Absent)
    yield Case("proxy hangs", do.hang, "ambiguous", "no answer within 1 s", through="proxy")
    yield Case("proxy says 407", answered(refused, taken=False), "paused", "`proxy`", through="proxy")
    yield Case("proxy says 502", answered(gone, taken=False), "retry", "HTTP 502", through="proxy")
    yield Case("tunnel down", well, "retry", "no connection", through="tunnel", server=Absent)
    yield Case("tunnel hangs", do.hang_unread, "retry", "no connection within 1 s", through="tunnel")
    yield Case("tunnel hangs up", do.hang_up_at_once, "retry", "no connection", through="tunnel")
    yield Case(
        "tunnel is garbage", do.babble, "retry", "what the proxy answered is not HTTP", through="tunnel"
    )
    yield Case("tunnel says 407", answered(refused, taken=False), "paused", "`proxy`", through="tunnel")
    yield Case("tunnel says 502", answered(gone, taken=False), "retry", "HTTP 502", through="tunnel")


def _names() -> Iterator[Case]:
    yield Case("no such name", well, "retry", "Name or service not known", host="nowhere.example")
    yield Case("names fail", well, "retry", "Temporary failure in name resolution", host="later.example")
    for number in range(4):
        yield Case(
            f"names hang {number}", well, "retry", "no connection within 1 s", host=f"hangs{number}.example"
        )
    yield Case("name is good", well, "delivered", host="good.example")
    yield Case("black hole beside", well, "delivered", host="both.example")


def redirect(code: int, target: str) -> Case:
    """A redirect to `target`, a server that must never be asked."""
    answer = status(f"{code} Elsewhere", f"Location: {target}/s3cr3t-{code}", "Refresh: 0")
    return Case(f"redirect {code}", answered(answer, taken=False), "paused", "never followed")


REDIRECTS = (300, 301, 302, 303, 307, 308)
CASES = (
    *_connections(), *_slowness(), *_bodies(), *_heads(), *_statuses(), *_tls(), *_proxies(), *_names()
)  # fmt: skip
