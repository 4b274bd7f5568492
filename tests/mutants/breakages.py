"""The breakages: what is done to the product, and the tests that must not stand for it."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Breakage:
    """One deliberate mistake: `old`, which stands once in `file`, becomes `new`."""

    name: str
    what: str
    file: str
    old: str
    new: str
    tests: tuple[str, ...]

    def applied(self, text: str) -> str:
        """The broken `text` of the file."""
        assert text.count(self.old) == 1, f"{self.name}: {self.file} has changed; say the breakage anew"
        return text.replace(self.old, self.new)


STORE = "src/alertbridge/store"
DELIVER = "src/alertbridge/deliver"
RECEIVE = "src/alertbridge/receive"
INCIDENTS = "src/alertbridge/incidents"

BREAKAGES = (
    # Nothing accepted is lost
    Breakage(
        "ack-before-commit",
        "a request is answered before its body is on disk",
        "src/alertbridge/app.py",
        "            await self._store.accept(event)\n",
        "            asyncio.ensure_future(self._store.accept(event))\n            await asyncio.sleep(0)\n",
        ("tests/integration/test_receive_commit.py", "tests/faults/test_kills.py"),
    ),
    Breakage(
        "ack-what-failed",
        "a request whose body could not be stored is answered as if it were",
        f"{RECEIVE}/routes.py",
        "raise not_stored(error) from error",
        "return acknowledgement(request, event)",
        ("tests/integration/test_receive_commit.py",),
    ),
    Breakage(
        "synchronous-normal",
        "commits are not synced",
        f"{STORE}/engine.py",
        '"synchronous=FULL"',
        '"synchronous=NORMAL"',
        ("tests/integration/test_store.py",),
    ),
    Breakage(
        "no-wal",
        "the database keeps a rollback journal",
        f"{STORE}/engine.py",
        '"journal_mode=WAL"',
        '"journal_mode=DELETE"',
        ("tests/integration/test_store.py",),
    ),
    Breakage(
        "no-lock",
        "two daemons may work on one database",
        f"{STORE}/engine.py",
        "fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)",
        "pass",
        ("tests/integration/test_store.py",),
    ),
    Breakage(
        "guilty-drags-others",
        "work that fails undoes what shared its transaction",
        f"{STORE}/writer.py",
        "if failure is None or len(asks) + bool(appends) == 1:",
        "if True:",
        ("tests/integration/test_store.py",),
    ),
    Breakage(
        "trust-a-broken-disk",
        "an I/O error does not end the process",
        f"{STORE}/engine.py",
        "    if code == sqlite3.SQLITE_IOERR:\n",
        "    if code == -1:\n",
        ("tests/integration/test_store.py", "tests/faults/test_io_errors.py"),
    ),
    Breakage(
        "mark-before-changes",
        "an event counts as decided although its changes were not stored",
        "src/alertbridge/pipeline.py",
        "        ledger.store(connection, merged(decision.changes for decision in decisions))\n",
        "",
        ("tests/integration/test_pipeline.py",),
    ),
    Breakage(
        "one-bad-event-stops-all",
        "an event that cannot be decided is tried for ever",
        "src/alertbridge/pipeline.py",
        "            if self._most > 1:\n                self._most = max(1, self._most // 4)\n",
        "            if self._most > 0:\n                self._most = max(1, self._most // 4)\n",
        ("tests/integration/test_pipeline.py",),
    ),
    # The right thing is said
    Breakage(
        "resolved-before-firing",
        "a body's resolved alerts are heard before its firing ones",
        f"{INCIDENTS}/decide.py",
        """        if item.alert.firing:
            draft.hear_firing(item)
    for item in heard:
        if not item.alert.firing:
            draft.hear_resolved(item)
""",
        """        if not item.alert.firing:
            draft.hear_resolved(item)
    for item in heard:
        if item.alert.firing:
            draft.hear_firing(item)
""",
        ("tests/unit/incidents",),
    ),
    Breakage(
        "old-resolve-closes",
        "an old resolve said again closes a newer episode",
        f"{INCIDENTS}/decide.py",
        "if (member.starts_at <= ended or alert.by_hand) and not self._hindsight.is_refreshed(member)",
        "if not self._hindsight.is_refreshed(member)",
        ("tests/unit/incidents",),
    ),
    Breakage(
        "no-doubt",
        "old news from a high-availability pair opens an incident again",
        f"{INCIDENTS}/decide.py",
        "return alert.starts_at <= known.ends_at and self._stale_window > timedelta(0)",
        "return False",
        ("tests/unit/incidents",),
    ),
    Breakage(
        "clear-no-doubt",
        "a resolve leaves the doubt that it settles",
        f"{INCIDENTS}/decide.py",
        "            return\n        self._clear_doubt(alert.id)\n        effects = []\n",
        "            return\n        effects = []\n",
        ("tests/unit/incidents",),
    ),
    # Receiving
    Breakage(
        "prefix-is-enough",
        "a token that merely begins right is let in",
        f"{RECEIVE}/authentication.py",
        "return given is not None and hmac.compare_digest(given, expected)",
        "return given is not None and given.startswith(expected[:4])",
        ("tests/unit/receive",),
    ),
    Breakage(
        "group-status",
        "the group's status is taken for an alert's",
        "src/alertbridge/sources/alertmanager.py",
        "alerts.append(_alert(entry, around))",
        'alerts.append(_alert({**entry, "status": document.get("status", entry.get("status"))}, around))',
        ("tests/unit/sources",),
    ),
    # It arrives, in order
    Breakage(
        "swallow-429",
        "a 429 is retried like any failure, and pauses nothing",
        "src/alertbridge/destinations/answers.py",
        'outcome = Paused("rate_limited", said, after or used_up(response))',
        "outcome = Retry(said)",
        ("tests/contract", "tests/integration/test_courier.py"),
    ),
    Breakage(
        "follow-redirects",
        "a redirect is followed with the token",
        f"{DELIVER}/transport.py",
        "allow_redirects=False",
        "allow_redirects=True",
        ("tests/integration/test_courier.py",),
    ),
    Breakage(
        "retry-what-is-refused",
        "what a destination refuses is sent for ever",
        f"{DELIVER}/retry.py",
        'settlement = Settlement(DeliveryState.DEAD, None, reason, "rejected")',
        'settlement = unsettled(reason, "rejected")',
        ("tests/unit/deliver",),
    ),
    Breakage(
        "no-jitter",
        "everything that failed together returns together",
        f"{DELIVER}/retry.py",
        "return max(SHORTEST_DELAY, span * random)",
        "return max(SHORTEST_DELAY, span)",
        ("tests/unit/deliver",),
    ),
    Breakage(
        "no-end-of-retries",
        "a message is retried however old it is",
        f"{DELIVER}/retry.py",
        "if age < max_age:",
        "if True:",
        ("tests/unit/deliver",),
    ),
    Breakage(
        "no-fence",
        "an attempt that was given up is settled all the same",
        f"{STORE}/dispatch.py",
        """            deliveries.c.state == DeliveryState.SENDING.value,
            deliveries.c.attempts == claimed.attempt,
""",
        "",
        ("tests/integration/test_outbox.py",),
    ),
    Breakage(
        "no-recovery",
        "what was being sent at a crash is never sent again",
        f"{STORE}/dispatch.py",
        """            state=DeliveryState.PENDING.value,
            next_attempt_at=now,
            last_outcome="ambiguous",
""",
        """            next_attempt_at=now,
            last_outcome="ambiguous",
""",
        ("tests/integration/test_outbox.py",),
    ),
    Breakage(
        "no-order",
        "a message overtakes another of its key",
        f"{STORE}/dispatch.py",
        "or_(ahead.c.seq < deliveries.c.seq, ",
        "or_(ahead.c.seq < 0, ",
        ("tests/integration/test_outbox.py",),
    ),
    Breakage(
        "no-precedence",
        "what waits goes by age alone, however severe something else is",
        f"{STORE}/dispatch.py",
        ".order_by(deliveries.c.rank, deliveries.c.seq)",
        ".order_by(deliveries.c.seq)",
        ("tests/integration/test_claims.py",),
    ),
    Breakage(
        "no-convergence",
        "every old episode of a key is told",
        f"{STORE}/lines.py",
        "            dropped += left_out\n            turns |= _turns(line, left_out)\n",
        "            del left_out\n",
        ("tests/integration/test_lines.py",),
    ),
    Breakage(
        "no-landing-time",
        "the opposite does not wait for a request without an answer",
        f"{STORE}/spacing.py",
        "    if landing_time:\n",
        "    if landing_time and now is None:\n",
        ("tests/integration/test_lines.py",),
    ),
    Breakage(
        "repeats-multiply",
        "what was said once more is said once more again",
        f"{STORE}/repeats.py",
        "        if row.repeats is not None:\n            return False\n",
        "",
        ("tests/integration/test_lines.py",),
    ),
    Breakage(
        "one-too-many",
        "the rate limit lets one request more through",
        f"{DELIVER}/budget.py",
        "room = limit.requests - sum(",
        "room = limit.requests + 1 - sum(",
        ("tests/unit/deliver/test_budget.py",),
    ),
    Breakage(
        "budget-forgets",
        "a restart gives a new budget",
        f"{DELIVER}/allowance.py",
        "on_disk = dispatch.recent_starts(connection, self._destination, since=since)",
        "on_disk = self._left",
        ("tests/integration/test_courier.py", "tests/integration/test_standings.py"),
    ),
    Breakage(
        "clock-forward-is-budget",
        "a clock set forward gives a new budget",
        f"{DELIVER}/allowance.py",
        "self._left = [moment + missed for moment in self._left]",
        "self._left = list(self._left)",
        ("tests/integration/test_courier.py",),
    ),
    Breakage(
        "pause-forgotten",
        "a restart sends before a Retry-After has run out",
        f"{DELIVER}/courier.py",
        "        if self.remembers:\n",
        "        if not self.name:\n",
        ("tests/integration/test_standings.py",),
    ),
    Breakage(
        "wait-for-years",
        "an absurd Retry-After stops a destination for good",
        "src/alertbridge/destinations/quota.py",
        "return timedelta(seconds=min(max(float(written), 0.0), LONGEST_WAIT.total_seconds()))",
        "return timedelta(seconds=max(float(written), 0.0))",
        ("tests/unit/destinations", "tests/contract"),
    ),
    Breakage(
        "breaker-never-opens",
        "a destination that is down is tried with everything that waits",
        f"{DELIVER}/breaker.py",
        "if not failure or failed < tripping.failures or 2 * failed < tried:",
        "if tried:",
        ("tests/unit/deliver/test_breaker.py",),
    ),
    Breakage(
        "paused-time-ages",
        "time that a destination was paused counts to a message's age",
        f"{DELIVER}/courier.py",
        "    paused = claim.paused_for\n",
        "    paused = timedelta(0)\n",
        ("tests/integration/test_courier.py",),
    ),
    Breakage(
        "held-is-sent",
        "a record that lacks a required field is sent without it",
        f"{DELIVER}/posting.py",
        "        if composed.missing:\n",
        "        if composed.missing == ():\n",
        ("tests/integration/test_pipeline.py", "tests/integration/test_actions.py"),
    ),
    # Room, time, silence, what is inferred
    Breakage(
        "no-watermark",
        "webhooks are taken until nothing fits any more",
        f"{RECEIVE}/intake.py",
        "        short = self._look()\n        if short:\n",
        "        short = self._look()\n        if not short and self._limits is None:\n",
        ("tests/integration/test_overload.py", "tests/unit/receive"),
    ),
    Breakage(
        "forget-what-is-open",
        "retention deletes what open incidents need",
        f"{STORE}/retention.py",
        "still_open = exists().where(incidents.c.id == deliveries.c.incident, incidents.c.closed_at.is_(None))",
        "still_open = exists().where(incidents.c.id == deliveries.c.incident, incidents.c.id.is_(None))",
        ("tests/integration/test_retention.py",),
    ),
    Breakage(
        "time-goes-back",
        "a clock that is set back makes everything wait a second time",
        "src/alertbridge/clock.py",
        "                self._go_on_slowly()\n",
        "                self._told = wall\n",
        ("tests/unit/test_clock.py",),
    ),
    Breakage(
        "believe-the-dying",
        "what resolves while its heartbeat is silent counts at once",
        f"{INCIDENTS}/decide.py",
        "if leaving and heard.hold is not None and not alert.by_hand:",
        "if leaving and heard.hold is None and alert.by_hand and heard.doubted:",
        ("tests/integration/test_held_resolves.py",),
    ),
    Breakage(
        "silence-is-consent",
        "a peer that does not answer bears out what the others say",
        "src/alertbridge/reconcile/judge.py",
        "whole = bool(told) and len(told) == len(answers)",
        "whole = bool(told)",
        ("tests/unit/reconcile", "tests/integration/test_reconcile.py"),
    ),
    Breakage(
        "blame-what-came-later",
        "a record is laid to a deployment that finished after the incident opened",
        "src/alertbridge/deployments/choose.py",
        "timedelta(0) < sought.opened_at - finished <= policy.max_age",
        "sought.opened_at - finished <= policy.max_age",
        ("tests/unit/deployments",),
    ),
    # Nothing leaks, and everything done by hand is known
    Breakage(
        "secrets-in-the-log",
        "log lines are written as they come",
        "src/alertbridge/operate/logs.py",
        "return clean(str(render(logger, method, event)))",
        "return str(render(logger, method, event))",
        ("tests/unit/operate",),
    ),
    Breakage(
        "echoed-secrets",
        "what a vendor echoes is kept as it came",
        f"{DELIVER}/courier.py",
        '"body": self._clean(body)[:_KEPT_ANSWER]',
        '"body": body[:_KEPT_ANSWER]',
        ("tests/integration/test_courier.py",),
    ),
    Breakage(
        "undo-something-newer",
        "a dead message is sent again although something newer was delivered on its key",
        f"{STORE}/amend.py",
        "if state is DeliveryState.DEAD and not force and _newer(connection, row, *_MOVED_ON):",
        "if state is DeliveryState.DEAD and not force and row is None:",
        ("tests/integration/test_actions.py", "tests/integration/test_bulk.py"),
    ),
    Breakage(
        "lie-left-behind",
        "a resolved is given up before the alarm that it would close",
        f"{STORE}/amend.py",
        "if waits is not None and waits.action == Action.ALARMED.value:",
        "if waits is not None and row is None:",
        ("tests/integration/test_actions.py",),
    ),
    Breakage(
        "beside-what-flies",
        "something older is sent while something newer of its key is under way",
        f"{STORE}/dispatch.py",
        ", among(ahead.c.state, DeliveryState.SENDING)),\n",
        ", ahead.c.seq < 0),\n",
        ("tests/integration/test_outbox.py",),
    ),
)
