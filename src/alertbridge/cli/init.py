"""`alertbridge init`."""

from __future__ import annotations

from pathlib import Path

import click

from alertbridge.cli import example
from alertbridge.cli.taught import Taught


@click.command(
    cls=Taught,
    examples=(
        "alertbridge init",
        "alertbridge init /etc/alertbridge",
    ),
)
@click.argument("directory", default=".", type=click.Path(file_okay=False, path_type=Path), metavar="[DIR]")
def init(directory: Path) -> None:
    """Write a commented configuration that works at once.

    It goes into DIR, or into the working directory, and sends to the stand-ins of `alertbridge simulate` until you name the real addresses and tokens. Nothing that is
    there already is overwritten.
    """
    contents = {**example.configuration(), example.SCHEMA: example.schema_text()}
    taken = [directory / name for name in contents if (directory / name).exists()]
    if taken:
        remedy = "move it away, or name another folder: alertbridge init DIR"
        raise click.ClickException(f"{taken[0]} is there already, so nothing was written; {remedy}")
    for name, text in contents.items():
        _write(directory / name, text)
        click.echo(f"wrote {directory / name}")
    click.echo(_next_steps(directory))


def _write(path: Path, text: str) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("x", encoding="utf-8") as file:
            file.write(text)
    except OSError as error:
        raise click.ClickException(
            f"{path} cannot be written: {error.strerror}; name a folder that you may write to: alertbridge init DIR"
        ) from error


def _next_steps(directory: Path) -> str:
    option = "" if directory == Path() else f" --config {directory / 'alertbridge.yaml'}"
    return f"""
Next:
  alertbridge check{option}
      finds mistakes, also after each change
  alertbridge simulate
      plays Elven and Hivel on 127.0.0.1:9798; leave it running
  alertbridge serve{option}
      takes alerts, in another terminal; then let one fire:
  curl -H 'Authorization: Bearer demo-token' http://127.0.0.1:9797/v1/sources/prod \\
      -d '{{"alerts": [{{"status": "firing", "labels": {{"alertname": "Hello", "severity": "page"}}}}]}}'
  curl http://127.0.0.1:9798/received
      shows what Elven and Hivel would have got

The comments in alertbridge.yaml say where the real addresses and tokens go."""
