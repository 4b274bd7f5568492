from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest_asyncio

from alertbridge.store.store import Store
from tests.support.database import new_database


@pytest_asyncio.fixture
async def store(tmp_path: Path) -> AsyncIterator[Store]:
    """A real database, with its writer at work."""
    opened = await Store.open(new_database(tmp_path / "alertbridge.db"))
    writing = asyncio.create_task(opened.run())
    yield opened
    opened.stop()
    await writing
    await opened.close()
