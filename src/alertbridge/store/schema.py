"""The tables. Migrations bring a database here; a test holds the two against each other."""

from __future__ import annotations

from enum import StrEnum

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    Column,
    ColumnElement,
    ForeignKey,
    FromClause,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    SmallInteger,
    Table,
    Text,
    UniqueConstraint,
    and_,
    literal_column,
    or_,
)

from alertbridge.deployments.deployment import Status
from alertbridge.model import Action, DeliveryState, EventOutcome, Reporting, Resend
from alertbridge.store.columns import Instant, Span, among, one_of


class Heard(StrEnum):
    """The outcomes of an attempt after which the destination has heard it, or may have; see `said`."""

    DELIVERED = "delivered"
    AMBIGUOUS = "ambiguous"


ALIVE_STATES = (DeliveryState.HELD, DeliveryState.PENDING, DeliveryState.SENDING, DeliveryState.DEAD)

# SQLite numbers rows by itself only for a column declared INTEGER.
_Sequence = BigInteger().with_variant(Integer, "sqlite")

metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "ck": "ck_%(table_name)s_%(constraint_name)s",
        "pk": "pk_%(table_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s",
    }
)

events = Table(
    "events",
    metadata,
    Column("seq", _Sequence, primary_key=True, autoincrement=True),
    Column("id", Text, nullable=False, unique=True),
    Column("source", Text, nullable=False),
    Column("received_at", Instant, nullable=False, index=True),
    Column("body", LargeBinary, nullable=False),
    Column("outcome", Text, nullable=False),
    Column("decided_at", Instant),
    Column("rules_hash", Text),
    Column("truncated", Integer, nullable=False, server_default="0"),
    Column("alerts", JSON),  # what became of each alert
    Column("error", Text),
    Column("inferred", Text),  # why it was concluded, where nobody said it
    Column("adopted", Text),  # why it was read from a peer, where nobody posted it
    Column("by_hand", Text),  # who said it and why, where an operator did
    Column("replay_of", Text),  # the event that it is, decided once more
    one_of("outcome", EventOutcome),
    sqlite_autoincrement=True,
)
_undecided = among(events.c.outcome, EventOutcome.RECEIVED)
Index("ix_events_undecided", events.c.seq, sqlite_where=_undecided, postgresql_where=_undecided)
_astray = among(events.c.outcome, EventOutcome.MALFORMED, EventOutcome.FAILED)
Index("ix_events_astray", events.c.outcome, events.c.seq, sqlite_where=_astray, postgresql_where=_astray)

_named = events.c.rules_hash.is_not(None)
Index("ix_events_rules_hash", events.c.rules_hash, sqlite_where=_named, postgresql_where=_named)

incidents = Table(
    "incidents",
    metadata,
    Column("id", Text, primary_key=True),
    Column("destination", Text, nullable=False),
    Column("reporting", Text, nullable=False),
    Column("key", Text, nullable=False),
    Column("rule", Text, nullable=False),
    Column("rules_hash", Text, nullable=False, index=True),
    Column("severity", SmallInteger, nullable=False),
    Column("peak", SmallInteger, nullable=False),
    Column("opened_at", Instant, nullable=False),
    Column("closed_at", Instant),
    Column("service", Text, nullable=False),
    Column("resend", Text, nullable=False),
    Column("reopen_window", Span, nullable=False),
    Column("min_duration", Span, nullable=False),
    Column("reopen_until", Instant),
    Column("content", JSON, nullable=False),
    Column("inferred", Boolean, nullable=False),
    one_of("reporting", Reporting),
    one_of("resend", Resend),
)
# One key at one destination is one incident: the database itself refuses a second open one.
_open = incidents.c.closed_at.is_(None)
Index(
    "uq_incidents_open",
    incidents.c.destination,
    incidents.c.key,
    unique=True,
    sqlite_where=_open,
    postgresql_where=_open,
)
_reopenable = incidents.c.reopen_until.is_not(None)
Index(
    "ix_incidents_reopenable",
    incidents.c.destination,
    incidents.c.key,
    sqlite_where=_reopenable,
    postgresql_where=_reopenable,
)
Index("ix_incidents_key", incidents.c.key)
CLOSED = incidents.c.closed_at.is_not(None)
Index("ix_incidents_closed", incidents.c.closed_at, sqlite_where=CLOSED, postgresql_where=CLOSED)

members = Table(
    "members",
    metadata,
    Column("incident", Text, ForeignKey("incidents.id", ondelete="CASCADE"), primary_key=True),
    Column("source", Text, primary_key=True),
    Column("fingerprint", Text, primary_key=True),
    Column("firing", Boolean, nullable=False),
    Column("severity", SmallInteger, nullable=False),
    Column("starts_at", Instant, nullable=False),
    Column("ends_at", Instant),
    Column("last_seen", Instant, nullable=False),
    Column("inferred", Boolean, nullable=False),
)
Index("ix_members_alert", members.c.source, members.c.fingerprint)

# The incidents that a digest, itself an incident, stands for: told together, since too much was to be told.
digests = Table(
    "digests",
    metadata,
    Column("digest", Text, ForeignKey("incidents.id", ondelete="CASCADE"), primary_key=True),
    Column("incident", Text, ForeignKey("incidents.id", ondelete="CASCADE"), primary_key=True),
)
Index("ix_digests_incident", digests.c.incident)

alerts = Table(
    "alerts",
    metadata,
    Column("source", Text, primary_key=True),
    Column("fingerprint", Text, primary_key=True),
    Column("firing", Boolean, nullable=False),
    Column("starts_at", Instant, nullable=False),
    Column("ends_at", Instant),
    Column("last_seen", Instant, nullable=False),
    Column("by_hand", Boolean, nullable=False),  # an operator ended its last episode
)

QUIET = alerts.c.firing.is_(False)
Index("ix_alerts_quiet", alerts.c.last_seen, sqlite_where=QUIET, postgresql_where=QUIET)

doubts = Table(
    "doubts",
    metadata,
    Column("source", Text, primary_key=True),
    Column("fingerprint", Text, primary_key=True),
    Column("due_at", Instant, nullable=False),
    Column("alert", JSON, nullable=False),
    Column(
        "held_by", Text
    ),  # the silent heartbeat that a resolve is held for; null where a firing is doubted
)
Index("ix_doubts_due", doubts.c.due_at, doubts.c.source, doubts.c.fingerprint)
_held = doubts.c.held_by.is_not(None)
Index("ix_doubts_held_by", doubts.c.held_by, sqlite_where=_held, postgresql_where=_held)

deliveries = Table(
    "deliveries",
    metadata,
    Column("seq", _Sequence, primary_key=True, autoincrement=True),
    Column("id", Text, nullable=False, unique=True),
    Column("incident", Text, nullable=False, index=True),
    Column("destination", Text, nullable=False),
    Column("key", Text, nullable=False),
    Column("action", Text, nullable=False),
    Column("rules_hash", Text, nullable=False, index=True),
    Column("severity", SmallInteger, nullable=False),
    Column("state", Text, nullable=False),
    Column("payload", JSON, nullable=False),
    Column("missing", JSON, nullable=False),
    Column("repeats", Text),  # the delivery that is said again, where an attempt may have arrived late
    Column("attempts", Integer, nullable=False, server_default="0"),
    Column("next_attempt_at", Instant),
    Column("rank", Instant, nullable=False),  # who goes first, see `incidents/precedence.py`
    Column("ready", Boolean, nullable=False),  # its next_attempt_at has come, as far as was noticed
    Column("paused_for", Span, nullable=False, server_default="0"),
    Column("last_outcome", Text),
    Column("last_error", Text),
    Column("response", JSON),
    Column("reference", Text),
    Column("received_at", Instant, nullable=False),
    Column("created_at", Instant, nullable=False),
    Column("delivered_at", Instant),
    Column("settled_at", Instant),
    one_of("action", Action),
    one_of("state", DeliveryState),
    sqlite_autoincrement=True,
)
_later = and_(among(deliveries.c.state, DeliveryState.PENDING), ~deliveries.c.ready)
_ready = and_(among(deliveries.c.state, DeliveryState.PENDING), deliveries.c.ready)
_ahead = among(deliveries.c.state, DeliveryState.PENDING, DeliveryState.SENDING)
_alive = among(deliveries.c.state, *ALIVE_STATES)
Index(
    "ix_deliveries_due",
    deliveries.c.destination,
    deliveries.c.next_attempt_at,
    sqlite_where=_later,
    postgresql_where=_later,
)
Index(
    "ix_deliveries_ready",
    deliveries.c.destination,
    deliveries.c.rank,
    deliveries.c.seq,
    sqlite_where=_ready,
    postgresql_where=_ready,
)
Index(
    "ix_deliveries_line",
    deliveries.c.destination,
    deliveries.c.key,
    deliveries.c.seq,
    sqlite_where=_ahead,
    postgresql_where=_ahead,
)
Index(
    "ix_deliveries_alive",
    deliveries.c.destination,
    deliveries.c.state,
    deliveries.c.key,
    sqlite_where=_alive,
    postgresql_where=_alive,
)
_held_back = among(deliveries.c.state, DeliveryState.HELD)
Index(
    "ix_deliveries_held",
    deliveries.c.destination,
    deliveries.c.created_at,
    sqlite_where=_held_back,
    postgresql_where=_held_back,
)
Index("ix_deliveries_settled", deliveries.c.settled_at)
Index("ix_deliveries_key", deliveries.c.key)

attempts = Table(
    "attempts",
    metadata,
    Column(
        "seq", _Sequence, primary_key=True, autoincrement=True
    ),  # the order on a key, whatever the clock does
    Column("delivery", Text, ForeignKey("deliveries.id", ondelete="CASCADE"), nullable=False),
    Column("number", Integer, nullable=False),
    Column("destination", Text, nullable=False),
    Column("key", Text, nullable=False),
    Column("action", Text, nullable=False),
    Column("started_at", Instant, nullable=False),
    Column("finished_at", Instant),
    Column("outcome", Text),
    Column("status", Integer),
    Column("error", Text),
    UniqueConstraint("delivery", "number"),
    sqlite_autoincrement=True,
)
Index("ix_attempts_destination", attempts.c.destination, attempts.c.started_at)


def said(tried: FromClause) -> ColumnElement[bool]:
    """Whether the destination has heard an attempt, or may have: a server that breaks may have acted before.

    503 says that it did not. Partial indexes are declared with this and queries must ask with it.
    """
    broke = (
        tried.c.outcome == literal_column("'retry'"),
        tried.c.status >= literal_column("500"),
        tried.c.status != literal_column("503"),
    )
    return or_(among(tried.c.outcome, Heard.DELIVERED, Heard.AMBIGUOUS), and_(*broke))


SAID = said(attempts)
AMBIGUOUS = among(attempts.c.outcome, Heard.AMBIGUOUS)
Index(
    "ix_attempts_said",
    attempts.c.destination,
    attempts.c.key,
    attempts.c.seq,
    sqlite_where=SAID,
    postgresql_where=SAID,
)
Index(
    "ix_attempts_ambiguous",
    attempts.c.destination,
    attempts.c.key,
    attempts.c.seq,
    sqlite_where=AMBIGUOUS,
    postgresql_where=AMBIGUOUS,
)
_unfinished = attempts.c.finished_at.is_(None)
Index("ix_attempts_unfinished", attempts.c.delivery, sqlite_where=_unfinished, postgresql_where=_unfinished)

# Requests past the outbox: the rate limit counts them beside the attempts.
trials = Table(
    "trials",
    metadata,
    Column("seq", _Sequence, primary_key=True, autoincrement=True),
    Column("destination", Text, nullable=False),
    Column("started_at", Instant, nullable=False),
)
Index("ix_trials_destination", trials.c.destination, trials.c.started_at)

audit = Table(
    "audit",
    metadata,
    Column("seq", _Sequence, primary_key=True, autoincrement=True),
    Column("at", Instant, nullable=False, index=True),
    Column("who", Text, nullable=False),
    Column("action", Text, nullable=False),
    Column("incident", Text, index=True),
    Column("delivery", Text, index=True),
    Column("destination", Text),
    Column("detail", JSON, nullable=False),
    sqlite_autoincrement=True,
)

deployments = Table(
    "deployments",
    metadata,
    Column("seq", _Sequence, primary_key=True, autoincrement=True),
    Column("id", Text, nullable=False, unique=True),
    Column("environment", Text, nullable=False),
    Column("status", Text, nullable=False),
    Column("said_at", Instant, nullable=False),
    Column("service", Text, nullable=False),
    Column("repo_url", Text, nullable=False),
    Column("repo", Text, nullable=False),  # repo_url in lower case, to be found by
    Column("pr_number", Text, nullable=False),
    Column("commit_hash", Text, nullable=False),
    Column("branch", Text, nullable=False),
    Column("started_at", Instant),
    Column("finished_at", Instant),
    Column("told_at", Instant, nullable=False, index=True),
    Column("resolve_at", Instant),  # when a forge is to be asked for the pull request of its commit
    Column("resolve_attempts", Integer, nullable=False, server_default="0"),
    Column("resolve_error", Text),
    one_of("status", Status),
    sqlite_autoincrement=True,
)
Index("ix_deployments_service", deployments.c.service, deployments.c.finished_at)
Index("ix_deployments_repo", deployments.c.repo, deployments.c.finished_at)
Index("ix_deployments_commit", deployments.c.repo, deployments.c.commit_hash)
_unresolved = deployments.c.resolve_at.is_not(None)
Index(
    "ix_deployments_unresolved",
    deployments.c.resolve_at,
    sqlite_where=_unresolved,
    postgresql_where=_unresolved,
)

merges = Table(
    "merges",
    metadata,
    Column("repo", Text, primary_key=True),
    Column("commit_hash", Text, primary_key=True),
    Column("pr_number", Text, nullable=False),
    Column("merged_at", Instant, nullable=False, index=True),
)

# What decided: rows above name it by its hash. `seq` counts loads, and is that of the last one.
rule_sets = Table(
    "rule_sets",
    metadata,
    Column("hash", Text, primary_key=True),
    Column("seq", _Sequence, nullable=False, unique=True),
    Column("files", JSON, nullable=False),
    Column("parts", JSON, nullable=False),  # [{file, content}], without any secret
    Column("rules", Integer, nullable=False),
    Column("version", Text, nullable=False),
    Column("first_loaded_at", Instant, nullable=False),
    Column("last_loaded_at", Instant, nullable=False),
)

# What is kept of heartbeats over a restart; one is silent from `silent_since` until it is heard again.
heartbeats = Table(
    "heartbeats",
    metadata,
    Column("name", Text, primary_key=True),
    Column("last_beat", Instant),
    Column("silent_since", Instant),
)

# The alerts that beat, each as it was last heard.
beats = Table(
    "beats",
    metadata,
    Column("heartbeat", Text, primary_key=True),
    Column("source", Text, primary_key=True),
    Column("fingerprint", Text, primary_key=True),
    Column("firing", Boolean, nullable=False),
    Column("starts_at", Instant, nullable=False),
    Column("ends_at", Instant),
)

# The last silence of each heartbeat, as deciding knows it: it lasts until it is over.
silences = Table(
    "silences",
    metadata,
    Column("heartbeat", Text, primary_key=True),
    Column("since", Instant, nullable=False),
    Column("over", Instant),
)

pings = Table(
    "pings",
    metadata,
    Column("name", Text, primary_key=True),
    Column("called_at", Instant, nullable=False),
)

# Destinations that an operator has stopped.
stops = Table(
    "stops",
    metadata,
    Column("destination", Text, primary_key=True),
    Column("who", Text, nullable=False),
    Column("reason", Text, nullable=False),
    Column("since", Instant, nullable=False),
)

# How a destination stands, as far as that outlives a restart: see `standings.Kept`.
standings = Table(
    "standings",
    metadata,
    Column("destination", Text, primary_key=True),
    Column("reason", Text),
    Column("detail", Text),
    Column("since", Instant),
    Column("until", Instant),
    Column("rejected", JSON, nullable=False),
    Column("requests", Integer),
    Column("per", Span),
    Column("burst", Integer),
    Column("allowed", Integer),
    Column("taught_at", Instant),
)
