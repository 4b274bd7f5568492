"""What of the waiting messages of one key is still worth saying: the fewest that make the last state true. Pure.

A destination that is told of the whole life of an incident is level-triggered per key: what counts is that the last
state it hears is the true one. So of what waits there remain at most three messages, in the order they came in:

    resolved    of whatever may be open there that is not open any more
    alarmed     of the last incident, if that was not said already
    resolved    of the last incident, if it is over
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from alertbridge.model import Action


@dataclass(frozen=True, slots=True)
class Word:
    """What a message says: `content` is all of it, as it is sent."""

    action: Action
    incident: str
    content: str


@dataclass(frozen=True, slots=True)
class Said:
    """The last word that certainly arrived, None if there is none, and what may have arrived after it, in order."""

    certain: Word | None = None
    perhaps: tuple[Word, ...] = ()

    @property
    def open(self) -> frozenset[str]:
        """The incidents that the destination may believe to be open."""
        words = (self.certain, *self.perhaps)
        return frozenset(word.incident for word in words if word and word.action is Action.ALARMED)


@dataclass(frozen=True, slots=True)
class Unsent:
    """A message that waits.

    `blind` is the resolve of what alertbridge never announced; `again` repeats what was said, since an attempt before
    that may have arrived late.
    """

    id: str
    word: Word
    blind: bool = False
    again: bool = False

    @property
    def alarms(self) -> bool:
        """Whether it says that an incident is open."""
        return self.word.action is Action.ALARMED


@dataclass(frozen=True, slots=True)
class Dropped:
    """A message that is not worth saying any more, and why; `by` is what is said instead, if anything is.

    `skipped` if it never will be, because the destination asked for that.
    """

    id: str
    reason: str
    by: str | None = None
    skipped: bool = False


_COLLAPSED = "the incident was over before this was sent (collapse: true)"
_TOLD = "superseded: the destination has been told exactly this"
_NEVER_TOLD = "superseded: there is nothing to close, the destination was not told that it is open"


def reduce(said: Said, unsent: Sequence[Unsent], *, collapse: bool) -> tuple[Dropped, ...]:
    """What of `unsent`, the waiting messages of one key in order, need not be said; the rest is to be said in order.

    With `collapse` an incident that was over before its alarm arrived is not told at all.
    """
    fresh = [one for one in unsent if not one.again]
    if fresh:
        kept, otherwise = _worth_saying(said, fresh, collapse=collapse)
    else:
        kept, otherwise = list(unsent[-1:]), _TOLD
    unheard = otherwise is _COLLAPSED and fresh[-1] not in kept
    dropped = []
    for place, one in enumerate(unsent):
        if one in kept:
            continue
        if unheard and one.word.incident == fresh[-1].word.incident:
            dropped.append(Dropped(one.id, _COLLAPSED, skipped=True))
        elif (by := _successor(unsent, place, kept)) is not None:
            reason = f"superseded by {by.word.action} {by.id} of incident {by.word.incident}"
            dropped.append(Dropped(one.id, reason, by.id))
        else:
            dropped.append(Dropped(one.id, _NEVER_TOLD if otherwise is _COLLAPSED else otherwise))
    return tuple(dropped)


def contradicts(late: Word, last: Word) -> bool:
    """Whether the destination would be left with something else than `last` if `late` arrived after it."""
    return late.action is not last.action or (late.action is Action.ALARMED and late.content != last.content)


def _worth_saying(said: Said, unsent: Sequence[Unsent], *, collapse: bool) -> tuple[list[Unsent], str]:
    """What is kept, in order, and why the rest is not where nothing that is kept takes its place."""
    last = unsent[-1]
    if last.blind and (known := _without_blind_end(unsent)):
        kept, otherwise = _worth_saying(said, known, collapse=collapse)
        sure = said.open or any(one.blind for one in kept)
        return (kept if sure else [*kept, last]), otherwise
    if last.alarms:
        if said.certain is not None and all(word == last.word for word in (said.certain, *said.perhaps)):
            return [], _TOLD
        return [*_closing(unsent, said, stays=last.word.incident), last], _TOLD
    mine = [one for one in unsent if one.alarms and one.word.incident == last.word.incident]
    heard = said.certain is not None and said.certain.incident == last.word.incident and _open(said.certain)
    if mine and not heard and not collapse:
        before = unsent[: unsent.index(mine[-1])]
        return [*_closing(before, said, stays=last.word.incident), mine[-1], last], _NEVER_TOLD
    return _closing(unsent, said), _COLLAPSED if mine and not heard else _NEVER_TOLD


def _without_blind_end(unsent: Sequence[Unsent]) -> Sequence[Unsent]:
    """Up to the last that is known of: what comes after only makes sure that nothing is open."""
    end = max((place for place, one in enumerate(unsent) if not one.blind), default=-1)
    return unsent[: end + 1]


def _closing(unsent: Iterable[Unsent], said: Said, *, stays: str | None = None) -> list[Unsent]:
    """The one resolve that closes what may be open, but for the incident that stays: one is enough, it is one key.

    Its own if that waits, else any. Where alertbridge certainly opened what is there, it is nothing unknown.
    """
    resolves = [one for one in unsent if not one.alarms]
    blind = [one for one in resolves if one.blind]
    opened = said.open - {stays}
    if not opened:
        return [] if said.certain is not None and _open(said.certain) else blind[-1:]
    own = [one for one in resolves if one.word.incident in opened]
    return (own or blind or resolves)[-1:]


def _open(word: Word) -> bool:
    return word.action is Action.ALARMED


def _successor(unsent: Sequence[Unsent], place: int, kept: Sequence[Unsent]) -> Unsent | None:
    """What is said in its place: the next that is kept, or else the last."""
    return next((one for one in unsent[place + 1 :] if one in kept), kept[-1] if kept else None)
