"""`HOST:PORT` as an option."""

from __future__ import annotations

import errno
import re
from typing import NamedTuple

import click
from typing_extensions import override

_WRITTEN = re.compile(r"(?:\[(?P<v6>[0-9A-Fa-f:.]+)\]|(?P<host>[A-Za-z0-9._-]+)):(?P<port>[0-9]{1,5})")
_HIGHEST_PORT = 65535


class Address(NamedTuple):
    """A host, without brackets, and a port; its text form is as it was written."""

    host: str
    port: int

    @override
    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


def address(_context: click.Context, _parameter: click.Parameter, value: str | None) -> Address | None:
    """What an option says, for click to call; raises click.BadParameter."""
    if value is None:
        return None
    found = _WRITTEN.fullmatch(value)
    if found is None or int(found["port"]) > _HIGHEST_PORT:
        raise click.BadParameter("write for example 127.0.0.1:9797, 0.0.0.0:9797 or [::1]:9797")
    return Address(found["v6"] or found["host"], int(found["port"]))


def why(error: OSError) -> str:
    """What kept a port from being served, and the remedy."""
    match error.errno:
        case errno.EADDRINUSE:
            return "something listens there already; stop it, or choose another with --listen"
        case errno.EACCES:
            return "this user may not; choose a port from 1024 up with --listen"
        case errno.EADDRNOTAVAIL:
            return "this machine has no such address; choose another with --listen"
        case _:
            return f"{error.strerror or error}; look at the address, and at server.tls where it is used"
