"""`HOST:PORT` as an option, and why a port cannot be served."""

from __future__ import annotations

import errno
import os

import click
import pytest

from alertbridge.cli.address import Address, address, why

CONTEXT = click.Context(click.Command("serve"))
OPTION = click.Option(["--listen"])


@pytest.mark.parametrize(
    ("written", "host", "port"),
    [
        ("127.0.0.1:9797", "127.0.0.1", 9797),
        ("[::1]:0", "::1", 0),
        ("relay.example:65535", "relay.example", 65535),
    ],
)
def test_an_address_is_read_and_written_alike(written: str, host: str, port: int) -> None:
    place = address(CONTEXT, OPTION, written)

    assert place == Address(host, port)
    assert str(place) == written


@pytest.mark.parametrize(
    "written", ["", "9797", "127.0.0.1", "::1:9797", "host:65536", "host:-1", "a b:1", "[x]:1"]
)
def test_anything_else_is_refused_with_examples(written: str) -> None:
    with pytest.raises(click.BadParameter, match=r"write for example 127\.0\.0\.1:9797"):
        address(CONTEXT, OPTION, written)


def test_no_address_is_no_address() -> None:
    assert address(CONTEXT, OPTION, None) is None


@pytest.mark.parametrize(
    ("number", "said"),
    [
        (errno.EADDRINUSE, "something listens there already"),
        (errno.EACCES, "this user may not"),
        (errno.EADDRNOTAVAIL, "this machine has no such address"),
        (errno.ENOENT, "No such file or directory"),
    ],
)
def test_what_keeps_a_port_from_being_served_has_a_remedy(number: int, said: str) -> None:
    reason = why(OSError(number, os.strerror(number)))

    assert reason.startswith(said)
    assert ";" in reason
