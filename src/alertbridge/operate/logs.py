"""Logging for the whole process: one line per event on one stream, without any secret."""

from __future__ import annotations

import contextlib
import json
import logging
from collections.abc import Callable
from typing import Literal, TextIO

import orjson
import structlog
from structlog.typing import EventDict, Processor, WrappedLogger
from typing_extensions import override

_FIRST = ("timestamp", "level", "event")


def configure_logging(
    *,
    level: str,
    format: Literal["json", "console"],  # noqa: A002 - the name of the setting
    clean: Callable[[str], str],
    stream: TextIO,
) -> None:
    """Write everything logged from now on to `stream`, from `level` (a word such as `info`) up.

    Every line passes through `clean` as the last thing before it is written. Libraries that use Python's own logging
    come out in the same form, with the name of their `logger`, from warnings up: below that they tell of statements
    and requests, and with them of bodies. Loggers that were bound before keep what they had.
    """
    number = logging.getLevelNamesMapping()[level.upper()]
    render = _as_json if format == "json" else _console(colors=stream.isatty())

    def last(logger: WrappedLogger, method: str, event: EventDict) -> str:
        return clean(str(render(logger, method, event)))

    lines = _Lines(stream)
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            last,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(number),
        context_class=dict,
        logger_factory=lambda *_: lines,
        cache_logger_on_first_use=False,
    )
    _adopt_libraries(max(number, logging.WARNING))


class _Lines:
    """Writes lines. What cannot be written is lost: no alert waits for a log."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def write(self, line: str) -> None:
        """Put one line out at once."""
        with contextlib.suppress(OSError, ValueError):  # no room, nobody reads any more, closed
            try:
                self._stream.write(line + "\n")
            except UnicodeEncodeError:
                self._stream.write(line.encode("ascii", "backslashreplace").decode() + "\n")
            self._stream.flush()

    debug = info = warning = error = critical = write


class _Adopted(logging.Handler):
    """Passes on what libraries log."""

    @override
    def emit(self, record: logging.LogRecord) -> None:
        try:
            said = record.getMessage()
        except (TypeError, ValueError, KeyError):  # the library's arguments do not fit its text
            said = str(record.msg)
        level = min(max(record.levelno // 10 * 10, logging.DEBUG), logging.CRITICAL)
        structlog.get_logger().log(level, said, logger=record.name, exc_info=record.exc_info)


def _adopt_libraries(number: int) -> None:
    root = logging.getLogger()
    for handler in [handler for handler in root.handlers if isinstance(handler, _Adopted)]:
        root.removeHandler(handler)
    root.addHandler(_Adopted())
    root.setLevel(number)


def _as_json(_logger: WrappedLogger, _method: str, event: EventDict) -> str:
    said = {name: event.pop(name) for name in _FIRST} | dict(event)
    try:
        # A dataclass is shown by its repr, as Secret relies on, and never field by field.
        option = orjson.OPT_NON_STR_KEYS | orjson.OPT_PASSTHROUGH_DATACLASS
        return orjson.dumps(said, default=repr, option=option).decode()
    except orjson.JSONEncodeError:  # half a character, or a number beyond 64 bits
        return json.dumps(said, default=repr, skipkeys=True)


def _console(*, colors: bool) -> Processor:
    # Values as Python writes them: what an alert brings along cannot begin a line or steer a terminal.
    return structlog.dev.ConsoleRenderer(
        colors=colors,
        repr_native_str=True,
        sort_keys=False,
        exception_formatter=structlog.dev.plain_traceback,
    )
