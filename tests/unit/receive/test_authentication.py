from __future__ import annotations

import base64
import hashlib
import hmac
import json
from collections.abc import Mapping
from ipaddress import ip_network
from pathlib import Path

import pytest
from multidict import CIMultiDict

from alertbridge.model import Secret
from alertbridge.receive.authentication import (
    Authentication,
    Basic,
    Bearer,
    Hmac,
    allows,
    challenge,
    comes_from,
)

BEARER = Bearer(Secret("test-token-123"))
BASIC = Basic("relay", Secret("p@ss:wörd"))
HMAC = Hmac("X-Signature", Secret("kéy"))
BODY = b'{"alerts": []}'
SIGNATURE = hmac.new("kéy".encode(), BODY, hashlib.sha256).hexdigest()


def basic(credentials: bytes) -> str:
    return "Basic " + base64.b64encode(credentials).decode()


def recorded(file: str) -> Mapping[str, str]:
    """The headers that a real Alertmanager sent."""
    index = Path(__file__).parents[2] / "payloads" / "alertmanager" / "index.json"
    (entry,) = (entry for entry in json.loads(index.read_text()) if entry["file"].startswith(file))
    return CIMultiDict(entry["headers"])


@pytest.mark.parametrize(
    ("authentication", "headers", "allowed"),
    [
        (None, {}, True),
        (None, {"Authorization": "Bearer whatever"}, True),
        (BEARER, recorded("16"), True),
        (BEARER, {"Authorization": "bearer test-token-123"}, True),
        (BEARER, {"Authorization": "Bearer  test-token-123 "}, True),
        (BEARER, {}, False),
        (BEARER, {"Authorization": ""}, False),
        (BEARER, {"Authorization": "Bearer"}, False),
        (BEARER, {"Authorization": "Bearer "}, False),
        (BEARER, {"Authorization": "test-token-123"}, False),
        (BEARER, {"Authorization": "Bearer test-token-12"}, False),
        (BEARER, {"Authorization": "Bearer test-token-1234"}, False),
        (BEARER, {"Authorization": "Bearer TEST-TOKEN-123"}, False),
        (BEARER, {"Authorization": "Basic test-token-123"}, False),
        (BEARER, {"Authorization": "Bearer \udcff"}, False),
        (BEARER, recorded("15"), False),
        (BASIC, recorded("15"), True),
        (BASIC, {"Authorization": basic("relay:p@ss:wörd".encode()).replace("Basic", "BASIC")}, True),
        (BASIC, {"Authorization": basic("relay:p@ss:wörd".encode("latin-1"))}, False),
        (BASIC, {"Authorization": basic(b"relay:p@ss:")}, False),
        (BASIC, {"Authorization": basic("other:p@ss:wörd".encode())}, False),
        (BASIC, {"Authorization": basic(b"relay")}, False),
        (BASIC, {"Authorization": basic(b"")}, False),
        (BASIC, {"Authorization": "Basic"}, False),
        (BASIC, {"Authorization": "Basic cmVsYXk6c"}, False),
        (BASIC, {"Authorization": "Basic ????"}, False),
        (BASIC, {"Authorization": recorded("15")["Authorization"].replace("c", "c!")}, False),
        (BASIC, {"Authorization": "Basic \udcff"}, False),
        (BASIC, {}, False),
        (BASIC, recorded("16"), False),
        (HMAC, {"X-Signature": SIGNATURE}, True),
        (HMAC, {"X-Signature": f"sha256={SIGNATURE}"}, True),
        (HMAC, {"X-Signature": f"SHA256={SIGNATURE.upper()}"}, True),
        (HMAC, {"X-Signature": f"sha1={SIGNATURE}"}, False),
        (HMAC, {"X-Signature": SIGNATURE[:-1]}, False),
        (HMAC, {"X-Signature": "0" * 64}, False),
        (HMAC, {"X-Signature": "sha256="}, False),
        (HMAC, {"X-Signature": "\udcff"}, False),
        (HMAC, {"Authorization": SIGNATURE}, False),
        (HMAC, {}, False),
    ],
)
def test_a_request_is_allowed_when_it_proves_what_is_asked_for(
    authentication: Authentication | None, headers: Mapping[str, str], *, allowed: bool
) -> None:
    assert allows(authentication, headers, BODY) is allowed


def test_a_signature_belongs_to_one_body() -> None:
    assert not allows(HMAC, {"X-Signature": SIGNATURE}, BODY + b"\n")


@pytest.mark.parametrize(
    ("authentication", "scheme"),
    [
        (BEARER, 'Bearer realm="alertbridge"'),
        (BASIC, 'Basic realm="alertbridge", charset="UTF-8"'),
        (HMAC, 'HMAC-SHA256 realm="alertbridge", header="X-Signature"'),
    ],
)
def test_the_challenge_names_the_scheme(authentication: Authentication, scheme: str) -> None:
    assert challenge(authentication) == scheme


@pytest.mark.parametrize("authentication", [BEARER, BASIC, HMAC])
def test_no_secret_is_in_the_text_form(authentication: Authentication) -> None:
    for secret in ("test-token", "p@ss", "kéy"):
        assert secret not in f"{authentication!r} {authentication}"


@pytest.mark.parametrize(
    ("networks", "peer", "allowed"),
    [
        ([], "203.0.113.7", True),
        ([], None, True),
        (["10.0.0.0/8"], "10.1.2.3", True),
        (["10.0.0.0/8"], "11.1.2.3", False),
        (["10.0.0.0/8", "192.0.2.7/32"], "192.0.2.7", True),
        (["10.0.0.0/8"], "::ffff:10.1.2.3", True),
        (["10.0.0.0/8"], "::ffff:11.1.2.3", False),
        (["::ffff:10.0.0.0/104"], "::ffff:10.1.2.3", True),
        (["2001:db8::/32"], "2001:db8::1", True),
        (["2001:db8::/32"], "10.1.2.3", False),
        (["0.0.0.0/0"], "::1", False),
        (["fe80::/10"], "fe80::1%eth0", True),
        (["10.0.0.0/8"], None, False),
        (["10.0.0.0/8"], "", False),
        (["10.0.0.0/8"], "/run/alertbridge.sock", False),
    ],
)
def test_a_peer_is_allowed_when_it_lies_in_a_network(
    networks: list[str], peer: str | None, *, allowed: bool
) -> None:
    assert comes_from(tuple(ip_network(network) for network in networks), peer) is allowed
