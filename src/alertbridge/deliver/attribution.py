"""Laying incidents to deployments: what a record lacks is taken from the deployment that came before the incident."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from sqlalchemy import Connection

from alertbridge.deliver.completing import complete, filled
from alertbridge.deliver.posting import message
from alertbridge.deployments.choose import FILLED, Policy, Sought, choose, filling
from alertbridge.deployments.deployment import Deployment
from alertbridge.destinations import Destination
from alertbridge.destinations.change import repository_url
from alertbridge.incidents.state import Changes, Incident
from alertbridge.model import Action
from alertbridge.store import audit, ledger
from alertbridge.store import deployments as told
from alertbridge.store.amend import Amended
from alertbridge.store.audit import Entry


@dataclass(frozen=True, slots=True)
class Attribution:
    """How incidents are laid to deployments. `catalogue` is the repository of each service that has one."""

    policy: Policy = field(default_factory=lambda: Policy(frozenset(), timedelta(0)))
    catalogue: Mapping[str, str] = field(default_factory=dict)

    def lay(
        self,
        changes: Changes,
        *,
        destinations: Mapping[str, Destination],
        suspects: Callable[[Sought], Iterable[Deployment]],
    ) -> Changes:
        """The same changes; where a record is to be made that lacks what a deployment knows, its incident has it."""
        incidents = dict(changes.incidents)
        for announcement in changes.announcements:
            incident = incidents.get(announcement.incident)
            if incident is None or announcement.action is not Action.RECORD or announcement.skipped:
                continue
            sought, missing = self.sought(incident, destinations.get(incident.destination))
            if missing and (found := choose(suspects(sought), sought, self.policy)) is not None:
                content = filled(incident.content, filling(found, missing), found.origin)
                incidents[incident.id] = replace(incident, content=content)
        return replace(changes, incidents=incidents)

    def complete_held(
        self,
        connection: Connection,
        deployment: Deployment,
        *,
        destinations: Mapping[str, Destination],
        now: datetime,
    ) -> list[Amended]:
        """Fill in the held records of incidents that are laid to `deployment`, which was just heard of; each is audited."""
        if not self.policy.counts(deployment):
            return []
        names = told.waiting(connection, deployment, max_age=self.policy.max_age)
        left = (
            self._complete(connection, name, deployment, destinations=destinations, now=now) for name in names
        )
        return [one for one in left if one is not None]

    def sought(self, incident: Incident, destination: Destination | None) -> tuple[Sought, tuple[str, ...]]:
        """What the incident says of the change it is laid to, and which fields of it its record lacks."""
        if destination is None:
            return Sought(incident.opened_at), ()
        composed = destination.compose(message(incident, Action.RECORD, incident.peak))
        said = composed.payload
        repository = repository_url(said.get("repo_url")) or self.catalogue.get(incident.service, "")
        sought = Sought(incident.opened_at, incident.service, repository, str(said.get("pr_number", "")))
        return sought, tuple(name for name in FILLED if name in composed.missing)

    def _complete(
        self,
        connection: Connection,
        name: str,
        deployment: Deployment,
        *,
        destinations: Mapping[str, Destination],
        now: datetime,
    ) -> Amended | None:
        incident = ledger.find(connection, name)
        if incident is None or incident.open:
            return None
        sought, missing = self.sought(incident, destinations.get(incident.destination))
        if not missing or choose([deployment], sought, self.policy) is None:
            return None
        suspects = told.suspects(connection, sought, max_age=self.policy.max_age)
        if choose(suspects, sought, self.policy) != deployment:  # a later one is to blame, and knew no more
            return None
        fields = filling(deployment, missing)
        if not fields:
            return None
        origin = deployment.origin
        left = complete(connection, name, fields=fields, origin=origin, destinations=destinations, now=now)
        if left is not None:
            entry = Entry(origin, "complete", name, left.delivery, left.destination, fields)
            audit.note(connection, entry, now=now)
        return left
