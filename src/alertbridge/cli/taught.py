"""Commands whose `--help` ends in examples."""

from __future__ import annotations

from typing import Any

import click
from typing_extensions import override


class Taught(click.Command):
    """A command with `examples`: lines as they would be typed."""

    def __init__(self, *args: Any, examples: tuple[str, ...] = (), **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.examples = examples

    @override
    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        if self.examples:
            write_section(formatter, "Examples", self.examples)


class TaughtGroup(click.Group):
    """A group that lists its commands in the order they were added, after `sections` of lines as they are typed."""

    def __init__(self, *args: Any, sections: dict[str, tuple[str, ...]] | None = None, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.sections = sections or {}

    @override
    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(self.commands)

    @override
    def format_help_text(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        super().format_help_text(ctx, formatter)
        for title, lines in self.sections.items():
            write_section(formatter, title, lines)


def write_section(formatter: click.HelpFormatter, title: str, lines: tuple[str, ...]) -> None:
    """Write `lines` under `title`, none of them wrapped."""
    with formatter.section(title):
        for line in lines:
            formatter.write(f"{'':{formatter.current_indent}}{line}\n")
