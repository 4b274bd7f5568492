"""SQL on deployments and merges: what was told, what an incident could be laid to, what a forge is to be asked for."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, and_, exists, insert, or_, select, update
from sqlalchemy.dialects import sqlite
from sqlalchemy.engine import Row

from alertbridge.deployments.choose import Sought
from alertbridge.deployments.deployment import Deployment, Merge, Status, told_again
from alertbridge.model import Action, DeliveryState, instant
from alertbridge.store.columns import among
from alertbridge.store.listings import Item, Page, Wanted
from alertbridge.store.schema import ALIVE_STATES, deliveries, deployments, incidents, merges


def put(connection: Connection, said: Deployment, *, now: datetime) -> Deployment:
    """Keep a word on a deployment, in one row by its id; return all that is known of it now."""
    before = find(connection, said.id)
    known = said if before is None else told_again(before, said)
    if not known.pr_number:
        known = replace(known, pr_number=_merged_by(connection, known))
    values = _values(known)
    if before is None:
        connection.execute(insert(deployments).values(id=known.id, told_at=now, **values))
    else:
        connection.execute(update(deployments).where(deployments.c.id == known.id).values(values))
    return known


def find(connection: Connection, deployment: str) -> Deployment | None:
    """All that is known of a deployment; None if it is gone."""
    row = connection.execute(select(deployments).where(deployments.c.id == deployment)).one_or_none()
    return None if row is None else _deployment(row)


def put_merge(connection: Connection, merge: Merge) -> list[Deployment]:
    """Keep which pull request a commit is the merge of; return the deployments that this completes."""
    place = {"repo": merge.repo_url.lower(), "commit_hash": merge.commit}
    said = {"pr_number": merge.pr_number, "merged_at": merge.merged_at}
    add = sqlite.insert(merges).values(**place, **said)
    connection.execute(add.on_conflict_do_update(index_elements=list(place), set_=said))
    of_commit = [deployments.c[name] == value for name, value in place.items()]
    query = select(deployments.c.id).where(*of_commit, deployments.c.pr_number == "")
    names = connection.scalars(query).all()
    completed = [resolve(connection, name, merge.pr_number) for name in names]
    return [one for one in completed if one is not None]


def suspects(connection: Connection, sought: Sought, *, max_age: timedelta) -> list[Deployment]:
    """Those that an incident could be laid to: `choose` decides."""
    places = []
    if sought.service:
        places.append(deployments.c.service == sought.service)
    if sought.repo_url:
        places.append(deployments.c.repo == sought.repo_url.lower())
    if not places:
        return []
    query = select(deployments).where(
        or_(*places),
        deployments.c.status == Status.SUCCESS.value,
        deployments.c.finished_at < sought.opened_at,
        deployments.c.finished_at >= sought.opened_at - max_age,
    )
    return [_deployment(row) for row in connection.execute(query)]


_HELD = and_(among(deliveries.c.state, *ALIVE_STATES), deliveries.c.state == DeliveryState.HELD.value)


def waiting(connection: Connection, deployment: Deployment, *, max_age: timedelta) -> Sequence[str]:
    """The incidents that opened in the time after a deployment, and whose record lacks something."""
    if deployment.finished_at is None:
        return ()
    # In a query of its own, so that it is answered from the index of the few deliveries that are alive.
    lacking = select(deliveries.c.incident).where(_HELD, deliveries.c.action == Action.RECORD.value)
    query = (
        select(incidents.c.id)
        .where(
            incidents.c.id.in_(lacking),
            incidents.c.opened_at > deployment.finished_at,
            incidents.c.opened_at <= deployment.finished_at + max_age,
        )
        .order_by(incidents.c.id)
    )
    return connection.scalars(query).all()


def want_resolved(connection: Connection, deployment: str, *, at: datetime | None) -> None:
    """Let a forge be asked from `at` on, as if it had never been; None is never."""
    values = {"resolve_at": at, "resolve_attempts": 0, "resolve_error": None}
    connection.execute(update(deployments).where(deployments.c.id == deployment).values(values))


def due_to_resolve(
    connection: Connection, *, now: datetime, most: int
) -> list[tuple[Deployment, int, datetime]]:
    """Those that a forge is to be asked for now, how often it was already, and since when they are known."""
    query = (
        select(deployments)
        .where(deployments.c.resolve_at <= now)
        .order_by(deployments.c.resolve_at)
        .limit(most)
    )
    return [(_deployment(row), row.resolve_attempts, row.told_at) for row in connection.execute(query)]


def next_to_resolve(connection: Connection) -> datetime | None:
    """When a forge is to be asked next."""
    query = select(deployments.c.resolve_at).where(_UNRESOLVED).order_by(deployments.c.resolve_at).limit(1)
    found: datetime | None = connection.scalar(query)
    return found


_UNRESOLVED = deployments.c.resolve_at.is_not(None)


def resolve(connection: Connection, deployment: str, pr_number: str) -> Deployment | None:
    """Note which pull request a deployment brought, unless that is known by now; None if it is gone or was known."""
    done = connection.execute(
        update(deployments)
        .where(deployments.c.id == deployment, deployments.c.pr_number == "")
        .values(pr_number=pr_number, resolve_at=None, resolve_error=None)
    )
    return find(connection, deployment) if done.rowcount else None


def not_resolved(
    connection: Connection, deployment: str, *, error: str, again: datetime | None, counts: bool
) -> None:
    """Note why a forge did not say it, and when to ask again; None is never. `counts` it as an attempt."""
    connection.execute(
        update(deployments)
        .where(deployments.c.id == deployment, _UNRESOLVED)
        .values(
            resolve_at=again,
            resolve_error=error,
            resolve_attempts=deployments.c.resolve_attempts + (1 if counts else 0),
        )
    )


def is_forwarded(connection: Connection, deployment: str, *, destination: str) -> bool:
    """Whether it was ever entered into the outbox for that destination with all that is needed."""
    query = exists().where(
        deliveries.c.key == deployment,
        deliveries.c.destination == destination,
        deliveries.c.action == Action.DEPLOYMENT.value,
        deliveries.c.state != DeliveryState.SKIPPED.value,
    )
    return bool(connection.scalar(select(query)))


def list_deployments(connection: Connection, wanted: Wanted) -> Page:
    """What was told, by `state` (its status), `service`, `environment` and `since` (first told)."""
    query = select(deployments)
    for column, value in (
        (deployments.c.status, wanted.state),
        (deployments.c.service, wanted.service),
        (deployments.c.environment, wanted.environment),
    ):
        if value is not None:
            query = query.where(column == value)
    if wanted.since is not None:
        query = query.where(deployments.c.told_at >= wanted.since)
    if wanted.after is not None:
        query = query.where(deployments.c.seq < int(wanted.after))
    rows = connection.execute(query.order_by(deployments.c.seq.desc()).limit(wanted.limit + 1)).all()
    shown = rows[: wanted.limit]
    return Page([_item(row) for row in shown], str(shown[-1].seq) if len(rows) > len(shown) else None)


def find_deployment(connection: Connection, identifier: str) -> Item | None:
    """One deployment."""
    row = connection.execute(select(deployments).where(deployments.c.id == identifier)).one_or_none()
    return None if row is None else _item(row)


def _merged_by(connection: Connection, deployment: Deployment) -> str:
    if not deployment.commit or not deployment.repo_url:
        return ""
    query = select(merges.c.pr_number).where(
        merges.c.repo == deployment.repo_url.lower(), merges.c.commit_hash == deployment.commit
    )
    return connection.scalar(query) or ""


def _values(one: Deployment) -> dict[str, Any]:
    return {
        "environment": one.environment,
        "status": one.status.value,
        "said_at": one.said_at,
        "service": one.service,
        "repo_url": one.repo_url,
        "repo": one.repo_url.lower(),
        "pr_number": one.pr_number,
        "commit_hash": one.commit,
        "branch": one.branch,
        "started_at": one.started_at,
        "finished_at": one.finished_at,
    }


def _deployment(row: Row[Any]) -> Deployment:
    return Deployment(
        id=row.id,
        environment=row.environment,
        status=Status(row.status),
        said_at=row.said_at,
        service=row.service,
        repo_url=row.repo_url,
        pr_number=row.pr_number,
        commit=row.commit_hash,
        branch=row.branch,
        started_at=row.started_at,
        finished_at=row.finished_at,
    )


def _item(row: Row[Any]) -> Item:
    return {
        "id": row.id,
        "service": row.service or None,
        "repo_url": row.repo_url or None,
        "pr_number": row.pr_number or None,
        "commit": row.commit_hash or None,
        "branch": row.branch or None,
        "environment": row.environment,
        "status": row.status,
        "started_at": instant(row.started_at) if row.started_at else None,
        "finished_at": instant(row.finished_at) if row.finished_at else None,
        "told_at": instant(row.told_at),
        "resolve": {
            "at": instant(row.resolve_at) if row.resolve_at else None,
            "attempts": row.resolve_attempts,
            "error": row.resolve_error,
        },
    }
