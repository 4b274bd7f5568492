"""A moment in the past, as it is given to a command."""

from __future__ import annotations

from datetime import datetime

import click
from typing_extensions import override

from alertbridge.clock import SystemClock
from alertbridge.model import instant


class Since(click.ParamType[str]):
    """An instant, or a span before now (`2h`, `7d`); as text in the form that the admin API takes."""

    name = "SINCE"

    @override
    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> str:
        from alertbridge.config.units import read_duration  # noqa: PLC0415 - heavy, and `--help` is to be quick

        text = str(value)
        try:
            moment = datetime.fromisoformat(text)
        except ValueError:
            moment = None
        if moment is not None and moment.tzinfo is not None:
            return instant(moment)
        try:
            return instant(SystemClock().now() - read_duration(text))
        except (ValueError, OverflowError):
            self.fail(f'"{text}" is no moment; write 2h, 7d or 2026-01-05T09:30:00Z', param, ctx)
