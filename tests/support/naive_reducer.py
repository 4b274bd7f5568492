"""What of a line is worth saying, by trying every selection of it: the reference for `incidents.convergence.reduce`.

It knows no cases. A selection is good if it leaves the destination in the true state whatever it believes now; the best is
the smallest good one.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import combinations

from alertbridge.incidents.convergence import Said, Unsent, Word
from alertbridge.model import Action

World = tuple[str, str] | None  # what is open there: an incident, as it was told
MUDDLED = ("muddled", "")
UNKNOWN = ("unknown", "")


def after(world: World, word: Word, *, avoidable: bool = True) -> World:
    """What a destination believes when it has heard one more word."""
    if world == MUDDLED:
        return MUDDLED
    if word.action is Action.RESOLVED:
        return None
    if world is not None and world[0] != word.incident and avoidable:
        return MUDDLED  # two incidents in one, for ever
    return (word.incident, word.content)


def worlds(said: Said, unsent: Sequence[Unsent]) -> set[World]:
    """What the destination may believe now."""
    certain = None if said.certain is None else after(None, said.certain)
    found: set[World] = {certain, *(after(None, word) for word in said.perhaps)}
    if certain is None and any(one.blind for one in unsent):
        found.add(UNKNOWN)
    return found


def good(said: Said, unsent: Sequence[Unsent], chosen: Sequence[Unsent], *, collapse: bool) -> bool:
    last = next((one for one in reversed(unsent) if not one.blind), unsent[-1])
    truth = after(None, last.word)
    for world in worlds(said, unsent):
        state = world
        for one in chosen:
            earlier = unsent[: unsent.index(one)]
            state = after(state, one.word, avoidable=any(not each.alarms for each in earlier))
        if state != truth:
            return False
    blind = any(one.blind for one in unsent)
    if blind and not said.open and not any(one.blind for one in chosen):
        return False  # what was never announced may be open there, for all that is known
    alarms = [one for one in unsent if one.alarms and one.word.incident == last.word.incident]
    heard = said.certain is not None and after(None, said.certain) is not None
    heard = heard and said.certain is not None and said.certain.incident == last.word.incident
    if last.alarms:
        return (
            not chosen or last in chosen
        )  # an older one that says the same would do, but is not the last word
    if not alarms or heard:
        return True
    if collapse:
        return not any(one.alarms for one in chosen)
    return alarms[-1] in chosen and last in chosen


def selections(unsent: Sequence[Unsent]) -> Iterator[tuple[Unsent, ...]]:
    for size in range(len(unsent) + 1):
        yield from combinations(unsent, size)


def fewest(said: Said, unsent: Sequence[Unsent], *, collapse: bool) -> int:
    """How many messages the best selection has."""
    return next(len(chosen) for chosen in selections(unsent) if good(said, unsent, chosen, collapse=collapse))
