"""The example: a configuration that works at once, and two captured notifications to try it with."""

from __future__ import annotations

import json
from importlib.resources import files
from pathlib import PurePosixPath

SCHEMA = "alertbridge.schema.json"
_FOLDER = files(__name__)


def configuration() -> dict[str, str]:
    """The text of every file of the example configuration, by its path."""
    rules = _FOLDER / "rules.d"
    names = sorted(entry.name for entry in rules.iterdir())
    paths = ["alertbridge.yaml", *(str(PurePosixPath("rules.d", name)) for name in names)]
    return {path: _FOLDER.joinpath(*path.split("/")).read_text(encoding="utf-8") for path in paths}


def payload(name: str) -> bytes:
    """The body of a notification as Alertmanager sent it: `firing`, or `resolved`, which ends it."""
    return _FOLDER.joinpath("payloads", f"{name}.json").read_bytes()


def schema_text() -> str:
    """The JSON Schema of the configuration, as it is written beside it."""
    from alertbridge.config.load import json_schema  # noqa: PLC0415 - heavy, and `init --help` is to be quick

    return json.dumps(json_schema(), indent=2, ensure_ascii=False) + "\n"
