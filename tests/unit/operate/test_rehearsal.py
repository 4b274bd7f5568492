from __future__ import annotations

from alertbridge.incidents.state import Changes, Effect, Incident, State, Verdict
from alertbridge.model import AlertId, Reporting, Severity
from alertbridge.operate.rehearsal import became
from tests.support.clock import NOON

ALERT = AlertId("prod", "f1")
INCIDENT = Incident(
    id="i1",
    destination="elven",
    reporting=Reporting.LIFECYCLE,
    key="k",
    rule="everything",
    rules_hash="abc",
    severity=Severity.HIGH,
    peak=Severity.HIGH,
    opened_at=NOON,
)


def test_an_alert_of_which_only_a_doubt_is_settled_is_told_with_a_reason() -> None:
    verdict = Verdict(ALERT, "firing", ("everything",), (("i1", Effect.REPEATED),))
    changes = Changes(doubts={ALERT: None}, verdicts=(verdict,))
    (told,) = became(changes, State(incidents=[INCIDENT]))
    assert isinstance(told, dict)
    assert told["effects"] == []
    assert told["note"] == "nothing new; what was doubted or held of it no longer is"


def test_an_alert_that_only_repeats_is_not_told() -> None:
    verdict = Verdict(ALERT, "firing", ("everything",), (("i1", Effect.REPEATED),))
    assert became(Changes(verdicts=(verdict,)), State(incidents=[INCIDENT])) == []
