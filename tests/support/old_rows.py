"""Many rows of everything, as years of work would leave them: made by SQL, because that is quick."""

from __future__ import annotations

from sqlalchemy import Connection, text

from alertbridge.store.columns import to_microseconds
from tests.support.clock import NOON


def fill(connection: Connection, number: int) -> None:
    """Put `number` of each into the tables, finished at noon."""
    numbers = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < :number) "
    at = to_microseconds(NOON)
    statements = [
        (
            "INSERT INTO events (id, source, received_at, body, outcome) "
            f"{numbers} SELECT 'e' || i, 'prod', {at} + i, zeroblob(300), 'decided' FROM n"
        ),
        (
            "INSERT INTO alerts (source, fingerprint, firing, starts_at, last_seen, by_hand) "
            f"{numbers} SELECT 'prod', 'f' || i, 0, {at}, {at} + i, 0 FROM n"
        ),
        (
            "INSERT INTO incidents (id, destination, reporting, key, rule, rules_hash, severity, peak, opened_at, closed_at,"
            " service, resend, reopen_window, min_duration, content, inferred) "
            f"{numbers} SELECT 'i' || i, 'elven', 'lifecycle', 'k' || i, 'r', 'h', 1, 1, {at}, {at} + i,"
            " '', 'never', 0, 0, '{}', 0 FROM n"
        ),
        (
            "INSERT INTO deliveries (id, incident, destination, key, action, rules_hash, severity, state, payload, missing,"
            " received_at, created_at, settled_at, rank, ready) "
            f"{numbers} SELECT 'd' || i, 'i' || i, 'elven', 'k' || i, 'alarmed', 'h', 1, 'delivered', '{{}}', '[]',"
            f" {at}, {at}, {at} + i, {at}, 1 FROM n"
        ),
        (
            "INSERT INTO attempts (delivery, number, destination, key, action, started_at, finished_at, outcome) "
            f"{numbers} SELECT 'd' || i, 1, 'elven', 'k' || i, 'alarmed', {at}, {at}, 'delivered' FROM n"
        ),
        (
            "INSERT INTO members (incident, source, fingerprint, firing, severity, starts_at, ends_at, last_seen, inferred) "
            f"{numbers} SELECT 'i' || i, 'prod', 'f' || i, 0, 1, {at}, {at}, {at}, 0 FROM n"
        ),
        (
            "INSERT INTO deployments (id, environment, status, said_at, service, repo_url, repo, pr_number, commit_hash,"
            " branch, finished_at, told_at) "
            f"{numbers} SELECT 'p' || i, 'production', 'success', {at}, 's' || i, 'r', 'r' || i, '1', 'c' || i, 'main',"
            f" {at}, {at} + i FROM n"
        ),
        (
            "INSERT INTO merges (repo, commit_hash, pr_number, merged_at) "
            f"{numbers} SELECT 'r' || i, 'c' || i, '1', {at} + i FROM n"
        ),
        (
            "INSERT INTO audit (at, who, action, incident, delivery, destination, detail) "
            f"{numbers} SELECT {at} + i, 'admin', 'pause', 'i' || i, 'd' || i, 'elven', '{{}}' FROM n"
        ),
    ]
    for statement in statements:
        connection.execute(text(statement), {"number": number})
