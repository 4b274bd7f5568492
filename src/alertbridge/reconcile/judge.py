"""From what the peers say and what is believed to what is to be concluded. Pure, and it concludes only what all say.

An alert of an open incident that no peer lists any more, for `absent_for` without a break, has ended when it was first
found absent. One unknown peer breaks that time, for every alert: it may be the one that knows.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum

from alertbridge.incidents.beliefs import Beliefs, Believed
from alertbridge.model import instant
from alertbridge.reconcile.answer import Answer, Listed, Told

_META = re.compile(r"[\\.+*?()|\[\]{}^$]")


class Suppressed(StrEnum):
    """What a silenced or inhibited alert is to count as."""

    KEEP = "keep"  # firing
    RESOLVE = "resolve"  # ended


class Conclusion(StrEnum):
    """The kinds of what is concluded."""

    ABSENT = "absent"
    SUPPRESSED = "suppressed"
    OLD_NEWS = "old_news"
    STALE = "stale"
    ADOPTED = "adopted"


@dataclass(frozen=True, slots=True)
class LeftOut:
    """What a truncated notification tells of the alerts that it left out: whose they are, and their group."""

    receiver: str
    group: frozenset[tuple[str, str]] = frozenset()
    external_url: str = ""

    def covers(self, listed: Listed) -> bool:
        """Whether the alert may be one of them. A notification names its receiver as a pattern that stands for it."""
        mine = any(self.receiver in {name, _META.sub(r"\\\g<0>", name)} for name in listed.receivers)
        return mine and self.group <= listed.labels.items()


@dataclass(frozen=True, slots=True)
class End:
    """An alert is to be resolved as inferred; `believed` is what that rests on."""

    kind: Conclusion
    fingerprint: str
    starts_at: datetime
    ended_at: datetime
    reason: str
    believed: Believed | datetime


@dataclass(frozen=True, slots=True)
class Adoption:
    """An alert that a peer lists is to be taken for firing."""

    listed: Listed
    reason: str
    left_out: LeftOut = field(default_factory=lambda: LeftOut(""))


@dataclass(frozen=True, slots=True)
class Memory:
    """What one round leaves to the next: since when alerts are found absent, and what was adopted already."""

    absent: Mapping[str, datetime] = field(default_factory=dict)
    adopted: frozenset[tuple[str, datetime]] = frozenset()


@dataclass(frozen=True, slots=True)
class Judgement:
    """What is to be concluded, and what to remember. `whole` says whether every peer was heard."""

    ends: tuple[End, ...]
    adoptions: tuple[Adoption, ...]
    memory: Memory
    whole: bool


def active(answers: Sequence[Answer]) -> dict[str, tuple[str, Listed]]:
    """The alerts that are active on a peer that is known, each with the first peer that lists it so."""
    found: dict[str, tuple[str, Listed]] = {}
    for answer in answers:
        if isinstance(answer, Told):
            for listed in answer.alerts.values():
                if listed.active:
                    found.setdefault(listed.fingerprint, (answer.peer, listed))
    return found


def judge(
    answers: Sequence[Answer],
    beliefs: Beliefs,
    memory: Memory,
    *,
    now: datetime,
    absent_for: timedelta,
    suppressed: Suppressed = Suppressed.KEEP,
    left_out: Collection[LeftOut] = (),
) -> Judgement:
    """What follows from what the peers answered at `now`. `left_out` is what truncated notifications left out."""
    told = [answer for answer in answers if isinstance(answer, Told)]
    whole = bool(told) and len(told) == len(answers)
    ends: list[End] = []
    absent: dict[str, datetime] = {}
    if whole:
        where = "its peer" if len(told) == 1 else f"all {len(told)} peers"
        for believed in beliefs.open.values():
            listed = _listings(told, believed.fingerprint)
            if not listed:
                since = _since(believed, memory, now)
                absent[believed.fingerprint] = since
                if now - since >= absent_for:
                    ends.append(
                        _end(Conclusion.ABSENT, believed, since, f"absent on {where} since {_at(since)}")
                    )
            elif suppressed is Suppressed.RESOLVE and all(one.suppressed for one in listed):
                reason = f"silenced or inhibited, and active on no peer at {_at(now)}"
                ends.append(_end(Conclusion.SUPPRESSED, believed, now, reason))
        ends += [
            End(Conclusion.OLD_NEWS, name, end, end, f"old news, for absent on {where} at {_at(now)}", end)
            for name, end in beliefs.doubted.items()
            if not _listings(told, name)
        ]
    adoptions, adopted = _adopt(active(answers), beliefs, memory, left_out)
    if whole:
        adopted &= {(listed.fingerprint, listed.starts_at) for _, listed in active(answers).values()}
    return Judgement(tuple(ends), tuple(adoptions), Memory(absent, adopted), whole)


def confirmed(judgement: Judgement, beliefs: Beliefs, *, mentioned: Collection[str]) -> Judgement:
    """The same without what `beliefs`, read again, do not bear out any more, and without alerts that are `mentioned`.

    Those are named in events that wait to be decided: what they say is not known yet.
    """
    ends = tuple(
        end
        for end in judgement.ends
        if end.fingerprint not in mentioned
        and end.believed in {beliefs.open.get(end.fingerprint), beliefs.doubted.get(end.fingerprint)}
    )
    adoptions = tuple(
        one
        for one in judgement.adoptions
        if one.listed.fingerprint not in mentioned
        and one.listed.fingerprint not in beliefs.open
        and one.listed.fingerprint not in beliefs.firing
    )
    put_off = {(one.listed.fingerprint, one.listed.starts_at) for one in judgement.adoptions} - {
        (one.listed.fingerprint, one.listed.starts_at) for one in adoptions
    }
    memory = Memory(judgement.memory.absent, judgement.memory.adopted - put_off)
    return Judgement(ends, adoptions, memory, judgement.whole)


def _adopt(
    found: Mapping[str, tuple[str, Listed]], beliefs: Beliefs, memory: Memory, left_out: Collection[LeftOut]
) -> tuple[list[Adoption], frozenset[tuple[str, datetime]]]:
    """What is active and not believed to fire, where there is a reason to take it for ours."""
    adoptions: list[Adoption] = []
    adopted = set(memory.adopted)
    for name, (peer, listed) in found.items():
        if name in beliefs.open or name in beliefs.firing:
            continue
        if name in beliefs.doubted:
            adoptions.append(Adoption(listed, f"active on {peer}, so no old news"))
        elif name in beliefs.inferred:
            adoptions.append(Adoption(listed, f"active on {peer}, after its end was inferred"))
        elif (name, listed.starts_at) not in adopted:
            mine = next((one for one in left_out if one.covers(listed)), None)
            if mine is not None:
                reason = f"active on {peer}, left out of a truncated notification"
                adoptions.append(Adoption(listed, reason, mine))
                adopted.add((name, listed.starts_at))
    return adoptions, frozenset(adopted)


def _listings(told: Sequence[Told], fingerprint: str) -> list[Listed]:
    return [listed for one in told if (listed := one.alerts.get(fingerprint)) is not None]


def _since(believed: Believed, memory: Memory, now: datetime) -> datetime:
    """When it was first found absent; now, if it was heard of after that."""
    since = memory.absent.get(believed.fingerprint, now)
    return now if believed.last_seen > since else since


def _end(kind: Conclusion, believed: Believed, ended_at: datetime, reason: str) -> End:
    return End(kind, believed.fingerprint, believed.starts_at, ended_at, reason, believed)


def _at(moment: datetime) -> str:
    return instant(moment.replace(microsecond=0))
