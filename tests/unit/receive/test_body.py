from __future__ import annotations

import contextlib
import gzip
import tracemalloc
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from alertbridge.errors import MalformedBody
from alertbridge.receive.body import decode_body
from alertbridge.receive.refusal import Refused

BODY = b'{"alerts": []}'
PACKED = gzip.compress(BODY)


@pytest.mark.parametrize(
    ("encoding", "sent"),
    [
        ("", BODY),
        ("identity", BODY),
        ("gzip", PACKED),
        (" GZip ", PACKED),
        ("x-gzip", PACKED),
        ("gzip", gzip.compress(BODY[:5]) + gzip.compress(b"") + gzip.compress(BODY[5:])),
    ],
)
def test_a_known_encoding_is_taken_off(encoding: str, sent: bytes) -> None:
    assert decode_body(sent, encoding=encoding, limit=len(BODY)) == BODY


@pytest.mark.parametrize("encoding", ["br", "deflate", "zstd", "gzip, gzip", "identity, gzip", "\udcff" * 99])
def test_an_unknown_encoding_is_refused_and_the_known_ones_are_named(encoding: str) -> None:
    with pytest.raises(Refused) as caught:
        decode_body(PACKED, encoding=encoding, limit=100)

    assert caught.value.status == 415
    assert caught.value.headers["Accept-Encoding"] == "gzip, identity"
    assert len(caught.value.detail) < 200


@pytest.mark.parametrize(
    ("sent", "problem"),
    [
        (BODY, "not gzip"),
        (zlib.compress(BODY), "not gzip"),
        (b"", "breaks off"),
        (PACKED[:-1], "breaks off"),
        (PACKED[:5], "breaks off"),
        (PACKED + b"garbage", "not gzip"),
        (PACKED + PACKED[:-3], "breaks off"),
        (PACKED[:-6] + b"\0\0" + PACKED[-4:], "not gzip"),
        (PACKED * 65, "more than 64 members"),
    ],
    ids=[
        "plain",
        "zlib",
        "empty",
        "cut",
        "only a header",
        "followed",
        "second cut",
        "wrong checksum",
        "members",
    ],
)
def test_what_is_not_one_whole_gzip_body_is_malformed(sent: bytes, problem: str) -> None:
    with pytest.raises(MalformedBody, match=problem):
        decode_body(sent, encoding="gzip", limit=10_000)


@pytest.mark.parametrize(
    "sent", [gzip.compress(b"x" * 101), gzip.compress(b"x" * 60) + gzip.compress(b"x" * 41)]
)
def test_the_limit_holds_after_inflation_to_the_byte(sent: bytes) -> None:
    assert len(decode_body(sent, encoding="gzip", limit=101)) == 101
    with pytest.raises(Refused) as caught:
        decode_body(sent, encoding="gzip", limit=100)
    assert caught.value.status == 413


def test_a_bomb_is_refused_before_it_fills_the_memory() -> None:
    bomb = gzip.compress(bytes(100_000_000))
    tracemalloc.start()
    try:
        with pytest.raises(Refused):
            decode_body(bomb, encoding="gzip", limit=1_000_000)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()

    assert peak < 10_000_000


@given(st.binary(max_size=200) | st.binary(max_size=50).map(lambda rest: PACKED + rest))
def test_any_bytes_are_inflated_or_refused(sent: bytes) -> None:
    with contextlib.suppress(MalformedBody, Refused):
        assert len(decode_body(sent, encoding="gzip", limit=50)) <= 50
