from __future__ import annotations

import io
import json
import logging
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from enum import Enum
from typing import Any, Literal

import pytest
import structlog
from typing_extensions import override

from alertbridge.config.secrets import Redactor
from alertbridge.model import Secret
from alertbridge.operate.logs import configure_logging

SECRET = 'tok"en/s3cret'


@pytest.fixture(autouse=True)
def as_before() -> Iterator[None]:
    """Leave logging as it was."""
    before, root = structlog.get_config(), logging.getLogger()
    handlers, level = list(root.handlers), root.level
    yield
    structlog.configure(**before)
    root.handlers[:] = handlers
    root.setLevel(level)


def configured(
    form: Literal["json", "console"] = "json",
    level: str = "info",
    clean: Callable[[str], str] = str,
    stream: io.StringIO | None = None,
) -> io.StringIO:
    stream = stream or io.StringIO()
    configure_logging(level=level, format=form, clean=clean, stream=stream)
    return stream


def lines(stream: io.StringIO) -> list[dict[str, Any]]:
    return [json.loads(line) for line in stream.getvalue().splitlines()]


def test_a_json_line_says_when_how_important_and_what_first() -> None:
    stream = configured()
    structlog.get_logger().bind(destination="elven").info("delivery.settled", attempt=1, error=None)
    (line,) = lines(stream)
    assert list(line) == ["timestamp", "level", "event", "destination", "attempt", "error"]
    assert (line["level"], line["event"], line["destination"]) == ("info", "delivery.settled", "elven")
    moment = datetime.fromisoformat(line["timestamp"])
    assert line["timestamp"].endswith("Z")
    assert abs((datetime.now(UTC) - moment).total_seconds()) < 60


@pytest.mark.parametrize(
    ("level", "said"),
    [
        ("debug", ["debug", "info", "warning", "error"]),
        ("info", ["info", "warning", "error"]),
        ("warning", ["warning", "error"]),
        ("error", ["error"]),
    ],
)
def test_what_is_less_important_than_the_level_is_not_said(level: str, said: list[str]) -> None:
    stream = configured(level=level)
    log = structlog.get_logger()
    for word in ("debug", "info", "warning", "error"):
        getattr(log, word)("something")
    assert [line["level"] for line in lines(stream)] == said


def _fail() -> None:
    raise ValueError(f"broke on {SECRET}")


def test_an_exception_is_told_as_text() -> None:
    stream = configured()
    try:
        _fail()
    except ValueError:
        structlog.get_logger().exception("delivery.broke")
    (line,) = lines(stream)
    assert line["level"] == "error"
    assert "exc_info" not in line
    assert line["exception"].startswith("Traceback (most recent call last):")
    assert "_fail()" in line["exception"]


def test_no_exception_is_no_field() -> None:
    stream = configured()
    structlog.get_logger().error("event.failed", exc_info=None)
    (line,) = lines(stream)
    assert {"exception", "exc_info"}.isdisjoint(line)


@pytest.mark.parametrize("form", ["json", "console"])
def test_no_secret_leaves_in_whatever_it_stands(form: Literal["json", "console"]) -> None:
    stream = configured(form, clean=Redactor((Secret(SECRET),)).clean)
    log = structlog.get_logger().bind(bound=SECRET)
    try:
        _fail()
    except ValueError:
        log.exception("broke", text=SECRET, nested={"deep": [SECRET]}, held=Secret(SECRET))
        log.warning(SECRET, **{"key-" + SECRET: 1})
        logging.getLogger("aiohttp.server").exception("broke %s", SECRET)
    said = stream.getvalue()
    assert said.count("***") >= 8
    for trace in ("s3cret", "tok"):
        assert trace not in said


def test_a_secret_in_a_field_is_hidden_even_if_nobody_cleans() -> None:
    stream = configured()
    structlog.get_logger().info("something", token=Secret(SECRET), nested=[Secret(SECRET)])
    (line,) = lines(stream)
    assert (line["token"], line["nested"]) == ("***", ["***"])


class _Colour(Enum):
    RED = "red"


@pytest.mark.parametrize(
    "value",
    ["\ud800 half a character", 2**70, b"bytes", object(), {1: "number as a key"}, _Colour.RED, {"a", "b"}],
)
@pytest.mark.parametrize("form", ["json", "console"])
def test_every_value_can_be_logged(form: Literal["json", "console"], value: object) -> None:
    stream = configured(form)
    structlog.get_logger().info("something", value=value)
    assert "something" in stream.getvalue()
    if form == "json":
        assert "value" in lines(stream)[0]


def test_a_library_speaks_in_the_same_form() -> None:
    stream = configured()
    logging.getLogger("aiohttp.server").warning("lost %d of %s", 2, "them")
    (line,) = lines(stream)
    assert (line["level"], line["event"], line["logger"]) == ("warning", "lost 2 of them", "aiohttp.server")


def test_an_exception_of_a_library_is_told_as_text() -> None:
    stream = configured()
    try:
        _fail()
    except ValueError:
        logging.getLogger("asyncio").exception("callback failed")
    (line,) = lines(stream)
    assert (line["level"], line["event"]) == ("error", "callback failed")
    assert "_fail()" in line["exception"]


@pytest.mark.parametrize(
    ("level", "said"), [("debug", ["warning", "error"]), ("info", ["warning", "error"]), ("error", ["error"])]
)
def test_a_library_is_heard_from_warnings_up(level: str, said: list[str]) -> None:
    stream = configured(level=level)
    log = logging.getLogger("aiosqlite")
    for word in ("debug", "info", "warning", "error"):
        getattr(log, word)("executing")
    assert [line["level"] for line in lines(stream)] == said


def test_a_library_that_does_not_fill_in_its_text_is_heard_all_the_same() -> None:
    logging.getLogger().handlers.clear()  # the test runner's own would complain
    stream = configured()
    logging.getLogger("library").warning("%d of %d", *["one"])
    logging.getLogger("library").log(55, "beyond critical")
    assert [(line["level"], line["event"]) for line in lines(stream)] == [
        ("warning", "%d of %d"),
        ("critical", "beyond critical"),
    ]


def test_configuring_again_replaces_what_was() -> None:
    first = configured()
    second = configured()
    structlog.get_logger().info("something")
    logging.getLogger("library").warning("something")
    assert (first.getvalue(), len(lines(second))) == ("", 2)


def test_the_console_shows_a_line_without_colours_where_there_is_no_terminal() -> None:
    stream = configured("console")
    structlog.get_logger().info("delivery.settled", key="eu/Down", attempt=2)
    (line,) = stream.getvalue().splitlines()
    assert "delivery.settled" in line
    assert "key='eu/Down'" in line
    assert "attempt=2" in line
    assert "\x1b" not in line


def test_what_an_alert_brings_along_cannot_begin_a_line_or_steer_the_terminal() -> None:
    stream = configured("console")
    structlog.get_logger().info("incident.opened", key="a\n2026-01-01 daemon.stopped\x1b[2J")
    assert len(stream.getvalue().splitlines()) == 1
    assert "\x1b" not in stream.getvalue()


def test_the_console_shows_an_exception() -> None:
    stream = configured("console")
    try:
        _fail()
    except ValueError:
        structlog.get_logger().exception("delivery.broke")
    assert "Traceback" in stream.getvalue()


class _Terminal(io.StringIO):
    @override
    def isatty(self) -> bool:
        return True


def test_a_terminal_gets_colours() -> None:
    stream = configured("console", stream=_Terminal())
    structlog.get_logger().info("something")
    assert "\x1b[" in stream.getvalue()


class _Full(io.StringIO):
    @override
    def write(self, text: str, /) -> int:
        raise OSError(28, "No space left on device")


def test_a_log_that_cannot_be_written_stops_nobody() -> None:
    configured(stream=_Full())
    structlog.get_logger().info("something")
    stream = configured()
    stream.close()
    structlog.get_logger().info("something")
    logging.getLogger("library").warning("something")


def test_a_stream_of_few_characters_gets_the_others_escaped() -> None:
    raw = io.BytesIO()
    configure_logging(
        level="info", format="json", clean=str, stream=io.TextIOWrapper(raw, encoding="ascii", newline="")
    )
    structlog.get_logger().info("something", key="é")
    assert b"\\xe9" in raw.getvalue()
