"""`alertbridge schema`."""

from __future__ import annotations

import click

from alertbridge.cli.example import schema_text
from alertbridge.cli.taught import Taught


@click.command(
    cls=Taught,
    examples=("alertbridge schema > alertbridge.schema.json",),
)
def schema() -> None:
    """Print the JSON Schema of the configuration, for editors.

    `alertbridge init` writes it beside the configuration, whose first line names it to editors that speak the YAML
    language server. Renew it after an upgrade.
    """
    click.echo(schema_text(), nl=False)
