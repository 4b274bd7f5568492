"""What the daemon counts, under the names that dashboards rely on.

One `Metrics` is made in `app.py` and handed to whoever counts; it has its own registry, so that tests and several
daemons in one process do not meet.
"""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

_ATTEMPT_BUCKETS = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)
_END_TO_END_BUCKETS = (0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 900, 3600, 21600, 86400)


class Metrics:
    """All metric families; the attribute is the name without the prefix `alertbridge_` and the unit's suffix."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()

        def counter(name: str, what: str, labels: tuple[str, ...]) -> Counter:
            return Counter(f"alertbridge_{name}", what, labels, registry=self.registry)

        def gauge(name: str, what: str, labels: tuple[str, ...] = ()) -> Gauge:
            return Gauge(f"alertbridge_{name}", what, labels, registry=self.registry)

        def histogram(name: str, what: str, labels: tuple[str, ...], buckets: tuple[float, ...]) -> Histogram:
            return Histogram(f"alertbridge_{name}", what, labels, buckets=buckets, registry=self.registry)

        self.events = counter("events", "Request bodies by what became of them.", ("source", "outcome"))
        self.alerts = counter("alerts", "Alerts heard, by status.", ("source", "status"))
        self.truncated_alerts = counter(
            "truncated_alerts", "Alerts that a source said it left out of a body.", ("source",)
        )
        self.deployments = counter(
            "deployments", "What was told of deployments, by what it said.", ("sender", "outcome")
        )
        self.resolutions = counter(
            "resolutions",
            "Questions to forges for a pull request, by what came of them.",
            ("forge", "outcome"),
        )
        self.rule_matches = counter("rule_matches", "Alerts matched, by rule.", ("rule",))
        self.template_failures = counter(
            "template_failures",
            "Fields that fell back to their default because a template failed.",
            ("rule", "field"),
        )
        self.deliveries = counter(
            "deliveries",
            "Attempts by what came of them; and, as dead, deliveries given up for their age.",
            ("destination", "action", "outcome"),
        )
        self.digested = counter(
            "digested", "Alarms that were folded into a digest, and not told by themselves.", ("destination",)
        )
        self.attempt_seconds = histogram(
            "attempt_seconds", "How long one attempt took.", ("destination",), _ATTEMPT_BUCKETS
        )
        self.end_to_end_seconds = histogram(
            "end_to_end_seconds",
            "From the receipt of the alert to its delivery.",
            ("destination",),
            _END_TO_END_BUCKETS,
        )
        self.incidents_open = gauge("incidents_open", "Incidents that are open.", ("destination",))
        self.outbox = gauge(
            "outbox",
            "Deliveries that wait, and those that need an operator, by state.",
            ("destination", "state"),
        )
        self.outbox_oldest_seconds = gauge(
            "outbox_oldest_seconds", "Age of the oldest delivery that waits to be sent.", ("destination",)
        )
        self.held = gauge("held", "Deliveries held, by what is missing.", ("destination", "missing"))
        self.destination_paused = gauge(
            "destination_paused",
            "1 while a destination is paused for this reason.",
            ("destination", "reason"),
        )
        self.rate_budget = gauge(
            "rate_budget", "Requests that may be sent at once within the rate limit.", ("destination",)
        )
        self.rate_limit = gauge(
            "rate_limit",
            "Requests in each window that the rate limit allows now: what is configured, or less after a 429.",
            ("destination",),
        )
        self.concurrency = gauge(
            "concurrency",
            "Requests that may be under way at once: what is configured, or less while they fail.",
            ("destination",),
        )
        self.heartbeat_beats = counter(
            "heartbeat_beats", "Firing alerts that were beats of a heartbeat.", ("heartbeat",)
        )
        self.heartbeat_silent = gauge(
            "heartbeat_silent", "1 while a heartbeat is silent, else 0.", ("heartbeat",)
        )
        self.resolves_held = gauge(
            "resolves_held", "Resolves that are held for the silence of a heartbeat.", ("heartbeat",)
        )
        self.heartbeat_last_seconds = gauge(
            "heartbeat_last_seconds", "How long ago a heartbeat was last heard.", ("heartbeat",)
        )
        self.pings = counter("pings", "Pings by what became of them.", ("ping", "outcome"))
        self.conclusions = counter(
            "conclusions",
            "Alerts of which something was concluded that no webhook has said, by what it was.",
            ("source", "conclusion"),
        )
        self.alerts_stale = gauge(
            "alerts_stale", "Alerts of open incidents not heard of for `expect_repeat`.", ("source",)
        )
        self.peer_up = gauge(
            "peer_up",
            "1 if the peer answered the last time it was asked, and its answer counts.",
            ("source", "peer"),
        )
        self.peer_last_told = gauge(
            "peer_last_told_timestamp_seconds",
            "When the peer last gave an answer that counts.",
            ("source", "peer"),
        )
        self.inbox = gauge("inbox", "Accepted request bodies that are not decided yet.")
        self.inbox_bytes = gauge("inbox_bytes", "Their size, and that of those being written.")
        self.refusing = gauge(
            "refusing", "1 while webhooks are answered with 503 for want of this, else 0.", ("reason",)
        )
        self.storage_bytes = gauge("storage_bytes", "Size of the files of the database.", ("file",))
        self.storage_free_bytes = gauge(
            "storage_free_bytes", "What is free on the filesystem of the database."
        )
        self.clock_ahead_seconds = gauge(
            "clock_ahead_seconds", "How far the daemon's clock is ahead of the machine's, which was set back."
        )
        self.config_last_reload_successful = gauge(
            "config_last_reload_successful", "1 if the last load of the configuration succeeded."
        )
        self.config_hash = gauge(
            "config_hash", "The first 48 bits, as a number, of the hash of what decides."
        )
