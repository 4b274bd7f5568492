"""Who may post to a source: the secrets and addresses it was configured with."""

from __future__ import annotations

import base64
import binascii
import hmac
from collections.abc import Mapping
from dataclasses import dataclass
from ipaddress import IPv4Network, IPv6Address, IPv6Network, ip_address
from typing import TypeAlias

from alertbridge.model import Secret
from alertbridge.receive.refusal import Refused


@dataclass(frozen=True, slots=True)
class Bearer:
    """`Authorization: Bearer` and the token."""

    token: Secret


@dataclass(frozen=True, slots=True)
class Basic:
    """`Authorization: Basic`, credentials in UTF-8; the name holds no colon, the password may."""

    username: str
    password: Secret


@dataclass(frozen=True, slots=True)
class Hmac:
    """HMAC-SHA256 of the body as it was sent, in hexadecimal digits, in `header`; a prefix `sha256=` is fine."""

    header: str
    secret: Secret


Authentication: TypeAlias = Bearer | Basic | Hmac
Network: TypeAlias = IPv4Network | IPv6Network


def allows(authentication: Authentication | None, headers: Mapping[str, str], body: bytes) -> bool:
    """Whether the request proves what `authentication` asks for; None asks for nothing.

    Only `Hmac` looks at `body`, which is the body as it was sent. Secrets are compared in constant time.
    """
    match authentication:
        case None:
            return True
        case Bearer(token):
            return _equal(_credentials(headers, "bearer"), token.reveal().encode())
        case Basic(username, password):
            given = _base64(_credentials(headers, "basic"))
            return _equal(given, f"{username}:{password.reveal()}".encode())
        case Hmac(header, secret):
            signature = headers.get(header, "").strip().lower().removeprefix("sha256=")
            expected = hmac.digest(secret.reveal().encode(), body, "sha256").hex()
            return _equal(_as_sent(signature), expected.encode())


def challenge(authentication: Authentication) -> str:
    """What `WWW-Authenticate` says to a request that was not allowed."""
    match authentication:
        case Bearer():
            return 'Bearer realm="alertbridge"'
        case Basic():
            return 'Basic realm="alertbridge", charset="UTF-8"'
        case Hmac(header):
            return f'HMAC-SHA256 realm="alertbridge", header="{header}"'


def demand(authentication: Authentication | None, headers: Mapping[str, str], body: bytes) -> None:
    """Raises Refused, with 401, unless the request proves what `authentication` asks for."""
    if authentication is not None and not allows(authentication, headers, body):
        raise Refused(
            401,
            "Unauthorized",
            "the credentials are missing or wrong",
            {"WWW-Authenticate": challenge(authentication)},
        )


def comes_from(networks: tuple[Network, ...], peer: str | None) -> bool:
    """Whether the address `peer` lies in one of `networks`; where none are given, any peer will do.

    An IPv4 peer seen through an IPv6 socket (`::ffff:10.0.0.1`) counts as IPv4 as well.
    """
    if not networks:
        return True
    try:
        address = ip_address(peer or "")
    except ValueError:
        return False
    mapped = address.ipv4_mapped if isinstance(address, IPv6Address) else None
    return any(address in network or (mapped is not None and mapped in network) for network in networks)


def _credentials(headers: Mapping[str, str], scheme: str) -> bytes | None:
    """What follows the scheme in `Authorization`; None if another scheme or nothing was sent."""
    given, _, credentials = headers.get("Authorization", "").partition(" ")
    return _as_sent(credentials.strip()) if given.lower() == scheme else None


def _base64(text: bytes | None) -> bytes | None:
    try:
        return None if text is None else base64.b64decode(text, validate=True)
    except binascii.Error:
        return None


def _as_sent(value: str) -> bytes:
    """The bytes of a header, which aiohttp decodes as UTF-8 with surrogate escapes."""
    return value.encode(errors="surrogateescape")


def _equal(given: bytes | None, expected: bytes) -> bool:
    return given is not None and hmac.compare_digest(given, expected)
