"""first schema

Revision: 0001.
"""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "alerts",
        sa.Column("source", sa.Text(), nullable=False),
        sa.Column("fingerprint", sa.Text(), nullable=False),
        sa.Column("firing", sa.Boolean(), nullable=False),
        sa.Column("starts_at", sa.BigInteger(), nullable=False),
        sa.Column("ends_at", sa.BigInteger(), nullable=True),
        sa.Column("last_seen", sa.BigInteger(), nullable=False),
        sa.Column("by_hand", sa.Boolean(), nullable=False),
        sa.PrimaryKeyConstraint("source", "fingerprint", name=op.f("pk_alerts")),
    )
    with op.batch_alter_table("alerts", schema=None) as batch_op:
        batch_op.create_index(
            "ix_alerts_quiet",
            ["last_seen"],
            unique=False,
            sqlite_where=sa.text("firing IS 0"),
            postgresql_where=sa.text("firing IS false"),
        )
    op.create_table(
        "audit",
        sa.Column(
            "seq",
            sa.BigInteger().with_variant(sa.Integer(), "sqlite"),
            autoincrement=True,
            nullable=False,
        ),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("who", sa.Text(), nullable=False),
        sa.Column("action", sa.Text(), nullable=False),
        sa.Column("incident", sa.Text(), nullable=True),
        sa.Column("delivery", sa.Text(), nullable=True),
        sa.Column("destination", sa.Text(), nullable=True),
        sa.Column("detail", sa.JSON(), nullable=False),
        sa.PrimaryKeyConstraint("seq", name=op.f("pk_audit")),
        sqlite_autoincrement=True,
    )
    with op.batch_alter_table("audit", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_audit_at"), ["at"], unique=False)
        batch_op.create_index(batch_op.f("ix_audit_delivery"), ["delivery"], unique=False)
        batch_op.create_index(batch_op.f("ix_audit_incident"), ["incident"], unique=False)

    op.create_table(
        "beats",
        sa.Column("heartbeat", sa.Text(), nullable=False),
        sa.Column("source", sa.Text(), nullable=False),
        sa.Column("fingerprint", sa.Text(), nullable=False),
        sa.Column("firing", sa.Boolean(), nullable=False),
        sa.Column("starts_at", sa.BigInteger(), nullable=False),
        sa.Column("ends_at", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("heartbeat", "source", "fingerprint", name=op.f("pk_beats")),
    )
    op.create_table(
        "silences",
        sa.Column("heartbeat", sa.Text(), nullable=False),
        sa.Column("since", sa.BigInteger(), nullable=False),
        sa.Column("over", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("heartbeat", name=op.f("pk_silences")),
    )
    op.create_table(
        "deliveries",
        sa.Column(
            "seq", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=True, nullable=False
        ),
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("incident", sa.Text(), nullable=False),
        sa.Column("destination", sa.Text(), nullable=False),
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("action", sa.Text(), nullable=False),
        sa.Column("rules_hash", sa.Text(), nullable=False),
        sa.Column("severity", sa.SmallInteger(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("payload", sa.JSON(), nullable=False),
        sa.Column("missing", sa.JSON(), nullable=False),
        sa.Column("repeats", sa.Text(), nullable=True),
        sa.Column("attempts", sa.Integer(), server_default="0", nullable=False),
        sa.Column("next_attempt_at", sa.BigInteger(), nullable=True),
        sa.Column("rank", sa.BigInteger(), nullable=False),
        sa.Column("ready", sa.Boolean(), nullable=False),
        sa.Column("paused_for", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("last_outcome", sa.Text(), nullable=True),
        sa.Column("last_error", sa.Text(), nullable=True),
        sa.Column("response", sa.JSON(), nullable=True),
        sa.Column("reference", sa.Text(), nullable=True),
        sa.Column("received_at", sa.BigInteger(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("delivered_at", sa.BigInteger(), nullable=True),
        sa.Column("settled_at", sa.BigInteger(), nullable=True),
        sa.CheckConstraint(
            "action IN ('alarmed', 'resolved', 'record', 'deployment')", name=op.f("ck_deliveries_action")
        ),
        sa.CheckConstraint(
            "state IN ('held', 'pending', 'sending', 'delivered', 'superseded', 'skipped', 'dead', 'discarded')",
            name=op.f("ck_deliveries_state"),
        ),
        sa.PrimaryKeyConstraint("seq", name=op.f("pk_deliveries")),
        sa.UniqueConstraint("id", name=op.f("uq_deliveries_id")),
        sqlite_autoincrement=True,
    )
    with op.batch_alter_table("deliveries", schema=None) as batch_op:
        batch_op.create_index(
            "ix_deliveries_alive",
            ["destination", "state", "key"],
            unique=False,
            sqlite_where=sa.text("state IN ('held', 'pending', 'sending', 'dead')"),
            postgresql_where=sa.text("state IN ('held', 'pending', 'sending', 'dead')"),
        )
        batch_op.create_index(
            "ix_deliveries_due",
            ["destination", "next_attempt_at"],
            unique=False,
            sqlite_where=sa.text("state IN ('pending') AND ready = 0"),
            postgresql_where=sa.text("state IN ('pending') AND NOT ready"),
        )
        batch_op.create_index(
            "ix_deliveries_held",
            ["destination", "created_at"],
            unique=False,
            sqlite_where=sa.text("state IN ('held')"),
            postgresql_where=sa.text("state IN ('held')"),
        )
        batch_op.create_index(
            "ix_deliveries_ready",
            ["destination", "rank", "seq"],
            unique=False,
            sqlite_where=sa.text("state IN ('pending') AND ready = 1"),
            postgresql_where=sa.text("state IN ('pending') AND ready"),
        )
        batch_op.create_index(batch_op.f("ix_deliveries_incident"), ["incident"], unique=False)
        batch_op.create_index("ix_deliveries_key", ["key"], unique=False)
        batch_op.create_index(
            "ix_deliveries_line",
            ["destination", "key", "seq"],
            unique=False,
            sqlite_where=sa.text("state IN ('pending', 'sending')"),
            postgresql_where=sa.text("state IN ('pending', 'sending')"),
        )
        batch_op.create_index(batch_op.f("ix_deliveries_rules_hash"), ["rules_hash"], unique=False)
        batch_op.create_index("ix_deliveries_settled", ["settled_at"], unique=False)

    op.create_table(
        "doubts",
        sa.Column("source", sa.Text(), nullable=False),
        sa.Column("fingerprint", sa.Text(), nullable=False),
        sa.Column("due_at", sa.BigInteger(), nullable=False),
        sa.Column("alert", sa.JSON(), nullable=False),
        sa.Column("held_by", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("source", "fingerprint", name=op.f("pk_doubts")),
    )
    with op.batch_alter_table("doubts", schema=None) as batch_op:
        batch_op.create_index("ix_doubts_due", ["due_at", "source", "fingerprint"], unique=False)
        batch_op.create_index(
            "ix_doubts_held_by",
            ["held_by"],
            unique=False,
            sqlite_where=sa.text("held_by IS NOT NULL"),
            postgresql_where=sa.text("held_by IS NOT NULL"),
        )

    op.create_table(
        "events",
        sa.Column(
            "seq", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=True, nullable=False
        ),
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("source", sa.Text(), nullable=False),
        sa.Column("received_at", sa.BigInteger(), nullable=False),
        sa.Column("body", sa.LargeBinary(), nullable=False),
        sa.Column("outcome", sa.Text(), nullable=False),
        sa.Column("decided_at", sa.BigInteger(), nullable=True),
        sa.Column("rules_hash", sa.Text(), nullable=True),
        sa.Column("truncated", sa.Integer(), server_default="0", nullable=False),
        sa.Column("alerts", sa.JSON(), nullable=True),
        sa.Column("error", sa.Text(), nullable=True),
        sa.Column("inferred", sa.Text(), nullable=True),
        sa.Column("adopted", sa.Text(), nullable=True),
        sa.Column("by_hand", sa.Text(), nullable=True),
        sa.Column("replay_of", sa.Text(), nullable=True),
        sa.CheckConstraint(
            "outcome IN ('received', 'decided', 'malformed', 'failed')", name=op.f("ck_events_outcome")
        ),
        sa.PrimaryKeyConstraint("seq", name=op.f("pk_events")),
        sa.UniqueConstraint("id", name=op.f("uq_events_id")),
        sqlite_autoincrement=True,
    )
    with op.batch_alter_table("events", schema=None) as batch_op:
        batch_op.create_index(
            "ix_events_astray",
            ["outcome", "seq"],
            unique=False,
            sqlite_where=sa.text("outcome IN ('malformed', 'failed')"),
            postgresql_where=sa.text("outcome IN ('malformed', 'failed')"),
        )
        batch_op.create_index(batch_op.f("ix_events_received_at"), ["received_at"], unique=False)
        batch_op.create_index(
            "ix_events_rules_hash",
            ["rules_hash"],
            unique=False,
            sqlite_where=sa.text("rules_hash IS NOT NULL"),
            postgresql_where=sa.text("rules_hash IS NOT NULL"),
        )
        batch_op.create_index(
            "ix_events_undecided",
            ["seq"],
            unique=False,
            sqlite_where=sa.text("outcome IN ('received')"),
            postgresql_where=sa.text("outcome IN ('received')"),
        )

    op.create_table(
        "heartbeats",
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("last_beat", sa.BigInteger(), nullable=True),
        sa.Column("silent_since", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_heartbeats")),
    )
    op.create_table(
        "incidents",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("destination", sa.Text(), nullable=False),
        sa.Column("reporting", sa.Text(), nullable=False),
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("rule", sa.Text(), nullable=False),
        sa.Column("rules_hash", sa.Text(), nullable=False),
        sa.Column("severity", sa.SmallInteger(), nullable=False),
        sa.Column("peak", sa.SmallInteger(), nullable=False),
        sa.Column("opened_at", sa.BigInteger(), nullable=False),
        sa.Column("closed_at", sa.BigInteger(), nullable=True),
        sa.Column("service", sa.Text(), nullable=False),
        sa.Column("resend", sa.Text(), nullable=False),
        sa.Column("reopen_window", sa.BigInteger(), nullable=False),
        sa.Column("min_duration", sa.BigInteger(), nullable=False),
        sa.Column("reopen_until", sa.BigInteger(), nullable=True),
        sa.Column("content", sa.JSON(), nullable=False),
        sa.Column("inferred", sa.Boolean(), nullable=False),
        sa.CheckConstraint("reporting IN ('lifecycle', 'record')", name=op.f("ck_incidents_reporting")),
        sa.CheckConstraint("resend IN ('never', 'severity', 'change')", name=op.f("ck_incidents_resend")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_incidents")),
    )
    with op.batch_alter_table("incidents", schema=None) as batch_op:
        batch_op.create_index("ix_incidents_key", ["key"], unique=False)
        batch_op.create_index(
            "ix_incidents_closed",
            ["closed_at"],
            unique=False,
            sqlite_where=sa.text("closed_at IS NOT NULL"),
            postgresql_where=sa.text("closed_at IS NOT NULL"),
        )
        batch_op.create_index(
            "ix_incidents_reopenable",
            ["destination", "key"],
            unique=False,
            sqlite_where=sa.text("reopen_until IS NOT NULL"),
            postgresql_where=sa.text("reopen_until IS NOT NULL"),
        )
        batch_op.create_index(batch_op.f("ix_incidents_rules_hash"), ["rules_hash"], unique=False)
        batch_op.create_index(
            "uq_incidents_open",
            ["destination", "key"],
            unique=True,
            sqlite_where=sa.text("closed_at IS NULL"),
            postgresql_where=sa.text("closed_at IS NULL"),
        )

    op.create_table(
        "pings",
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("called_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_pings")),
    )
    op.create_table(
        "rule_sets",
        sa.Column("hash", sa.Text(), nullable=False),
        sa.Column("seq", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("files", sa.JSON(), nullable=False),
        sa.Column("parts", sa.JSON(), nullable=False),
        sa.Column("rules", sa.Integer(), nullable=False),
        sa.Column("version", sa.Text(), nullable=False),
        sa.Column("first_loaded_at", sa.BigInteger(), nullable=False),
        sa.Column("last_loaded_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("hash", name=op.f("pk_rule_sets")),
        sa.UniqueConstraint("seq", name=op.f("uq_rule_sets_seq")),
    )
    op.create_table(
        "stops",
        sa.Column("destination", sa.Text(), nullable=False),
        sa.Column("who", sa.Text(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("since", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("destination", name=op.f("pk_stops")),
    )
    op.create_table(
        "trials",
        sa.Column(
            "seq",
            sa.BigInteger().with_variant(sa.Integer(), "sqlite"),
            autoincrement=True,
            nullable=False,
        ),
        sa.Column("destination", sa.Text(), nullable=False),
        sa.Column("started_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("seq", name=op.f("pk_trials")),
    )
    with op.batch_alter_table("trials", schema=None) as batch_op:
        batch_op.create_index("ix_trials_destination", ["destination", "started_at"], unique=False)

    op.create_table(
        "standings",
        sa.Column("destination", sa.Text(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=True),
        sa.Column("detail", sa.Text(), nullable=True),
        sa.Column("since", sa.BigInteger(), nullable=True),
        sa.Column("until", sa.BigInteger(), nullable=True),
        sa.Column("rejected", sa.JSON(), nullable=False),
        sa.Column("requests", sa.Integer(), nullable=True),
        sa.Column("per", sa.BigInteger(), nullable=True),
        sa.Column("burst", sa.Integer(), nullable=True),
        sa.Column("allowed", sa.Integer(), nullable=True),
        sa.Column("taught_at", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("destination", name=op.f("pk_standings")),
    )
    op.create_table(
        "attempts",
        sa.Column(
            "seq", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=True, nullable=False
        ),
        sa.Column("delivery", sa.Text(), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("destination", sa.Text(), nullable=False),
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("action", sa.Text(), nullable=False),
        sa.Column("started_at", sa.BigInteger(), nullable=False),
        sa.Column("finished_at", sa.BigInteger(), nullable=True),
        sa.Column("outcome", sa.Text(), nullable=True),
        sa.Column("status", sa.Integer(), nullable=True),
        sa.Column("error", sa.Text(), nullable=True),
        sa.ForeignKeyConstraint(
            ["delivery"], ["deliveries.id"], name=op.f("fk_attempts_delivery"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("seq", name=op.f("pk_attempts")),
        sa.UniqueConstraint("delivery", "number", name=op.f("uq_attempts_delivery_number")),
        sqlite_autoincrement=True,
    )
    with op.batch_alter_table("attempts", schema=None) as batch_op:
        batch_op.create_index("ix_attempts_destination", ["destination", "started_at"], unique=False)
        broke = "outcome = 'retry' AND status >= 500 AND status != 503"
        for name, which in (
            ("said", f"outcome IN ('delivered', 'ambiguous') OR {broke}"),
            ("ambiguous", "outcome IN ('ambiguous')"),
        ):
            batch_op.create_index(
                f"ix_attempts_{name}",
                ["destination", "key", "seq"],
                unique=False,
                sqlite_where=sa.text(which),
                postgresql_where=sa.text(which),
            )
        batch_op.create_index(
            "ix_attempts_unfinished",
            ["delivery"],
            unique=False,
            sqlite_where=sa.text("finished_at IS NULL"),
            postgresql_where=sa.text("finished_at IS NULL"),
        )

    _members()
    _deployments()


def _members() -> None:
    op.create_table(
        "members",
        sa.Column("incident", sa.Text(), nullable=False),
        sa.Column("source", sa.Text(), nullable=False),
        sa.Column("fingerprint", sa.Text(), nullable=False),
        sa.Column("firing", sa.Boolean(), nullable=False),
        sa.Column("severity", sa.SmallInteger(), nullable=False),
        sa.Column("starts_at", sa.BigInteger(), nullable=False),
        sa.Column("ends_at", sa.BigInteger(), nullable=True),
        sa.Column("last_seen", sa.BigInteger(), nullable=False),
        sa.Column("inferred", sa.Boolean(), nullable=False),
        sa.ForeignKeyConstraint(
            ["incident"], ["incidents.id"], name=op.f("fk_members_incident"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("incident", "source", "fingerprint", name=op.f("pk_members")),
    )
    with op.batch_alter_table("members", schema=None) as batch_op:
        batch_op.create_index("ix_members_alert", ["source", "fingerprint"], unique=False)

    op.create_table(
        "digests",
        sa.Column("digest", sa.Text(), nullable=False),
        sa.Column("incident", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(
            ["digest"], ["incidents.id"], name=op.f("fk_digests_digest"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["incident"], ["incidents.id"], name=op.f("fk_digests_incident"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("digest", "incident", name=op.f("pk_digests")),
    )
    with op.batch_alter_table("digests", schema=None) as batch_op:
        batch_op.create_index("ix_digests_incident", ["incident"], unique=False)


def _deployments() -> None:
    op.create_table(
        "deployments",
        sa.Column(
            "seq",
            sa.BigInteger().with_variant(sa.Integer(), "sqlite"),
            autoincrement=True,
            nullable=False,
        ),
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("environment", sa.Text(), nullable=False),
        sa.Column("status", sa.Text(), nullable=False),
        sa.Column("said_at", sa.BigInteger(), nullable=False),
        sa.Column("service", sa.Text(), nullable=False),
        sa.Column("repo_url", sa.Text(), nullable=False),
        sa.Column("repo", sa.Text(), nullable=False),
        sa.Column("pr_number", sa.Text(), nullable=False),
        sa.Column("commit_hash", sa.Text(), nullable=False),
        sa.Column("branch", sa.Text(), nullable=False),
        sa.Column("started_at", sa.BigInteger(), nullable=True),
        sa.Column("finished_at", sa.BigInteger(), nullable=True),
        sa.Column("told_at", sa.BigInteger(), nullable=False),
        sa.Column("resolve_at", sa.BigInteger(), nullable=True),
        sa.Column("resolve_attempts", sa.Integer(), server_default="0", nullable=False),
        sa.Column("resolve_error", sa.Text(), nullable=True),
        sa.CheckConstraint(
            "status IN ('started', 'success', 'failed', 'canceled')", name=op.f("ck_deployments_status")
        ),
        sa.PrimaryKeyConstraint("seq", name=op.f("pk_deployments")),
        sa.UniqueConstraint("id", name=op.f("uq_deployments_id")),
        sqlite_autoincrement=True,
    )
    with op.batch_alter_table("deployments", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_deployments_told_at"), ["told_at"], unique=False)
        batch_op.create_index("ix_deployments_service", ["service", "finished_at"], unique=False)
        batch_op.create_index("ix_deployments_repo", ["repo", "finished_at"], unique=False)
        batch_op.create_index("ix_deployments_commit", ["repo", "commit_hash"], unique=False)
        batch_op.create_index(
            "ix_deployments_unresolved",
            ["resolve_at"],
            unique=False,
            sqlite_where=sa.text("resolve_at IS NOT NULL"),
            postgresql_where=sa.text("resolve_at IS NOT NULL"),
        )

    op.create_table(
        "merges",
        sa.Column("repo", sa.Text(), nullable=False),
        sa.Column("commit_hash", sa.Text(), nullable=False),
        sa.Column("pr_number", sa.Text(), nullable=False),
        sa.Column("merged_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("repo", "commit_hash", name=op.f("pk_merges")),
    )
    with op.batch_alter_table("merges", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_merges_merged_at"), ["merged_at"], unique=False)
