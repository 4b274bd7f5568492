"""SQL on rule sets: each that was ever loaded, as long as anything names it."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Select, bindparam, func, insert, select, update
from sqlalchemy.engine import Row

from alertbridge.model import instant
from alertbridge.rules.rule_set import RuleSet
from alertbridge.store.listings import Item, Page, Wanted
from alertbridge.store.schema import incidents, rule_sets


def keep(connection: Connection, rule_set: RuleSet, *, version: str, now: datetime) -> None:
    """Note that this version of the program has loaded the set now, be it for the first time."""
    noted = {
        "seq": select(func.coalesce(func.max(rule_sets.c.seq), 0) + 1).scalar_subquery(),
        "files": [part.file for part in rule_set.parts],
        "parts": [{"file": part.file, "content": part.content} for part in rule_set.parts],
        "rules": rule_set.count,
        "version": version,
        "last_loaded_at": now,
    }
    known = connection.execute(update(rule_sets).where(rule_sets.c.hash == rule_set.hash).values(noted))
    if not known.rowcount:
        connection.execute(insert(rule_sets).values(hash=rule_set.hash, first_loaded_at=now, **noted))


def keep_if_unknown(connection: Connection, rule_set: RuleSet, *, version: str, now: datetime) -> None:
    """See to it that the set is there, in the transaction of something that names it."""
    if connection.scalar(_KNOWN, {"hash": rule_set.hash}) is None:
        keep(connection, rule_set, version=version, now=now)


def list_rule_sets(connection: Connection, wanted: Wanted, *, in_use: str) -> Page:
    """All of them, the last loaded first, without their contents."""
    query = _SUMMARY.order_by(rule_sets.c.seq.desc()).limit(wanted.limit + 1)
    if wanted.after is not None:
        query = query.where(rule_sets.c.seq < int(wanted.after))
    rows = connection.execute(query).all()
    shown = rows[: wanted.limit]
    items = [_item(row, in_use) for row in shown]
    return Page(items, str(shown[-1].seq) if len(rows) > len(shown) else None)


def find_rule_sets(connection: Connection, beginning: str, *, in_use: str, most: int = 10) -> list[Item]:
    """Those whose hash begins so, with their contents; `most` of them, the last loaded first."""
    query = _SUMMARY.add_columns(rule_sets.c.parts).where(
        rule_sets.c.hash.startswith(beginning, autoescape=True)
    )
    rows = connection.execute(query.order_by(rule_sets.c.seq.desc()).limit(most)).all()
    return [{**_item(row, in_use), "parts": row.parts} for row in rows]


_KNOWN = select(rule_sets.c.seq).where(rule_sets.c.hash == bindparam("hash"))
# Of the few incidents that are open, by the index that holds only them.
_OPEN = (
    select(func.count())
    .where(incidents.c.closed_at.is_(None), incidents.c.rules_hash == rule_sets.c.hash)
    .scalar_subquery()
)
# Contents may be large, with all rows of tables in them, so that a list goes without.
_SUMMARY: Select[Any] = select(
    *(column for column in rule_sets.c if column.name != "parts"), _OPEN.label("open_incidents")
)


def _item(row: Row[Any], in_use: str) -> Item:
    return {
        "hash": row.hash,
        "in_use": row.hash == in_use,
        "rules": row.rules,
        "files": row.files,
        "open_incidents": row.open_incidents,
        "version": row.version,
        "first_loaded_at": instant(row.first_loaded_at),
        "last_loaded_at": instant(row.last_loaded_at),
    }
