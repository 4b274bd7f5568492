"""Requests that a real Alertmanager sent."""

from __future__ import annotations

import json
from datetime import datetime
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).parent.parent / "payloads" / "alertmanager"


def captured(number: str) -> bytes:
    """The body of the captured request whose file name begins with `number`."""
    (path,) = FOLDER.glob(f"{number}-*.json")
    return path.read_bytes()


def said(number: str) -> dict[str, Any]:
    """The same, parsed."""
    body: dict[str, Any] = json.loads(captured(number))
    return body


def received_at(number: str) -> datetime:
    """When it was received."""
    index = json.loads((FOLDER / "index.json").read_text(encoding="utf-8"))
    (entry,) = (entry for entry in index if entry["file"].startswith(f"{number}-"))
    return datetime.fromisoformat(entry["received_at"])
