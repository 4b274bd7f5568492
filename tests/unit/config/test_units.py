from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic_core import PydanticCustomError

from alertbridge.config.units import duration_text, read_duration, read_size, size_text


@pytest.mark.parametrize(
    ("written", "span"),
    [
        ("30s", timedelta(seconds=30)),
        ("5m", timedelta(minutes=5)),
        ("24h", timedelta(days=1)),
        ("7d", timedelta(days=7)),
        ("500ms", timedelta(milliseconds=500)),
        ("1h30m", timedelta(minutes=90)),
        ("1d12h5m1s1ms", timedelta(days=1, hours=12, minutes=5, seconds=1, milliseconds=1)),
        ("0s", timedelta(0)),
        ("0", timedelta(0)),
        (0, timedelta(0)),
        (" 5m ", timedelta(minutes=5)),
    ],
)
def test_a_duration_is_what_it_says(written: object, span: timedelta) -> None:
    assert read_duration(written) == span


@pytest.mark.parametrize(
    ("written", "problem", "remedy"),
    [
        (30, "needs a unit", "write 30s"),
        ("30", "needs a unit", "write 30s"),
        (1.5, "needs a unit", "write 1s"),
        ("5 minutes", "not a duration", "5m"),
        ("30m1h", "not a duration", "1h30m"),
        ("-5m", "not a duration", "5m"),
        ("", "not a duration", "30s"),
        ("1.5h", "not a duration", "1h30m"),
        ("99999999d", "longer than a hundred years", "7d"),
        ("9" * 5000 + "s", "longer than a hundred years", "7d"),
        (True, "expected a duration", "30s"),
        (None, "expected a duration", "30s"),
        (["5m"], "expected a duration", "30s"),
    ],
)
def test_what_is_no_duration_is_refused_with_a_remedy(written: object, problem: str, remedy: str) -> None:
    with pytest.raises(PydanticCustomError) as refused:
        read_duration(written)
    said = refused.value.context or {}
    assert problem in said["problem"]
    assert remedy in said["remedy"]


@given(st.integers(min_value=0, max_value=36500 * 86_400_000 - 1))
def test_a_duration_survives_being_written_and_read(milliseconds: int) -> None:
    span = timedelta(milliseconds=milliseconds)
    assert read_duration(duration_text(span)) == span


@pytest.mark.parametrize(
    ("written", "size"),
    [
        ("16MiB", 16 * 2**20),
        ("64KiB", 64 * 2**10),
        ("1GiB", 2**30),
        ("10MB", 10**7),
        ("10mb", 10**7),
        ("1 KiB", 1024),
        ("512", 512),
        ("512B", 512),
        (512, 512),
    ],
)
def test_a_size_is_what_it_says(written: object, size: int) -> None:
    assert read_size(written) == size


@pytest.mark.parametrize(
    ("written", "problem"),
    [
        ("16M", "unknown unit"),
        ("16 mebibytes", "unknown unit"),
        ("MiB", "not a size"),
        ("-1", "not a size"),
        ("1.5MiB", "not a size"),
        (1.5, "expected a size"),
        (True, "expected a size"),
        (None, "expected a size"),
    ],
)
def test_what_is_no_size_is_refused_with_a_remedy(written: object, problem: str) -> None:
    with pytest.raises(PydanticCustomError) as refused:
        read_size(written)
    said = refused.value.context or {}
    assert problem in said["problem"]
    assert "16MiB" in said["remedy"]


@given(st.integers(min_value=0, max_value=2**50))
def test_a_size_survives_being_written_and_read(size: int) -> None:
    assert read_size(size_text(size)) == size
